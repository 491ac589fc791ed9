/**
 * Sorts without blocking the event loop. Sorting many label sets can take most of a second, so they are sorted in runs,
 * and the runs are merged, with a pause after each run and after each run's length of merged items.
 *
 * `/api/v1/series` and `/federate` use it. No benchmark of scripts/bench measures them. With 200,000 label sets, one
 * call of sort() blocks the event loop for 180 ms. This function blocks it for 5 to 10 ms, and takes longer in all.
 */
import { setImmediate } from "node:timers/promises";

/** The number of items that are sorted without a pause: some 5 ms. */
const RUN_LENGTH = 2_048;

/** Returns the items in order; stable. */
export async function sortWithPauses<Item>(
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
    // Merging neighbours keeps equal items in their order.
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
