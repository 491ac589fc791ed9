/**
 * The labels of a sample before it was scraped from here: what Prometheus adds on the way, taken off again. Pure.
 *
 * A scrape adds the labels of its target, `job` and `instance` among them; writing adds `external_labels`. With
 * `honor_labels` a sample's own label wins over the target's, and an empty `instance` counts as its own; without it
 * the target's wins, and the sample's own `job` becomes `exported_job`. External labels never replace a label
 * (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config).
 */
import type { Labels } from "../../model/sample.ts";

const EXPORTED = "exported_";
/** Labels that a pushed series may have itself, equal to the target's. */
const OFTEN_OWN: readonly string[] = ["job", "instance"];

/**
 * The label sets that a sample may have had on /metrics, the likeliest first; none where a scrape that adds `added`
 * cannot have made `labels`.
 *
 * @param added what the scrape and the writing add to a sample without labels; has `job` and `instance`
 */
export function* labelsBeforeScrape(labels: Labels, added: Labels): Generator<Labels, void, void> {
  const equal: string[] = [];
  for (const [name, value] of added) {
    const own = labels.get(name);
    if (own === value) equal.push(name);
    // Whatever was scraped has a label of that name; an empty instance of its own is not sent.
    else if (own === undefined && name !== "instance") return;
  }
  const exported = equal.filter((name) => labels.has(EXPORTED + name));
  if (exported.length > 0) {
    yield withoutAdded(labels, equal, exported);
    // It had the external labels itself: it came from the same Prometheus before.
    const target = equal.filter((name) => exported.includes(name) || OFTEN_OWN.includes(name));
    if (target.length < equal.length) yield withoutAdded(labels, target, exported);
  }
  for (const kept of [[], ["job"], ["instance"], OFTEN_OWN, equal]) {
    if (kept.some((name) => !equal.includes(name))) continue;
    const gone = equal.filter((name) => !kept.includes(name));
    // A target's instance never comes with a job of the sample's own: that would be exported_job.
    if (gone.includes("instance") && !gone.includes("job")) continue;
    yield withoutAdded(labels, gone, []);
  }
}

/** The labels without some, and with those back under their names that a target's label had replaced. */
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
