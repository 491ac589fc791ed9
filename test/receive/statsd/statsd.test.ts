/** The lines of StatsD and of its dialects: what each means, and the cause for which a line is rejected. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { StatsdDecoder } from "../../../src/receive/statsd/statsd.ts";
import { DatagramSegment } from "../../../src/wire/sockets/waiting-datagrams.ts";
import { DEFAULTS } from "../../defaults.ts";
import { runs } from "../../runs.ts";

const ARRIVED_US = 1_700_000_000_000_000;

function decoder(levels: Readonly<Record<string, number>> = {}): StatsdDecoder {
  return new StatsdDecoder({
    ...DEFAULTS,
    isAttribute: (_, tag) => tag === "task_id",
    epoch: () => 0,
    level: ({ metric }) => levels[metric],
  });
}

function segmentOf(datagrams: readonly (string | Uint8Array)[], arrivedUs = ARRIVED_US): DatagramSegment {
  const segment = new DatagramSegment();
  for (const datagram of datagrams) {
    const bytes = Buffer.from(datagram);
    segment.add(bytes, 0, bytes.length, arrivedUs);
  }
  return segment;
}

/** Each sample as `KIND NAME{LABELS} VALUE [ATTRIBUTES] [@µs after arrival]`, and the rejections and skipped messages. */
function decode(datagrams: readonly (string | Uint8Array)[], by = decoder()) {
  const next = by.decode(segmentOf(datagrams), 0);
  const { batch, skipped } = by.take();
  const samples = Array.from({ length: batch.length }, (_, index) => {
    const { metric, kind, labels } = batch.heads[batch.head[index]!]!;
    const tags = [...labels].map(([name, value]) => `${name}=${value}`).join(",");
    const attributes = batch.attributes
      .filter(({ length }) => length[index]! > 0)
      .map(({ name, offset, length }) => {
        const text = batch.text.subarray(offset[index], offset[index]! + length[index]!);
        return ` ${name}=${Buffer.from(text)}`;
      });
    const after = batch.timestampUs[index]! - ARRIVED_US;
    return `${kind} ${metric}{${tags}} ${batch.value[index]}${attributes.join("")}${after === 0 ? "" : ` @${after}`}`;
  });
  const rejected = batch.rejected.map(({ cause, reason }) => `${cause}: ${reason}`);
  return { samples, rejected, skipped: Object.fromEntries(skipped ?? []), next, batch };
}

/** A line that is accepted, and its samples. The second time it is read as a known line. */
function ok(line: string, ...want: string[]): void {
  const once = decode([line]);
  expect([line, once.samples, once.rejected]).toEqual([line, want, []]);
  const same = decoder();
  same.decode(segmentOf([line], ARRIVED_US - 1_000_000), 0);
  same.take();
  expect(decode([line], same).samples).toEqual(want);
}

/** A line that is rejected, with the reason. */
function bad(line: string, reason: string): void {
  const { samples, rejected } = decode([line]);
  expect([line, samples, rejected]).toEqual([line, [], [reason]]);
}

