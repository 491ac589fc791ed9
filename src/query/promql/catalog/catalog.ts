/**
 * The series of PromQL, found in memory. A metric has the names of its views: an observation `X` is visible as its raw
 * values `X` and as the histogram `X_bucket`, `X_sum`, `X_count`; a delta as `X` and the counter `X_total`, or as a
 * counter `X` if it is a part of a histogram; gauges and cumulative series under their own names. A query can use names as they were pushed or as Prometheus spells them, and
 * results have Prometheus's spelling. Demoted labels are left out everywhere, so that series that differ only in them
 * are one.
 *
 * Labels are matched as they were pushed. Label sets are created only for the series that match, and not for queries of
 * names and values.
 *
 * Each look-up lets other work run every few milliseconds. It finds the series that exist when it begins, and some of
 * those that are added meanwhile.
 */

import { prometheusLabelName } from "../../../model/names.ts";
import type { Metric, Series } from "../../../model/sample.ts";
import { openMetricsFloat } from "../../../model/spelling.ts";
import { BUCKET_LABEL, LabelSet, METRIC_NAME } from "../labels.ts";
import type { Matcher } from "../matchers.ts";
import { tooManySeries } from "../query-errors.ts";
import type { Latest } from "../store/held.ts";
import type { NameSink } from "./best-names.ts";
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
import { Slices } from "./slices.ts";

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

/** Returns true, perhaps later, if the rest of the view can be skipped. */
type Visit = (series: Series, target: Target) => boolean | Promise<boolean>;

