/** Running totals and their exposition, worked out by hand. */

import { recordsOf } from "../../totals-snapshots.ts";
import { describe, expect, test } from "bun:test";
import type { DistributionPoint, Family, ValuePoint } from "../../../src/exposition/family.ts";
import { Totals } from "../../../src/exposition/totals/totals.ts";
import { atOnce } from "../../../src/model/tasks/time-slices.ts";
import { DEFAULTS } from "../../defaults.ts";
import { metric, rows, type Sample, series } from "./rows.ts";

const DURATION = metric("http.request.duration_ms", "observation", { unit: "ms", buckets: [1, 10] });
const UPLOADS = metric("uploads", "delta");
const DEPTH = metric("queue.depth", "gauge", { help: "Jobs that wait." });
const T = 1_704_067_200;

/** Applies samples, each as a commit of its own, which arrives at the time of the sample. */
function feed(totals: Totals, samples: readonly Sample[], arrivedAt?: number): void {
  for (const sample of samples) totals.apply(rows([sample]), (arrivedAt ?? sample.at) * 1e6);
}

function at(totals: Totals, seconds: number): Record<string, Family> {
  return Object.fromEntries(atOnce(totals.families(seconds * 1e6)).map((family) => [family.name, family]));
}

function value(family: Family | undefined): number | undefined {
  return (family?.points[0] as ValuePoint | undefined)?.value;
}

test("exposes observations as a histogram", () => {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, DURATION, { operation: "get_task", domain: "a" }));
  feed(totals, [
    { id: 1, at: T, value: 0.5 },
    { id: 1, at: T + 1, value: 1 },
    { id: 1, at: T + 2, value: 10.25 },
    { id: 1, at: T + 3, value: 2 },
  ]);
  expect(atOnce(totals.families((T + 4) * 1e6))).toEqual([
    {
      name: "http_request_duration_ms",
      type: "histogram",
      help: "Pushed as http.request.duration_ms (observation).",
      unit: "ms",
      points: [
        {
          labels: 'domain="a",instance="",operation="get_task"',
          edges: ["1.0", "10.0", "+Inf"],
          // 0.5 and 1 are at most 1. 2 is at most 10. 10.25 is above.
          values: Float64Array.of(2, 3, 4),
          sum: 13.75,
          count: 4,
          createdUs: T * 1e6,
          exemplars: undefined,
        },
      ],
    },
  ]);
});

test("exposes deltas as a counter, and appends _total if it is missing", () => {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, UPLOADS, { instance: "w1" }));
  totals.define(series(2, metric("errors_total", "delta")));
  feed(totals, [
    { id: 1, at: T, value: 2 },
    { id: 1, at: T, value: 0.5 },
    { id: 2, at: T, value: 1 },
    // Admission rejects these. A counter must never decrease.
    { id: 1, at: T, value: -1 },
    { id: 1, at: T, value: NaN },
  ]);
  expect(atOnce(totals.families(T * 1e6))).toEqual([
    {
      name: "errors_total",
      type: "counter",
      help: "Pushed as errors_total (delta).",
      unit: "",
      points: [{ labels: 'instance=""', value: 1, createdUs: T * 1e6 }],
    },
    {
      name: "uploads_total",
      type: "counter",
      help: "Pushed as uploads (delta).",
      unit: "",
      points: [{ labels: 'instance="w1"', value: 2.5, createdUs: T * 1e6 }],
    },
  ]);
});