describe("a line", () => {
  test("of each type is stored as its kind", () => {
    ok("hits:1|c", "delta hits{} 1");
    ok("hits:2.5|c", "delta hits{} 2.5");
    ok("hits:0|c", "delta hits{} 0");
    ok("queue:7|g", "gauge queue{} 7");
    ok("api.time:320|ms", "observation api.time{} 320");
    ok("api.time:-3|ms", "observation api.time{} -3");
    ok("size:1e3|h", "observation size{} 1000");
    ok("size:.5|d", "observation size{} 0.5");
    ok("users:alice|s", "delta users{} 1 member=alice");
    ok("users:a:b c|s", "delta users{} 1 member=a:b c");
    ok("Größe:1|c", "delta Größe{} 1");
  });

  test("with a sample rate counts as often as its sender measured", () => {
    ok("hits:1|c|@0.1", "delta hits{} 10");
    ok("hits:3|c|@0.5|#a:b", "delta hits{a=b} 6");
    ok("hits:1|c|@1", "delta hits{} 1");
    ok("hits:1|c|@1e-2", "delta hits{} 100");
    ok("t:5|ms|@0.25", ...Array.from({ length: 4 }, () => "observation t{} 5"));
    ok("queue:7|g|@0.1", "gauge queue{} 7");
    ok("users:alice|s|@0.1", "delta users{} 1 member=alice");
  });

  test("with a rate that is not 1 divided by a whole number counts right on average", () => {
    const same = decoder();
    const copies = [1, 2, 3].map((value) => decode([`t:${value}|ms|@0.3`], same).samples.length);
    expect(copies).toEqual([3, 3, 4]);
    expect(decode([Array.from({ length: 21 }, () => "u:1|h|@0.7").join("\n")]).samples.length).toBe(30);
  });

  test("with several values has a sample for each", () => {
    ok("t:1:2:3|h|#a:b", "observation t{a=b} 1", "observation t{a=b} 2", "observation t{a=b} 3");
    ok("hits:1:2|c|@0.5", "delta hits{} 2", "delta hits{} 4");
    ok("queue:1:2|g", "gauge queue{} 1", "gauge queue{} 2 @1");
  });

  test("has the tags of each dialect, sorted, and without empty ones", () => {
    ok("hits:1|c|#b:2,a:1", "delta hits{a=1,b=2} 1");
    ok("hits:1|c|#url:http://x:80/y", "delta hits{url=http://x:80/y} 1");
    ok("hits:1|c|#urgent", "delta hits{urgent=true} 1");
    ok("hits:1|c|#a:,,b:1", "delta hits{b=1} 1");
    ok("hits:1|c|#", "delta hits{} 1");
    ok("hits:1|c|#team:a,team:b,team:a", "delta hits{team=a,b} 1");
    ok("hits,b=2,a=1:1|c", "delta hits{a=1,b=2} 1");
    ok("hits#b=2,a=1:1|c", "delta hits{a=1,b=2} 1");
    ok("api[b=2,a=1].hits:1|c", "delta api.hits{a=1,b=2} 1");
    ok("api[hits:1|c", "delta api[hits{} 1");
  });

  test("has a tag that identifies an event as a column, except of a gauge", () => {
    ok("t:5|ms|#task_id:t-1,a:b", "observation t{a=b} 5 task_id=t-1");
    ok("hits:1|c|#task_id:t-1", "delta hits{} 1 task_id=t-1");
    ok("users:alice|s|#task_id:t-1", "delta users{} 1 member=alice task_id=t-1");
    ok("queue:1|g|#task_id:t-1", "gauge queue{task_id=t-1} 1");
    ok("t:5|ms|@0.5|#task_id:t", "observation t{} 5 task_id=t", "observation t{} 5 task_id=t");
  });

  test("has the time that its sender gave it", () => {
    ok("hits:1|c|T1700000060", "delta hits{} 1 @60000000");
    ok("queue:1|g|T1699999999|#a:b", "gauge queue{a=b} 1 @-1000000");
  });

  test("may have a container and other fields of DogStatsD, which are skipped", () => {
    ok("hits:1|c|#a:b|c:ci-1234", "delta hits{a=b} 1");
    ok("hits:1|c|e:it-false,cn-x,pu-1|card:low", "delta hits{} 1");
  });

  test("is rejected with its cause", () => {
    bad("hits", 'syntax: the line is "hits", expected NAME:VALUE|TYPE');
    bad("hits:1", 'syntax: the line is "hits:1", expected NAME:VALUE|TYPE');
    bad(":1|c", 'name: the name is "", expected a metric\'s name before ":"');
    bad("#a=b:1|c", 'name: the name is "#a=b", expected a metric\'s name before ":"');
    bad("hits:1|", 'type: the type is "", expected c, g, ms, h, d or s');
    bad("hits:1|x", 'type: the type is "x", expected c, g, ms, h, d or s');
    bad("hits:1|toString", 'type: the type is "toString", expected c, g, ms, h, d or s');
    bad("hits:1|c:2|c", 'type: the type is "c:2", expected c, g, ms, h, d or s');
    bad("hits:|c", 'value: the value is "", expected a finite number');
    bad("hits:one|c", 'value: the value is "one", expected a finite number');
    bad("t:NaN|ms", 'value: the value is "NaN", expected a finite number');
    bad("t:inf|g", 'value: the value is "inf", expected a finite number');
    bad("t:1e999|h", 'value: the value is "1e999", expected a finite number');
    bad("hits:-1|c", "value: the value is -1, expected no less than 0: a counter cannot decrease");
    bad("users:|s", 'value: the member is "", expected 1 to 4096 bytes without NUL (tagValueBytesMax)');
    bad("users:a|s|#member:b", 'labels: tag "member" is reserved for the members of a set');
    for (const rate of ["@0", "@1.5", "@-1", "@", "@x", "@NaN"])
      bad(`hits:1|c|${rate}`, `rate: the sample rate is "${rate}", expected a number above 0 and up to 1`);
    bad("t:1|ms|@0.0001", "rate: the sample rate of a timer is 0.0001, expected at least 0.001");
    bad("hits:1|c|Tnow", 'timestamp: the time is "Tnow", expected T and whole seconds since 1970');
    bad("hits:1|c|T1.5", 'timestamp: the time is "T1.5", expected T and whole seconds since 1970');
    bad("hits:1|c|x", 'syntax: the section "x" is unknown, expected @RATE, #TAGS, TSECONDS or c:CONTAINER');
    bad(
      `t:1|h|#task_id:${"x".repeat(4097)}`,
      'labels: the value of tag "task_id" is 4097 bytes long, at most 4096 are accepted (tagValueBytesMax)',
    );
  });

  test("with bytes that are not UTF-8 is rejected, and the others are stored", () => {
    const latin1 = (text: string) => Buffer.from(text, "latin1");
    const { samples, rejected } = decode([
      latin1("a:1|c|#x:é\nb:1|c\nu:é|s"),
      "c:1|c",
      "ü:1|c",
      latin1("u:é|s"),
    ]);
    expect(samples).toEqual(["delta b{} 1", "delta c{} 1", "delta ü{} 1"]);
    expect(rejected).toEqual([
      "syntax: byte 9 of the line is 0xe9, which is not valid UTF-8",
      "syntax: byte 2 of the line is 0xe9, which is not valid UTF-8",
      "syntax: byte 2 of the line is 0xe9, which is not valid UTF-8",
    ]);
  });
});

