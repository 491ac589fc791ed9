/**
 * `weir check --rules`: finds rules that select metrics without series. Such rules can never fire or record anything.
 *
 * It uses only Prometheus's API of the gateway, so that `--url` may also be the address of a Prometheus.
 */
import { nearest } from "../../model/nearest.ts";
import { METRIC_NAME } from "../../query/promql/labels.ts";
import { selectorsIn, type VectorSelector } from "../../query/promql/parse/ast.ts";
import { printExpr } from "../../query/promql/parse/print.ts";
import { accepted, type Send } from "../client.ts";
import { exitCode, type Io } from "../command.ts";
import { type Rule, rulesOfFiles } from "./rule-files.ts";

/** Series that the evaluator of the rules writes itself. */
const WRITTEN_BY_EVALUATION = ["ALERTS", "ALERTS_FOR_STATE"];

/**
 * Checks the rules of all files. Resolves to the exit code.
 *
 * Faults of a file or an expression, and warnings, are printed on standard error. Rules with absent metrics are printed
 * on standard output, one per line.
 */
export async function checkRules(patterns: readonly string[], send: Send, io: Io): Promise<number> {
  const files = await rulesOfFiles(patterns, io);
  const problems = files.flatMap((file) => file.problems);
  const rules = files.flatMap((file) => file.rules);
  for (const problem of problems) await io.stderr.write(`weir check: ${problem}\n`);

  const stored = await metricNames(send);
  const made = new Set(files.flatMap(({ records }) => records));
  for (const name of WRITTEN_BY_EVALUATION) made.add(name);
  const series = new SeriesQuestions(send);
  let absentRules = 0;
  for (const rule of rules) {
    const { absent, unmatched } = await checkRule(rule, stored, made, series);
    for (const selector of unmatched) {
      await io.stderr.write(
        `weir check: warning: ${rule.place}: no series matches ${selector}, though the metric has series\n`,
      );
    }
    if (absent.length === 0) continue;
    absentRules += 1;
    await io.stdout.write(
      `${rule.place}: no series of ${absent.map((name) => named(name, stored)).join(", ")}\n`,
    );
  }

  const counted = `${rules.length} ${rules.length === 1 ? "rule" : "rules"}`;
  if (problems.length === 0 && absentRules === 0) {
    await io.stdout.write(`${counted}: every metric has series\n`);
    return exitCode.ok;
  }
  if (absentRules > 0) {
    await io.stderr.write(
      `weir check: rules that select a metric without series: ${absentRules} of ${rules.length}.\n`,
    );
  }
  return exitCode.failure;
}

interface Finding {
  /** The metrics that have no series, each once: by name, or by the whole selector if it has no name. */
  readonly absent: readonly string[];
  /** Selectors that match no series although their metric has series. */
  readonly unmatched: readonly string[];
}

async function checkRule(
  { expression }: Rule,
  stored: ReadonlySet<string>,
  made: ReadonlySet<string>,
  series: SeriesQuestions,
): Promise<Finding> {
  const absent = new Set<string>();
  const unmatched = new Set<string>();
  for (const selector of selectorsIn(expression)) {
    const name = nameOf(selector);
    if (name !== undefined && made.has(name)) continue;
    if (name !== undefined && !stored.has(name) && !(await series.exist(selectorOf(name)))) {
      absent.add(name);
    } else if (name === undefined || selector.matchers.length > 1) {
      const text = printExpr({ ...selector, offsetMs: 0, at: undefined });
      if (!(await series.exist(text))) (name === undefined ? absent : unmatched).add(text);
    }
  }
  return { absent: [...absent], unmatched: [...unmatched] };
}

/** The only metric name that a selector can match; undefined if several names can match. */
function nameOf({ name, matchers }: VectorSelector): string | undefined {
  if (name !== "") return name;
  return matchers.find((each) => each.name === METRIC_NAME && each.operator === "=")?.value;
}

/** A selector of all series of a metric. A gateway also finds them by the name as pushed, with its dots. */
function selectorOf(name: string): string {
  return `{__name__=${JSON.stringify(name)}}`;
}

/** A name, with a similar stored name if there is one. */
function named(name: string, stored: ReadonlySet<string>): string {
  const near = name.startsWith("{") ? undefined : nearest(name, stored);
  return near === undefined ? name : `${name} (did you mean ${near}?)`;
}

/** The PromQL names of all metrics that have series. */
async function metricNames(send: Send): Promise<Set<string>> {
  const response = await accepted(await send("/api/v1/label/__name__/values"));
  return new Set(((await response.json()) as { data: string[] }).data);
}

/** Queries the series of selectors, once per selector. */
class SeriesQuestions {
  readonly #send: Send;
  readonly #answers = new Map<string, Promise<boolean>>();

  constructor(send: Send) {
    this.#send = send;
  }

  /** Whether any series matches. */
  exist(selector: string): Promise<boolean> {
    return this.#answers.getOrInsertComputed(selector, () => this.#ask(selector));
  }

  async #ask(selector: string): Promise<boolean> {
    const response = await this.#send("/api/v1/series", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ "match[]": selector, limit: "1" }).toString(),
    });
    await accepted(response);
    return ((await response.json()) as { data: unknown[] }).data.length > 0;
  }
}
