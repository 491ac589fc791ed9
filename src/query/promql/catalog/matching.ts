/**
 * Matchers as they are applied to stored series: labels by the names that Prometheus spells, and bounds by any spelling
 * of their numbers. Most bounds are stored as OpenMetrics spells them (`1.0`), those of remote_write as they were sent,
 * and queries from before Prometheus 3 have `le="1"`.
 */

import { prometheusLabelName } from "../../../model/names.ts";
import type { Labels } from "../../../model/sample.ts";
import { edgeText } from "../../../model/spelling.ts";
import type { Matcher } from "../matchers.ts";

/** A matcher, and the pushed names under which a metric's series can have its label. */
export interface Condition {
  readonly names: readonly string[];
  readonly matcher: Matcher;
}

/** A matcher of a selector, as it is applied to series. */
export function forStored(matcher: Matcher): Matcher {
  const name = prometheusLabelName(matcher.name);
  if (name === "le" || name === "quantile") return forBounds({ ...matcher, name });
  return name === matcher.name ? matcher : { ...matcher, name };
}

function forBounds(matcher: Matcher): Matcher {
  const { operator } = matcher;
  if (operator === "=" || operator === "!=") {
    const value = edgeText(matcher.value);
    const isBound = (other: string) => other === value || edgeText(other) === value;
    return { ...matcher, value, matches: (other) => isBound(other) === (operator === "=") };
  }
  // Of regular expressions, only the choices of a dashboard variable such as `0\.5|1`. All others match as written.
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

/** The value under the first of some names that a series has; empty if it has none. */
export function valueIn(labels: Labels, names: readonly string[]): string {
  // By index: this runs for each series that is checked.
  for (let at = 0; at < names.length; at++) {
    const value = labels.get(names[at]!);
    if (value !== undefined) return value;
  }
  return "";
}
