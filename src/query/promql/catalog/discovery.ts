/**
 * Discovery of series, label names and values, and metadata, in memory. Times count by the day, because nothing finer
 * is known without reading rows.
 */
import { prometheusLabelName, totalName } from "../../../model/names.ts";
import { dayOf, type Labels, type Metric } from "../../../model/sample.ts";
import { narrowed, CallerSeries } from "../../caller-series.ts";
import { compareLabels, compareText, type LabelSet } from "../labels.ts";
import type { Matcher } from "../matchers.ts";
import type { Catalog, SeriesRegistry } from "./catalog.ts";
import { sortWithPauses } from "../store/sort-with-pauses.ts";
import { countSeries, type SeriesStatistics, seriesStatistics } from "./catalog-statistics.ts";

export interface LabelQuery {
  /** Selectors, any of which may match; none: all series. */
  readonly selectors: readonly (readonly Matcher[])[];
  readonly startMs: number;
  readonly endMs: number;
  /** If set, only series with these labels count. */
  readonly labels?: Labels;
}

export interface MetadataEntry {
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

export class Discovery {
  readonly #registry: SeriesRegistry;
  readonly #catalog: Catalog;

  constructor(registry: SeriesRegistry, catalog: Catalog) {
    this.#registry = registry;
    this.#catalog = catalog;
  }

  /** The label sets of the series that match, in order. */
  async series(query: LabelQuery): Promise<LabelSet[]> {
    const found = [...this.#labelSets(query)];
    const sorted = await sortWithPauses(found, compareLabels);
    return sorted.filter((labels, at) => at === 0 || labels.key !== sorted[at - 1].key);
  }

  /** The names of the labels of these series, in order. */
  labelNames(query: LabelQuery): string[] {
    const names = new Set<string>();
    for (const matchers of selectorsOf(query)) this.#catalog.labelNames(matchers, ...daysOf(query), names);
    return [...names].sort(compareText);
  }

  /** The values of a label, by its name as pushed or as Prometheus spells it, in order. */
  labelValues(name: string, query: LabelQuery): string[] {
    const values = new Set<string>();
    const label = prometheusLabelName(name);
    for (const matchers of selectorsOf(query))
      this.#catalog.valuesOf(label, matchers, ...daysOf(query), values);
    return [...values].sort(compareText);
  }

  /** The number of series by name, label and value: the `most` largest counts of each. */
  async statistics(most: number, labels?: Labels): Promise<SeriesStatistics> {
    if (labels === undefined) return await seriesStatistics(this.#catalog, most);
    const series = await this.series({ ...ALWAYS, labels });
    return countSeries(series, most);
  }

  /** The number of stored series, and the days in which they may have samples, if only series with the labels count. */
  stored(labels: Labels, days: readonly number[]): { series: number; days: number[] } {
    const ids = new CallerSeries(this.#catalog, labels).ids();
    return {
      series: ids.length,
      days: days.filter((day) => ids.some((id) => this.#registry.hasSamplesIn(id, day, day))),
    };
  }

  /**
   * Type, help and unit by the name of the family; several if metrics share a name.
   *
   * @param metric only this metric, if set
   * @param labels only metrics with series that have these labels, if set
   */
  metadata(metric?: string, labels?: Labels): Map<string, MetadataEntry[]> {
    const found = new Map<string, MetadataEntry[]>();
    const metrics = labels === undefined ? this.#registry : new CallerSeries(this.#catalog, labels);
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

  *#labelSets(query: LabelQuery): Iterable<LabelSet> {
    for (const matchers of selectorsOf(query)) {
      for (const source of this.#catalog.find(matchers, ...daysOf(query))) {
        if (source.edges.length === 0) yield source.labels;
        for (const edge of source.edges) yield edge.labels;
      }
    }
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

/** Without selectors, everything matches, as with one selector without matchers. */
function selectorsOf({ selectors, labels }: LabelQuery): LabelQuery["selectors"] {
  return narrowed(selectors.length > 0 ? selectors : [[]], labels);
}

function daysOf({ startMs, endMs }: LabelQuery): [firstDay: number, lastDay: number] {
  return [dayOf(startMs * 1000), dayOf(endMs * 1000)];
}
