/**
 * Which series there are in PromQL's eyes, found in memory. A metric is seen under the names of its views: an
 * observation `X` as its raw values `X` and as the histogram `X_bucket`, `X_sum`, `X_count`; a delta as `X`
 * and the counter `X_total`; gauges and cumulative series as they are. Names may be asked for as they were
 * pushed or as Prometheus spells them, and are answered as Prometheus spells them. Labels that were demoted
 * are left out everywhere, so that series which differ in them alone are one.
 */
import { openMetricsFloat } from "../../../exposition/spelling.ts";
import { prometheusLabelName } from "../../../names.ts";
import type { Metric, Series } from "../../../sample.ts";
import { BUCKET_LABEL, LabelSet, METRIC_NAME } from "../labels.ts";
import { type Matcher, matchesAll } from "../matchers.ts";

/** A metric with the series that hold rows, ended ones included. */
export interface CatalogMetric extends Metric {
  readonly series: Iterable<Series>;
  /** The names of all labels that a series of the metric carries, as pushed. */
  labelNames(): Iterable<string>;
}

/** What is asked of the registry (src/ingest/registry.ts). */
export interface SeriesRegistry {
  /** Changes when labels are demoted or series forgotten. */
  readonly epoch: number;
  metrics(): Iterable<CatalogMetric>;
  /** Whether a tag of a metric is a column and no label. */
  isAttribute(metric: string, tag: string): boolean;
  hasSamplesIn(seriesId: number, firstDay: number, lastDay: number): boolean;
}

/** How a view shows a metric's rows: as they are, or as a total that runs on a grid of times. */
export type Shape = "raw" | "count" | "sum" | "buckets";

/** A name that a metric goes by in PromQL. */
export interface View {
  readonly name: string;
  /** The same with the metric's name as it was pushed. */
  readonly pushedName: string;
  readonly shape: Shape;
}

/** One series of PromQL's (for buckets: one histogram) and the stored series that make it up. */
export interface Source {
  readonly metric: CatalogMetric;
  readonly shape: Shape;
  /** With the metric's name; without `le` for buckets. */
  readonly labels: LabelSet;
  readonly seriesIds: number[];
  /** Buckets: the bounds that are asked for, +Inf included, and their label sets. */
  readonly edges: readonly Edge[];
}

export interface Edge {
  readonly bound: number;
  readonly labels: LabelSet;
}

export function viewsOf(metric: Metric): readonly View[] {
  const view = (shape: Shape, suffix = ""): View => ({
    name: metric.prometheusName + suffix,
    pushedName: metric.name + suffix,
    shape,
  });
  switch (metric.kind) {
    case "observation":
      return [view("raw"), view("buckets", "_bucket"), view("sum", "_sum"), view("count", "_count")];
    case "delta":
      return metric.prometheusName.endsWith("_total") ? [view("sum")] : [view("raw"), view("sum", "_total")];
    default:
      return [view("raw")];
  }
}

export class Catalog {
  readonly #registry: SeriesRegistry;
  /** Label sets by series and name: making them anew would be most of a query over 10,000 series. */
  #labelSets = new WeakMap<Series, Map<string, LabelSet>>();
  #epoch: number;

  constructor(registry: SeriesRegistry) {
    this.#registry = registry;
    this.#epoch = registry.epoch;
  }

