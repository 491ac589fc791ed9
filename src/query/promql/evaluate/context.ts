/** What every operator of one evaluation shares. */
import type { Storage } from "../storage.ts";
import type { Annotations } from "./annotations.ts";
import type { Budget } from "./budget.ts";
import type { Matrix } from "./matrix.ts";

export interface EvaluationOptions {
  /** How far back an instant selector looks for a series' latest sample. */
  readonly lookbackMs: number;
  /** The resolution of subqueries that name none. */
  readonly subqueryStepMs: number;
  /**
   * Upstream's flag `promql-delayed-name-removal`: names go at the very end, so that label_replace() still
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
 * Takes the metric's name off all rows, as most functions do: at once, or in the end if names are removed
 * late. `strict`: equal labels are an error even where no two samples meet.
 */
export function dropNames(matrix: Matrix, context: Context, strict = false): Matrix {
  if (context.delayedNameRemoval) {
    matrix.dropName.fill(true);
    return matrix;
  }
  matrix.labels = matrix.labels.map((labels) => labels.withoutName());
  return matrix.merged(strict);
}

/** Takes off the names that were marked for it: the last thing that happens to a result. */
export function removeMarkedNames(matrix: Matrix): Matrix {
  if (!matrix.dropName.includes(true)) return matrix;
  matrix.labels = matrix.labels.map((labels, row) => (matrix.dropName[row] ? labels.withoutName() : labels));
  return matrix.merged();
}
