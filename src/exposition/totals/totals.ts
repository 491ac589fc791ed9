/**
 * Running totals: what each series has counted here since its first sample, and the last value of gauges and
 * cumulative series. Rows are the truth. The totals are rebuilt from them (a snapshot, then the rows past it)
 * and exposed on /metrics.
 *
 * - `apply` gets every committed row, in the order of the commits. A replay of the same rows in the same order gives
 *   totals that are equal to the last bit: sums are kept as double-double.
 * - Only live samples count. A sample that is older than the exposed value of its series does not replace it.
 * - A series must be defined before its first row. Rows of unknown series are skipped.
 */
import type { Counters } from "../../model/counters.ts";
import { FirstUse } from "../../model/memory/first-use.ts";
import type { LastPushRecord, TotalsRecord, TotalsSnapshot } from "../../model/records.ts";
import type { Rows, Series } from "../../model/sample.ts";
import type { Family } from "../family.ts";
import { Exemplars, NO_BUCKET } from "./bucket-exemplars.ts";
import { ExposedSeries } from "./exposed-series.ts";
import { LastPushes } from "./last-pushes.ts";
import { snapshotOf } from "./snapshot.ts";
import { ArrivalCounts, type ArrivalsRange, type RecentArrivals } from "./recent-arrivals.ts";
import {
  ARRIVED_US,
  BUCKETS,
  COUNT,
  CREATED_US,
  DELTA,
  DIRTY,
  ENDED,
  IN_GROUP,
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

interface TotalsOptions {
  /** How long after their last sample arrived gauges and cumulative series stay on /metrics. */
  readonly exposeGaugesForMs: number;
  /**
   * How long after their last sample arrived totals stay on /metrics. The next sample brings them back at their
   * value.
   */
  readonly seriesIdleMs: number;
  /** The most buckets that have an exemplar. */
  readonly exemplarsMax: number;
  readonly counters: Counters;
  /** Restores what was stored. The default is that nothing was. */
  readonly firstUse?: FirstUse;
}

/** The longest usual interval between scrapes, and more than clocks differ: see `mayHaveShown`. */
const SCRAPE_SLACK_US = 5 * 60_000_000;

/** Attributes that may be the exemplar of a bucket, the preferred one first. */
const EXEMPLAR_ATTRIBUTES = ["trace_id", "task_id"];

export class Totals {
  readonly #options: TotalsOptions;
  /** Use it by `#table`, so that it is restored. */
  readonly #restoredTable = new SeriesTable();
  readonly #firstUse: FirstUse;
  readonly #exposed = new ExposedSeries();
  readonly #exemplars: Exemplars;
  readonly #lastPushes: LastPushes;
  readonly #arrivals = new ArrivalCounts();
  #bucketOf = new Uint32Array(2048);
  #exposedSeries = 0;

  constructor(options: TotalsOptions) {
    this.#options = options;
    this.#firstUse = options.firstUse ?? new FirstUse();
    this.#lastPushes = new LastPushes(options.counters);
    this.#exemplars = new Exemplars(EXEMPLAR_ATTRIBUTES, options.exemplarsMax);
  }

  /** All but recent arrivals and last pushes begin with it. */
  get #table(): SeriesTable {
    this.#firstUse.begin();
    return this.#restoredTable;
  }

  /** Makes room for series that are about to be defined, so that the tables do not grow step by step. */
  reserve(series: Iterable<Series>): void {
    let [rows, buckets] = [0, 0];
    for (const { metric } of series) {
      rows++;
      if (metric.kind === "observation") buckets += metric.buckets.length + 1;
    }
    this.#table.reserve(rows, buckets);
    this.#exemplars.grow(this.#table.bucketCounts.length);
  }

  /**
   * Defines a series. A series that is defined already keeps its totals.
   *
   * @param isHeld whether it begins held: see `hold`
   */
  define(series: Series, isHeld = false): void {
    const known = this.#table.rowOf(series.seriesId) >= 0;
    const row = this.#table.define(series);
    this.#exemplars.grow(this.#table.bucketCounts.length);
    if (known) return;
    if (isHeld) this.#table.flags[row] |= IN_GROUP;
    else this.#exposed.add(series, row);
    this.#exposedSeries++;
  }

  /** The number of defined series that are exposed. */
  get exposedSeries(): number {
    this.#firstUse.begin();
    return this.#exposedSeries;
  }

  /** Removes a series whose last row was dropped. */
  forget(seriesId: number): void {
    const row = this.#table.rowOf(seriesId);
    if (row < 0) return;
    this.#exemplars.forget(this.#table.cells[row * ROW + BUCKETS], this.#table.bucketsOf(row).length);
    if ((this.#table.flags[row] & IN_GROUP) === 0) this.#exposed.remove(row);
    this.#arrivals.forget(row);
    if ((this.#table.flags[row] & ENDED) === 0) this.#exposedSeries--;
    this.#table.forget(seriesId);
  }

  /** Ends the exposition of a series permanently. Its samples are still added. */
  end(seriesId: number): void {
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || (this.#table.flags[row] & ENDED) !== 0) return;
    this.#table.flags[row] |= ENDED;
    this.#exposedSeries--;
  }

  /**
   * Adds committed rows.
   *
   * @param arrivedUs when they arrived, µs since the epoch. Absent in a replay, where this is unknown. Each sample
   *   then counts as arrived at its own time
   */
  apply(rows: Rows, arrivedUs?: number): void {
    const table = this.#table;
    const { cells, codes, flags, bounds, bucketCounts } = table;
    const { length, seriesId, timestampUs, value, live, stale } = rows;
    const columns = this.#exemplars.columns(rows);
    const bucketOf = columns.length > 0 ? this.#bucketsOf(length) : undefined;
    const isArrival = arrivedUs !== undefined;
    const arrivals = this.#arrivals;
    if (isArrival) arrivals.advance(arrivedUs);
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
      // A counter never decreases. Admission rejects such increments, and this check guarantees it.
      if (code === DELTA && !(sample >= 0)) continue;
      const arrival = arrivedUs ?? time;
      if (arrival > cells[cell + ARRIVED_US]) cells[cell + ARRIVED_US] = arrival;
      const arriving = isArrival ? arrivals.add(row, table.series[row]!, arrival) : undefined;
      if (cells[cell + COUNT]++ === 0) cells[cell + CREATED_US] = time;
      if (code === LEVEL) {
        // Within a series of this kind two samples have equal times only if one corrects the other.
        if (time < cells[cell + VALUE_US]) continue;
        cells[cell + VALUE_US] = time;
        cells[cell + VALUE] = sample;
        if (stale !== undefined && stale[index] !== 0) flags[row] |= STALE;
        else flags[row] &= ~STALE;
        continue;
      }
      addTo(cells, cell, sample);
      if (code === DELTA) continue;
      const at = bucketIndex(bounds[row], sample);
      const bucket = cells[cell + BUCKETS] + at;
      bucketCounts[bucket]++;
      if (arriving !== undefined) arriving.buckets[at]!++;
      if (bucketOf !== undefined) bucketOf[index] = bucket;
    }
    if (bucketOf !== undefined) this.#exemplars.take(rows, columns, bucketOf);
  }

  /** Memory for the buckets of `length` rows. It is used again by each call. */
  #bucketsOf(length: number): Uint32Array {
    if (this.#bucketOf.length < length)
      this.#bucketOf = new Uint32Array(Math.max(length, this.#bucketOf.length * 2));
    return this.#bucketOf.fill(NO_BUCKET, 0, length);
  }

  /** What arrived in a range that ends at `nowUs`. A task in slices. */
  recentArrivals(range: ArrivalsRange, nowUs: number): Generator<void, RecentArrivals> {
    return this.#arrivals.recent(range, nowUs);
  }

  /** Records a push of a job and an instance ("" if it has none). See `LastPushes`. */
  noteLastPush(job: string, instance: string, timestampMs: number): void {
    this.#lastPushes.note(job, instance, timestampMs);
  }

  /** Whether the last push of a job and instance is exposed. */
  hasPushed(job: string, instance: string): boolean {
    return this.#lastPushes.has(job, instance);
  }

  /** When each job and instance last pushed, to be stored, and restored after a restart. */
  lastPushRecords(): LastPushRecord[] {
    return this.#lastPushes.records();
  }

  /** Stops exposing a series, because its group exposes it. `release` reverses this. */
  hold(seriesId: number): void {
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || (this.#table.flags[row] & IN_GROUP) !== 0) return;
    this.#table.flags[row] |= IN_GROUP;
    this.#exposed.remove(row);
  }

  release(seriesId: number): void {
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || (this.#table.flags[row] & IN_GROUP) === 0) return;
    this.#table.flags[row] &= ~IN_GROUP;
    this.#exposed.add(this.#table.series[row]!, row);
  }

  /** Whether the newest sample of a gauge or cumulative series is a stale marker. */
  isStale(seriesId: number): boolean {
    const row = this.#table.rowOf(seriesId);
    return row >= 0 && this.#table.codes[row] === LEVEL && (this.#table.flags[row] & STALE) !== 0;
  }

  /** The last value of a gauge or cumulative series, whatever its age. Undefined if it has none, or has ended. */
  level(seriesId: number): number | undefined {
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || this.#table.codes[row] !== LEVEL) return undefined;
    const isThere = this.#table.cells[row * ROW + COUNT] > 0 && (this.#table.flags[row] & STALE) === 0;
    return isThere ? this.#table.cells[row * ROW + VALUE] : undefined;
  }

  /**
   * The total of an observation's or a delta's series, exposed or not; `sumLow` is what `sum` lacks. Undefined if no sample of it counts.
   * `buckets` (not cumulative) are valid until the next change.
   */
  total(seriesId: number):
    | {
        count: number;
        sum: number;
        sumLow: number;
        buckets: Float64Array;
        createdUs: number;
        arrivedUs: number;
      }
    | undefined {
    const { cells, codes } = this.#table;
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || codes[row] === LEVEL || !(cells[row * ROW + COUNT] > 0)) return undefined;
    return {
      count: cells[row * ROW + COUNT],
      sum: cells[row * ROW + SUM_HIGH],
      sumLow: cells[row * ROW + SUM_LOW],
      buckets: this.#table.bucketsOf(row),
      createdUs: cells[row * ROW + CREATED_US],
      arrivedUs: cells[row * ROW + ARRIVED_US],
    };
  }

  /** The newest exemplar of each bucket of an observation. Undefined if there is none. */
  exemplars(seriesId: number) {
    const row = this.#table.rowOf(seriesId);
    if (row < 0 || this.#table.codes[row] !== OBSERVATION) return undefined;
    return this.#exemplars.of(this.#table.cells[row * ROW + BUCKETS], this.#table.bounds[row].length + 1);
  }

  /** Whether the totals expose a series at `nowUs`. */
  isExposed(seriesId: number, nowUs: number): boolean {
    const row = this.#table.rowOf(seriesId);
    return row >= 0 && this.#isShown(row, nowUs);
  }

  /**
   * Whether a scrape may have seen a series at `atUs`: between its first sample and the time when it left
   * /metrics. A margin on both sides covers stale markers and differences between clocks.
   */
  mayHaveShown(seriesId: number, atUs: number): boolean {
    const row = this.#table.rowOf(seriesId);
    if (row < 0) return false;
    const { cells, flags, codes } = this.#table;
    const cell = row * ROW;
    if (!(cells[cell + COUNT] > 0) || (flags[row] & ENDED) !== 0) return false;
    if (atUs < cells[cell + CREATED_US] - SCRAPE_SLACK_US) return false;
    if ((flags[row] & IN_GROUP) !== 0) return true;
    const { exposeGaugesForMs, seriesIdleMs } = this.#options;
    const idleMs = codes[row] === LEVEL ? exposeGaugesForMs : seriesIdleMs;
    const untilUs =
      (flags[row] & STALE) !== 0 ? cells[cell + VALUE_US] : cells[cell + ARRIVED_US] + idleMs * 1000;
    return atUs <= untilUs + SCRAPE_SLACK_US;
  }

  #isShown(row: number, nowUs: number): boolean {
    const { cells, flags, codes } = this.#table;
    if (!(cells[row * ROW + COUNT] > 0) || (flags[row] & (ENDED | STALE | IN_GROUP)) !== 0) return false;
    const { exposeGaugesForMs, seriesIdleMs } = this.#options;
    const idleMs = codes[row] === LEVEL ? exposeGaugesForMs : seriesIdleMs;
    return cells[row * ROW + ARRIVED_US] > nowUs - idleMs * 1000;
  }

  /** The number of series that changed since the last snapshot. */
  get changedSeries(): number {
    return this.#table.dirtyLength;
  }

  /** The newest timestamp of any sample of a series, live or not, µs. 0 if there is none. */
  lastUs(seriesId: number): number {
    const row = this.#table.rowOf(seriesId);
    return row < 0 ? 0 : this.#table.cells[row * ROW + LAST_US];
  }

  /**
   * The totals of the series that changed since the last call, or of all. If the commit with a snapshot fails, the next
   * snapshot must be whole.
   */
  snapshot(whole: boolean): TotalsSnapshot {
    return snapshotOf(this.#table, this.#table.takeRows(whole), whole);
  }

  /** Restores the records of a snapshot into defined series. Records of other series are skipped. */
  restore(records: readonly TotalsRecord[]): void {
    const { cells, codes, flags } = this.#table;
    for (const record of records) {
      const row = this.#table.rowOf(record.seriesId);
      if (row < 0) continue;
      const cell = row * ROW;
      cells[cell + LAST_US] = record.lastUs;
      const buckets = this.#table.bucketsOf(row);
      // Counts of other buckets cannot be continued. The total starts again.
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

  /** When each job and instance last pushed, as exposed at `nowMs`. */
  lastPushes(nowMs: number): Family[] {
    return this.#lastPushes.families(nowMs);
  }

  /**
   * What is exposed at `nowUs`: families in ascending order of names, and series in ascending order of labels. A task in
   * slices. Each histogram, summary and counter is as of one moment.
   *
   * @param exemplars whether to look them up. Text 0.0.4 has none
   */
  families(nowUs: number, exemplars = true): Generator<void, Family[]> {
    const table = this.#table;
    return this.#exposed.families({
      has: (row) => row >= 0 && this.#isShown(row, nowUs),
      counts: (row) => table.cells[row * ROW + COUNT] > 0 && (table.flags[row] & (ENDED | IN_GROUP)) === 0,
      valueUs: (row) => table.cells[row * ROW + VALUE_US],
      value: (row) => table.cells[row * ROW + (table.codes[row] === LEVEL ? VALUE : SUM_HIGH)],
      count: (row) => table.cells[row * ROW + COUNT],
      createdUs: (row) => table.cells[row * ROW + CREATED_US],
      buckets: (row) => table.bucketsOf(row),
      exemplars: (row) =>
        exemplars
          ? this.#exemplars.of(table.cells[row * ROW + BUCKETS], table.bounds[row].length + 1)
          : undefined,
    });
  }
}

/** Adds to a double-double without losing the rounding error (Knuth's two-sum, then renormalised). */
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

/** The first bucket whose upper bound is not below the value. NaN is in the last one. */
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
