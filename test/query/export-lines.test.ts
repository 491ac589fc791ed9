/** Exports samples as events: every kind, every attribute, the steps, and that readers are always closed. */
import { snapshotOf } from "../totals-snapshots.ts";
import { afterEach, describe, expect, test } from "bun:test";
import { exportLines } from "../../src/query/export-lines.ts";
import { Unavailable } from "../../src/model/errors.ts";
import { type Sample, type Samples, storedSamples } from "./stored.ts";

const MINUTE_MS = 60_000;
/** 2024-01-01T00:00:00Z */
const BEGIN_MS = 1_704_067_200_000;
const ALL = { fromUs: 0, toUs: 8e15 };

let samples: Samples;
afterEach(() => samples.close());

const lines = (
  range: { fromUs: number; toUs: number; metric?: string } = ALL,
  chunkTimeoutMs = 30_000,
  store: Pick<Samples["store"], "days" | "reader"> = samples.store,
) =>
  exportLines(
    {
      store,
      isAttribute: () => true,
      seriesById: (id) => samples.registry.seriesById(id),
      chunkTimeoutMs,
    },
    range,
  );

async function exported(range?: { fromUs: number; toUs: number; metric?: string }): Promise<string[]> {
  let text = "";
  for await (const chunk of lines(range)) text += chunk;
  return text.split("\n").slice(0, -1);
}

describe("a line", () => {
  test("has the type of its kind; stale markers and values that JSON cannot express are texts", async () => {
    const at = (ms: number) => BEGIN_MS + ms;
    samples = await storedSamples([
      { metric: "o", ts: at(0), value: 1.5, tags: { a: "x" } },
      { metric: "d", kind: "delta", ts: at(1), value: 2 },
      { metric: "g", kind: "gauge", ts: at(2), value: -0 },
      { metric: "c_total", kind: "cumulative", ts: at(3), value: 1e21 },
      { metric: "g", kind: "gauge", ts: at(4), value: null },
      { metric: "g", kind: "gauge", ts: at(5), value: Number.NaN },
      { metric: "g", kind: "gauge", ts: at(6), value: Number.NEGATIVE_INFINITY },
    ]);
    expect(await exported()).toEqual([
      '{"@timestamp":1704067200000,"metric_name":"o","value":1.5,"tags":{"a":"x"}}',
      '{"@timestamp":1704067200001,"metric_name":"d","value":2,"tags":{},"type":"counter"}',
      '{"@timestamp":1704067200002,"metric_name":"g","value":-0.0,"tags":{},"type":"gauge"}',
      '{"@timestamp":1704067200003,"metric_name":"c_total","value":1e+21,"tags":{},"type":"cumulative"}',
      '{"@timestamp":1704067200004,"metric_name":"g","value":"stale","tags":{},"type":"gauge"}',
      '{"@timestamp":1704067200005,"metric_name":"g","value":"NaN","tags":{},"type":"gauge"}',
      '{"@timestamp":1704067200006,"metric_name":"g","value":"-Infinity","tags":{},"type":"gauge"}',
    ]);
  });
});

describe("the steps", () => {
  test("export each sample of three days once, in the order of time", async () => {
    const count = 150_000;
    // One sample every 1.44 s: 60 hours, each step about 26 of them.
    const many = Array.from(
      { length: count },
      (_, index): Sample => ({ metric: `m${index % 3}`, ts: BEGIN_MS + index * 1_440, value: index }),
    );
    samples = await storedSamples(many);
    const values = async (range?: Parameters<typeof exported>[0]) =>
      (await exported(range)).map((line) => JSON.parse(line).value as number);
    expect(await values()).toEqual(many.map(({ value }) => value as number));
    // A range that begins and ends within a minute: sample 1,000 is at 1,440,000 ms, 24 min.
    const range = {
      fromUs: (BEGIN_MS + 1_440_001) * 1000,
      toUs: (BEGIN_MS + 2 * 1_440_000) * 1000,
      metric: "m1",
    };
    expect(await values(range)).toEqual(
      Array.from({ length: 999 }, (_, index) => 1_001 + index).filter((index) => index % 3 === 1),
    );
  });

  test("export a sample that arrives meanwhile once if its minute was not read yet", async () => {
    const at = (minute: number): Sample => ({
      metric: "m",
      ts: BEGIN_MS + minute * MINUTE_MS,
      value: minute,
    });
    samples = await storedSamples(Array.from({ length: 70_000 }, (_, index) => at((index % 2) * 600)));
    const all = lines();
    const first = await all.next();
    await samples.add([{ ...at(700), tags: { task_id: "late" } }]);
    let text = first.value as string;
    for await (const chunk of all) text += chunk;
    expect(text.match(/\n/g)).toHaveLength(70_001);
    expect(text).toEndWith('"value":700,"tags":{"task_id":"late"}}\n');
  });
});

test("a caller that stops early leaves no open reader", async () => {
  samples = await storedSamples(
    Array.from({ length: 5_000 }, (_, index) => ({ metric: "m", ts: BEGIN_MS + index, value: index })),
  );
  const some = lines();
  expect((await some.next()).value).toStartWith('{"@timestamp":1704067200000,');
  await some.return();
  // An open reader would keep the table of a dropped day, and would prevent the checkpoint.
  await samples.store.dropDaysBefore(20_000, samples.registry.forgetDaysBefore(20_000), snapshotOf([]));
  expect(await samples.store.checkpoint()).toBe(true);
  expect(samples.store.days()).toEqual([]);
});

describe("the engine's memory", () => {
  const events = (count: number): Sample[] =>
    Array.from({ length: count }, (_, number) => ({
      metric: "o",
      ts: BEGIN_MS + (number % MINUTE_MS),
      value: number,
      tags: { task_id: `${number}${"x".repeat(200)}` },
    }));

  test("a step waits for it while other queries have it", async () => {
    samples = await storedSamples(events(10));
    let refusals = 3;
    const busy = {
      days: () => samples.store.days(),
      async reader() {
        const reader = await samples.store.reader();
        return {
          ...reader,
          stream: async (...asked: Parameters<typeof reader.stream>) => {
            if (refusals-- > 0)
              throw new Error(
                "Out of Memory Error: failed to pin block of size 256.0 KiB (192.2 MiB/192.0 MiB used)",
              );
            return await reader.stream(...asked);
          },
          all: reader.all.bind(reader),
          interrupt: () => reader.interrupt(),
          close: () => reader.close(),
        };
      },
    };
    let text = "";
    for await (const chunk of lines(ALL, 30_000, busy)) text += chunk;
    expect(refusals).toBe(-1);
    expect(text.match(/"value":\d/g)).toHaveLength(10);
  });

  test("an export that never gets it is answered with 503, which names the setting", async () => {
    samples = await storedSamples(events(60_000), { memoryLimitBytes: 8 * 1_048_576, spills: false });
    const failed = await lines(ALL, 2_000)
      .next()
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(failed).toBeInstanceOf(Unavailable);
    expect((failed as Unavailable).message).toContain("memoryLimitBytes");
  });
});
