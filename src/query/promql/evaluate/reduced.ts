/**
 * X_over_time over a single step: the storage can make the number itself, and no sample has to be read. Only
 * where the result is the same to the last bit, or for sums to the last few.
 */
import type { MatrixSelector } from "../parse/ast.ts";
import type { ReducedSeries, Reduction } from "../storage.ts";
import type { Context } from "./context.ts";
import { type Grid, lookTimes } from "./grid.ts";
import { Matrix } from "./matrix.ts";

interface Reducible {
  readonly reduction: Reduction;
  readonly valueOf: (series: ReducedSeries) => number;
}

const REDUCIBLE: Readonly<Record<string, Reducible>> = {
  max_over_time: { reduction: "max", valueOf: ({ value }) => value },
  min_over_time: { reduction: "min", valueOf: ({ value }) => value },
  sum_over_time: { reduction: "sum", valueOf: ({ value }) => value },
  avg_over_time: { reduction: "sum", valueOf: ({ value, count }) => value / count },
  count_over_time: { reduction: "count", valueOf: ({ count }) => count },
  present_over_time: { reduction: "count", valueOf: () => 1 },
};

/** The function's result as the storage has it; undefined where samples are needed. */
export async function reducedOverTime(
  name: string,
  { selector, rangeMs }: MatrixSelector,
  grid: Grid,
  context: Context,
): Promise<Matrix | undefined> {
  const reducible = Object.hasOwn(REDUCIBLE, name) ? REDUCIBLE[name] : undefined;
  if (reducible === undefined || grid.count !== 1 || context.storage.reduce === undefined) return undefined;
  const [lookMs] = lookTimes(grid, selector);
  const selection = {
    matchers: selector.matchers,
    afterMs: lookMs - rangeMs,
    toMs: lookMs,
    totalsAfterMs: context.totalsAfterMs,
  };
  const all = await context.storage.reduce(selection, reducible.reduction, context.budget);
  if (all === undefined) return undefined;
  // A mean that overflows as a sum is worked out otherwise.
  if (reducible.reduction === "sum" && all.some(({ value }) => Math.abs(value) === Infinity))
    return undefined;
  const matrix = new Matrix(1, all.length, context.budget);
  for (const each of all) {
    const cell = matrix.addRow(each.labels);
    matrix.values[cell] = reducible.valueOf(each);
    matrix.present[cell] = 1;
  }
  return matrix.sorted();
}
