/**
 * The greatest or least value of windows that move forward. Each sample is processed once, however many windows contain
 * it. Candidates wait in a queue, each better than all that come after it.
 */
import type { SeriesFunction } from "./window-plan.ts";

/** `sign` is 1 for the greatest, -1 for the least. NaN only if all values are NaN; of equal values the first. */
export function slidingExtreme(sign: 1 | -1): SeriesFunction {
  /** Indexes of candidates, and their values. */
  let candidates = new Uint32Array(0);
  let best = new Float64Array(0);
  return ({ values }, { lo, hi }, results, present, out) => {
    // One window needs no queue.
    if (lo.length === 1) {
      if (lo[0] === hi[0]) return false;
      results[out] = extremeOf(values, lo[0], hi[0], sign);
      present[out] = 1;
      return true;
    }
    if (candidates.length < values.length) {
      candidates = new Uint32Array(values.length);
      best = new Float64Array(values.length);
    }
    const [indexes, bests] = [candidates, best];
    let first = 0;
    let last = 0;
    let next = 0;
    let any = false;
    for (let step = 0; step < lo.length; step++) {
      const [begin, end] = [lo[step], hi[step]];
      if (begin === end) continue;
      if (next < begin) next = begin;
      for (; next < end; next++) {
        const value = sign * values[next];
        if (Number.isNaN(value)) continue;
        while (last > first && bests[last - 1] < value) last--;
        indexes[last] = next;
        bests[last++] = value;
      }
      while (first < last && indexes[first] < begin) first++;
      results[out + step] = first < last ? values[indexes[first]] : Number.NaN;
      present[out + step] = 1;
      any = true;
    }
    return any;
  };
}

function extremeOf(values: Float64Array, from: number, to: number, sign: 1 | -1): number {
  let best = Number.NaN;
  let at = from;
  while (at < to && Number.isNaN(best)) best = values[at++];
  if (sign === 1) {
    for (; at < to; at++) if (values[at] > best) best = values[at];
  } else for (; at < to; at++) if (values[at] < best) best = values[at];
  return best;
}
