/**
 * Converts native histograms to classic ones: decides the upper bounds that the histograms of a metric are stored
 * with, and computes the cumulative counts (https://prometheus.io/docs/specs/native_histograms/).
 *
 * The buckets of a native histogram end at powers of 2^(2^-schema). Buckets of schema 0 and below end at powers of
 * two. Buckets of higher schemas divide these exactly, so counts are added up and none is estimated. A histogram needs
 * one bound per power of two, from below its lowest bucket with observations to the highest. If that would be too many
 * bounds, the metric keeps every second, fourth … power from then on. Custom buckets (schema -53) have bounds of their
 * own. A negative bucket includes its lower bound and excludes its upper bound; a classic bucket does the opposite: an
 * observation of exactly -2^n counts from the next bound on.
 *
 * The contract: when one series of a metric needs a bound, all series of the metric have it from then on. So buckets do
 * not come and go with the observations, and the buckets of several series can be summed by `le`. The bounds survive a
 * restart, because they are read from what is stored. Sometimes a bound must be dropped: custom bounds changed, or the
 * buckets became coarser. Such bounds are reported, so that their series can be ended.
 */
import { CUSTOM_BUCKETS, type NativeHistogram } from "./native-histogram.ts";

/** The most bounds per side. Times from nanoseconds to a year take 55 powers of two. */
const BOUNDS_MAX = 100;
/** The exponents of the powers of two that a double can hold. */
const [EXPONENT_MIN, EXPONENT_MAX] = [-1074, 1023];
/** The number of metrics whose layouts are kept. Beyond it, all are dropped and built again from what is stored. */
const METRICS_MAX = 10_000;

/** Returns the stored `le` values of a metric, such as `0.5`. `+Inf` and values that are not numbers are ignored. */
type StoredEdges = (bucketMetric: string) => Iterable<string>;

/** The layouts of all metrics with native histograms, by the metric's name. */
export class BucketLayouts {
  readonly #layouts = new Map<string, BucketLayout>();
  readonly #storedEdges: StoredEdges;

  /** @param storedEdges takes the name of a metric of buckets, `x_bucket`; called once per metric */
  constructor(storedEdges: StoredEdges = () => []) {
    this.#storedEdges = storedEdges;
  }

