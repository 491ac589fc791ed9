/**
 * Sorting that lets others run: so many label sets that their order takes a good part of a second are put in order
 * run by run, and the runs are merged, with a pause whenever one would have been long enough.
 */
import { setImmediate } from "node:timers/promises";

/** Compared without a pause: some 5 ms. */
const RUN_LENGTH = 8_192;

/** The items in order; stable. */
export async function sortInTurns<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
  runLength = RUN_LENGTH,
): Promise<Item[]> {
  const runs = [items.slice(0, runLength).sort(compare)];
  for (let from = runLength; from < items.length; from += runLength) {
    await setImmediate();
    runs.push(items.slice(from, from + runLength).sort(compare));
  }
  while (runs.length > 1) {
    // Neighbours, so that equal items stay as they were.
    const merged: Item[][] = [];
    while (runs.length > 0) {
      const [first, second] = runs.splice(0, 2);
      merged.push(second === undefined ? first : await merge(first, second, compare, runLength));
    }
    runs.push(...merged);
  }
  return runs[0];
}

async function merge<Item>(
  first: readonly Item[],
  second: readonly Item[],
  compare: (a: Item, b: Item) => number,
  pauseAfter: number,
): Promise<Item[]> {
  const merged: Item[] = [];
  let [left, right] = [0, 0];
  while (left < first.length && right < second.length) {
    const isLeft = compare(first[left], second[right]) <= 0;
    merged.push(isLeft ? first[left++] : second[right++]);
    if (merged.length % pauseAfter === 0) await setImmediate();
  }
  for (; left < first.length; left++) merged.push(first[left]);
  for (; right < second.length; right++) merged.push(second[right]);
  return merged;
}
