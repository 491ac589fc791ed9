/**
 * Random expressions from the grammar, over the series of dataset.ts, with the functions and rules that Prometheus
 * 2.42 and 3 have in common. Left out, because the versions differ:
 * - nested subqueries: their steps are on the edges of others, where a range that is closed on the left
 *   (2.x) differs from one that is open (3.x); the times of the queries themselves are on no step
 * - atan2 between series (2.42 kept the metric's name) and predict_linear() with `@` (2.42 moved its range)
 * - the deviation of infinite and absent numbers (2.42 returns 0 for a single one, 3 returns NaN)
 * Also left out, because upstream does not define it: topk() and bottomk() of equal values, parts of dates of NaN.
 */
import fc from "fast-check";

type Text = fc.Arbitrary<string>;

const pick = (...texts: readonly string[]): Text => fc.constantFrom(...texts);

/** Replaces each `{}`, in order, by a value of the arbitraries. */
function fill(template: string, ...parts: readonly Text[]): Text {
  return fc
    .tuple(...parts)
    .map((texts) => texts.reduce((text, part) => text.replace("{}", () => part), template));
}

const labels = pick("job", "instance", "code", "job, instance", "le", "nothing", "");
const durations = pick("45s", "1m", "2m", "5m", "10m", "17m");
const shifts = fc.oneof(
  { weight: 6, arbitrary: fc.constant("") },
  { weight: 1, arbitrary: pick(" offset 1m", " offset 5m", " offset -3m", " offset 1h") },
  { weight: 1, arbitrary: pick(" @ start()", " @ end()", " @ 1728043230", " @ 1728043230 offset 2m") },
);
const matchers = fc.oneof(
  { weight: 4, arbitrary: fc.constant("") },
  {
    weight: 3,
    arbitrary: pick(
      '{job="api"}',
      '{job!="api"}',
      '{instance=~"a|b"}',
      '{instance!~"a.*"}',
      '{code=~"5.."}',
      '{job=~"a.+",instance!="c"}',
      '{nothing=""}',
      '{job="nobody"}',
    ),
  },
);

const names = pick(
  "requests_total",
  "requests_total",
  "queue_depth",
  "queue_depth",
  "flaky",
  "build_info",
  "special",
);
const selector = fill("{}{}{}", names, matchers, shifts);
const matrix = fill("{}{}[{}]{}", names, matchers, durations, shifts);
const counterMatrix = fill("requests_total{}[{}]{}", matchers, durations, shifts);
const numbers = pick("0", "1", "2", "-3", "0.5", "100", "1e3", "Inf", "-Inf", "NaN");
const quantiles = pick("0", "0.1", "0.5", "0.9", "0.99", "1", "-1", "2");

const overTime = pick(
  "sum_over_time",
  "avg_over_time",
  "min_over_time",
  "max_over_time",
  "count_over_time",
  "stddev_over_time",
  "stdvar_over_time",
  "last_over_time",
  "present_over_time",
  "changes",
  "resets",
  "deriv",
  "delta",
  "idelta",
);
const elementwise = pick(
  "abs",
  "ceil",
  "floor",
  "exp",
  "ln",
  "log2",
  "log10",
  "sqrt",
  "sgn",
  "atan",
  "deg",
  "timestamp",
  "round",
  "-",
  "",
);
const aggregations = pick("sum", "avg", "min", "max", "count", "group");
const arithmetic = pick("+", "-", "*", "/", "%", "^");
const comparisons = pick("==", "!=", "<", "<=", ">", ">=");
const grouping = fc.oneof(fill(" by ({})", labels), fill(" without ({})", labels), fc.constant(""));

/** Scalars: numbers, time, functions of one series. */
const scalar = fc.oneof(
  { weight: 5, arbitrary: numbers },
  {
    weight: 1,
    arbitrary: pick(
      "time()",
      "pi()",
      "scalar(sum(queue_depth))",
      'scalar(queue_depth{job="api",instance="a"})',
    ),
  },
);

/** Functions of range selectors. */
const ranged = fc.oneof(
  fill("{}({})", overTime, matrix),
  fill("{}({})", pick("rate", "increase", "irate"), counterMatrix),
  fill("quantile_over_time({}, {})", quantiles, matrix),
  fill("predict_linear({}{}[{}], {})", names, matchers, durations, pick("0", "60", "3600", "-60")),
  fill("absent_over_time({})", matrix),
);

const histograms = fill(
  "histogram_quantile({}, {}(rate(latency_bucket{}[{}])))",
  quantiles,
  pick("", "sum by (le) ", "sum by (le, job) ", "max without (instance) "),
  pick("", '{job="api"}'),
  pick("1m", "5m", "10m"),
);

