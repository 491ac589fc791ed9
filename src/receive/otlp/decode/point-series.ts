/**
 * What is remembered of a metric of OpenTelemetry and of each of its label sets: the heads that all of their points
 * get.
 */
import type { Kind, Labels, MetricType, Rejection, SeriesHead } from "../../../model/sample.ts";
import { openMetricsFloat } from "../../../model/spelling.ts";
import type { ResourceLabels } from "../labels/point-labels.ts";
import { withOne } from "../labels/point-labels.ts";

/** Why points are rejected. */
export type Problem = Pick<Rejection, "cause" | "reason">;

/** The field of a metric that has its points. */
export type DataField = "gauge" | "sum" | "histogram" | "exponentialHistogram" | "summary";

/** A metric of one scope of one resource. */
export interface OtlpMetric {
  /** The name as it was sent, for messages. */
  readonly sentName: string;
  /** The translated name. Distributions add `_bucket`, `_sum` and `_count` to it. */
  readonly name: string;
  readonly data: DataField;
  readonly kind: Kind;
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
  readonly resource: ResourceLabels;
  readonly scope: Labels;
  /** Set if all of its points are rejected. */
  readonly problem: Problem | undefined;
  /** Different for each metric that is remembered. */
  readonly number: number;
  /** The block of attributes with which its last list of points began; -1 if there is none. */
  first: number;
  /** The generation of blocks that `first` belongs to. */
  generation: number;
}

/** The series of one label set of a metric. */
export class PointSeries {
  readonly metric: OtlpMetric;
  readonly labels: Labels;
  /** Attributes that the resource replaced. */
  readonly replaced: readonly string[];
  /** A number has one. A distribution has its buckets or quantiles in order, +Inf if it is a histogram, and its count. */
  heads: readonly SeriesHead[] = [];
  #sum: SeriesHead | undefined;
  /** The bounds or quantiles of `heads`. */
  #bounds: readonly number[] | undefined;
  /** The batch that has its heads, the index of the first, and that of the sum. */
  usedIn = -1;
  index = -1;
  sumIndex = -1;
  /** The start of its running total, the newest time of its points, and the time of the first point since that start. */
  startUs = 0;
  newestUs = 0;
  firstUs = 0;
  /** Whether its present heads were counted. */
  isCounted = false;

  constructor(metric: OtlpMetric, labels: Labels, replaced: readonly string[]) {
    this.metric = metric;
    this.labels = labels;
    this.replaced = replaced;
    if (metric.data === "gauge" || metric.data === "sum") this.heads = [this.#head("", labels)];
  }

  get sum(): SeriesHead {
    this.#sum ??= this.#head("_sum", this.labels);
    return this.#sum;
  }

  /** Whether `heads` are those of the first `length` of these bounds or quantiles. */
  hasBounds(bounds: ArrayLike<number>, length: number): boolean {
    const own = this.#bounds;
    if (own === undefined || own.length !== length) return false;
    for (let at = 0; at < length; at++) if (own[at] !== bounds[at]) return false;
    return true;
  }

  /** Makes the heads of a histogram with these bounds. Returns the buckets that it had and that it lacks now. */
  setBounds(bounds: readonly number[]): readonly SeriesHead[] {
    const before = this.#bounds ?? [];
    const kept = new Set(bounds);
    const dropped = this.heads.filter((_, at) => at < before.length && !kept.has(before[at]!));
    const edges = [...bounds, Number.POSITIVE_INFINITY];
    this.heads = [
      ...edges.map((bound) => this.#edge("_bucket", "le", bound)),
      this.#head("_count", this.labels),
    ];
    this.#bounds = bounds;
    this.usedIn = -1;
    this.isCounted = false;
    return dropped;
  }

  /** Makes the heads of a summary with these quantiles. */
  setQuantiles(quantiles: readonly number[]): void {
    this.heads = [
      ...quantiles.map((quantile) => this.#edge("", "quantile", quantile)),
      this.#head("_count", this.labels),
    ];
    this.#bounds = quantiles;
    this.usedIn = -1;
    this.isCounted = false;
  }

  /** The index among `heads` of the bucket that has a value. */
  bucketOf(value: number): number {
    const at = this.#bounds?.findIndex((bound) => value <= bound) ?? -1;
    return at < 0 ? (this.#bounds?.length ?? 0) : at;
  }

  #edge(suffix: string, label: string, edge: number): SeriesHead {
    return this.#head(suffix, withOne(this.labels, label, openMetricsFloat(edge)));
  }

  #head(suffix: string, labels: Labels): SeriesHead {
    const { name, kind, type, unit, help } = this.metric;
    return {
      metric: name + suffix,
      kind,
      type,
      unit: unit === "" ? undefined : unit,
      help: help === "" ? undefined : help,
      labels,
    };
  }
}
