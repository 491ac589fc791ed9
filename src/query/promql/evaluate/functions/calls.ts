/** Function calls: evaluates the arguments that each kind of function takes, and passes them on. */
import { NotSupported } from "../../query-errors.ts";
import { LabelSet } from "../../labels.ts";
import type { Call, Expr, Span, VectorSelector } from "../../parse/ast.ts";
import { withoutParens } from "../../parse/ast.ts";
import { typeOf } from "../../parse/check-types.ts";
import { absent, absentLabels } from "./absent.ts";
import type { Context } from "../context.ts";
import { datePart, elementwise, isDatePart, isElementwise } from "./elementwise.ts";
import type { Evaluator } from "../evaluator.ts";
import { type Grid, timeAt } from "../grid.ts";
import { histogramFraction, histogramQuantile } from "./histograms.ts";
import { labelJoin, labelReplace } from "./label-functions.ts";
import { Matrix } from "../matrix.ts";
import { seriesFunction } from "./over-time.ts";
import { ratesOfEnds, reducedOverTime } from "../reduced.ts";
import { instantVector, overWindows } from "../selectors.ts";
import { eachWindow } from "./window.ts";
import { type ScalarValue, scalarValue, type QueryValue, vectorValue } from "../value.ts";

/** Functions that use only differences between samples: see Selection.totalsAfterMs. */
const RELATIVE = new Set(["rate", "increase", "irate", "resets", "changes", "delta", "idelta", "deriv"]);
const KEEPS_NAME = new Set(["last_over_time", "first_over_time"]);
const NEEDS_COUNTER = new Set(["rate", "increase"]);
const NATIVE_HISTOGRAMS = /^histogram_(avg|count|stddev|stdvar|sum)$/;

export async function call(expr: Call, grid: Grid, evaluator: Evaluator): Promise<QueryValue> {
  const { name, args, span } = expr;
  const { context } = evaluator;
  if (args.some((arg) => typeOf(arg) === "matrix")) return vectorValue(await overTime(expr, grid, evaluator));
  if (NATIVE_HISTOGRAMS.test(name)) {
    throw new NotSupported(
      `${name}() is for native histograms, which are not supported: use the _sum and _count series`,
    );
  }
  if (isElementwise(name)) {
    const scalars = await scalarArguments(args.slice(1), grid, evaluator);
    const matrix = await evaluator.vector(args[0], grid);
    return vectorValue(elementwise(name, matrix, scalars).withoutNames());
  }
  if (isDatePart(name)) {
    const matrix = args.length > 0 ? await evaluator.vector(args[0], grid) : stepTimes(grid, evaluator);
    return vectorValue(datePart(name, matrix).withoutNames());
  }
  switch (name) {
    case "time":
      return scalarValue(Float64Array.from({ length: grid.count }, (_, step) => timeAt(grid, step) / 1000));
    case "pi":
      return scalarValue(new Float64Array(grid.count).fill(Math.PI));
    case "scalar":
      return asScalar(await evaluator.vector(args[0], grid));
    case "vector":
      return vectorValue(oneSeries(await evaluator.scalar(args[0], grid), evaluator));
    case "timestamp":
      return vectorValue(await timestamps(args[0], grid, evaluator));
    case "absent": {
      const labels = absentLabels(withoutParens(args[0]));
      return vectorValue(absent(await evaluator.vector(args[0], grid), labels));
    }
    case "sort":
    case "sort_desc": {
      const matrix = await evaluator.vector(args[0], grid);
      if (grid.count > 1) {
        context.annotations.sortIneffective(span);
        return vectorValue(matrix);
      }
      return vectorValue(sortByValue(matrix, name === "sort_desc"));
    }
    case "label_replace": {
      const [target, replacement, source, expression] = args.slice(1).map((arg) => evaluator.text(arg));
      const matrix = await evaluator.vector(args[0], grid);
      return vectorValue(labelReplace(matrix, { target, replacement, source, expression }));
    }
    case "label_join": {
      const [target, separator, ...sources] = args.slice(1).map((arg) => evaluator.text(arg));
      return vectorValue(labelJoin(await evaluator.vector(args[0], grid), { target, separator, sources }));
    }
    case "histogram_quantile": {
      const quantiles = await evaluator.scalar(args[0], grid);
      const matrix = await evaluator.vector(args[1], grid);
      return vectorValue(
        histogramQuantile(matrix, quantiles, context, { parameter: args[0].span, buckets: args[1].span }),
      );
    }
    case "histogram_fraction": {
      const [lower, upper] = await scalarArguments(args.slice(0, 2), grid, evaluator);
      const matrix = await evaluator.vector(args[2], grid);
      return vectorValue(histogramFraction(matrix, lower, upper, context, args[2].span));
    }
    default:
      throw new NotSupported(`${name}() is not supported`);
  }
}

