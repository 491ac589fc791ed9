/**
 * The times at which a running total exists: from one instant before its very first row, until `idleMs` after a row if
 * no other follows. Then it ends, and returns with the next row.
 */
import type { Before, Instants, TotalRows } from "./running-totals.ts";

/** Runs of instants, by index in a range; the first can begin before the range, and the last can end after it. */
export type Life = readonly { readonly from: number; readonly to: number }[];

export function lifeOf(
  { timestampsMs }: Pick<TotalRows, "timestampsMs">,
  before: Before,
  { firstMs, stepMs }: Instants,
  idleMs: number,
): Life {
  const life: { from: number; to: number }[] = [];
  /** The first instant at or after a time. */
  const atOrAfter = (timeMs: number) => Math.ceil((timeMs - firstMs) / stepMs);
  /** The last instant at which a row of that time still counts: less than `idleMs` after it. */
  const lastFor = (timeMs: number) => atOrAfter(timeMs + idleMs) - 1;
  if (before.lastMs !== undefined) life.push({ from: Number.NEGATIVE_INFINITY, to: lastFor(before.lastMs) });
  for (let row = 0; row < timestampsMs.length; row++) {
    const isFirst = row === 0 && !before.existed;
    const from = atOrAfter(timestampsMs[row]) - (isFirst ? 1 : 0);
    // Rows before the next gap of `idleMs` need no check each.
    while (timestampsMs[row + 1] - timestampsMs[row] < idleMs) row++;
    const to = lastFor(timestampsMs[row]);
    const current = life.at(-1);
    if (current !== undefined && from <= current.to + 1) current.to = Math.max(current.to, to);
    else life.push({ from, to });
  }
  return life;
}
