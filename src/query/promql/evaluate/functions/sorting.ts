/** sort() and sort_desc(): the order of an instant vector. */
import type { Matrix } from "../matrix.ts";

/** By value, with NaN last in both directions; equal values keep their order. */
export function sortByValue(matrix: Matrix, descending: boolean): Matrix {
  const { values } = matrix;
  const order = matrix.labels.map((_, row) => row);
  return matrix.pick(
    order.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
      if (x === y) return 0;
      return x < y !== descending ? -1 : 1;
    }),
  );
}
