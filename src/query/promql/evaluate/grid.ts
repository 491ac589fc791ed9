/** The steps of an evaluation: `count` times, `stepMs` apart. All operators process all steps at once. */
import type { TimeShift } from "../parse/ast.ts";

export interface Grid {
  readonly startMs: number;
  /** Positive; has no meaning if there is one step. */
  readonly stepMs: number;
  readonly count: number;
}

export function timeAt(grid: Grid, step: number): number {
  return grid.startMs + step * grid.stepMs;
}

/** The time that a shifted selector looks at in each step: `@` sets it, `offset` moves it. */
export function lookTimes(grid: Grid, shift: TimeShift): Float64Array {
  const times = new Float64Array(grid.count);
  for (let step = 0; step < grid.count; step++) {
    const at = typeof shift.at === "number" ? shift.at : timeAt(grid, step);
    times[step] = at - shift.offsetMs;
  }
  return times;
}

/** The steps of a subquery in `(afterMs, toMs]`: multiples of its step, independent of the query's start. */
export function alignedGrid(afterMs: number, toMs: number, stepMs: number): Grid {
  const startMs = Math.floor(afterMs / stepMs) * stepMs + stepMs;
  const count = startMs > toMs ? 0 : Math.floor((toMs - startMs) / stepMs) + 1;
  return { startMs, stepMs, count };
}
