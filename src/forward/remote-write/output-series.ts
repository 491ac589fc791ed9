/**
 * The series of remote_write: what the samples of a stored series are called there. Gauges and cumulative series keep their
 * name. An observation becomes the histogram `X_bucket`, `X_sum`, `X_count`, and a delta the counter `X_total`. Relabelling
 * sees these names. The bytes of their labels are made once.
 */
import type { Destination } from "../../model/forwarding/destination.ts";
import { relabelling } from "../../model/forwarding/relabel-rule.ts";
import { alertTest } from "../../model/alerts/alert-matcher.ts";
import { prometheusLabelName, totalName } from "../../model/names.ts";
import type { Metric, MetricType, Series } from "../../model/sample.ts";
import { openMetricsFloat } from "../../model/spelling.ts";
import { ProtobufWriter, varintSize } from "../../wire/protobuf-writer.ts";

/** A series as it is sent. */
export interface OutputSeries {
  /** Sorted by name, `__name__` among them. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** The messages Label of version 1. */
  readonly encoded: Uint8Array;
  /** The same in each process, so that a series stays in its part. */
  readonly hash: number;
  readonly metadata: OutputMetadata;
}

/** What is known of a family. One object per metric, so that it is sent once. */
export interface OutputMetadata {
  readonly family: string;
  readonly type: MetricType;
  readonly help: string;
  readonly unit: string;
}

/** The series of an event's counters. An absent one is dropped by relabelling. */
export interface OutputCounters {
  readonly total?: OutputSeries;
  /** Of observations: by bound, with +Inf last. */
  readonly buckets: readonly (OutputSeries | undefined)[];
  readonly sum?: OutputSeries;
  readonly count?: OutputSeries;
}

/** Series that are remembered: some 500 bytes each. */
const SERIES_MAX = 200_000;

export class OutputNames {
  readonly #change: (labels: ReadonlyMap<string, string>) => ReadonlyMap<string, string> | undefined;
  readonly #writer = new ProtobufWriter(4_096);
  readonly #raw = new Map<number, OutputSeries | undefined>();
  readonly #counters = new Map<number, OutputCounters>();
  readonly #metadata = new WeakMap<Metric, OutputMetadata>();

  constructor(destination: Pick<Destination, "matchers" | "relabel" | "labels">) {
    this.#change = labelChange(destination);
  }

  /** The series of the samples themselves. Undefined if it is not sent. */
  raw(series: Series): OutputSeries | undefined {
    const known = this.#raw.get(series.seriesId);
    if (known !== undefined || this.#raw.has(series.seriesId)) return known;
    if (this.#raw.size >= SERIES_MAX) this.#raw.clear();
    const made = this.#make(series, series.metric.prometheusName);
    this.#raw.set(series.seriesId, made);
    return made;
  }

  /** The series of the counters of an observation or a delta. */
  counters(series: Series): OutputCounters {
    const known = this.#counters.get(series.seriesId);
    if (known !== undefined) return known;
    if (this.#counters.size >= SERIES_MAX / 10) this.#counters.clear();
    const made = this.#makeCounters(series);
    this.#counters.set(series.seriesId, made);
    return made;
  }

  #makeCounters(series: Series): OutputCounters {
    const { metric } = series;
    if (metric.kind === "delta") return { total: this.#make(series, totalName(metric)), buckets: [] };
    const name = metric.prometheusName;
    return {
      buckets: [...metric.buckets, Number.POSITIVE_INFINITY].map((bound) =>
        this.#make(series, `${name}_bucket`, openMetricsFloat(bound)),
      ),
      sum: this.#make(series, `${name}_sum`),
      count: this.#make(series, `${name}_count`),
    };
  }

  #make({ metric, labels }: Series, name: string, le?: string): OutputSeries | undefined {
    const all = new Map<string, string>([["__name__", name]]);
    for (const [label, value] of labels) all.set(prometheusLabelName(label), value);
    if (le !== undefined) all.set("le", le);
    const changed = this.#change(all);
    if (changed === undefined) return undefined;
    const sorted = [...changed].sort(([a], [b]) => (a < b ? -1 : 1));
    const encoded = encodeLabels(this.#writer, sorted);
    return { labels: sorted, encoded, hash: Bun.hash.xxHash32(encoded), metadata: this.#metadataOf(metric) };
  }

  #metadataOf(metric: Metric): OutputMetadata {
    const known = this.#metadata.get(metric);
    const { type, help, unit } = metric;
    // Later metadata of a sender refines it.
    if (known !== undefined && known.type === type && known.help === help && known.unit === unit)
      return known;
    const made = { family: familyOf(metric), type, help, unit };
    this.#metadata.set(metric, made);
    return made;
  }
}

/**
 * A function that says how the labels of a series are sent: matchers first, then the labels that the destination adds, then
 * relabelling. Undefined if the series is not sent.
 */
export function labelChange({
  matchers,
  relabel,
  labels: added,
}: Pick<Destination, "matchers" | "relabel" | "labels">) {
  const matches = matchers.length === 0 ? () => true : alertTest(matchers);
  const change = relabelling(relabel);
  const additions = Object.entries(added);
  return (labels: ReadonlyMap<string, string>): ReadonlyMap<string, string> | undefined => {
    if (!matches(Object.fromEntries(labels))) return undefined;
    const all = new Map(labels);
    for (const [name, value] of additions) if (!all.has(name)) all.set(name, value);
    const changed = change(all);
    return changed === undefined || !changed.has("__name__") ? undefined : changed;
  };
}

/** The family of a part of a histogram or a summary, which is a metric of its own here. */
function familyOf({ prometheusName: name, type, kind }: Metric): string {
  if (kind === "observation" || (type !== "histogram" && type !== "summary")) return name;
  return name.replace(/_(?:bucket|sum|count)$/, "");
}

/** The messages Label: name=1, value=2, each as field 1 of TimeSeries. */
export function encodeLabels(writer: ProtobufWriter, labels: OutputSeries["labels"]): Uint8Array {
  writer.reset();
  for (const [name, value] of labels) {
    const sizes = [Buffer.byteLength(name), Buffer.byteLength(value)] as const;
    const size = sizes.reduce((sum, bytes) => sum + 1 + varintSize(bytes) + bytes, 0);
    writer.reserve(size + 12);
    writer.byte(0x0a);
    writer.varint(size);
    writer.byte(0x0a);
    writer.text(name);
    writer.byte(0x12);
    writer.text(value);
  }
  return writer.bytes.slice();
}
