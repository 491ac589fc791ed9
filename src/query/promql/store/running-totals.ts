/**
 * Observations and deltas as counters: the samples that a scrape every `stepMs`, on a grid that begins at the epoch,
 * would have found. Counts, sums and buckets include the rows up to each instant. A total exists from one step before
 * the first row of its series, where it is 0, until `idleMs` after the last.
 *
 * The rows before the range also matter, although rates use differences: a rate is not extrapolated below zero, so it
 * depends on how far a total is from zero.
 */
import type { SeriesSamples } from "../storage.ts";
import type { Edge, Source } from "../catalog/catalog.ts";
import { type Life, lifeOf } from "./life.ts";
import type { TotalCodes } from "../cells/total-codes.ts";

/** The instants of a range: `count` of them from `firstMs` on, `stepMs` apart. */
export interface Instants {
  readonly firstMs: number;
  readonly count: number;
  readonly stepMs: number;
}

/** What a series had before its rows since the base, as far back as it was read. */
export interface Before {
  /** The time of its last row; undefined if there is none. */
  readonly lastMs: number | undefined;
  readonly count: number;
  readonly sum: number;
  /** What rounding left of the sum; 0 if it is unknown. */
  readonly sumRest: number;
  /** By edge, not cumulative. */
  readonly buckets: Float64Array;
  /** Whether it has any row, at any earlier time. */
  readonly existed: boolean;
}

/** The rows of one series since the base, in order of time. */
export interface TotalRows {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
}

/** The same rows, added up by the instants of the grid: those after the instant before, up to each instant. */
export interface TotalCells {
  /** The instants that have rows. */
  readonly timestampsMs: Float64Array;
  readonly counts: Float64Array;
  /** The sum of each instant's rows as two doubles: the sum, and what rounding left of it. */
  readonly highs: Float64Array;
  readonly lows: Float64Array;
  /** The counts of each instant's rows by the bounds of the metric and +Inf. */
  readonly buckets: Uint32Array;
}

/** The instants after one time, up to and including another. */
export function instantsIn(afterMs: number, toMs: number, stepMs: number): Instants {
  const firstMs = Math.floor(afterMs / stepMs) * stepMs + stepMs;
  return { firstMs, count: Math.max(0, Math.floor((toMs - firstMs) / stepMs) + 1), stepMs };
}

/** The series of a source: one, or one for each bucket. */
export function runningTotals(
  source: Source,
  rows: TotalRows | TotalCells | TotalCodes,
  before: Before,
  instants: Instants,
  idleMs: number,
): SeriesSamples[] {
  const life = lifeOf(rows, before, instants, idleMs);
  const { timestampsMs, stale } = samplesOf(life, instants);
  if (timestampsMs.length === 0) return [];
  const totals = totalsAt(source, rows, before, timestampsMs);
  return labelsOf(source).map((labels, at) => ({ labels, timestampsMs, values: totals[at], stale }));
}

/** The label sets of a source, in the order of `totalsAt`. */
export function labelsOf({ shape, labels, edges }: Source) {
  return shape === "buckets" ? edges.map((edge) => edge.labels) : [labels];
}

/** The times of all samples of a life, and which of them are stale markers. */
function samplesOf(
  life: Life,
  { firstMs, count, stepMs }: Instants,
): { timestampsMs: Float64Array; stale: Uint8Array | undefined } {
  const times: number[] = [];
  const marks: number[] = [];
  for (const { from, to } of life) {
    for (let at = Math.max(0, from); at <= Math.min(to, count - 1); at++) times.push(firstMs + at * stepMs);
    if (to + 1 < 0 || to + 1 >= count) continue;
    marks.push(times.length);
    times.push(firstMs + (to + 1) * stepMs);
  }
  const stale = marks.length > 0 ? new Uint8Array(times.length) : undefined;
  for (const at of marks) stale![at] = 1;
  return { timestampsMs: Float64Array.from(times), stale };
}

/**
 * The totals of a source at ascending times: one column, or one for each bucket, cumulative.
 *
 * @param into columns to reuse if they are long enough; new ones are added to it
 */
export function totalsAt(
  source: Source,
  rows: TotalRows | TotalCells | TotalCodes,
  before: Before,
  timesMs: Float64Array,
  into: Float64Array[] = [],
): Float64Array[] {
  const columns = Array.from({ length: source.shape === "buckets" ? source.edges.length : 1 }, (_, at) => {
    if (!(into[at]?.length >= timesMs.length)) into[at] = new Float64Array(timesMs.length);
    return into[at].subarray(0, timesMs.length);
  });
  if ("totalsAt" in rows) rows.totalsAt(source, before, timesMs, columns);
  else if ("counts" in rows) {
    if (source.shape === "count") cellCountsAt(rows, before, timesMs, columns[0]);
    else if (source.shape === "sum") cellSumsAt(rows, before, timesMs, columns[0]);
    else cellBucketsAt(rows, source, before, timesMs, columns);
  } else if (source.shape === "count") countsAt(rows, before, timesMs, columns[0]);
  else if (source.shape === "sum") sumsAt(rows, before, timesMs, columns[0]);
  else bucketsAt(rows, source.edges, before, timesMs, columns);
  return columns;
}

