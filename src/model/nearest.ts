/** Finds the name that was probably meant, for "did you mean". Pure. */
import { atOnce } from "./tasks/time-slices.ts";

/**
 * The candidate with the fewest edits to `word`, ignoring case.
 *
 * @param editsMax the most edits of a typing error. The default is a third of the word's length, and at least 2
 * @returns the first of the nearest candidates, or undefined if none is near enough
 */
export function nearest(word: string, candidates: Iterable<string>, editsMax?: number): string | undefined {
  return atOnce(findingNearest(word, candidates, editsMax));
}

/** The candidates that are compared without a pause: 0.1 ms at most, if they are names. */
const COMPARED_AT_A_TIME = 32;

/** The same as a task in slices (tasks/time-slices.ts), for thousands of candidates. */
export function* findingNearest(
  word: string,
  candidates: Iterable<string>,
  editsMax = Math.max(2, Math.floor(word.length / 3)),
): Generator<void, string | undefined> {
  let best: string | undefined;
  let bestEdits = editsMax + 1;
  const asked = word.toLowerCase();
  let compared = 0;
  for (const candidate of candidates) {
    // There may be thousands, so that most must be left out after a few characters.
    if (Math.abs(candidate.length - word.length) >= bestEdits) continue;
    if (++compared % COMPARED_AT_A_TIME === 0) yield;
    const edits = editDistance(asked, candidate.toLowerCase(), bestEdits);
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/**
 * Levenshtein's distance, with two neighbours in reverse order (`tgas` for `tags`) as one edit. Three rows of the table
 * at a time. Infinite if it is `max` or more.
 */
function editDistance(a: string, b: string, max: number): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  let leastBefore = 0;
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isReversed = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const reversed = isReversed ? before[j - 2] + 1 : replaced;
      const edits = Math.min(replaced, reversed, row[j] + 1, next[j - 1] + 1);
      if (edits < least) least = edits;
      next.push(edits);
    }
    // No later row has less, except by an exchange that goes on from the row before.
    if (least >= max && leastBefore + 1 >= max) return Number.POSITIVE_INFINITY;
    leastBefore = least;
    before = row;
    row = next;
  }
  return row[b.length];
}
