/**
 * The series of OTLP: what a stored series is called there. A metric has the name with which it was pushed. The labels `job` and
 * `instance` become attributes of the resource, as the data model of OpenTelemetry maps them for Prometheus, and all others
 * attributes of the points. The bytes of the attributes are made once.
 */
import type { Destination } from "../../model/forwarding/destination.ts";
import type { Series } from "../../model/sample.ts";
import { ProtobufWriter, varintSize } from "../../wire/protobuf-writer.ts";
import { labelChange } from "../remote-write/output-series.ts";
import type { OrderedSeries } from "../remote-write/points.ts";

/** A gauge, a monotonic sum with cumulative temporality, or a histogram with cumulative temporality. */
export type OtlpForm = "gauge" | "sum" | "histogram";

export interface SentMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly form: OtlpForm;
  /** Of histograms: upper bounds without +Inf. */
  readonly bounds: readonly number[];
}

export interface OtlpResource {
  /** The messages KeyValue, each as field 1 of Resource. */
  readonly attributes: Uint8Array;
}

/** A series as it is sent. */
export interface OtlpSeries extends OrderedSeries {
  readonly metric: SentMetric;
  readonly resource: OtlpResource;
  /** The messages KeyValue of its points, each as the field of attributes of such a point. */
  readonly attributes: Uint8Array;
  readonly labels: ReadonlyMap<string, string>;
}

/** Series that are remembered: some 500 bytes each. */
const SERIES_MAX = 200_000;

/** The tags of the field of attributes: 7 of NumberDataPoint, 9 of HistogramDataPoint, 1 of Resource. */
const NUMBER_ATTRIBUTES = 0x3a;
const HISTOGRAM_ATTRIBUTES = 0x4a;
const RESOURCE_ATTRIBUTES = 0x0a;

export class OtlpNames {
  readonly #change: ReturnType<typeof labelChange>;
  readonly #resourceAttributes: Readonly<Record<string, string>>;
  readonly #series = new Map<number, OtlpSeries | undefined>();
  readonly #metrics = new Map<string, SentMetric>();
  readonly #resources = new Map<string, OtlpResource>();
  readonly #writer = new ProtobufWriter(4_096);

  /** @param resourceAttributes attributes of each resource, which replace those of labels */
  constructor(
    destination: Pick<Destination, "matchers" | "relabel" | "labels">,
    resourceAttributes: Readonly<Record<string, string>>,
  ) {
    this.#change = labelChange(destination);
    this.#resourceAttributes = resourceAttributes;
  }

  /** The series as the destination gets it. Undefined if it does not. */
  of(series: Series): OtlpSeries | undefined {
    const known = this.#series.get(series.seriesId);
    if (known !== undefined && isCurrent(known.metric, series)) return known;
    if (known === undefined && this.#series.has(series.seriesId)) return undefined;
    if (this.#series.size >= SERIES_MAX) {
      this.#series.clear();
      this.#metrics.clear();
      this.#resources.clear();
    }
    const made = this.#make(series);
    this.#series.set(series.seriesId, made);
    return made;
  }

  #make(series: Series): OtlpSeries | undefined {
    const changed = this.#change(new Map([["__name__", series.metric.name], ...series.labels]));
    if (changed === undefined) return undefined;
    const metric = this.#metricOf(series, changed.get("__name__")!);
    const labels = new Map(changed);
    for (const name of ["__name__", "job", "instance"]) labels.delete(name);
    const tag = metric.form === "histogram" ? HISTOGRAM_ATTRIBUTES : NUMBER_ATTRIBUTES;
    const attributes = this.#encoded(labels, tag);
    const resource = this.#resourceOf(changed.get("job"), changed.get("instance"));
    const hash = Bun.hash.xxHash32(`${metric.name}\0${Buffer.from(attributes).toString("latin1")}`);
    return { metric, resource, attributes, hash, labels: changed };
  }

  #metricOf(series: Series, name: string): SentMetric {
    const { unit, help, buckets } = series.metric;
    const form = formOf(series);
    const key = JSON.stringify([name, unit, help, form, buckets]);
    return this.#metrics.getOrInsertComputed(key, () => ({
      ...{ name, unit, form, description: help, bounds: buckets },
    }));
  }

  #resourceOf(job: string | undefined, instance: string | undefined): OtlpResource {
    return this.#resources.getOrInsertComputed(JSON.stringify([job, instance]), () => {
      const attributes = new Map<string, string>();
      if (job !== undefined) attributes.set("service.name", job);
      if (instance !== undefined) attributes.set("service.instance.id", instance);
      for (const [name, value] of Object.entries(this.#resourceAttributes)) attributes.set(name, value);
      return { attributes: this.#encoded(attributes, RESOURCE_ATTRIBUTES) };
    });
  }

  /** Messages KeyValue: key=1, value=2 with string_value=1. */
  #encoded(attributes: ReadonlyMap<string, string>, tag: number): Uint8Array {
    const writer = this.#writer;
    writer.reset();
    for (const [name, value] of attributes) {
      const [nameBytes, valueBytes] = [Buffer.byteLength(name), Buffer.byteLength(value)];
      const any = 1 + varintSize(valueBytes) + valueBytes;
      const size = 1 + varintSize(nameBytes) + nameBytes + 1 + varintSize(any) + any;
      writer.reserve(size + 12);
      writer.byte(tag);
      writer.varint(size);
      writer.byte(0x0a);
      writer.text(name);
      writer.byte(0x12);
      writer.varint(any);
      writer.byte(0x0a);
      writer.text(value);
    }
    return writer.bytes.slice();
  }
}

/** Later metadata of a sender refines it. */
function isCurrent({ unit, description, form }: SentMetric, series: Series): boolean {
  const { metric } = series;
  return unit === metric.unit && description === metric.help && form === formOf(series);
}

function formOf({ metric: { kind, type }, labels }: Series): OtlpForm {
  if (kind === "observation") return "histogram";
  if (kind === "gauge") return "gauge";
  // A quantile of a summary rises and falls.
  return kind === "cumulative" && type === "summary" && labels.has("quantile") ? "gauge" : "sum";
}
