/**
 * Delimited protobuf messages io.prometheus.client.MetricFamily, bytes → families
 * (https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto).
 *
 * Each message follows its length. If a family is sent twice, the last one counts, as in Prometheus's own reader. A
 * native histogram without classic buckets gets those of bucket-layout.ts. Creation times are
 * skipped. An exemplar that is invalid is dropped and counted, and its metric is kept.
 */
import { isUtf8 } from "node:buffer";
import { BadInput, quote, TooLarge, Unsupported } from "../../model/errors.ts";
import { EXEMPLAR_CHARACTERS_MAX, exemplarCharacters } from "../../model/sample.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import { BucketLayouts } from "../bucket-layout.ts";
import { NativeHistogram, readDeltas, readDoubles, readSpan } from "../native-histogram.ts";
import { BYTES, FIXED64, ProtobufReader, VARINT } from "../protobuf.ts";
import {
  type DecodedDistribution,
  type DecodedExemplar,
  type DecodedFamily,
  type DecodedMetric,
  type FamilyType,
  InvalidFamily,
  PartCount,
} from "./decoded-families.ts";

/** Indexed by the numbers of the enumeration MetricType. */
const TYPES: readonly FamilyType[] = ["counter", "gauge", "summary", "untyped", "histogram"];
const GAUGE_HISTOGRAM = 5;

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** The field of Metric that has its value, by the type of the family. */
const VALUE_FIELDS: Readonly<Record<FamilyType, number>> = {
  gauge: 2,
  counter: 3,
  summary: 4,
  untyped: 5,
  histogram: 7,
};

/** Bytes of a body, and metrics of a family, without a pause: some 100 µs of work. */
const STEP_BYTES = 8_192;
const FINISHED_AT_ONCE = 16;

/**
 * The most buckets of all native histograms of a body: 65 MB in memory. A native histogram describes 200 buckets in
 * 20 bytes. As text, this many buckets are a body of 20 MB and more.
 */
const NATIVE_BUCKETS_MAX = 1_000_000;

/**
 * Decodes a body.
 *
 * @param layouts the bounds of native histograms; new bounds are added to it
 * @param counts what was found beside the families is added to it
 * @param acceptsGaugeHistograms whether a gauge histogram is returned as a histogram with `isGauge`, and not rejected
 * @throws BadInput when the body is not such messages, or is truncated; InvalidFamily when one of them is invalid;
 *   TooLarge when it has too many messages, or too many buckets of native histograms
 */
export function decodeMetricFamilies(
  body: Uint8Array,
  layouts = new BucketLayouts(),
  counts: DecodedCounts = { nativeHistograms: 0, exemplarsDropped: 0 },
  acceptsGaugeHistograms = false,
): DecodedFamily[] {
  return atOnce(decodingMetricFamilies(body, layouts, counts, acceptsGaugeHistograms));
}

/** As `decodeMetricFamilies`, in steps between which the caller may pause. */
export function* decodingMetricFamilies(
  body: Uint8Array,
  layouts: BucketLayouts,
  counts: DecodedCounts,
  acceptsGaugeHistograms = false,
): Generator<void, DecodedFamily[]> {
  return yield* new MetricFamilyReader(layouts, counts, acceptsGaugeHistograms).read(
    Buffer.from(body.buffer, body.byteOffset, body.byteLength),
  );
}

/** What the gateway counts of a body beside its families. */
export interface DecodedCounts {
  nativeHistograms: number;
  exemplarsDropped: number;
}

interface PendingMetric {
  readonly labels: Map<string, string>;
  readonly timestampMs: number | undefined;
  /** The value of each value field. */
  readonly values: Map<number, number | DecodedDistribution | NativeHistogram>;
  readonly exemplars: DecodedExemplar[];
}

class MetricFamilyReader {
  readonly #reader = new ProtobufReader();
  readonly #layouts: BucketLayouts;
  readonly #counts: DecodedCounts;
  readonly #acceptsGaugeHistograms: boolean;
  readonly #parts = new PartCount();
  #nativeBuckets = 0;
  #pauseAt = 0;

