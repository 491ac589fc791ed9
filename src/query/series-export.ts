/**
 * Exports the samples of the series that selectors find, as PromQL sees them: gauges and cumulative series as they are
 * stored, with stale markers, and observations and deltas as the counters `X_bucket`, `X_sum`, `X_count` and `X_total`.
 * The single values of an observation or a delta `X` are exported only if a selector names `X`: they are no time series,
 * several can have one time.
 *
 * The formats have whole milliseconds, and an import stores one value for a time. Of several values of a gauge or a
 * cumulative series within one millisecond only the last is exported: an import of all would keep an outdated level.
 *
 * An export is read in portions of about a million samples. Each portion is a query of its own, with the limits of a
 * query, and is in memory before the first of it is written. So a client that reads slowly keeps no transaction open.
 * Samples that arrive during the export are included if their time was not read yet.
 */
import { dayOf, MICROSECONDS_PER_DAY } from "../model/sample.ts";
import { seriesCounter, type Source } from "./promql/catalog/catalog.ts";
import { Budget, type Limits } from "./promql/evaluate/budget.ts";
import { METRIC_NAME } from "./promql/labels.ts";
import type { Matcher } from "./promql/matchers.ts";
import type { SeriesSamples } from "./promql/storage.ts";
import { DayReader } from "./promql/store/day-reader.ts";
import type { StoredRows } from "./promql/store/stored-rows.ts";
import type { StoreStorage } from "./promql/store/store-storage.ts";

interface SeriesExportOptions extends Limits {
  readonly rows: StoredRows;
  readonly storage: Pick<StoreStorage, "read">;
  /** The step of the counters that observations and deltas are. */
  readonly observationStepMs: number;
}

/** Whole milliseconds, both included. */
export interface MillisecondRange {
  readonly startMs: number;
  readonly endMs: number;
  /** Counters are added up from this time on, if it is before the start: the exports of parts of a range agree then. */
  readonly totalsFromMs?: number;
}

/** 16 MB of samples, and about 25 MB of text. */
const SAMPLES_AT_ONCE = 1_000_000;
const MS_PER_DAY = MICROSECONDS_PER_DAY / 1000;
/** Half a microsecond, since ranges of queries are open on the left. */
const HALF_US = 0.0005;

export class SeriesExport {
  readonly #options: SeriesExportOptions;
  readonly #samplesAtOnce: number;

  constructor(options: SeriesExportOptions, samplesAtOnce = SAMPLES_AT_ONCE) {
    this.#options = options;
    this.#samplesAtOnce = Math.min(samplesAtOnce, options.promqlSamplesMax);
  }

