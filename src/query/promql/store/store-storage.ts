/**
 * PromQL's storage over the real store: series are found in memory, and their rows are read by series and time from the
 * days of the range, about a million at a time. Gauges and cumulative series are their rows. Observations and deltas
 * are also counters, see running-totals.ts.
 */
import { DAY_MS } from "../../../model/duration.ts";
import { dayOf } from "../../../model/sample.ts";
import { statement } from "../../../store/statements.ts";
import type { Source } from "../catalog/catalog.ts";
import { seriesCells } from "../cells/cell-columns.ts";
import { mayHaveSamples } from "../cells/grid-cells.ts";
import { samplesBySeries } from "../cells/sample-columns.ts";
import { cellsOfSource } from "../cells/source-cells.ts";
import { earlierOf, mayHaveCells } from "../cells/tracked-series.ts";
import type { LabelSet } from "../labels.ts";
import type { ReadExplanation } from "../explain.ts";
import type { PlannedRead } from "../plan.ts";
import type {
  ReadBudget,
  ReducedSeries,
  Reduction,
  Selection,
  SeriesSamples,
  Storage,
  WindowEnds,
  Windows,
} from "../storage.ts";
import { lookBefore } from "./before.ts";
import { DayReader, daysIn, type Range, samplesStatement } from "./day-reader.ts";
import { held, type Latest } from "./held.ts";
import { idsOf, mayBePacked, orderOf, portions } from "./portions.ts";
import { Reducer } from "./reducer.ts";
import { areShared, isShareable, sharedSamples } from "../shared/shared-reads.ts";
import {
  type Before,
  type Instants,
  instantsIn,
  labelsOf,
  type TotalCells,
  type TotalRows,
  runningTotals,
} from "./running-totals.ts";
import type { StoredRows } from "./stored-rows.ts";
import { CodeCounter, type TotalCodes } from "../cells/total-codes.ts";
import { windowEnds } from "./window-ends.ts";

export interface StoreStorageOptions {
  readonly rows: StoredRows;
  /** The step of the grid of running totals: the interval of the scrapes that they imitate. */
  readonly observationStepMs: number;
  /** A running total ends this long after its series' last row. */
  readonly seriesIdleMs: number;
  readonly now?: () => number;
  /** Rows that are read at once, unless one series has more; ROWS_AT_ONCE if absent. */
  readonly rowsAtOnce?: number;
}

/** Sources whose cells are in memory at once: 12 MB, if they have rows in each step. */
const SOURCES_AT_ONCE = 500;
/** Series whose recent samples are asked for at once: 2 MB, if they have one every 15 s and 5 minutes are read. */
const SAMPLED_AT_ONCE = 5_000;

export class StoreStorage implements Storage {
  readonly #options: StoreStorageOptions;

  constructor(options: StoreStorageOptions) {
    this.#options = options;
  }

  async *select(selection: Selection, budget: ReadBudget): AsyncIterable<readonly SeriesSamples[]> {
    const sources = await this.find(selection);
    budget.countSeries(seriesOf(sources));
    yield* this.read(sources, selection, budget);
  }

