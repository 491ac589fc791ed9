/**
 * The number of series by name, label and value, which shows why there are too many. Counted from the index, one label
 * at a time, with a pause after each, because pushes must not wait for it.
 */
import { BUCKET_LABEL, type LabelSet, METRIC_NAME } from "../labels.ts";
import type { Catalog } from "./catalog.ts";
import { Slices } from "./slices.ts";

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
  const statistics = new Statistics(most);
  const everyDay = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;
  for (const label of await catalog.labelNames([], ...everyDay, new Set<string>())) {
    const counts = await (label === METRIC_NAME
      ? catalog.countsByName()
      : label === BUCKET_LABEL
        ? catalog.countsByBound()
        : catalog.countsOf(label));
    await statistics.add(label, counts);
  }
  return statistics.result();
}

/** The same for the given series. */
export async function countSeries(series: readonly LabelSet[], most: number): Promise<SeriesStatistics> {
  const slices = new Slices();
  const byLabel = new Map<string, Map<string, number>>();
  for (const labels of series) {
    for (const [label, value] of labels.entries()) {
      const counts = byLabel.getOrInsertComputed(label, () => new Map<string, number>());
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    if (slices.isDue) await slices.pause();
  }
  const statistics = new Statistics(most);
  for (const [label, counts] of byLabel) await statistics.add(label, counts);
  return statistics.result();
}

/** Collects the counts of one label after the other. */
class Statistics {
  readonly #most: number;
  #labelPairs = 0;
  #seriesByMetric: Count[] = [];
  readonly #valuesByLabel: Count[] = [];
  readonly #lengthByLabel: Count[] = [];
  #seriesByPair: Count[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** @param counts the number of series with each value of the label */
  async add(label: string, counts: ReadonlyMap<string, number>): Promise<void> {
    this.#labelPairs += counts.size;
    const slices = new Slices();
    let length = 0;
    const largest = new Largest(this.#most);
    for (const [name, value] of counts) {
      length += name.length;
      largest.add({ name, value });
      if (slices.isDue) await slices.pause();
    }
    this.#valuesByLabel.push({ name: label, value: counts.size });
    this.#lengthByLabel.push({ name: label, value: length });
    const largestOnes = largest.result();
    if (label === METRIC_NAME) this.#seriesByMetric = largestOnes;
    const pairs = largestOnes.map(({ name, value }) => ({ name: `${label}=${name}`, value }));
    this.#seriesByPair = merged(this.#seriesByPair, pairs, this.#most);
  }

  result(): SeriesStatistics {
    return {
      labelPairs: this.#labelPairs,
      seriesByMetric: this.#seriesByMetric,
      valuesByLabel: this.#valuesByLabel.sort(descending).slice(0, this.#most),
      lengthByLabel: this.#lengthByLabel.sort(descending).slice(0, this.#most),
      seriesByPair: this.#seriesByPair,
    };
  }
}

/** The largest of many counts, without sorting all of them. */
class Largest {
  readonly #most: number;
  #kept: Count[] = [];
  /** Counts below it are not among the largest. */
  #least = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(count: Count): void {
    if (count.value < this.#least) return;
    this.#kept.push(count);
    if (this.#kept.length >= 2 * this.#most + 100) this.#drop();
  }

  /** In descending order. */
  result(): Count[] {
    this.#drop();
    return this.#kept;
  }

  #drop(): void {
    this.#kept = this.#kept.sort(descending).slice(0, this.#most);
    if (this.#kept.length === this.#most) this.#least = this.#kept.at(-1)?.value ?? 0;
  }
}

/** The first items of two lists in descending order. */
function merged(first: readonly Count[], second: readonly Count[], most: number): Count[] {
  const items: Count[] = [];
  let [left, right] = [0, 0];
  while (items.length < most && (left < first.length || right < second.length)) {
    const isLeft =
      right >= second.length || (left < first.length && descending(first[left]!, second[right]!) <= 0);
    items.push(isLeft ? first[left++]! : second[right++]!);
  }
  return items;
}

function descending(a: Count, b: Count): number {
  return b.value - a.value || (a.name < b.name ? -1 : 1);
}
