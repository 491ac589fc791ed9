/**
 * Sums, means, quantiles and linear regression, computed as upstream does: compensated sums (Kahan, with Neumaier's
 * improvement), means that do not overflow, quantiles interpolated between ranks.
 */
import { CompensatedSum } from "../../compensated-sum.ts";

/** A mean: the sum over the count while the sum does not overflow, otherwise computed incrementally. */
export class Mean {
  count = 1;
  readonly #sum: CompensatedSum;
  #incremental = false;

  constructor(first: number) {
    this.#sum = new CompensatedSum(first);
  }

  add(value: number): void {
    this.count++;
    const acc = this.#sum;
    if (!this.#incremental) {
      const { sum, compensation } = acc;
      acc.add(value);
      if (acc.sum !== Infinity && acc.sum !== -Infinity) return;
      this.#incremental = true;
      acc.sum = sum / (this.count - 1);
      acc.compensation = compensation / (this.count - 1);
    }
    const share = (this.count - 1) / this.count;
    acc.sum *= share;
    acc.compensation *= share;
    acc.add(value / this.count);
  }

  get mean(): number {
    const { sum, compensation } = this.#sum;
    const divisor = this.#incremental ? 1 : this.count;
    return Number.isFinite(sum) ? sum / divisor + compensation / divisor : sum / divisor;
  }
}

/** The population variance of values[lo..hi), by Welford's method with compensated sums. */
export function variance(values: Float64Array, lo: number, hi: number): number {
  const mean = new CompensatedSum();
  const squares = new CompensatedSum();
  for (let at = lo; at < hi; at++) {
    const delta = values[at] - (mean.sum + mean.compensation);
    mean.add(delta / (at - lo + 1));
    squares.add(delta * (values[at] - (mean.sum + mean.compensation)));
  }
  return (squares.sum + squares.compensation) / (hi - lo);
}

/** The quantile of sorted values, interpolated linearly between ranks; NaN counts as the smallest value. */
export function quantileOfSorted(quantile: number, sorted: Float64Array): number {
  if (sorted.length === 0 || Number.isNaN(quantile)) return Number.NaN;
  if (quantile < 0) return -Infinity;
  if (quantile > 1) return Infinity;
  const rank = quantile * (sorted.length - 1);
  const lower = Math.max(0, Math.floor(rank));
  const upper = Math.min(sorted.length - 1, lower + 1);
  const weight = rank - Math.floor(rank);
  return sorted[lower] * (1 - weight) + sorted[upper] * weight;
}

/** Sorts in place, with NaN first (Float64Array's own order has it last). */
export function sortNaNFirst(values: Float64Array): Float64Array {
  values.sort();
  let firstNaN = values.length;
  while (firstNaN > 0 && Number.isNaN(values[firstNaN - 1])) firstNaN--;
  const count = values.length - firstNaN;
  if (count === 0 || count === values.length) return values;
  values.copyWithin(count, 0, firstNaN);
  values.fill(Number.NaN, 0, count);
  return values;
}

/**
 * The least squares line through samples[lo..hi): its slope per second, and its value at `originMs`.
 */
export function linearRegression(
  timestampsMs: Float64Array,
  values: Float64Array,
  lo: number,
  hi: number,
  originMs: number,
): { slope: number; intercept: number } {
  const sumX = new CompensatedSum();
  const sumY = new CompensatedSum();
  const sumXY = new CompensatedSum();
  const sumX2 = new CompensatedSum();
  let constant = true;
  for (let at = lo; at < hi; at++) {
    const y = values[at];
    if (y !== values[lo]) constant = false;
    const x = (timestampsMs[at] - originMs) / 1000;
    sumX.add(x);
    sumY.add(y);
    sumXY.add(x * y);
    sumX2.add(x * x);
  }
  // A constant has slope 0, however large it is: rounding must not change that.
  if (constant) {
    const infinite = !Number.isFinite(values[lo]);
    return infinite ? { slope: Number.NaN, intercept: Number.NaN } : { slope: 0, intercept: values[lo] };
  }
  const n = hi - lo;
  const [x, y] = [sumX.sum + sumX.compensation, sumY.sum + sumY.compensation];
  const covariance = sumXY.sum + sumXY.compensation - (x * y) / n;
  const varianceX = sumX2.sum + sumX2.compensation - (x * x) / n;
  const slope = covariance / varianceX;
  return { slope, intercept: y / n - (slope * x) / n };
}

/** Double exponential smoothing (Holt): the smoothed value at the end of values[lo..hi), which has at least two. */
export function smoothed(
  values: Float64Array,
  lo: number,
  hi: number,
  smoothing: number,
  trendFactor: number,
): number {
  let before = 0;
  let level = values[lo];
  let trend = values[lo + 1] - values[lo];
  for (let at = lo + 1; at < hi; at++) {
    if (at > lo + 1) trend = trendFactor * (level - before) + (1 - trendFactor) * trend;
    const next = smoothing * values[at] + (1 - smoothing) * (level + trend);
    before = level;
    level = next;
  }
  return level;
}
