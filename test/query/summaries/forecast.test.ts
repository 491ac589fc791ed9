/** The summary `forecast`, with lines that are worked out by hand. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Sample } from "../stored.ts";
import { openSummaries } from "./stored-summaries.ts";

const DAY_MS = 86_400_000;
const NOW = Date.parse("2024-01-09T00:00:00Z");

/** A gauge, each hour of the seven days before now, and `value` by the days since their beginning. */
const hourly = (disk: string, value: (day: number, hour: number) => number): Sample[] =>
  Array.from({ length: 7 * 24 }, (_, hour) => ({
    metric: "disk.used_percent",
    kind: "gauge",
    ts: NOW - 7 * DAY_MS + hour * 3_600_000,
    value: value(hour / 24, hour),
    tags: { disk },
  }));

/** One sample a day, at noon of the eight days before now. */
const DAILY = [1, 3, 2, 5, 4, 7, 6, 8].map(
  (value, day): Sample => ({
    metric: "queue.length",
    kind: "gauge",
    ts: NOW - (8 - day) * DAY_MS + DAY_MS / 2,
    value,
  }),
);

const SAMPLES: Sample[] = [
  // 50 at the beginning, 2 more each day: 64 now.
  ...hourly("rising", (day) => 50 + 2 * day),
  // The same, with a night in which it is full, and a value that cannot be.
  ...hourly("peaks", (day, hour) => (hour >= 100 && hour < 108 ? 100 : hour === 20 ? -1e6 : 50 + 2 * day)),
  ...hourly("falling", (day) => 50 - day),
  ...hourly("constant", () => 70),
  ...DAILY,
];

let summaries: Awaited<ReturnType<typeof openSummaries>>;
beforeAll(async () => {
  summaries = await openSummaries(SAMPLES, NOW);
});
afterAll(() => summaries.close());

const forecast = (parameters: Record<string, string>) => summaries.run("forecast", parameters);

const days = (rows: readonly Record<string, unknown>[]) =>
  rows.map(({ labels, days_left, days_left_min, days_left_max }) => [
    JSON.stringify(labels),
    days_left,
    days_left_min,
    days_left_max,
  ]);

test("a gauge without noise reaches a value on its line, and peaks and outliers move it by less than 2 %", async () => {
  const rows = await forecast({ metric: "disk.used_percent", reaches: "90" });
  const [rising, peaks, ...others] = rows;
  // 26 more at 2 a day.
  expect(rising).toMatchObject({
    per_day: 2,
    per_day_low: 2,
    per_day_high: 2,
    days_left: 13,
    days_left_max: 13,
  });
  expect(new Date(rising!.reaches_at as string).getTime()).toBe(NOW + 13 * DAY_MS);
  expect(rising!.samples).toBe(168);
  expect(peaks!.per_day as number).toBeCloseTo(2, 1);
  expect(Math.abs((peaks!.days_left as number) - 13)).toBeLessThan(0.26);
  expect(others.map(({ days_left, reaches_at }) => [days_left, reaches_at])).toEqual([
    [null, null],
    [null, null],
  ]);
});

test("a gauge that falls reaches a value below it", async () => {
  const rows = await forecast({ metric: "disk.used_percent", reaches: "40" });
  // 43 now, 1 less each day.
  expect(rows[0]).toMatchObject({ per_day: -1, value: 43.041667, days_left: 3 });
  expect(days(rows.slice(1)).map(([, ...left]) => left)).toEqual(Array(3).fill([null, null, null]));
});

test("the bounds of the slope are those of Sen's method", async () => {
  // The 28 slopes of 8 points, sorted. 1.96 deviations of Kendall's statistic are 15.84 of 28, so that the bounds are the
  // slopes at the ranks floor(6.08) = 6 and ceil(21.92) + 1 = 23.
  const values = DAILY.map(({ value }) => value!);
  const slopes = values
    .flatMap((from, a) => values.slice(a + 1).map((to, between) => (to - from) / (between + 1)))
    .sort((a, b) => a - b);
  const [row] = await forecast({ metric: "queue.length", reaches: "20", from: "-8d" });
  expect(row).toMatchObject({
    per_day: Number(((slopes[13]! + slopes[14]!) / 2).toFixed(6)),
    per_day_low: Number(slopes[5]!.toFixed(6)),
    per_day_high: Number(slopes[22]!.toFixed(6)),
    samples: 8,
  });
  expect(row!.days_left_min as number).toBeLessThan(row!.days_left as number);
  expect(row!.days_left_max as number).toBeGreaterThan(row!.days_left as number);
});

test("a series with fewer than 8 points has no line", async () => {
  expect(await forecast({ metric: "queue.length", reaches: "20", from: "-7d" })).toEqual([]);
});
