/** What arrived in the last minutes, worked out by hand. */
import { describe, expect, test } from "bun:test";
import { type ArrivalsRange, bucketQuantile } from "../../../src/exposition/totals/recent-arrivals.ts";
import { Totals } from "../../../src/exposition/totals/totals.ts";
import { atOnce } from "../../../src/model/tasks/time-slices.ts";
import { DEFAULTS } from "../../defaults.ts";
import { metric, rows, type Sample, series } from "./rows.ts";

const DURATION = metric("http.request.duration_ms", "observation", { unit: "ms", buckets: [100, 1_000] });
const UPLOADS = metric("uploads", "delta");
const DEPTH = metric("queue.depth", "gauge");
/** A multiple of ten seconds and of two minutes. */
const T = 1_704_067_200;

function totalsOf(): Totals {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, DURATION, { job: "worker", instance: "w-1", status_code: "200" }));
  totals.define(series(2, DURATION, { job: "worker", instance: "w-1", status_code: "503" }));
  totals.define(series(3, DURATION, { job: "worker", instance: "w-2", status_code: "unknown" }));
  totals.define(series(4, UPLOADS, { job: "worker", instance: "w-2" }));
  totals.define(series(5, DEPTH, { job: "worker", instance: "w-2" }));
  return totals;
}

function feed(totals: Totals, arrivedAt: number, samples: readonly Omit<Sample, "at">[]): void {
  totals.apply(rows(samples.map((sample) => ({ ...sample, at: arrivedAt }))), arrivedAt * 1e6);
}

const recent = (totals: Totals, range: ArrivalsRange, at: number) =>
  atOnce(totals.recentArrivals(range, at * 1e6));

/** The samples of each metric, by part. */
const partsOf = (totals: Totals, range: ArrivalsRange, at: number) =>
  Object.fromEntries(
    recent(totals, range, at).metrics.map(({ metric: name, parts }) => [
      name,
      [...parts].map(([part, { samples }]) => [part, samples]),
    ]),
  );

