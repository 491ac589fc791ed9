/** The window of one series in one step that a function over a range vector sees, and the type of such a function. */
import { type Grid, timeAt } from "../grid.ts";
import type { SeriesFunction } from "./window-plan.ts";

/** One object is reused for all steps of a series: functions read it and must not keep it. */
export interface Window {
  timestampsMs: Float64Array;
  values: Float64Array;
  /** The samples are those at lo ≤ index < hi; at least one. */
  lo: number;
  hi: number;
  /** The time of the step itself, without offset and `@`. */
  evaluationMs: number;
  step: number;
}

/** Returns undefined if there is no result. */
export type RangeFunction = (window: Window) => number | undefined;

/** Applies a function to one window after the other. */
export function eachWindow(apply: RangeFunction, grid: Grid): SeriesFunction {
  return ({ timestampsMs, values }, { lo, hi }, results, present, first) => {
    const window: Window = { timestampsMs, values, lo: 0, hi: 0, evaluationMs: 0, step: 0 };
    let any = false;
    for (let step = 0; step < lo.length; step++) {
      if (lo[step] === hi[step]) continue;
      window.lo = lo[step];
      window.hi = hi[step];
      window.step = step;
      window.evaluationMs = timeAt(grid, step);
      const result = apply(window);
      if (result === undefined) continue;
      results[first + step] = result;
      present[first + step] = 1;
      any = true;
    }
    return any;
  };
}