  /**
   * The samples of the series that any of the selectors finds, in portions. A series can be in several portions, which are
   * in order of time.
   *
   * @throws QueryError when a limit on PromQL queries is exceeded
   */
  async *samples(
    selectors: readonly (readonly Matcher[])[],
    asked: MillisecondRange,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly SeriesSamples[], void, undefined> {
    const range = this.#stored(asked);
    if (range === undefined) return;
    const sources = await this.#find(selectors, range, signal);
    const levels = sources.filter((source) => source.shape === "raw" && !isSingle(source));
    for (const part of await this.#partsOf(levels, range, signal))
      yield (await this.#read(levels, part, signal)).map(lastOfEachMillisecond);
    const singles = sources.filter(isSingle);
    for (const part of await this.#partsOf(singles, range, signal))
      yield await this.#read(singles, part, signal);
    const counters = sources.filter(({ shape }) => shape !== "raw");
    for (const group of this.#groupsOf(counters, range)) yield await this.#read(group, range, signal);
  }

  /** The part of a range in which anything is stored. */
  #stored({ startMs, endMs, totalsFromMs }: MillisecondRange): MillisecondRange | undefined {
    const days = this.#options.rows.days();
    if (days.length === 0) return undefined;
    const first = Math.max(startMs, days[0]!.day * MS_PER_DAY);
    const last = Math.min(endMs, (days.at(-1)!.day + 1) * MS_PER_DAY - 1);
    return first <= last ? { startMs: first, endMs: last, totalsFromMs } : undefined;
  }

  async #find(
    selectors: readonly (readonly Matcher[])[],
    range: MillisecondRange,
    signal: AbortSignal | undefined,
  ): Promise<Source[]> {
    const { startMs, endMs, totalsFromMs = startMs } = range;
    // A counter goes on after its last row, and its total has rows before the range.
    const days = [dayOf(Math.min(startMs, totalsFromMs) * 1000), dayOf(endMs * 1000)] as const;
    const found = new Map<string, Source>();
    const countSeries = seriesCounter(this.#options.promqlSeriesMax);
    for (const matchers of selectors) {
      const isNamed = matchers.some(({ name, operator }) => name === METRIC_NAME && operator === "=");
      for (const source of await this.#options.rows.find(matchers, ...days, signal)) {
        countSeries(Math.max(1, source.edges.length));
        if (isSingle(source) && !isNamed) continue;
        // Other selectors may find the same histogram with other buckets.
        const edges = source.edges.map(({ bound }) => bound).join();
        found.set(`${source.labels.key}\u0000${edges}`, source);
      }
    }
    return [...found.values()];
  }

  async #read(
    sources: readonly Source[],
    { startMs, endMs, totalsFromMs = startMs }: MillisecondRange,
    signal: AbortSignal | undefined,
  ): Promise<readonly SeriesSamples[]> {
    const afterMs = startMs - HALF_US;
    const totalsAfterMs = Math.min(startMs, totalsFromMs) - HALF_US;
    const selection = { afterMs, toMs: endMs + 1 - HALF_US, totalsAfterMs };
    return await this.#within(signal, async (budget) => {
      budget.countSeries(sources.reduce((sum, { edges }) => sum + Math.max(1, edges.length), 0));
      const all: SeriesSamples[] = [];
      for await (const batch of this.#options.storage.read(sources, selection, budget)) {
        // The arrays of a batch are used again for the next one.
        for (const { labels, timestampsMs, values, stale } of batch) {
          all.push({
            labels,
            timestampsMs: timestampsMs.slice(),
            values: values.slice(),
            stale: stale?.slice(),
          });
        }
        await budget.pause();
      }
      return all;
    });
  }

  /** One portion is one query. An error that an interrupt caused is replaced by the reason for the interrupt. */
  async #within<T>(signal: AbortSignal | undefined, ask: (budget: Budget) => Promise<T>): Promise<T> {
    const budget = new Budget(this.#options, signal);
    try {
      return await ask(budget);
    } catch (error) {
      throw budget.reasonFor(error);
    }
  }

  /** Divides a range, so that the sources have about `samplesAtOnce` samples in each part. */
  async #partsOf(
    sources: readonly Source[],
    range: MillisecondRange,
    signal: AbortSignal | undefined,
  ): Promise<MillisecondRange[]> {
    if (sources.length === 0) return [];
    const { rows } = this.#options;
    const ids = sources.flatMap(({ seriesIds }) => seriesIds);
    const days = rows.days().flatMap(({ day, rows: count }) => {
      const startMs = Math.max(range.startMs, day * MS_PER_DAY);
      const endMs = Math.min(range.endMs, (day + 1) * MS_PER_DAY - 1);
      return startMs <= endMs ? [{ startMs, endMs, count }] : [];
    });
    // Usually everything fits, and need not be counted.
    if (days.reduce((sum, { count }) => sum + count, 0) <= this.#samplesAtOnce) return [range];
    const counted = await this.#within(signal, async (budget) => {
      const reader = new DayReader(rows.days(), rows.tables(budget.signal));
      try {
        const counts: number[] = [];
        for (const { startMs, endMs } of days) {
          const found = await reader.counts(ids, { afterMs: startMs - HALF_US, toMs: endMs + 1 - HALF_US });
          counts.push([...found.values()].reduce((sum, count) => sum + count, 0));
        }
        return counts;
      } finally {
        reader.close();
      }
    });
    if (counted.reduce((sum, count) => sum + count, 0) <= this.#samplesAtOnce) return [range];
    return days.flatMap((day, index) => divided(day, Math.ceil(counted[index]! / this.#samplesAtOnce)));
  }

  /** Divides sources of counters, which have a sample at each step, into groups of about `samplesAtOnce` samples. */
  #groupsOf(sources: readonly Source[], { startMs, endMs }: MillisecondRange): Source[][] {
    const steps = (endMs - startMs) / this.#options.observationStepMs + 1;
    const groups: Source[][] = [];
    let left = 0;
    for (const source of sources) {
      const samples = Math.max(1, source.edges.length) * steps;
      if (left < samples) {
        groups.push([]);
        left = this.#samplesAtOnce;
      }
      groups.at(-1)!.push(source);
      left -= samples;
    }
    return groups;
  }
}

/** Whether a source has the single values of an observation or a delta. */
function isSingle({ shape, metric: { kind } }: Source): boolean {
  return shape === "raw" && kind !== "gauge" && kind !== "cumulative";
}

/** The samples that no other of the same whole millisecond follows. Parts of a range begin at whole milliseconds. */
function lastOfEachMillisecond(series: SeriesSamples): SeriesSamples {
  const { labels, timestampsMs, values, stale } = series;
  const isLast = (_: number, index: number) =>
    index + 1 === timestampsMs.length ||
    Math.floor(timestampsMs[index]!) !== Math.floor(timestampsMs[index + 1]!);
  if (timestampsMs.every(isLast)) return series;
  return {
    labels,
    timestampsMs: timestampsMs.filter(isLast),
    values: values.filter(isLast),
    stale: stale?.filter(isLast),
  };
}

function divided({ startMs, endMs }: MillisecondRange, parts: number): MillisecondRange[] {
  // A part is a millisecond at least.
  const count = Math.min(Math.max(parts, 1), endMs - startMs + 1);
  const begin = (part: number) => startMs + Math.floor(((endMs - startMs + 1) * part) / count);
  return Array.from({ length: count }, (_, part) => ({ startMs: begin(part), endMs: begin(part + 1) - 1 }));
}
