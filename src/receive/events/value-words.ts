/**
 * Values of events that JSON has no number for, as texts. An export writes them, so that it can be imported again.
 * Only a gauge and a running total may have them: an observation or an increment counts in sums for good, and one
 * NaN would end those. Pure.
 */

/** Prometheus's spellings, and those of JavaScript and Python. */
const WORDS: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Inf", Number.POSITIVE_INFINITY],
  ["+Inf", Number.POSITIVE_INFINITY],
  ["-Inf", Number.NEGATIVE_INFINITY],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["+Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/** The series ends here: Prometheus's stale marker, which is stored without a value. */
export const STALE = "stale";

/** The number that an event of this `type` means by a text; NaN for `STALE`, undefined where it means none. */
export function valueOfWord(value: unknown, type: unknown): number | undefined {
  if (type !== "gauge" && type !== "cumulative") return undefined;
  return value === STALE ? Number.NaN : WORDS.get(value);
}