describe("a datagram", () => {
  test("has a line per sample, with any ends of lines", () => {
    const { samples } = decode(["a:1|c\nb:2|c\r\n\n\r\nc:3|c\n", "", "\n", "d:4|c"]);
    expect(samples).toEqual(["delta a{} 1", "delta b{} 2", "delta c{} 3", "delta d{} 4"]);
  });

  test("keeps its valid lines and values", () => {
    const { samples, rejected, batch } = decode(["a:1|c", "x\nb:1:y:2|h\nz:1|q"]);
    expect(samples).toEqual(["delta a{} 1", "observation b{} 1", "observation b{} 2"]);
    expect(rejected.map((each) => each.replace(/:.*/s, ""))).toEqual(["syntax", "value", "type"]);
    expect(batch.rejected.map(({ index, payload }) => [index, payload])).toEqual([
      [1, "x"],
      [1, "b:1:y:2|h"],
      [1, "z:1|q"],
    ]);
  });

  test("with events and service checks is counted, and they are skipped", () => {
    const { samples, skipped, rejected } = decode([
      "_e{5,4}:title|text|#a:b\n_sc|redis.up|0|#a:b\n_e{1,1}:a|b\n_other:1|c",
    ]);
    expect({ samples, skipped, rejected }).toEqual({
      samples: ["delta _other{} 1"],
      skipped: { event: 2, service_check: 1 },
      rejected: [],
    });
  });

  test("cannot become more than 65,536 samples", () => {
    const values = Array.from({ length: 100 }, () => "1").join(":");
    const { samples, rejected } = decode([`t:${values}|ms|@0.001\nok:1|c`, "u:1|c"]);
    expect(samples.length).toBe(65_002);
    expect(rejected).toEqual([
      "samples: the datagram has more than 65536 samples, counting those of its sample rates",
    ]);
  });

  test("that makes a batch large leaves the others for the next batch", () => {
    const by = decoder();
    const segment = segmentOf(Array.from({ length: 6 }, () => `t:${"1:".repeat(59)}1|ms|@0.001`));
    expect([by.decode(segment, 0), by.isFull, by.take().batch.length]).toEqual([4, true, 240_000]);
    expect([by.decode(segment, 4), by.isFull, by.take().batch.length]).toEqual([6, false, 120_000]);
  });

  test("that gives a batch too many columns is rejected, and the next batch is as any other", () => {
    const by = new StatsdDecoder({
      ...DEFAULTS,
      isAttribute: () => true,
      epoch: () => 0,
      level: () => undefined,
    });
    const columns = (letter: string) =>
      Array.from({ length: 64 }, (_, index) => `${letter}${index}:v`).join(",");
    const segment = segmentOf([
      `t:1|h|#${columns("a")}`,
      `t:2|h|#${columns("b")}`,
      ...Array.from({ length: 3 }, () => `t:${"3:".repeat(49)}3|ms|@0.001`),
      "t:4|h",
    ]);
    // 128 columns of 131,072 samples are as many cells as a batch may have.
    expect([by.decode(segment, 0), by.isFull]).toEqual([5, true]);
    const { batch } = by.take();
    expect([batch.length, batch.attributes.length]).toEqual([131_072, 128]);
    expect(batch.rejected.map(({ cause, reason }) => `${cause}: ${reason}`)).toEqual([
      "columns: the body has 128 different attributes over 131073 samples, send it in parts",
    ]);
    expect([by.decode(segment, 5), by.take().batch.value]).toEqual([6, Float64Array.of(4)]);
  });

  test("with thousands of invalid lines counts all and describes the first thousand", () => {
    const { batch } = decode(Array.from({ length: 30 }, () => "x\n".repeat(50)));
    expect(batch.rejected.length).toBe(1500);
    expect(batch.rejected.filter(({ payload }) => payload !== "").length).toBe(1000);
  });
});

