/** A metric as the registry keeps it: with its series and the label names that they have. */
import { prometheusName } from "../model/names.ts";
import type { SenderTerms } from "../model/protocol.ts";
import type { Kind, Labels, Metric, MetricType, Series, SeriesHead } from "../model/sample.ts";
import { withUsualEdges } from "../model/spelling.ts";
import type { Refused } from "./admitted.ts";
import { agree, labelsKey } from "./naming.ts";
import { SeriesByLabels, SeriesList } from "./series-tables.ts";

/** The type of a metric whose sender declares none. */
export const TYPE_OF_KIND: Record<Kind, MetricType> = {
  observation: "histogram",
  delta: "counter",
  gauge: "gauge",
  cumulative: "unknown",
};

/** The names of the kinds in the vocabulary of events. */
const TYPE_NAMES: Record<Kind, string> = {
  observation: "observation",
  delta: "counter",
  gauge: "gauge",
  cumulative: "cumulative",
};

/** A metric with its series. */
export class RegisteredMetric implements Metric {
  readonly name: string;
  readonly prometheusName: string;
  readonly kind: Kind;
  type: MetricType;
  unit: string;
  help: string;
  readonly buckets: readonly number[];
  /** Series by the key of their labels, without those that a demotion ended. */
  readonly current = new SeriesByLabels();
  /** For each label name, how many series with rows have it, ended series included. Counted when it is first asked for. */
  #names: Map<string, number> | undefined;
  /** All series that have rows, ended ones included. */
  readonly series = new SeriesList();
  /**
   * Exposed series whose bound is stored in another spelling than an OpenMetrics float, by the key of their labels with
   * such a float. Of two series with one bound, the first.
   */
  readonly #byUsualBound = new Map<string, Series>();
  #exposedSeries = 0;

  constructor(metric: Omit<Metric, "prometheusName">) {
    this.name = metric.name;
    this.prometheusName = prometheusName(metric.name);
    this.kind = metric.kind;
    this.type = metric.type;
    this.unit = metric.unit;
    this.help = metric.help;
    this.buckets = metric.buckets;
  }

  /** The reason to reject samples of a head whose kind differs, or undefined if it agrees. */
  disagreement({ metric, kind }: SeriesHead, { kinds }: SenderTerms): Refused | undefined {
    if (agree(this.kind, kind)) return undefined;
    const names = { ...TYPE_NAMES, ...kinds };
    return {
      cause: "kind",
      refused:
        `metric ${JSON.stringify(metric)} is stored as ${names[this.kind]}, this sample is ${names[kind]}; ` +
        'use another name, or delete all samples of the metric with "weir delete"',
    };
  }

  /** Takes type, unit and help from a head where the metric has none yet. Returns whether anything changed. */
  refine(head: SeriesHead): boolean {
    const { type, unit, help } = this;
    if (type === "unknown") this.type = head.type ?? TYPE_OF_KIND[head.kind];
    this.unit ||= head.unit ?? "";
    this.help ||= head.help ?? "";
    return type !== this.type || unit !== this.unit || help !== this.help;
  }

  /** The names of all labels that the series of the metric have. */
  labelNames(): Iterable<string> {
    return this.#labelNames.keys();
  }

  hasLabelName(name: string): boolean {
    return this.#labelNames.has(name);
  }

  /** The values of a label that the series of the metric have. */
  valuesOf(label: string): Set<string> {
    const values = new Set<string>();
    for (const { labels } of this.series) {
      const value = labels.get(label);
      if (value !== undefined && value !== "") values.add(value);
    }
    return values;
  }

  /** Whether any of its series is exposed on /metrics. */
  get isExposed(): boolean {
    return this.#exposedSeries > 0;
  }

  /**
   * The exposed series whose labels have this key once `le` and `quantile` are spelled as OpenMetrics floats, if it is
   * stored in another spelling.
   */
  shownWithBound(key: string): Series | undefined {
    return this.#byUsualBound.get(key);
  }

  add(series: Series): void {
    this.series.add(series);
    if (series.exposed) {
      this.#exposedSeries++;
      const key = usualKey(series);
      if (key !== undefined && !this.#byUsualBound.has(key)) this.#byUsualBound.set(key, series);
    }
    if (this.#names !== undefined) count(this.#names, series.labels, 1);
  }

  remove(series: Series): void {
    this.series.delete(series);
    if (series.exposed) {
      this.#exposedSeries--;
      const key = usualKey(series);
      if (key !== undefined && this.#byUsualBound.get(key) === series) this.#byUsualBound.delete(key);
    }
    if (this.#names !== undefined) count(this.#names, series.labels, -1);
  }

  get #labelNames(): ReadonlyMap<string, number> {
    if (this.#names === undefined) {
      this.#names = new Map();
      for (const { labels } of this.series) count(this.#names, labels, 1);
    }
    return this.#names;
  }
}

function count(names: Map<string, number>, labels: Labels, by: 1 | -1): void {
  for (const name of labels.keys()) {
    const after = (names.get(name) ?? 0) + by;
    if (after === 0) names.delete(name);
    else names.set(name, after);
  }
}

/** The key of a series' labels with OpenMetrics floats as bounds. Undefined if they are stored like that. */
function usualKey({ labels }: Series): string | undefined {
  const usual = withUsualEdges(labels);
  return usual === labels ? undefined : labelsKey(usual);
}
