/**
 * Labels of series and alerts as rules handle them: plain objects, as queries return them and receivers get them. An
 * empty value is an absent label.
 */

export type LabelValues = Readonly<Record<string, string>>;

/** A text that only equal labels have, whatever their order. */
export function labelValuesKey(labels: LabelValues): string {
  return JSON.stringify(sortedPairs(labels));
}

/** The same labels in ascending order of their names, without empty values. */
export function sortedLabelValues(labels: LabelValues): LabelValues {
  return Object.fromEntries(sortedPairs(labels));
}

function sortedPairs(labels: LabelValues): (readonly [string, string])[] {
  return Object.entries(labels)
    .filter(([, value]) => value !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