describe("metrics whose names Prometheus spells alike are one family", () => {
  const OTHER = metric("http.request_duration.ms", "observation", { unit: "ms", buckets: [1, 10] });
  const HIDDEN = metric("http_request.duration_ms", "observation", { unit: "ms", buckets: [5] });

  test("in which counters and histograms of equal labels are added, an idle one too", () => {
    const totals = new Totals({ ...DEFAULTS, seriesIdleMs: 60_000 });
    totals.define(series(1, DURATION, { operation: "get" }));
    totals.define(series(2, OTHER, { operation: "get" }));
    totals.define(series(3, OTHER, { operation: "put" }));
    totals.define(series(4, metric("uploads.all", "delta")));
    totals.define(series(5, metric("uploads_all", "delta")));
    feed(totals, [
      { id: 1, at: T, value: 0.5 },
      { id: 1, at: T, value: 100 },
      { id: 4, at: T, value: 7 },
      { id: 2, at: T + 50, value: 5 },
      { id: 3, at: T + 50, value: 3 },
      { id: 5, at: T + 50, value: 2 },
    ]);
    // At T + 90 series 1 and 4 are idle. A counter that falls from 9 to 2 would look like a restart.
    for (const seconds of [T + 50, T + 90]) {
      const { http_request_duration_ms: durations, uploads_all_total: uploads } = at(totals, seconds);
      expect(
        (durations.points as DistributionPoint[]).map(({ labels, values, sum, count, createdUs }) => [
          labels,
          [...(values as Float64Array)],
          sum,
          count,
          createdUs,
        ]),
      ).toEqual([
        ['instance="",operation="get"', [1, 2, 3], 105.5, 3, T * 1e6],
        ['instance="",operation="put"', [0, 1, 1], 3, 1, (T + 50) * 1e6],
      ]);
      expect(uploads.points).toEqual([{ labels: 'instance=""', value: 9, createdUs: T * 1e6 }]);
    }
    // When both are idle, neither is shown.
    expect(at(totals, T + 120)).toEqual({});
  });

  test("in which the newest gauge of equal labels is shown, whichever was first", () => {
    const totals = new Totals(DEFAULTS);
    totals.define(series(1, DEPTH, { a: "b" }));
    totals.define(series(2, metric("queue_depth", "gauge"), { a: "b" }));
    feed(totals, [
      { id: 1, at: T, value: 5 },
      { id: 2, at: T + 1, value: 8 },
    ]);
    expect(at(totals, T + 1).queue_depth.points).toEqual([{ labels: 'a="b",instance=""', value: 8 }]);
    feed(totals, [{ id: 1, at: T + 2, value: 6 }]);
    expect(at(totals, T + 2).queue_depth.points).toEqual([{ labels: 'a="b",instance=""', value: 6 }]);
    feed(totals, [{ id: 1, at: T + 3, value: null }]);
    expect(at(totals, T + 3).queue_depth.points).toEqual([{ labels: 'a="b",instance=""', value: 8 }]);
  });

  test("in which histograms with other buckets are not added", () => {
    const totals = new Totals(DEFAULTS);
    totals.define(series(1, DURATION));
    totals.define(series(2, HIDDEN));
    feed(totals, [
      { id: 1, at: T, value: 2 },
      { id: 2, at: T, value: 3 },
    ]);
    const points = at(totals, T).http_request_duration_ms.points as DistributionPoint[];
    expect(points.map(({ sum, edges }) => [sum, edges.length])).toEqual([
      [2, 3],
      [3, 2],
    ]);
  });
});

test("keeps what the addition of doubles would round off", () => {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, UPLOADS));
  // 2^53 + 1 + 1 is 2^53 with plain additions.
  feed(totals, [
    { id: 1, at: T, value: 2 ** 53 },
    { id: 1, at: T, value: 1 },
    { id: 1, at: T, value: 1 },
  ]);
  expect(value(at(totals, T).uploads_total)).toBe(2 ** 53 + 2);
});

test("keeps adding after sums that are not finite", () => {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, DURATION));
  totals.define(series(2, DURATION, { a: "b" }));
  feed(totals, [
    { id: 1, at: T, value: Infinity },
    { id: 1, at: T, value: 5 },
    { id: 2, at: T, value: NaN },
  ]);
  const [none, infinite] = at(totals, T).http_request_duration_ms.points as DistributionPoint[];
  expect([infinite.sum, Array.from(infinite.values)]).toEqual([Infinity, [0, 1, 2]]);
  expect([none.sum, Array.from(none.values)]).toEqual([NaN, [0, 0, 1]]);
});

