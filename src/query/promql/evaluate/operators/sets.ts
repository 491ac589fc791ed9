/** `and`, `or`, `unless`: keeps samples of one vector depending on the samples of the other, step by step. */
import type { SetOperator, VectorMatching } from "../../parse/ast.ts";
import type { Matrix } from "../matrix.ts";
import { type Signature, signatureBy } from "./signatures.ts";

export function combineSets(op: SetOperator, matching: VectorMatching, lhs: Matrix, rhs: Matrix): Matrix {
  const signature = signatureBy(matching);
  if (op !== "or") {
    mask(lhs, occupied(rhs, signature), signature, op === "and");
    rhs.release();
    return lhs.compact();
  }
  mask(rhs, occupied(lhs, signature), signature, false);
  const both = lhs.like(lhs.rows + rhs.rows);
  for (const side of [lhs, rhs]) {
    for (let row = 0; row < side.rows; row++) {
      if (!side.hasSamples(row)) continue;
      const first = both.addRow(side.labels[row]);
      const from = row * side.steps;
      both.values.set(side.values.subarray(from, from + side.steps), first);
      both.present.set(side.present.subarray(from, from + side.steps), first);
    }
    side.release();
  }
  return both.merged();
}

/** By signature: 1 for each step in which any series with it has a sample. */
function occupied(matrix: Matrix, signature: Signature): Map<string, Uint8Array> {
  const steps = new Map<string, Uint8Array>();
  for (let row = 0; row < matrix.rows; row++) {
    const { key } = signature(matrix.labels[row]);
    let taken = steps.get(key);
    if (taken === undefined) {
      taken = new Uint8Array(matrix.steps);
      steps.set(key, taken);
    }
    for (let step = 0; step < matrix.steps; step++) taken[step] |= matrix.present[row * matrix.steps + step];
  }
  return steps;
}

/** Keeps the samples in steps that are occupied for their signature, or those in steps that are not. */
function mask(
  matrix: Matrix,
  taken: ReadonlyMap<string, Uint8Array>,
  signature: Signature,
  keep: boolean,
): void {
  const { steps, present } = matrix;
  for (let row = 0; row < matrix.rows; row++) {
    const other = taken.get(signature(matrix.labels[row]).key);
    for (let step = 0, cell = row * steps; step < steps; step++, cell++) {
      if ((other?.[step] === 1) !== keep) present[cell] = 0;
    }
  }
}
