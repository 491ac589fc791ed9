/**
 * Reads the data points of OpenTelemetry
 * (https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto) into
 * one object that is used for all of them, so that a point costs no allocation.
 *
 * Attributes and exemplars are not decoded here. The point has the ranges of their bytes.
 */
import { BYTES, FIXED64, type ProtobufReader, VARINT } from "../../../wire/protobuf.ts";

/** Bit of the flags: the point says that its series has no value. */
const NO_RECORDED_VALUE = 1;
const ROOM = 64;
/**
 * The most bounds of a histogram, quantiles of a summary, and buckets on each side of an exponential histogram. SDKs have
 * 15 bounds and 160 buckets by default.
 */
export const BUCKETS_MAX = 10_000;

/** The buckets of one side of an exponential histogram. */
interface Buckets {
  /** The index of the first bucket. */
  offset: number;
  readonly counts: number[];
}

/** Returns the length of the block of attributes that is expected next if `bytes` has it at `from`, else -1. */
type Expect = (bytes: Buffer, from: number) => number;

export class DataPoint {
  /** Microseconds since the epoch; 0 if the point has no time. */
  timeUs = 0;
  /** When its running total began; 0 if the sender does not say. */
  startUs = 0;
  hasNoRecordedValue = false;
  /** The value of a number. */
  hasValue = false;
  value = 0;
  /** The halves of a whole number that is too large for a double; undefined for all other values. */
  large: { readonly high: number; readonly low: number } | undefined;
  count = 0;
  sum = 0;
  hasSum = false;
  /** The first `countLength` are the counts of a histogram's buckets. */
  counts = new Float64Array(ROOM);
  countLength = 0;
  /** The first `boundLength` are the bounds of a histogram, or the quantiles of a summary. */
  bounds = new Float64Array(ROOM);
  boundLength = 0;
  /** The values of a summary's quantiles. */
  readonly quantileValues: number[] = [];
  scale = 0;
  zeroCount = 0;
  zeroThreshold = 0;
  readonly positive: Buckets = { offset: 0, counts: [] };
  readonly negative: Buckets = { offset: 0, counts: [] };
  /** The bytes of the attributes, from the tag of the first to the end of the last. Empty without attributes. */
  attributes: Buffer = Buffer.alloc(0);
  attributesFrom = 0;
  attributesTo = 0;
  attributeTag = 0;
  /** Whether the attributes are the block that was expected. */
  isExpected = false;
  /** The begin and end of each exemplar, in turn. */
  readonly exemplars: number[] = [];
  readonly #expect: Expect;

  constructor(expect: Expect) {
    this.#expect = expect;
  }

  /** Reads a NumberDataPoint, which ends at `end`. */
  readNumber(reader: ProtobufReader, end: number): void {
    this.#begin(58);
    while (reader.at < end) {
      const tag = reader.uint32();
      switch (tag) {
        case 16 | FIXED64:
          this.startUs = microseconds(reader);
          break;
        case 24 | FIXED64:
          this.timeUs = microseconds(reader);
          break;
        case 32 | FIXED64:
          this.value = reader.double();
          this.hasValue = true;
          this.large = undefined;
          break;
        case 48 | FIXED64:
          this.#readInteger(reader);
          break;
        case 56 | BYTES:
          this.#readAttribute(reader, end);
          break;
        case 40 | BYTES:
          this.#readExemplar(reader);
          break;
        case 64 | VARINT:
          this.hasNoRecordedValue = (reader.uint64() & NO_RECORDED_VALUE) !== 0;
          break;
        default:
          reader.skip(tag);
      }
    }
    reader.expectEnd(end);
  }

