/** The functions over the samples of a range: *_over_time, deriv(), predict_linear(), smoothing. */
import { CompensatedSum } from "../../compensated-sum.ts";
import { ExecutionError } from "../../query-errors.ts";
import type { Span } from "../../parse/ast.ts";
import { formatDecimal } from "../../promql-text.ts";
import type { Annotations } from "../annotations.ts";
import type { Grid } from "../grid.ts";
import { changes, delta, idelta, increase, irate, rate, resets } from "./rates.ts";
import { slidingExtreme } from "./sliding-extreme.ts";
import { linearRegression, Mean, quantileOfSorted, smoothed, sortNaNFirst, variance } from "./statistics.ts";
import { eachWindow, type RangeFunction } from "./window.ts";
import type { SeriesFunction } from "./window-plan.ts";

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

const deriv: RangeFunction = ({ timestampsMs, values, lo, hi }) =>
  hi - lo < 2 ? undefined : linearRegression(timestampsMs, values, lo, hi, timestampsMs[lo]).slope;

/** Functions that process a series as a whole. */
const WHOLE: Record<string, () => SeriesFunction> = {
  rate,
  increase,
  delta,
  max_over_time: () => slidingExtreme(1),
  min_over_time: () => slidingExtreme(-1),
};

const PLAIN: Record<string, RangeFunction> = {
  irate,
  idelta,
  resets,
  changes,
  deriv,
  sum_over_time: sumOverTime,
  avg_over_time: avgOverTime,
  count_over_time: ({ lo, hi }) => hi - lo,
  present_over_time: () => 1,
  first_over_time: ({ values, lo }) => values[lo],
  last_over_time: ({ values, hi }) => values[hi - 1],
  stddev_over_time: ({ values, lo, hi }) => Math.sqrt(variance(values, lo, hi)),
  stdvar_over_time: ({ values, lo, hi }) => variance(values, lo, hi),
};

/** The scalar arguments of a function: one value per step each, and their positions. */
interface ScalarArguments {
  readonly values: readonly Float64Array[];
  readonly spans: readonly Span[];
}

/** The function of a name with its scalar arguments bound; undefined for absent_over_time(), which is in calls.ts. */
export function seriesFunction(
  name: string,
  scalars: ScalarArguments,
  grid: Grid,
  annotations: Annotations,
): SeriesFunction | undefined {
  const whole = Object.hasOwn(WHOLE, name) ? WHOLE[name] : undefined;
  if (whole !== undefined) return whole();
  const apply = windowFunction(name, scalars, annotations);
  return apply && eachWindow(apply, grid);
}

function windowFunction(
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
