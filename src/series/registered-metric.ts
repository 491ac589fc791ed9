/** A metric as the registry keeps it: with its series, and the label names that they carry. */
import { prometheusName } from "../model/names.ts";
import type { Kind, Labels, Metric, MetricType, Series, SeriesHead } from "../model/sample.ts";
import type { Refused } from "./admitted.ts";
import { agree } from "./naming.ts";

/** What metrics are where nothing more is said of them. */
export const TYPE_OF_KIND: Record<Kind, MetricType> = {
  observation: "histogram",
  delta: "counter",
  gauge: "gauge",
  cumulative: "unknown",
};

/** What senders call the kinds. */
const TYPE_NAMES: Record<Kind, string> = {
  observation: "observation",
  delta: "counter",
  gauge: "gauge",
  cumulative: "cumulative",
};

/** A metric with its series, as the registry keeps it. */
export class RegisteredMetric implements Metric {
  readonly name: string;
  readonly prometheusName: string;
  readonly kind: Kind;
  type: MetricType;
  unit: string;
  help: string;
  readonly buckets: readonly number[];
  /** Series by their labels' key; those that a demotion ended are not here. */
  readonly current = new Map<string, Series>();
  /** How many series that hold rows carry each label name, ended ones included. */
  readonly #labelNames = new Map<string, number>();
  /** All series that hold rows, ended ones included. */
  readonly series = new Set<Series>();
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

  /** Says that samples of a head are of another kind, if they are. */
  disagreement({ metric, kind }: SeriesHead): Refused | undefined {
    if (agree(this.kind, kind)) return undefined;
    return {
      cause: "kind",
      refused: `metric ${JSON.stringify(metric)} is stored as ${TYPE_NAMES[this.kind]}, this sample says ${TYPE_NAMES[kind]}`,
    };
  }

  /** Takes over what a head says of the metric and nobody said before; tells whether there was such. */
  refine(head: SeriesHead): boolean {
    const { type, unit, help } = this;
    if (type === "unknown") this.type = head.type ?? TYPE_OF_KIND[head.kind];
    this.unit ||= head.unit ?? "";
    this.help ||= head.help ?? "";
    return type !== this.type || unit !== this.unit || help !== this.help;
  }

  /** The names of all labels that a series of the metric carries. */
  labelNames(): Iterable<string> {
    return this.#labelNames.keys();
  }

  hasLabelName(name: string): boolean {
    return this.#labelNames.has(name);
  }

  /** Whether any of its series is for /metrics. */
  get isExposed(): boolean {
    return this.#exposedSeries > 0;
  }

  add(series: Series): void {
    this.series.add(series);
    if (series.exposed) this.#exposedSeries++;
    this.#count(series.labels, 1);
  }

  remove(series: Series): void {
    this.series.delete(series);
    if (series.exposed) this.#exposedSeries--;
    this.#count(series.labels, -1);
  }

  #count(labels: Labels, by: 1 | -1): void {
    for (const name of labels.keys()) {
      const count = (this.#labelNames.get(name) ?? 0) + by;
      if (count === 0) this.#labelNames.delete(name);
      else this.#labelNames.set(name, count);
    }
  }
}
