/**
 * The number of series by name, label and value, which shows why there are too many. Counted from the index, one label
 * at a time, with a pause after each, because pushes must not wait for it.
 */
import { setImmediate } from "node:timers/promises";
import { BUCKET_LABEL, METRIC_NAME } from "../labels.ts";
import type { Catalog } from "./catalog.ts";

/** A counted item. */
interface Count {
  readonly name: string;
  readonly value: number;
}

/** Each list is in descending order of its counts, and has at most the requested number of entries. */
export interface SeriesStatistics {
  readonly labelPairs: number;
  readonly seriesByMetric: readonly Count[];
  readonly valuesByLabel: readonly Count[];
  /** Characters of all values. */
  readonly lengthByLabel: readonly Count[];
  /** By `NAME=VALUE`. */
  readonly seriesByPair: readonly Count[];
}

/** Counts PromQL's series, each bucket as one, with at most `most` entries per list. */
export async function seriesStatistics(catalog: Catalog, most: number): Promise<SeriesStatistics> {
  let labelPairs = 0;
  let seriesByMetric: Count[] = [];
  const valuesByLabel: Count[] = [];
  const lengthByLabel: Count[] = [];
  let seriesByPair: Count[] = [];
  for (const label of catalog.labelNames([], Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)) {
    const counts =
      label === METRIC_NAME
        ? catalog.countsByName()
        : label === BUCKET_LABEL
          ? catalog.countsByBound()
          : catalog.countsOf(label);
    labelPairs += counts.size;
    let length = 0;
    for (const value of counts.keys()) length += value.length;
    valuesByLabel.push({ name: label, value: counts.size });
    lengthByLabel.push({ name: label, value: length });
    const largestOnes = largest(counts, most);
    if (label === METRIC_NAME) seriesByMetric = largestOnes;
    const pairs = largestOnes.map(({ name, value }) => ({ name: `${label}=${name}`, value }));
    seriesByPair = [...seriesByPair, ...pairs].sort(descending).slice(0, most);
    await setImmediate();
  }
  return {
    labelPairs,
    seriesByMetric,
    valuesByLabel: valuesByLabel.sort(descending).slice(0, most),
    lengthByLabel: lengthByLabel.sort(descending).slice(0, most),
    seriesByPair,
  };
}

function largest(counts: ReadonlyMap<string, number>, most: number): Count[] {
  const all = Array.from(counts, ([name, value]) => ({ name, value }));
  return all.sort(descending).slice(0, most);
}

function descending(a: Count, b: Count): number {
  return b.value - a.value || (a.name < b.name ? -1 : 1);
}