  /** Reads a HistogramDataPoint. */
  readHistogram(reader: ProtobufReader, end: number): void {
    this.#begin(74);
    while (reader.at < end) {
      const tag = reader.uint32();
      switch (tag) {
        case 16 | FIXED64:
          this.startUs = microseconds(reader);
          break;
        case 24 | FIXED64:
          this.timeUs = microseconds(reader);
          break;
        case 32 | FIXED64:
          this.count = reader.ufixed64();
          break;
        case 40 | FIXED64:
          this.#readSum(reader);
          break;
        case 48 | BYTES:
          this.#readCounts(reader, reader.length());
          break;
        case 48 | FIXED64:
          this.#addCount(reader.ufixed64());
          break;
        case 56 | BYTES:
          this.#readBounds(reader, reader.length());
          break;
        case 56 | FIXED64:
          this.#addBound(reader.double());
          break;
        case 64 | BYTES:
          this.#readExemplar(reader);
          break;
        case 72 | BYTES:
          this.#readAttribute(reader, end);
          break;
        case 80 | VARINT:
          this.hasNoRecordedValue = (reader.uint64() & NO_RECORDED_VALUE) !== 0;
          break;
        default:
          reader.skip(tag);
      }
    }
    reader.expectEnd(end);
  }

  /** Reads an ExponentialHistogramDataPoint. */
  readExponential(reader: ProtobufReader, end: number): void {
    this.#begin(10);
    this.scale = this.zeroCount = this.zeroThreshold = 0;
    for (const side of [this.positive, this.negative]) side.offset = side.counts.length = 0;
    while (reader.at < end) {
      const tag = reader.uint32();
      switch (tag) {
        case 8 | BYTES:
          this.#readAttribute(reader, end);
          break;
        case 16 | FIXED64:
          this.startUs = microseconds(reader);
          break;
        case 24 | FIXED64:
          this.timeUs = microseconds(reader);
          break;
        case 32 | FIXED64:
          this.count = reader.ufixed64();
          break;
        case 40 | FIXED64:
          this.#readSum(reader);
          break;
        case 48 | VARINT:
          this.scale = reader.sint64();
          break;
        case 56 | FIXED64:
          this.zeroCount = reader.ufixed64();
          break;
        case 64 | BYTES:
          readBuckets(reader, this.positive);
          break;
        case 72 | BYTES:
          readBuckets(reader, this.negative);
          break;
        case 80 | VARINT:
          this.hasNoRecordedValue = (reader.uint64() & NO_RECORDED_VALUE) !== 0;
          break;
        case 88 | BYTES:
          this.#readExemplar(reader);
          break;
        case 112 | FIXED64:
          this.zeroThreshold = reader.double();
          break;
        default:
          reader.skip(tag);
      }
    }
    reader.expectEnd(end);
  }

  /** Reads a SummaryDataPoint. */
  readSummary(reader: ProtobufReader, end: number): void {
    this.#begin(58);
    this.hasSum = true;
    while (reader.at < end) {
      const tag = reader.uint32();
      switch (tag) {
        case 24 | FIXED64:
          this.timeUs = microseconds(reader);
          break;
        case 32 | FIXED64:
          this.count = reader.ufixed64();
          break;
        case 40 | FIXED64:
          this.#readSum(reader);
          break;
        case 48 | BYTES:
          this.#readQuantile(reader, reader.length());
          break;
        case 56 | BYTES:
          this.#readAttribute(reader, end);
          break;
        case 64 | VARINT:
          this.hasNoRecordedValue = (reader.uint64() & NO_RECORDED_VALUE) !== 0;
          break;
        default:
          reader.skip(tag);
      }
    }
    reader.expectEnd(end);
  }

