/** Signatures decide which series match in a binary operation: the values of the labels that count are equal. */
import { type LabelSet, METRIC_NAME } from "../../labels.ts";
import type { VectorMatching } from "../../parse/ast.ts";

export type Signature = (labels: LabelSet) => LabelSet;

export function signatureBy({ on, labels }: VectorMatching): Signature {
  if (on) {
    const names = new Set(labels);
    return (each) => each.keep(names);
  }
  const names = new Set([...labels, METRIC_NAME]);
  return (each) => each.drop(names);
}

/** The rows of a matrix by signature. */
export function rowsBySignature(rows: readonly LabelSet[], signature: Signature): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (let row = 0; row < rows.length; row++) {
    const { key } = signature(rows[row]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}