describe("a gauge", () => {
  test("with a sign changes the level before it, in any batch and any order of tags", () => {
    const by = decoder({ stored: 10 });
    const lines = ["new:+5|g", "new:-2|g", "stored:+1|g", "stored:7|g", "stored:-3|g", "stored:+0|g"];
    expect(decode([lines.join("\n")], by).samples.map((each) => each.replace(/ @.*/, ""))).toEqual([
      "gauge new{} 5",
      "gauge new{} 3",
      "gauge stored{} 11",
      "gauge stored{} 7",
      "gauge stored{} 4",
      "gauge stored{} 4",
    ]);
    // The next batch takes the level of the store, which has been committed by then.
    expect(decode(["stored:-1|g"], by).samples[0]).toStartWith("gauge stored{} 9");
    const tags = decode(["q:4|g|#a:1,b:2", "q:+1|g|#b:2,a:1", "q,a=1,b=2:+1|g"]).samples;
    expect(tags).toEqual(["gauge q{a=1,b=2} 4", "gauge q{a=1,b=2} 5 @1", "gauge q{a=1,b=2} 6 @2"]);
  });

  test("that changes a level which is no finite number begins at 0", () => {
    const by = decoder({ broken: Number.NaN });
    expect(decode(["broken:+2|g"], by).samples).toEqual(["gauge broken{} 2"]);
  });

  test("has a time of its own in every batch, so that no value replaces another", () => {
    const by = decoder();
    expect(decode(["q:1|g", "q:2|g"], by).samples).toEqual(["gauge q{} 1", "gauge q{} 2 @1"]);
    expect(decode(["q:3|g"], by).samples).toEqual(["gauge q{} 3 @2"]);
  });
});

describe("any bytes", () => {
  test("are decoded or rejected, and no line is read as another", () => {
    const part = fc.constantFrom(
      "a",
      "b",
      ":",
      "|",
      "c",
      "g",
      "ms",
      "s",
      "#",
      "@",
      "1",
      "0.5",
      ",",
      "=",
      "[",
      "]",
      "\n",
      "T",
      "_e{",
      "+",
      "-",
      "é",
      "\u0000",
    );
    const line = fc.array(part, { maxLength: 12 }).map((parts) => parts.join(""));
    const by = decoder();
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
        // A decoder that remembers all lines before reads them as a new one does, except for the times of gauges.
        const plain = (each: string) => each.replace(/ @.*/, "");
        expect(decode(lines, by).samples.map(plain)).toEqual(decode(lines).samples.map(plain));
      }),
      runs(800),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        decode([bytes]);
      }),
      runs(300),
    );
  });
});
