/**
 * PromQL's storage over the real store: series are found in memory, their rows are read by series and time
 * from the days of the range, some two million at a time. Gauges and cumulative series are their rows;
 * observations and deltas are also counters, see running-totals.ts.
 */
import { dayOf } from "../../../sample.ts";
import { statement } from "../../../statements.ts";
import type { Store } from "../../../store/store.ts";
import type { ReadExplanation } from "../explain.ts";
import type { PlannedRead } from "../plan.ts";
import type {
  ReadBudget,
  ReducedSeries,
  Reduction,
  Selection,
  SeriesSamples,
  Storage,
  Windows,
} from "../storage.ts";
import { Catalog, type Edge, type SeriesRegistry, type Source } from "./catalog.ts";
import { DayReader, type Range, type RowVisitor } from "./day-reader.ts";
import { Gatherer } from "./gather.ts";
import { Reducer } from "./reducer.ts";
import {
  type Before,
  type Instants,
  instantsIn,
  labelsOf,
  type Rows,
  runningTotals,
} from "./running-totals.ts";
import { windowEnds } from "./window-ends.ts";

export interface StoreStorageOptions {
  readonly store: Pick<Store, "reader" | "days">;
  readonly registry: SeriesRegistry;
  /** The grid of running totals: as if scraped so often. */
  readonly observationStepMs: number;
  /** A running total ends so long after its series' last row. */
  readonly seriesIdleMs: number;
}

/** 36 bytes a row while rows are put in order: some 70 MB. */
const ROWS_AT_ONCE = 2_000_000;

export class StoreStorage implements Storage {
  readonly #options: StoreStorageOptions;
  readonly #catalog: Catalog;

  constructor(options: StoreStorageOptions) {
    this.#options = options;
    this.#catalog = new Catalog(options.registry);
  }

  get catalog(): Catalog {
    return this.#catalog;
  }