  constructor(layouts: BucketLayouts, counts: DecodedCounts, acceptsGaugeHistograms: boolean) {
    this.#layouts = layouts;
    this.#counts = counts;
    this.#acceptsGaugeHistograms = acceptsGaugeHistograms;
  }

  *read(body: Buffer): Generator<void, DecodedFamily[]> {
    const reader = this.#reader;
    reader.open(body);
    const families = new Map<string, DecodedFamily>();
    while (reader.at < body.length) {
      const family = yield* this.#family(reader.length());
      families.delete(family.name);
      families.set(family.name, family);
    }
    return [...families.values()].filter(({ metrics }) => metrics.length > 0);
  }

  *#family(end: number): Generator<void, DecodedFamily> {
    this.#parts.add();
    const reader = this.#reader;
    let [name, help, unit] = ["", "", ""];
    let type = 0;
    const metrics: PendingMetric[] = [];
    while (reader.at < end) {
      if (reader.at >= this.#pauseAt) {
        this.#pauseAt = reader.at + STEP_BYTES;
        yield;
      }
      const key = reader.uint32();
      if (key === tag(1, BYTES)) name = this.#string();
      else if (key === tag(2, BYTES)) help = this.#string();
      else if (key === tag(3, VARINT)) type = reader.uint32();
      else if (key === tag(4, BYTES)) metrics.push(this.#metric(reader.length()));
      else if (key === tag(5, BYTES)) unit = this.#string();
      else reader.skip(key);
    }
    reader.expectEnd(end);
    if (!METRIC_NAME.test(name)) throw new InvalidFamily(`invalid metric name ${quote(name)}`, "body");
    const isGauge = type === GAUGE_HISTOGRAM;
    const familyType = isGauge ? "histogram" : TYPES[type];
    if (isGauge && !this.#acceptsGaugeHistograms) {
      throw new Unsupported(`metric ${quote(name)} is a gauge histogram, which is not supported`, "body");
    }
    if (familyType === undefined)
      throw new BadInput(`metric ${quote(name)} has unknown type ${type}`, "body");
    const finished: DecodedMetric[] = [];
    for (const metric of metrics) {
      finished.push(this.#finish(name, familyType, metric));
      if (finished.length % FINISHED_AT_ONCE === 0) yield;
    }
    return {
      name,
      type: familyType,
      help,
      unit,
      ...(isGauge ? { isGauge } : {}),
      metrics: finished,
    };
  }

  #metric(end: number): PendingMetric {
    this.#parts.add();
    const reader = this.#reader;
    const labels = new Map<string, string>();
    const values: PendingMetric["values"] = new Map();
    const exemplars: DecodedExemplar[] = [];
    let timestampMs: number | undefined;
    while (reader.at < end) {
      const key = reader.uint32();
      const field = key >> 3;
      if (key === tag(1, BYTES)) this.#label(reader.length(), labels);
      else if (key === tag(2, BYTES) || key === tag(3, BYTES) || key === tag(5, BYTES))
        values.set(field, this.#number(reader.length(), exemplars));
      else if (key === tag(4, BYTES)) values.set(field, this.#summary(reader.length()));
      else if (key === tag(6, VARINT)) timestampMs = reader.int64();
      else if (key === tag(7, BYTES)) values.set(field, this.#histogram(reader.length(), exemplars));
      else reader.skip(key);
    }
    reader.expectEnd(end);
    return { labels, timestampMs, values, exemplars };
  }

  #label(end: number, labels: Map<string, string>): void {
    const reader = this.#reader;
    let [name, value] = ["", ""];
    while (reader.at < end) {
      const key = reader.uint32();
      if (key === tag(1, BYTES)) name = this.#string();
      else if (key === tag(2, BYTES)) value = this.#string();
      else reader.skip(key);
    }
    reader.expectEnd(end);
    if (!LABEL_NAME.test(name) || name === "__name__") {
      throw new InvalidFamily(`invalid label name ${quote(name)}`, "body");
    }
    if (labels.has(name)) throw new InvalidFamily(`label ${quote(name)} appears twice`, "body");
    labels.set(name, value);
  }

  /** Reads a Counter, Gauge or Untyped: a double in the first field, and the exemplar of a counter. */
  #number(end: number, exemplars: DecodedExemplar[]): number {
    const reader = this.#reader;
    let value = 0;
    while (reader.at < end) {
      const key = reader.uint32();
      if (key === tag(1, FIXED64)) value = reader.double();
      else if (key === tag(2, BYTES)) this.#exemplar(reader.length(), exemplars);
      else reader.skip(key);
    }
    reader.expectEnd(end);
    return value;
  }

  /** Reads an exemplar. It is dropped and counted if it is invalid. */
  #exemplar(end: number, exemplars: DecodedExemplar[]): void {
    const reader = this.#reader;
    const labels = new Map<string, string>();
    let value = 0;
    let timestampMs: number | undefined;
    try {
      while (reader.at < end) {
        const key = reader.uint32();
        if (key === tag(1, BYTES)) this.#label(reader.length(), labels);
        else if (key === tag(2, FIXED64)) value = reader.double();
        else if (key === tag(3, BYTES)) timestampMs = this.#timestamp(reader.length());
        else reader.skip(key);
      }
      reader.expectEnd(end);
    } catch (error) {
      if (!(error instanceof InvalidFamily)) throw error;
      reader.at = end;
      this.#counts.exemplarsDropped += 1;
      return;
    }
    if (exemplarCharacters(labels) > EXEMPLAR_CHARACTERS_MAX) this.#counts.exemplarsDropped += 1;
    else exemplars.push({ value, labels, timestampMs });
  }