describe("gauge", () => {
  const gauge = (...samples: readonly Omit<Sample, "id">[]): Totals => {
    const totals = new Totals(DEFAULTS);
    totals.define(series(1, DEPTH));
    feed(
      totals,
      samples.map((sample) => ({ ...sample, id: 1 })),
    );
    return totals;
  };

  test("exposes its newest value, which a late one does not replace", () => {
    const totals = gauge({ at: T, value: 5 }, { at: T + 10, value: 7 }, { at: T + 5, value: 6 });
    expect(atOnce(totals.families((T + 10) * 1e6))).toEqual([
      {
        name: "queue_depth",
        type: "gauge",
        help: "Jobs that wait.",
        unit: "",
        points: [{ labels: 'instance=""', value: 7 }],
      },
    ]);
  });

  test("leaves /metrics five minutes after its last sample arrived, and returns", () => {
    const totals = gauge({ at: T, value: 5 });
    expect(value(at(totals, T + 299).queue_depth)).toBe(5);
    expect(at(totals, T + 300)).toEqual({});
    feed(totals, [{ id: 1, at: T + 600, value: 6 }]);
    expect(value(at(totals, T + 600).queue_depth)).toBe(6);
  });

  test("measures its age from the arrival, not from the sample's time", () => {
    const totals = new Totals(DEFAULTS);
    totals.define(series(1, DEPTH));
    feed(totals, [{ id: 1, at: T, value: 5 }], T + 200);
    expect(value(at(totals, T + 499).queue_depth)).toBe(5);
  });

  test("leaves /metrics at a stale marker, and returns only with a newer value", () => {
    const totals = gauge({ at: T, value: 5 }, { at: T + 1, value: null }, { at: T, value: 4 });
    expect(at(totals, T + 2)).toEqual({});
    feed(totals, [{ id: 1, at: T + 2, value: 6 }]);
    expect(value(at(totals, T + 2).queue_depth)).toBe(6);
  });

  test("ignores a late stale marker", () => {
    expect(value(at(gauge({ at: T + 5, value: 5 }, { at: T, value: null }), T + 6).queue_depth)).toBe(5);
  });

  test("exposes its newest live value, even if an imported one is newer", () => {
    const totals = gauge(
      { at: T, value: 5 },
      { at: T + 20, value: 9, live: false },
      { at: T + 10, value: 6 },
    );
    expect(value(at(totals, T + 20).queue_depth)).toBe(6);
    expect(totals.lastUs(1)).toBe((T + 20) * 1e6);
  });
});

test("counts samples that are not live in nothing but the newest timestamp", () => {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, DURATION));
  expect(totals.lastUs(1)).toBe(0);
  feed(totals, [{ id: 1, at: T, value: 5, live: false }]);
  expect(at(totals, T)).toEqual({});
  expect(totals.lastUs(1)).toBe(T * 1e6);
});

test("hides totals after a day without a sample, and exposes them again at their value", () => {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, UPLOADS));
  feed(totals, [{ id: 1, at: T, value: 5 }]);
  expect(value(at(totals, T + 86_399).uploads_total)).toBe(5);
  expect(at(totals, T + 86_400)).toEqual({});
  feed(totals, [{ id: 1, at: T + 90_000, value: 1 }]);
  expect(value(at(totals, T + 90_000).uploads_total)).toBe(6);
});

test("adds to an ended series without exposing it, and removes a forgotten one", () => {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, UPLOADS, { a: "1" }));
  totals.define(series(2, UPLOADS, { a: "2" }));
  totals.define(series(9_000_000, UPLOADS, { a: "3" }));
  feed(
    totals,
    [1, 2, 9_000_000].map((id) => ({ id, at: T, value: id })),
  );
  totals.end(1);
  totals.forget(2);
  feed(
    totals,
    [1, 2, 9_000_000].map((id) => ({ id, at: T, value: 1 })),
  );
  expect(at(totals, T).uploads_total.points).toEqual([
    { labels: 'a="3",instance=""', value: 9_000_001, createdUs: T * 1e6 },
  ]);
  expect(recordsOf(totals.snapshot(true)).map(({ seriesId, sumHigh }) => [seriesId, sumHigh])).toEqual([
    [1, 2],
    [9_000_000, 9_000_001],
  ]);
  expect(totals.lastUs(2)).toBe(0);
});

