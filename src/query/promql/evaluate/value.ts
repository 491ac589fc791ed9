/** The value of an expression for all steps of a grid. Range vectors exist only as arguments of a function. */
import type { Matrix } from "./matrix.ts";

export type QueryValue = ScalarValue | VectorValue | StringValue;

export interface ScalarValue {
  readonly type: "scalar";
  /** One value per step. */
  readonly values: Float64Array;
}

interface VectorValue {
  readonly type: "vector";
  readonly matrix: Matrix;
}

interface StringValue {
  readonly type: "string";
  readonly text: string;
}

export const scalarValue = (values: Float64Array): ScalarValue => ({ type: "scalar", values });
export const vectorValue = (matrix: Matrix): VectorValue => ({ type: "vector", matrix });
