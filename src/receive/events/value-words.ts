/**
 * Values of events for which JSON has no number, written as texts. An export writes them so that an import reads them
 * back. Only a gauge and a running total can have them: observations and increments are summed for good, and one NaN
 * would make such a sum NaN. Pure.
 */
/** The spellings of Prometheus, JavaScript and Python. */
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

/** The number that a text means in an event of this `type`; NaN for `STALE`, undefined if it means none. */
export function valueOfWord(value: unknown, type: unknown): number | undefined {
  if (type !== "gauge" && type !== "cumulative") return undefined;
  return value === STALE ? Number.NaN : WORDS.get(value);
}
