/**
 * Runs a unit test of rules as `promtool test rules` does: it evaluates all groups at each interval from the start of the
 * test to the last time that the test asks about, over series in memory. The evaluation is that of the gateway.
 *
 * As in promtool, the interval of a group does not matter, samples that have not arrived yet are invisible, and a test
 * ends at the first evaluation with an error.
 */
import { formatDuration } from "../../model/duration.ts";
import { Engine } from "../../query/promql/engine.ts";
import { LabelSet } from "../../query/promql/labels.ts";
import {
  evaluateGroup,
  type GroupEvaluationContext,
  type GroupStates,
} from "../evaluation/group-evaluation.ts";
import { RuleFault } from "../evaluation/rule-evaluation.ts";
import type { ActiveAlert, RuleState } from "../evaluation/rule-state.ts";
import type { QuerySample, RuleGroup, RuleQuestion } from "../files/rule-group.ts";
import { alertDifferences, sampleDifferences } from "./test-differences.ts";
import { TestSeries } from "./test-series.ts";
import type { AlertExpectation, ExprExpectation, UnitTest, UnitTestFile } from "./unit-test-file.ts";

/** Something that is not as the test expects. */
export interface UnitTestFailure {
  /** The line of the file that expects it. */
  readonly line: number;
  /** What was tested: `alert Down at 5m`. */
  readonly subject: string;
  /** What is wrong, line by line. Lines that begin with `-` are expected, and lines with `+` were found. */
  readonly details: readonly string[];
}

type Terms = Pick<UnitTestFile, "evaluationIntervalMs" | "groupOrder" | "isFuzzy">;

/** A test of a year at intervals of a minute has half a million. */
const EVALUATIONS_MAX = 1_000_000;
/** Of one query. */
const QUERY_LIMITS = {
  lookbackMs: 300_000,
  promqlSamplesMax: 50_000_000,
  promqlSeriesMax: 1_000_000,
  promqlMemoryBytesMax: 1_073_741_824,
  promqlTimeoutMs: 100_000,
};

/** Resolves to what failed, in the order in which promtool tests: alerts by time, then expressions. */
export async function runUnitTest(
  test: UnitTest,
  groups: readonly RuleGroup[],
  terms: Terms,
): Promise<UnitTestFailure[]> {
  const ordered = inOrder(groups, terms.groupOrder);
  const times = [...test.alerts, ...test.exprs].map(({ timeMs }) => timeMs);
  const evaluations = Math.max(0, ...times) / terms.evaluationIntervalMs;
  if (evaluations > EVALUATIONS_MAX) {
    const details = [
      `${Math.floor(evaluations)} evaluations are needed; at most ${EVALUATIONS_MAX} are supported`,
    ];
    return [{ line: test.line, subject: "the test", details }];
  }
  return await new UnitTestRun(test, ordered, terms).run(Math.max(0, ...times));
}

/** Groups that are not listed count as the first one that is, as in promtool. */
function inOrder(groups: readonly RuleGroup[], order: readonly string[]): RuleGroup[] {
  const rank = ({ name }: RuleGroup) => Math.max(0, order.indexOf(name));
  return groups.toSorted((a, b) => rank(a) - rank(b));
}

class UnitTestRun {
  readonly #test: UnitTest;
  readonly #groups: readonly RuleGroup[];
  readonly #states: GroupStates[];
  readonly #terms: Terms;
  readonly #series = new TestSeries();
  readonly #engine: Engine;
  readonly #failures: UnitTestFailure[] = [];

  constructor(test: UnitTest, groups: readonly RuleGroup[], terms: Terms) {
    this.#test = test;
    this.#groups = groups;
    this.#states = groups.map(() => []);
    this.#terms = terms;
    const subqueryStepMs = terms.evaluationIntervalMs;
    this.#engine = new Engine(this.#series, { ...QUERY_LIMITS, subqueryStepMs });
    for (const { labels, values } of test.series) {
      this.#series.add(labels, test.startMs, test.intervalMs, values);
    }
  }

