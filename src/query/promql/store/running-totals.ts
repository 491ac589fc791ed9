/**
 * Observations and deltas as counters: what a scrape every `stepMs`, on a grid that begins at the epoch, would
 * have seen of them. Counts, sums and buckets hold the rows up to each instant; a total is there from one step
 * before its series' first row, where it is 0, until `idleMs` after its last.
 *
 * What a series had before the range matters too, though rates look at differences: a rate is not extrapolated
 * to below zero, so that it has to be known how far from zero a total is.
 */
import type { SeriesSamples } from "../storage.ts";
import type { Edge, Source } from "./catalog.ts";

export interface TotalsRange {
  /** The first instant that is wanted, and how many there are. */
  readonly firstMs: number;
  readonly count: number;
  readonly stepMs: number;
  readonly idleMs: number;
}

/** What a series had before its rows since the base, as far back as was looked. */
export interface Before {
  /** Its last row; undefined where there is none. */
  readonly lastMs: number | undefined;
  readonly count: number;
  readonly sum: number;
  /** By edge, not cumulative. */
  readonly buckets: Float64Array;
  /** Whether it has any row, however far back. */
  readonly existed: boolean;
}

/** The rows of one series since the base, in the order of time. */
export interface Rows {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
}

/** The first instant after a time, and how many there are up to another. */
export function instantsIn(
  afterMs: number,
  toMs: number,
  stepMs: number,
): { firstMs: number; count: number } {
  const firstMs = Math.floor(afterMs / stepMs) * stepMs + stepMs;
  return { firstMs, count: Math.max(0, Math.floor((toMs - firstMs) / stepMs) + 1) };
}

/** The series that a source shows: one, or one for each bucket. */
export function runningTotals(
  source: Source,
  rows: Rows,
  before: Before,
  range: TotalsRange,
): SeriesSamples[] {
  const life = lifeOf(rows, before, range);
  if (life.instants.length === 0) return [];
  const timestampsMs = Float64Array.from(life.instants, (at) => range.firstMs + at * range.stepMs);
  const stale = life.stale.includes(1) ? Uint8Array.from(life.stale) : undefined;
  const shown = (values: Float64Array) => Float64Array.from(life.instants, (at) => values[at]);
  switch (source.shape) {
    case "count":
      return [{ labels: source.labels, timestampsMs, values: shown(counts(rows, before, range)), stale }];
    case "sum":
      return [{ labels: source.labels, timestampsMs, values: shown(sums(rows, before, range)), stale }];
    default: {
      const byEdge = bucketCounts(rows, source.edges, before, range);
      return source.edges.map(({ labels }, at) => ({
        labels,
        timestampsMs,
        values: shown(byEdge[at]),
        stale,
      }));
    }
  }
}

/** The instants at which a total is there, and those at which it is said to have ended. */
function lifeOf(
  { timestampsMs }: Rows,
  before: Before,
  { firstMs, count, stepMs, idleMs }: TotalsRange,
): { instants: number[]; stale: number[] } {
  const instants: number[] = [];
  const stale: number[] = [];
  let lastMs = before.lastMs ?? Number.NEGATIVE_INFINITY;
  let wasThere = lastMs > firstMs - stepMs - idleMs;
  let next = 0;
  for (let at = 0; at < count; at++) {
    const now = firstMs + at * stepMs;
    while (next < timestampsMs.length && timestampsMs[next] <= now) lastMs = timestampsMs[next++];
    // The instant just before the first row of all: a counter that begins with its first events at 0.
    const isDawn = next === 0 && !before.existed && timestampsMs[0] <= now + stepMs;
    const isThere = isDawn || lastMs > now - idleMs;
    if (isThere || wasThere) {
      instants.push(at);
      stale.push(isThere ? 0 : 1);
    }
    wasThere = isThere;
  }
  return { instants, stale };
}

/** How many rows there are up to each instant. */
function counts(
  { timestampsMs }: Rows,
  before: Before,
  { firstMs, count, stepMs }: TotalsRange,
): Float64Array {
  const totals = new Float64Array(count);
  let next = 0;
  for (let at = 0; at < count; at++) {
    while (next < timestampsMs.length && timestampsMs[next] <= firstMs + at * stepMs) next++;
    totals[at] = before.count + next;
  }
  return totals;
}

/** The sum of the rows up to each instant, kept as two doubles like the totals of /metrics: it must not go back. */
function sums(
  { timestampsMs, values }: Rows,
  before: Before,
  { firstMs, count, stepMs }: TotalsRange,
): Float64Array {
  const totals = new Float64Array(count);
  let next = 0;
  let high = before.sum;
  let low = 0;
  for (let at = 0; at < count; at++) {
    while (next < timestampsMs.length && timestampsMs[next] <= firstMs + at * stepMs) {
      const value = values[next++];
      const sum = high + value;
      const part = sum - high;
      low += high - (sum - part) + (value - part);
      high = sum;
    }
    // An infinite sum leaves no rest.
    totals[at] = Number.isNaN(low) ? high : high + low;
  }
  return totals;
}

/** For each edge how many rows up to each instant are at or below it. */
function bucketCounts(
  { timestampsMs, values }: Rows,
  edges: readonly Edge[],
  before: Before,
  { firstMs, count, stepMs }: TotalsRange,
): Float64Array[] {
  const totals = edges.map(() => new Float64Array(count));
  const running = before.buckets.slice();
  const bounds = Float64Array.from(edges, ({ bound }) => bound);
  let next = 0;
  for (let at = 0; at < count; at++) {
    while (next < timestampsMs.length && timestampsMs[next] <= firstMs + at * stepMs) {
      const edge = firstEdge(bounds, values[next++]);
      if (edge < bounds.length) running[edge]++;
    }
    let total = 0;
    for (let edge = 0; edge < edges.length; edge++) {
      total += running[edge];
      totals[edge][at] = total;
    }
  }
  return totals;
}

/** The first of ascending bounds that is not below the value; NaN is below none but +Inf. */
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
