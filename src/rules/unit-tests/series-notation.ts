/**
 * The series of unit tests in the notation of Prometheus
 * (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series): a name with labels, and values
 * such as `1 2.5 _ stale 0+10x5 _x3`. Native histograms are not supported. Pure.
 */
import { quote } from "../../model/errors.ts";
import { LabelSet } from "../../query/promql/labels.ts";
import { parse } from "../../query/promql/parse/parse.ts";
import { parseFloatStrict } from "../../query/promql/promql-text.ts";
import { QueryError } from "../../query/promql/query-errors.ts";

/** The text is not in the notation. The message says where. */
export class NotationError extends Error {
  override readonly name = "NotationError";
}

/** One interval of a series: a number, the end of the series, or no sample. */
export type NotedValue = number | "stale" | null;

/** A million minutes are two years. */
const VALUES_MAX = 1_000_000;

const NUMBER = "(?:\\d[\\d_]*\\.?[\\d_]*|\\.\\d[\\d_]*)(?:[eE][+-]?\\d+)?|[iI][nN][fF]|[nN][aA][nN]";
const ITEM = new RegExp(`^(?:_(?:x(\\d+))?|(stale)|([+-]?(?:${NUMBER}))(?:([+-])(${NUMBER}))?(?:x(\\d+))?)$`);

/** @throws NotationError */
export function readSeriesValues(text: string): NotedValue[] {
  const values: NotedValue[] = [];
  for (const item of text.split(/\s+/).filter((each) => each !== "")) {
    if (item.includes("{{")) {
      throw new NotationError(`${quote(item)}: native histograms are not supported in tests`);
    }
    const [whole, gaps, stale, first, sign, delta, times] = ITEM.exec(item) ?? [];
    if (whole === undefined || (delta !== undefined && times === undefined)) {
      throw new NotationError(
        `${quote(item)} is not a value: expected a number, "_", "_xN", "stale", "AxN", "A+BxN" or "A-BxN"`,
      );
    }
    const count = first === undefined && stale === undefined ? Number(gaps ?? 1) : Number(times ?? 0) + 1;
    if (values.length + count > VALUES_MAX) {
      throw new NotationError(`${quote(item)}: a series has at most ${VALUES_MAX} values`);
    }
    if (first === undefined) {
      for (let at = 0; at < count; at++) values.push(stale === undefined ? null : "stale");
      continue;
    }
    let value = parseFloatStrict(first)!;
    const step = delta === undefined ? 0 : parseFloatStrict(delta)! * (sign === "-" ? -1 : 1);
    for (let at = 0; at < count; at++) {
      values.push(value);
      value += step;
    }
  }
  return values;
}

/**
 * The labels of `name{label="value", …}`; `{}` has none.
 *
 * @throws NotationError
 */
export function readSeriesLabels(text: string): LabelSet {
  if (/^\s*\{\s*\}\s*$/.test(text)) return LabelSet.EMPTY;
  try {
    const selector = parse(text);
    if (selector.type !== "vectorSelector" || selector.offsetMs !== 0 || selector.at !== undefined) {
      throw new NotationError(`${quote(text)} is not a series: expected NAME{LABEL="VALUE", …}`);
    }
    const other = selector.matchers.find(({ operator }) => operator !== "=");
    if (other !== undefined) {
      throw new NotationError(
        `${quote(text)} is not a series: expected "=" after ${quote(other.name)}, got ${quote(other.operator)}`,
      );
    }
    const names = new Set(selector.matchers.map(({ name }) => name));
    if (names.size < selector.matchers.length) throw new NotationError(`${quote(text)} has a label twice`);
    return LabelSet.from(selector.matchers.map(({ name, value }) => [name, value]));
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new NotationError(`${quote(text)} is not a series: ${error.message}`);
  }
}