async function scalarArguments(
  args: readonly Expr[],
  grid: Grid,
  evaluator: Evaluator,
): Promise<Float64Array[]> {
  const values: Float64Array[] = [];
  for (const arg of args) values.push(await evaluator.scalar(arg, grid));
  return values;
}

/** Functions of a range vector, with their scalar arguments on either side. */
async function overTime({ name, args }: Call, grid: Grid, evaluator: Evaluator): Promise<Matrix> {
  const { context } = evaluator;
  const scalars = args.filter((arg) => typeOf(arg) === "scalar");
  const rangeArg = args.find((arg) => typeOf(arg) === "matrix")!;
  const values = await scalarArguments(scalars, grid, evaluator);
  const inner = withoutParens(rangeArg);
  if (inner.type === "matrixSelector") {
    const reduced =
      (await reducedOverTime(name, inner, grid, context)) ?? (await ratesOfEnds(name, inner, grid, context));
    if (reduced !== undefined) {
      noteNonCounters(name, reduced, args[0].span, context);
      return reduced.withoutNames(true);
    }
  }
  const range = await evaluator.range(rangeArg, grid, RELATIVE.has(name));
  if (name === "absent_over_time") {
    const selector = inner.type === "matrixSelector" ? inner.selector : undefined;
    const isThere = eachWindow(() => 1, grid);
    return absent(await overWindows(range, isThere, context), absentLabels(selector));
  }
  const spans = scalars.map((each) => each.span);
  const apply = seriesFunction(name, { values, spans }, grid, context.annotations);
  if (apply === undefined) throw new NotSupported(`${name}() is not supported`);
  const matrix = await overWindows(range, apply, context);
  noteNonCounters(name, matrix, args[0].span, context);
  if (KEEPS_NAME.has(name)) return matrix;
  return matrix.withoutNames(true);
}

/** Notes rates of metrics whose name is not that of a counter. */
function noteNonCounters(name: string, matrix: Matrix, span: Span, { annotations }: Context): void {
  if (!NEEDS_COUNTER.has(name)) return;
  for (const labels of matrix.labels) {
    const metric = labels.get("__name__");
    if (metric !== "" && !/_(total|sum|count|bucket)$/.test(metric)) {
      annotations.possibleNonCounter(metric, span);
    }
  }
}

/** One series without labels. */
function oneSeries(values: Float64Array, { context }: Evaluator): Matrix {
  const matrix = new Matrix(values.length, 1, context.budget);
  matrix.addRow(LabelSet.EMPTY);
  matrix.values.set(values);
  matrix.present.fill(1);
  return matrix;
}

function stepTimes(grid: Grid, evaluator: Evaluator): Matrix {
  const times = Float64Array.from({ length: grid.count }, (_, step) => timeAt(grid, step) / 1000);
  return oneSeries(times, evaluator);
}

/** The values of the only series; NaN in steps with no series or several. */
function asScalar(matrix: Matrix): ScalarValue {
  const values = new Float64Array(matrix.steps).fill(Number.NaN);
  for (let step = 0; step < matrix.steps; step++) {
    let count = 0;
    for (let row = 0; row < matrix.rows; row++) {
      const cell = row * matrix.steps + step;
      if (matrix.present[cell] === 0) continue;
      values[step] = ++count === 1 ? matrix.values[cell] : Number.NaN;
    }
  }
  matrix.release();
  return scalarValue(values);
}

/** The times of a selector's samples; for any other expression, the time of the step. */
async function timestamps(arg: Expr, grid: Grid, evaluator: Evaluator): Promise<Matrix> {
  const inner = withoutParens(arg) as Expr;
  if (inner.type === "vectorSelector") {
    const matrix = await instantVector(inner as VectorSelector, grid, evaluator.context, "timestamps");
    return matrix.withoutNames();
  }
  const matrix = await evaluator.vector(arg, grid);
  for (let cell = 0; cell < matrix.rows * matrix.steps; cell++) {
    matrix.values[cell] = timeAt(grid, cell % matrix.steps) / 1000;
  }
  return matrix.withoutNames();
}

/** sort() and sort_desc(): by value, with NaN last in both directions; equal values keep their order. */
function sortByValue(matrix: Matrix, descending: boolean): Matrix {
  const { values } = matrix;
  const order = matrix.labels.map((_, row) => row);
  return matrix.pick(
    order.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      if (x === y) return 0;
      return x < y !== descending ? -1 : 1;
    }),
  );
}
