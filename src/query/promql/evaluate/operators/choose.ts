/** Aggregations that select series and keep them unchanged: topk and bottomk. In an instant query they also sort them. */
import { ExecutionError } from "../../query-errors.ts";
import { formatDecimal } from "../../promql-text.ts";
import type { AggregateGroup } from "./aggregate.ts";
import type { Matrix } from "../matrix.ts";

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
  const { steps } = matrix;
  for (const { rows } of groups) {
    for (let step = 0; step < steps; step++) {
      if (counts[step] < 1) continue;
      const there = rows.filter((row) => matrix.present[row * steps + step] === 1);
      for (const row of bestRows(sign, there, counts[step], (each) => matrix.values[each * steps + step])) {
        chosen[row * steps + step] = 1;
        if (steps === 1) order.push(row);
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

/** The rows with the greatest values, or with `sign` -1 the least: best first, NaN last. */
function bestRows(
  sign: 1 | -1,
  rows: readonly number[],
  count: number,
  valueAt: (row: number) => number,
): readonly number[] {
  const worse = (a: number, b: number) => {
    const [x, y] = [sign * valueAt(a), sign * valueAt(b)];
    return Number.isNaN(x) || x < y;
  };
  const heap = new BoundedHeap(Math.min(count, rows.length), worse);
  // Updated only when it changes, because most rows are not among the best, and each look-up is a cache miss. In
  // `scripts/bench promql`, "topk(10, rate(m[5m]))" takes 3 to 8 CPU-ms more than the rates alone, and 13 to 31 without this.
  let worst = Number.NaN;
  for (const row of rows) {
    const value = valueAt(row);
    if (!heap.isFull) heap.push(row);
    // Of equal values the first stays.
    else if (sign * worst < sign * value || (Number.isNaN(worst) && !Number.isNaN(value)))
      heap.replaceRoot(row);
    else continue;
    worst = valueAt(heap.root);
  }
  return heap.items.sort((a, b) => {
    const [x, y] = [sign * valueAt(a), sign * valueAt(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return y - x || 0;
  });
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
