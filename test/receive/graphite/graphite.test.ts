/** The lines of Graphite: what each means, and the cause for which a line is rejected. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GraphiteDecoder } from "../../../src/receive/graphite/graphite.ts";
import { PathTemplates } from "../../../src/receive/graphite/path-templates.ts";
import { DatagramSegment } from "../../../src/wire/sockets/waiting-datagrams.ts";
import { runs } from "../../runs.ts";

const ARRIVED_US = 1_700_000_000_000_000;

const decoder = (...templates: string[]) => new GraphiteDecoder(new PathTemplates(templates));

function decode(text: string | Uint8Array, by = decoder()) {
  const segment = new DatagramSegment();
  const bytes = Buffer.from(text);
  segment.add(bytes, 0, bytes.length, ARRIVED_US);
  expect(by.decode(segment, 0)).toBe(1);
  const { batch } = by.take();
  const samples = Array.from({ length: batch.length }, (_, index) => {
    const { metric, kind, labels } = batch.heads[batch.head[index]!]!;
    const tags = [...labels].map(([name, value]) => `${name}=${value}`).join(",");
    return `${kind} ${metric}{${tags}} ${batch.value[index]} @${batch.timestampUs[index]! - ARRIVED_US}`;
  });
  return { samples, rejected: batch.rejected.map(({ cause, reason }) => `${cause}: ${reason}`), batch };
}

function ok(line: string, want: string): void {
  const { samples, rejected } = decode(line);
  expect([line, samples, rejected]).toEqual([line, [want], []]);
}

function bad(line: string, reason: string): void {
  const { samples, rejected } = decode(line);
  expect([line, samples, rejected]).toEqual([line, [], [reason]]);
}

describe("a line", () => {
  test("is a gauge at its time", () => {
    ok("servers.web.load 1.5 1700000060", "gauge servers.web.load{} 1.5 @60000000");
    ok("load -3e2 1700000000", "gauge load{} -300 @0");
    ok("load\t1 \t 1700000000.25\r\n", "gauge load{} 1 @250000");
    ok("  load   1   1699999999  \n", "gauge load{} 1 @-1000000");
    ok("größe 1 1700000000", "gauge größe{} 1 @0");
    ok("load inf 1700000000", "gauge load{} Infinity @0");
    ok("load -Infinity 1700000000", "gauge load{} -Infinity @0");
  });

  test("without a time is of now", () => {
    for (const time of ["", " -1", " N"]) ok(`load 1${time}`, "gauge load{} 1 @0");
    const by = decoder();
    expect(decode("load 1 -1\nload 2 N\nload 3", by).samples).toEqual([
      "gauge load{} 1 @0",
      "gauge load{} 2 @1",
      "gauge load{} 3 @2",
    ]);
  });

  test("has tags, of its own and of a template", () => {
    ok("disk.used;host=w1;dc=eu 5 1700000000", "gauge disk.used{dc=eu,host=w1} 5 @0");
    ok("disk.used;url=http://x/?a=b 5 1700000000", "gauge disk.used{url=http://x/?a=b} 5 @0");
    const by = decoder("servers.* .host.measurement* env=test");
    expect(decode("servers.w1.cpu.load;host=other 5 1700000000\ncpu 1 1700000000", by).samples).toEqual([
      "gauge cpu.load{env=test,host=other} 5 @0",
      "gauge cpu{} 1 @0",
    ]);
  });

  test("is rejected with its cause", () => {
    bad("load", 'syntax: the line is "load", expected PATH VALUE TIME');
    bad("load 1 1700000000 x", 'syntax: the line is "load 1 1700000000 x", expected PATH VALUE TIME');
    bad("load one 1700000000", 'value: the value is "one", expected a number');
    bad("load 1e999 1700000000", 'value: the value is "1e999", expected a number');
    bad("load NaN 1700000000", 'value: the value is "NaN", which Graphite does not store');
    bad("load 1 now", 'timestamp: the time is "now", expected seconds since 1970, -1 or N');
    bad("load 1 1e999", 'timestamp: the time is "1e999", expected seconds since 1970, -1 or N');
    for (const tag of ["", "a", "a=", "=b"])
      bad(`load;${tag} 1 1700000000`, `labels: the tag is "${tag}", expected NAME=VALUE`);
    bad(`${"x".repeat(16_384)} 1 1`, "line: the line has 16388 bytes, expected at most 16384");
  });

  test("with bytes that are not UTF-8 is rejected, and the others are stored", () => {
    const { samples, rejected } = decode(
      Buffer.from("gr\u00f6\u00dfe 1 1700000000\nload 1 1700000000", "latin1"),
    );
    expect(samples).toEqual(["gauge load{} 1 @0"]);
    expect(rejected).toEqual(["syntax: byte 2 of the line is 0xf6, which is not valid UTF-8"]);
  });

  test("of any text is decoded or rejected, and read in the same way again", () => {
    const part = fc.constantFrom(
      "a",
      ".",
      ";",
      "=",
      " ",
      "\t",
      "1",
      "-1",
      "N",
      "nan",
      "inf",
      "e",
      "\r",
      "\n",
      "é",
      "1700000000",
      "\u0000",
    );
    const by = decoder("a.* measurement.host*");
    const plain = ({ samples, rejected }: ReturnType<typeof decode>) => [
      samples.map((each) => each.replace(/ @.*/, "")),
      rejected,
    ];
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        const text = parts.join("");
        if (text === "") return;
        expect(plain(decode(text, by))).toEqual(plain(decode(text, decoder("a.* measurement.host*"))));
      }),
      runs(600),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (bytes) => void decode(bytes)),
      runs(300),
    );
  });
});
