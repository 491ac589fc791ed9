/** The order of a matrix's rows. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Budget } from "../../../../src/query/promql/evaluate/budget.ts";
import { Matrix } from "../../../../src/query/promql/evaluate/matrix.ts";
import { LabelSet } from "../../../../src/query/promql/labels.ts";
import { runs } from "../../../runs.ts";

const LIMITS = {
  promqlSamplesMax: 1e9,
  promqlSeriesMax: 1e9,
  promqlMemoryBytesMax: 1e9,
  promqlTimeoutMs: 60_000,
};
const STEPS = 3;

/** A matrix with a row for each number: the number is its label, and its value from the second step on. */
function matrixOf(numbers: readonly number[]): Matrix {
  const matrix = new Matrix(STEPS, 0, new Budget(LIMITS));
  for (const number of numbers) {
    const label = String(number).padStart(4, "0");
    const first = matrix.addRow(LabelSet.from([["n", label]]));
    for (let step = 1; step < STEPS; step++) {
      matrix.values[first + step] = number * 10 + step;
      matrix.present[first + step] = 1;
    }
  }
  return matrix;
}

test("sorted rows keep their values and their gaps", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(9_999), { maxLength: 40 }), (numbers) => {
      const matrix = matrixOf(numbers).sorted();
      const rows = matrix.labels.map((labels, row) => ({
        label: labels.get("n"),
        values: [...matrix.values.subarray(row * STEPS, (row + 1) * STEPS)],
        present: [...matrix.present.subarray(row * STEPS, (row + 1) * STEPS)],
      }));
      const want = numbers
        .toSorted((a, b) => a - b)
        .map((number) => ({
          label: String(number).padStart(4, "0"),
          values: [0, number * 10 + 1, number * 10 + 2],
          present: [0, 1, 1],
        }));
      expect(rows).toEqual(want);
    }),
    runs(),
  );
});
