/**
 * A native histogram (https://prometheus.io/docs/specs/native_histograms/): reads the message of remote_write, which is
 * the same in both versions of the protocol, and its parts, which MetricFamily has too; and checks a histogram.
 * bucket-layout.ts converts it.
 */
import { BYTES, FIXED64, type ProtobufReader, VARINT } from "./protobuf.ts";

/** The schema of histograms whose buckets have custom bounds. */
export const CUSTOM_BUCKETS = -53;
/** The schemas that the specification describes; Prometheus itself uses -4 to 8. */
const SCHEMA_MIN = -9;
const SCHEMA_MAX = 52;
/** Prometheus limits a histogram to 160 buckets by default. */
const BUCKETS_MAX = 10_000;

/** A native histogram as it was sent. The decoders of remote_write reuse one object for all of them. */
export class NativeHistogram {
  count = 0;
  sum = 0;
  schema = 0;
  zeroThreshold = 0;
  zeroCount = 0;
  /** Pairs of offset and length. */
  readonly negativeSpans: number[] = [];
  readonly positiveSpans: number[] = [];
  /** Absolute counts, one per bucket of the spans. */
  readonly negativeCounts: number[] = [];
  readonly positiveCounts: number[] = [];
  readonly customValues: number[] = [];
  timestampMs = 0;
  isStale = false;

  /** Reads the message up to `end`; it is the same in both versions of the protocol. */
  read(reader: ProtobufReader, end: number): void {
    this.count = this.sum = this.schema = this.zeroThreshold = this.zeroCount = this.timestampMs = 0;
    this.isStale = false;
    this.negativeSpans.length = this.positiveSpans.length = this.customValues.length = 0;
    this.negativeCounts.length = this.positiveCounts.length = 0;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === (8 | VARINT)) this.count = reader.uint64();
      else if (tag === (16 | FIXED64)) this.count = reader.double();
      else if (tag === (24 | FIXED64)) {
        this.sum = reader.double();
        this.isStale = reader.isStaleMarker();
      } else if (tag === (32 | VARINT)) this.schema = reader.sint64();
      else if (tag === (40 | FIXED64)) this.zeroThreshold = reader.double();
      else if (tag === (48 | VARINT)) this.zeroCount = reader.uint64();
      else if (tag === (56 | FIXED64)) this.zeroCount = reader.double();
      else if (tag === (64 | BYTES)) readSpan(reader, this.negativeSpans);
      else if (tag === (72 | BYTES) || tag === (72 | VARINT)) readDeltas(reader, tag, this.negativeCounts);
      else if (tag === (80 | BYTES) || tag === (80 | FIXED64)) readDoubles(reader, tag, this.negativeCounts);
      else if (tag === (88 | BYTES)) readSpan(reader, this.positiveSpans);
      else if (tag === (96 | BYTES) || tag === (96 | VARINT)) readDeltas(reader, tag, this.positiveCounts);
      else if (tag === (104 | BYTES) || tag === (104 | FIXED64))
        readDoubles(reader, tag, this.positiveCounts);
      else if (tag === (120 | VARINT)) this.timestampMs = reader.int64();
      else if (tag === (128 | BYTES) || tag === (128 | FIXED64)) readDoubles(reader, tag, this.customValues);
      else reader.skip(tag);
    }
    reader.expectEnd(end);
  }

  /** Returns the problem of an invalid histogram, or undefined. */
  problem(): string | undefined {
    const { schema, count, zeroCount, zeroThreshold } = this;
    if (this.isStale) return undefined;
    if (schema !== CUSTOM_BUCKETS && !(schema >= SCHEMA_MIN && schema <= SCHEMA_MAX))
      return `has schema ${schema}, expected ${SCHEMA_MIN} to ${SCHEMA_MAX} or ${CUSTOM_BUCKETS}`;
    if (!(count >= 0 && zeroCount >= 0)) return "has a negative count";
    if (!(zeroThreshold >= 0 && zeroThreshold < Number.POSITIVE_INFINITY))
      return `has a zero bucket up to ${zeroThreshold}`;
    let total = zeroCount;
    for (const [spans, counts] of [
      [this.negativeSpans, this.negativeCounts],
      [this.positiveSpans, this.positiveCounts],
    ] as const) {
      let length = 0;
      for (let index = 0; index < spans.length; index += 2) {
        if (index > 0 && spans[index]! < 0) return "has spans that overlap";
        length += spans[index + 1]!;
      }
      if (length !== counts.length) return `has spans of ${length} buckets and ${counts.length} counts`;
      if (length > BUCKETS_MAX) return `has ${length} buckets, at most ${BUCKETS_MAX} are accepted`;
      for (const each of counts) {
        if (!(each >= 0)) return "has a negative count in a bucket";
        total += each;
      }
    }
    // Observations of NaN are in the count and in no bucket. Counts that are not integers are rounded.
    if (total > count * (1 + 1e-9))
      return `has ${total} observations in its buckets, and a count of ${count}`;
    return schema === CUSTOM_BUCKETS ? this.#customProblem() : undefined;
  }

  #customProblem(): string | undefined {
    const { customValues, positiveSpans, negativeSpans, zeroCount } = this;
    if (negativeSpans.length > 0 || zeroCount > 0 || positiveSpans[0]! < 0)
      return "has custom buckets below the first";
    if (customValues.length > BUCKETS_MAX)
      return `has ${customValues.length} custom bounds, at most ${BUCKETS_MAX} are accepted`;
    if (!customValues.every(Number.isFinite)) return "has a custom bound that is not a finite number";
    for (let index = 1; index < customValues.length; index++) {
      if (!(customValues[index]! > customValues[index - 1]!))
        return "has custom bounds that are not in ascending order";
    }
    // The bucket after the last bound is that of +Inf.
    let end = 0;
    for (const part of positiveSpans) end += part;
    return end > customValues.length + 1
      ? `has custom buckets up to number ${end}, and ${customValues.length} bounds`
      : undefined;
  }
}

/** Reads a BucketSpan after its length: appends its offset and its length. */
export function readSpan(reader: ProtobufReader, spans: number[]): void {
  const end = reader.length();
  let offset = 0;
  let length = 0;
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === (8 | VARINT)) offset = reader.sint64();
    else if (tag === (16 | VARINT)) length = reader.uint32();
    else reader.skip(tag);
  }
  reader.expectEnd(end);
  spans.push(offset, length);
}

/**
 * Reads counts that are sent as differences, and appends them. Repeated numbers come in one field each, or all in one
 * field: readers have to accept both.
 */
export function readDeltas(reader: ProtobufReader, tag: number, counts: number[]): void {
  let count = counts.at(-1) ?? 0;
  eachPacked(reader, tag, () => {
    count += reader.sint64();
    counts.push(count);
  });
}

/** Reads repeated doubles, and appends them. */
export function readDoubles(reader: ProtobufReader, tag: number, values: number[]): void {
  eachPacked(reader, tag, () => values.push(reader.double()));
}

function eachPacked(reader: ProtobufReader, tag: number, read: () => void): void {
  if ((tag & 7) !== BYTES) {
    read();
    return;
  }
  const end = reader.length();
  while (reader.at < end) read();
  reader.expectEnd(end);
}