  /** Returns the samples of sources of the catalog, as `select` does. */
  async *read(
    sources: readonly Source[],
    selection: Omit<Selection, "matchers">,
    budget: ReadBudget,
  ): AsyncIterable<readonly SeriesSamples[]> {
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
    const sources = await this.#options.rows.find(matchers, dayOf(afterMs * 1000), dayOf(toMs * 1000));
    // Running totals are not rows, and held values are more than rows.
    if (sources.some(({ shape, held: last }) => shape !== "raw" || last !== undefined)) return undefined;
    // The engine's sums differ from those of samples in their last digits, and blocks are summed here.
    if (reduction === "sum" && sources.some(mayBePacked)) return undefined;
    if (await areShared(sources, { afterMs, toMs }, this.#options.rows)) return undefined;
    const ids = idsOf(sources);
    const reader = this.#reader(budget);
    const reducer = new Reducer(reduction);
    const range = { afterMs, toMs };
    let samples = 0;
    const add = (...partial: Parameters<Reducer["add"]>) => {
      samples += partial[1];
      reducer.add(...partial);
    };
    try {
      if (reduction === "sum") await reader.sums(ids, range, add);
      else await reader.extremes(reduction === "min" ? "min" : "max", ids, range, add);
    } finally {
      reader.close();
    }
    const reduced = sources.flatMap(({ labels, seriesIds }) => reducer.result(labels, seriesIds) ?? []);
    const exact = reduced.filter((each) => each !== "inexact");
    // Otherwise the samples are read, and all of them are counted then.
    if (exact.length < reduced.length) return undefined;
    budget.countSeries(sources.length);
    budget.countSamples(samples);
    return exact;
  }

  /** Explains what `select` would do for a selector. */
  async explain({
    selector,
    afterMs,
    toMs,
  }: PlannedRead): Promise<Omit<ReadExplanation, "selector" | "after" | "to">> {
    const { rows } = this.#options;
    const sources = await rows.find(selector.matchers, dayOf(afterMs * 1000), dayOf(toMs * 1000));
    const days = daysIn(rows.days(), { afterMs, toMs }).map(({ table }) => table);
    // Raw samples and totals are read separately.
    const raw = sources.filter(({ shape }) => shape === "raw");
    const isTotal = raw.length < sources.length;
    const names = [
      ...(raw.length > 0 || !isTotal ? [samplesStatement(orderOf(raw))] : []),
      ...(isTotal
        ? [samplesStatement({ withArrivals: false, mayBePacked: false }), "query/promql_before"]
        : []),
    ];
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
    const { rows, now = Date.now } = this.#options;
    let others = sources;
    if (rows.shared !== undefined && sources.some(isShareable)) {
      yield* this.#shared(sources.filter(isShareable), range, budget);
      others = sources.filter((source) => !isShareable(source));
    }
    const unkept: Source[] = [];
    const mayBeKept: Source[] = [];
    const isRecent = rows.samples !== undefined && mayHaveSamples(range.afterMs, now());
    for (const source of others) (isRecent && isOneSeries(source) ? mayBeKept : unkept).push(source);
    for (let from = 0; from < mayBeKept.length; from += SAMPLED_AT_ONCE) {
      const part = mayBeKept.slice(from, from + SAMPLED_AT_ONCE);
      const { found, rest } = await this.#kept(part, range, budget);
      unkept.push(...rest);
      if (found.length > 0) yield found;
    }
    if (unkept.length > 0) yield* this.#rawRows(unkept, range, budget);
  }

  async *#shared(
    sources: readonly Source[],
    range: Range,
    budget: ReadBudget,
  ): AsyncIterable<readonly SeriesSamples[]> {
    const { rows, rowsAtOnce: most } = this.#options;
    const reader = this.#reader(budget);
    try {
      yield* sharedSamples(sources, range, rows, budget, (part, own) =>
        portions(part, own, reader, budget, rows.large, most),
      );
    } finally {
      reader.close();
    }
  }

  /** The samples of those sources whose recent samples are kept, and the other sources. */
  async #kept(
    sources: readonly Source[],
    { afterMs, toMs }: Range,
    budget: ReadBudget,
  ): Promise<{ readonly found: readonly SeriesSamples[]; readonly rest: readonly Source[] }> {
    const { rows, observationStepMs, now = Date.now } = this.#options;
    const ids = Uint32Array.from(sources, ({ seriesIds }) => seriesIds[0]);
    const columns = await rows.samples!(ids, { afterMs, toMs });
    if (columns === undefined) return { found: [], rest: sources };
    const byId = samplesBySeries(columns);
    const found: SeriesSamples[] = [];
    const rest: Source[] = [];
    for (const source of sources) {
      const own = byId.get(source.seriesIds[0]);
      const { labels, held: last } = source;
      const before = last !== undefined && last.timestampMs <= afterMs ? last : own?.before;
      if (own === undefined || (last !== undefined && before === undefined)) {
        rest.push(source);
        continue;
      }
      const { timestampsMs, values, stale } = own;
      const samples = { labels, timestampsMs, values, stale };
      const shown =
        last === undefined ? samples : held(samples, before, { afterMs, toMs }, observationStepMs, now());
      budget.countSamples(shown.values.length);
      if (shown.values.length > 0) found.push(shown);
    }
    return { found, rest };
  }