  async *select(selection: Selection, budget: ReadBudget): AsyncIterable<readonly SeriesSamples[]> {
    const sources = this.#find(selection);
    budget.countSeries(seriesOf(sources));
    const raw = sources.filter(({ shape }) => shape === "raw");
    if (raw.length > 0) yield* this.#raw(raw, selection, budget);
    const totals = sources.filter(({ shape }) => shape !== "raw");
    const { seriesIdleMs } = this.#options;
    yield* this.#eachTotal(totals, selection, budget, (source, rows, before, instants) => {
      const series = runningTotals(source, rows, before, instants, seriesIdleMs);
      budget.countSamples(series.reduce((sum, each) => sum + each.values.length, 0));
      return series;
    });
  }

  async reduce(
    { matchers, afterMs, toMs }: Selection,
    reduction: Reduction,
    budget: ReadBudget,
  ): Promise<readonly ReducedSeries[] | undefined> {
    const sources = this.#catalog.find(matchers, dayOf(afterMs * 1000), dayOf(toMs * 1000));
    // Running totals are no rows; and few rows are read as fast as they are reduced.
    if (sources.some(({ shape }) => shape !== "raw")) return undefined;
    budget.countSeries(sources.length);
    const ids = idsOf(sources);
    const reader = new DayReader(this.#options.store, budget.signal);
    const reducer = new Reducer(reduction);
    try {
      const aggregate = reduction === "min" ? "min" : reduction === "sum" ? "fsum" : "max";
      await reader.reduced(aggregate, ids, { afterMs, toMs }, (seriesId, count, nanCount, value) => {
        budget.countSamples(count);
        reducer.add(seriesId, count, nanCount, value);
      });
    } finally {
      reader.close();
    }
    return sources.flatMap(({ labels, seriesIds }) => reducer.result(labels, seriesIds) ?? []);
  }

  /** What `select` would do for a selector. */
  explain({ selector, afterMs, toMs }: PlannedRead): Omit<ReadExplanation, "selector" | "after" | "to"> {
    const sources = this.#catalog.find(selector.matchers, dayOf(afterMs * 1000), dayOf(toMs * 1000));
    const reader = new DayReader(this.#options.store, new AbortController().signal);
    const days = reader.daysIn({ afterMs, toMs }).map(({ day }) => day.table);
    const isTotal = sources.some(({ shape }) => shape !== "raw");
    const names = ["query/promql_samples", ...(isTotal ? ["query/promql_before"] : [])];
    return {
      series: seriesOf(sources),
      storedSeries: idsOf(sources).length,
      days,
      statements: names.flatMap((name) => days.map((table) => statement(name, { table }))),
    };
  }

  async *#raw(
    sources: readonly Source[],
    range: Range,
    budget: ReadBudget,
  ): AsyncIterable<readonly SeriesSamples[]> {
    const reader = new DayReader(this.#options.store, budget.signal);
    try {
      for await (const part of parts(sources, range, reader)) {
        const { first, timestampsMs, values, stale } = await gather(part, range, reader, budget);
        yield part.flatMap(({ labels }, slot) => {
          const [from, to] = [first[slot], first[slot + 1]];
          if (from === to) return [];
          return [
            {
              labels,
              timestampsMs: timestampsMs.subarray(from, to),
              values: values.subarray(from, to),
              stale: stale?.subarray(from, to),
            },
          ];
        });
      }
    } finally {
      reader.close();
    }
  }

  ends(selection: Selection, windows: Windows, budget: ReadBudget): ReturnType<NonNullable<Storage["ends"]>> {
    const sources = this.#find(selection);
    if (sources.length === 0 || sources.some(({ shape }) => shape === "raw")) return undefined;
    budget.countSeries(seriesOf(sources));
    const { seriesIdleMs } = this.#options;
    return this.#eachTotal(sources, selection, budget, (source, rows, before, instants) => {
      const ends = windowEnds(source, rows, before, instants, seriesIdleMs, windows);
      const labels = labelsOf(source);
      return ends.map((each, at) => ({ labels: labels[at], ends: each }));
    });
  }

  /** Reads the rows of totals, and gives what `make` makes of each source that has any. */
  async *#eachTotal<Made>(
    sources: readonly Source[],
    { afterMs, toMs, totalsAfterMs }: Selection,
    budget: ReadBudget,
    make: (source: Source, rows: Rows, before: Before, instants: Instants) => readonly Made[],
  ): AsyncIterable<readonly Made[]> {
    const { observationStepMs: stepMs, seriesIdleMs: idleMs, registry, store } = this.#options;
    const instants = instantsIn(afterMs, toMs, stepMs);
    if (instants.count === 0 || sources.length === 0) return;
    const baseMs = Math.floor(totalsAfterMs / stepMs) * stepMs;
    // One step more: a series whose first row comes just after the last instant begins at that instant.
    const range = { afterMs: baseMs, toMs: instants.firstMs + instants.count * stepMs };
    const baseDay = dayOf(baseMs * 1000);
    const earlier = { afterMs: Math.min(baseMs - idleMs, baseDay * 86_400_000 - 1), toMs: baseMs };
    const reader = new DayReader(store, budget.signal);
    try {
      for await (const part of parts(sources, range, reader)) {
        const beforeOf = await lookBefore(part, earlier, reader);
        const { first, timestampsMs, values } = await gather(part, range, reader, budget);
        for (const [slot, source] of part.entries()) {
          const [from, to] = [first[slot], first[slot + 1]];
          const rows = {
            timestampsMs: timestampsMs.subarray(from, to),
            values: values.subarray(from, to),
          };
          const known = beforeOf(source);
          const existed =
            known.lastMs !== undefined ||
            source.seriesIds.some((id) => registry.hasSamplesIn(id, Number.NEGATIVE_INFINITY, baseDay - 1));
          const made = make(source, rows, { ...known, existed }, instants);
          if (made.length > 0) yield made;
        }
      }
    } finally {
      reader.close();
    }
  }

  /** The series that match and may have samples in the range, or totals that come from before it. */
  #find({ matchers, afterMs, toMs, totalsAfterMs }: Selection): Source[] {
    const { observationStepMs, seriesIdleMs } = this.#options;
    const sinceMs = Math.min(afterMs, totalsAfterMs - observationStepMs - seriesIdleMs);
    const untilMs = toMs + observationStepMs;
    return this.#catalog.find(matchers, dayOf(sinceMs * 1000), dayOf(untilMs * 1000));
  }
}

