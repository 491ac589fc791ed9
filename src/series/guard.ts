/**
 * The cardinality guard (src/ingest/README.md): counts the values of each label of a metric, and chooses the label
 * that becomes an attribute when there are too many.
 *
 * It counts the current series only, without those that a demotion ended.
 */
import type { Counters } from "../model/counters.ts";
import type { Labels } from "../model/sample.ts";
import type { DemotionRecord } from "../store/store.ts";

export interface GuardOptions {
  /** Values that a label of a metric may have. */
  readonly labelValuesMax: number;
  /** Series that a metric of a mergeable kind may have. */
  readonly seriesPerMetricMax: number;
  readonly counters: Counters;
}

/** The upper bound of a bucket. */
const BOUND = "le";
/** Labels that identify a worker or a bucket. They are never demoted. */
const PROTECTED: ReadonlySet<string> = new Set([BOUND, "quantile", "job", "instance"]);

/** Label → value → how many series carry it. */
type ValuesByLabel = Map<string, Map<string, number>>;

function count(byLabel: ValuesByLabel, labels: Labels): void {
  for (const [name, value] of labels) {
    const values = byLabel.getOrInsertComputed(name, () => new Map());
    values.set(value, (values.get(value) ?? 0) + 1);
  }
}

export class Guard {
  readonly #options: GuardOptions;
  readonly #currentOf: (metric: string) => Iterable<{ readonly labels: Labels }> | undefined;
  /**
   * Metric → label → value → how many current series carry it. Those of a metric are counted when it may get a new series: most
   * metrics get none after a start.
   */
  readonly #values = new Map<string, ValuesByLabel>();
  readonly #demoted = new Map<string, Set<string>>();

  /** @param currentOf the current series of a metric, of which `add` and `remove` say what changes */
  constructor(
    options: GuardOptions,
    demotions: readonly DemotionRecord[],
    currentOf: (metric: string) => Iterable<{ readonly labels: Labels }> | undefined,
  ) {
    this.#options = options;
    this.#currentOf = currentOf;
    for (const { metric, label } of demotions) this.#remember(metric, label);
  }

  isDemoted(metric: string, label: string): boolean {
    return this.#demoted.get(metric)?.has(label) ?? false;
  }

  carriesDemoted(metric: string, labels: Labels): boolean {
    const demoted = this.#demoted.get(metric);
    if (demoted === undefined) return false;
    for (const name of labels.keys()) if (demoted.has(name)) return true;
    return false;
  }

  /** The demoted labels of a metric. */
  demotedOf(metric: string): Iterable<string> {
    return this.#demoted.get(metric) ?? [];
  }

  /** The demoted labels of all metrics. */
  demotions(): [metric: string, labels: string[]][] {
    return Array.from(this.#demoted, ([metric, labels]) => [metric, [...labels]]);
  }

  /** The metrics of which a label was demoted. */
  metricsWithout(label: string): string[] {
    return [...this.#demoted].filter(([, labels]) => labels.has(label)).map(([metric]) => metric);
  }

  /** A series is current now. */
  add(metric: string, labels: Labels): void {
    const byLabel = this.#values.get(metric);
    if (byLabel !== undefined) count(byLabel, labels);
  }

  /** A series is not current any more. */
  remove(metric: string, labels: Labels): void {
    const byLabel = this.#values.get(metric);
    for (const [name, value] of labels) {
      const values = byLabel?.get(name);
      const count = (values?.get(value) ?? 0) - 1;
      if (count > 0) values!.set(value, count);
      else values?.delete(value);
      if (values?.size === 0) byLabel!.delete(name);
    }
  }

  /**
   * The label that must be demoted before a metric with `seriesCount` series gets one more series with these labels.
   * It is the label with the most values, including those of the new series; the first by name if several have as
   * many. Undefined if the series is within the limits, or if no label can be demoted.
   */
  labelToDemote(metric: string, labels: Labels, seriesCount: number): string | undefined {
    const byLabel = this.#valuesOf(metric);
    const countOf = (name: string) => {
      const values = byLabel.get(name);
      const own = labels.get(name);
      return (values?.size ?? 0) + (own !== undefined && !values?.has(own) ? 1 : 0);
    };
    // A histogram of increments has a series for each bound. They are one, as the buckets of observations are.
    let over = seriesCount + 1 > this.#options.seriesPerMetricMax * Math.max(1, countOf(BOUND));
    for (const name of labels.keys()) {
      if (!PROTECTED.has(name) && countOf(name) > this.#options.labelValuesMax) over = true;
    }
    if (!over) return undefined;
    let most: string | undefined;
    const names = new Set([...byLabel.keys(), ...labels.keys()]);
    for (const name of [...names].sort()) {
      if (PROTECTED.has(name) || countOf(name) === 0) continue;
      if (most === undefined || countOf(name) > countOf(most)) most = name;
    }
    return most;
  }

  demote(metric: string, label: string): void {
    this.#remember(metric, label);
    this.#options.counters.labelDemotions.inc();
  }

  /** Forgets the counts of a metric that has no rows left. Its demotions remain. */
  forget(metric: string): void {
    this.#values.delete(metric);
  }

  #valuesOf(metric: string): ValuesByLabel {
    return this.#values.getOrInsertComputed(metric, () => {
      const byLabel: ValuesByLabel = new Map();
      for (const { labels } of this.#currentOf(metric) ?? []) count(byLabel, labels);
      return byLabel;
    });
  }

  #remember(metric: string, label: string): void {
    this.#demoted.getOrInsertComputed(metric, () => new Set()).add(label);
  }
}
