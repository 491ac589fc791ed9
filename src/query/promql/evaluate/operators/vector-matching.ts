/**
 * Operations between two vectors. Arithmetic and comparisons match series one to one, or many to one with group_left
 * and group_right; `and`, `or` and `unless` keep the samples of one side depending on those of the other. Matching is
 * decided once for all steps, by signature, and checked step by step, because series begin and end.
 */
import { ExecutionError } from "../../query-errors.ts";
import { compareLabels, type LabelSet, METRIC_NAME } from "../../labels.ts";
import { type BinaryExpr, isComparison, type SetOperator, type VectorMatching } from "../../parse/ast.ts";
import { numberOperation } from "./arithmetic.ts";
import type { Matrix } from "../matrix.ts";

/** Decides which series match: those with equal values of the labels that count. */
type Signature = (labels: LabelSet) => LabelSet;

function signatureBy({ on, labels }: VectorMatching): Signature {
  if (on) {
    const names = new Set(labels);
    return (each) => each.keep(names);
  }
  const names = new Set([...labels, METRIC_NAME]);
  return (each) => each.drop(names);
}

/** The rows of a matrix by signature. */
function rowsBySignature(rows: readonly LabelSet[], signature: Signature): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (let row = 0; row < rows.length; row++) {
    const { key } = signature(rows[row]);
    groups.getOrInsertComputed(key, () => []).push(row);
  }
  return groups;
}

export function joinVectors({ op, bool, matching }: BinaryExpr, lhs: Matrix, rhs: Matrix): Matrix {
  const rule = matching!;
  const swapped = rule.card === "one-to-many";
  // With group_right the sides are swapped for matching, and swapped back for the operation itself.
  const [many, one] = swapped ? [rhs, lhs] : [lhs, rhs];
  const signature = signatureBy(rule);
  const ones = rowsBySignature(one.labels, signature);
  checkOneSide(many, one, ones, rule, swapped ? "left" : "right");
  const join = new Join(many, one, rule, {
    operate: swapped ? (a, b) => numberOperation(op)(b, a) : numberOperation(op),
    filter: isComparison(op) && !bool,
    swapped,
    dropsName: !isComparison(op) || bool,
    dropsIncludedName: bool,
  });
  for (const [key, rows] of rowsBySignature(many.labels, signature)) {
    const partners = ones.get(key);
    if (partners !== undefined) join.group(rows, partners);
  }
  const { result } = join;
  many.release();
  one.release();
  return result.compact().merged();
}

/** On the "one" side, a signature must not have two series at a time, as long as both sides have samples. */
function checkOneSide(
  many: Matrix,
  one: Matrix,
  groups: ReadonlyMap<string, readonly number[]>,
  matching: VectorMatching,
  side: "left" | "right",
): void {
  const { steps } = one;
  let anyInMany: Uint8Array | undefined;
  for (const rows of groups.values()) {
    if (rows.length < 2) continue;
    anyInMany ??= stepsWithSamples(many);
    for (let step = 0; step < steps; step++) {
      if (anyInMany[step] === 0) continue;
      const there = rows.filter((row) => one.present[row * steps + step] === 1);
      if (there.length < 2) continue;
      const [a, b] = there.map((row) => one.labels[row]).sort(compareLabels);
      throw new ExecutionError(
        `found duplicate series for the match group ${signatureBy(matching)(a)} on the ${side} hand-side of the ` +
          `operation: [${a}, ${b}];many-to-many matching not allowed: matching labels must be unique on one side`,
      );
    }
  }
}

function stepsWithSamples(matrix: Matrix): Uint8Array {
  const any = new Uint8Array(matrix.steps);
  for (let cell = 0; cell < matrix.rows * matrix.steps; cell++)
    any[cell % matrix.steps] |= matrix.present[cell];
  return any;
}

