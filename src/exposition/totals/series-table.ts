/**
 * The memory of running totals: one row of eight doubles (one cache line) per series, and bucket counts for
 * histograms. Everything grows in `define`, so that adding samples allocates nothing.
 *
 * A series id is not used again while its row exists. Ids are looked up in pages, so that years of pruned ids cost
 * nothing.
 */
import type { Kind, Series } from "../../model/sample.ts";

/** The number of doubles in a row. */
export const ROW = 8;
/** The number of live samples. */
export const COUNT = 0;
/** Observations and deltas: the sum, as two doubles, high and low. Gauges and cumulative series: see VALUE_US. */
export const SUM_HIGH = 1;
export const SUM_LOW = 2;
/** Gauges and cumulative series: the timestamp of the exposed value, µs. */
export const VALUE_US = SUM_HIGH;
/** Gauges and cumulative series: the exposed value. */
export const VALUE = 3;
/** The timestamp of the first live sample, µs. 0 before. */
export const CREATED_US = 4;
/** The newest timestamp of any sample, µs. 0 before. */
export const LAST_US = 5;
/** When the newest live sample arrived, µs. 0 before. */
export const ARRIVED_US = 6;
/** Observations: the position of the bucket counts. */
export const BUCKETS = 7;

/** The bits of a row's flags. */
export const DIRTY = 1;
/** The newest live sample was a stale marker. */
export const STALE = 2;
/** The series is not exposed, because its label was demoted or it is past a limit. Its samples are still added. */
export const ENDED = 4;
/** A group exposes the series, so the totals do not. */
export const IN_GROUP = 8;

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
  /** Ids by row. */
  ids: Uint32Array = new Uint32Array(64);
  codes: Uint8Array = new Uint8Array(64);
  flags: Uint8Array = new Uint8Array(64);
  bucketCounts: Float64Array = new Float64Array(1024);
  /** Rows with the DIRTY bit, in the order in which they were marked. */
  dirty: Uint32Array = new Uint32Array(64);
  dirtyLength = 0;
  /** Bounds by row. The series of a metric share them. */
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

  /** Gives a series a row of zeros, unless it has a row. */
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
    this.ids[row] = seriesId;
    this.codes[row] = code;
    // A reused row stays in `dirty`. Each row is there at most once, so that there is room for all.
    this.flags[row] &= DIRTY;
    this.cells.fill(0, row * ROW, row * ROW + ROW);
    this.bounds[row] = code === OBSERVATION ? this.#layout(metric.buckets) : NO_BOUNDS;
    if (code === OBSERVATION) this.cells[row * ROW + BUCKETS] = this.#takeRun(metric.buckets.length + 1);
    this.#enter(seriesId, row);
    return row;
  }

  /** Removes a series. Its row is used again. Returns the row, or -1. */
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

  /** The number of buckets of a row. 0 if it is no observation. */
  bucketCount(row: number): number {
    return this.codes[row] === OBSERVATION ? this.bounds[row].length + 1 : 0;
  }

  /** A view of the bucket counts of a row, not cumulative. */
  bucketsOf(row: number): Float64Array {
    if (this.codes[row] !== OBSERVATION) return NO_BOUNDS;
    const start = this.cells[row * ROW + BUCKETS];
    return this.bucketCounts.subarray(start, start + this.bounds[row].length + 1);
  }

  markDirty(row: number): void {
    this.flags[row] |= DIRTY;
    this.dirty[this.dirtyLength++] = row;
  }

  /** The rows that changed since the last call, or all rows. No row is dirty afterwards. */
  takeRows(all: boolean): Uint32Array {
    const { series, flags } = this;
    const changed = this.dirty.subarray(0, this.dirtyLength);
    const rows = new Uint32Array(all ? series.length : changed.length);
    let length = 0;
    if (all) {
      for (let row = 0; row < series.length; row++) if (series[row] !== undefined) rows[length++] = row;
    } else {
      for (const row of changed) if (series[row] !== undefined) rows[length++] = row;
    }
    for (const row of changed) flags[row] &= ~DIRTY;
    this.dirtyLength = 0;
    return rows.subarray(0, length);
  }

  #enter(seriesId: number, row: number): void {
    const number = seriesId >>> PAGE_BITS;
    const page = this.#pages[number] ?? new Int32Array(PAGE_MASK + 1).fill(-1);
    if (this.#pages[number] === undefined) this.#pageSizes[number] = 0;
    this.#pages[number] = page;
    this.#pageSizes[number]++;
    page[seriesId & PAGE_MASK] = row;
  }

  /** Makes room for this many rows and buckets in all. */
  reserve(rows: number, buckets: number): void {
    this.#growRows(rows);
    this.#growBuckets(buckets);
  }

  #growRows(length: number): void {
    if (length <= this.codes.length) return;
    const rows = Math.max(length, this.codes.length * 2);
    this.cells = widen(this.cells, new Float64Array(rows * ROW));
    this.ids = widen(this.ids, new Uint32Array(rows));
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
    this.#growBuckets(this.#bucketsLength);
    return start;
  }

  #growBuckets(length: number): void {
    if (length <= this.bucketCounts.length) return;
    const buckets = Math.max(length, this.bucketCounts.length * 2);
    this.bucketCounts = widen(this.bucketCounts, new Float64Array(buckets));
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
