/**
 * The catalog compared with a plain walk over the real registry: after any registrations, demotions and drops between
 * two queries, both find the same series, names and values.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { createCounters } from "../../../../src/model/counters.ts";
import { prometheusLabelName } from "../../../../src/model/names.ts";
import type { Kind } from "../../../../src/model/sample.ts";
import { openMetricsFloat } from "../../../../src/model/spelling.ts";
import { sorting } from "../../../../src/model/tasks/sorting.ts";
import { inSlices } from "../../../../src/model/tasks/time-slices.ts";
import { Catalog, viewsOf } from "../../../../src/query/promql/catalog/catalog.ts";
import { Discovery } from "../../../../src/query/promql/catalog/discovery.ts";
import { LabelSet } from "../../../../src/query/promql/labels.ts";
import {
  compileAnchored,
  deferredMatcher,
  type Matcher,
  type MatchOperator,
  matcher,
  type TestTexts,
} from "../../../../src/query/promql/matchers.ts";
import type { SelectorUse } from "../../../../src/query/promql/worker/selector-reader.ts";
import { Registry } from "../../../../src/series/registry.ts";
import type { SeriesDay, StoredMetricRecord, StoredSeries } from "../../../../src/store/store.ts";
import { idAfter, storedList } from "../../../../src/store/start-file/stored-list.ts";
import { DEFAULTS } from "../../../defaults.ts";
import { runs } from "../../../runs.ts";
import { matchesAll } from "../memory-storage.ts";

function emptyRegistry(): Registry {
  return registryOf({});
}

function registryOf({
  metrics = [],
  series = [],
  seriesDays = [],
}: {
  readonly metrics?: readonly StoredMetricRecord[];
  readonly series?: readonly StoredSeries[];
  readonly seriesDays?: readonly SeriesDay[];
}): Registry {
  return new Registry(
    {
      ...DEFAULTS,
      counters: createCounters(),
      attributes: ["task_id"],
      // A fourth value demotes a label.
      labelValuesMax: 3,
      bucketsFor: () => [1, 2.5],
    },
    {
      metrics: storedList(metrics),
      series: storedList(series),
      seriesDays: storedList(seriesDays),
      nextSeriesId: idAfter(series, seriesDays),
      demotions: [],
      pushes: storedList([]),
      imports: [],
      groups: [],
      notifications: [],
      forwards: [],
      archives: [],
      totals: storedList([]),
      lastPushes: [],
      scrapers: [],
      bodyHashSeed: "",
    },
  );
}

/** The catalog's contract as plain code: the label sets of all views that match, with the stored ids of each. */
function walk(registry: Registry, matchers: readonly Matcher[], days: readonly [number, number]) {
  const found = new Map<string, number[]>();
  const spelled = matchers.map((each) => ({ ...each, name: prometheusLabelName(each.name) }));
  for (const metric of registry.metrics()) {
    const isMergeable = metric.kind === "observation" || metric.kind === "delta";
    for (const view of viewsOf(metric)) {
      for (const series of metric.series) {
        if (!registry.hasSamplesIn(series.seriesId, ...days)) continue;
        const entries = [...series.labels]
          .filter(([label]) => !(isMergeable && registry.isAttribute(metric.name, label)))
          .map(([label, value]): [string, string] => [prometheusLabelName(label), value]);
        const bounds = [...metric.buckets, Number.POSITIVE_INFINITY].map(openMetricsFloat);
        for (const le of view.shape === "buckets" ? bounds : [""]) {
          const of = (name: string) =>
            LabelSet.from([["__name__", name], ...entries, ...(le === "" ? [] : [["le", le] as const])]);
          const labels = of(view.name);
          if (!matchesAll(spelled, labels) && !matchesAll(spelled, of(view.pushedName))) continue;
          found.set(labels.key, [...(found.get(labels.key) ?? []), series.seriesId]);
        }
      }
    }
  }
  return found;
}

