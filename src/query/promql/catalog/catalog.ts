/**
 * The series of PromQL, found in memory. A metric has the names of its views: an observation `X` is visible as its raw
 * values `X` and as the histogram `X_bucket`, `X_sum`, `X_count`; a delta as `X` and the counter `X_total`, or as a
 * counter `X` if it is a part of a histogram; gauges and cumulative series under their own names. A query can use names as they were pushed or as Prometheus spells them, and
 * results have Prometheus's spelling. Demoted labels are left out everywhere, so that series that differ only in them
 * are one.
 *
 * Labels are matched as they were pushed. Label sets are created only for the series that match, and not for queries of
 * names and values.
 */

import { prometheusLabelName } from "../../../model/names.ts";
import type { Metric, Series } from "../../../model/sample.ts";
import { openMetricsFloat } from "../../../model/spelling.ts";
import { BUCKET_LABEL, LabelSet, METRIC_NAME } from "../labels.ts";
import type { Matcher } from "../matchers.ts";
import type { Latest } from "../store/held.ts";
import { type Condition, forStored, meets, valueIn } from "./matching.ts";
import {
  type CatalogMetric,
  type FollowedRegistry,
  type IndexedMetric,
  SeriesIndex,
  type Shape,
  type View,
  viewsOf,
} from "./series-index.ts";

export { type CatalogMetric, viewsOf };

/** What the catalog needs of the registry (src/series/registry.ts). The epoch also changes when labels are demoted. */
export interface SeriesRegistry extends FollowedRegistry {
  /** Whether a tag of a metric is a column and not a label. */
  isAttribute(metric: string, tag: string): boolean;
  hasSamplesIn(seriesId: number, firstDay: number, lastDay: number): boolean;
}

/** One PromQL series (for buckets: one histogram) and the stored series that it consists of. */
export interface Source {
  readonly metric: Pick<Metric, "kind" | "prometheusName" | "buckets">;
  readonly shape: Shape;
  /** With the metric's name; without `le` for buckets. */
  readonly labels: LabelSet;
  readonly seriesIds: number[];
  /** Buckets: the bounds that the selector matches, including +Inf, and their label sets. */
  readonly edges: readonly Edge[];
  /** The last sample of a series of a Pushgateway group: see held.ts. */
  readonly held?: Latest;
}

export interface Edge {
  readonly bound: number;
  readonly labels: LabelSet;
}

/** A view whose name the selector matches, and the conditions on its series. */
interface Target {
  readonly indexed: IndexedMetric;
  readonly view: View;
  readonly conditions: readonly Condition[];
  /** Buckets: the bounds that the selector matches. */
  readonly bounds: readonly number[];
  /** Whether no other series, of this or another metric, can have the same labels. */
  readonly isUnique: boolean;
}

/**
 * Up to this number, the series of the metrics are scanned. An index of a label covers all metrics: with
 * 200,000 series, its first use takes 0.1 s.
 */
const SCANNED_MAX = 1_000;

export class Catalog {
  readonly #registry: SeriesRegistry;
  readonly #index: SeriesIndex;
  readonly #scannedMax: number;

  constructor(registry: SeriesRegistry, scannedMax = SCANNED_MAX) {
    this.#scannedMax = scannedMax;
    this.#registry = registry;
    this.#index = new SeriesIndex(registry);
  }

