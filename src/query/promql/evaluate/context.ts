/** What all operators of one evaluation share. */
import type { Storage } from "../storage.ts";
import type { Annotations } from "./annotations.ts";
import type { Budget } from "./budget.ts";
import type { Matrix } from "./matrix.ts";

export interface EvaluationOptions {
  /** How far back an instant selector looks for a series' latest sample. */
  readonly lookbackMs: number;
  /** The resolution of subqueries without one. */
  readonly subqueryStepMs: number;
  /**
   * Upstream's flag `promql-delayed-name-removal`: names are removed at the very end, so that label_replace() still
   * sees them.
   */
  readonly delayedNameRemoval: boolean;
}

export interface Context extends EvaluationOptions {
  readonly storage: Storage;
  readonly budget: Budget;
  readonly annotations: Annotations;
  /** See Selection.totalsAfterMs. */
  readonly totalsAfterMs: number;
}

/**
 * Removes the metric's name from all rows, as most functions do: at once, or at the end if names are removed late.
 * With `strict`, equal labels are an error even if no two samples have the same step.
 */
export function dropNames(matrix: Matrix, context: Context, strict = false): Matrix {
  if (context.delayedNameRemoval) {
    matrix.dropName.fill(true);
    return matrix;
  }
  matrix.labels = matrix.labels.map((labels) => labels.withoutName());
  return matrix.merged(strict);
}

/** Removes the names that were marked for removal. This is the last operation on a result. */
export function removeMarkedNames(matrix: Matrix): Matrix {
  if (!matrix.dropName.includes(true)) return matrix;
  matrix.labels = matrix.labels.map((labels, row) => (matrix.dropName[row] ? labels.withoutName() : labels));
  return matrix.merged();
}
