/** A number per series: lookups, and the memory when only a few of the ids of many years exist. */
import { expect, test } from "bun:test";
import { SeriesColumn } from "../../../src/model/memory/series-column.ts";

const PAGE_BYTES = 4_096 * 8;

test("returns the last number of a series, and none for other series", () => {
  const column = new SeriesColumn(-1);
  expect([column.get(0), column.get(4_000_000_000)]).toEqual([-1, -1]);
  for (const [id, value] of [
    [0, 5],
    [4_095, 6],
    [4_096, 7],
    [4_000_000_000, 8],
    [0, 9.5],
  ] as const)
    column.set(id, value);
  expect([0, 1, 4_095, 4_096, 4_097, 4_000_000_000].map((id) => column.get(id))).toEqual([
    9.5, -1, 6, 7, -1, 8,
  ]);
});

test("frees the memory of removed numbers, and accepts them again", () => {
  const column = new SeriesColumn(Number.NEGATIVE_INFINITY);
  for (let id = 0; id < 3 * 4_096; id++) column.set(id, id);
  expect(column.bytes).toBe(3 * PAGE_BYTES);
  for (let id = 1; id < 3 * 4_096; id++) column.set(id, Number.NEGATIVE_INFINITY);
  // Again, which changes nothing.
  column.set(5_000, Number.NEGATIVE_INFINITY);
  expect(column.bytes).toBe(PAGE_BYTES);
  expect(column.get(0)).toBe(0);
  column.set(5_000, 1);
  column.set(30_000_000, 2);
  expect(column.bytes).toBe(3 * PAGE_BYTES);
  expect([column.get(5_000), column.get(5_001), column.get(30_000_000)]).toEqual([
    1,
    Number.NEGATIVE_INFINITY,
    2,
  ]);
});
