/**
 * The value that operators pass on: series × steps, row by row in one Float64Array, with one byte per cell that says
 * whether there is a sample. NaN is a value, so it cannot mean that there is none.
 *
 * A matrix belongs to the operator that received it. That operator may change it in place, and releases its memory to
 * the budget when it passes on another matrix.
 */
import { ExecutionError } from "../query-errors.ts";
import { compareLabels, type LabelSet } from "../labels.ts";
import type { Budget } from "./budget.ts";
import { type Grid, timeAt } from "./grid.ts";

/** One series with its samples: parallel arrays of times and values. */
export interface SampledSeries {
  readonly labels: LabelSet;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
}

const BYTES_PER_CELL = 9;
/** An estimate of the memory for a row's labels and bookkeeping. */
const BYTES_PER_ROW = 64;
/** The text of a label is in its label set, in the set's key, and in the answer. */
const BYTES_PER_LABEL_CHARACTER = 4;

export class Matrix {
  readonly steps: number;
  readonly #budget: Budget;
  labels: LabelSet[] = [];
  values: Float64Array;
  present: Uint8Array;
  #bytes = 0;

  constructor(steps: number, rowsExpected: number, budget: Budget) {
    this.steps = steps;
    this.#budget = budget;
    const cells = Math.max(1, rowsExpected) * steps;
    this.#account(cells * BYTES_PER_CELL + rowsExpected * BYTES_PER_ROW);
    this.values = new Float64Array(cells);
    this.present = new Uint8Array(cells);
  }

  get rows(): number {
    return this.labels.length;
  }

  /** Makes room for further rows: to grow row by row copies the others again and again. */
  reserve(rows: number): void {
    const cells = (this.labels.length + rows) * this.steps;
    if (cells > this.values.length) this.#grow(cells);
  }

  /** Adds an empty row; returns the index of its first cell. */
  addRow(labels: LabelSet): number {
    const first = this.labels.length * this.steps;
    if (first + this.steps > this.values.length) this.#grow();
    this.labels.push(labels);
    return first;
  }

  /** Sets a label of a row. Its text counts as memory. */
  setLabel(row: number, name: string, value: string): void {
    this.#account(value.length * BYTES_PER_LABEL_CHARACTER);
    this.labels[row] = this.labels[row].with(name, value);
  }

  /** Counts the memory of labels that a row gets. */
  countLabels(characters: number): void {
    this.#account(characters * BYTES_PER_LABEL_CHARACTER);
  }

  /** Removes the last row, which must be empty. */
  dropLastRow(): void {
    const first = (this.labels.length - 1) * this.steps;
    this.labels.pop();
    this.values.fill(0, first, first + this.steps);
    this.present.fill(0, first, first + this.steps);
  }

  /** Whether a row has any sample. */
  hasSamples(row: number): boolean {
    const first = row * this.steps;
    for (let cell = first; cell < first + this.steps; cell++) if (this.present[cell] !== 0) return true;
    return false;
  }

  /** The samples of a row, with the times of the steps. */
  samplesOf(row: number, grid: Grid): SampledSeries {
    const first = row * this.steps;
    let count = 0;
    for (let step = 0; step < this.steps; step++) count += this.present[first + step];
    const timestampsMs = new Float64Array(count);
    const values = new Float64Array(count);
    let at = 0;
    for (let step = 0; step < this.steps; step++) {
      if (this.present[first + step] === 0) continue;
      timestampsMs[at] = timeAt(grid, step);
      values[at++] = this.values[first + step];
    }
    return { labels: this.labels[row], timestampsMs, values };
  }