test("gives the row of a forgotten series to the next one, empty", () => {
  const totals = new Totals(DEFAULTS);
  const task = { task_id: "t1" };
  for (let id = 1; id <= 5000; id++) {
    totals.define(series(id, DURATION, { id: String(id) }));
    totals.apply(rows([{ id, at: T, value: 5, attributes: task }]), T * 1e6);
    if (id > 1) totals.forget(id - 1);
  }
  totals.forget(5000);
  totals.define(series(5001, DURATION));
  totals.apply(rows([{ id: 5001, at: T + 1, value: 0 }]), T * 1e6);
  const points = at(totals, T + 1).http_request_duration_ms.points as DistributionPoint[];
  expect(points).toEqual([
    {
      labels: 'instance=""',
      edges: ["1.0", "10.0", "+Inf"],
      values: Float64Array.of(1, 1, 1),
      sum: 0,
      count: 1,
      createdUs: (T + 1) * 1e6,
      exemplars: undefined,
    },
  ]);
  expect(recordsOf(totals.snapshot(false)).map(({ seriesId }) => seriesId)).toEqual([5001]);
});

test("exposes metrics with one Prometheus name as one family, and keeps the older of equal series", () => {
  const totals = new Totals(DEFAULTS);
  totals.define(series(1, metric("a.b", "gauge"), { x: "1" }));
  totals.define(series(2, metric("a_b", "gauge"), { x: "0" }));
  feed(totals, [
    { id: 1, at: T, value: 1 },
    { id: 2, at: T, value: 2 },
  ]);
  expect(at(totals, T).a_b.points).toEqual([
    { labels: 'instance="",x="0"', value: 2 },
    { labels: 'instance="",x="1"', value: 1 },
  ]);
});

describe("exemplars", () => {
  const exemplars = (...samples: readonly Omit<Sample, "id">[]) => {
    const totals = new Totals(DEFAULTS);
    totals.define(series(1, DURATION));
    totals.apply(rows(samples.map((sample) => ({ ...sample, id: 1 }))), T * 1e6);
    const [point] = at(totals, T).http_request_duration_ms.points as DistributionPoint[];
    return point.exemplars?.map(
      (exemplar) => exemplar && `${exemplar.name}=${exemplar.label} ${exemplar.value}`,
    );
  };

  test("are the latest of their bucket", () => {
    expect(
      exemplars(
        { at: T, value: 0.5, attributes: { task_id: "a" } },
        { at: T + 1, value: 0.75, attributes: { task_id: "b" } },
        { at: T + 2, value: 11, attributes: { task_id: "c" } },
        { at: T + 3, value: 0.25 },
      ),
    ).toEqual(["task_id=b 0.75", undefined, "task_id=c 11"]);
  });

  test("prefer trace_id, and skip `none` and values that do not fit", () => {
    const first = (attributes: Record<string, string>) => exemplars({ at: T, value: 0.5, attributes })?.[0];
    expect(first({ task_id: "a", trace_id: "b" })).toBe("trace_id=b 0.5");
    expect(first({ task_id: "a", trace_id: "none" })).toBe("task_id=a 0.5");
    expect(first({ task_id: "a", trace_id: "b".repeat(120) })).toBe(`trace_id=${"b".repeat(120)} 0.5`);
    expect(first({ task_id: "a", trace_id: "b".repeat(121) })).toBe("task_id=a 0.5");
    expect(first({ task_id: "none" })).toBeUndefined();
    expect(first({ task_id: "noon" })).toBe("task_id=noon 0.5");
    expect(first({ task_id: "größe" })).toBe("task_id=größe 0.5");
    expect(first({ request_id: "a" })).toBeUndefined();
  });

  test("do not go back in time, and do not exceed their limit", () => {
    const totals = new Totals({ ...DEFAULTS, exemplarsMax: 1 });
    totals.define(series(1, DURATION));
    for (const [at, value, task_id] of [
      [T + 5, 0.5, "new"],
      [T, 0.5, "old"],
      [T, 5, "more"],
    ] as const) {
      totals.apply(rows([{ id: 1, at, value, attributes: { task_id } }]), T * 1e6);
    }
    const [point] = at(totals, T).http_request_duration_ms.points as DistributionPoint[];
    expect(point.exemplars?.map((exemplar) => exemplar?.label)).toEqual(["new", undefined, undefined]);
    const [bare] = atOnce(totals.families(T * 1e6, false))[0].points as DistributionPoint[];
    expect(bare.exemplars).toBeUndefined();
  });
});

