/** absent() and absent_over_time(): 1 where there is no sample, with the labels that the selector requires. */
import { LabelSet, METRIC_NAME } from "../../labels.ts";
import type { Expr } from "../../parse/ast.ts";
import type { Matrix } from "../matrix.ts";

/** The labels that a selector requires by one equality each; none for other expressions. */
export function absentLabels(expr: Expr | undefined): LabelSet {
  const selector = expr?.type === "matrixSelector" ? expr.selector : expr;
  if (selector?.type !== "vectorSelector") return LabelSet.EMPTY;
  const labels = new Map<string, string>();
  const seen = new Set<string>();
  for (const { name, operator, value } of selector.matchers) {
    if (name === METRIC_NAME) continue;
    if (operator === "=" && !seen.has(name)) labels.set(name, value);
    else labels.delete(name);
    if (operator === "=") seen.add(name);
  }
  return LabelSet.from(labels);
}

export function absent(matrix: Matrix, labels: LabelSet): Matrix {
  const result = matrix.like(1);
  result.addRow(labels);
  result.values.fill(1);
  result.present.fill(1);
  for (let cell = 0; cell < matrix.rows * matrix.steps; cell++) {
    if (matrix.present[cell] === 1) result.present[cell % matrix.steps] = 0;
  }
  matrix.release();
  return result.compact();
}
