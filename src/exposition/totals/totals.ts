/**
 * Running totals: what each series has counted up to since it began here, and the last value of those that are
 * levels. Rows are the truth; this is rebuilt from them (a snapshot, then the rows past it) and shown on /metrics.
 *
 * - `apply` is called with every committed row, in the order of the commits. A replay of the same rows in the
 *   same order gives totals that are equal to the last bit: sums are kept as double-double.
 * - Only live samples count. A sample that is older than the exposed value of its level does not replace it.
 * - A series must be defined before its first row; rows of unknown series are passed over.
 */
import type { Rows, Series } from "../../model/sample.ts";
import type { Family } from "../family.ts";
import { Exemplars, NO_BUCKET } from "./exemplars.ts";
import { ExposedSeries } from "./exposed-series.ts";
import { type LastPush, LastPushes } from "./last-pushes.ts";
import {
  ARRIVED_US,
  BUCKETS,
  COUNT,
  CREATED_US,
  DELTA,
  DIRTY,
  ENDED,
  HELD,
  LAST_US,
  LEVEL,
  OBSERVATION,
  ROW,
  SeriesTable,
  STALE,
  SUM_HIGH,
  SUM_LOW,
  VALUE,
  VALUE_US,
} from "./series-table.ts";

/** The running totals of a series, as they are stored; the store has the same shape. */
export interface TotalsRecord {
  readonly seriesId: number;
  /** Live samples. */
  readonly count: number;
  /** Observations and deltas: the sum, as two doubles. Gauges and cumulative: the timestamp of `value`, µs; 0. */
  readonly sumHigh: number;
  readonly sumLow: number;
  /** Gauges and cumulative: the exposed value; null after a stale marker, and for other kinds. */
  readonly value: number | null;
  /** Timestamp of the first live sample, µs. */
  readonly createdUs: number;
  /** Timestamp of the newest sample, live or not, µs. */
  readonly lastUs: number;
  /** When the newest live sample arrived, µs; 0 when there was none. */
  readonly arrivedUs: number;
  /** Observations: counts by bucket, not cumulative. */
  readonly buckets: readonly number[];
}

export interface TotalsSnapshot {
  readonly records: readonly TotalsRecord[];
  /** Whether the records are all that there is. */
  readonly whole: boolean;
}

export interface TotalsOptions {
  /** Gauges and cumulative series leave /metrics so long after their last sample arrived. */
  readonly exposeGaugesForMs: number;
  /** Totals leave so long after their last sample arrived, and return at their value. */
  readonly seriesIdleMs: number;
  /** Attributes that may stand for a sample as its bucket's exemplar, the preferred first. */
  readonly exemplarAttributes: readonly string[];
  /** Buckets that have an exemplar, at most. */
  readonly exemplarsMax: number;
}

const NO_BUCKETS: readonly number[] = [];
/** The longest interval between scrapes that is usual, and more than clocks differ: see `mayHaveShown`. */
const SCRAPE_SLACK_US = 5 * 60_000_000;

const DEFAULTS = {
  // The look-back of PromQL: what Prometheus itself would still show.
  exposeGaugesForMs: 5 * 60_000,
  seriesIdleMs: 24 * 3_600_000,
  exemplarAttributes: ["trace_id", "task_id"],
  // 10 MB: 4,000 histograms with all 16 buckets in use.
  exemplarsMax: 65_536,
} satisfies TotalsOptions;

export class Totals {
  readonly #options: TotalsOptions;
  readonly #table = new SeriesTable();
  readonly #exposed = new ExposedSeries();
  readonly #exemplars: Exemplars;
  readonly #lastPushes = new LastPushes();
  #bucketOf = new Uint32Array(2048);
  #exposedSeries = 0;

  constructor(options: Partial<TotalsOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
    this.#exemplars = new Exemplars(this.#options.exemplarAttributes, this.#options.exemplarsMax);
  }

  /** Makes a series known; one that is known keeps its totals. */
  define(series: Series): void {
    const known = this.#table.rowOf(series.seriesId) >= 0;
    const row = this.#table.define(series);
    this.#exemplars.grow(this.#table.bucketCounts.length);
    if (known) return;
    this.#exposed.add(series, row);
    this.#exposedSeries++;
  }

