/** Blocks of late samples become as few as hold their samples. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Rows } from "../../../src/model/sample.ts";
import type { DuckDBStore } from "../../../src/store/duckdb-store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { statement } from "../../../src/store/statements.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { snapshotOf } from "../../totals-snapshots.ts";

const DAY = 20_784; // 2026-11-27
const DAY_US = DAY * 86_400_000_000;
const DAY_END_US = DAY_US + 86_400_000_000;
const SECOND_US = 1_000_000;

let folder: string;
let store: DuckDBStore;

const open = async () => {
  ({ store } = await openStore({
    path: join(folder, "store.duckdb"),
    memoryLimitBytes: 2 ** 28,
    threads: 2,
    counters: createCounters(),
    temporaryDirectory: join(folder, "tmp"),
  }));
};
beforeEach(async () => {
  folder = temporaryFolder();
  await open();
  await store.commit({
    metrics: [{ name: "m", kind: "gauge", type: "gauge", unit: "", help: "", buckets: [] }],
    series: [1, 2].map((seriesId) => ({
      seriesId,
      metric: { name: "m", kind: "gauge" as const },
      labels: new Map([["host", `h${seriesId}`]]),
      exposed: true,
    })),
    seriesDays: [1, 2].map((seriesId) => ({ seriesId, day: DAY })),
  });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

/** A sample at a second of the day. A value of null is a stale marker. */
type Sample = readonly [seriesId: number, second: number, value: number | null, live?: boolean];

const rowsOf = (samples: readonly Sample[]): Rows => ({
  day: DAY,
  length: samples.length,
  seriesId: Uint32Array.from(samples, ([id]) => id),
  timestampUs: Float64Array.from(samples, ([, second]) => DAY_US + second * SECOND_US),
  value: Float64Array.from(samples, ([, , value]) => value ?? 0),
  stale: Uint8Array.from(samples, ([, , value]) => (value === null ? 1 : 0)),
  live: Uint8Array.from(samples, ([, , , live]) => (live === false ? 0 : 1)),
  attributes: [],
  text: new Uint8Array(0),
});
const pack = (isForced = true) => store.pack({ day: DAY, untilUs: DAY_END_US, isForced });
async function add(...samples: Sample[]): Promise<void> {
  await store.commit({ rows: [rowsOf(samples)] });
  await store.commit({ totals: snapshotOf([]) });
}
async function query(sql: string): Promise<unknown[][]> {
  const reader = await store.reader();
  try {
    return (await reader.all(sql)).map((row) => Object.values(row));
  } finally {
    reader.close();
  }
}
const blocks = () =>
  query("SELECT series_id, samples, live, stale FROM weir.blocks ORDER BY series_id, first_us, samples");
const everything = () =>
  query(
    `WITH asked_blocks AS (FROM weir.blocks), stored AS (
       SELECT series_id, ts, value, live FROM weir.samples_20261127
       UNION ALL SELECT series_id, ts, value, live FROM (${statement("store/unpacked_blocks")})
     ) SELECT series_id, ((epoch_us(ts) - ${DAY_US}) / 1e6)::DOUBLE AS second, value, live FROM stored ORDER BY series_id, ts, live`,
  );
const inOrder = (samples: readonly Sample[]) =>
  [...samples]
    .sort(([a, at], [b, other]) => a - b || at - other)
    .map(([id, second, value, live = true]) => [id, second, value, live]);

