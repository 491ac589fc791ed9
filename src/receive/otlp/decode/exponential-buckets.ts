/**
 * Exponential histograms as classic buckets
 * (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram). Pure.
 *
 * A sender lowers the scale of an exponential histogram as its values spread, so its own bounds change all the time. Here
 * a metric keeps its bounds. Buckets end at powers of 2^(2^-scale), and powers of two are among these at every scale
 * from 0 up, so counts are added and none is estimated.
 *
 * - A running total has the bounds that `BucketLayouts` keeps for its metric, as native histograms have.
 * - An increment has fixed bounds by the unit of its metric. With bounds that are added later, the total of a new bound
 *   would lack what was counted before, and be less than that of a lower bound.
 */
import { NativeHistogram } from "../../../wire/native-histogram.ts";
import { BUCKETS_MAX, type DataPoint } from "./data-point.ts";

type ExponentialPoint = Pick<
  DataPoint,
  "count" | "sum" | "scale" | "zeroCount" | "zeroThreshold" | "positive" | "negative"
>;

/** The scales of the specification: at -10 one bucket has half of all positive doubles. */
const [SCALE_MIN, SCALE_MAX] = [-10, 20];

/** Exponents of the first and the last bound, and the step between them. */
type Range = readonly [first: number, last: number, step: number];

/** Durations from a quarter of a millisecond to 68 minutes; sizes from 16 bytes to a tebibyte. */
const RANGES: ReadonlyMap<string, Range> = new Map([
  ["seconds", [-12, 12, 1]],
  ["milliseconds", [-2, 22, 1]],
  ["microseconds", [8, 32, 1]],
  ["nanoseconds", [18, 42, 1]],
  ["bytes", [4, 40, 2]],
]);
/** From a thousandth to a billion. */
const OTHER_RANGE: Range = [-10, 30, 2];
const BOUNDS: ReadonlyMap<Range, readonly number[]> = new Map(
  [...RANGES.values(), OTHER_RANGE].map((range) => [
    range,
    exponentsOf(range).map((exponent) => 2 ** exponent),
  ]),
);

/** The bounds of the increments of a metric, by the name of its unit. Equal units have the same object. */
export function fixedBounds(unit: string): readonly number[] {
  return BOUNDS.get(RANGES.get(unit) ?? OTHER_RANGE)!;
}

/** For each fixed bound, the number of observations that are not above it. */
export function fixedCounts(point: ExponentialPoint, unit: string): number[] {
  const { scale, zeroCount, zeroThreshold, positive, negative } = point;
  let below = 0;
  for (const count of negative.counts) below += count;
  let next = 0;
  return exponentsOf(RANGES.get(unit) ?? OTHER_RANGE).map((exponent) => {
    while (next < positive.counts.length && endOf(positive.offset + next, scale) <= exponent)
      below += positive.counts[next++]!;
    return below + (zeroThreshold <= 2 ** exponent ? zeroCount : 0);
  });
}

/** The histogram as Prometheus has it, whose buckets are numbered by their ends. */
export function toNativeHistogram(point: ExponentialPoint): NativeHistogram {
  const histogram = new NativeHistogram();
  histogram.count = point.count;
  histogram.sum = point.sum;
  histogram.schema = point.scale;
  histogram.zeroCount = point.zeroCount;
  histogram.zeroThreshold = point.zeroThreshold;
  const { positive, negative } = point;
  histogram.positiveSpans.push(positive.offset + 1, positive.counts.length);
  histogram.negativeSpans.push(negative.offset + 1, negative.counts.length);
  for (const count of positive.counts) histogram.positiveCounts.push(count);
  for (const count of negative.counts) histogram.negativeCounts.push(count);
  return histogram;
}

/** The problem of the buckets of a point, as the end of a sentence about it, or undefined. */
export function problemOfBuckets(point: ExponentialPoint): string | undefined {
  const { scale, count, zeroCount, zeroThreshold, positive, negative } = point;
  if (!(scale >= SCALE_MIN && scale <= SCALE_MAX))
    return `has scale ${scale}, expected ${SCALE_MIN} to ${SCALE_MAX}`;
  if (!(zeroThreshold >= 0 && zeroThreshold < Number.POSITIVE_INFINITY))
    return `has zero_threshold ${zeroThreshold}, expected a number of 0 or more`;
  let total = zeroCount;
  for (const { counts } of [positive, negative]) {
    if (counts.length > BUCKETS_MAX)
      return `has more than ${BUCKETS_MAX} buckets on one side, which are not accepted`;
    for (const each of counts) total += each;
  }
  return isSameCount(total, count)
    ? undefined
    : `has ${total} observations in its buckets, and count ${count}`;
}

/** Whether two sums of counts are equal. Beyond 2^53 each was rounded. */
export function isSameCount(a: number, b: number): boolean {
  return a === b || (b > Number.MAX_SAFE_INTEGER && Math.abs(a - b) <= b * 1e-9);
}

/** The exponent of the smallest power of two that is not below the end of a bucket. */
function endOf(bucket: number, scale: number): number {
  return scale >= 0 ? Math.ceil((bucket + 1) / 2 ** scale) : (bucket + 1) * 2 ** -scale;
}

function exponentsOf([first, last, step]: Range): number[] {
  return Array.from({ length: (last - first) / step + 1 }, (_, at) => first + at * step);
}