  #begin(attributeTag: number): void {
    this.timeUs = this.startUs = this.value = this.count = this.sum = 0;
    this.hasNoRecordedValue = this.hasValue = this.hasSum = this.isExpected = false;
    this.large = undefined;
    this.countLength = this.boundLength = 0;
    this.attributesFrom = this.attributesTo = 0;
    this.attributeTag = attributeTag;
    // The engine is slow to set a length, also of an empty array.
    if (this.exemplars.length > 0) this.exemplars.length = 0;
    if (this.quantileValues.length > 0) this.quantileValues.length = 0;
  }

  #readInteger(reader: ProtobufReader): void {
    reader.fixed64();
    const { low, high } = reader;
    this.value = (high | 0) * 4_294_967_296 + low;
    this.hasValue = true;
    this.large = Number.isSafeInteger(this.value) ? undefined : { low, high };
  }

  #readSum(reader: ProtobufReader): void {
    this.sum = reader.double();
    this.hasSum = true;
  }

  /** Reads attributes from the one whose tag was just read: those that follow it directly, too. */
  #readAttribute(reader: ProtobufReader, end: number): void {
    const from = reader.at - 1;
    const { bytes } = reader;
    if (this.attributesTo === 0) {
      const length = this.#expect(bytes, from);
      const to = from + length;
      if (length > 0 && to <= end && (to === end || bytes[to] !== this.attributeTag)) {
        this.isExpected = true;
        reader.at = to;
      } else this.#skipAttributes(reader, end);
      this.attributes = bytes;
      this.attributesFrom = from;
    } else {
      // Attributes in several places: only a sender that is out of the ordinary does that.
      this.#skipAttributes(reader, end);
      const before = this.attributes.subarray(this.attributesFrom, this.attributesTo);
      this.attributes = Buffer.concat([before, bytes.subarray(from, reader.at)]);
      this.attributesFrom = 0;
      this.attributesTo = this.attributes.length;
      this.isExpected = false;
      return;
    }
    this.attributesTo = reader.at;
  }

  #skipAttributes(reader: ProtobufReader, end: number): void {
    reader.at = reader.length();
    while (reader.at < end && reader.bytes[reader.at] === this.attributeTag) {
      reader.at += 1;
      reader.at = reader.length();
    }
  }

  #readExemplar(reader: ProtobufReader): void {
    const end = reader.length();
    this.exemplars.push(reader.at, end);
    reader.at = end;
  }

  #readQuantile(reader: ProtobufReader, end: number): void {
    let [quantile, value] = [0, 0];
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === (8 | FIXED64)) quantile = reader.double();
      else if (tag === (16 | FIXED64)) value = reader.double();
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    this.#addBound(quantile);
    this.quantileValues.push(value);
  }

  #readCounts(reader: ProtobufReader, to: number): void {
    while (reader.at < to) this.#addCount(reader.ufixed64());
    reader.expectEnd(to);
  }

  #readBounds(reader: ProtobufReader, to: number): void {
    while (reader.at < to) this.#addBound(reader.double());
    reader.expectEnd(to);
  }

  #addCount(count: number): void {
    if (this.countLength === this.counts.length) this.counts = doubled(this.counts);
    this.counts[this.countLength++] = count;
  }

  #addBound(bound: number): void {
    if (this.boundLength === this.bounds.length) this.bounds = doubled(this.bounds);
    this.bounds[this.boundLength++] = bound;
  }
}

/** Adds a bucket. One past the limit is kept, so that the point is rejected, and no more: a body has room for millions. */
function addBucket({ counts }: Buckets, count: number): void {
  if (counts.length <= BUCKETS_MAX) counts.push(count);
}

function readBuckets(reader: ProtobufReader, buckets: Buckets): void {
  const end = reader.length();
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === (8 | VARINT)) buckets.offset = reader.sint64();
    else if (tag === (16 | VARINT)) addBucket(buckets, reader.uint64());
    else if (tag === (16 | BYTES)) {
      const to = reader.length();
      while (reader.at < to) addBucket(buckets, reader.uint64());
      reader.expectEnd(to);
    } else reader.skip(tag);
  }
  reader.expectEnd(end);
}

/** Reads nanoseconds as microseconds. A double cannot hold today's nanoseconds, so they are divided by halves. */
export function microseconds(reader: ProtobufReader): number {
  reader.fixed64();
  // 2^32 is 4,294,967 thousands and 296.
  return reader.high * 4_294_967 + Math.floor((reader.high * 296 + reader.low) / 1_000);
}

function doubled(numbers: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(numbers.length * 2);
  larger.set(numbers);
  return larger;
}
