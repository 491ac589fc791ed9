/**
 * The cells of some series as columns, which can be sent to another thread. The arrays of all series are one after the
 * other, so that they are a few buffers, however many series there are.
 */
import { CellSum } from "./cell-list.ts";
import type { TrackedSeries } from "./tracked-series.ts";

/** What is read of series: the rows after `earlierMs` up to `baseMs` as one sum, and the cells after that up to `toMs`. */
export interface CellsAsked {
  /** A multiple of COARSE_STEPS steps of the grid. */
  readonly earlierMs: number;
  /** A multiple of the step of the grid, as `toMs`. */
  readonly baseMs: number;
  readonly toMs: number;
}

/** Every array is a copy that belongs to the receiver. */
export interface CellColumns {
  readonly seriesIds: Uint32Array;
  /** By series: the number of its cells. */
  readonly lengths: Uint32Array;
  /** By series: the number of buckets of each cell. */
  readonly widths: Uint32Array;
  /** By series, before the base: the time of the last cell (NaN if there is none), the count, and the sum as two doubles. */
  readonly before: Float64Array;
  readonly beforeBuckets: Float64Array;
  /** By cell. */
  readonly timestampsMs: Float64Array;
  readonly counts: Float64Array;
  readonly highs: Float64Array;
  readonly lows: Float64Array;
  readonly buckets: Uint32Array;
}

/** The cells of one series. */
export interface SeriesCells {
  readonly width: number;
  /** The end of the last cell before the base; undefined if there is none. */
  readonly lastMs: number | undefined;
  readonly count: number;
  readonly high: number;
  readonly low: number;
  readonly beforeBuckets: Float64Array;
  /** The ends of the cells: multiples of the step. */
  readonly timestampsMs: Float64Array;
  readonly counts: Float64Array;
  readonly highs: Float64Array;
  readonly lows: Float64Array;
  readonly buckets: Uint32Array;
}

const BEFORE_NUMBERS = 4;

/** The cells of some series, in their order. */
export function columnsOf(
  series: readonly { readonly seriesId: number; readonly tracked: TrackedSeries }[],
  { earlierMs, baseMs, toMs }: CellsAsked,
  stepMs: number,
): CellColumns {
  const [earlier, base, to] = [earlierMs, baseMs, toMs].map((timeMs) => Math.floor(timeMs / stepMs));
  const sums = series.map(({ tracked }) => tracked.sumOf(earlier!, base!));
  const slices = series.map(({ tracked }) => tracked.fine.slice(base! + 1, to!));
  const before = new Float64Array(series.length * BEFORE_NUMBERS);
  for (const [at, { lastStep, count, high, low }] of sums.entries()) {
    const lastMs = lastStep === undefined ? Number.NaN : lastStep * stepMs;
    before.set([lastMs, count, high, low], at * BEFORE_NUMBERS);
  }
  const timestampsMs = joined(
    slices.map(({ steps }) => steps),
    doubles,
  );
  for (let at = 0; at < timestampsMs.length; at++) timestampsMs[at]! *= stepMs;
  return {
    seriesIds: Uint32Array.from(series, ({ seriesId }) => seriesId),
    lengths: Uint32Array.from(slices, ({ steps }) => steps.length),
    widths: Uint32Array.from(series, ({ tracked }) => tracked.width),
    before,
    beforeBuckets: joined(
      sums.map(({ buckets }) => buckets),
      doubles,
    ),
    timestampsMs,
    counts: joined(
      slices.map(({ counts }) => counts),
      doubles,
    ),
    highs: joined(
      slices.map(({ highs }) => highs),
      doubles,
    ),
    lows: joined(
      slices.map(({ lows }) => lows),
      doubles,
    ),
    buckets: joined(
      slices.map(({ buckets }) => buckets),
      counts,
    ),
  };
}