  /** Series that are defined and were not ended. */
  get exposedSeries(): number {
    return this.#exposedSeries;
  }

  /** Forgets a series whose last row is gone. */
  forget(seriesId: number): void {
    const row = this.#table.rowOf(seriesId);
    if (row < 0) return;
    this.#exemplars.forget(this.#table.cells[row * ROW + BUCKETS], this.#table.bucketsOf(row).length);
    this.#exposed.remove(row);
    if ((this.#table.flags[row] & ENDED) === 0) this.#exposedSeries--;
    this.#table.forget(seriesId);
  }

  /** Ends the exposition of a series, for good: it is added up as before, and not shown. */
  end(seriesId: number): void {
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || (this.#table.flags[row] & ENDED) !== 0) return;
    this.#table.flags[row] |= ENDED;
    this.#exposedSeries--;
  }

  /**
   * Adds up committed rows.
   *
   * @param arrivedUs when they arrived, µs since the epoch. In a replay nobody knows; it is then left out, and
   *   each sample is taken to have arrived at its own time.
   */
  apply(rows: Rows, arrivedUs?: number): void {
    const table = this.#table;
    const { cells, codes, flags, bounds, bucketCounts } = table;
    const { length, seriesId, timestampUs, value, live, stale } = rows;
    const columns = this.#exemplars.columns(rows);
    const bucketOf = columns.length > 0 ? this.#bucketsOf(length) : undefined;
    for (let index = 0; index < length; index++) {
      const row = table.rowOf(seriesId[index]);
      if (row < 0) continue;
      const cell = row * ROW;
      const time = timestampUs[index];
      if ((flags[row] & DIRTY) === 0) table.markDirty(row);
      if (time > cells[cell + LAST_US]) cells[cell + LAST_US] = time;
      if (live[index] === 0) continue;

      const code = codes[row];
      const sample = value[index];
      // A counter never goes back. Admission turns such increments away; here it is what the promise rests on.
      if (code === DELTA && !(sample >= 0)) continue;
      const arrival = arrivedUs ?? time;
      if (arrival > cells[cell + ARRIVED_US]) cells[cell + ARRIVED_US] = arrival;
      if (cells[cell + COUNT]++ === 0) cells[cell + CREATED_US] = time;
      if (code === LEVEL) {
        // Equal times do not occur within a series of this kind, but for the correction of one just stored.
        if (time < cells[cell + VALUE_US]) continue;
        cells[cell + VALUE_US] = time;
        cells[cell + VALUE] = sample;
        if (stale !== undefined && stale[index] !== 0) flags[row] |= STALE;
        else flags[row] &= ~STALE;
        continue;
      }
      addTo(cells, cell, sample);
      if (code === DELTA) continue;
      const bucket = cells[cell + BUCKETS] + bucketIndex(bounds[row], sample);
      bucketCounts[bucket]++;
      if (bucketOf !== undefined) bucketOf[index] = bucket;
    }
    if (bucketOf !== undefined) this.#exemplars.take(rows, columns, bucketOf);
  }

  /** The scratch column of buckets by row, for `length` rows. */
  #bucketsOf(length: number): Uint32Array {
    if (this.#bucketOf.length < length)
      this.#bucketOf = new Uint32Array(Math.max(length, this.#bucketOf.length * 2));
    return this.#bucketOf.fill(NO_BUCKET, 0, length);
  }

  /** A push of a job and an instance ("" where it has none) arrived; see `LastPushes`. */
  noteLastPush(job: string, instance: string, timestampMs: number): void {
    this.#lastPushes.note(job, instance, timestampMs);
  }

  /** Whether it is shown when a job and instance last pushed. */
  hasPushed(job: string, instance: string): boolean {
    return this.#lastPushes.has(job, instance);
  }

  /** When each job and instance last pushed, to be stored and noted again after a restart. */
  lastPushRecords(): LastPush[] {
    return this.#lastPushes.records();
  }

  /** Leaves a series to its group, which shows it; `release` shows it here again. */
  hold(seriesId: number): void {
    const row = this.#table.rowOf(seriesId);
    if (row >= 0) this.#table.flags[row] |= HELD;
  }

  release(seriesId: number): void {
    const row = this.#table.rowOf(seriesId);
    if (row >= 0) this.#table.flags[row] &= ~HELD;
  }

  /** Whether the newest sample of a gauge or cumulative series is a stale marker. */
  isStale(seriesId: number): boolean {
    const row = this.#table.rowOf(seriesId);
    return row >= 0 && this.#table.codes[row] === LEVEL && (this.#table.flags[row] & STALE) !== 0;
  }

  /** The last value of a gauge or cumulative series, whatever its age; undefined where it has none, or ended. */
  level(seriesId: number): number | undefined {
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || this.#table.codes[row] !== LEVEL) return undefined;
    const isThere = this.#table.cells[row * ROW + COUNT] > 0 && (this.#table.flags[row] & STALE) === 0;
    return isThere ? this.#table.cells[row * ROW + VALUE] : undefined;
  }

  /**
   * Where the total of an observation's or a delta's series stands, shown or not; undefined where no sample of it
   * counts. `buckets` (not cumulative) are good until the next change.
   */
  total(
    seriesId: number,
  ): { count: number; sum: number; buckets: Float64Array; arrivedUs: number } | undefined {
    const { cells, codes } = this.#table;
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || codes[row] === LEVEL || !(cells[row * ROW + COUNT] > 0)) return undefined;
    return {
      count: cells[row * ROW + COUNT],
      sum: cells[row * ROW + SUM_HIGH],
      buckets: this.#table.bucketsOf(row),
      arrivedUs: cells[row * ROW + ARRIVED_US],
    };
  }

  /** Whether a series is shown here at `nowUs`. */
  isExposed(seriesId: number, nowUs: number): boolean {
    const row = this.#table.rowOf(seriesId);
    return row >= 0 && this.#isShown(row, nowUs);
  }

  /**
   * Whether a scrape may have seen a series at `atUs`: from its first sample to when it left /metrics, and so long
   * before and after that a stale marker, or the scraper's clock, is not missed.
   */
  mayHaveShown(seriesId: number, atUs: number): boolean {
    const row = this.#table.rowOf(seriesId);
    if (row < 0) return false;
    const { cells, flags, codes } = this.#table;
    const cell = row * ROW;
    if (!(cells[cell + COUNT] > 0) || (flags[row] & ENDED) !== 0) return false;
    if (atUs < cells[cell + CREATED_US] - SCRAPE_SLACK_US) return false;
    if ((flags[row] & HELD) !== 0) return true;
    const { exposeGaugesForMs, seriesIdleMs } = this.#options;
    const idleMs = codes[row] === LEVEL ? exposeGaugesForMs : seriesIdleMs;
    const untilUs =
      (flags[row] & STALE) !== 0 ? cells[cell + VALUE_US] : cells[cell + ARRIVED_US] + idleMs * 1000;
    return atUs <= untilUs + SCRAPE_SLACK_US;
  }

  #isShown(row: number, nowUs: number): boolean {
    const { cells, flags, codes } = this.#table;
    if (!(cells[row * ROW + COUNT] > 0) || (flags[row] & (ENDED | STALE | HELD)) !== 0) return false;
    const { exposeGaugesForMs, seriesIdleMs } = this.#options;
    const idleMs = codes[row] === LEVEL ? exposeGaugesForMs : seriesIdleMs;
    return cells[row * ROW + ARRIVED_US] > nowUs - idleMs * 1000;
  }

  /** The newest timestamp of any sample of a series, live or not, µs; 0 when there is none. */
  lastUs(seriesId: number): number {
    const row = this.#table.rowOf(seriesId);
    return row < 0 ? 0 : this.#table.cells[row * ROW + LAST_US];
  }

  /**
   * Records of the series that changed since the call before, or of all. When the commit that holds a snapshot
   * fails, the next must be whole.
   */
  snapshot(whole: boolean): TotalsSnapshot {
    const { cells, flags, codes, series } = this.#table;
    const records = this.#table.takeRows(whole).map((row): TotalsRecord => {
      const cell = row * ROW;
      const level = codes[row] === LEVEL;
      const shown = level && cells[cell + COUNT] > 0 && (flags[row] & STALE) === 0;
      return {
        seriesId: series[row]!.seriesId,
        count: cells[cell + COUNT],
        sumHigh: cells[cell + SUM_HIGH],
        sumLow: cells[cell + SUM_LOW],
        value: shown ? cells[cell + VALUE] : null,
        createdUs: cells[cell + CREATED_US],
        lastUs: cells[cell + LAST_US],
        arrivedUs: cells[cell + ARRIVED_US],
        // Most have none, and there may be a million.
        buckets: codes[row] === OBSERVATION ? [...this.#table.bucketsOf(row)] : NO_BUCKETS,
      };
    });
    return { records, whole };
  }

