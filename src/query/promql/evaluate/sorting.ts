/** sort() and its variants: the order of an instant vector. */
import { compareText } from "../labels.ts";
import type { Matrix } from "./matrix.ts";

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

/** By the labels named, then by all; digits inside values compare as numbers: `cpu2` before `cpu10`. */
export function sortByLabels(matrix: Matrix, names: readonly string[], descending: boolean): Matrix {
  const order = matrix.labels.map((_, row) => row);
  const sign = descending ? -1 : 1;
  const { labels } = matrix;
  return matrix.pick(
    order.sort((a, b) => {
      for (const name of names) {
        const difference = compareNaturally(labels[a].get(name), labels[b].get(name));
        if (difference !== 0) return sign * difference;
      }
      return sign * compareText(labels[a].key, labels[b].key);
    }),
  );
}

function compareNaturally(a: string, b: string): number {
  if (a === b) return 0;
  const parts = (text: string) => text.match(/\d+|\D+/g) ?? [];
  const [x, y] = [parts(a), parts(b)];
  for (let at = 0; at < Math.min(x.length, y.length); at++) {
    if (x[at] === y[at]) continue;
    const numbers = /^\d/.test(x[at]) && /^\d/.test(y[at]);
    const difference = numbers ? Number(x[at]) - Number(y[at]) : compareText(x[at], y[at]);
    if (difference !== 0) return difference;
  }
  return x.length - y.length || compareText(a, b);
}
