/**
 * What rate() and increase() need of running totals: in each window the first and the last instant and the totals
 * there. A day has 5,760 instants and a chart 241 steps: most totals are never looked at, and counters that only
 * grow have no resets between.
 */
import type { WindowEnds, Windows } from "../storage.ts";
import type { Source } from "./catalog.ts";
import { lifeOf } from "./life.ts";
import { type Before, type Instants, type Rows, totalsAt } from "./running-totals.ts";

/** The ends of the windows in the series that a source shows: see `labelsOf`. */
export function windowEnds(
  source: Source,
  rows: Rows,
  before: Before,
  instants: Instants,
  idleMs: number,
  { lookMs, rangeMs }: Windows,
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
    // Times stay ascending where a window is empty: totals are read off in one pass.
    const isEmpty = counts[step] === 0;
    firstTimesMs[step] = isEmpty ? (firstTimesMs[step - 1] ?? firstMs) : firstMs + first * stepMs;
    lastTimesMs[step] = isEmpty ? (lastTimesMs[step - 1] ?? firstMs) : firstMs + last * stepMs;
  }
  if (!counts.some((each) => each > 0)) return [];
  const firsts = totalsAt(source, rows, before, firstTimesMs);
  const lasts = totalsAt(source, rows, before, lastTimesMs);
  return firsts.map((first, at) => ({ counts, firstTimesMs, lastTimesMs, firsts: first, lasts: lasts[at] }));
}
