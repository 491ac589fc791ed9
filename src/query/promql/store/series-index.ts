/**
 * Where series are looked up by metric and by label, in memory, beside the registry and kept up with it: what came
 * since the last look is taken in, a step a series, and everything is made anew only when series were forgotten.
 *
 * A label is indexed when it is first asked for, over all series or those of one metric: one pass over them, and then
 * some ten bytes a series that carries it. Labels go by their names as Prometheus spells them.
 */
import { prometheusLabelName } from "../../../model/names.ts";
import type { Metric, Series } from "../../../model/sample.ts";

/** A metric with the series that hold rows, ended ones included, in the order in which they came. */
export interface CatalogMetric extends Metric {
  readonly series: ReadonlySet<Series>;
  /** The names of all labels that a series of the metric carries, as pushed. */
  labelNames(): Iterable<string>;
}

/** What is followed of the registry. */
export interface FollowedRegistry {
  /** Changes when series are forgotten, at the least. */
  readonly epoch: number;
  /** In the order in which they came. */
  metrics(): Iterable<CatalogMetric>;
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

/** A metric as it is indexed. */
export interface IndexedMetric {
  readonly metric: CatalogMetric;
  readonly views: readonly View[];
  readonly series: readonly Series[];
  /** Its label names that Prometheus spells otherwise, by that spelling. */
  readonly respelled: ReadonlyMap<string, readonly string[]>;
}

/** The series that have one value of a label: one by itself, since many values have no other. */
type Having = Series | Series[];

interface Followed extends IndexedMetric {
  respelled: ReadonlyMap<string, readonly string[]>;
  readonly series: Series[];
  /** What comes next of its series. A set's iterator that is not at its end finds what is added later. */
  readonly coming: Iterator<Series>;
  readonly labels: Map<string, LabelIndex>;
}

/** The series that have each value of a label, among the first so many of a list. */
interface LabelIndex {
  readonly values: Map<string, Having>;
  taken: number;
}

const NONE: ReadonlyMap<string, readonly string[]> = new Map();

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

export class SeriesIndex {
  readonly #registry: FollowedRegistry;
  #epoch: number;
  #metrics: Followed[] = [];
  #byMetric = new Map<Metric, Followed>();
  #byName = new Map<string, Followed[]>();
  /** Every series, in the order in which it was taken in. */
  #series: Series[] = [];
  #labels = new Map<string, LabelIndex>();
  /** Counts how often everything was made anew. */
  #generation = 0;

  constructor(registry: FollowedRegistry) {
    this.#registry = registry;
    this.#epoch = registry.epoch;
  }

  /** Takes in what is new; to be called before each question. Gives a number that changes when series are gone. */
  follow(): number {
    if (this.#epoch !== this.#registry.epoch) {
      this.#epoch = this.#registry.epoch;
      if (this.#hasLost()) this.#clear();
    }
    let at = 0;
    for (const metric of this.#registry.metrics()) {
      let known = this.#metrics[at++];
      if (known === undefined) known = this.#add(metric);
      if (known.series.length < metric.series.size) this.#takeIn(known);
    }
    return this.#generation;
  }

  get metrics(): readonly IndexedMetric[] {
    return this.#metrics;
  }

  get seriesCount(): number {
    return this.#series.length;
  }

  /** What is indexed of the metric of a series. */
  of(metric: Metric): IndexedMetric {
    return this.#byMetric.get(metric)!;
  }

  /** The metrics that have a view of this name, in either spelling. */
  named(name: string): readonly IndexedMetric[] {
    return this.#byName.get(name) ?? [];
  }

  /** The series with a value of a label, those too for which it was demoted. */
  having(label: string, value: string): readonly Series[] {
    const found = this.#indexed(label, this.#labels, this.#series).get(value);
    return found === undefined ? [] : listOf(found);
  }

  /** The values of a label with their series, of all metrics or of one; those too for which it was demoted. */
  *valuesOf(label: string, of?: IndexedMetric): Iterable<readonly [string, readonly Series[]]> {
    const { labels, series } =
      of === undefined ? { labels: this.#labels, series: this.#series } : (of as Followed);
    for (const [value, found] of this.#indexed(label, labels, series)) yield [value, listOf(found)];
  }

  #add(metric: CatalogMetric): Followed {
    const known: Followed = {
      metric,
      views: viewsOf(metric),
      respelled: NONE,
      series: [],
      coming: metric.series.values(),
      labels: new Map(),
    };
    this.#metrics.push(known);
    this.#byMetric.set(metric, known);
    for (const name of new Set(known.views.flatMap((view) => [view.name, view.pushedName]))) {
      const own = this.#byName.get(name);
      if (own === undefined) this.#byName.set(name, [known]);
      else own.push(known);
    }
    return known;
  }

  #takeIn(known: Followed): void {
    const { metric, coming, series } = known;
    // Never past the last: an iterator that came to its end stays there.
    while (series.length < metric.series.size) {
      const next = coming.next();
      if (next.done) break;
      series.push(next.value);
      this.#series.push(next.value);
    }
    known.respelled = respelled(metric);
  }

  #indexed(
    label: string,
    labels: Map<string, LabelIndex>,
    all: readonly Series[],
  ): ReadonlyMap<string, Having> {
    const index = labels.get(label) ?? { values: new Map<string, Having>(), taken: 0 };
    const { values } = index;
    for (; index.taken < all.length; index.taken++) {
      const series = all[index.taken]!;
      const value = series.labels.get(label) ?? this.#respelledValue(series, label);
      if (value === undefined) continue;
      const found = values.get(value);
      if (found === undefined) values.set(value, series);
      else if (Array.isArray(found)) found.push(series);
      else values.set(value, [found, series]);
    }
    // A name that no series has is not remembered, whoever asks for it.
    if (values.size > 0) labels.set(label, index);
    return values;
  }

  #respelledValue({ metric, labels }: Series, label: string): string | undefined {
    const { respelled } = this.#byMetric.get(metric)!;
    if (respelled === NONE) return undefined;
    for (const name of respelled.get(label) ?? []) {
      const value = labels.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** Whether any series that was taken in is gone. */
  #hasLost(): boolean {
    let at = 0;
    for (const metric of this.#registry.metrics()) {
      const known = this.#metrics[at++];
      if (known !== undefined && known.metric !== metric) return true;
    }
    if (at < this.#metrics.length) return true;
    return this.#series.some((series) => !this.#byMetric.get(series.metric)!.metric.series.has(series));
  }

  #clear(): void {
    this.#metrics = [];
    this.#byMetric = new Map();
    this.#byName = new Map();
    this.#series = [];
    this.#labels = new Map();
    this.#generation++;
  }
}

function listOf(having: Having): readonly Series[] {
  return Array.isArray(having) ? having : [having];
}

function respelled(metric: CatalogMetric): ReadonlyMap<string, readonly string[]> {
  let found: Map<string, string[]> | undefined;
  for (const name of metric.labelNames()) {
    const spelled = prometheusLabelName(name);
    if (spelled === name) continue;
    found ??= new Map();
    found.set(spelled, [...(found.get(spelled) ?? []), name]);
  }
  return found ?? NONE;
}
