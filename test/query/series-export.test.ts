/** An export that is read in many portions has the same samples as one that fits into one, and the levels that an import needs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { matcher } from "../../src/query/promql/matchers.ts";
import { OwnRows } from "../../src/query/promql/store/own-rows.ts";
import { StoreStorage } from "../../src/query/promql/store/store-storage.ts";
import { SeriesExport } from "../../src/query/series-export.ts";
import { DAY_MS, NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";

const LIMITS = {
  promqlSamplesMax: 1_000_000,
  promqlSeriesMax: 100,
  promqlMemoryBytesMax: 1_000_000,
  promqlTimeoutMs: 60_000,
};
const STEP_MS = 15_000;
const EVERYTHING = [[matcher("__name__", "!=", "")]];

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway();
  const times = Array.from({ length: 40 }, (_, index) => NOON_MS - DAY_MS - 10_000 + index * 977.25);
  await gateway.push(
    times.flatMap((atMs, index) => [
      { metric: "level", value: index, atMs, labels: { n: String(index % 3) } },
      { metric: "level", value: index, atMs: atMs + DAY_MS / 2, labels: { n: "0" } },
      { metric: "hits", kind: "delta" as const, value: 1, atMs, labels: { n: String(index % 3) } },
    ]),
  );
});
afterAll(() => gateway.close());

function open(samplesAtOnce: number, limits = LIMITS): SeriesExport {
  const { store, registry } = gateway.gateway;
  const rows = new OwnRows({ store, registry });
  const storage = new StoreStorage({ rows, observationStepMs: STEP_MS, seriesIdleMs: DAY_MS });
  return new SeriesExport({ rows, storage, observationStepMs: STEP_MS, ...limits }, samplesAtOnce);
}

/** The samples by series, and the number of portions. */
async function read(samplesAtOnce: number, startMs: number, endMs: number) {
  const series = open(samplesAtOnce);
  const found: Record<string, string[]> = {};
  let portions = 0;
  for await (const portion of series.samples(EVERYTHING, { startMs, endMs })) {
    portions++;
    for (const { labels, timestampsMs, values } of portion) {
      found[labels.key] ??= [];
      for (const [index, ms] of timestampsMs.entries()) found[labels.key]!.push(`${ms} ${values[index]}`);
    }
  }
  return { found, portions };
}

test("an export in many portions has each sample once, in order of time", async () => {
  const whole = await read(1_000_000, 0, NOON_MS);
  expect(whole.portions).toBe(2);
  expect(Object.values(whole.found).flat().length).toBeGreaterThan(80 + 3 * 2_800);
  for (const size of [50, 7, 1]) {
    const parts = await read(size, 0, NOON_MS);
    expect(parts.portions).toBeGreaterThan(whole.portions);
    expect(parts.found).toEqual(whole.found);
  }
});

test("both ends of a range are included, with the fractions of their millisecond", async () => {
  const first = NOON_MS - DAY_MS - 10_000;
  const { found } = await read(1_000_000, first + 977, first + 977);
  expect(Object.values(found).flat()).toEqual([`${first + 977.25} 1`]);
  expect((await read(1_000_000, first + 978, first + 1_953)).found).toEqual({});
});

test("of the values of a gauge within a millisecond the last is exported, which an import would reject after the others", async () => {
  const atMs = NOON_MS - 5_000;
  const queue = (value: number, microseconds: number, n = "0") =>
    ({ metric: "queue", value, atMs: atMs + microseconds / 1_000, labels: { n } }) as const;
  await gateway.push([
    queue(10, 0),
    queue(15, 1),
    queue(3, 999),
    queue(4, 1_000),
    queue(1, 0, "1"),
    queue(2, 1_500, "1"),
    { metric: "span", kind: "observation", value: 7, atMs, labels: {} },
    { metric: "span", kind: "observation", value: 8, atMs, labels: {} },
  ]);
  const found: Record<string, [number, number][]> = {};
  const series = open(100);
  const named = ["queue", "span"].map((name) => [matcher("__name__", "=", name)]);
  for await (const portion of series.samples(named, { startMs: atMs, endMs: NOON_MS })) {
    for (const { labels, timestampsMs, values } of portion) {
      found[`${labels.get("__name__")} ${labels.get("n") ?? ""}`] = [...timestampsMs].map((ms, index) => [
        Math.floor(ms) - atMs,
        values[index]!,
      ]);
    }
  }
  expect(found).toEqual({
    "queue 0": [
      [0, 3],
      [1, 4],
    ],
    "queue 1": [
      [0, 1],
      [1, 2],
    ],
    // Each value of an observation counts.
    "span ": [
      [0, 7],
      [0, 8],
    ],
  });
});

test("a selector that finds more series than a query may is rejected", async () => {
  const series = open(100, { ...LIMITS, promqlSeriesMax: 2 });
  const reading = series.samples(EVERYTHING, { startMs: 0, endMs: NOON_MS }).next();
  await expect(reading).rejects.toThrow("promqlSeriesMax");
});