interface FindOptions {
  /** Ends the look-up with its reason. */
  readonly signal?: AbortSignal;
  /** Is called with the number of further series, each bucket as one, and throws if they are too many. */
  countSeries?(count: number): void;
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
  async find(
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    { signal, countSeries }: FindOptions = {},
  ): Promise<Source[]> {
    const sources: Source[] = [];
    /** Sources that can have the same labels as others. */
    const shared = new Map<string, Source>();
    await this.#each(
      matchers,
      new Slices(signal),
      (series, { indexed: { metric }, view, bounds, isUnique }) => {
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
        countSeries?.(Math.max(1, edges.length));
        if (!isUnique) shared.set(labels.key, source);
        return false;
      },
    );
    return sources;
  }

  /**
   * The values of a label over the series that match and may have samples in the days. Dashboards query them first of
   * all.
   */
  async valuesOf<Sink extends NameSink>(
    name: string,
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    values: Sink,
    signal?: AbortSignal,
  ): Promise<Sink> {
    const slices = new Slices(signal);
    const has = counted(values, slices);
    const isThere = ({ seriesId }: Series) => this.#registry.hasSamplesIn(seriesId, firstDay, lastDay);
    const add = async (indexed?: IndexedMetric) => {
      for (const [value, all] of await this.#index.valuesOf(name, slices, indexed)) {
        if (slices.isDue) await slices.pause();
        if (has(value)) continue;
        for (const series of all) {
          if (slices.isDue) await slices.pause();
          if (!this.#shows(series, name) || !isThere(series)) continue;
          values.add(value);
          break;
        }
      }
    };
    if (matchers.length === 0) {
      await this.#index.follow(slices);
      if (name === METRIC_NAME) {
        await this.#addMetricNames(isThere, values, slices);
        return values;
      }
      if (name === BUCKET_LABEL) await this.#addBounds(isThere, values, slices);
      await add();
      return values;
    }
    let target: Target | undefined;
    let names: readonly string[] = [];
    await this.#each(matchers, slices, (series, of) => {
      const { indexed, view, bounds, conditions } = of;
      const own =
        name === METRIC_NAME
          ? [view.name]
          : name === BUCKET_LABEL && view.shape === "buckets"
            ? bounds.map(openMetricsFloat)
            : undefined;
      if (own !== undefined) {
        if (isThere(series)) for (const value of own) values.add(value);
        return own.every((value) => has(value));
      }
      // All series of the metric: by their values.
      if (conditions.length === 0) return add(indexed).then(() => true);
      if (of !== target) {
        target = of;
        names = this.#pushedNames(indexed, name);
      }
      const value = valueIn(series.labels, names);
      if (value !== "" && !has(value) && isThere(series)) values.add(value);
      return names.length === 0;
    });
    return values;
  }

  /** The names of the labels of the series that match and may have samples in the days. */
  async labelNames<Sink extends NameSink>(
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    names: Sink,
    signal?: AbortSignal,
  ): Promise<Sink> {
    let target: Target | undefined;
    let missing = new Set<string>();
    await this.#each(matchers, new Slices(signal), (series, of) => {
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

  /** The metric that has a view of this name. Of several, the first that was stored. */
  metricNamed(name: string): CatalogMetric | undefined {
    return this.#index.named(name)[0]?.metric;
  }

  /**
   * The stored series with rows that match, by metric.
   *
   * @param matchers of labels that no view adds, so not of names and bounds: all views of a series match or none
   */
  async stored(matchers: readonly Matcher[]): Promise<Map<CatalogMetric, Series[]>> {
    const found = new Map<CatalogMetric, { readonly view: View; readonly series: Series[] }>();
    await this.#each(matchers, new Slices(), (series, { indexed: { metric }, view }) => {
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
  async countsOf(label: string, slices = new Slices()): Promise<Map<string, number>> {
    await this.#index.follow(slices);
    const counts = new Map<string, number>();
    for (const [value, all] of await this.#index.valuesOf(label, slices)) {
      let count = 0;
      for (const series of all) {
        if (this.#shows(series, label)) count += seriesOfEach(series.metric);
        if (slices.isDue) await slices.pause();
      }
      if (count > 0) counts.set(value, count);
    }
    return counts;
  }

  /** The number of series with each name; each bucket counts as one. */
  async countsByName(): Promise<Map<string, number>> {
    await this.#index.follow(new Slices());
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
  async countsByBound(): Promise<Map<string, number>> {
    const counts = await this.countsOf(BUCKET_LABEL);
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
  async #each(matchers: readonly Matcher[], slices: Slices, visit: Visit): Promise<void> {
    await this.#index.follow(slices);
    const deferred = matchers.flatMap((each) => each.deferred ?? []);
    if (deferred.length > 0) {
      // A walk that only asks which texts another thread has to test.
      for (const each of deferred) each.collect();
      await this.#walk(matchers, slices, () => false);
      for (const each of deferred) await each.settle();
    }
    await this.#walk(matchers, slices, visit);
  }

  async #walk(matchers: readonly Matcher[], slices: Slices, visit: Visit): Promise<void> {
    const named = matchers.filter(({ name }) => name === METRIC_NAME);
    const labelled = matchers.filter(({ name }) => name !== METRIC_NAME).map(forStored);
    const isNamed = named.find(({ operator }) => operator === "=");
    const metrics = isNamed === undefined ? this.#index.metrics : this.#index.named(isNamed.value);
    const few = await this.#fewest(metrics, labelled, slices);
    if (few === undefined) {
      for (const indexed of metrics) {
        for (const target of this.#targets(indexed, named, labelled)) {
          for (const series of indexed.series) {
            if (slices.isDue) await slices.pause();
            if (!meets(series.labels, target.conditions)) continue;
            const isEnough = visit(series, target);
            if (isEnough === true || (isEnough !== false && (await isEnough))) break;
          }
        }
        if (slices.isDue) await slices.pause();
      }
      return;
    }
    const targets = new Map<Metric, readonly Target[]>();
    for (const series of few) {
      if (slices.isDue) await slices.pause();
      let own = targets.get(series.metric);
      if (own === undefined) {
        const indexed = this.#index.of(series.metric);
        own = indexed === undefined ? [] : this.#targets(indexed, named, labelled);
        targets.set(series.metric, own);
      }
      for (const target of own) {
        if (!meets(series.labels, target.conditions)) continue;
        const done = visit(series, target);
        if (typeof done !== "boolean") await done;
      }
    }
  }

  /** The smallest indexed list that contains all series that match; undefined if scanning the metrics is not slower. */
  async #fewest(
    metrics: readonly IndexedMetric[],
    labelled: readonly Matcher[],
    slices: Slices,
  ): Promise<readonly Series[] | undefined> {
    let count = 0;
    for (const { series } of metrics) count += series.length;
    if (count <= this.#scannedMax) return undefined;
    let fewest: readonly Series[] | undefined;
    for (const { name, operator, value } of labelled) {
      // Bounds of buckets are not labels of series, and bounds of remote_write may have another spelling.
      if (operator !== "=" || value === "" || name === BUCKET_LABEL || name === "quantile") continue;
      const having = await this.#index.having(name, value, slices);
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
    const indexed = this.#index.of(metric);
    return indexed !== undefined && valueIn(labels, this.#pushedNames(indexed, label)) !== "";
  }

  async #addMetricNames(
    isThere: (series: Series) => boolean,
    values: NameSink,
    slices: Slices,
  ): Promise<void> {
    const has = counted(values, slices);
    for (const { views, series } of this.#index.metrics) {
      for (const { name } of views) {
        if (slices.isDue) await slices.pause();
        if (has(name)) continue;
        for (const each of series) {
          if (slices.isDue) await slices.pause();
          if (!isThere(each)) continue;
          values.add(name);
          break;
        }
      }
    }
  }

  async #addBounds(isThere: (series: Series) => boolean, values: NameSink, slices: Slices): Promise<void> {
    for (const { metric, series } of this.#index.metrics) {
      if (metric.kind !== "observation") continue;
      for (const each of series) {
        if (slices.isDue) await slices.pause();
        if (!isThere(each)) continue;
        for (const bound of boundsOf(metric)) values.add(openMetricsFloat(bound));
        break;
      }
    }
  }

  /** Whether a label of old series has been demoted since. */
  #isColumn({ kind, name }: Metric, label: string): boolean {
    return (kind === "observation" || kind === "delta") && this.#registry.isAttribute(name, label);
  }

  #labelsOf({ metric, labels }: Series, name: string): LabelSet {
    const isLevel = metric.kind === "gauge" || metric.kind === "cumulative";
    if (isLevel && !this.#index.of(metric)?.respelled.size) return LabelSet.ofSeries(name, labels);
    const entries: [string, string][] = [[METRIC_NAME, name]];
    for (const [label, value] of labels) {
      if (!this.#isColumn(metric, label)) entries.push([prometheusLabelName(label), value]);
    }
    return LabelSet.from(entries);
  }
}

/** Looks names up in a sink, and counts the work for it. */
function counted(names: NameSink, slices: Slices): (name: string) => boolean {
  const { steps = 0 } = names;
  return (name) => {
    slices.count(steps);
    return names.has(name);
  };
}

/** Counts series up to a limit on them; see FindOptions. */
export function seriesCounter(most: number): (count: number) => void {
  let series = 0;
  return (count) => {
    series += count;
    if (series > most) throw tooManySeries(most);
  };
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
