/**
 * The labels that a sample had before it was scraped here: removes what Prometheus adds. Pure.
 *
 * A scrape adds the labels of its target, such as `job` and `instance`. remote_write adds `external_labels`. With
 * `honor_labels` a sample's own label wins over the target's, and an empty `instance` counts as its own. Without it
 * the target's label wins, and the sample's own `job` becomes `exported_job`. External labels never replace a label
 * (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config).
 */
import type { Labels } from "../../model/sample.ts";

const EXPORTED = "exported_";
/** Labels that a pushed series may have itself, with the same value as the target. */
const OFTEN_OWN: readonly string[] = ["job", "instance"];

/**
 * The label sets that a sample may have had on /metrics, the most likely first. None if a scrape that adds `added`
 * cannot have produced `labels`.
 *
 * @param added the labels that scraping and writing add to a sample without labels, `job` and `instance` included
 */
export function* labelsBeforeScrape(labels: Labels, added: Labels): Generator<Labels, void, void> {
  const equal: string[] = [];
  for (const [name, value] of added) {
    const own = labels.get(name);
    if (own === value) equal.push(name);
    // Every scraped sample has a label of that name, except that an empty `instance` of its own is not sent.
    else if (own === undefined && name !== "instance") return;
  }
  const exported = equal.filter((name) => labels.has(EXPORTED + name));
  if (exported.length > 0) {
    yield withoutAdded(labels, equal, exported);
    // The sample had the external labels itself: the same Prometheus sent it earlier.
    const target = equal.filter((name) => exported.includes(name) || OFTEN_OWN.includes(name));
    if (target.length < equal.length) yield withoutAdded(labels, target, exported);
  }
  for (const kept of [[], ["job"], ["instance"], OFTEN_OWN, equal]) {
    if (kept.some((name) => !equal.includes(name))) continue;
    const gone = equal.filter((name) => !kept.includes(name));
    // The target's `instance` never appears with the sample's own `job`: that would be `exported_job`.
    if (gone.includes("instance") && !gone.includes("job")) continue;
    yield withoutAdded(labels, gone, []);
  }
}

/** Removes the labels in `gone`, and gives those in `exported` back their names without the prefix. */
function withoutAdded(labels: Labels, gone: readonly string[], exported: readonly string[]): Labels {
  const kept: (readonly [string, string])[] = [];
  for (const pair of labels) {
    const [name, value] = pair;
    if (gone.includes(name)) continue;
    const before = exported.find((other) => name === EXPORTED + other);
    kept.push(before === undefined ? pair : [before, value]);
  }
  return new Map(exported.length === 0 ? kept : kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}