  async run(lastMs: number): Promise<UnitTestFailure[]> {
    const { evaluationIntervalMs } = this.#terms;
    const alerts = this.#test.alerts.toSorted((a, b) => a.timeMs - b.timeMs);
    let next = 0;
    for (let atMs = 0; atMs <= lastMs; atMs += evaluationIntervalMs) {
      const errors = await this.#evaluate(atMs);
      this.#failures.push(...errors);
      if (errors.length > 0) return this.#failures;
      for (; next < alerts.length && alerts[next].timeMs < atMs + evaluationIntervalMs; next++) {
        this.#checkAlert(alerts[next]);
      }
    }
    for (const expr of this.#test.exprs) await this.#checkExpr(expr);
    return this.#failures;
  }

  /** Evaluates all groups once; returns the rules that failed. */
  async #evaluate(atMs: number): Promise<UnitTestFailure[]> {
    const timeMs = this.#test.startMs + atMs;
    this.#series.arrive(timeMs);
    const errors: UnitTestFailure[] = [];
    for (const [at, group] of this.#groups.entries()) {
      const states: (RuleState | undefined)[] = [...this.#states[at]];
      for await (const { index, rule, state, error } of evaluateGroup(
        group,
        states,
        timeMs,
        this.#context(),
      )) {
        states[index] = state;
        if (error === undefined) continue;
        errors.push({
          line: this.#test.line,
          subject: `the rule ${rule.name} (${group.file}:${rule.line}) at ${formatDuration(atMs)}`,
          details: [error instanceof Error ? error.message : String(error)],
        });
      }
      this.#states[at] = states;
    }
    return errors;
  }

  #context(): GroupEvaluationContext {
    const { externalLabels, externalURL } = this.#test;
    return {
      externalLabels,
      externalURL,
      queryOffsetMs: 0,
      answer: async (question, timeMs) => await this.#answer(question, timeMs),
      write: async (samples) => {
        for (const { labels, timeMs, value, isStale } of samples) {
          this.#series.write(LabelSet.from(Object.entries(labels)), timeMs, isStale ? "stale" : value);
        }
        return [];
      },
    };
  }

  async #answer({ language, text }: RuleQuestion, timeMs: number): Promise<QuerySample[]> {
    if (language === "sql") {
      throw new RuleFault("rules with sql cannot be tested: they need a store, and a test has only series");
    }
    const samples = await this.#query(text, timeMs);
    return samples.map(({ labels, value }) => ({ labels: labels.toJSON(), value }));
  }

  async #query(text: string, timeMs: number): Promise<{ labels: LabelSet; value: number }[]> {
    const { data } = await this.#engine.instant(text, timeMs);
    if (data.type === "scalar") return [{ labels: LabelSet.EMPTY, value: data.value }];
    if (data.type !== "vector") throw new RuleFault("rule result is not a vector or scalar");
    return data.series.map(({ labels, values: [value] }) => ({ labels, value }));
  }

  #checkAlert(expected: AlertExpectation): void {
    const { alert, alerts, line, timeMs } = expected;
    const known: ActiveAlert[] = [];
    this.#groups.forEach((group, at) => {
      group.rules.forEach((rule, index) => {
        if (rule.kind !== "alerting" || rule.name !== alert) return;
        known.push(...(this.#states[at][index]?.alerts.values() ?? []));
      });
    });
    const wanted = alerts.map(({ labels, annotations }) => ({
      labels: { ...labels, alertname: alert },
      annotations,
    }));
    const details = alertDifferences(wanted, known);
    if (details.length === 0) return;
    const hasRule = this.#groups.some(({ rules }) =>
      rules.some(({ kind, name }) => kind === "alerting" && name === alert),
    );
    if (!hasRule) details.push(`  no rule file has an alert ${alert}`);
    this.#failures.push({ line, subject: `alert ${alert} at ${formatDuration(timeMs)}`, details });
  }

  async #checkExpr({ expr, samples, line, timeMs }: ExprExpectation): Promise<void> {
    const subject = `${expr.trim()} at ${formatDuration(timeMs)}`;
    try {
      const found = await this.#query(expr, this.#test.startMs + timeMs);
      const details = sampleDifferences(samples, found, this.#terms.isFuzzy);
      if (details.length > 0) this.#failures.push({ line, subject, details });
    } catch (error) {
      this.#failures.push({
        line,
        subject,
        details: [error instanceof Error ? error.message : String(error)],
      });
    }
  }
}
