/**
 * The functions of PromQL: the types of their arguments and results. They are computed in ../evaluate.
 */
import type { ValueType } from "./ast.ts";

interface Signature {
  readonly args: readonly ValueType[];
  readonly returns: ValueType;
  /** How many of the last arguments are optional; -1: the last can be repeated or left out. */
  readonly optional: number;
  /** Upstream requires a feature flag for it. Here the query is rejected, once its text is known to be valid. */
  readonly experimental: boolean;
}

const table = new Map<string, Signature>();

/** They are computed only by upstream, behind a feature flag; see Signature. */
const EXPERIMENTAL: ReadonlySet<string> = new Set(
  (
    "mad_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time " +
    "sort_by_label sort_by_label_desc start end step range min_of max_of"
  ).split(" "),
);

function add(names: string, args: readonly ValueType[], returns: ValueType = "vector", optional = 0): void {
  for (const name of names.split(" "))
    table.set(name, { args, returns, optional, experimental: EXPERIMENTAL.has(name) });
}

add("abs ceil exp floor ln log10 log2 sgn sqrt deg rad", ["vector"]);
add("acos acosh asin asinh atan atanh cos cosh sin sinh tan tanh", ["vector"]);
add("absent sort sort_desc timestamp", ["vector"]);
add("clamp", ["vector", "scalar", "scalar"]);
add("clamp_max clamp_min", ["vector", "scalar"]);
add("round", ["vector", "scalar"], "vector", 1);
add("days_in_month day_of_month day_of_week day_of_year hour minute month year", ["vector"], "vector", 1);
add("histogram_quantile", ["scalar", "vector"]);
add("histogram_fraction", ["scalar", "scalar", "vector"]);
add("histogram_avg histogram_count histogram_stddev histogram_stdvar histogram_sum", ["vector"]);
add("label_replace", ["vector", "string", "string", "string", "string"]);
add("label_join", ["vector", "string", "string", "string"], "vector", -1);
add("absent_over_time avg_over_time changes count_over_time delta deriv idelta increase irate", ["matrix"]);
add("first_over_time last_over_time max_over_time min_over_time present_over_time rate resets", ["matrix"]);
add("stddev_over_time stdvar_over_time sum_over_time", ["matrix"]);
add("quantile_over_time", ["scalar", "matrix"]);
add("predict_linear", ["matrix", "scalar"]);
add("double_exponential_smoothing", ["matrix", "scalar", "scalar"]);
add("pi time", [], "scalar");
add("scalar", ["vector"], "scalar");
add("vector", ["scalar"]);
add("mad_over_time", ["matrix"]);
add("ts_of_first_over_time ts_of_last_over_time", ["matrix"]);
add("ts_of_max_over_time ts_of_min_over_time", ["matrix"]);
add("sort_by_label sort_by_label_desc", ["vector", "string"], "vector", -1);
add("start end step range", [], "scalar");
add("min_of max_of", ["scalar", "scalar"], "scalar");

/** Functions that upstream has and that are not supported here, with the alternative. */
export const UNSUPPORTED_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ["info", "write `* on (…) group_left (…)` to join with info metrics"],
  ["histogram_quantiles", "call histogram_quantile() for each quantile instead"],
  ["start_timestamp", "start times of samples are not kept"],
]);

/** The signature of a function; undefined if there is no function of that name. */
export function signatureOf(name: string): Signature | undefined {
  return table.get(name);
}
