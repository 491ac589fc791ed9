/**
 * Selectors: storage → matrix. In each step an instant selector takes the latest sample of a series in the last
 * `lookbackMs`, unless a stale marker says that the series ended. A range selector passes the samples of each series to
 * a function, step by step. Both windows are open on the left.
 */
import type { MatrixSelector, VectorSelector } from "../parse/ast.ts";
import type { Selection, SeriesSamples } from "../storage.ts";
import type { Context } from "./context.ts";
import { type Grid, lookTimes } from "./grid.ts";
import { Matrix, type SampledSeries } from "./matrix.ts";
import { type SeriesFunction, WindowPlan } from "./functions/window-plan.ts";

/** A series of a range vector: samples without stale markers. */
export type RangeSeries = SampledSeries;

/** A range vector before a function is applied to its windows: the time and range of each step, and its series. */
export interface RangeVector {
  readonly rangeMs: number;
  readonly lookMs: Float64Array;
  readonly series: AsyncIterable<readonly RangeSeries[]>;
}

/** What a selector reads to look back by `rangeMs` from each of `lookMs`; see Selection about `totalsAfterMs`. */
export function selectionOf(
  { matchers }: VectorSelector,
  lookMs: Float64Array,
  rangeMs: number,
  totalsAfterMs = lookMs[0] - rangeMs,
): Selection {
  return { matchers, afterMs: lookMs[0] - rangeMs, toMs: lookMs[lookMs.length - 1], totalsAfterMs };
}

/** What an instant selector returns: the values of the samples, or their times in seconds. */
type InstantContent = "values" | "timestamps";

export async function instantVector(
  selector: VectorSelector,
  grid: Grid,
  context: Context,
  content: InstantContent = "values",
): Promise<Matrix> {
  const matrix = new Matrix(grid.count, 0, context.budget);
  const lookMs = lookTimes(grid, selector);
  const selection = selectionOf(selector, lookMs, context.lookbackMs, context.totalsAfterMs);
  for await (const batch of context.storage.select(selection, context.budget)) {
    for (const series of batch) takeLatest(matrix, series, lookMs, context.lookbackMs, content);
    await context.budget.pause();
  }
  return matrix.sorted();
}

function takeLatest(
  matrix: Matrix,
  { labels, timestampsMs, values, stale }: SeriesSamples,
  lookMs: Float64Array,
  lookbackMs: number,
  content: InstantContent,
): void {
  const first = matrix.addRow(labels);
  let any = false;
  let next = 0;
  for (let step = 0; step < lookMs.length; step++) {
    const until = lookMs[step];
    while (next < timestampsMs.length && timestampsMs[next] <= until) next++;
    const at = next - 1;
    if (at < 0 || timestampsMs[at] <= until - lookbackMs || stale?.[at] === 1) continue;
    matrix.values[first + step] = content === "values" ? values[at] : timestampsMs[at] / 1000;
    matrix.present[first + step] = 1;
    any = true;
  }
  if (!any) matrix.dropLastRow();
}

/** The samples of a range selector. `relative`: only differences between samples will be used. */
export function rangeVector(
  { selector, rangeMs }: MatrixSelector,
  grid: Grid,
  context: Context,
  relative: boolean,
): RangeVector {
  const lookMs = lookTimes(grid, selector);
  const selection = selectionOf(selector, lookMs, rangeMs, relative ? undefined : context.totalsAfterMs);
  async function* series(): AsyncIterable<readonly RangeSeries[]> {
    for await (const batch of context.storage.select(selection, context.budget)) {
      yield batch.map(withoutStale);
    }
  }
  return { rangeMs, lookMs, series: series() };
}

function withoutStale({ labels, timestampsMs, values, stale }: SeriesSamples): RangeSeries {
  if (stale === undefined || !stale.includes(1)) return { labels, timestampsMs, values };
  const fresh = (_: number, at: number) => stale[at] !== 1;
  return {
    labels,
    timestampsMs: timestampsMs.filter(fresh),
    values: values.filter(fresh),
  };
}

/** Applies a function to the windows of all series. Rows without a result are left out. */
export async function overWindows(
  { rangeMs, lookMs, series }: RangeVector,
  apply: SeriesFunction,
  { budget }: Context,
): Promise<Matrix> {
  const matrix = new Matrix(lookMs.length, 0, budget);
  const plan = new WindowPlan(lookMs, rangeMs);
  for await (const batch of series) {
    plan.forget();
    matrix.reserve(batch.length);
    for (const each of batch) {
      const first = matrix.addRow(each.labels);
      plan.find(each.timestampsMs);
      if (!apply(each, plan, matrix.values, matrix.present, first)) matrix.dropLastRow();
      if (budget.isPauseDue) await budget.pause();
    }
  }
  return matrix.sorted();
}
