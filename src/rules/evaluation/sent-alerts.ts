/** Which alerts of a rule are sent after an evaluation, and what is sent of them. The rules are those of Prometheus. */
import type { Alert } from "../alert.ts";
import type { LabelValues } from "../label-values.ts";
import type { ActiveAlert, RuleState } from "./rule-state.ts";

interface SendTerms {
  readonly timeMs: number;
  readonly intervalMs: number;
  /** An alert that still fires, or was resolved, is sent again after this time. */
  readonly resendDelayMs: number;
  readonly externalLabels: LabelValues;
  /** The address of a page with the rule's expression. */
  readonly generatorURL: string;
}

/** How many sends may fail before a receiver takes a firing alert for resolved. */
const SENDS_PER_END = 4;

/** The alerts to send, and the state after they were sent. */
export function sendableAlerts(
  state: RuleState,
  terms: SendTerms,
): { readonly alerts: readonly Alert[]; readonly sent: RuleState } {
  const { timeMs, intervalMs, resendDelayMs, externalLabels, generatorURL } = terms;
  const alerts: Alert[] = [];
  const sent = new Map<string, ActiveAlert>(state.alerts);
  for (const [key, alert] of state.alerts) {
    if (!isDue(alert, timeMs, resendDelayMs)) continue;
    sent.set(key, { ...alert, lastSentAt: timeMs });
    alerts.push({
      labels: { ...externalLabels, ...alert.labels },
      annotations: alert.annotations,
      startsAt: alert.firedAt ?? alert.activeAt,
      endsAt: alert.resolvedAt ?? timeMs + SENDS_PER_END * Math.max(resendDelayMs, intervalMs),
      generatorURL,
    });
  }
  return { alerts, sent: alerts.length === 0 ? state : { ...state, alerts: sent } };
}

function isDue(
  { state, resolvedAt, lastSentAt }: ActiveAlert,
  timeMs: number,
  resendDelayMs: number,
): boolean {
  if (state === "pending") return false;
  if (lastSentAt === undefined || (resolvedAt !== undefined && resolvedAt > lastSentAt)) return true;
  return lastSentAt + resendDelayMs < timeMs;
}
