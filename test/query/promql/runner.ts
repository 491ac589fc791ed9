/** Runs the cases of a script through the engine, and describes what is not as expected. */
import { Engine, type PromqlResult, type ResultSeries } from "../../../src/query/promql/engine.ts";
import { QueryError } from "../../../src/query/promql/query-errors.ts";
import { DEFAULTS } from "../../defaults.ts";
import type { Case, ExpectedSeries, Value } from "./script.ts";

/** Throws an error that describes why a case fails. */
export async function runCase(each: Case): Promise<void> {
  const engine = new Engine(each.storage, DEFAULTS);
  const failure = each.expectations.find(({ what }) => what === "fail");
  let result: PromqlResult;
  try {
    result = await evaluate(engine, each);
  } catch (error) {
    if (!(error instanceof QueryError) || failure === undefined) throw error;
    const { message, pattern } = failure;
    if (message !== undefined && error.message !== message) {
      throw new Error(`failed with ${JSON.stringify(error.message)}, not ${JSON.stringify(message)}`);
    }
    if (pattern !== undefined && !pattern.test(error.message)) {
      throw new Error(`failed with ${JSON.stringify(error.message)}, which does not match ${pattern}`);
    }
    return;
  }
  if (failure !== undefined) throw new Error("should have failed");
  checkAnnotations(each, result);
  checkData(each, result);
  if (each.kind === "instant" && result.data.type === "vector" && !each.ordered)
    await checkAsRange(engine, each);
}

async function evaluate(engine: Engine, each: Case): Promise<PromqlResult> {
  return each.kind === "instant"
    ? engine.instant(each.text, each.fromMs)
    : engine.range(each.text, each.fromMs, each.toMs, each.stepMs);
}

/** The middle of a range query of three steps must equal the result of the instant query. */
async function checkAsRange(engine: Engine, each: Case): Promise<void> {
  const result = await engine.range(each.text, each.fromMs - 60_000, each.fromMs + 60_000, 60_000);
  if (result.data.type !== "matrix") throw new Error(`as a range: a ${result.data.type}`);
  const middle = result.data.series.flatMap(({ labels, timestampsMs, values }) => {
    const at = timestampsMs.indexOf(each.fromMs);
    return at < 0
      ? []
      : [{ labels, timestampsMs: timestampsMs.slice(at, at + 1), values: values.slice(at, at + 1) }];
  });
  compareSeries(middle, each.series, () => each.fromMs, "as the middle of a range: ");
}

function checkAnnotations(each: Case, { warnings, infos }: PromqlResult): void {
  for (const { what, message, pattern } of each.expectations) {
    const found = what.endsWith("warn") ? warnings : infos;
    if (what.startsWith("no_")) {
      if (found.length > 0) throw new Error(`${what}, yet there is: ${found.join("; ")}`);
    } else if (found.length === 0) throw new Error(`should ${what}`);
    else if (message !== undefined && !found.includes(message)) {
      throw new Error(`should ${what} ${JSON.stringify(message)}, not ${found.join("; ")}`);
    } else if (pattern !== undefined && !found.some((text) => pattern.test(text))) {
      throw new Error(`should ${what} ${pattern}, not ${found.join("; ")}`);
    }
  }
}

function checkData(each: Case, { data }: PromqlResult): void {
  if (data.type === "string") {
    if (data.text !== each.string) throw new Error(`is the string ${JSON.stringify(data.text)}`);
    return;
  }
  if (data.type === "scalar") {
    if (each.scalar === undefined || !alike(data.value, each.scalar)) {
      throw new Error(`is ${data.value}, not ${each.scalar}`);
    }
    return;
  }
  if (each.ordered) {
    const got = data.series.map(({ labels }) => labels.toString());
    const want = each.series.map(({ labels }) => labels.toString());
    if (got.join() !== want.join()) throw new Error(`comes in the order ${got.join(" ")}`);
  }
  const from = each.rangeVector ?? each;
  compareSeries(data.series, each.series, (step) => from.fromMs + step * from.stepMs);
}

function compareSeries(
  got: readonly ResultSeries[],
  want: readonly ExpectedSeries[],
  timeOf: (step: number) => number,
  prefix = "",
): void {
  const left = new Map(got.map((series) => [series.labels.key, series]));
  if (left.size !== got.length) throw new Error(`${prefix}has a label set twice`);
  for (const { labels, points } of want) {
    const wanted = new Map(
      points.flatMap((value, step) => (value === null ? [] : [[timeOf(step), value] as const])),
    );
    if (wanted.size === 0) continue;
    const series = left.get(labels.key);
    if (series === undefined) {
      throw new Error(
        `${prefix}has no ${labels}, but ${got.map((each) => each.labels).join(" ") || "nothing"}`,
      );
    }
    left.delete(labels.key);
    comparePoints(series, wanted, `${prefix}${labels}`);
  }
  const more = [...left.values()].map((each) => `${each.labels} ${each.values.join(" ")}`);
  if (more.length > 0) throw new Error(`${prefix}has more: ${more.join("; ")}`);
}

function comparePoints(series: ResultSeries, wanted: ReadonlyMap<number, Value>, name: string): void {
  const got = [...series.timestampsMs].map((time, at) => [time, series.values[at]] as const);
  const said = `got ${got.map(([time, value]) => `${value}@${time}`).join(" ")}`;
  if (got.length !== wanted.size)
    throw new Error(`${name}: ${got.length} points for ${wanted.size}: ${said}`);
  for (const [time, value] of got) {
    const want = wanted.get(time);
    if (typeof want !== "number" || !alike(value, want)) {
      throw new Error(`${name}: ${value} at ${time}, not ${want}: ${said}`);
    }
  }
}

/** Equal within one part in a million, because scripts have rounded values; NaN equals NaN. */
function alike(a: number, b: number): boolean {
  if (Object.is(a, b) || a === b) return true;
  return (
    Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b)) ||
    (Math.abs(a) < 1e-300 && Math.abs(b) < 1e-300)
  );
}
