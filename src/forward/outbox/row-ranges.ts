/** Sets of row ids as ascending ranges that do not touch. Pure. */
import type { RowRange } from "../../model/records.ts";

/** The set with a range added. */
export function withRange(ranges: readonly RowRange[], [from, to]: RowRange): RowRange[] {
  if (from >= to) return [...ranges];
  const before = ranges.filter(([, end]) => end < from);
  const behind = ranges.filter(([begin]) => begin > to);
  const touched = ranges.slice(before.length, ranges.length - behind.length);
  const begin = Math.min(from, touched[0]?.[0] ?? from);
  const end = Math.max(to, touched.at(-1)?.[1] ?? to);
  return [...before, [begin, end], ...behind];
}

/** The ids of the set. */
export function countOf(ranges: readonly RowRange[]): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** The first range of ids from `from` up to `to` that the set lacks, of at most `max` ids. Undefined if it has all. */
export function firstGap(
  ranges: readonly RowRange[],
  from: number,
  to: number,
  max: number,
): RowRange | undefined {
  let begin = from;
  for (const [first, end] of ranges) {
    if (end <= begin) continue;
    if (first > begin) return bounded(begin, Math.min(first, to), max);
    begin = end;
  }
  return bounded(begin, to, max);
}

function bounded(from: number, to: number, max: number): RowRange | undefined {
  return from < to ? [from, Math.min(to, from + max)] : undefined;
}
