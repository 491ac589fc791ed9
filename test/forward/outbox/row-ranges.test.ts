/** Sets of row ids: a range that is lost or counted twice would lose or repeat samples. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { countOf, firstGap, withRange } from "../../../src/forward/outbox/row-ranges.ts";
import type { RowRange } from "../../../src/model/records.ts";
import { runs } from "../../runs.ts";

test("joins ranges that touch or overlap, and keeps the others", () => {
  expect(withRange([], [2, 4])).toEqual([[2, 4]]);
  expect(withRange([[0, 2]], [2, 4])).toEqual([[0, 4]]);
  expect(withRange([[0, 2]], [3, 4])).toEqual([
    [0, 2],
    [3, 4],
  ]);
  expect(
    withRange(
      [
        [0, 2],
        [5, 6],
        [9, 10],
      ],
      [1, 7],
    ),
  ).toEqual([
    [0, 7],
    [9, 10],
  ]);
  expect(withRange([[0, 2]], [7, 7])).toEqual([[0, 2]]);
});

test("finds the first gap, bounded by the wanted rows and by a number", () => {
  const sent: RowRange[] = [
    [0, 2],
    [5, 6],
  ];
  expect(firstGap(sent, 0, 10, 100)).toEqual([2, 5]);
  expect(firstGap(sent, 3, 10, 100)).toEqual([3, 5]);
  expect(firstGap(sent, 5, 10, 2)).toEqual([6, 8]);
  expect(firstGap(sent, 0, 4, 100)).toEqual([2, 4]);
  expect(firstGap(sent, 0, 2, 100)).toBeUndefined();
});

test("has exactly the ids that were added, in any order of the ranges", () => {
  const range = fc.tuple(fc.nat(30), fc.nat(6)).map(([from, length]): RowRange => [from, from + length]);
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), (added) => {
      const wanted = new Set<number>();
      let ranges: RowRange[] = [];
      for (const each of added) {
        ranges = withRange(ranges, each);
        for (let id = each[0]; id < each[1]; id++) wanted.add(id);
      }
      expect(countOf(ranges)).toBe(wanted.size);
      // Sending gap after gap ends with every id.
      for (let gap = firstGap(ranges, 0, 40, 3); gap !== undefined; gap = firstGap(ranges, 0, 40, 3)) {
        for (let id = gap[0]; id < gap[1]; id++) expect(wanted.has(id)).toBe(false);
        ranges = withRange(ranges, gap);
      }
      expect(ranges).toEqual([[0, 40]]);
    }),
    runs(),
  );
});