/** The cells by series. Their arrays are views of the columns. */
export function seriesCells(columns: CellColumns): Map<number, SeriesCells> {
  const found = new Map<number, SeriesCells>();
  let cell = 0;
  let bucket = 0;
  let beforeBucket = 0;
  for (const [at, seriesId] of columns.seriesIds.entries()) {
    const [length, width] = [columns.lengths[at]!, columns.widths[at]!];
    const [lastMs, count, high, low] = columns.before.subarray(
      at * BEFORE_NUMBERS,
      (at + 1) * BEFORE_NUMBERS,
    );
    found.set(seriesId, {
      width,
      lastMs: Number.isNaN(lastMs!) ? undefined : lastMs!,
      count: count!,
      high: high!,
      low: low!,
      beforeBuckets: columns.beforeBuckets.subarray(beforeBucket, beforeBucket + width),
      timestampsMs: columns.timestampsMs.subarray(cell, cell + length),
      counts: columns.counts.subarray(cell, cell + length),
      highs: columns.highs.subarray(cell, cell + length),
      lows: columns.lows.subarray(cell, cell + length),
      buckets: columns.buckets.subarray(bucket, bucket + length * width),
    });
    cell += length;
    bucket += length * width;
    beforeBucket += width;
  }
  return found;
}

/** The buffers of columns, which can be transferred. */
export function buffersOfCells(columns: CellColumns): ArrayBuffer[] {
  return Object.values(columns).map(({ buffer }) => buffer as ArrayBuffer);
}

/** One series that consists of several stored ones, at least one. */
export function mergedCells(parts: readonly SeriesCells[]): SeriesCells {
  const [only, ...others] = parts as [SeriesCells, ...SeriesCells[]];
  if (others.length === 0) return only;
  const width = Math.max(...parts.map((part) => part.width));
  const before = new CellSum(width);
  let lastMs: number | undefined;
  const order: { readonly part: SeriesCells; readonly at: number }[] = [];
  for (const part of parts) {
    addSum(before, part.count, part.high, part.low);
    if (part.lastMs !== undefined) lastMs = Math.max(lastMs ?? part.lastMs, part.lastMs);
    for (const [bucket, count] of part.beforeBuckets.entries()) before.buckets[bucket]! += count;
    for (let at = 0; at < part.timestampsMs.length; at++) order.push({ part, at });
  }
  order.sort((a, b) => a.part.timestampsMs[a.at]! - b.part.timestampsMs[b.at]!);
  const cells: { readonly timeMs: number; readonly sum: CellSum }[] = [];
  for (const { part, at } of order) {
    const timeMs = part.timestampsMs[at]!;
    if (cells.at(-1)?.timeMs !== timeMs) cells.push({ timeMs, sum: new CellSum(width) });
    const { sum } = cells.at(-1)!;
    addSum(sum, part.counts[at]!, part.highs[at]!, part.lows[at]!);
    for (let bucket = 0; bucket < part.width; bucket++)
      sum.buckets[bucket]! += part.buckets[at * part.width + bucket]!;
  }
  const buckets = new Uint32Array(cells.length * width);
  for (const [at, { sum }] of cells.entries()) buckets.set(sum.buckets, at * width);
  return {
    width,
    lastMs,
    count: before.count,
    high: before.high,
    low: before.low,
    beforeBuckets: before.buckets,
    timestampsMs: Float64Array.from(cells, ({ timeMs }) => timeMs),
    counts: Float64Array.from(cells, ({ sum }) => sum.count),
    highs: Float64Array.from(cells, ({ sum }) => sum.high),
    lows: Float64Array.from(cells, ({ sum }) => sum.low),
    buckets,
  };
}

function addSum(sum: CellSum, count: number, value: number, rest: number): void {
  sum.count += count;
  sum.add(value, rest);
}

/** The values of all parts, in an array that `make` makes. */
function joined<Column extends Float64Array | Uint32Array>(
  parts: readonly Column[],
  make: (length: number) => Column,
): Column {
  const all = make(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const doubles = (length: number) => new Float64Array(length);
const counts = (length: number) => new Uint32Array(length);
