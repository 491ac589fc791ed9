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
import { BucketLayouts } from "../../wire/bucket-layout.ts";
import { NativeHistogram, readDeltas, readDoubles, readSpan } from "../../wire/native-histogram.ts";
import { BYTES, FIXED64, ProtobufReader, VARINT } from "../../wire/protobuf.ts";
import {
  type DecodedDistribution,
  type DecodedExemplar,
  type DecodedFamily,
  type DecodedMetric,
  EXEMPLAR_CHARACTERS_MAX,
  type FamilyType,
  InvalidFamily,
  PartCount,
} from "./pushed-families.ts";

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
 * @throws BadInput when the body is not such messages, or is truncated; InvalidFamily when one of them is invalid;
 *   TooLarge when it has too many messages, or too many buckets of native histograms
 */
export function decodeMetricFamilies(
  body: Uint8Array,
  layouts = new BucketLayouts(),
  counts: DecodedCounts = { nativeHistograms: 0, exemplarsDropped: 0 },
): DecodedFamily[] {
  return new MetricFamilyReader(layouts, counts).read(
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
  timestampMs: number | undefined;
  /** The value of each value field. */
  readonly values: Map<number, number | DecodedDistribution | NativeHistogram>;
  readonly exemplars: DecodedExemplar[];
}

class MetricFamilyReader {
  readonly #reader = new ProtobufReader();
  readonly #layouts: BucketLayouts;
  readonly #counts: DecodedCounts;
  readonly #parts = new PartCount();
  #nativeBuckets = 0;

  constructor(layouts: BucketLayouts, counts: DecodedCounts) {
    this.#layouts = layouts;
    this.#counts = counts;
  }

  read(body: Buffer): DecodedFamily[] {
    const reader = this.#reader;
    reader.open(body);
    const families = new Map<string, DecodedFamily>();
    while (reader.at < body.length) {
      const family = this.#family(reader.length());
      families.delete(family.name);
      families.set(family.name, family);
    }
    return [...families.values()].filter(({ metrics }) => metrics.length > 0);
  }

  #family(end: number): DecodedFamily {
    this.#parts.add();
    let name = "";
    let help = "";
    let unit = "";
    let type = 0;
    const metrics: PendingMetric[] = [];
    this.#fields(end, {
      [tag(1, BYTES)]: () => {
        name = this.#string();
      },
      [tag(2, BYTES)]: () => {
        help = this.#string();
      },
      [tag(3, VARINT)]: () => {
        type = this.#reader.uint32();
      },
      [tag(4, BYTES)]: () => metrics.push(this.#metric(this.#reader.length())),
      [tag(5, BYTES)]: () => {
        unit = this.#string();
      },
    });
    if (!METRIC_NAME.test(name)) throw new InvalidFamily(`invalid metric name ${quote(name)}`, "body");
    const familyType = TYPES[type];
    if (type === GAUGE_HISTOGRAM) {
      throw new Unsupported(`metric ${quote(name)} is a gauge histogram, which is not supported`, "body");
    }
    if (familyType === undefined)
      throw new BadInput(`metric ${quote(name)} has unknown type ${type}`, "body");
    return {
      name,
      type: familyType,
      help,
      unit,
      metrics: metrics.map((metric) => this.#finish(name, familyType, metric)),
    };
  }

  #metric(end: number): PendingMetric {
    this.#parts.add();
    const metric: PendingMetric = {
      labels: new Map(),
      timestampMs: undefined,
      values: new Map(),
      exemplars: [],
    };
    const number = (field: number) => () => metric.values.set(field, this.#number(metric.exemplars));
    this.#fields(end, {
      [tag(1, BYTES)]: () => this.#label(this.#reader.length(), metric.labels),
      [tag(2, BYTES)]: number(2),
      [tag(3, BYTES)]: number(3),
      [tag(4, BYTES)]: () => metric.values.set(4, this.#summary(this.#reader.length())),
      [tag(5, BYTES)]: number(5),
      [tag(6, VARINT)]: () => {
        metric.timestampMs = this.#reader.int64();
      },
      [tag(7, BYTES)]: () => metric.values.set(7, this.#histogram(this.#reader.length(), metric.exemplars)),
    });
    return metric;
  }

  #label(end: number, labels: Map<string, string>): void {
    let name = "";
    let value = "";
    this.#fields(end, {
      [tag(1, BYTES)]: () => {
        name = this.#string();
      },
      [tag(2, BYTES)]: () => {
        value = this.#string();
      },
    });
    if (!LABEL_NAME.test(name) || name === "__name__") {
      throw new InvalidFamily(`invalid label name ${quote(name)}`, "body");
    }
    if (labels.has(name)) throw new InvalidFamily(`label ${quote(name)} appears twice`, "body");
    labels.set(name, value);
  }

  /** Reads a Counter, Gauge or Untyped: a double in the first field, and the exemplar of a counter. */
  #number(exemplars: DecodedExemplar[]): number {
    let value = 0;
    this.#fields(this.#reader.length(), {
      [tag(1, FIXED64)]: () => {
        value = this.#reader.double();
      },
      [tag(2, BYTES)]: () => this.#exemplar(this.#reader.length(), exemplars),
    });
    return value;
  }

  /** Reads an exemplar. It is dropped and counted if it is invalid. */
  #exemplar(end: number, exemplars: DecodedExemplar[]): void {
    const reader = this.#reader;
    const labels = new Map<string, string>();
    let value = 0;
    let timestampMs: number | undefined;
    try {
      this.#fields(end, {
        [tag(1, BYTES)]: () => this.#label(reader.length(), labels),
        [tag(2, FIXED64)]: () => {
          value = reader.double();
        },
        [tag(3, BYTES)]: () => {
          timestampMs = this.#timestamp(reader.length());
        },
      });
    } catch (error) {
      if (!(error instanceof InvalidFamily)) throw error;
      reader.at = end;
      this.#counts.exemplarsDropped += 1;
      return;
    }
    let characters = 0;
    for (const [name, text] of labels) characters += [...name].length + [...text].length;
    if (characters > EXEMPLAR_CHARACTERS_MAX) this.#counts.exemplarsDropped += 1;
    else exemplars.push({ value, labels, timestampMs });
  }

  /** Reads a google.protobuf.Timestamp: seconds and nanoseconds. Returns milliseconds. */
  #timestamp(end: number): number {
    let [seconds, nanoseconds] = [0, 0];
    this.#fields(end, {
      [tag(1, VARINT)]: () => {
        seconds = this.#reader.int64();
      },
      [tag(2, VARINT)]: () => {
        nanoseconds = this.#reader.int64();
      },
    });
    return seconds * 1_000 + nanoseconds / 1_000_000;
  }

  #summary(end: number): DecodedDistribution {
    const distribution: DecodedDistribution = { sum: 0, count: 0, edges: [] };
    this.#fields(end, this.#distribution(distribution));
    return distribution;
  }

  /** Readers of the fields that Summary and Histogram share: count, sum, and edges. Only a histogram has exemplars. */
  #distribution(
    distribution: DecodedDistribution,
    exemplars?: DecodedExemplar[],
  ): Record<number, () => void> {
    const reader = this.#reader;
    return {
      [tag(1, VARINT)]: () => {
        distribution.count = reader.uint64();
      },
      [tag(2, FIXED64)]: () => {
        distribution.sum = reader.double();
      },
      [tag(3, BYTES)]: () => this.#edge(reader.length(), distribution, exemplars),
    };
  }

  /** Reads a histogram of integers or doubles: classic, native or both. Classic buckets are preferred. */
  #histogram(end: number, exemplars: DecodedExemplar[]): DecodedDistribution | NativeHistogram {
    const reader = this.#reader;
    const distribution: DecodedDistribution = { sum: 0, count: 0, edges: [] };
    const native = new NativeHistogram();
    const deltas = (field: number, counts: number[]) => ({
      [tag(field, BYTES)]: () => readDeltas(reader, BYTES, counts),
      [tag(field, VARINT)]: () => readDeltas(reader, VARINT, counts),
    });
    const doubles = (field: number, counts: number[]) => ({
      [tag(field, BYTES)]: () => readDoubles(reader, BYTES, counts),
      [tag(field, FIXED64)]: () => readDoubles(reader, FIXED64, counts),
    });
    this.#fields(end, {
      ...this.#distribution(distribution, exemplars),
      [tag(16, BYTES)]: () => this.#exemplar(reader.length(), exemplars),
      [tag(4, FIXED64)]: () => {
        distribution.count = reader.double();
      },
      [tag(5, VARINT)]: () => {
        native.schema = reader.sint64();
      },
      [tag(6, FIXED64)]: () => {
        native.zeroThreshold = reader.double();
      },
      [tag(7, VARINT)]: () => {
        native.zeroCount = reader.uint64();
      },
      [tag(8, FIXED64)]: () => {
        native.zeroCount = reader.double();
      },
      [tag(9, BYTES)]: () => readSpan(reader, native.negativeSpans),
      ...deltas(10, native.negativeCounts),
      ...doubles(11, native.negativeCounts),
      [tag(12, BYTES)]: () => readSpan(reader, native.positiveSpans),
      ...deltas(13, native.positiveCounts),
      ...doubles(14, native.positiveCounts),
    });
    // A native histogram without observations is recognised by a span without buckets, or by its zero bucket.
    const isNative =
      native.positiveSpans.length > 0 || native.negativeSpans.length > 0 || native.zeroThreshold > 0;
    if (!isNative || distribution.edges.length > 0) return distribution;
    native.count = distribution.count;
    native.sum = distribution.sum;
    return native;
  }

  #edge(end: number, { edges }: DecodedDistribution, exemplars?: DecodedExemplar[]): void {
    this.#parts.add();
    const reader = this.#reader;
    let count = 0;
    let edge = 0;
    let value = 0;
    const own: DecodedExemplar[] = [];
    this.#fields(
      end,
      exemplars !== undefined
        ? {
            [tag(1, VARINT)]: () => {
              count = reader.uint64();
            },
            [tag(2, FIXED64)]: () => {
              edge = reader.double();
            },
            [tag(3, BYTES)]: () => this.#exemplar(reader.length(), own),
            [tag(4, FIXED64)]: () => {
              count = reader.double();
            },
          }
        : {
            [tag(1, FIXED64)]: () => {
              edge = reader.double();
            },
            [tag(2, FIXED64)]: () => {
              value = reader.double();
            },
          },
    );
    edges.push({ edge, value: exemplars !== undefined ? count : value });
    for (const exemplar of own) exemplars?.push({ ...exemplar, edge });
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

  /** Reads the fields of a message up to its end, and skips those without a reader. */
  #fields(end: number, readers: Readonly<Record<number, () => void>>): void {
    const reader = this.#reader;
    while (reader.at < end) {
      const key = reader.uint32();
      const read = readers[key];
      if (read === undefined) reader.skip(key);
      else read();
    }
    reader.expectEnd(end);
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