/** The number of rows up to each time. */
function countsAt(
  { timestampsMs }: TotalRows,
  before: Before,
  timesMs: Float64Array,
  totals: Float64Array,
): void {
  let next = 0;
  for (let at = 0; at < timesMs.length; at++) {
    while (next < timestampsMs.length && timestampsMs[next] <= timesMs[at]) next++;
    totals[at] = before.count + next;
  }
}

/** The sum of the rows up to each time, kept as two doubles like the totals of /metrics: it must not decrease. */
function sumsAt(
  { timestampsMs, values }: TotalRows,
  before: Before,
  timesMs: Float64Array,
  totals: Float64Array,
): void {
  let next = 0;
  let high = before.sum;
  let low = before.sumRest;
  for (let at = 0; at < timesMs.length; at++) {
    while (next < timestampsMs.length && timestampsMs[next] <= timesMs[at]) {
      const value = values[next++];
      const sum = high + value;
      const part = sum - high;
      low += high - (sum - part) + (value - part);
      high = sum;
    }
    // An infinite sum has no remainder.
    totals[at] = Number.isNaN(low) ? high : high + low;
  }
}

function cellCountsAt(
  { timestampsMs, counts }: TotalCells,
  before: Before,
  timesMs: Float64Array,
  totals: Float64Array,
): void {
  let next = 0;
  let count = before.count;
  for (let at = 0; at < timesMs.length; at++) {
    while (next < timestampsMs.length && timestampsMs[next] <= timesMs[at]) count += counts[next++];
    totals[at] = count;
  }
}

function cellSumsAt(
  { timestampsMs, highs, lows }: TotalCells,
  before: Before,
  timesMs: Float64Array,
  totals: Float64Array,
): void {
  let next = 0;
  let high = before.sum;
  let low = before.sumRest;
  for (let at = 0; at < timesMs.length; at++) {
    while (next < timestampsMs.length && timestampsMs[next] <= timesMs[at]) {
      const value = highs[next];
      const sum = high + value;
      const part = sum - high;
      low += high - (sum - part) + (value - part) + lows[next++];
      high = sum;
    }
    totals[at] = Number.isNaN(low) ? high : high + low;
  }
}

function cellBucketsAt(
  { timestampsMs, buckets }: TotalCells,
  { edges, metric }: Source,
  before: Before,
  timesMs: Float64Array,
  totals: readonly Float64Array[],
): void {
  const running = before.buckets.slice();
  const edgeOf = edgesOfBuckets(edges, metric.buckets);
  let next = 0;
  for (let at = 0; at < timesMs.length; at++) {
    for (; next < timestampsMs.length && timestampsMs[next] <= timesMs[at]; next++) {
      const first = next * edgeOf.length;
      for (let bucket = 0; bucket < edgeOf.length; bucket++)
        if (edgeOf[bucket] >= 0) running[edgeOf[bucket]] += buckets[first + bucket];
    }
    let total = 0;
    for (let edge = 0; edge < edges.length; edge++) {
      total += running[edge];
      totals[edge][at] = total;
    }
  }
}

/**
 * For each bucket of a metric, the first edge of a query that contains it; -1 if none does. Both have ascending bounds.
 */
export function edgesOfBuckets(edges: readonly Edge[], bounds: readonly number[]): Int32Array {
  const edgeOf = new Int32Array(bounds.length + 1);
  let edge = 0;
  for (let bucket = 0; bucket <= bounds.length; bucket++) {
    const bound = bucket < bounds.length ? bounds[bucket] : Number.POSITIVE_INFINITY;
    while (edge < edges.length && edges[edge].bound < bound) edge++;
    edgeOf[bucket] = edge < edges.length ? edge : -1;
  }
  return edgeOf;
}

/** For each edge, the number of rows up to each time that are at or below it. */
function bucketsAt(
  { timestampsMs, values }: TotalRows,
  edges: readonly Edge[],
  before: Before,
  timesMs: Float64Array,
  totals: readonly Float64Array[],
): void {
  const running = before.buckets.slice();
  const bounds = Float64Array.from(edges, ({ bound }) => bound);
  let next = 0;
  for (let at = 0; at < timesMs.length; at++) {
    while (next < timestampsMs.length && timestampsMs[next] <= timesMs[at]) {
      const edge = firstEdge(bounds, values[next++]);
      if (edge < bounds.length) running[edge]++;
    }
    let total = 0;
    for (let edge = 0; edge < bounds.length; edge++) {
      total += running[edge];
      totals[edge][at] = total;
    }
  }
}

/** The first of ascending bounds that is not below the value; for NaN this is +Inf. */
function firstEdge(bounds: Float64Array, value: number): number {
  let from = 0;
  let to = bounds.length;
  if (Number.isNaN(value)) return bounds[to - 1] === Number.POSITIVE_INFINITY ? to - 1 : to;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (value <= bounds[middle]) to = middle;
    else from = middle + 1;
  }
  return from;
}
