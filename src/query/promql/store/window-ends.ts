/**
 * The input of rate() and increase() over running totals: the first and the last instant of each window, and the totals
 * there. A day has 5,760 instants and a chart 241 steps, so most totals are never needed, and counters that only grow
 * have no resets in between.
 *
 * In `scripts/bench promql`, "p95 by domain, a day" over 400,000 events takes 290 CPU-ms with it, and 790 without.
 */
import type { WindowEnds, Windows } from "../storage.ts";
import type { Source } from "../catalog/catalog.ts";
import { lifeOf } from "./life.ts";
import { type Before, type Instants, type TotalCells, type TotalRows, totalsAt } from "./running-totals.ts";
import type { TotalCodes } from "../cells/total-codes.ts";

/**
 * The ends of the windows in the series of a source: see `labelsOf`.
 *
 * @param into buffers for the totals, reused for the sources of one query: new ones for each of thousands of series
 *   would be most of its garbage
 */
export function windowEnds(
  source: Source,
  rows: TotalRows | TotalCells | TotalCodes,
  before: Before,
  instants: Instants,
  idleMs: number,
  { lookMs, rangeMs }: Windows,
  into: Float64Array[],
): WindowEnds[] {
  const steps = lookMs.length;
  const life = lifeOf(rows, before, instants, idleMs);
  const { firstMs, stepMs, count } = instants;
  const counts = new Uint32Array(steps);
  const firstTimesMs = new Float64Array(steps);
  const lastTimesMs = new Float64Array(steps);
  for (let step = 0; step < steps; step++) {
    const after = Math.max(0, Math.floor((lookMs[step] - rangeMs - firstMs) / stepMs) + 1);
    const until = Math.min(count - 1, Math.floor((lookMs[step] - firstMs) / stepMs));
    let first = Number.POSITIVE_INFINITY;
    let last = Number.NEGATIVE_INFINITY;
    for (const run of life) {
      const from = Math.max(run.from, after);
      const to = Math.min(run.to, until);
      if (from > to) continue;
      first = Math.min(first, from);
      last = to;
      counts[step] += to - from + 1;
    }
    // Times stay ascending if a window is empty: totals are read in one pass.
    const isEmpty = counts[step] === 0;
    firstTimesMs[step] = isEmpty ? (firstTimesMs[step - 1] ?? firstMs) : firstMs + first * stepMs;
    lastTimesMs[step] = isEmpty ? (lastTimesMs[step - 1] ?? firstMs) : firstMs + last * stepMs;
  }
  if (!counts.some((each) => each > 0)) return [];
  const { timesMs, firstAt, lastAt } = union(firstTimesMs, lastTimesMs);
  const columns = totalsAt(source, rows, before, timesMs, into);
  return columns.map((totals) => ({ counts, firstTimesMs, lastTimesMs, firstAt, lastAt, totals }));
}

/** The times of two ascending lists, each once, and the indexes of each list's times in the result. */
function union(firstsMs: Float64Array, lastsMs: Float64Array) {
  const timesMs = new Float64Array(firstsMs.length + lastsMs.length);
  const firstAt = new Uint32Array(firstsMs.length);
  const lastAt = new Uint32Array(lastsMs.length);
  let count = 0;
  let first = 0;
  let last = 0;
  while (first < firstsMs.length || last < lastsMs.length) {
    // The first sample of a window is never after its last, so the list of firsts ends first.
    const timeMs = first < firstsMs.length ? Math.min(firstsMs[first], lastsMs[last]) : lastsMs[last];
    while (first < firstsMs.length && firstsMs[first] === timeMs) firstAt[first++] = count;
    while (last < lastsMs.length && lastsMs[last] === timeMs) lastAt[last++] = count;
    timesMs[count++] = timeMs;
  }
  return { timesMs: timesMs.subarray(0, count), firstAt, lastAt };
}