  of(metric: string): BucketLayout {
    let layout = this.#layouts.get(metric);
    if (layout === undefined) {
      if (this.#layouts.size >= METRICS_MAX) this.#layouts.clear();
      layout = new BucketLayout();
      for (const edge of this.#storedEdges(`${metric}_bucket`)) layout.include(Number(edge));
      this.#layouts.set(metric, layout);
    }
    return layout;
  }
}

/** The upper bounds, ascending and without +Inf, and for each the number of observations that are not above it. */
interface ClassicBuckets {
  /** The same object as long as the bounds do not change. */
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

/** Buckets with observations, ascending, by the exponent of the power of two at which they end. */
interface Populated {
  readonly exponents: readonly number[];
  readonly counts: readonly number[];
}

/** Bounds in the order in which they are returned, as exponents. */
interface Shown {
  readonly bounds: readonly number[];
  readonly negative: readonly number[];
  readonly positive: readonly number[];
}

/** The bounds of one metric's histograms. */
export class BucketLayout {
  /** All exponents are multiples of this step. It only grows. */
  #step = 1;
  readonly #positive = new Set<number>();
  readonly #negative = new Set<number>();
  #hasZero = false;
  #custom: readonly number[] = [];
  /** By the step between a histogram's own buckets. */
  readonly #shown = new Map<number, Shown>();

  /** Adds a bound that the metric already has. */
  include(bound: number): void {
    if (!Number.isFinite(bound)) return;
    const exponent = bound === 0 ? Number.NEGATIVE_INFINITY : ceilLog2(Math.abs(bound));
    if (2 ** exponent === Math.abs(bound)) this.#add(bound < 0 ? this.#negative : this.#positive, exponent);
    else if (this.#custom.length < BOUNDS_MAX) this.#custom = [...this.#custom, bound];
  }

  /** All known bounds, for a series about which nothing else is known. */
  get bounds(): readonly number[] {
    return [...new Set([...this.#show(this.#step).bounds, ...this.#custom])];
  }

  /** Returns the classic buckets of a valid histogram, and adds the bounds that the layout lacks. */
  convert(histogram: NativeHistogram): ClassicBuckets {
    if (histogram.schema === CUSTOM_BUCKETS) return this.#convertCustom(histogram);
    const { schema, zeroCount, zeroThreshold } = histogram;
    const positive = populated(schema, histogram.positiveSpans, histogram.positiveCounts);
    const negative = populated(schema, histogram.negativeSpans, histogram.negativeCounts);
    const step = this.#widen(positive, negative, 2 ** -Math.min(schema, 0));
    const zeroAt = zeroThreshold > 0 ? ceilLog2(zeroThreshold) : undefined;
    if (zeroCount > 0) this.#includeZero(zeroAt, step);
    const shown = this.#show(step);
    const counts: number[] = [];
    let below = 0;
    let next = negative.exponents.length - 1;
    const addNegatives = (above: number) => {
      for (; next >= 0 && negative.exponents[next]! > above; next--) below += negative.counts[next]!;
    };
    for (const exponent of shown.negative) {
      addNegatives(exponent);
      counts.push(below);
    }
    addNegatives(Number.NEGATIVE_INFINITY);
    // Observations in the zero bucket can be as large as its threshold.
    if (this.#hasZero) counts.push(below + (zeroAt === undefined ? zeroCount : 0));
    next = 0;
    for (const exponent of shown.positive) {
      for (; positive.exponents[next]! <= exponent; next++) below += positive.counts[next]!;
      counts.push(below + (zeroAt === undefined || exponent >= zeroAt ? zeroCount : 0));
    }
    return { bounds: shown.bounds, counts };
  }

  /** Adds bounds for buckets, and returns the step of the exponents that can represent them. */
  #widen(positive: Populated, negative: Populated, ownStep: number): number {
    const sides = [
      [this.#positive, positive.exponents],
      [this.#negative, negative.exponents],
    ] as const;
    for (;;) {
      const step = Math.max(this.#step, ownStep);
      const wanted = sides.map(([known, exponents]) => {
        const missing = between(exponents, step).filter((each) => !known.has(each));
        let count = missing.length;
        for (const each of known) if (each % step === 0) count += 1;
        return { known, missing, isFull: count > BOUNDS_MAX };
      });
      if (wanted.some(({ isFull }) => isFull)) {
        this.#coarsen(step * 2);
        continue;
      }
      for (const { known, missing } of wanted) for (const each of missing) this.#add(known, each);
      return step;
    }
  }

  #coarsen(step: number): void {
    this.#step = step;
    for (const known of [this.#positive, this.#negative])
      for (const each of known) if (each % step !== 0) known.delete(each);
    this.#shown.clear();
  }

  #add(known: Set<number>, exponent: number): void {
    if (exponent > EXPONENT_MAX) return;
    if (exponent >= EXPONENT_MIN) known.add(exponent);
    // Half of the smallest number rounds to zero.
    else if (this.#hasZero) return;
    else this.#hasZero = true;
    this.#shown.clear();
  }

  /** Makes sure that there is a bound that covers the zero bucket. */
  #includeZero(zeroAt: number | undefined, step: number): void {
    const { positive } = this.#show(step);
    if (zeroAt === undefined) {
      if (positive.length === 0) this.#add(this.#positive, Number.NEGATIVE_INFINITY);
    } else if ((positive.at(-1) ?? Number.NEGATIVE_INFINITY) < zeroAt) {
      this.#add(this.#positive, Math.ceil(zeroAt / step) * step);
    }
  }

  #show(step: number): Shown {
    let shown = this.#shown.get(step);
    if (shown === undefined) {
      const multiples = (known: Set<number>) =>
        [...known].filter((exponent) => exponent % step === 0).sort((a, b) => a - b);
      const negative = multiples(this.#negative).reverse();
      const positive = multiples(this.#positive);
      const bounds = [
        ...negative.map((exponent) => -(2 ** exponent)),
        ...(this.#hasZero ? [0] : []),
        ...positive.map((exponent) => 2 ** exponent),
      ];
      shown = { bounds, negative, positive };
      this.#shown.set(step, shown);
    }
    return shown;
  }

  #convertCustom({ customValues, positiveSpans, positiveCounts }: NativeHistogram): ClassicBuckets {
    const counts = new Array<number>(customValues.length).fill(0);
    let bucket = 0;
    let at = 0;
    for (let span = 0; span < positiveSpans.length; span += 2) {
      bucket += positiveSpans[span]!;
      for (const stop = bucket + positiveSpans[span + 1]!; bucket < stop; bucket++, at++)
        if (bucket < counts.length) counts[bucket] = positiveCounts[at]!;
    }
    for (let index = 1; index < counts.length; index++) counts[index]! += counts[index - 1]!;
    const isSame =
      customValues.length === this.#custom.length &&
      customValues.every((bound, index) => bound === this.#custom[index]);
    if (!isSame) this.#custom = [...customValues];
    return { bounds: this.#custom, counts };
  }
}

/** The bounds between buckets: each power from below the lowest to the highest. */
function between(exponents: readonly number[], step: number): number[] {
  if (exponents.length === 0) return [];
  const low = Math.ceil(exponents[0]! / step) * step - step;
  const high = Math.ceil(exponents.at(-1)! / step) * step;
  return Array.from({ length: (high - low) / step + 1 }, (_, index) => low + index * step);
}

function populated(schema: number, spans: readonly number[], counts: readonly number[]): Populated {
  const ends: number[] = [];
  const sums: number[] = [];
  let bucket = 0;
  let at = 0;
  for (let span = 0; span < spans.length; span += 2) {
    bucket += spans[span]!;
    for (const stop = bucket + spans[span + 1]!; bucket < stop; bucket++) {
      const count = counts[at++]!;
      if (count === 0) continue;
      const exponent = schema >= 0 ? Math.ceil(bucket / 2 ** schema) : bucket * 2 ** -schema;
      // Observations above the largest power of two are in one more bucket, which has no bound.
      const end = Math.min(Math.max(exponent, EXPONENT_MIN), EXPONENT_MAX + 1);
      if (ends.at(-1) === end) sums[sums.length - 1]! += count;
      else {
        ends.push(end);
        sums.push(count);
      }
    }
  }
  return { exponents: ends, counts: sums };
}

/** The smallest integer whose power of two is not below a positive finite number. */
function ceilLog2(value: number): number {
  let exponent = Math.ceil(Math.log2(value));
  while (2 ** (exponent - 1) >= value) exponent -= 1;
  while (2 ** exponent < value) exponent += 1;
  return exponent;
}