  /** Reads a google.protobuf.Timestamp: seconds and nanoseconds. Returns milliseconds. */
  #timestamp(end: number): number {
    const reader = this.#reader;
    let [seconds, nanoseconds] = [0, 0];
    while (reader.at < end) {
      const key = reader.uint32();
      if (key === tag(1, VARINT)) seconds = reader.int64();
      else if (key === tag(2, VARINT)) nanoseconds = reader.int64();
      else reader.skip(key);
    }
    reader.expectEnd(end);
    return seconds * 1_000 + nanoseconds / 1_000_000;
  }

  #summary(end: number): DecodedDistribution {
    const reader = this.#reader;
    const distribution: DecodedDistribution = { sum: 0, count: 0, edges: [] };
    while (reader.at < end) {
      const key = reader.uint32();
      if (key === tag(1, VARINT)) distribution.count = reader.uint64();
      else if (key === tag(2, FIXED64)) distribution.sum = reader.double();
      else if (key === tag(3, BYTES)) distribution.edges.push(this.#quantile(reader.length()));
      else reader.skip(key);
    }
    reader.expectEnd(end);
    return distribution;
  }

  #quantile(end: number): { edge: number; value: number } {
    this.#parts.add();
    const reader = this.#reader;
    let [edge, value] = [0, 0];
    while (reader.at < end) {
      const key = reader.uint32();
      if (key === tag(1, FIXED64)) edge = reader.double();
      else if (key === tag(2, FIXED64)) value = reader.double();
      else reader.skip(key);
    }
    reader.expectEnd(end);
    return { edge, value };
  }

  /** Reads a histogram of integers or doubles: classic, native or both. Classic buckets are preferred. */
  #histogram(end: number, exemplars: DecodedExemplar[]): DecodedDistribution | NativeHistogram {
    const reader = this.#reader;
    const distribution: DecodedDistribution = { sum: 0, count: 0, edges: [] };
    const native = new NativeHistogram();
    while (reader.at < end) {
      const key = reader.uint32();
      const wireType = key & 7;
      if (key === tag(1, VARINT)) distribution.count = reader.uint64();
      else if (key === tag(2, FIXED64)) distribution.sum = reader.double();
      else if (key === tag(3, BYTES)) distribution.edges.push(this.#bucket(reader.length(), exemplars));
      else if (key === tag(4, FIXED64)) distribution.count = reader.double();
      else if (key === tag(5, VARINT)) native.schema = reader.sint64();
      else if (key === tag(6, FIXED64)) native.zeroThreshold = reader.double();
      else if (key === tag(7, VARINT)) native.zeroCount = reader.uint64();
      else if (key === tag(8, FIXED64)) native.zeroCount = reader.double();
      else if (key === tag(9, BYTES)) readSpan(reader, native.negativeSpans);
      else if (key === tag(10, BYTES) || key === tag(10, VARINT))
        readDeltas(reader, wireType, native.negativeCounts);
      else if (key === tag(11, BYTES) || key === tag(11, FIXED64))
        readDoubles(reader, wireType, native.negativeCounts);
      else if (key === tag(12, BYTES)) readSpan(reader, native.positiveSpans);
      else if (key === tag(13, BYTES) || key === tag(13, VARINT))
        readDeltas(reader, wireType, native.positiveCounts);
      else if (key === tag(14, BYTES) || key === tag(14, FIXED64))
        readDoubles(reader, wireType, native.positiveCounts);
      else if (key === tag(16, BYTES)) this.#exemplar(reader.length(), exemplars);
      else reader.skip(key);
    }
    reader.expectEnd(end);
    // A native histogram without observations is recognised by a span without buckets, or by its zero bucket.
    const isNative =
      native.positiveSpans.length > 0 || native.negativeSpans.length > 0 || native.zeroThreshold > 0;
    if (!isNative || distribution.edges.length > 0) return distribution;
    native.count = distribution.count;
    native.sum = distribution.sum;
    return native;
  }

  /** Reads a bucket, whose count is an integer or a double, and adds its exemplar to those of the metric. */
  #bucket(end: number, exemplars: DecodedExemplar[]): { edge: number; value: number } {
    this.#parts.add();
    const reader = this.#reader;
    const own: DecodedExemplar[] = [];
    let [count, edge] = [0, 0];
    while (reader.at < end) {
      const key = reader.uint32();
      if (key === tag(1, VARINT)) count = reader.uint64();
      else if (key === tag(2, FIXED64)) edge = reader.double();
      else if (key === tag(3, BYTES)) this.#exemplar(reader.length(), own);
      else if (key === tag(4, FIXED64)) count = reader.double();
      else reader.skip(key);
    }
    reader.expectEnd(end);
    for (const exemplar of own) exemplars.push({ ...exemplar, edge });
    return { edge, value: count };
  }

  #finish(
    name: string,
    type: FamilyType,
    { labels, timestampMs, values, exemplars: all }: PendingMetric,
  ): DecodedMetric {
    const value = values.get(VALUE_FIELDS[type]);
    if (value === undefined)
      throw new InvalidFamily(`a metric of ${quote(name)} has no value of type ${type}`, "body");
    const exemplars = all.length === 0 ? {} : { exemplars: all };
    if (!(value instanceof NativeHistogram)) return { labels, value, timestampMs, ...exemplars };
    const problem = value.problem();
    if (problem !== undefined)
      throw new InvalidFamily(`a native histogram of ${quote(name)} ${problem}`, "body");
    this.#counts.nativeHistograms += 1;
    const { bounds, counts } = this.#layouts.of(name).convert(value);
    this.#nativeBuckets += bounds.length;
    if (this.#nativeBuckets > NATIVE_BUCKETS_MAX) {
      const what = `the body has native histograms of more than ${NATIVE_BUCKETS_MAX} buckets, send it in parts`;
      throw new TooLarge(what, "body");
    }
    const edges = bounds.map((edge, at) => ({ edge, value: counts[at]! }));
    return { labels, value: { sum: value.sum, count: value.count, edges }, timestampMs, ...exemplars };
  }

  #string(): string {
    const reader = this.#reader;
    const end = reader.length();
    const bytes = reader.bytes.subarray(reader.at, end);
    const text = bytes.toString("utf8");
    if (!isUtf8(bytes)) throw new InvalidFamily(`the text ${quote(text)} is not valid UTF-8`, "body");
    reader.at = end;
    return text;
  }
}

function tag(field: number, wireType: number): number {
  return field * 8 + wireType;
}
