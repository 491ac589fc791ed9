/** The functions over the samples of a range: *_over_time, deriv(), predict_linear(), smoothing. */
import { CompensatedSum } from "../compensated-sum.ts";
import { ExecutionError } from "../errors.ts";
import type { Span } from "../parse/ast.ts";
import { formatDecimal } from "../text.ts";
import type { Annotations } from "./annotations.ts";
import { changes, delta, idelta, increase, irate, rate, resets } from "./rates.ts";
import { slidingExtreme } from "./sliding-extreme.ts";
import { linearRegression, Mean, quantileOfSorted, smoothed, sortNaNFirst, variance } from "./statistics.ts";
import type { RangeFunction } from "./window.ts";

const sumOverTime: RangeFunction = ({ values, lo, hi }) => {
  const sum = new CompensatedSum();
  for (let at = lo; at < hi; at++) sum.add(values[at]);
  return sum.total;
};

const avgOverTime: RangeFunction = ({ values, lo, hi }) => {
  const mean = new Mean(values[lo]);
  for (let at = lo + 1; at < hi; at++) mean.add(values[at]);
  return mean.mean;
};

/** Index of the greatest value; NaN only if all are NaN. Of equal values the first, or with `last` the last. */
function indexOfMax(values: Float64Array, lo: number, hi: number, sign: 1 | -1, last = false): number {
  let best = lo;
  for (let at = lo + 1; at < hi; at++) {
    const [now, most] = [sign * values[at], sign * values[best]];
    if (now > most || (last && now === most) || Number.isNaN(most)) best = at;
  }
  return best;
}

const deriv: RangeFunction = ({ timestampsMs, values, lo, hi }) =>
  hi - lo < 2 ? undefined : linearRegression(timestampsMs, values, lo, hi, timestampsMs[lo]).slope;

const madOverTime: RangeFunction = ({ values, lo, hi }) => {
  const median = quantileOfSorted(0.5, sortNaNFirst(values.slice(lo, hi)));
  const deviations = values.slice(lo, hi).map((value) => Math.abs(value - median));
  return quantileOfSorted(0.5, sortNaNFirst(deviations));
};

const PLAIN: Record<string, RangeFunction> = {
  rate,
  increase,
  delta,
  irate,
  idelta,
  resets,
  changes,
  deriv,
  sum_over_time: sumOverTime,
  avg_over_time: avgOverTime,
  mad_over_time: madOverTime,
  count_over_time: ({ lo, hi }) => hi - lo,
  present_over_time: () => 1,
  first_over_time: ({ values, lo }) => values[lo],
  last_over_time: ({ values, hi }) => values[hi - 1],
  stddev_over_time: ({ values, lo, hi }) => Math.sqrt(variance(values, lo, hi)),
  stdvar_over_time: ({ values, lo, hi }) => variance(values, lo, hi),
  ts_of_first_over_time: ({ timestampsMs, lo }) => timestampsMs[lo] / 1000,
  ts_of_last_over_time: ({ timestampsMs, hi }) => timestampsMs[hi - 1] / 1000,
  ts_of_max_over_time: ({ timestampsMs, values, lo, hi }) =>
    timestampsMs[indexOfMax(values, lo, hi, 1, true)] / 1000,
  ts_of_min_over_time: ({ timestampsMs, values, lo, hi }) =>
    timestampsMs[indexOfMax(values, lo, hi, -1, true)] / 1000,
};

/** The scalar arguments of a function: one value per step each, and their positions. */
export interface ScalarArguments {
  readonly values: readonly Float64Array[];
  readonly spans: readonly Span[];
}

/** The function of a name with its scalar arguments bound; undefined for absent_over_time(), which is in calls.ts. */
export function rangeFunction(
  name: string,
  scalars: ScalarArguments,
  annotations: Annotations,
): RangeFunction | undefined {
  switch (name) {
    case "quantile_over_time": {
      for (const quantile of scalars.values[0]) {
        if (!(quantile >= 0 && quantile <= 1)) annotations.quantileOutOfRange(quantile, scalars.spans[0]);
      }
      return ({ values, lo, hi, step }) =>
        quantileOfSorted(scalars.values[0][step], sortNaNFirst(values.slice(lo, hi)));
    }
    case "max_over_time":
      return slidingExtreme(1);
    case "min_over_time":
      return slidingExtreme(-1);
    case "predict_linear":
      return ({ timestampsMs, values, lo, hi, evaluationMs, step }) => {
        if (hi - lo < 2) return undefined;
        const { slope, intercept } = linearRegression(timestampsMs, values, lo, hi, evaluationMs);
        return slope * scalars.values[0][step] + intercept;
      };
    case "double_exponential_smoothing":
      return ({ values, lo, hi, step }) => {
        const [smoothing, trend] = scalars.values.map((each) => each[step]);
        checkFactor("smoothing", "sf", smoothing);
        checkFactor("trend", "tf", trend);
        return hi - lo < 2 ? undefined : smoothed(values, lo, hi, smoothing, trend);
      };
    default:
      return PLAIN[name];
  }
}

function checkFactor(what: string, short: string, factor: number): void {
  if (factor > 0 && factor < 1) return;
  throw new ExecutionError(
    `invalid ${what} factor. Expected: 0 < ${short} < 1, got: ${formatDecimal(factor)}`,
  );
}
