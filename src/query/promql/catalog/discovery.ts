/**
 * Discovery of series, label names and values, and metadata, in memory. Times count by the day, because nothing finer
 * is known without reading rows.
 */

import { prometheusLabelName, totalName } from "../../../model/names.ts";
import { dayOf, type Labels, type Metric } from "../../../model/sample.ts";
import { sorting } from "../../../model/tasks/sorting.ts";
import { inSlices } from "../../../model/tasks/time-slices.ts";
import { CallerSeries } from "../../caller-series.ts";
import { compareLabels, compareText, type LabelSet, METRIC_NAME } from "../labels.ts";
import type { Matcher } from "../matchers.ts";
import type { SelectorUse } from "../worker/selector-reader.ts";
import type { NameSink } from "./best-names.ts";
import { type Catalog, type SeriesRegistry, seriesCounter, viewsOf } from "./catalog.ts";
import { countSeries, type SeriesStatistics, seriesStatistics } from "./catalog-statistics.ts";
import { Slices } from "./slices.ts";

export interface LabelQuery {
  /** Selectors, any of which may match; none: all series. */
  readonly selectors: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
  /** If set, only series with these labels count. */
  readonly labels?: Labels;
  readonly signal?: AbortSignal;
}

interface DiscoveryOptions {
  readonly registry: SeriesRegistry;
  readonly catalog: Catalog;
  readonly selectors: SelectorUse;
  /** Series that the selectors of a look-up can find. */
  readonly promqlSeriesMax: number;
}

export interface MetadataEntry {
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

export class Discovery {
  readonly #options: DiscoveryOptions;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /**
   * The label sets of the series that match, in order.
   *
   * @throws LimitReached when there are too many
   */
  async series(query: LabelQuery): Promise<LabelSet[]> {
    const { catalog, promqlSeriesMax } = this.#options;
    const found = new Map<string, LabelSet>();
    const countSeries = seriesCounter(promqlSeriesMax);
    const slices = new Slices(query.signal);
    await this.#each(query, async (matchers, signal) => {
      for (const source of await catalog.find(matchers, ...daysOf(query), { signal, countSeries })) {
        if (source.edges.length === 0) found.set(source.labels.key, source.labels);
        for (const { labels } of source.edges) found.set(labels.key, labels);
        if (slices.isDue) await slices.pause();
      }
    });
    return await inSlices(sorting([...found.values()], compareLabels));
  }

  /** The names of the labels of these series, in order. */
  async labelNames(query: LabelQuery): Promise<string[]> {
    const names = new Set<string>();
    await this.findLabels(query, names);
    return await inSlices(sorting([...names], compareText));
  }

  /** The values of a label, by its name as pushed or as Prometheus spells it, in order. */
  async labelValues(name: string, query: LabelQuery): Promise<string[]> {
    const values = new Set<string>();
    await this.findValues(name, query, values);
    return await inSlices(sorting([...values], compareText));
  }

  /** Adds the names of the labels of these series. */
  async findLabels(query: LabelQuery, names: NameSink): Promise<void> {
    await this.#each(query, (matchers, signal) =>
      this.#options.catalog.labelNames(matchers, ...daysOf(query), names, signal),
    );
  }

  /** Adds the values of a label, by its name as pushed or as Prometheus spells it. */
  async findValues(name: string, query: LabelQuery, values: NameSink): Promise<void> {
    const label = prometheusLabelName(name);
    await this.#each(query, (matchers, signal) =>
      this.#options.catalog.valuesOf(label, matchers, ...daysOf(query), values, signal),
    );
  }

  /** Adds the names of the metrics of these series. */
  async findMetrics(query: LabelQuery, names: NameSink): Promise<void> {
    await this.findValues(METRIC_NAME, query, names);
  }

  /**
   * A function that returns type, help and unit of the metric that has a name in PromQL: `X`, `X_bucket` and `X_count` have
   * the same. Of several metrics, those of the one that was stored first.
   *
   * @param labels only metrics with series that have these labels, if set
   */
  async describer(labels?: Labels): Promise<(name: string) => MetadataEntry | undefined> {
    const { catalog } = this.#options;
    if (labels === undefined) return (name) => catalog.metricNamed(name);
    const own = new Map<string, MetadataEntry>();
    for (const metric of (await CallerSeries.find(catalog, labels)).metrics())
      for (const { name } of viewsOf(metric)) if (!own.has(name)) own.set(name, metric);
    return (name) => own.get(name);
  }

  /** The number of series by name, label and value: the `most` largest counts of each. */
  async statistics(most: number, labels?: Labels): Promise<SeriesStatistics> {
    if (labels === undefined) return await seriesStatistics(this.#options.catalog, most);
    const series = await this.series({ ...ALWAYS, labels });
    return await countSeries(series, most);
  }

  /** The number of stored series, and the days in which they may have samples, if only series with the labels count. */
  async stored(labels: Labels, days: readonly number[]): Promise<{ series: number; days: number[] }> {
    const { catalog, registry } = this.#options;
    const ids = (await CallerSeries.find(catalog, labels)).ids();
    return {
      series: ids.length,
      days: days.filter((day) => ids.some((id) => registry.hasSamplesIn(id, day, day))),
    };
  }

  /**
   * Type, help and unit by the name of the family; several if metrics share a name.
   *
   * @param metric only this metric, if set
   * @param labels only metrics with series that have these labels, if set
   */
  async metadata(metric?: string, labels?: Labels): Promise<Map<string, MetadataEntry[]>> {
    const { catalog, registry } = this.#options;
    const found = new Map<string, MetadataEntry[]>();
    const metrics = labels === undefined ? registry : await CallerSeries.find(catalog, labels);
    for (const each of metrics.metrics()) {
      const name = familyOf(each);
      if (metric !== undefined && metric !== name && metric !== each.name) continue;
      const entries = found.get(name) ?? [];
      found.set(name, entries);
      const { type, help, unit } = each;
      if (!entries.some((other) => other.type === type && other.help === help))
        entries.push({ type, help, unit });
    }
    return found;
  }

  /** Calls `look` with the matchers of each selector. Without selectors everything matches. */
  async #each(
    { selectors, labels, signal }: LabelQuery,
    look: (matchers: readonly Matcher[], signal: AbortSignal) => Promise<unknown>,
  ): Promise<void> {
    // One without matchers, which can still get those of the caller.
    const texts = selectors.length === 0 ? undefined : selectors;
    await this.#options.selectors.use({ texts, labels }, signal, async (all, either) => {
      for (const matchers of all) await look(matchers, either);
    });
  }
}

/**
 * The name of a metric's family. For a delta this is the counter, and for an observation its own name. If classic
 * histograms and summaries were sent as series or as increments, each part is a metric here.
 */
function familyOf(metric: Metric): string {
  const { kind, type, prometheusName } = metric;
  if (kind === "delta" && type !== "histogram") return totalName(metric);
  if (kind === "observation" || (type !== "histogram" && type !== "summary")) return prometheusName;
  // A summary has no buckets: `_bucket` is the end of its own name.
  return prometheusName.replace(type === "summary" ? /_(?:sum|count)$/ : /_(?:bucket|sum|count)$/, "");
}

const ALWAYS: LabelQuery = {
  selectors: [],
  startMs: Number.NEGATIVE_INFINITY,
  endMs: Number.POSITIVE_INFINITY,
};

/** The days of a look-up. */
export function daysOf({ startMs, endMs }: LabelQuery): [firstDay: number, lastDay: number] {
  return [dayOf(startMs * 1000), dayOf(endMs * 1000)];
}