/** Reads what sources had in a range before the one that is asked for. */
async function lookBefore(
  sources: readonly Source[],
  range: Range,
  reader: DayReader,
): Promise<(source: Source) => Omit<Before, "existed">> {
  const bySeries = await reader.before(idsOf(sources), range);
  const buckets = new Map<number, Float64Array>();
  const byMetric = Map.groupBy(
    sources.filter(({ shape }) => shape === "buckets"),
    ({ metric }) => metric,
  );
  for (const [metric, own] of byMetric) {
    // Most begin with nothing before them.
    const ids = idsOf(own).filter((id) => bySeries.has(id));
    if (ids.length === 0) continue;
    for (const [id, counts] of await reader.beforeBuckets(ids, metric.buckets, range))
      buckets.set(id, counts);
  }
  return ({ seriesIds, edges, metric }) => {
    const found = seriesIds.flatMap((id) => bySeries.get(id) ?? []);
    const byEdge = new Float64Array(edges.length);
    for (const id of seriesIds) addToEdges(byEdge, edges, buckets.get(id), metric.buckets);
    return {
      lastMs: found.length === 0 ? undefined : Math.max(...found.map(({ lastMs }) => lastMs)),
      count: found.reduce((sum, { count }) => sum + count, 0),
      sum: found.reduce((total, { sum }) => total + sum, 0),
      buckets: byEdge,
    };
  };
}

/** Adds counts of all buckets to the first edge asked for that holds them. */
function addToEdges(
  byEdge: Float64Array,
  edges: readonly Edge[],
  counts: Float64Array | undefined,
  bounds: readonly number[],
): void {
  if (counts === undefined) return;
  for (const [at, count] of counts.entries()) {
    const bound = bounds[at] ?? Number.POSITIVE_INFINITY;
    const edge = edges.findIndex((each) => each.bound >= bound);
    if (edge >= 0) byEdge[edge] += count;
  }
}

async function gather(sources: readonly Source[], range: Range, reader: DayReader, budget: ReadBudget) {
  const gatherer = new Gatherer(sources.map(({ seriesIds }) => seriesIds));
  // Gauges and cumulative series have one sample a time, and totals do not ask which of several was the last.
  const inOrder = sources.some(
    ({ shape, metric: { kind } }) => shape === "raw" && (kind === "observation" || kind === "delta"),
  );
  const take: RowVisitor = (ids, timestampsUs, values, length, isNull) => {
    budget.countSamples(length);
    gatherer.take(ids, timestampsUs, values, length, isNull);
  };
  await reader.samples(idsOf(sources), range, take, { inOrder });
  return gatherer.finish();
}

/** The sources in parts whose rows can be read at once. */
async function* parts(
  sources: readonly Source[],
  range: Range,
  reader: DayReader,
): AsyncIterable<readonly Source[]> {
  const most = reader
    .daysIn(range)
    .reduce((sum, { day, share }) => sum + day.rows * Math.min(1, share * 2), 0);
  // Rows of days are not spread evenly: twice the share, or they are counted.
  if (most <= ROWS_AT_ONCE || sources.length === 1) {
    yield sources;
    return;
  }
  const counts = await reader.counts(idsOf(sources), range);
  let part: Source[] = [];
  let rows = 0;
  for (const source of sources) {
    const own = source.seriesIds.reduce((sum, id) => sum + (counts.get(id) ?? 0), 0);
    if (part.length > 0 && rows + own > ROWS_AT_ONCE) {
      yield part;
      part = [];
      rows = 0;
    }
    part.push(source);
    rows += own;
  }
  yield part;
}

function seriesOf(sources: readonly Source[]): number {
  return sources.reduce((sum, { edges }) => sum + Math.max(1, edges.length), 0);
}

function idsOf(sources: readonly Source[]): number[] {
  return sources.flatMap(({ seriesIds }) => seriesIds);
}