  /** The same rows in another order, or some of them. */
  pick(order: readonly number[]): Matrix {
    const { steps } = this;
    const picked = new Matrix(steps, order.length, this.#budget);
    for (const row of order) {
      const to = picked.addRow(this.labels[row]);
      picked.values.set(this.values.subarray(row * steps, (row + 1) * steps), to);
      picked.present.set(this.present.subarray(row * steps, (row + 1) * steps), to);
    }
    this.release();
    return picked;
  }

  /** Returns the matrix without empty rows. */
  compact(): Matrix {
    const kept: number[] = [];
    for (let row = 0; row < this.rows; row++) if (this.hasSamples(row)) kept.push(row);
    return kept.length === this.rows ? this : this.pick(kept);
  }

  /** Returns the rows in the order of the labels. */
  sorted(): Matrix {
    const order = this.labels.map((_, row) => row);
    let inOrder = true;
    for (let row = 1; row < order.length && inOrder; row++) {
      inOrder = compareLabels(this.labels[row - 1], this.labels[row]) <= 0;
    }
    if (!inOrder) this.#reorder(order.sort((a, b) => compareLabels(this.labels[a], this.labels[b])));
    return this;
  }

  /** Reorders all rows without a second matrix: along each cycle of the order, with one row set aside. */
  #reorder(order: readonly number[]): void {
    const { steps, values, present } = this;
    const placed = new Uint8Array(order.length);
    for (let start = 0; start < order.length; start++) {
      if (placed[start] === 1 || order[start] === start) continue;
      const asideValues = values.slice(start * steps, (start + 1) * steps);
      const asidePresent = present.slice(start * steps, (start + 1) * steps);
      let to = start;
      for (let from = order[to]; from !== start; to = from, from = order[to]) {
        values.copyWithin(to * steps, from * steps, (from + 1) * steps);
        present.copyWithin(to * steps, from * steps, (from + 1) * steps);
        placed[to] = 1;
      }
      values.set(asideValues, to * steps);
      present.set(asidePresent, to * steps);
      placed[to] = 1;
    }
    this.labels = order.map((row) => this.labels[row]);
  }

  /** Removes the metric's name from all rows, as most functions do, and merges rows as `merged` does. */
  withoutNames(strict = false): Matrix {
    this.labels = this.labels.map((labels) => labels.withoutName());
    return this.merged(strict);
  }

  /**
   * Merges rows with equal labels into one. Two samples in one step are an error; with `strict`, equal labels alone are
   * an error.
   */
  merged(strict = false): Matrix {
    const rowOf = new Map<string, number>();
    const kept: number[] = [];
    for (let row = 0; row < this.rows; row++) {
      const { key } = this.labels[row];
      const into = rowOf.get(key);
      if (into === undefined) {
        rowOf.set(key, row);
        kept.push(row);
        continue;
      }
      if (strict) throw sameLabels();
      this.#mergeRow(row, into);
    }
    return kept.length === this.rows ? this : this.pick(kept);
  }

  #mergeRow(from: number, into: number): void {
    const { steps, values, present } = this;
    for (let step = 0; step < steps; step++) {
      const source = from * steps + step;
      const target = into * steps + step;
      if (present[source] === 0) continue;
      if (present[target] !== 0) throw sameLabels();
      values[target] = values[source];
      present[target] = 1;
    }
  }

  /** Repeats the only step for each of `steps`. */
  broadcast(steps: number): Matrix {
    const wide = new Matrix(steps, this.rows, this.#budget);
    for (let row = 0; row < this.rows; row++) {
      const first = wide.addRow(this.labels[row]);
      wide.values.fill(this.values[row], first, first + steps);
      wide.present.fill(this.present[row], first, first + steps);
    }
    this.release();
    return wide;
  }

  /** An empty matrix with the same number of steps. */
  like(rowsExpected: number): Matrix {
    return new Matrix(this.steps, rowsExpected, this.#budget);
  }

  /** Returns the memory to the budget; the matrix must not be used afterwards. */
  release(): void {
    this.#budget.free(this.#bytes);
    this.#bytes = 0;
  }

  #grow(wanted = 0): void {
    const cells = Math.max(this.values.length * 2, 16 * this.steps, wanted);
    this.#account((cells - this.values.length) * BYTES_PER_CELL + (cells / this.steps) * BYTES_PER_ROW);
    const values = new Float64Array(cells);
    values.set(this.values);
    const present = new Uint8Array(cells);
    present.set(this.present);
    this.values = values;
    this.present = present;
  }

  #account(bytes: number): void {
    this.#budget.allocate(bytes);
    this.#bytes += bytes;
  }
}

function sameLabels(): ExecutionError {
  return new ExecutionError("vector cannot contain metrics with the same labelset");
}
