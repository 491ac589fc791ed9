/**
 * histogram_quantile() and histogram_fraction() on classic buckets: series that differ only in `le` form one histogram,
 * step by step.
 */
import { BUCKET_LABEL, METRIC_NAME } from "../../labels.ts";
import type { Span } from "../../parse/ast.ts";
import { parseFloatStrict } from "../../promql-text.ts";
import type { Context } from "../context.ts";
import type { Matrix } from "../matrix.ts";

interface Histogram {
  readonly firstRow: number;
  /** In ascending order of the bounds. */
  readonly buckets: { readonly row: number; readonly bound: number }[];
}

/** Buckets of one histogram in one step: cumulative counts by ascending bounds, the last of which is +Inf. */
interface Buckets {
  readonly bounds: readonly number[];
  readonly counts: number[];
}

interface QuantileSpans {
  readonly parameter: Span;
  readonly buckets: Span;
}

export function histogramQuantile(
  matrix: Matrix,
  quantiles: Float64Array,
  context: Context,
  spans: QuantileSpans,
): Matrix {
  for (const quantile of quantiles) {
    if (!(quantile >= 0 && quantile <= 1)) context.annotations.quantileOutOfRange(quantile, spans.parameter);
  }
  return eachHistogram(matrix, context, spans.buckets, (buckets, step, metric) => {
    if (Number.isNaN(quantiles[step])) return Number.NaN;
    if (quantiles[step] < 0) return -Infinity;
    if (quantiles[step] > 1) return Infinity;
    if (buckets === undefined) return Number.NaN;
    if (forceMonotonic(buckets.counts)) context.annotations.forcedMonotonicity(metric, spans.buckets);
    return bucketQuantile(quantiles[step], buckets);
  });
}

export function histogramFraction(
  matrix: Matrix,
  lower: Float64Array,
  upper: Float64Array,
  context: Context,
  span: Span,
): Matrix {
  return eachHistogram(matrix, context, span, (buckets, step) =>
    buckets === undefined ? Number.NaN : bucketFraction(lower[step], upper[step], buckets),
  );
}

/** Computes one value per histogram and step; `buckets` is undefined where there is no +Inf bucket. */
function eachHistogram(
  matrix: Matrix,
  context: Context,
  span: Span,
  evaluate: (buckets: Buckets | undefined, step: number, metric: string) => number,
): Matrix {
  const { steps, values, present } = matrix;
  const histograms = histogramsOf(matrix, context, span);
  const result = matrix.like(histograms.length);
  for (const { firstRow, buckets } of histograms) {
    const labels = matrix.labels[firstRow].with(BUCKET_LABEL, "");
    const first = result.addRow(labels);
    for (let step = 0; step < steps; step++) {
      const bounds: number[] = [];
      const counts: number[] = [];
      for (const { row, bound } of buckets) {
        if (present[row * steps + step] === 0) continue;
        const count = values[row * steps + step];
        // `le="1"` and `le="1.0"` are one bucket.
        if (bounds.at(-1) === bound) counts[counts.length - 1] += count;
        else {
          bounds.push(bound);
          counts.push(count);
        }
      }
      if (bounds.length === 0) continue;
      const complete = bounds.at(-1) === Infinity ? { bounds, counts } : undefined;
      result.values[first + step] = evaluate(complete, step, labels.get(METRIC_NAME));
      result.present[first + step] = 1;
    }
  }
  matrix.release();
  return result.compact().withoutNames();
}

function histogramsOf(matrix: Matrix, context: Context, span: Span): Histogram[] {
  const histograms = new Map<string, Histogram>();
  for (let row = 0; row < matrix.rows; row++) {
    const labels = matrix.labels[row];
    const bound = parseFloatStrict(labels.get(BUCKET_LABEL));
    if (bound === undefined) {
      context.annotations.badBucketLabel(labels.get(BUCKET_LABEL), labels.get(METRIC_NAME), span);
      continue;
    }
    const { key } = labels.with(BUCKET_LABEL, "");
    histograms.getOrInsertComputed(key, () => ({ firstRow: row, buckets: [] })).buckets.push({ row, bound });
  }
  for (const { buckets } of histograms.values()) buckets.sort((a, b) => a.bound - b.bound);
  return [...histograms.values()];
}

/** Relative differences below this are rounding errors, not a count that decreased. */
const ROUNDING = 1e-12;

/** Raises counts that decrease, which cumulative counts must not; returns whether any decrease exceeds rounding. */
function forceMonotonic(counts: number[]): boolean {
  let before = counts[0];
  let forced = false;
  for (let at = 1; at < counts.length; at++) {
    const count = counts[at];
    const close = Math.abs(count - before) / (Math.abs(count) + Math.abs(before)) < ROUNDING;
    if (close || count < before) {
      counts[at] = before;
      if (!close) forced = true;
    } else before = count;
  }
  return forced;
}

function bucketQuantile(quantile: number, { bounds, counts }: Buckets): number {
  const last = counts.length - 1;
  const observations = counts[last];
  if (last < 1 || observations === 0) return Number.NaN;
  const rank = quantile * observations;
  let at = 0;
  while (at < last && !(counts[at] >= rank)) at++;
  // Nothing is known above the last finite bound.
  if (at === last) return bounds[last - 1];
  if (at === 0 && bounds[0] <= 0) return bounds[0];
  const start = at > 0 ? bounds[at - 1] : 0;
  const below = at > 0 ? counts[at - 1] : 0;
  return start + (bounds[at] - start) * ((rank - below) / (counts[at] - below));
}

/** The share of observations between two values. */
function bucketFraction(lower: number, upper: number, buckets: Buckets): number {
  const total = buckets.counts.at(-1)!;
  if (total === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return Number.NaN;
  if (lower >= upper) return 0;
  return (countBelow(upper, buckets) - countBelow(lower, buckets)) / total;
}

/** The number of observations below a value, assuming that they are spread evenly in their bucket. */
function countBelow(value: number, { bounds, counts }: Buckets): number {
  let below = 0;
  for (let at = 0; at < bounds.length; at++) {
    // The first bucket begins at zero unless it ends at or below zero.
    const start = at > 0 ? bounds[at - 1] : -Infinity;
    if (start >= value) return below;
    if (bounds[at] > value) {
      const from = at === 0 && bounds[0] > 0 ? 0 : start;
      // A bucket without a lower bound cannot be divided: all of it counts.
      if (from === -Infinity) return counts[at];
      const share = Math.max(0, value - from) / (bounds[at] - from);
      return Math.min(counts.at(-1)!, below + (counts[at] - below) * share);
    }
    below = counts[at];
  }
  return counts.at(-1)!;
}
