/**
 * Sorting as a task in slices (time-slices.ts). Runs of items are sorted, and merged, with a pause after each run and
 * after each run's length of merged items.
 *
 * No benchmark of scripts/bench measures it. With 200,000 label sets, one call of sort() blocks the event loop for 180 ms.
 * This one blocks it for 5 to 10 ms, and takes longer in all.
 */

/** The number of items that are sorted without a pause: 0.3 to 5 ms. */
const RUN_LENGTH = 1_024;
/** If one list has this many times the items of the other, looking for the place of each takes fewer comparisons. */
const FEW = 32;
/** Items that are inserted without a pause: 0.1 to 0.5 ms. */
const INSERTED_AT_ONCE = 64;

/** Returns the items in order; stable. */
export function* sorting<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
  runLength = RUN_LENGTH,
): Generator<void, Item[]> {
  const runs = [items.slice(0, runLength).sort(compare)];
  for (let from = runLength; from < items.length; from += runLength) {
    yield;
    runs.push(items.slice(from, from + runLength).sort(compare));
  }
  while (runs.length > 1) {
    // Merging neighbours keeps equal items in their order.
    const merged: Item[][] = [];
    while (runs.length > 0) {
      const [first, second] = runs.splice(0, 2);
      merged.push(second === undefined ? first : yield* merging(first, second, compare, runLength));
    }
    runs.push(...merged);
  }
  return runs[0];
}

/** Merges two lists that are in order; stable: of equal items, those of the first list come first. */
export function* merging<Item>(
  first: readonly Item[],
  second: readonly Item[],
  compare: (a: Item, b: Item) => number,
  pauseAfter = RUN_LENGTH,
): Generator<void, Item[]> {
  if (second.length * FEW < first.length) return yield* inserting(first, second, compare);
  const merged: Item[] = [];
  let [left, right] = [0, 0];
  while (left < first.length && right < second.length) {
    const isLeft = compare(first[left], second[right]) <= 0;
    merged.push(isLeft ? first[left++] : second[right++]);
    if (merged.length % pauseAfter === 0) yield;
  }
  for (; left < first.length; left++) merged.push(first[left]);
  for (; right < second.length; right++) merged.push(second[right]);
  return merged;
}

/** As `merging`, if `items` are few. */
function* inserting<Item>(
  list: readonly Item[],
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
): Generator<void, Item[]> {
  const parts: (readonly Item[])[] = [];
  let from = 0;
  for (const [number, item] of items.entries()) {
    if (number % INSERTED_AT_ONCE === INSERTED_AT_ONCE - 1) yield;
    let [low, high] = [from, list.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(list[middle], item) <= 0) low = middle + 1;
      else high = middle;
    }
    parts.push(list.slice(from, low), [item]);
    from = low;
  }
  parts.push(list.slice(from));
  return parts.flat();
}
