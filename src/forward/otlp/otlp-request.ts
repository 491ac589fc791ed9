/**
 * Encodes ExportMetricsServiceRequest
 * (https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto). The sizes of
 * nested messages are computed first, so nothing is copied twice. Pure, except that a writer is used again.
 */
import manifest from "../../../package.json" with { type: "json" };
import { ProtobufWriter, varintSize } from "../../wire/protobuf-writer.ts";
import type { SentMetric, OtlpResource, OtlpSeries } from "./otlp-series.ts";

/** A data point. Times are in microseconds since the epoch. */
export interface OtlpPoint {
  readonly series: OtlpSeries;
  readonly us: number;
  /** When its total was 0. Undefined if that is not known, and for gauges. */
  readonly startUs?: number;
  /** Of gauges and sums. Undefined if the series ends here. */
  readonly value?: number;
  readonly histogram?: { readonly count: number; readonly sum: number; readonly buckets: Float64Array };
}

const WORD = 4_294_967_296;
const CUMULATIVE = 2;
const NO_RECORDED_VALUE = 1;
/** A field of 64 bits with its tag. */
const FIXED = 9;
const FORM_TAGS = { gauge: 0x2a, sum: 0x3a, histogram: 0x4a } as const;

interface MetricPoints {
  readonly metric: SentMetric;
  readonly points: OtlpPoint[];
  /** Bytes of its data: the message Gauge, Sum or Histogram. */
  dataBytes: number;
  bytes: number;
}

interface ResourcePoints {
  readonly resource: OtlpResource;
  readonly metrics: Map<SentMetric, MetricPoints>;
}

export class OtlpRequestEncoder {
  readonly #writer = new ProtobufWriter();

  /** The message of some points. It is valid until the next call. */
  encode(points: readonly OtlpPoint[], from: number, to: number): Uint8Array<ArrayBuffer> {
    const resources = new Map<OtlpResource, ResourcePoints>();
    for (let at = from; at < to; at++) {
      const point = points[at]!;
      const { metric, resource } = point.series;
      const { metrics } = resources.getOrInsertComputed(resource, () => ({ resource, metrics: new Map() }));
      const of = metrics.getOrInsertComputed(metric, () => ({ metric, points: [], dataBytes: 0, bytes: 0 }));
      of.points.push(point);
      const bytes = pointBytes(point);
      of.dataBytes += 1 + varintSize(bytes) + bytes;
    }
    this.#writer.reset();
    for (const each of resources.values()) this.#writeResource(each);
    return this.#writer.bytes;
  }

  #writeResource({ resource: { attributes }, metrics }: ResourcePoints): void {
    const writer = this.#writer;
    const scope = fieldBytes(textBytes("weir") + textBytes(manifest.version));
    let metricsBytes = 0;
    for (const of of metrics.values()) {
      // Temporality, and whether a sum is monotonic.
      of.dataBytes += { gauge: 0, sum: 4, histogram: 2 }[of.metric.form];
      const { name, description, unit } = of.metric;
      of.bytes = textBytes(name) + textBytes(description) + textBytes(unit) + fieldBytes(of.dataBytes);
      metricsBytes += fieldBytes(of.bytes);
    }
    const scopeMetrics = scope + metricsBytes;
    const size = fieldBytes(attributes.length) + fieldBytes(scopeMetrics);
    writer.reserve(fieldBytes(size) + 64);
    writer.byte(0x0a);
    writer.varint(size);
    writer.byte(0x0a);
    writer.varint(attributes.length);
    writer.raw(attributes);
    writer.byte(0x12);
    writer.varint(scopeMetrics);
    writer.byte(0x0a);
    writer.varint(textBytes("weir") + textBytes(manifest.version));
    this.#text(0x0a, "weir");
    this.#text(0x12, manifest.version);
    for (const each of metrics.values()) this.#writeMetric(each);
  }

  #writeMetric({ metric, points, dataBytes, bytes }: MetricPoints): void {
    const writer = this.#writer;
    const { name, description, unit, form } = metric;
    writer.byte(0x12);
    writer.varint(bytes);
    this.#text(0x0a, name);
    this.#text(0x12, description);
    this.#text(0x1a, unit);
    writer.byte(FORM_TAGS[form]);
    writer.varint(dataBytes);
    for (const point of points) {
      writer.byte(0x0a);
      writer.varint(pointBytes(point));
      if (point.histogram === undefined) this.#writeNumber(point);
      else this.#writeHistogram(point, point.histogram, metric.bounds);
    }
    if (form === "gauge") return;
    writer.byte(0x10);
    writer.byte(CUMULATIVE);
    if (form === "histogram") return;
    writer.byte(0x18);
    writer.byte(1);
  }

  /** NumberDataPoint: start=2, time=3, as_double=4, attributes=7, flags=8. */
  #writeNumber({ series, us, startUs, value }: OtlpPoint): void {
    const writer = this.#writer;
    this.#times(us, startUs);
    if (value !== undefined) {
      writer.byte(0x21);
      writer.double(value);
    }
    writer.raw(series.attributes);
    if (value === undefined) {
      writer.byte(0x40);
      writer.byte(NO_RECORDED_VALUE);
    }
  }

  /** HistogramDataPoint: start=2, time=3, count=4, sum=5, bucket_counts=6, explicit_bounds=7, attributes=9. */
  #writeHistogram(
    { series, us, startUs }: OtlpPoint,
    { count, sum, buckets }: NonNullable<OtlpPoint["histogram"]>,
    bounds: readonly number[],
  ): void {
    const writer = this.#writer;
    this.#times(us, startUs);
    writer.byte(0x21);
    this.#whole(count);
    writer.byte(0x29);
    writer.double(sum);
    writer.byte(0x32);
    writer.varint(buckets.length * 8);
    for (const each of buckets) this.#whole(each);
    writer.byte(0x3a);
    writer.varint(bounds.length * 8);
    for (const bound of bounds) writer.double(bound);
    writer.raw(series.attributes);
  }

  #times(us: number, startUs: number | undefined): void {
    if (startUs !== undefined) {
      this.#writer.byte(0x11);
      this.#nanoseconds(startUs);
    }
    this.#writer.byte(0x19);
    this.#nanoseconds(us);
  }

  /** A time has more than 53 bits in nanoseconds, so its halves are multiplied. */
  #nanoseconds(us: number): void {
    const high = Math.floor(us / WORD);
    const low = (us - high * WORD) * 1_000;
    const carry = Math.floor(low / WORD);
    this.#writer.fixed64(low - carry * WORD, high * 1_000 + carry);
  }

  /** A whole number as 64 bits. */
  #whole(value: number): void {
    this.#writer.fixed64(value % WORD, Math.floor(value / WORD));
  }

  #text(tag: number, text: string): void {
    this.#writer.byte(tag);
    this.#writer.text(text);
  }
}

/** A nested message with its tag and its length. */
function fieldBytes(bytes: number): number {
  return 1 + varintSize(bytes) + bytes;
}

function textBytes(text: string): number {
  return fieldBytes(Buffer.byteLength(text));
}

function pointBytes({ series, startUs, value, histogram }: OtlpPoint): number {
  const times = startUs === undefined ? FIXED : 2 * FIXED;
  if (histogram === undefined) return series.attributes.length + times + (value === undefined ? 2 : FIXED);
  const { bounds } = series.metric;
  const lists = fieldBytes(histogram.buckets.length * 8) + fieldBytes(bounds.length * 8);
  return series.attributes.length + times + 2 * FIXED + lists;
}