  /** Puts back what a snapshot held, into series that are defined; others are passed over. */
  restore(records: readonly TotalsRecord[]): void {
    const { cells, codes, flags } = this.#table;
    for (const record of records) {
      const row = this.#table.rowOf(record.seriesId);
      if (row < 0) continue;
      const cell = row * ROW;
      cells[cell + LAST_US] = record.lastUs;
      const buckets = this.#table.bucketsOf(row);
      // Counts that were cut another way cannot go on: the total begins anew.
      if (codes[row] === OBSERVATION && buckets.length !== record.buckets.length) continue;
      buckets.set(record.buckets);
      cells[cell + COUNT] = record.count;
      cells[cell + SUM_HIGH] = record.sumHigh;
      cells[cell + SUM_LOW] = record.sumLow;
      cells[cell + VALUE] = record.value ?? 0;
      cells[cell + CREATED_US] = record.createdUs;
      cells[cell + ARRIVED_US] = record.arrivedUs;
      if (codes[row] === LEVEL && record.count > 0 && record.value === null) flags[row] |= STALE;
    }
  }

  /** When each job and instance last pushed, as it is exposed at `nowMs`. */
  lastPushes(nowMs: number): Family[] {
    return this.#lastPushes.families(nowMs);
  }

  /**
   * What is exposed at `nowUs`, a copy: families in ascending order of names, series in that of their labels.
   *
   * @param exemplars whether to look them up; text 0.0.4 has none
   */
  families(nowUs: number, exemplars = true): Family[] {
    const table = this.#table;
    const { cells } = table;
    return this.#exposed.families({
      has: (row) => row >= 0 && this.#isShown(row, nowUs),
      value: (row) => cells[row * ROW + (table.codes[row] === LEVEL ? VALUE : SUM_HIGH)],
      count: (row) => cells[row * ROW + COUNT],
      createdUs: (row) => cells[row * ROW + CREATED_US],
      buckets: (row) => table.bucketsOf(row),
      exemplars: (row) =>
        exemplars ? this.#exemplars.of(cells[row * ROW + BUCKETS], table.bounds[row].length + 1) : undefined,
    });
  }
}

/** Adds to a double-double without losing what the addition rounds off (Knuth's two-sum, then renormalised). */
function addTo(cells: Float64Array, cell: number, value: number): void {
  const high = cells[cell + SUM_HIGH];
  const sum = high + value;
  if (sum - sum !== 0) {
    cells[cell + SUM_HIGH] = sum;
    cells[cell + SUM_LOW] = 0;
    return;
  }
  const part = sum - high;
  const low = high - (sum - part) + (value - part) + cells[cell + SUM_LOW];
  const next = sum + low;
  cells[cell + SUM_HIGH] = next;
  cells[cell + SUM_LOW] = low - (next - sum);
}

/** The first bucket whose upper bound is not below the value; NaN falls into the last. */
function bucketIndex(bounds: Float64Array, value: number): number {
  let from = 0;
  let to = bounds.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (value <= bounds[middle]) to = middle;
    else from = middle + 1;
  }
  return from;
}
