/** Aggregations that select series and keep them unchanged: topk and bottomk. In an instant query they also sort them. */
import { ExecutionError } from "../../query-errors.ts";
import { formatDecimal } from "../../promql-text.ts";
import type { AggregateGroup } from "./aggregate.ts";
import type { Matrix } from "../matrix.ts";

/** Rows that are chosen for some steps at once: 8 MB. */
const CHOSEN_AT_ONCE = 1_000_000;

export function choose(
  op: "topk" | "bottomk",
  matrix: Matrix,
  groups: readonly AggregateGroup[],
  parameter: Float64Array,
): Matrix {
  const counts = wholeCounts(parameter);
  const sign = op === "topk" ? 1 : -1;
  const chosen = new Uint8Array(matrix.present.length);
  const order: number[] = [];
  const { steps, present, values } = matrix;
  for (const { rows } of groups) {
    const most = counts.reduce((greatest, count) => Math.max(greatest, Math.min(count, rows.length)), 1);
    const stepsAtOnce = Math.max(1, Math.floor(CHOSEN_AT_ONCE / most));
    for (let from = 0; from < steps; from += stepsAtOnce) {
      const to = Math.min(steps, from + stepsAtOnce);
      const best: BestRows[] = [];
      /** By step: a value up to this one is not among the best. NaN: that is not known. */
      const thresholds = new Float64Array(to - from).fill(Number.NaN);
      for (let step = from; step < to; step++)
        best.push(new BestRows(sign, counts[step], (row) => values[row * steps + step]));
      // Row by row, in the order of the memory. Each step has the rows in the order of the group.
      for (const row of rows) {
        for (let at = 0, cell = row * steps + from; at < thresholds.length; at++, cell++) {
          if (present[cell] === 0 || sign * values[cell] <= thresholds[at]) continue;
          best[at].offer(row, values[cell]);
          thresholds[at] = best[at].threshold;
        }
      }
      for (const [at, chosenRows] of best.entries()) {
        for (const row of chosenRows.rows) chosen[row * steps + from + at] = 1;
        if (steps === 1) for (const row of chosenRows.ordered()) order.push(row);
      }
    }
  }
  matrix.present = chosen;
  return steps === 1 ? matrix.pick(order) : matrix.compact();
}

/** The parameter as integers. A value that is not a number, or that upstream's 64 bits cannot hold, is an error. */
function wholeCounts(parameter: Float64Array): Float64Array {
  if (parameter.some(Number.isNaN)) throw new ExecutionError("Parameter value is NaN");
  for (const value of parameter) {
    if (value <= -(2 ** 63)) {
      throw new ExecutionError(`Scalar value ${formatDecimal(value)} underflows int64`);
    }
    if (value >= 2 ** 63) throw new ExecutionError(`Scalar value ${formatDecimal(value)} overflows int64`);
  }
  return parameter.map(Math.trunc);
}

/** The rows of one step with the greatest values, or with `sign` -1 the least. NaN is the worst. */
class BestRows {
  readonly #sign: 1 | -1;
  readonly #count: number;
  readonly #numberOf: (row: number) => number;
  readonly #heap: BoundedHeap;
  /**
   * The value of the worst row. Updated only when it changes, because most rows are not among the best, and each look-up is a
   * cache miss.
   */
  #worst = Number.NaN;

  constructor(sign: 1 | -1, count: number, numberOf: (row: number) => number) {
    this.#sign = sign;
    this.#count = count;
    this.#numberOf = numberOf;
    this.#heap = new BoundedHeap(count, (a, b) => {
      const [x, y] = [sign * numberOf(a), sign * numberOf(b)];
      return Number.isNaN(x) || x < y;
    });
  }

  /** Takes a row if it is better than one of the others. Of equal values the first stays. */
  offer(row: number, value: number): void {
    const worst = this.#worst;
    const sign = this.#sign;
    const heap = this.#heap;
    if (this.#count < 1) return;
    if (!heap.isFull) heap.push(row);
    else if (sign * worst < sign * value || (Number.isNaN(worst) && !Number.isNaN(value)))
      heap.replaceRoot(row);
    else return;
    this.#worst = this.#numberOf(heap.root);
  }

  /** A value, times the sign, up to which nothing is taken any more. NaN if there is none. */
  get threshold(): number {
    if (this.#count < 1) return Number.POSITIVE_INFINITY;
    return this.#heap.isFull ? this.#sign * this.#worst : Number.NaN;
  }

  get rows(): readonly number[] {
    return this.#heap.items;
  }

  /** The best first, NaN last. */
  ordered(): readonly number[] {
    return this.#heap.items.sort((a, b) => {
      const [x, y] = [this.#sign * this.#numberOf(a), this.#sign * this.#numberOf(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      return y - x || 0;
    });
  }
}

/**
 * A binary heap of bounded size with the worst item at its root. It moves items as Go's container/heap does: the moves
 * decide which of several equal items topk() keeps, and dashboards should show the same ones as with Prometheus.
 */
class BoundedHeap {
  readonly items: number[] = [];
  readonly #size: number;
  readonly #worse: (a: number, b: number) => boolean;

  constructor(size: number, worse: (a: number, b: number) => boolean) {
    this.#size = size;
    this.#worse = worse;
  }

  get isFull(): boolean {
    return this.items.length >= this.#size;
  }

  get root(): number {
    return this.items[0];
  }

  push(item: number): void {
    this.items.push(item);
    let at = this.items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#worse(this.items[at], this.items[parent])) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  replaceRoot(item: number): void {
    this.items[0] = item;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.items.length) return;
      if (child + 1 < this.items.length && this.#worse(this.items[child + 1], this.items[child])) child++;
      if (!this.#worse(this.items[child], this.items[at])) return;
      this.#swap(at, child);
      at = child;
    }
  }

  #swap(a: number, b: number): void {
    const { items } = this;
    [items[a], items[b]] = [items[b], items[a]];
  }
}
