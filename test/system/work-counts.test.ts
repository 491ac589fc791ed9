/**
 * Exact counts of the work for a push, so that what was gained stays: statements of the engine, commits, passes over a
 * body, and the memory that a batch allocates. Nothing here is measured in time.
 */
import { expect, spyOn, test } from "bun:test";
import { Counter, Histogram } from "prom-client";
import snappyjs from "snappyjs";
import type { SeriesHead } from "../../src/model/sample.ts";
import { EventDecoder } from "../../src/receive/events/events.ts";
import { RemoteWriteDecoder } from "../../src/receive/remote-write/remote-write.ts";
import { Connection } from "../../src/store/engine/duckdb.ts";
import { JournalFile } from "../../src/store/journal/journal-file.ts";
import { decompressSnappyBlock } from "../../src/wire/compression/snappy.ts";
import { DEFAULTS } from "../defaults.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { encodeV1, type Series } from "../receive/remote-write/messages.ts";

const COUNT = 1_000;
/** As a worker sends them: four requests, a task and an upload, with a task_id of their own. */
const body = (first: number) =>
  JSON.stringify(
    Array.from({ length: COUNT }, (_, at) => ({
      "@timestamp": NOON_MS - 1_000,
      metric_name: ["request.ms", "request.ms", "request.ms", "request.ms", "task.ms", "upload.bytes"][
        at % 6
      ],
      type: "observation",
      value: at / 8,
      tags: { job: "w", task_id: `task-${1_000_000 + first + at}`, status: at % 5 === 0 ? "failed" : "done" },
    })),
  );

async function commitsOf({ counters }: TestGateway): Promise<number> {
  const { values } = await counters.commitSeconds.get();
  return values.find(({ metricName }) => metricName === "weir_commit_duration_seconds_count")?.value ?? 0;
}