  /** The series that match and may have samples in the days from `firstDay` to `lastDay`. */
  find(matchers: readonly Matcher[], firstDay: number, lastDay: number): Source[] {
    if (this.#epoch !== this.#registry.epoch) {
      this.#epoch = this.#registry.epoch;
      this.#labelSets = new WeakMap();
    }
    const named = matchers.filter(({ name }) => name === METRIC_NAME);
    const labelled = matchers.filter(({ name }) => name !== METRIC_NAME).map(withPrometheusName);
    const hasName = (name: string) => named.every((each) => each.matches(name));
    const sources = new Map<string, Source>();
    for (const metric of this.#registry.metrics()) {
      for (const view of viewsOf(metric)) {
        if (!hasName(view.name) && !hasName(view.pushedName)) continue;
        const wanted =
          view.shape === "buckets" ? labelled.filter(({ name }) => name !== BUCKET_LABEL) : labelled;
        for (const series of metric.series) {
          const labels = this.#labelsOf(series, view.name);
          if (!matchesAll(wanted, labels)) continue;
          if (!this.#registry.hasSamplesIn(series.seriesId, firstDay, lastDay)) continue;
          const source = sources.get(labels.key);
          if (source !== undefined) {
            source.seriesIds.push(series.seriesId);
            continue;
          }
          const edges = view.shape === "buckets" ? edgesOf(metric, labels, labelled) : [];
          if (view.shape === "buckets" && edges.length === 0) continue;
          sources.set(labels.key, {
            metric,
            shape: view.shape,
            labels,
            seriesIds: [series.seriesId],
            edges,
          });
        }
      }
    }
    return [...sources.values()];
  }

  /**
   * The values of a label over all series that may have samples in the days, without making label sets: pages of
   * dashboards ask for them first of all.
   */
  valuesOf(name: string, firstDay: number, lastDay: number): Set<string> {
    const values = new Set<string>();
    const isThere = ({ seriesId }: Series) => this.#registry.hasSamplesIn(seriesId, firstDay, lastDay);
    for (const metric of this.#registry.metrics()) {
      const views = viewsOf(metric);
      const hasBuckets = name === BUCKET_LABEL && views.some(({ shape }) => shape === "buckets");
      if (name === METRIC_NAME || hasBuckets) {
        if (!hasAny(metric.series, isThere)) continue;
        for (const view of name === METRIC_NAME ? views : []) values.add(view.name);
        if (hasBuckets) for (const bound of boundsOf(metric)) values.add(openMetricsFloat(bound));
        continue;
      }
      for (const label of metric.labelNames()) {
        if (prometheusLabelName(label) !== name || this.#isColumn(metric, label)) continue;
        for (const series of metric.series) {
          const value = series.labels.get(label);
          if (value !== undefined && !values.has(value) && isThere(series)) values.add(value);
        }
      }
    }
    return values;
  }

  /** Whether a label of old series has been demoted since. */
  #isColumn({ kind, name }: Metric, label: string): boolean {
    return (kind === "observation" || kind === "delta") && this.#registry.isAttribute(name, label);
  }

  #labelsOf(series: Series, name: string): LabelSet {
    let byName = this.#labelSets.get(series);
    if (byName === undefined) {
      byName = new Map();
      this.#labelSets.set(series, byName);
    }
    let labels = byName.get(name);
    if (labels === undefined) {
      const entries: [string, string][] = [[METRIC_NAME, name]];
      for (const [label, value] of series.labels) {
        if (this.#isColumn(series.metric, label)) continue;
        entries.push([prometheusLabelName(label), value]);
      }
      labels = LabelSet.from(entries);
      byName.set(name, labels);
    }
    return labels;
  }
}

function withPrometheusName(matcher: Matcher): Matcher {
  const name = prometheusLabelName(matcher.name);
  return name === matcher.name ? matcher : { ...matcher, name };
}

function hasAny<Item>(items: Iterable<Item>, isOne: (item: Item) => boolean): boolean {
  for (const item of items) if (isOne(item)) return true;
  return false;
}

function boundsOf(metric: Metric): number[] {
  return [...metric.buckets, Number.POSITIVE_INFINITY];
}

/** The buckets of a histogram that are asked for. */
function edgesOf(metric: Metric, labels: LabelSet, matchers: readonly Matcher[]): Edge[] {
  const wanted = matchers.filter(({ name }) => name === BUCKET_LABEL);
  return boundsOf(metric).flatMap((bound) => {
    const edge = openMetricsFloat(bound);
    if (!wanted.every((each) => each.matches(edge))) return [];
    return [{ bound, labels: labels.with(BUCKET_LABEL, edge) }];
  });
}
