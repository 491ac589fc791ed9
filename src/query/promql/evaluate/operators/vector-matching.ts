/**
 * Arithmetic and comparison between two vectors. Series match one to one, or many to one with group_left and
 * group_right. Matching is decided once for all steps, by signature, and checked step by step, because series begin and
 * end.
 */
import { ExecutionError } from "../../query-errors.ts";
import { compareLabels, type LabelSet, METRIC_NAME } from "../../labels.ts";
import { type BinaryExpr, isComparison, type VectorMatching } from "../../parse/ast.ts";
import { numberOperation } from "./arithmetic.ts";
import type { Matrix } from "../matrix.ts";
import { rowsBySignature, type Signature, signatureBy } from "./signatures.ts";

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