test("the sixth block of a series in a span makes one of all, and others stay", async () => {
  const regular = [1, 2].flatMap((id) =>
    Array.from({ length: 20 }, (_, at): Sample => [id, at * 60, at + id / 4]),
  );
  const late: Sample[] = [];
  await add(...regular);
  await pack();
  for (let second = 1; second <= 4; second++) {
    late.push([1, second, second * 0.5]);
    await add(late.at(-1)!);
    expect(await pack()).toBe(1);
  }
  expect(await blocks()).toEqual([[1, 20, true, 0], ...late.map(() => [1, 1, true, 0]), [2, 20, true, 0]]);
  late.push([1, 30, 7]);
  await add(late.at(-1)!);
  expect(await pack()).toBe(1);
  expect(await blocks()).toEqual([
    [1, 25, true, 0],
    [2, 20, true, 0],
  ]);
  expect(await everything()).toEqual(inOrder([...regular, ...late]));
  expect(store.days().map(({ rows, packed }) => [rows, packed])).toEqual([[45, 45]]);
  await store.close();
  await open();
  expect(await everything()).toEqual(inOrder([...regular, ...late]));
});

test("spans stay apart, and so do samples that count in totals and those that do not", async () => {
  const samples: Sample[] = [];
  for (let round = 0; round < 6; round++) {
    const more: Sample[] = [
      [1, 100 - round, round],
      [1, 7_200 + round, 10 + round],
      [1, 200 + round, 20 + round, false],
    ];
    samples.push(...more);
    await add(...more);
    await pack();
  }
  expect(await everything()).toEqual(inOrder(samples));
  // The first span had two blocks after the first round, and so six after the third: then one each.
  expect((await blocks()).length).toBeLessThanOrEqual(2 + 4 + 1 + 4);
  expect(
    await query(
      "SELECT count(*)::INTEGER FROM weir.blocks WHERE first_us // 7200000000 <> last_us // 7200000000",
    ),
  ).toEqual([[0]]);
});

test("stale markers stay, and so do values that are no decimal fractions", async () => {
  const samples: Sample[] = [];
  for (let round = 0; round < 8; round++) {
    const more: Sample[] = [
      [1, 1_000 - 10 * round, Math.PI * round],
      [1, 1_001 - 10 * round, null],
      [2, 50 + round, -0],
      [2, 90 + round, 1e300],
    ];
    samples.push(...more);
    await add(...more);
    await pack();
  }
  const found = await everything();
  expect(found).toEqual(inOrder(samples));
  expect(found.filter(([, , value]) => Object.is(value, -0)).length).toBe(8);
  expect(await query("SELECT sum(stale)::INTEGER, max(samples)::INTEGER >= 12 FROM weir.blocks")).toEqual([
    [8, true],
  ]);
});

test("more samples than a block holds become as few blocks as hold them", async () => {
  const samples = Array.from({ length: 2_500 }, (_, at): Sample => [1, (at * 1_009) % 7_000, at % 97]);
  for (let from = 0; from < samples.length; from += 250) {
    await add(...samples.slice(from, from + 250));
    await pack();
  }
  expect(await everything()).toEqual(inOrder(samples));
  expect((await blocks()).length).toBeLessThanOrEqual(3 + 4);
});

test("a deletion meanwhile deletes exactly its samples", async () => {
  const samples = Array.from({ length: 5 }, (_, at): Sample => [1, at, at]);
  for (const sample of samples) {
    await add(sample);
    await pack();
  }
  await add([1, 10, 10]);
  const deletion = { seriesIds: [1], fromUs: DAY_US + 2 * SECOND_US, toUs: DAY_US + 3 * SECOND_US };
  await Promise.all([pack(), store.deleteSamples(deletion, snapshotOf([]))]);
  const left = inOrder([...samples.filter(([, second]) => second < 2 || second > 3), [1, 10, 10]]);
  expect(await everything()).toEqual(left);
  await store.commit({ totals: snapshotOf([]) });
  await pack();
  expect(await everything()).toEqual(left);
});

test("a day that is dropped meanwhile is gone", async () => {
  for (let second = 0; second < 6; second++) {
    await add([1, second, second]);
    if (second < 5) await pack();
  }
  await Promise.all([
    pack(),
    store.dropDaysBefore(DAY + 1, { seriesIds: [], metrics: [] } as never, snapshotOf([])),
  ]);
  expect(await query("SELECT count(*)::INTEGER FROM weir.blocks")).toEqual([[0]]);
  expect(store.days()).toEqual([]);
});