const metricNames = ["depth", "took.ms", "took_s", "done", "queue.length"];
const kinds: Record<string, Kind> = { "took.ms": "observation", took_s: "observation", done: "delta" };
const values = ["a", "b", "c", "d", "e"];
const label = fc.constantFrom("zone", "a.b", "a_b", "le", "task_id", "Zone");

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      metric: fc.constantFrom(...metricNames),
      labels: fc.uniqueArray(fc.tuple(label, fc.constantFrom(...values)), {
        selector: ([name]) => prometheusLabelName(name),
        maxLength: 3,
      }),
      day: fc.integer({ min: 0, max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ forgetBefore: fc.integer({ min: 0, max: 5 }) }) },
);
const matchers = fc.array(
  fc
    .tuple(
      fc.constantFrom("zone", "a.b", "a_b", "le", "task_id", "__name__"),
      fc.constantFrom("=", "!=", "=~", "!~"),
      fc.constantFrom(
        ...values,
        "",
        "a|b",
        ".+",
        ...["depth", "took.ms", "took_ms_bucket", "took_s_count", "done_total", "done", "2.5", "took.*"],
        ...["[ab]", "(t|d).+s?(_c|_b).*", ".*o.+", "(2|1)[.]?5?|[+]Inf"],
      ),
    )
    .map(([name, operator, value]) => ({ name, operator: operator as MatchOperator, value })),
  { maxLength: 3 },
);
const days = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2 }))
  .map(([first, more]): [number, number] => [first, first + more]);

const sorted = (items: Iterable<string>) => [...new Set(items)].sort();

/** As a Worker tests texts. */
const testTexts: TestTexts = async (expression, texts) => {
  const compiled = compileAnchored(expression);
  return Uint8Array.from(texts, (text) => Number(compiled.test(text)));
};

test("finds what a walk over all series finds, after any changes since the last query, also if expressions are tested elsewhere", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.array(step, { maxLength: 12 }), matchers, days), { maxLength: 6 }),
      fc.boolean(),
      fc.boolean(),
      async (rounds, isIndexed, isDeferred) => {
        const registry = emptyRegistry();
        const catalog = new Catalog(registry, isIndexed ? 0 : undefined);
        let used: readonly Matcher[] = [];
        const selectors: SelectorUse = {
          use: (_, signal, work) => work([used], signal ?? new AbortController().signal),
        };
        const discovery = new Discovery({ registry, catalog, selectors, promqlSeriesMax: 1_000 });
        for (const [steps, asked, range] of rounds) {
          const wanted = asked.map(({ name, operator, value }) => matcher(name, operator, value));
          const deferred = asked.map(({ name, operator, value }) =>
            deferredMatcher(name, operator, value, testTexts),
          );
          for (const each of steps) {
            if ("forgetBefore" in each) {
              registry.takePending();
              registry.forgetDaysBefore(each.forgetBefore);
              continue;
            }
            const labels = new Map(each.labels.toSorted(([a], [b]) => (a < b ? -1 : 1)));
            const admission = registry.admit({
              metric: each.metric,
              kind: kinds[each.metric] ?? "gauge",
              labels,
            });
            if ("seriesId" in admission) registry.touch(admission.seriesId, each.day);
          }
          for (const matchers of [wanted, []]) {
            const expected = walk(registry, matchers, range);
            const found = new Map<string, number[]>();
            used = isDeferred && matchers.length > 0 ? deferred : matchers;
            for (const { labels, edges, seriesIds } of await catalog.find(used, ...range)) {
              for (const each of edges.length > 0 ? edges : [{ labels }])
                found.set(each.labels.key, seriesIds);
            }
            const inOrder = (all: ReadonlyMap<string, number[]>) =>
              [...all].map(([key, ids]) => [key, ids.toSorted((a, b) => a - b)]).sort();
            expect(inOrder(found)).toEqual(inOrder(expected));
            const pairs = [...expected.keys()].map((key) => key.split("\u0000"));
            const query = {
              selectors: [],
              startMs: range[0] * 86_400_000,
              endMs: range[1] * 86_400_000,
            };
            expect((await discovery.labelNames(query)).toSorted()).toEqual(
              sorted(pairs.flatMap((pair) => pair.filter((_, at) => at % 2 === 0))),
            );
            for (const name of ["__name__", "zone", "a_b", "le", "task_id", "nobody"]) {
              const having = pairs.flatMap((pair) =>
                pair.filter((_, at) => at % 2 === 1 && pair[at - 1] === name),
              );
              expect((await discovery.labelValues(name, query)).toSorted()).toEqual(sorted(having));
            }
          }
        }
      },
    ),
    runs(300),
  );
});