  async *#rawRows(
    sources: readonly Source[],
    range: Range,
    budget: ReadBudget,
  ): AsyncIterable<readonly SeriesSamples[]> {
    const { rows, rowsAtOnce: most, observationStepMs, now = Date.now } = this.#options;
    const reader = this.#reader(budget);
    try {
      const latest = await this.#latestOfHeld(sources, range.afterMs, reader);
      for await (const { sources: part, samples: all } of portions(
        sources,
        range,
        reader,
        budget,
        rows.large,
        most,
      )) {
        const { begins, ends, timestampsMs, values, stale } = all;
        yield part.flatMap((source, slot) => {
          const [from, to] = [begins[slot], ends[slot]];
          const samples = {
            labels: source.labels,
            timestampsMs: timestampsMs.subarray(from, to),
            values: values.subarray(from, to),
            stale: stale?.subarray(from, to),
          };
          if (source.held === undefined) return from === to ? [] : [samples];
          const before = latest.get(source.seriesIds[0]);
          const shown = held(samples, before, range, observationStepMs, now());
          budget.countSamples(shown.values.length - (to - from));
          return shown.values.length === 0 ? [] : [shown];
        });
      }
    } finally {
      reader.close();
    }
  }

  /**
   * The last samples of held series before a time. Mostly this is the very last sample, which may be older than all
   * days; others are searched day by day, back from that time.
   */
  async #latestOfHeld(
    sources: readonly Source[],
    afterMs: number,
    reader: DayReader,
  ): Promise<Map<number, Latest>> {
    const found = new Map<number, Latest>();
    let wanted: number[] = [];
    for (const { seriesIds, held: last } of sources) {
      if (last === undefined) continue;
      const [id] = seriesIds;
      if (last.timestampMs <= afterMs) found.set(id, last);
      else wanted.push(id);
    }
    const { rows } = this.#options;
    for (const { day } of rows.days().toReversed()) {
      if (wanted.length === 0) break;
      if (day > dayOf(afterMs * 1000)) continue;
      const here = [...(await rows.withSamplesIn(wanted, day, day))];
      if (here.length === 0) continue;
      const beginMs = day * DAY_MS;
      const range = { afterMs: beginMs - 1, toMs: Math.min(afterMs, beginMs + DAY_MS - 1e-3) };
      for (const [id, sample] of await reader.latest(here, range)) found.set(id, sample);
      wanted = wanted.filter((id) => !found.has(id));
    }
    return found;
  }

  async ends(
    selection: Selection,
    windows: Windows,
    budget: ReadBudget,
  ): ReturnType<NonNullable<Storage["ends"]>> {
    const sources = await this.find(selection);
    if (!areTotals(sources)) return undefined;
    const seriesMax = seriesOf(sources);
    budget.countSeries(seriesMax);
    return { seriesMax, batches: this.endsOf(sources, selection, windows, budget) };
  }

  /** The ends of windows in sources that are totals, as `ends` returns them. */
  endsOf(
    sources: readonly Source[],
    selection: Omit<Selection, "matchers">,
    windows: Windows,
    budget: ReadBudget,
  ): AsyncIterable<readonly { readonly labels: LabelSet; readonly ends: WindowEnds }[]> {
    const { seriesIdleMs } = this.#options;
    const into: Float64Array[] = [];
    return this.#eachTotal(sources, selection, budget, (source, rows, before, instants) => {
      const ends = windowEnds(source, rows, before, instants, seriesIdleMs, windows, into);
      const labels = labelsOf(source);
      return ends.map((each, at) => ({ labels: labels[at], ends: each }));
    });
  }

  /**
   * Reads the rows of totals, or their cells if they are kept, and yields the result of `make` for each source that has
   * any.
   */
  async *#eachTotal<Made>(
    sources: readonly Source[],
    { afterMs, toMs, totalsAfterMs }: Omit<Selection, "matchers">,
    budget: ReadBudget,
    make: (
      source: Source,
      rows: TotalRows | TotalCells | TotalCodes,
      before: Before,
      instants: Instants,
    ) => readonly Made[],
  ): AsyncIterable<readonly Made[]> {
    const { observationStepMs: stepMs, seriesIdleMs: idleMs, rows: stored, rowsAtOnce: most } = this.#options;
    const { now = Date.now } = this.#options;
    const instants = instantsIn(afterMs, toMs, stepMs);
    if (instants.count === 0 || sources.length === 0) return;
    const baseMs = Math.floor(totalsAfterMs / stepMs) * stepMs;
    // One step more: a series whose first row comes just after the last instant begins at that instant.
    const range = { afterMs: baseMs, toMs: instants.firstMs + instants.count * stepMs };
    const baseDay = dayOf(baseMs * 1000);
    const earlier = { afterMs: earlierOf(baseMs, stepMs, idleMs), toMs: baseMs };
    const asked = { earlierMs: earlier.afterMs, baseMs, toMs: range.toMs };
    let unkept = sources;
    const isRecent = mayHaveCells(baseMs, now(), stepMs, idleMs);
    if (stored.cells !== undefined && isRecent) {
      const rest: Source[] = [];
      for (let from = 0; from < sources.length; from += SOURCES_AT_ONCE) {
        const part = sources.slice(from, from + SOURCES_AT_ONCE);
        const ids = [...new Set(idsOf(part))];
        const columns = await stored.cells(Uint32Array.from(ids), asked);
        if (columns === undefined) {
          rest.push(...part);
          continue;
        }
        const found = seriesCells(columns);
        const older = await stored.withSamplesIn(ids, Number.NEGATIVE_INFINITY, baseDay - 1);
        budget.countSamples(found.values().reduce((sum, { counts }) => sum + counts.length, 0));
        for (const source of part) {
          const { cells, before } = cellsOfSource(source, found);
          const existed = before.lastMs !== undefined || source.seriesIds.some((id) => older.has(id));
          const made = make(source, cells, { ...before, existed }, instants);
          if (made.length > 0) yield made;
        }
      }
      if (rest.length === 0) return;
      unkept = rest;
    }
    // Those of the last hour are kept as cells, if they are asked for again.
    const coded = isRecent || idleMs % stepMs !== 0 ? [] : unkept.filter(isCoded);
    if (stored.codes !== undefined && coded.length > 0) {
      const ids = new Set(idsOf(coded));
      const columns = await stored.codes(Uint32Array.from(ids), { afterMs: earlier.afterMs });
      if (columns !== undefined) {
        const [from, base, to] = [earlier.afterMs, baseMs, range.toMs].map((timeMs) => timeMs / stepMs);
        const counter = new CodeCounter(columns, ids, { earlier: from, base, to, stepMs, idleMs });
        const older = await stored.withSamplesIn([...ids], Number.NEGATIVE_INFINITY, baseDay - 1);
        for (const source of coded) {
          budget.countSamples(counter.rowsOf(source));
          const { rows, before } = counter.of(source);
          const existed = before.lastMs !== undefined || source.seriesIds.some((id) => older.has(id));
          const made = make(source, rows, { ...before, existed }, instants);
          if (made.length > 0) yield made;
        }
        unkept = unkept.filter((source) => !isCoded(source));
        if (unkept.length === 0) return;
      }
    }
    const reader = this.#reader(budget);
    try {
      for await (const { sources: part, samples: all } of portions(
        unkept,
        range,
        reader,
        budget,
        stored.large,
        most,
      )) {
        const beforeOf = await lookBefore(part, earlier, reader);
        const older = await stored.withSamplesIn(idsOf(part), Number.NEGATIVE_INFINITY, baseDay - 1);
        for (const [slot, source] of part.entries()) {
          const [from, to] = [all.begins[slot], all.ends[slot]];
          const rows = {
            timestampsMs: all.timestampsMs.subarray(from, to),
            values: all.values.subarray(from, to),
          };
          const known = beforeOf(source);
          const existed = known.lastMs !== undefined || source.seriesIds.some((id) => older.has(id));
          const made = make(source, rows, { ...known, existed }, instants);
          if (made.length > 0) yield made;
        }
      }
    } finally {
      reader.close();
    }
  }

  /** The series that match and may have samples in the range, or totals that continue from before it. */
  async find({ matchers, afterMs, toMs, totalsAfterMs }: Selection): Promise<readonly Source[]> {
    const { observationStepMs, seriesIdleMs, rows } = this.#options;
    const sinceMs = Math.min(afterMs, totalsAfterMs - observationStepMs - seriesIdleMs);
    const untilMs = toMs + observationStepMs;
    return await rows.find(matchers, dayOf(sinceMs * 1000), dayOf(untilMs * 1000));
  }

  #reader({ signal }: ReadBudget): DayReader {
    const { rows } = this.#options;
    return new DayReader(rows.days(), rows.tables(signal));
  }
}

/** Whether a source is one stored series, which has at most one sample per time. */
function isOneSeries({ seriesIds, metric: { kind } }: Source): boolean {
  return seriesIds.length === 1 && (kind === "gauge" || kind === "cumulative");
}

/** Whether codes of events are enough: they have no values for a sum. */
function isCoded({ shape, metric: { kind } }: Source): boolean {
  return kind === "observation" && (shape === "count" || shape === "buckets");
}

/** Whether there are sources, and none has samples of its own. */
export function areTotals(sources: readonly Source[]): boolean {
  return sources.length > 0 && sources.every(({ shape }) => shape !== "raw");
}

/** The number of series of some sources. */
export function seriesOf(sources: readonly Source[]): number {
  return sources.reduce((sum, { edges }) => sum + Math.max(1, edges.length), 0);
}
