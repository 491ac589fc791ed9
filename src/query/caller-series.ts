/**
 * The series of a caller whose token has labels: those that have all of the labels. Every reader narrows with this module,
 * so that all mean the same series.
 *
 * A label that is an attribute of a metric, by a setting or because it has too many values, is not a label of the metric's
 * series. So a token with such a label reads nothing of that metric, which is less than it may read, and never more.
 */
import type { Labels, Metric, Series } from "../model/sample.ts";
import type { Catalog } from "./promql/catalog/catalog.ts";
import { type Matcher, matcher } from "./promql/matchers.ts";

/** Selectors that find only series with the labels. Unchanged without labels. */
export function narrowed(
  selectors: readonly (readonly Matcher[])[],
  labels: Labels | undefined,
): readonly (readonly Matcher[])[] {
  if (labels === undefined) return selectors;
  const own = callerMatchers(labels);
  return selectors.map((matchers) => [...matchers, ...own]);
}

/** The matchers that every selector of a caller gets. */
export function callerMatchers(labels: Labels | undefined): readonly Matcher[] {
  return Array.from(labels ?? [], ([name, value]) => matcher(name, "=", value));
}

/** Whether labels contain the caller's. Names are compared as they are. */
export function hasLabels(labels: Labels, own: Labels | undefined): boolean {
  for (const [name, value] of own ?? []) if (labels.get(name) !== value) return false;
  return true;
}

/** A metric with the names of the labels that the series have. */
type OwnMetric = Metric & { labelNames(): Iterable<string> };

/** The series of one caller at one moment. */
export class CallerSeries {
  readonly #byMetric: ReadonlyMap<Metric, readonly Series[]>;

  private constructor(byMetric: ReadonlyMap<Metric, readonly Series[]>) {
    this.#byMetric = byMetric;
  }

  static async find(catalog: Pick<Catalog, "stored">, labels: Labels): Promise<CallerSeries> {
    const found = [...(await catalog.stored(callerMatchers(labels)))];
    // By name: the order in which metrics came says which of them others pushed before.
    return new CallerSeries(new Map(found.sort(([a], [b]) => (a.name < b.name ? -1 : 1))));
  }

  /** The metrics that any of the series has. The names of their labels are those of these series. */
  *metrics(): Iterable<OwnMetric> {
    for (const [metric, series] of this.#byMetric) {
      const { name, prometheusName, kind, type, unit, help, buckets } = metric;
      const labelNames = () => namesIn(series);
      yield { name, prometheusName, kind, type, unit, help, buckets, labelNames };
    }
  }

  /** The ids of the series, of the named metrics (as pushed) or of all. */
  ids(metrics?: readonly string[]): number[] {
    return [...this.#byMetric]
      .filter(([metric]) => metrics === undefined || metrics.includes(metric.name))
      .flatMap(([, series]) => series.map(({ seriesId }) => seriesId));
  }
}

/** The names of the labels that the series have. */
function namesIn(series: readonly Series[]): Set<string> {
  const names = new Set<string>();
  for (const { labels } of series) for (const name of labels.keys()) names.add(name);
  return names;
}