test("a push of known series runs no statement of the engine, and is one commit", async () => {
  const gateway = await openTestGateway("--decode-workers=0");
  // The first push makes the table of the day, and the second one compiles nothing new.
  for (const first of [0, 1_000]) expect((await gateway.post(body(first))).status).toBe(200);
  const statements: string[] = [];
  const names = ["run", "runTexts", "all", "stream", "append", "appendChunks", "appendColumns"] as const;
  const spies = names.map((name) => {
    const original = Connection.prototype[name] as (...args: unknown[]) => unknown;
    return spyOn(Connection.prototype, name).mockImplementation(function (
      this: Connection,
      ...args: unknown[]
    ) {
      statements.push(name);
      return original.apply(this, args) as never;
    });
  });
  try {
    const before = await commitsOf(gateway);
    for (const first of [2_000, 3_000, 4_000]) expect((await gateway.post(body(first))).status).toBe(200);
    expect((await commitsOf(gateway)) - before).toBe(3);
    expect(statements).toEqual([]);
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  await gateway.close();
});

test("a push of one event is one record, and looks up no metric of the gateway by its labels", async () => {
  // What `inc` and `observe` of prom-client are. Each counter takes them when it is made.
  const lookUps = [
    spyOn(Counter.prototype as unknown as { incWithoutExemplar(): void }, "incWithoutExemplar"),
    spyOn(Histogram.prototype as unknown as { observeWithoutExemplar(): void }, "observeWithoutExemplar"),
  ];
  const gateway = await openTestGateway("--decode-workers=0");
  const records = spyOn(JournalFile.prototype, "append");
  const push = (first: number) => gateway.post(JSON.stringify(JSON.parse(body(first)).slice(0, 1)));
  try {
    for (const first of [0, 1_000]) expect((await push(first)).status).toBe(200);
    for (const spy of [records, ...lookUps]) spy.mockClear();
    for (const first of [2_000, 3_000, 4_000])
      expect(await push(first)).toEqual({ status: 200, json: { accepted: 1, rejected: 0, errors: [] } });
    const payloads = (records.mock.calls as unknown[][]).map(({ length }) => length);
    expect(payloads).toEqual([1, 1, 1]);
    expect(lookUps.map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
    const [, text] = await gateway.send("GET /metrics");
    expect(text).toContain('weir_samples_accepted_total{protocol="events"} 5\n');
    expect(text).toContain('weir_http_requests_total{method="POST",route="/api/v1/push",status="200"} 5\n');
    expect(text).toContain('weir_http_request_duration_seconds_count{route="/api/v1/push"} 5\n');
  } finally {
    for (const spy of [records, ...lookUps]) spy.mockRestore();
  }
  await gateway.close();
});

test("pushes that arrive during a commit are committed together", async () => {
  const gateway = await openTestGateway("--decode-workers=0");
  await gateway.post(body(0));
  const before = await commitsOf(gateway);
  const pushes = Array.from({ length: 20 }, (_, at) =>
    gateway.push([{ metric: "one", kind: "observation", atMs: NOON_MS, value: at }]),
  );
  await Promise.all(pushes);
  // The first one is committed at once, and all others after it.
  expect((await commitsOf(gateway)) - before).toBe(2);
  await gateway.close();
});

test("events of known labels are read in one pass, into 24 bytes and their attributes each", () => {
  const decoder = new EventDecoder({
    nameBytesMax: DEFAULTS.nameBytesMax,
    tagsMax: DEFAULTS.tagsMax,
    tagValueBytesMax: DEFAULTS.tagValueBytesMax,
    eventsMax: DEFAULTS.eventsMax,
    isAttribute: (_, tag) => tag === "task_id",
    attributesOf: () => ["task_id"],
    epoch: () => 0,
  });
  for (const first of [0, 1_000, 2_000]) decoder.decode(Buffer.from(body(first)));
  const before = decoder.scans;
  const batch = decoder.decode(Buffer.from(body(3_000)));
  // None is looked at part by part.
  expect(decoder.scans).toBe(before);
  expect(batch.length).toBe(COUNT);
  const columns = [batch.head, batch.timestampUs, batch.value, batch.position];
  const attributes = batch.attributes.flatMap(({ offset, length }) => [offset, length]);
  const memory = [...columns, ...attributes, batch.text].map(({ buffer }) => buffer.byteLength);
  expect(memory).toEqual([4, 8, 8, 4, 4, 4, "task-1000000".length].map((bytes) => bytes * COUNT));
});

test("of more series than have templates, those that have one are read in one pass, and the others decided once", () => {
  const decoder = new EventDecoder({
    nameBytesMax: DEFAULTS.nameBytesMax,
    tagsMax: DEFAULTS.tagsMax,
    tagValueBytesMax: DEFAULTS.tagValueBytesMax,
    eventsMax: DEFAULTS.eventsMax,
    isAttribute: () => false,
    attributesOf: () => [],
    epoch: () => 0,
  });
  // 8,192 have templates in the memory of the loops.
  const bodies = Array.from({ length: 10 }, (_, part) =>
    Buffer.from(
      JSON.stringify(
        Array.from({ length: COUNT }, (_, at) => ({
          metric_name: "m",
          value: at,
          tags: { n: `${COUNT * part + at}` },
        })),
      ),
    ),
  );
  const countsOf = () => {
    const [scans, decisions] = [decoder.scans, decoder.decisions];
    for (const each of bodies) decoder.decode(each);
    return [decoder.scans - scans, decoder.decisions - decisions];
  };
  // Of the first event, the name is not known either.
  expect(countsOf()).toEqual([10_000, 10_000]);
  expect(countsOf()).toEqual([10_000, 1]);
  for (let round = 0; round < 3; round++) expect(countsOf()).toEqual([10_000 - 8_192, 0]);
});

test("a request of known series has the list of heads of the one before, and its message is not copied", () => {
  const decoder = new RemoteWriteDecoder();
  const block = (ms: number) => {
    const series = Array.from(
      { length: 500 },
      (_, index): Series => ({
        labels: { __name__: "up", instance: `host-${index}:9100`, job: "node" },
        samples: [{ value: index, timestamp: NOON_MS + ms }],
      }),
    );
    return new Uint8Array(snappyjs.compress(encodeV1(series)));
  };
  let reserved = 0;
  const decode = (sent: Uint8Array) => {
    const message = decompressSnappyBlock(sent, DEFAULTS.inflatedBytesMax, (bytes) => {
      reserved++;
      return decoder.reserve(sent, bytes);
    });
    return { memory: message.buffer, batch: decoder.decode(message).batch };
  };
  const first = decode(block(0));
  const second = decode(block(1_000));
  const third = decode(block(2_000));
  expect(reserved).toBe(3);
  expect(second.batch.heads).toBe(first.batch.heads);
  expect(third.batch.heads).toBe(first.batch.heads);
  // The memory of the loops is used again.
  expect(third.memory).toBe(second.memory);
  const memory = [third.batch.head, third.batch.timestampUs, third.batch.value, third.batch.position];
  expect(memory.map(({ buffer }) => buffer.byteLength)).toEqual([4, 8, 8, 4].map((bytes) => bytes * 500));
});

test("metadata of another family decides nothing again, and that of its own family decides once", () => {
  const decoder = new RemoteWriteDecoder();
  const names = ["up", "down"];
  const request = encodeV1(
    Array.from(
      { length: COUNT },
      (_, at): Series => ({
        labels: { __name__: names[at % 2]!, n: String(at) },
        samples: [{ value: 1, timestamp: NOON_MS }],
      }),
    ),
  );
  const metadata = (metricFamilyName: string) => encodeV1([], [{ type: 2, metricFamilyName }]);
  const heads = () => decoder.decode(request).batch.heads;
  const same = (now: readonly SeriesHead[], before: readonly SeriesHead[]) =>
    now.filter((head, index) => head === before[index]).length;
  const first = heads();
  decoder.decode(metadata("other"));
  expect(heads()).toBe(first);
  decoder.decode(metadata("down"));
  const again = heads();
  expect(same(again, first)).toBe(COUNT / 2);
  expect([again[0]!, again[1]!].map(({ metric, kind }) => [metric, kind])).toEqual([
    ["up", "cumulative"],
    ["down", "gauge"],
  ]);
  expect(heads()).toBe(again);
});
