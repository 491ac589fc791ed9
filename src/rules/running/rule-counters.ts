/** The metrics of rules, named as Prometheus names its own: `weir_rule_…` for `prometheus_rule_…`. */
import type { Counters } from "../../model/counters.ts";
import type { RuleGroup } from "../files/rule-group.ts";

export class RuleCounters {
  readonly #counters: Counters;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** A group began to run. */
  added({ rules, ...group }: RuleGroup, intervalMs: number): void {
    const labels = labelsOf(group);
    this.#counters.ruleGroupRules.set(labels, rules.length);
    this.#counters.ruleGroupInterval.set(labels, intervalMs / 1000);
    this.#counters.ruleEvaluations.inc(labels, 0);
    this.#counters.ruleEvaluationFailures.inc(labels, 0);
    this.#counters.ruleEvaluationsCancelled.inc(labels, 0);
    this.#counters.ruleTemplateFailures.inc(labels, 0);
    this.#counters.ruleGroupIterations.inc(labels, 0);
    this.#counters.ruleGroupIterationsMissed.inc(labels, 0);
  }

  /** A group is gone. */
  removed(group: RuleGroup): void {
    const labels = labelsOf(group);
    for (const each of [
      this.#counters.ruleGroupRules,
      this.#counters.ruleGroupInterval,
      this.#counters.ruleEvaluations,
      this.#counters.ruleEvaluationFailures,
      this.#counters.ruleEvaluationsCancelled,
      this.#counters.ruleTemplateFailures,
      this.#counters.ruleGroupIterations,
      this.#counters.ruleGroupIterationsMissed,
      this.#counters.ruleGroupLastDuration,
      this.#counters.ruleGroupLastEvaluation,
      this.#counters.ruleGroupLastSamples,
    ])
      each.remove(labels);
  }

  ruleEvaluated(
    group: RuleGroup,
    { tookMs, isBad, isCancelled }: { tookMs: number; isBad: boolean; isCancelled: boolean },
  ): void {
    const labels = labelsOf(group);
    this.#counters.ruleEvaluations.inc(labels);
    if (isBad) this.#counters.ruleEvaluationFailures.inc(labels);
    if (isCancelled) this.#counters.ruleEvaluationsCancelled.inc(labels);
    this.#counters.ruleEvaluationSeconds.observe(tookMs / 1000);
  }

  /** Templates of labels or annotations failed. */
  templatesFailed(group: RuleGroup, count: number): void {
    this.#counters.ruleTemplateFailures.inc(labelsOf(group), count);
  }

  /** A whole group was evaluated. */
  evaluated(
    group: RuleGroup,
    { timeMs, tookMs, written }: { timeMs: number; tookMs: number; written: number },
  ): void {
    const labels = labelsOf(group);
    this.#counters.ruleGroupIterations.inc(labels);
    this.#counters.ruleGroupLastEvaluation.set(labels, timeMs / 1000);
    this.#counters.ruleGroupLastDuration.set(labels, tookMs / 1000);
    this.#counters.ruleGroupLastSamples.set(labels, written);
  }

  /** Evaluations of a group were skipped. */
  missed(group: RuleGroup, count: number): void {
    const labels = labelsOf(group);
    this.#counters.ruleGroupIterationsMissed.inc(labels, count);
    this.#counters.ruleGroupIterations.inc(labels, count);
  }

  reloaded(nowMs: number): void {
    this.#counters.rulesReloadSuccessful.set(1);
    this.#counters.rulesReloadTime.set(nowMs / 1000);
  }

  reloadFailed(): void {
    this.#counters.rulesReloadSuccessful.set(0);
  }
}

function labelsOf({ file, name }: Pick<RuleGroup, "file" | "name">) {
  return { rule_group: `${file};${name}` };
}