describe("samples that arrive", () => {
  test("are counted by metric, worker and success", () => {
    const totals = totalsOf();
    feed(totals, T, [
      ...[50, 60, 70].map((value) => ({ id: 1, value })),
      { id: 2, value: 500 },
      { id: 3, value: 5_000 },
      { id: 4, value: 7 },
      { id: 5, value: 1 },
    ]);
    const { metrics, workers, samples } = recent(totals, "5m", T + 9);
    expect(
      metrics.map(({ metric: name, samples: count, failed, judged, buckets }) => [
        ...[name, count, failed, judged],
        [...buckets],
      ]),
    ).toEqual([
      ["http.request.duration_ms", 5, 2, 5, [3, 1, 1]],
      ["uploads", 1, 0, 0, []],
    ]);
    expect(workers).toEqual([
      { job: "worker", instance: "w-1", samples: 4, metrics: 1, arrivedUs: T * 1e6 },
      { job: "worker", instance: "w-2", samples: 3, metrics: 3, arrivedUs: T * 1e6 },
    ]);
    expect(samples.at(-1)).toBe(7);
  });

  test("are in the part of their arrival, of ten seconds or of two minutes", () => {
    const totals = totalsOf();
    feed(totals, T, [{ id: 4, value: 1 }]);
    feed(totals, T + 9.9, [{ id: 4, value: 1 }]);
    feed(totals, T + 10, [{ id: 4, value: 1 }]);
    feed(totals, T + 125, [
      { id: 4, value: 1 },
      { id: 4, value: 1 },
    ]);
    // The last part is that of T + 120.
    expect(partsOf(totals, "5m", T + 129)).toEqual({
      uploads: [
        [17, 2],
        [18, 1],
        [29, 2],
      ],
    });
    expect(partsOf(totals, "1h", T + 129)).toEqual({
      uploads: [
        [28, 3],
        [29, 2],
      ],
    });
  });

  test("of rules do not make a silent worker look alive", () => {
    const totals = totalsOf();
    const recorded = metric("job_instance:task_workers:count", "gauge");
    totals.define(series(6, recorded, { job: "worker", instance: "w-1" }));
    feed(totals, T, [{ id: 1, value: 50 }]);
    feed(totals, T + 60, [{ id: 6, value: 1 }]);
    expect(recent(totals, "5m", T + 61).workers).toEqual([
      { job: "worker", instance: "w-1", samples: 1, metrics: 1, arrivedUs: T * 1e6 },
    ]);
  });

  test("leave the range when it is over", () => {
    const totals = totalsOf();
    feed(totals, T, [{ id: 4, value: 1 }]);
    expect(partsOf(totals, "5m", T + 299)).toEqual({ uploads: [[0, 1]] });
    expect(partsOf(totals, "5m", T + 300)).toEqual({});
    expect(partsOf(totals, "1h", T + 3_599)).toEqual({ uploads: [[0, 1]] });
    expect(partsOf(totals, "1h", T + 3_600)).toEqual({});
  });

  test("do not include those of a replay, nor historical ones", () => {
    const totals = totalsOf();
    totals.apply(rows([{ id: 4, at: T, value: 1 }]));
    totals.apply(rows([{ id: 4, at: T, value: 1, live: false }]), T * 1e6);
    expect(recent(totals, "5m", T + 1).workers).toEqual([]);
  });

  test("of a series that retention drops are still counted", () => {
    const totals = totalsOf();
    feed(totals, T, [{ id: 4, value: 1 }]);
    totals.forget(4);
    totals.define(series(9, DEPTH, { job: "other" }));
    feed(totals, T + 10, [{ id: 9, value: 1 }]);
    expect(partsOf(totals, "5m", T + 11)).toEqual({ uploads: [[28, 1]] });
    expect(recent(totals, "5m", T + 11).workers.map(({ job, samples }) => [job, samples])).toEqual([
      ["worker", 1],
      ["other", 1],
    ]);
  });

  test("of a metric that was deleted and pushed again are one metric", () => {
    const totals = totalsOf();
    feed(totals, T, [{ id: 4, value: 1 }]);
    totals.forget(4);
    totals.define(series(9, UPLOADS, { job: "worker", instance: "w-2" }));
    feed(totals, T + 10, [{ id: 9, value: 1 }]);
    const listed = (range: ArrivalsRange) =>
      recent(totals, range, T + 11).metrics.map(({ metric: name, parts }) => [
        name,
        [...parts].map(([part, { samples }]) => [part, samples]),
      ]);
    expect(listed("5m")).toEqual([
      [
        "uploads",
        [
          [28, 1],
          [29, 1],
        ],
      ],
    ]);
    expect(listed("1h")).toEqual([["uploads", [[29, 2]]]]);
    expect(recent(totals, "5m", T + 11).workers.map(({ metrics }) => metrics)).toEqual([1]);
  });

  test("of an hour before are not those of a later worker, which gets the memory of one that is gone", () => {
    const totals = totalsOf();
    feed(totals, T, [{ id: 4, value: 1 }]);
    totals.forget(4);
    for (const [at, id] of [
      [3_500, 10],
      [3_900, 11],
    ] as const) {
      // At 3,500 s the range of an hour still has the samples of the first worker. At 3,900 s it has not.
      totals.define(series(id, UPLOADS, { job: "worker", instance: `w-${id}` }));
      feed(totals, T + at, [{ id, value: 1 }]);
    }
    const workersAt = (at: number) =>
      recent(totals, "1h", T + at).workers.map(({ instance, samples }) => [instance, samples]);
    expect(workersAt(3_900)).toEqual([
      ["w-10", 1],
      ["w-11", 1],
    ]);
    feed(totals, T + 4_000, [{ id: 11, value: 1 }]);
    totals.define(series(12, UPLOADS, { job: "worker", instance: "w-12" }));
    feed(totals, T + 4_000, [{ id: 12, value: 1 }]);
    expect(workersAt(4_000)).toEqual([
      ["w-10", 1],
      ["w-11", 2],
      ["w-12", 1],
    ]);
  });

  test("before the first one, the range begins later", () => {
    const totals = totalsOf();
    feed(totals, T + 42, [{ id: 4, value: 1 }]);
    expect(recent(totals, "1h", T + 62)).toMatchObject({ fromUs: (T + 42) * 1e6, toUs: (T + 62) * 1e6 });
    expect(recent(totals, "5m", T + 1_000)).toMatchObject({ fromUs: (T + 710) * 1e6 });
  });
});

test("quantiles are interpolated within a bucket, as histogram_quantile", () => {
  // Two of four are at most 100.
  expect(bucketQuantile(0.5, [100, 1_000], [2, 2, 0])).toBe(100);
  expect(bucketQuantile(0.25, [100, 1_000], [2, 2, 0])).toBe(50);
  expect(bucketQuantile(0.75, [100, 1_000], [2, 2, 0])).toBe(550);
  // Above all bounds, the last one is all that is known.
  expect(bucketQuantile(0.99, [100, 1_000], [0, 0, 3])).toBe(1_000);
  expect(bucketQuantile(0.5, [-1, 1], [4, 0, 0])).toBe(-1);
  expect(bucketQuantile(0.5, [100], [0, 0])).toBeNull();
  expect(bucketQuantile(0.5, [], [])).toBeNull();
});