  /** The series that match and may have samples in the days from `firstDay` to `lastDay`. */
  find(matchers: readonly Matcher[], firstDay: number, lastDay: number): Source[] {
    const sources: Source[] = [];
    /** Sources that can have the same labels as others. */
    const shared = new Map<string, Source>();
    this.#each(matchers, (series, { indexed: { metric }, view, bounds, isUnique }) => {
      if (!this.#registry.hasSamplesIn(series.seriesId, firstDay, lastDay)) return false;
      const labels = this.#labelsOf(series, view.name);
      const known = isUnique ? undefined : shared.get(labels.key);
      if (known !== undefined) {
        // If a part of an observation and a series of that name have equal labels, only the first of them counts.
        if (known.shape === view.shape) known.seriesIds.push(series.seriesId);
        return false;
      }
      const edges = bounds.map((bound) => ({
        bound,
        labels: labels.with(BUCKET_LABEL, openMetricsFloat(bound)),
      }));
      const source = { metric, shape: view.shape, labels, seriesIds: [series.seriesId], edges };
      sources.push(source);
      if (!isUnique) shared.set(labels.key, source);
      return false;
    });
    return sources;
  }

  /**
   * The values of a label over the series that match and may have samples in the days. Dashboards query them first of
   * all.
   */
  valuesOf(
    name: string,
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    values = new Set<string>(),
  ): Set<string> {
    const isThere = ({ seriesId }: Series) => this.#registry.hasSamplesIn(seriesId, firstDay, lastDay);
    const add = (indexed?: IndexedMetric) => {
      for (const [value, all] of this.#index.valuesOf(name, indexed)) {
        if (!values.has(value) && all.some((series) => this.#shows(series, name) && isThere(series)))
          values.add(value);
      }
    };
    if (matchers.length === 0 && name !== METRIC_NAME) {
      this.#index.follow();
      if (name === BUCKET_LABEL) this.#addBounds(isThere, values);
      add();
      return values;
    }
    let target: Target | undefined;
    let names: readonly string[] = [];
    this.#each(matchers, (series, of) => {
      const { indexed, view, bounds, conditions } = of;
      const own =
        name === METRIC_NAME
          ? [view.name]
          : name === BUCKET_LABEL && view.shape === "buckets"
            ? bounds.map(openMetricsFloat)
            : undefined;
      if (own !== undefined) {
        if (isThere(series)) for (const value of own) values.add(value);
        return own.every((value) => values.has(value));
      }
      // All series of the metric: by their values.
      if (conditions.length === 0) {
        add(indexed);
        return true;
      }
      if (of !== target) {
        target = of;
        names = this.#pushedNames(indexed, name);
      }
      const value = valueIn(series.labels, names);
      if (value !== "" && !values.has(value) && isThere(series)) values.add(value);
      return names.length === 0;
    });
    return values;
  }

  /** The names of the labels of the series that match and may have samples in the days. */
  labelNames(
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    names = new Set<string>(),
  ): Set<string> {
    let target: Target | undefined;
    let missing = new Set<string>();
    this.#each(matchers, (series, of) => {
      const { indexed, view } = of;
      if (of !== target) {
        target = of;
        missing = new Set(indexed.metric.labelNames());
        for (const label of missing) {
          if (names.has(prometheusLabelName(label)) || this.#isColumn(indexed.metric, label))
            missing.delete(label);
        }
      }
      const isKnown = names.has(METRIC_NAME) && (view.shape !== "buckets" || names.has(BUCKET_LABEL));
      if (isKnown && missing.size === 0) return true;
      if (!this.#registry.hasSamplesIn(series.seriesId, firstDay, lastDay)) return false;
      names.add(METRIC_NAME);
      if (view.shape === "buckets") names.add(BUCKET_LABEL);
      for (const label of missing) {
        if (!series.labels.has(label)) continue;
        missing.delete(label);
        names.add(prometheusLabelName(label));
      }
      return missing.size === 0;
    });
    return names;
  }

  /**
   * The stored series with rows that match, by metric.
   *
   * @param matchers of labels that no view adds, so not of names and bounds: all views of a series match or none
   */
  stored(matchers: readonly Matcher[]): Map<CatalogMetric, Series[]> {
    const found = new Map<CatalogMetric, { readonly view: View; readonly series: Series[] }>();
    this.#each(matchers, (series, { indexed: { metric }, view }) => {
      let own = found.get(metric);
      if (own === undefined) {
        own = { view, series: [] };
        found.set(metric, own);
      }
      if (own.view !== view) return true;
      own.series.push(series);
      return false;
    });
    return new Map(Array.from(found, ([metric, { series }]) => [metric, series]));
  }

  /** The number of series with each value of a label, including all views; for `le` see `countsByBound`. */
  countsOf(label: string): Map<string, number> {
    this.#index.follow();
    const counts = new Map<string, number>();
    for (const [value, all] of this.#index.valuesOf(label)) {
      let count = 0;
      for (const series of all) if (this.#shows(series, label)) count += seriesOfEach(series.metric);
      if (count > 0) counts.set(value, count);
    }
    return counts;
  }

  /** The number of series with each name; each bucket counts as one. */
  countsByName(): Map<string, number> {
    this.#index.follow();
    const counts = new Map<string, number>();
    for (const { metric, views, series } of this.#index.metrics) {
      for (const { name, shape } of views) {
        const each = shape === "buckets" ? boundsOf(metric).length : 1;
        if (series.length > 0) counts.set(name, (counts.get(name) ?? 0) + each * series.length);
      }
    }
    return counts;
  }

  /** The number of series with each value of `le`. */
  countsByBound(): Map<string, number> {
    const counts = this.countsOf(BUCKET_LABEL);
    for (const { metric, series } of this.#index.metrics) {
      if (metric.kind !== "observation" || series.length === 0) continue;
      for (const bound of boundsOf(metric).map(openMetricsFloat)) {
        counts.set(bound, (counts.get(bound) ?? 0) + series.length);
      }
    }
    return counts;
  }

  /**
   * Calls `visit` for each series and view that match, whether or not it has samples. If `visit` returns true, the rest
   * of that view can be skipped.
   */
  #each(matchers: readonly Matcher[], visit: (series: Series, target: Target) => boolean): void {
    this.#index.follow();
    const named = matchers.filter(({ name }) => name === METRIC_NAME);
    const labelled = matchers.filter(({ name }) => name !== METRIC_NAME).map(forStored);
    const isNamed = named.find(({ operator }) => operator === "=");
    const metrics = isNamed === undefined ? this.#index.metrics : this.#index.named(isNamed.value);
    const few = this.#fewest(metrics, labelled);
    if (few === undefined) {
      for (const indexed of metrics) {
        for (const target of this.#targets(indexed, named, labelled)) {
          for (const series of indexed.series) {
            if (meets(series.labels, target.conditions) && visit(series, target)) break;
          }
        }
      }
      return;
    }
    const targets = new Map<Metric, readonly Target[]>();
    for (const series of few) {
      let own = targets.get(series.metric);
      if (own === undefined) {
        own = this.#targets(this.#index.of(series.metric), named, labelled);
        targets.set(series.metric, own);
      }
      for (const target of own) if (meets(series.labels, target.conditions)) visit(series, target);
    }
  }

  /** The smallest indexed list that contains all series that match; undefined if scanning the metrics is not slower. */
  #fewest(metrics: readonly IndexedMetric[], labelled: readonly Matcher[]): readonly Series[] | undefined {
    let count = 0;
    for (const { series } of metrics) count += series.length;
    if (count <= this.#scannedMax) return undefined;
    let fewest: readonly Series[] | undefined;
    for (const { name, operator, value } of labelled) {
      // Bounds of buckets are not labels of series, and bounds of remote_write may have another spelling.
      if (operator !== "=" || value === "" || name === BUCKET_LABEL || name === "quantile") continue;
      const having = this.#index.having(name, value);
      if (having.length >= count) continue;
      fewest = having;
      count = having.length;
    }
    return fewest;
  }

  #targets(indexed: IndexedMetric, named: readonly Matcher[], labelled: readonly Matcher[]): Target[] {
    return indexed.views.flatMap((view) => {
      const hasName = (name: string) => named.every((each) => each.matches(name));
      if (!hasName(view.name) && !hasName(view.pushedName)) return [];
      const isBuckets = view.shape === "buckets";
      const ofBounds = labelled.filter(({ name }) => isBuckets && name === BUCKET_LABEL);
      const bounds = isBuckets
        ? boundsOf(indexed.metric).filter((bound) => {
            const edge = openMetricsFloat(bound);
            return ofBounds.every((each) => each.matches(edge));
          })
        : [];
      if (isBuckets && bounds.length === 0) return [];
      const conditions: Condition[] = [];
      for (const matcher of labelled) {
        if (ofBounds.includes(matcher)) continue;
        const names = this.#pushedNames(indexed, matcher.name);
        if (names.length > 0) conditions.push({ names, matcher });
        else if (!matcher.matches("")) return [];
      }
      return [{ indexed, view, conditions, bounds, isUnique: this.#isUnique(indexed, view) }];
    });
  }

  #isUnique({ metric, respelled }: IndexedMetric, { name }: View): boolean {
    const isLevel = metric.kind === "gauge" || metric.kind === "cumulative";
    return isLevel && respelled.size === 0 && this.#index.named(name).length === 1;
  }

  /** The pushed names under which series of a metric can have a label; none if it is a column. */
  #pushedNames({ metric, respelled }: IndexedMetric, label: string): string[] {
    return [label, ...(respelled.get(label) ?? [])].filter((name) => !this.#isColumn(metric, name));
  }

  /** Whether a label of a series is visible. */
  #shows({ metric, labels }: Series, label: string): boolean {
    if (metric.kind !== "observation" && metric.kind !== "delta") return true;
    return valueIn(labels, this.#pushedNames(this.#index.of(metric), label)) !== "";
  }

  #addBounds(isThere: (series: Series) => boolean, values: Set<string>): void {
    for (const { metric, series } of this.#index.metrics) {
      if (metric.kind !== "observation" || !series.some(isThere)) continue;
      for (const bound of boundsOf(metric)) values.add(openMetricsFloat(bound));
    }
  }

  /** Whether a label of old series has been demoted since. */
  #isColumn({ kind, name }: Metric, label: string): boolean {
    return (kind === "observation" || kind === "delta") && this.#registry.isAttribute(name, label);
  }

  #labelsOf({ metric, labels }: Series, name: string): LabelSet {
    const isLevel = metric.kind === "gauge" || metric.kind === "cumulative";
    if (isLevel && this.#index.of(metric).respelled.size === 0) return LabelSet.ofSeries(name, labels);
    const entries: [string, string][] = [[METRIC_NAME, name]];
    for (const [label, value] of labels) {
      if (!this.#isColumn(metric, label)) entries.push([prometheusLabelName(label), value]);
    }
    return LabelSet.from(entries);
  }
}

function boundsOf(metric: Metric): number[] {
  return [...metric.buckets, Number.POSITIVE_INFINITY];
}

/** The number of PromQL series per stored series of a metric. */
function seriesOfEach(metric: Metric): number {
  return viewsOf(metric).reduce(
    (sum, { shape }) => sum + (shape === "buckets" ? boundsOf(metric).length : 1),
    0,
  );
}
