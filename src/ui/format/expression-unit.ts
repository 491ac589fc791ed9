/**
 * The unit of the values of an expression of PromQL, as far as its words say. Pure.
 *
 * A wrong unit misleads more than none, so it is empty where it is not certain: a rate of buckets is a number of events per
 * second, whatever unit their bounds have.
 */
import { unitOfName } from "./units.ts";

/** What says nothing about the unit: texts, comments, matchers, ranges and lists of labels. */
const ASIDE =
  /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi;
const BRACKETS = /\{[^}]*\}|\[[^\]]*\]|\b(?:offset|@)\s*-?[\w.]+/gi;

const WORDS = /(?<![\w:.])([a-zA-Z_:][\w:]*)(\s*\()?/g;
/** Words before a bracket that are not functions, and words that are not metrics. */
const KEYWORDS: ReadonlySet<string> = new Set(
  "and or unless on ignoring by without group_left group_right offset bool inf nan start end".split(" "),
);
/** Their values have another unit than their argument. */
const OTHER_UNIT =
  /^(?:count.*|absent.*|present_over_time|group|changes|resets|stdvar.*|timestamp|sgn|exp|ln|log\d+|sqrt|a?(?:sin|cos|tan)h?|histogram_(?:count|fraction|stdvar)|(?:day|days|hour|minute|month|year)(?:_.*)?)$/;
const PER_SECOND = /^(?:i?rate|deriv)$/;
const OF_BUCKETS = /^histogram_(?:quantile|avg)$/;

/** The unit for `formatValue`. Empty if the expression does not say it. */
export function unitOfExpression(expr: string): string {
  const text = expr.replace(ASIDE, "").replace(BRACKETS, "");
  if (/[*%^]|\bbool\b|\batan2\b/i.test(text)) return "";
  const [divided, by, ...more] = text.split("/").map((part) => wordsOf(part));
  if (by !== undefined) return more.length === 0 ? unitOfMean(divided!, by) : "";
  const { functions, metrics } = divided!;
  if (functions.some((name) => OTHER_UNIT.test(name))) return "";
  const isOfBuckets = functions.some((name) => OF_BUCKETS.test(name));
  const units = new Set(metrics.map((name) => unitOfName(isOfBuckets ? name.replace(/_bucket$/, "") : name)));
  if (units.size !== 1) return "";
  const unit = [...units][0]!;
  if (isOfBuckets || !functions.some((name) => PER_SECOND.test(name))) return unit;
  return unit === "bytes" ? "bytes/s" : "";
}

/** The mean of a histogram or a summary: `rate(x_sum[5m]) / rate(x_count[5m])`. */
function unitOfMean(sums: ReturnType<typeof wordsOf>, counts: ReturnType<typeof wordsOf>): string {
  const [sum, ...others] = new Set(sums.metrics);
  const base = /^(.+)_sum$/.exec(sum ?? "")?.[1];
  const isMean =
    base !== undefined &&
    others.length === 0 &&
    counts.metrics.length > 0 &&
    counts.metrics.every((name) => name === `${base}_count`) &&
    ![...sums.functions, ...counts.functions].some((name) => OTHER_UNIT.test(name));
  return isMean ? unitOfName(base) : "";
}

function wordsOf(text: string): {
  readonly functions: readonly string[];
  readonly metrics: readonly string[];
} {
  const words = [...text.matchAll(WORDS)].filter(([, word]) => !KEYWORDS.has(word!.toLowerCase()));
  return {
    functions: words.filter(([, , bracket]) => bracket !== undefined).map(([, word]) => word!.toLowerCase()),
    metrics: words.filter(([, , bracket]) => bracket === undefined).map(([, word]) => word!),
  };
}
