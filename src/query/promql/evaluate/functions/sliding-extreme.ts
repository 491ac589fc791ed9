/**
 * The greatest or least value of windows that move forward. Each sample is processed once, however many windows contain
 * it. Candidates wait in a queue, each better than all that come after it.
 */
import type { RangeFunction } from "./window.ts";

/** `sign` is 1 for the greatest, -1 for the least. NaN only if all values are NaN; of equal values the first. */
export function slidingExtreme(sign: 1 | -1): RangeFunction {
  let series: Float64Array | undefined;
  let candidates = new Uint32Array(0);
  let first = 0;
  let last = 0;
  let next = 0;
  return ({ values, lo, hi }) => {
    if (series !== values) {
      series = values;
      if (candidates.length < values.length) candidates = new Uint32Array(values.length);
      first = last = next = 0;
    }
    for (next = Math.max(next, lo); next < hi; next++) {
      const value = values[next];
      if (Number.isNaN(value)) continue;
      while (last > first && sign * values[candidates[last - 1]] < sign * value) last--;
      candidates[last++] = next;
    }
    while (first < last && candidates[first] < lo) first++;
    return first < last ? values[candidates[first]] : Number.NaN;
  };
}
