/**
 * Aggregations: series are grouped once, by their labels; then the groups are computed for all steps. Aggregations that
 * select series (topk …) are in choose.ts, the others are here.
 */
import { ExecutionError, NotSupported } from "../../query-errors.ts";
import { isLabelName, LabelSet, METRIC_NAME } from "../../labels.ts";
import type { AggregateExpr } from "../../parse/ast.ts";
import { formatDecimal, quoteText } from "../../promql-text.ts";
import { choose } from "./choose.ts";
import type { Evaluator } from "../evaluator.ts";
import type { Grid } from "../grid.ts";
import type { Matrix } from "../matrix.ts";
import { Mean, quantileOfSorted, sortNaNFirst } from "../functions/statistics.ts";

/** The rows of the input that are aggregated to one row of the result. */
export interface AggregateGroup {
  readonly labels: LabelSet;
  readonly rows: number[];
}

export async function aggregate(expr: AggregateExpr, grid: Grid, evaluator: Evaluator): Promise<Matrix> {
  const { op, param } = expr;
  const { annotations, budget } = evaluator.context;
  switch (op) {
    case "topk":
    case "bottomk": {
      const parameter = await evaluator.scalar(param!, grid);
      const matrix = await evaluator.vector(expr.expr, grid);
      return choose(op, matrix, groupsOf(matrix, expr), parameter);
    }
    case "count_values": {
      const label = evaluator.text(param!);
      if (!isLabelName(label)) throw new ExecutionError(`invalid label name ${quoteText(label)}`);
      return countValues(await evaluator.vector(expr.expr, grid), expr, label);
    }
    case "quantile": {
      const quantiles = await evaluator.scalar(param!, grid);
      for (const quantile of quantiles) {
        if (!(quantile >= 0 && quantile <= 1)) annotations.quantileOutOfRange(quantile, param!.span);
      }
      const matrix = await evaluator.vector(expr.expr, grid);
      return combine(matrix, expr, (values, step) => quantileOfSorted(quantiles[step], sortNaNFirst(values)));
    }
    default: {
      const matrix = await evaluator.vector(expr.expr, grid);
      await budget.pause();
      if (op === "sum") return sum(matrix, expr);
      const combiner = COMBINERS[op];
      if (combiner === undefined) throw new NotSupported(`the aggregation ${op} is not supported`);
      return combine(matrix, expr, combiner);
    }
  }
}

/** The labels of a group: those named by `by`, or all labels except those named by `without` and the name. */
function groupLabels({ grouping, without }: AggregateExpr): (labels: LabelSet) => LabelSet {
  if (without) {
    const names = new Set([...grouping, METRIC_NAME]);
    return (labels) => labels.drop(names);
  }
  if (grouping.length === 0) return () => LabelSet.EMPTY;
  const names = new Set(grouping);
  return (labels) => labels.keep(names);
}

/** The groups, in the order of their first series. */
function groupsOf(matrix: Matrix, expr: AggregateExpr): AggregateGroup[] {
  const labelsOf = groupLabels(expr);
  const groups = new Map<string, AggregateGroup>();
  for (let row = 0; row < matrix.rows; row++) {
    const labels = labelsOf(matrix.labels[row]);
    groups.getOrInsertComputed(labels.key, () => ({ labels, rows: [] })).rows.push(row);
  }
  return [...groups.values()];
}

/** Computes one value from those of a group in a step, in the order of the rows; it may change the array. */
type Combiner = (values: Float64Array, step: number) => number;

const COMBINERS: Record<string, Combiner> = {
  avg: (values) => {
    const mean = new Mean(values[0]);
    for (let at = 1; at < values.length; at++) mean.add(values[at]);
    return mean.mean;
  },
  count: (values) => values.length,
  group: () => 1,
  min: (values) => extreme(values, (value, best) => value < best),
  max: (values) => extreme(values, (value, best) => value > best),
  stdvar: populationVariance,
  stddev: (values) => Math.sqrt(populationVariance(values)),
};