describe("cumulative series", () => {
  const shown = (samples: readonly [ReturnType<typeof metric>, Record<string, string>, number][]) => {
    const totals = new Totals(DEFAULTS);
    samples.forEach(([of, labels, value], id) => {
      totals.define(series(id, of, labels));
      feed(totals, [{ id, at: T, value }]);
    });
    return atOnce(totals.families(T * 1e6));
  };

  test("are exposed as they were sent, with the type of their metadata", () => {
    const families = shown([
      [metric("a_total", "cumulative", { type: "counter" }), {}, 1],
      [metric("b", "cumulative", { type: "counter" }), {}, 2],
      [metric("c", "cumulative"), {}, 3],
      [metric("d_bucket", "cumulative"), { le: "1", x: "y" }, 4],
    ]);
    expect(families.map(({ name, type }) => [name, type])).toEqual([
      ["a_total", "counter"],
      ["b", "counter"],
      ["c", "unknown"],
      ["d_bucket", "unknown"],
    ]);
    expect((families[3].points as ValuePoint[]).map(({ labels, value }) => [labels, value])).toEqual([
      ['instance="",x="y",le="1"', 4],
    ]);
  });

  test("become a histogram again if the metadata says so", () => {
    const type = "histogram";
    const bucket = metric("h_bucket", "cumulative", { type });
    expect(
      shown([
        [bucket, { le: "+Inf", x: "1" }, 3],
        [bucket, { le: "10", x: "1" }, 2],
        [bucket, { le: "2", x: "1" }, 1],
        [metric("h_sum", "cumulative", { type, help: "H." }), { x: "1" }, 30],
        [metric("h_count", "cumulative", { type }), { x: "1" }, 3],
        // The last bucket is taken from the count. Without both, the histogram is left out.
        [bucket, { le: "2", x: "0" }, 1],
        [metric("h_count", "cumulative", { type }), { x: "0" }, 5],
        [bucket, { le: "2", x: "2" }, 1],
      ]),
    ).toEqual([
      {
        name: "h",
        type: "histogram",
        help: "H.",
        unit: "",
        points: [
          { labels: 'instance="",x="0"', edges: ["2", "+Inf"], values: [1, 5], sum: undefined, count: 5 },
          {
            labels: 'instance="",x="1"',
            edges: ["2", "10", "+Inf"],
            values: [1, 2, 3],
            sum: 30,
            count: 3,
          },
        ],
      },
    ]);
  });

  test("become a summary again if the metadata says so", () => {
    const type = "summary";
    expect(
      shown([
        [metric("s", "cumulative", { type }), { quantile: "0.99" }, 9],
        [metric("s", "cumulative", { type }), { quantile: "0.5" }, 5],
        [metric("s_sum", "cumulative", { type }), {}, 30],
        [metric("s_count", "cumulative", { type }), {}, 3],
      ]),
    ).toEqual([
      {
        name: "s",
        type: "summary",
        help: "Pushed as s (cumulative).",
        unit: "",
        points: [{ labels: 'instance=""', edges: ["0.5", "0.99"], values: [5, 9], sum: 30, count: 3 }],
      },
    ]);
  });
});

