/**
 * Native histograms as classic ones (https://prometheus.io/docs/specs/native_histograms/).
 *
 * The buckets of a native histogram end at powers of 2^(2^-schema), so that those of schema 0 and below end at
 * powers of two, and those above are exactly parts of them: counts are added up, none is estimated. What comes out
 * are cumulative counts by upper bound, one bound each power of two from below the lowest bucket with observations
 * to the highest. Where that would be too many bounds, every second, fourth … power is taken.
 *
 * Bounds that a series once had it keeps (`BucketRange`), so that its buckets do not come and go. Custom buckets
 * (schema -53) have their own bounds, and keep them. A negative bucket holds its lower bound and not its upper, a
 * classic one the other way round: an observation of exactly -2^n counts from the next bound on.
 */
import { BYTES, FIXED64, type ProtobufReader, VARINT } from "../protobuf.ts";

const CUSTOM_BUCKETS = -53;
/** Those that the specification says how to read; Prometheus itself uses -4 to 8. */
const SCHEMA_MIN = -9;
const SCHEMA_MAX = 52;
/** Prometheus stops at 160 unless told otherwise. */
const BUCKETS_MAX = 10_000;
/** Bounds of one side: times from nanoseconds to a year take 55 powers of two. */
const BOUNDS_MAX = 100;
/** Powers of two that a double can be. */
const [EXPONENT_MIN, EXPONENT_MAX] = [-1074, 1023];

/** A native histogram as it came. One object is used again for each. */
export class NativeHistogram {
  count = 0;
  sum = 0;
  schema = 0;
  zeroThreshold = 0;
  zeroCount = 0;
  /** Pairs of offset and length. */
  readonly negativeSpans: number[] = [];
  readonly positiveSpans: number[] = [];
  /** Absolute counts, by bucket of the spans. */
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
    while (reader.at < end) this.#field(reader, reader.uint32());
    reader.expectEnd(end);
  }

  #field(reader: ProtobufReader, tag: number): void {
    switch (tag) {
      case 8 | VARINT:
        this.count = reader.uint64();
        break;
      case 16 | FIXED64:
        this.count = reader.double();
        break;
      case 24 | FIXED64:
        this.sum = reader.double();
        this.isStale = reader.isStaleMarker();
        break;
      case 32 | VARINT:
        this.schema = reader.sint64();
        break;
      case 40 | FIXED64:
        this.zeroThreshold = reader.double();
        break;
      case 48 | VARINT:
        this.zeroCount = reader.uint64();
        break;
      case 56 | FIXED64:
        this.zeroCount = reader.double();
        break;
      case 64 | BYTES:
        readSpan(reader, this.negativeSpans);
        break;
      case 72 | BYTES:
        readDeltas(reader, this.negativeCounts);
        break;
      case 80 | BYTES:
        readDoubles(reader, this.negativeCounts);
        break;
      case 88 | BYTES:
        readSpan(reader, this.positiveSpans);
        break;
      case 96 | BYTES:
        readDeltas(reader, this.positiveCounts);
        break;
      case 104 | BYTES:
        readDoubles(reader, this.positiveCounts);
        break;
      case 120 | VARINT:
        this.timestampMs = reader.int64();
        break;
      case 130: // field 16, bytes
        readDoubles(reader, this.customValues);
        break;
      default:
        reader.skip(tag);
    }
  }

  /** Says what is wrong with it, if anything. */
  problem(): string | undefined {
    const { schema, customValues, count, zeroCount, zeroThreshold } = this;
    if (this.isStale) return undefined;
    if (schema !== CUSTOM_BUCKETS && !(schema >= SCHEMA_MIN && schema <= SCHEMA_MAX))
      return `has schema ${schema}, expected ${SCHEMA_MIN} to ${SCHEMA_MAX} or ${CUSTOM_BUCKETS}`;
    if (!(count >= 0 && zeroCount >= 0 && zeroThreshold >= 0)) return "has a negative count";
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
      if (length > BUCKETS_MAX) return `has ${length} buckets, at most ${BUCKETS_MAX} are taken`;
      for (const each of counts) {
        if (!(each >= 0)) return "has a negative count in a bucket";
        total += each;
      }
    }
    // Observations of NaN are in the count and in no bucket. Counts that are no whole numbers are rounded.
    if (total > count * (1 + 1e-9))
      return `has ${total} observations in its buckets, and a count of ${count}`;
    if (schema !== CUSTOM_BUCKETS) return undefined;
    if (this.negativeSpans.length > 0 || zeroCount > 0) return "has custom buckets below the first";
    for (let index = 1; index < customValues.length; index++) {
      if (!(customValues[index]! > customValues[index - 1]!)) return "has custom bounds that do not ascend";
    }
    return customValues.length > BUCKETS_MAX
      ? `has ${customValues.length} custom bounds, at most ${BUCKETS_MAX} are taken`
      : undefined;
  }
}

