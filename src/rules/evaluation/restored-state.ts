/**
 * The states of rules after a restart, from `ALERTS` and `ALERTS_FOR_STATE` in the store.
 *
 * - After a short outage the states are as they were, as if only evaluations had been missed: alerts are pending since
 *   the same time, or fire. One that is gone is resolved by the next evaluation, and sent as resolved.
 * - After a longer one it is not known what happened meanwhile. Alerts begin anew, and those of rules with a long `for`
 *   get back the time that they were pending, as in Prometheus.
 */
import type { AlertingRule, GroupRule } from "../files/rule-group.ts";
import { type LabelValues, labelValuesKey, sortedLabelValues } from "../label-values.ts";
import { ALERTS, ALERTS_FOR_STATE } from "./rule-evaluation.ts";
import { type ActiveAlert, NEW_RULE_STATE, type RuleState } from "./rule-state.ts";

/** An alert as its last samples in the store say. */
export interface StoredAlert {
  /** With `alertname`. */
  readonly labels: LabelValues;
  /** The value of `ALERTS_FOR_STATE`, in milliseconds. */
  readonly activeAt: number;
  /** The time of the last sample. */
  readonly seenAt: number;
  readonly isFiring: boolean;
}

/** An outage up to which nothing but evaluations was missed: as long as queries find the samples before it. */
export const SHORT_OUTAGE_MS = 5 * 60_000;
/** Alerts that were seen longer ago than this are forgotten, as in Prometheus. */
export const OUTAGE_TOLERANCE_MS = 60 * 60_000;
/** An alert fires at the earliest this long after a restart, so that its expression has new samples. */
export const FOR_GRACE_MS = 10 * 60_000;

/** Whether a stored alert can be one of a rule: its name, and the labels that no template makes. */
export function belongsTo({ name, labelFields }: AlertingRule, { labels }: StoredAlert): boolean {
  if (labels.alertname !== name) return false;
  return labelFields.every(
    ({ name: label, source }) =>
      label === "alertname" || source.includes("{{") || (labels[label] ?? "") === source,
  );
}

/**
 * The state of a rule before its first evaluation after a start.
 *
 * @param stored the alerts of the rule
 * @param timeMs the time of that evaluation
 */
export function stateAfterStart(
  rule: GroupRule,
  stored: readonly StoredAlert[],
  timeMs: number,
  intervalMs: number,
): RuleState {
  if (rule.kind === "recording" || stored.length === 0) return NEW_RULE_STATE;
  const recent = stored.filter(({ seenAt }) => timeMs - seenAt <= SHORT_OUTAGE_MS);
  if (recent.length > 0) return continued(rule, recent, intervalMs);
  // Otherwise a short `for` only begins anew.
  return { ...NEW_RULE_STATE, isRestored: rule.forMs < FOR_GRACE_MS };
}

function continued(rule: AlertingRule, stored: readonly StoredAlert[], intervalMs: number): RuleState {
  const alerts = new Map<string, ActiveAlert>();
  const series = new Map<string, LabelValues>();
  for (const { labels, activeAt, seenAt, isFiring } of stored) {
    const state = isFiring ? "firing" : "pending";
    // Evaluations are an interval apart, so the first one after `for` is when it fired.
    const firedAt = Math.min(seenAt, activeAt + Math.ceil(rule.forMs / intervalMs) * intervalMs);
    alerts.set(labelValuesKey(labels), {
      state,
      labels,
      annotations: {},
      value: Number.NaN,
      activeAt,
      firedAt: isFiring ? firedAt : undefined,
      resolvedAt: undefined,
      keepFiringSince: undefined,
      lastSentAt: undefined,
    });
    for (const own of [
      { ...labels, __name__: ALERTS, alertstate: state },
      { ...labels, __name__: ALERTS_FOR_STATE },
    ])
      series.set(labelValuesKey(own), sortedLabelValues(own));
  }
  return { alerts, series, isRestored: true };
}

/**
 * The state of a rule after its second evaluation after a long outage. Alerts that were pending or firing before it get
 * that time back, but fire at the earliest after the grace period.
 */
export function restoredAfterOutage(
  { forMs }: AlertingRule,
  state: RuleState,
  stored: readonly StoredAlert[],
  timeMs: number,
): RuleState {
  const byLabels = new Map(stored.map((each) => [labelValuesKey(each.labels), each]));
  const alerts = new Map<string, ActiveAlert>();
  for (const [key, alert] of state.alerts) {
    const before = byLabels.get(key);
    alerts.set(
      key,
      before === undefined ? alert : { ...alert, activeAt: restoredActiveAt(before, forMs, timeMs) },
    );
  }
  return { ...state, alerts, isRestored: true };
}

function restoredActiveAt({ activeAt, seenAt }: StoredAlert, forMs: number, timeMs: number): number {
  const remainingMs = forMs - (seenAt - activeAt);
  // It fired before the outage, and fires again at the next evaluation.
  if (remainingMs <= 0) return activeAt;
  if (remainingMs < FOR_GRACE_MS) return timeMs + FOR_GRACE_MS - forMs;
  // The outage does not count as time in which it was pending.
  return activeAt + (timeMs - seenAt);
}