describe("snapshot of the totals", () => {
  test("has the series that changed since the previous one", () => {
    const totals = new Totals(DEFAULTS);
    for (const id of [1, 2, 3]) totals.define(series(id, UPLOADS, { id: String(id) }));
    feed(totals, [
      { id: 2, at: T, value: 5 },
      { id: 1, at: T, value: 1, live: false },
    ]);
    const zero = { sumLow: 0, value: null, buckets: [] };
    const snapshot = totals.snapshot(false);
    expect(snapshot.whole).toBe(false);
    expect(recordsOf(snapshot)).toEqual([
      {
        ...zero,
        seriesId: 2,
        count: 1,
        sumHigh: 5,
        createdUs: T * 1e6,
        lastUs: T * 1e6,
        arrivedUs: T * 1e6,
      },
      { ...zero, seriesId: 1, count: 0, sumHigh: 0, createdUs: 0, lastUs: T * 1e6, arrivedUs: 0 },
    ]);
    expect(recordsOf(totals.snapshot(false))).toEqual([]);
    feed(totals, [{ id: 3, at: T, value: 1 }]);
    expect(recordsOf(totals.snapshot(true)).map(({ seriesId }) => seriesId)).toEqual([1, 2, 3]);
    expect(recordsOf(totals.snapshot(false))).toEqual([]);
  });

  test("restores a stale gauge as stale", () => {
    const before = new Totals(DEFAULTS);
    before.define(series(1, DEPTH));
    feed(before, [
      { id: 1, at: T, value: 5 },
      { id: 1, at: T + 1, value: null },
    ]);
    const after = new Totals(DEFAULTS);
    after.define(series(1, DEPTH));
    after.restore(recordsOf(before.snapshot(true)));
    expect(at(after, T + 1)).toEqual({});
    feed(after, [{ id: 1, at: T, value: 5 }]);
    expect(at(after, T + 1)).toEqual({});
  });

  test("starts totals again if the bounds differ, and keeps the newest timestamp", () => {
    const before = new Totals(DEFAULTS);
    before.define(series(1, DURATION));
    feed(before, [{ id: 1, at: T, value: 5 }]);
    const after = new Totals(DEFAULTS);
    after.define(series(1, metric("http.request.duration_ms", "observation", { buckets: [1] })));
    after.restore(recordsOf(before.snapshot(true)));
    expect(at(after, T)).toEqual({});
    expect(after.lastUs(1)).toBe(T * 1e6);
  });
});

describe("while series are added and forgotten in the pauses of a scrape", () => {
  const idOf = (id: number) => `id="${(id * 7_919) % 100_003}"`;
  const define = (totals: Totals, id: number) => {
    totals.define(series(id, DEPTH, { id: String((id * 7_919) % 100_003) }));
    feed(totals, [{ id, at: T, value: id }]);
  };

  test("its series are in order, each once, and with their values", () => {
    const totals = new Totals(DEFAULTS);
    const kept = 3_000;
    for (let id = 1; id <= 2 * kept; id++) define(totals, id);
    const task = totals.families(T * 1e6);
    let [added, forgotten] = [0, 0];
    let step = task.next();
    for (; !step.done; step = task.next()) {
      define(totals, 2 * kept + ++added);
      if (forgotten < kept) totals.forget(kept + ++forgotten);
    }
    const points = step.value[0].points as ValuePoint[];
    const labels = points.map((point) => point.labels);
    expect(labels).toEqual([...new Set(labels)].sort());
    const shown = new Map(points.map((point) => [point.labels, point.value]));
    for (let id = 1; id <= kept; id++) expect(shown.get(`${idOf(id)},instance=""`)).toBe(id);
    // After the last change everything is shown.
    const all = at(totals, T).queue_depth!.points.map((point) => point.labels);
    const ids = Array.from({ length: 2 * kept + added }, (_, index) => index + 1);
    const left = ids.filter((id) => id <= kept || id > kept + forgotten);
    expect(all).toEqual(left.map((id) => `${idOf(id)},instance=""`).sort());
  });
});
