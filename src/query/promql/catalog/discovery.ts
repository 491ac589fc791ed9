/**
 * Discovery of series, label names and values, and metadata, in memory. Times count by the day, because nothing finer
 * is known without reading rows.
 */
import { prometheusLabelName, totalName } from "../../../model/names.ts";
import { dayOf } from "../../../model/sample.ts";
import { compareLabels, compareText, type LabelSet } from "../labels.ts";
import type { Matcher } from "../matchers.ts";
import type { Catalog, CatalogMetric, SeriesRegistry } from "./catalog.ts";
import { sortWithPauses } from "../store/sort-with-pauses.ts";
import { type SeriesStatistics, seriesStatistics } from "./catalog-statistics.ts";

export interface LabelQuery {
  /** Selectors, any of which may match; none: all series. */
  readonly selectors: readonly (readonly Matcher[])[];
  readonly startMs: number;
  readonly endMs: number;
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
  labelNames({ selectors, ...query }: LabelQuery): string[] {
    const names = new Set<string>();
    for (const matchers of anyOf(selectors)) this.#catalog.labelNames(matchers, ...daysOf(query), names);
    return [...names].sort(compareText);
  }

  /** The values of a label, by its name as pushed or as Prometheus spells it, in order. */
  labelValues(name: string, { selectors, ...query }: LabelQuery): string[] {
    const values = new Set<string>();
    const label = prometheusLabelName(name);
    for (const matchers of anyOf(selectors))
      this.#catalog.valuesOf(label, matchers, ...daysOf(query), values);
    return [...values].sort(compareText);
  }

  /** The number of series by name, label and value: the `most` largest counts of each. */
  async statistics(most: number): Promise<SeriesStatistics> {
    return await seriesStatistics(this.#catalog, most);
  }

  /** Type, help and unit by the name of the family; several if metrics share a name. */
  metadata(metric?: string): Map<string, MetadataEntry[]> {
    const found = new Map<string, MetadataEntry[]>();
    for (const each of this.#registry.metrics()) {
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

  *#labelSets({ selectors, ...query }: LabelQuery): Iterable<LabelSet> {
    for (const matchers of anyOf(selectors)) {
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
function familyOf(metric: CatalogMetric): string {
  const { kind, type, prometheusName } = metric;
  if (kind === "delta" && type !== "histogram") return totalName(metric);
  if (kind === "observation" || (type !== "histogram" && type !== "summary")) return prometheusName;
  // A summary has no buckets: `_bucket` is the end of its own name.
  return prometheusName.replace(type === "summary" ? /_(?:sum|count)$/ : /_(?:bucket|sum|count)$/, "");
}

/** Without selectors, everything matches, as with one selector without matchers. */
function anyOf(selectors: LabelQuery["selectors"]): LabelQuery["selectors"] {
  return selectors.length > 0 ? selectors : [[]];
}

function daysOf({ startMs, endMs }: Omit<LabelQuery, "selectors">): [firstDay: number, lastDay: number] {
  return [dayOf(startMs * 1000), dayOf(endMs * 1000)];
}