/** Series whose values are rarely equal. */
const levels = fc.oneof(
  fill("requests_total{}{}", matchers, shifts),
  fill("sum_over_time(requests_total{}[{}])", matchers, durations),
);

/** A vector with at most one series per value of the labels that match. */
const byJob = (inner: Text) => fill("{} by (job) ({})", aggregations, inner);

/** Expressions nested `depth` deep; `flat`: without subqueries. */
function vector(depth: number, flat: boolean): Text {
  const leaf = fc.oneof({ weight: 2, arbitrary: selector }, { weight: 2, arbitrary: ranged }, histograms);
  if (depth === 0) return leaf;
  const inner = vector(depth - 1, flat);
  const choices: fc.WeightedArbitrary<string>[] = [
    { weight: 2, arbitrary: leaf },
    { weight: 3, arbitrary: fill("{}{} ({})", aggregations, grouping, inner) },
    { weight: 2, arbitrary: fill("{}({})", elementwise, inner) },
    { weight: 1, arbitrary: fill("round({}, {})", inner, pick("5", "0.5", "0")) },
    { weight: 1, arbitrary: fill("clamp({}, {}, {})", inner, numbers, numbers) },
    { weight: 1, arbitrary: fill("{}({}, {})", pick("clamp_min", "clamp_max"), inner, numbers) },
    { weight: 2, arbitrary: fill("({}) {} {}", inner, arithmetic, scalar) },
    { weight: 1, arbitrary: fill("{} {} ({})", scalar, arithmetic, inner) },
    { weight: 2, arbitrary: fill("({}) {}{} {}", inner, comparisons, pick("", " bool"), scalar) },
    { weight: 2, arbitrary: fill("({}) {} ({})", byJob(inner), arithmetic, byJob(inner)) },
    { weight: 1, arbitrary: fill("({}) {} bool ({})", byJob(inner), comparisons, byJob(inner)) },
    { weight: 1, arbitrary: fill("({}) {} on ({}) ({})", inner, arithmetic, labels, inner) },
    { weight: 1, arbitrary: fill("({}) {} ignoring ({}) ({})", inner, arithmetic, labels, inner) },
    {
      weight: 1,
      arbitrary: fill("({}) * on (job, instance) group_left ({}) build_info", inner, pick("version", "")),
    },
    { weight: 1, arbitrary: fill("({}) / on (job) group_left ({})", inner, byJob(inner)) },
    { weight: 2, arbitrary: fill("({}) {} ({})", inner, pick("and", "or", "unless"), inner) },
    {
      weight: 1,
      arbitrary: fill(
        "({}) {} {} ({}) ({})",
        inner,
        pick("and", "or", "unless"),
        pick("on", "ignoring"),
        labels,
        inner,
      ),
    },
    {
      weight: 1,
      arbitrary: fill("{}{} ({}, {})", pick("topk", "bottomk"), grouping, pick("1", "2", "5"), levels),
    },
    { weight: 1, arbitrary: fill("{}{} ({})", pick("stddev", "stdvar"), grouping, levels) },
    { weight: 1, arbitrary: fill("quantile{} ({}, {})", grouping, quantiles, inner) },
    { weight: 1, arbitrary: fill('count_values{} ("v", round({}))', grouping, leaf) },
    { weight: 1, arbitrary: fill('label_replace({}, "x", "$1-y", "instance", "(.*)")', inner) },
    { weight: 1, arbitrary: fill('label_join({}, "x", "/", "job", "instance")', inner) },
    { weight: 1, arbitrary: fill("{}({})", pick("sort", "sort_desc", "absent"), inner) },
    { weight: 1, arbitrary: fill("vector({})", scalar) },
    { weight: 1, arbitrary: fill("{}(timestamp({}))", pick("minute", "hour", "day_of_week"), inner) },
  ];
  if (!flat) {
    const subquery = fill(
      "{}(({})[{}:{}]{})",
      overTime,
      vector(depth - 1, true),
      durations,
      pick("1m", "20s", ""),
      shifts,
    );
    choices.push({ weight: 2, arbitrary: subquery });
  }
  return fc.oneof(...choices);
}

/** Expressions for queries, including scalars. */
export const expressions: Text = fc.oneof(
  { weight: 12, arbitrary: vector(3, false) },
  { weight: 6, arbitrary: vector(2, false) },
  {
    weight: 1,
    arbitrary: fill("{} {} {}", scalar, fc.oneof(arithmetic, pick("atan2", "== bool", "< bool")), scalar),
  },
);
