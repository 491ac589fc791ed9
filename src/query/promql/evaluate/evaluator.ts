/**
 * Evaluates a planned expression node by node, each node for all steps at once. A node that does not depend on the step
 * is evaluated for one step and copied to all.
 */
import { ExecutionError } from "../query-errors.ts";
import { type Expr, isSetOperator, type Subquery, withoutParens } from "../parse/ast.ts";
import { typeOf } from "../parse/check-types.ts";
import type { Plan } from "../plan.ts";
import { aggregate } from "./operators/aggregate.ts";
import { scalarsOperated, vectorAndScalar } from "./operators/arithmetic.ts";
import { call } from "./functions/calls.ts";
import type { Context } from "./context.ts";
import { alignedGrid, type Grid, lookTimes } from "./grid.ts";
import type { Matrix } from "./matrix.ts";
import { instantVector, type RangeSeries, type RangeVector, rangeVector } from "./selectors.ts";
import { type ScalarValue, scalarValue, type QueryValue, vectorValue } from "./value.ts";
import { combineSets, joinVectors } from "./operators/vector-matching.ts";

export class Evaluator {
  readonly context: Context;
  readonly #plan: Plan;

  constructor(plan: Plan, context: Context) {
    this.#plan = plan;
    this.context = context;
  }

  async evaluate(expr: Expr, grid: Grid): Promise<QueryValue> {
    const { budget } = this.context;
    await budget.pause();
    // Scalars are small, but an expression can have thousands. Their memory is never counted as free.
    if (typeOf(expr) === "scalar") budget.allocate(grid.count * Float64Array.BYTES_PER_ELEMENT);
    if (grid.count > 1 && this.#plan.stepInvariant.has(expr)) {
      const once = await this.#evaluate(expr, { ...grid, count: 1 });
      if (once.type === "vector") return vectorValue(once.matrix.broadcast(grid.count));
      if (once.type === "scalar") return scalarValue(new Float64Array(grid.count).fill(once.values[0]));
      return once;
    }
    return this.#evaluate(expr, grid);
  }

  async vector(expr: Expr, grid: Grid): Promise<Matrix> {
    const value = await this.evaluate(expr, grid);
    if (value.type !== "vector") throw new ExecutionError(`expected an instant vector, got a ${value.type}`);
    return value.matrix;
  }

  async scalar(expr: Expr, grid: Grid): Promise<Float64Array> {
    const value = await this.evaluate(expr, grid);
    if (value.type !== "scalar") throw new ExecutionError(`expected a scalar, got a ${value.type}`);
    return value.values;
  }

  text(expr: Expr): string {
    const inner = withoutParens(expr);
    if (inner.type !== "stringLiteral") throw new ExecutionError(`expected a string, got a ${inner.type}`);
    return inner.value;
  }

  /** The series and windows of a range vector. `relative`: see Selection.totalsAfterMs. */
  async range(expr: Expr, grid: Grid, relative: boolean): Promise<RangeVector> {
    const inner = withoutParens(expr);
    if (inner.type === "matrixSelector") return rangeVector(inner, grid, this.context, relative);
    if (inner.type === "subquery") return this.#subquery(inner, grid);
    throw new ExecutionError(`expected a range vector, got a ${inner.type}`);
  }

  async #evaluate(expr: Expr, grid: Grid): Promise<QueryValue> {
    switch (expr.type) {
      case "parenExpr":
        return this.#evaluate(expr.expr, grid);
      case "numberLiteral":
        return scalarValue(new Float64Array(grid.count).fill(expr.value));
      case "stringLiteral":
        return { type: "string", text: expr.value };
      case "vectorSelector":
        return vectorValue(await instantVector(expr, grid, this.context));
      case "unaryExpr":
        return this.#unary(await this.evaluate(expr.expr, grid), expr.op);
      case "aggregation":
        return vectorValue(await aggregate(expr, grid, this));
      case "call":
        return call(expr, grid, this);
      case "binaryExpr": {
        const lhs = await this.evaluate(expr.lhs, grid);
        const rhs = await this.evaluate(expr.rhs, grid);
        await this.context.budget.pause();
        return this.#binary(expr, lhs, rhs);
      }
      default:
        throw new ExecutionError(`a ${expr.type} is not allowed here`);
    }
  }

  #binary(expr: Expr & { type: "binaryExpr" }, lhs: QueryValue, rhs: QueryValue): QueryValue {
    if (lhs.type === "scalar" && rhs.type === "scalar") {
      return scalarValue(scalarsOperated(expr.op, lhs.values, rhs.values));
    }
    if (lhs.type === "vector" && rhs.type === "vector") {
      return vectorValue(
        isSetOperator(expr.op)
          ? combineSets(expr.op, expr.matching!, lhs.matrix, rhs.matrix)
          : joinVectors(expr, lhs.matrix, rhs.matrix),
      );
    }
    const vectorLeft = lhs.type === "vector";
    const vector = (vectorLeft ? lhs : rhs) as QueryValue & { type: "vector" };
    const scalar = (vectorLeft ? rhs : lhs) as ScalarValue;
    return vectorValue(vectorAndScalar(expr, vector.matrix, scalar.values, vectorLeft));
  }

  #unary(value: QueryValue, op: "+" | "-"): QueryValue {
    if (op === "+" || value.type === "string") return value;
    const values = value.type === "scalar" ? value.values : value.matrix.values;
    for (let cell = 0; cell < values.length; cell++) values[cell] = -values[cell];
    return value.type === "scalar" ? value : vectorValue(value.matrix.withoutNames());
  }

  /** Evaluates a subquery's expression at its own steps, and uses the result as the samples of a range vector. */
  async #subquery(subquery: Subquery, grid: Grid): Promise<RangeVector> {
    const lookMs = lookTimes(grid, subquery);
    const { rangeMs } = subquery;
    const stepMs = subquery.stepMs ?? this.context.subqueryStepMs;
    const inner = alignedGrid(lookMs[0] - rangeMs, lookMs[lookMs.length - 1], stepMs);
    if (inner.count === 0) return { rangeMs, lookMs, series: noSeries() };
    this.context.budget.checkSteps(inner.count);
    const matrix = await this.vector(subquery.expr, inner);
    this.context.budget.countSamples(matrix.rows * matrix.steps);
    return { rangeMs, lookMs, series: seriesOf(matrix, inner) };
  }
}

async function* noSeries(): AsyncIterable<readonly RangeSeries[]> {}

async function* seriesOf(matrix: Matrix, grid: Grid): AsyncIterable<readonly RangeSeries[]> {
  for (let row = 0; row < matrix.rows; row++) yield [matrix.samplesOf(row, grid)];
  matrix.release();
}
