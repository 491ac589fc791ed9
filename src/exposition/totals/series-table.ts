/**
 * Where running totals live: per series one row of eight doubles (one cache line), and for histograms a run of
 * bucket counts. Everything grows in `define`, so that adding up samples allocates nothing.
 *
 * Series ids are never used again while the table's rows are; ids are found through pages, so that the pruned
 * ids of years cost nothing.
 */
import type { Kind, Series } from "../../model/sample.ts";

/** The doubles of a row. */
export const ROW = 8;
/** Live samples. */
export const COUNT = 0;
/** Observations and deltas: the sum, as an unevaluated sum of two doubles. Gauges and cumulative: see VALUE_US. */
export const SUM_HIGH = 1;
export const SUM_LOW = 2;
/** Gauges and cumulative: the timestamp of the exposed value, µs. */
export const VALUE_US = SUM_HIGH;
/** Gauges and cumulative: the exposed value. */
export const VALUE = 3;
/** The timestamp of the first live sample, µs; 0 before. */
export const CREATED_US = 4;
/** The newest timestamp of any sample, µs; 0 before. */
export const LAST_US = 5;
/** When the newest live sample arrived, µs; 0 before. */
export const ARRIVED_US = 6;
/** Observations: where the bucket counts begin. */
export const BUCKETS = 7;

/** The bits of a row's flags. */
export const DIRTY = 1;
/** The newest live sample was a stale marker. */
export const STALE = 2;
/** The label of the series was demoted, or it is past a limit: it is added up, and not exposed. */
export const ENDED = 4;
/** The series is in a group, which shows it; it is not shown beside that. */
export const HELD = 8;

export const OBSERVATION = 0;
export const DELTA = 1;
/** Gauges and cumulative series: the newest sample is the value. */
export const LEVEL = 2;

const CODES = { observation: OBSERVATION, delta: DELTA, gauge: LEVEL, cumulative: LEVEL } satisfies Record<
  Kind,
  number
>;

const PAGE_BITS = 12;
const PAGE_MASK = (1 << PAGE_BITS) - 1;
const NO_BOUNDS = new Float64Array(0);

export class SeriesTable {
  cells: Float64Array = new Float64Array(64 * ROW);
  codes: Uint8Array = new Uint8Array(64);
  flags: Uint8Array = new Uint8Array(64);
  bucketCounts: Float64Array = new Float64Array(1024);
  /** Rows with the DIRTY bit, in the order in which they got it. */
  dirty: Uint32Array = new Uint32Array(64);
  dirtyLength = 0;
  /** By row. Bounds are shared by the series of a metric. */
  readonly bounds: Float64Array[] = [];
  readonly series: (Series | undefined)[] = [];

  readonly #pages: (Int32Array | undefined)[] = [];
  readonly #pageSizes: number[] = [];
  readonly #freeRows: number[] = [];
  readonly #freeRuns = new Map<number, number[]>();
  readonly #layouts = new WeakMap<readonly number[], Float64Array>();
  #bucketsLength = 0;

  /** The row of a series, or -1. */
  rowOf(seriesId: number): number {
    const page = this.#pages[seriesId >>> PAGE_BITS];
    return page === undefined ? -1 : page[seriesId & PAGE_MASK];
  }

  /** Gives a series a row of zeros; a series that has one keeps it. */
  define(series: Series): number {
    const { seriesId, metric } = series;
    const known = this.rowOf(seriesId);
    if (known >= 0) {
      this.series[known] = series;
      return known;
    }
    const row = this.#freeRows.pop() ?? this.series.length;
    this.#growRows(row + 1);
    const code = CODES[metric.kind];
    this.series[row] = series;
    this.codes[row] = code;
    // A row that changes hands stays in `dirty`: each stands there once at most, so that it has room for all.
    this.flags[row] &= DIRTY;
    this.cells.fill(0, row * ROW, row * ROW + ROW);
    this.bounds[row] = code === OBSERVATION ? this.#layout(metric.buckets) : NO_BOUNDS;
    if (code === OBSERVATION) this.cells[row * ROW + BUCKETS] = this.#takeRun(metric.buckets.length + 1);
    this.#enter(seriesId, row);
    return row;
  }

  /** Takes a series out; its row is used again. Gives the row, or -1. */
  forget(seriesId: number): number {
    const row = this.rowOf(seriesId);
    if (row < 0) return -1;
    const number = seriesId >>> PAGE_BITS;
    if (--this.#pageSizes[number] === 0) this.#pages[number] = undefined;
    else this.#pages[number]![seriesId & PAGE_MASK] = -1;
    this.series[row] = undefined;
    if (this.codes[row] === OBSERVATION) {
      const length = this.bounds[row].length + 1;
      const runs = this.#freeRuns.get(length) ?? [];
      runs.push(this.cells[row * ROW + BUCKETS]);
      this.#freeRuns.set(length, runs);
    }
    this.#freeRows.push(row);
    return row;
  }

  /** The bucket counts of a row, not cumulative; a view. */
  bucketsOf(row: number): Float64Array {
    if (this.codes[row] !== OBSERVATION) return NO_BOUNDS;
    const start = this.cells[row * ROW + BUCKETS];
    return this.bucketCounts.subarray(start, start + this.bounds[row].length + 1);
  }

  markDirty(row: number): void {
    this.flags[row] |= DIRTY;
    this.dirty[this.dirtyLength++] = row;
  }

  /** The rows that changed since the last call, or all rows; none is dirty after it. */
  takeRows(all: boolean): number[] {
    const rows: number[] = [];
    const changed = this.dirty.subarray(0, this.dirtyLength);
    if (all) {
      for (let row = 0; row < this.series.length; row++) if (this.series[row]) rows.push(row);
    } else {
      for (const row of changed) if (this.series[row]) rows.push(row);
    }
    for (const row of changed) this.flags[row] &= ~DIRTY;
    this.dirtyLength = 0;
    return rows;
  }

  #enter(seriesId: number, row: number): void {
    const number = seriesId >>> PAGE_BITS;
    const page = this.#pages[number] ?? new Int32Array(PAGE_MASK + 1).fill(-1);
    if (this.#pages[number] === undefined) this.#pageSizes[number] = 0;
    this.#pages[number] = page;
    this.#pageSizes[number]++;
    page[seriesId & PAGE_MASK] = row;
  }

  #growRows(length: number): void {
    if (length <= this.codes.length) return;
    const rows = this.codes.length * 2;
    this.cells = widen(this.cells, new Float64Array(rows * ROW));
    this.codes = widen(this.codes, new Uint8Array(rows));
    this.flags = widen(this.flags, new Uint8Array(rows));
    this.dirty = widen(this.dirty, new Uint32Array(rows));
  }

  #takeRun(length: number): number {
    const free = this.#freeRuns.get(length)?.pop();
    if (free !== undefined) {
      this.bucketCounts.fill(0, free, free + length);
      return free;
    }
    const start = this.#bucketsLength;
    this.#bucketsLength += length;
    if (this.#bucketsLength > this.bucketCounts.length) {
      this.bucketCounts = widen(
        this.bucketCounts,
        new Float64Array(Math.max(this.bucketCounts.length * 2, this.#bucketsLength)),
      );
    }
    return start;
  }

  #layout(buckets: readonly number[]): Float64Array {
    let layout = this.#layouts.get(buckets);
    if (!layout) {
      layout = Float64Array.from(buckets);
      this.#layouts.set(buckets, layout);
    }
    return layout;
  }
}

function widen<Column extends Float64Array | Uint8Array | Uint32Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