/** NaN only if all values are NaN. */
function extreme(values: Float64Array, better: (value: number, best: number) => boolean): number {
  let best = values[0];
  for (let at = 1; at < values.length; at++) {
    if (better(values[at], best) || Number.isNaN(best)) best = values[at];
  }
  return best;
}

/** Welford's method. If the first value is infinite, the result is NaN. */
function populationVariance(values: Float64Array): number {
  let mean = values[0];
  let squares = Number.isFinite(mean) ? 0 : Number.NaN;
  for (let at = 1; at < values.length; at++) {
    const delta = values[at] - mean;
    mean += delta / (at + 1);
    squares += delta * (values[at] - mean);
  }
  return squares / values.length;
}

/**
 * Adds up the rows of each group, row by row, which reads the matrix in the order of its memory. The result is that of a
 * sum by step: each step's values are added in the order of the rows.
 */
function sum(matrix: Matrix, expr: AggregateExpr): Matrix {
  const groups = groupsOf(matrix, expr);
  const result = matrix.like(groups.length);
  const { steps, values, present } = matrix;
  const compensations = new Float64Array(steps);
  for (const { labels, rows } of groups) {
    const first = result.addRow(labels);
    const { values: sums, present: has } = result;
    compensations.fill(0);
    for (const row of rows) {
      let cell = row * steps;
      for (let step = 0; step < steps; step++, cell++) {
        if (present[cell] === 0) continue;
        const value = values[cell];
        const at = first + step;
        if (has[at] === 0) {
          has[at] = 1;
          sums[at] = value;
          continue;
        }
        // As CompensatedSum.
        const before = sums[at];
        const total = before + value;
        if (total === Infinity || total === -Infinity) compensations[step] = 0;
        else if (Math.abs(before) >= Math.abs(value)) compensations[step] += before - total + value;
        else compensations[step] += value - total + before;
        sums[at] = total;
      }
    }
    for (let step = 0; step < steps; step++) {
      if (Number.isFinite(sums[first + step])) sums[first + step] += compensations[step];
    }
  }
  matrix.release();
  return result;
}

function combine(matrix: Matrix, expr: AggregateExpr, combiner: Combiner): Matrix {
  const groups = groupsOf(matrix, expr);
  const result = matrix.like(groups.length);
  const { steps, values, present } = matrix;
  for (const { labels, rows } of groups) {
    const first = result.addRow(labels);
    const buffer = new Float64Array(rows.length);
    for (let step = 0; step < steps; step++) {
      let count = 0;
      for (let at = 0; at < rows.length; at++) {
        const cell = rows[at] * steps + step;
        if (present[cell] === 1) buffer[count++] = values[cell];
      }
      if (count === 0) continue;
      result.values[first + step] = combiner(
        count === buffer.length ? buffer : buffer.subarray(0, count),
        step,
      );
      result.present[first + step] = 1;
    }
  }
  matrix.release();
  return result;
}

/** Counts the series of a group by value; the value becomes a label. */
function countValues(matrix: Matrix, expr: AggregateExpr, label: string): Matrix {
  const grouping = expr.without ? expr.grouping : [...expr.grouping, label];
  const labelsOf = groupLabels({ ...expr, grouping });
  const result = matrix.like(matrix.rows);
  const rowOf = new Map<string, number>();
  const { steps, values, present } = matrix;
  for (let row = 0; row < matrix.rows; row++) {
    for (let step = 0; step < steps; step++) {
      if (present[row * steps + step] === 0) continue;
      const labels = labelsOf(matrix.labels[row].with(label, formatDecimal(values[row * steps + step])));
      const first = rowOf.getOrInsertComputed(labels.key, () => result.addRow(labels));
      result.values[first + step]++;
      result.present[first + step] = 1;
    }
  }
  matrix.release();
  return result;
}
