/** The steps at which an expression is evaluated: `count` times, `stepMs` apart. All operators work on all steps at once. */
import type { TimeShift } from "../parse/ast.ts";

export interface Grid {
  readonly startMs: number;
  /** Positive; without meaning where there is one step. */
  readonly stepMs: number;
  readonly count: number;
}

export function timeAt(grid: Grid, step: number): number {
  return grid.startMs + step * grid.stepMs;
}

/** The time that a shifted selector looks at in each step: `@` fixes it, `offset` moves it. */
export function lookTimes(grid: Grid, shift: TimeShift): Float64Array {
  const times = new Float64Array(grid.count);
  for (let step = 0; step < grid.count; step++) {
    const at = typeof shift.at === "number" ? shift.at : timeAt(grid, step);
    times[step] = at - shift.offsetMs;
  }
  return times;
}

/** The steps of a subquery that fall into `(afterMs, toMs]`: multiples of its step, whatever the query's start. */
export function alignedGrid(afterMs: number, toMs: number, stepMs: number): Grid {
  const startMs = Math.floor(afterMs / stepMs) * stepMs + stepMs;
  const count = startMs > toMs ? 0 : Math.floor((toMs - startMs) / stepMs) + 1;
  return { startMs, stepMs, count };
}