interface JoinOptions {
  readonly operate: (many: number, one: number) => number;
  readonly filter: boolean;
  /** The "one" side is on the left. */
  readonly swapped: boolean;
  readonly dropsName: boolean;
  /** A name that group_left or group_right includes is dropped, too. */
  readonly dropsIncludedName: boolean;
}

class Join {
  readonly result: Matrix;
  readonly #many: Matrix;
  readonly #one: Matrix;
  readonly #rule: VectorMatching;
  readonly #options: JoinOptions;
  readonly #resultLabels: Signature;

  constructor(many: Matrix, one: Matrix, rule: VectorMatching, options: JoinOptions) {
    this.#many = many;
    this.#one = one;
    this.#rule = rule;
    this.#options = options;
    this.result = many.like(many.rows);
    this.#resultLabels = resultLabels(rule, options.dropsName);
  }

  /** Joins the series of one signature. */
  group(manyRows: readonly number[], oneRows: readonly number[]): void {
    const oneToOne = this.#rule.card === "one-to-one";
    // The steps that already have a result: of the whole group, or by the labels of the result if many are allowed.
    const taken = new Map<string, Uint8Array>();
    for (const manyRow of manyRows) {
      const base = this.#resultLabels(this.#many.labels[manyRow]);
      for (const oneRow of oneRows) {
        const labels = this.#withIncluded(base, this.#one.labels[oneRow]);
        for (const name of this.#rule.include)
          this.result.countLabels(this.#one.labels[oneRow].get(name).length);
        const key = oneToOne ? "" : labels.key;
        let steps = taken.get(key);
        if (steps === undefined && (manyRows.length > 1 || oneRows.length > 1)) {
          steps = new Uint8Array(this.result.steps);
          taken.set(key, steps);
        }
        this.#pair(manyRow, oneRow, labels, steps);
      }
    }
  }

  #pair(manyRow: number, oneRow: number, labels: LabelSet, taken: Uint8Array | undefined): void {
    const { operate, filter, swapped } = this.#options;
    const { steps } = this.result;
    const many = this.#many;
    const one = this.#one;
    const first = this.result.addRow(labels);
    const { values, present } = this.result;
    for (let step = 0; step < steps; step++) {
      const a = manyRow * steps + step;
      const b = oneRow * steps + step;
      if (many.present[a] === 0 || one.present[b] === 0) continue;
      if (taken !== undefined) {
        // Checked even if the comparison will drop the sample: whether a query is valid must not depend on values.
        if (taken[step] === 1) throw this.#multipleMatches();
        taken[step] = 1;
      }
      const result = operate(many.values[a], one.values[b]);
      if (filter && result === 0) continue;
      // A comparison keeps the value of its left side, whichever vector that is.
      values[first + step] = filter ? (swapped ? one.values[b] : many.values[a]) : result;
      present[first + step] = 1;
    }
  }

  #multipleMatches(): ExecutionError {
    return new ExecutionError(
      this.#rule.card === "one-to-one"
        ? "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
        : "multiple matches for labels: grouping labels must ensure unique matches",
    );
  }

  #withIncluded(labels: LabelSet, one: LabelSet): LabelSet {
    const all = this.#rule.include.reduce((sum, name) => sum.with(name, one.get(name)), labels);
    return this.#options.dropsIncludedName ? all.withoutName() : all;
  }
}

function resultLabels(rule: VectorMatching, withoutName: boolean): Signature {
  const oneToOne = rule.card === "one-to-one";
  const kept = new Set(rule.labels);
  const dropped = new Set(oneToOne && !rule.on ? rule.labels : []);
  if (withoutName) {
    dropped.add(METRIC_NAME);
    kept.delete(METRIC_NAME);
  }
  return oneToOne && rule.on ? (labels) => labels.keep(kept) : (labels) => labels.drop(dropped);
}

/** `and`, `or`, `unless`. */
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
    const taken = steps.getOrInsertComputed(key, () => new Uint8Array(matrix.steps));
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
