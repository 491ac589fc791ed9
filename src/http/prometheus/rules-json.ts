/**
 * Rules and alerts as Prometheus's API returns them
 * (https://prometheus.io/docs/prometheus/latest/querying/api/#rules).
 */
import { nodeCrypto } from "../../program/deferred-libraries.ts";
import { formatFloat } from "../../query/promql/promql-text.ts";
import type { ActiveAlert, AlertState, RuleState } from "../../rules/evaluation/rule-state.ts";
import type { GroupRule, RuleGroup } from "../../rules/files/rule-group.ts";
import { type LabelValues, sortedLabelValues } from "../../rules/label-values.ts";
import type { RuleHealth } from "../../rules/running/rule-group-loop.ts";

/** A rule group that runs. */
export interface ListedGroup {
  readonly group: RuleGroup;
  readonly intervalMs: number;
  /** By index of the rule. */
  readonly states: readonly RuleState[];
  readonly healths: readonly RuleHealth[];
  readonly last: { readonly evaluatedAtMs: number | undefined; readonly tookMs: number };
}

/** Go's zero time. */
const NEVER = "0001-01-01T00:00:00Z";
const STATES: readonly AlertState[] = ["inactive", "pending", "firing"];

export function groupJson({ group, intervalMs, last }: ListedGroup, rules: readonly unknown[]): unknown {
  return {
    name: group.name,
    file: group.file,
    rules,
    interval: intervalMs / 1000,
    limit: group.limit,
    evaluationTime: last.tookMs / 1000,
    lastEvaluation: timeText(last.evaluatedAtMs),
  };
}

/** @param alerts those that are listed; undefined if none is to be listed */
export function ruleJson(
  rule: GroupRule,
  { health, lastError, evaluatedAtMs, tookMs }: RuleHealth,
  state: AlertState,
  alerts: readonly ActiveAlert[] | undefined,
): unknown {
  const labels = sortedLabelValues(rule.labels);
  const evaluation = {
    health,
    ...(lastError === "" ? {} : { lastError }),
    evaluationTime: tookMs / 1000,
    lastEvaluation: timeText(evaluatedAtMs),
  };
  if (rule.kind === "recording") {
    return {
      name: rule.name,
      query: rule.question.text,
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...evaluation,
      type: "recording",
    };
  }
  return {
    state,
    name: rule.name,
    query: rule.question.text,
    duration: rule.forMs / 1000,
    keepFiringFor: rule.keepFiringForMs / 1000,
    labels,
    annotations: sortedLabelValues(rule.annotations),
    alerts: alerts?.map(alertJson) ?? null,
    ...evaluation,
    type: "alerting",
  };
}

export function alertJson({
  labels,
  annotations,
  state,
  activeAt,
  keepFiringSince,
  value,
}: ActiveAlert): unknown {
  return {
    labels,
    annotations: sortedLabelValues(annotations),
    state,
    activeAt: timeText(activeAt),
    ...(keepFiringSince === undefined ? {} : { keepFiringSince: timeText(keepFiringSince) }),
    value: exponentText(value),
  };
}

/** The alerts of a rule that are pending or firing, and have some labels. */
export function activeAlerts({ alerts }: RuleState, labels: LabelValues = {}): ActiveAlert[] {
  return [...alerts.values()].filter(
    (alert) =>
      alert.state !== "inactive" &&
      Object.entries(labels).every(([name, value]) => alert.labels[name] === value),
  );
}

/** The most serious state of some alerts. */
export function worstState(alerts: readonly ActiveAlert[]): AlertState {
  return STATES[Math.max(0, ...alerts.map(({ state }) => STATES.indexOf(state)))]!;
}

/** The token of the page that begins with a group. */
export function groupToken({ file, name }: RuleGroup): string {
  return nodeCrypto().createHash("sha1").update(`${file};${name}`).digest("hex");
}

function timeText(timeMs: number | undefined): string {
  return timeMs === undefined ? NEVER : new Date(timeMs).toISOString().replace(/\.?0*Z$/, "Z");
}

/** As Go's format 'e': `1.5e+00`. */
function exponentText(value: number): string {
  if (!Number.isFinite(value)) return formatFloat(value);
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}
