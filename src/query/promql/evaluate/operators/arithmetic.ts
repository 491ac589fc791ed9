/** Operators on numbers, on scalars, and between a vector and a scalar. */
import { type BinaryExpr, type BinaryOperator, isComparison } from "../../parse/ast.ts";
import type { Matrix } from "../matrix.ts";

/** The result of an operation on two numbers; comparisons return 1 or 0. */
type NumberOperation = (a: number, b: number) => number;

const OPERATIONS: Record<string, NumberOperation> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
  "^": power,
  atan2: (a, b) => Math.atan2(a, b),
  "==": (a, b) => (a === b ? 1 : 0),
  "!=": (a, b) => (a !== b ? 1 : 0),
  "<": (a, b) => (a < b ? 1 : 0),
  "<=": (a, b) => (a <= b ? 1 : 0),
  ">": (a, b) => (a > b ? 1 : 0),
  ">=": (a, b) => (a >= b ? 1 : 0),
};

/** IEEE 754's pow, where one to any power is one; JavaScript's differs for NaN and infinite exponents. */
function power(base: number, exponent: number): number {
  if (base === 1) return 1;
  if (base === -1 && (exponent === Infinity || exponent === -Infinity)) return 1;
  return base ** exponent;
}

export function numberOperation(op: BinaryOperator): NumberOperation {
  return OPERATIONS[op];
}

export function scalarsOperated(op: BinaryOperator, a: Float64Array, b: Float64Array): Float64Array {
  const operate = numberOperation(op);
  return a.map((value, step) => operate(value, b[step]));
}

/**
 * Combines a vector and a scalar, in the order that `vectorLeft` says. A comparison keeps the samples of the vector for
 * which it is true; with `bool` it returns 1 and 0.
 */
export function vectorAndScalar(
  { op, bool }: BinaryExpr,
  vector: Matrix,
  scalar: Float64Array,
  vectorLeft: boolean,
): Matrix {
  const operate = numberOperation(op);
  const filter = isComparison(op) && !bool;
  const { steps, values, present } = vector;
  for (let row = 0; row < vector.rows; row++) {
    for (let step = 0, cell = row * steps; step < steps; step++, cell++) {
      if (present[cell] === 0) continue;
      const result = vectorLeft ? operate(values[cell], scalar[step]) : operate(scalar[step], values[cell]);
      if (!filter) values[cell] = result;
      else if (result === 0) present[cell] = 0;
    }
  }
  return filter ? vector.compact() : vector.withoutNames();
}