function readSpan(reader: ProtobufReader, spans: number[]): void {
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

function readDeltas(reader: ProtobufReader, counts: number[]): void {
  const end = reader.length();
  let count = counts.at(-1) ?? 0;
  while (reader.at < end) {
    count += reader.sint64();
    counts.push(count);
  }
  reader.expectEnd(end);
}

function readDoubles(reader: ProtobufReader, values: number[]): void {
  const end = reader.length();
  while (reader.at < end) values.push(reader.double());
  reader.expectEnd(end);
}

/** The powers of two that the buckets of one side go through. */
class Side {
  /** Exponents of the lowest and the highest upper bound. */
  low = Number.POSITIVE_INFINITY;
  high = Number.NEGATIVE_INFINITY;

  get isEmpty(): boolean {
    return this.high < this.low;
  }

  include(exponent: number): void {
    if (exponent < this.low) this.low = exponent;
    if (exponent > this.high) this.high = exponent;
  }

  /** Rounds up to multiples of a step. */
  widen(step: number): void {
    this.low = Math.ceil(this.low / step) * step;
    this.high = Math.ceil(this.high / step) * step;
  }
}

/** The bounds that a series had so far. */
export class BucketRange {
  /** Exponents from one bound to the next. */
  step = 1;
  readonly positive = new Side();
  readonly negative = new Side();
  /** The bound that holds zero, where there is no positive bucket. */
  zero: number | undefined;
  custom: readonly number[] = [];
}

/** Upper bounds, ascending and without +Inf, and how many observations were not above each. */
export interface ClassicBuckets {
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

/** The classic buckets of a histogram without a problem; `range` is widened to its bounds. */
export function classicBuckets(histogram: NativeHistogram, range: BucketRange): ClassicBuckets {
  if (histogram.isStale) return staleBuckets(range);
  if (histogram.schema === CUSTOM_BUCKETS) return customBuckets(histogram, range);
  const positive = byExponent(histogram.schema, histogram.positiveSpans, histogram.positiveCounts);
  const negative = byExponent(histogram.schema, histogram.negativeSpans, histogram.negativeCounts);
  range.step = Math.max(range.step, 2 ** -Math.min(histogram.schema, 0));
  for (const exponent of positive.keys()) range.positive.include(exponent);
  for (const exponent of negative.keys()) range.negative.include(exponent);
  const zeroAt = histogram.zeroThreshold > 0 ? ceilLog2(histogram.zeroThreshold) : undefined;
  if (histogram.zeroCount > 0) {
    if (range.positive.isEmpty)
      range.zero = Math.max(range.zero ?? 0, zeroAt === undefined ? 0 : 2 ** zeroAt);
    else if (zeroAt !== undefined && zeroAt > range.positive.high) range.positive.include(zeroAt);
  }
  settle(range);
  const bounds: number[] = [];
  const counts: number[] = [];
  let below = 0;
  const negatives = widened(negative, range.step);
  if (!range.negative.isEmpty) {
    bounds.push(-(2 ** range.negative.high));
    counts.push(0);
    for (let at = range.negative.high; at >= range.negative.low; at -= range.step) {
      below += negatives.get(at) ?? 0;
      bounds.push(-(2 ** (at - range.step)));
      counts.push(below);
    }
  }
  below += histogram.zeroCount;
  if (
    range.zero !== undefined &&
    (range.positive.isEmpty || range.zero < 2 ** (range.positive.low - range.step))
  ) {
    bounds.push(range.zero);
    counts.push(below);
  }
  if (!range.positive.isEmpty) {
    const positives = widened(positive, range.step);
    let counted = below - histogram.zeroCount;
    for (let at = range.positive.low - range.step; at <= range.positive.high; at += range.step) {
      counted += positives.get(at) ?? 0;
      // Observations in the zero bucket may be as large as its threshold.
      const zero = zeroAt === undefined || at >= zeroAt ? histogram.zeroCount : 0;
      bounds.push(2 ** at);
      counts.push(counted + zero);
    }
  }
  return { bounds, counts };
}

/** Counts by the exponent of the power of two that is the bucket's upper bound (of its size, for negatives). */
function byExponent(
  schema: number,
  spans: readonly number[],
  counts: readonly number[],
): Map<number, number> {
  const sums = new Map<number, number>();
  let bucket = 0;
  let at = 0;
  for (let span = 0; span < spans.length; span += 2) {
    bucket += spans[span]!;
    for (const stop = bucket + spans[span + 1]!; bucket < stop; bucket++) {
      const count = counts[at++]!;
      if (count === 0) continue;
      const exponent = schema >= 0 ? Math.ceil(bucket / 2 ** schema) : bucket * 2 ** -schema;
      const kept = Math.min(Math.max(exponent, EXPONENT_MIN), EXPONENT_MAX + 1);
      sums.set(kept, (sums.get(kept) ?? 0) + count);
    }
  }
  // What is above the largest power of two is counted by +Inf alone.
  sums.delete(EXPONENT_MAX + 1);
  return sums;
}

/** Doubles the step until neither side has too many bounds. */
function settle(range: BucketRange): void {
  for (;;) {
    for (const side of [range.positive, range.negative]) if (!side.isEmpty) side.widen(range.step);
    const most = Math.max(
      range.positive.high - range.positive.low,
      range.negative.high - range.negative.low,
      0,
    );
    if (most / range.step < BOUNDS_MAX) return;
    range.step *= 2;
  }
}

function widened(counts: Map<number, number>, step: number): Map<number, number> {
  if (step === 1) return counts;
  const sums = new Map<number, number>();
  for (const [exponent, count] of counts) {
    const at = Math.ceil(exponent / step) * step;
    sums.set(at, (sums.get(at) ?? 0) + count);
  }
  return sums;
}

function customBuckets(
  { customValues, positiveSpans, positiveCounts }: NativeHistogram,
  range: BucketRange,
): ClassicBuckets {
  const own = new Array<number>(customValues.length).fill(0);
  let bucket = 0;
  let at = 0;
  for (let span = 0; span < positiveSpans.length; span += 2) {
    bucket += positiveSpans[span]!;
    for (const stop = bucket + positiveSpans[span + 1]!; bucket < stop; bucket++) {
      if (bucket >= 0 && bucket < own.length) own[bucket] = positiveCounts[at]!;
      at += 1;
    }
  }
  let below = 0;
  const counts = own.map((count) => {
    below += count;
    return below;
  });
  range.custom = [...customValues];
  return { bounds: range.custom, counts };
}

/** All bounds that the series had; each of them ends. */
function staleBuckets(range: BucketRange): ClassicBuckets {
  const { step, positive, negative, zero, custom } = range;
  const bounds = [...custom];
  if (!negative.isEmpty) {
    for (let at = negative.high; at >= negative.low - step; at -= step) bounds.push(-(2 ** at));
  }
  if (zero !== undefined) bounds.push(zero);
  if (!positive.isEmpty) {
    for (let at = positive.low - step; at <= positive.high; at += step) bounds.push(2 ** at);
  }
  return { bounds, counts: bounds.map(() => 0) };
}

/** The smallest whole number whose power of two is not below a positive number. */
function ceilLog2(value: number): number {
  let exponent = Math.ceil(Math.log2(value));
  while (2 ** (exponent - 1) >= value) exponent -= 1;
  while (2 ** exponent < value) exponent += 1;
  return exponent;
}
