/**
 * Functions of ranges that a storage can compute without giving the engine the samples: X_over_time over a single step,
 * where the storage computes the number itself; and rates of counters that the storage adds up itself, where the ends
 * of windows are enough. Used only where the result is the same to the last bit, or for sums of events to the last few.
 *
 * `scripts/bench promql` measures both: `max_over_time(m[1d])`, and the p95 by domain over a day of events.
 */
import type { MatrixSelector } from "../parse/ast.ts";
import type { ReducedSeries, Reduction } from "../storage.ts";
import type { Context } from "./context.ts";
import { type Grid, lookTimes } from "./grid.ts";
import { Matrix } from "./matrix.ts";
import { IncreaseOfEnds } from "./functions/rates.ts";
import { selectionOf } from "./selectors.ts";

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

/** The result of the function as computed by the storage; undefined if samples are needed. */
export async function reducedOverTime(
  name: string,
  { selector, rangeMs }: MatrixSelector,
  grid: Grid,
  context: Context,
): Promise<Matrix | undefined> {
  const reducible = Object.hasOwn(REDUCIBLE, name) ? REDUCIBLE[name] : undefined;
  if (reducible === undefined || grid.count !== 1 || context.storage.reduce === undefined) return undefined;
  const selection = selectionOf(selector, lookTimes(grid, selector), rangeMs, context.totalsAfterMs);
  const all = await context.storage.reduce(selection, reducible.reduction, context.budget);
  if (all === undefined) return undefined;
  const matrix = new Matrix(1, all.length, context.budget);
  for (const each of all) {
    const cell = matrix.addRow(each.labels);
    matrix.values[cell] = reducible.valueOf(each);
    matrix.present[cell] = 1;
  }
  return matrix.sorted();
}

/** 36 MB. This bounds only the first allocation, because many series can match without having samples. */
const CELLS_AT_FIRST_MAX = 4_000_000;

/** rate() and increase() from the ends of windows; undefined if samples are needed. */
export async function ratesOfEnds(
  name: string,
  { selector, rangeMs }: MatrixSelector,
  grid: Grid,
  context: Context,
): Promise<Matrix | undefined> {
  if (name !== "rate" && name !== "increase") return undefined;
  const lookMs = lookTimes(grid, selector);
  const windows = { lookMs, rangeMs };
  const found = await context.storage.ends?.(selectionOf(selector, lookMs, rangeMs), windows, context.budget);
  if (found === undefined) return undefined;
  const divisor = name === "rate" ? rangeMs / 1000 : 1;
  const rowsExpected = Math.min(found.seriesMax, Math.floor(CELLS_AT_FIRST_MAX / grid.count));
  const matrix = new Matrix(grid.count, rowsExpected, context.budget);
  const increase = new IncreaseOfEnds(windows);
  for await (const batch of found.batches) {
    for (const { labels, ends } of batch) {
      const first = matrix.addRow(labels);
      if (!increase.write(ends, divisor, matrix.values, matrix.present, first)) matrix.dropLastRow();
    }
    await context.budget.pause();
  }
  return matrix.sorted();
}
