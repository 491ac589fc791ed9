/**
 * Matchers as they are put to series: labels go by their names as Prometheus spells them, and bounds by either
 * spelling of their numbers. A bound is kept as OpenMetrics spells it (`1.0`), whoever pushed it, and questions from
 * before Prometheus 3 say `le="1"`.
 */

import { prometheusLabelName } from "../../../model/names.ts";
import type { Labels } from "../../../model/sample.ts";
import { edgeText } from "../../../model/spelling.ts";
import type { Matcher } from "../matchers.ts";

/** A matcher, and the names as pushed under which a metric's series may have its label. */
export interface Condition {
  readonly names: readonly string[];
  readonly matcher: Matcher;
}

/** A matcher of a selector, as it is put to series. */
export function forStored(matcher: Matcher): Matcher {
  const name = prometheusLabelName(matcher.name);
  if (name === "le" || name === "quantile") return forBounds({ ...matcher, name });
  return name === matcher.name ? matcher : { ...matcher, name };
}

function forBounds(matcher: Matcher): Matcher {
  const { operator } = matcher;
  if (operator === "=" || operator === "!=") {
    const value = edgeText(matcher.value);
    // Rows from before bounds had one spelling hold others.
    const isBound = (other: string) => other === value || edgeText(other) === value;
    return { ...matcher, value, matches: (other) => isBound(other) === (operator === "=") };
  }
  // Of expressions the choices of a dashboard's variable: `0\.5|1`. What else an expression means is its author's.
  const choices = matcher.value.split("|").map((each) => each.replace(/\\(?=[.+])/g, ""));
  if (!choices.every((each) => /^([+-]?Inf|[\d.e+-]+)$/.test(each))) return matcher;
  const bounds = new Set(choices.map(edgeText));
  const isWanted = operator === "=~";
  return {
    ...matcher,
    matches: (other) => (bounds.has(edgeText(other)) || matcher.matches(other) === isWanted) === isWanted,
  };
}

export function meets(labels: Labels, conditions: readonly Condition[]): boolean {
  for (const { names, matcher } of conditions) if (!matcher.matches(valueIn(labels, names))) return false;
  return true;
}

/** The value under the first of some names; empty where there is none. */
export function valueIn(labels: Labels, names: readonly string[]): string {
  // By index: this runs for each series that is looked at.
  for (let at = 0; at < names.length; at++) {
    const value = labels.get(names[at]!);
    if (value !== undefined) return value;
  }
  return "";
}