test("finds a series that was added since the last query, and not one that was dropped", async () => {
  const registry = emptyRegistry();
  const catalog = new Catalog(registry, 0);
  const add = (host: string, day: number) => {
    const admission = registry.admit({ metric: "up", kind: "gauge", labels: new Map([["host", host]]) });
    if ("seriesId" in admission) registry.touch(admission.seriesId, day);
  };
  const hosts = async () => [...(await catalog.valuesOf("host", [], 0, 9, new Set()))].sort();
  const find = async (host: string) => (await catalog.find([matcher("host", "=", host)], 0, 9)).length;
  add("a", 1);
  expect(await hosts()).toEqual(["a"]);
  add("b", 2);
  expect(await hosts()).toEqual(["a", "b"]);
  expect([await find("a"), await find("b"), await find("c")]).toEqual([1, 1, 0]);
  registry.takePending();
  registry.forgetDaysBefore(2);
  add("c", 3);
  expect(await hosts()).toEqual(["b", "c"]);
  expect([await find("a"), await find("b"), await find("c")]).toEqual([0, 1, 1]);
});

test("a label that is demoted after a query has no values, and its series are merged", async () => {
  const registry = emptyRegistry();
  const catalog = new Catalog(registry, 0);
  const add = (zone: string) => {
    const labels = new Map([
      ["site", "x"],
      ["zone", zone],
    ]);
    const admission = registry.admit({ metric: "took", kind: "observation", labels });
    if ("seriesId" in admission) registry.touch(admission.seriesId, 1);
  };
  for (const zone of ["a", "b", "c"]) add(zone);
  const named = [matcher("__name__", "=", "took_count")];
  const zones = async () => [...(await catalog.valuesOf("zone", [], 0, 9, new Set()))];
  const ofMetric = async () => [...(await catalog.valuesOf("zone", named, 0, 9, new Set()))];
  expect([await zones(), await ofMetric()]).toEqual([
    ["a", "b", "c"],
    ["a", "b", "c"],
  ]);
  expect(await catalog.find(named, 0, 9)).toHaveLength(3);
  add("d");
  const names = await catalog.labelNames(named, 0, 9, new Set());
  expect([await zones(), await ofMetric(), [...names]]).toEqual([[], [], ["__name__", "site"]]);
  const [one, ...others] = await catalog.find(named, 0, 9);
  expect(others).toEqual([]);
  expect(one!.labels.toJSON()).toEqual({ __name__: "took_count", site: "x" });
  expect(one!.seriesIds).toHaveLength(4);
});

test("finds bounds that were stored in another spelling by any spelling", async () => {
  const metric = (name: string) => ({
    ...{ name, kind: "cumulative", type: "unknown" as const, unit: "", help: "" },
    buckets: [],
  });
  const series = (seriesId: number, name: string, labels: Record<string, string>) => ({
    ...{ seriesId, metric: name, exposed: true },
    labels: new Map(Object.entries(labels)),
  });
  const registry = registryOf({
    metrics: [metric("h_bucket"), metric("s")],
    series: [
      series(1, "h_bucket", { le: "1" }),
      series(2, "h_bucket", { le: "1.0" }),
      series(3, "h_bucket", { le: "2" }),
      series(4, "s", { quantile: "5e-1" }),
      series(5, "s", { quantile: "0.9" }),
    ],
    seriesDays: [1, 2, 3, 4, 5].map((seriesId) => ({ seriesId, day: 1 })),
  });
  // The index is used if there are more series than are scanned.
  const catalog = new Catalog(registry, 0);
  const idsOf = async (...matchers: Matcher[]) =>
    (await catalog.find(matchers, 0, 9)).flatMap(({ seriesIds }) => seriesIds);
  for (const spelled of ["1", "1.0", "1e0"]) expect(await idsOf(matcher("le", "=", spelled))).toEqual([1, 2]);
  expect(await idsOf(matcher("__name__", "=", "h_bucket"), matcher("le", "!=", "1"))).toEqual([3]);
  expect(await idsOf(matcher("le", "=~", "1|3"))).toEqual([1, 2]);
  expect(await idsOf(matcher("quantile", "=", "0.5"))).toEqual([4]);
  expect(await idsOf(matcher("quantile", "=~", "0.5|0.90"))).toEqual([4, 5]);
});

test("sorting in slices is correct and stable, and lets other work run", async () => {
  const item = fc.record({ key: fc.integer({ min: 0, max: 20 }), at: fc.nat() });
  const compare = (a: { key: number }, b: { key: number }) => a.key - b.key;
  await fc.assert(
    fc.asyncProperty(
      fc.array(item, { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      async (items, run) => {
        expect(await inSlices(sorting(items, compare, run))).toEqual(items.toSorted(compare));
      },
    ),
    runs(),
  );
  let turns = 0;
  const task = sorting(
    Array.from({ length: 64 }, (_, at) => ({ key: 64 - at })),
    compare,
    4,
  );
  while (!task.next().done) turns++;
  expect(turns).toBeGreaterThan(15);
});
