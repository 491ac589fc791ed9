/**
 * What a rule remembers from one evaluation to the next. States are values: an evaluation returns a new one, and a rule
 * whose evaluation fails keeps its state.
 */
import type { LabelValues } from "../label-values.ts";

export type AlertState = "inactive" | "pending" | "firing";

/** An alert that a rule knows. Times are milliseconds since the epoch. */
export interface ActiveAlert {
  readonly state: AlertState;
  /** With `alertname`. */
  readonly labels: LabelValues;
  readonly annotations: LabelValues;
  /** The value of its expression in the last evaluation that found it. */
  readonly value: number;
  /** The evaluation that found it first. */
  readonly activeAt: number;
  readonly firedAt: number | undefined;
  /** Set if it fired and does not any more. Such an alert is inactive, and is kept for 15 minutes. */
  readonly resolvedAt: number | undefined;
  /** Since when it fires only because of `keep_firing_for`. */
  readonly keepFiringSince: number | undefined;
  readonly lastSentAt: number | undefined;
}

export interface RuleState {
  /** By labelValuesKey of their labels. Empty for recording rules. */
  readonly alerts: ReadonlyMap<string, ActiveAlert>;
  /** The series that the last evaluation wrote, with `__name__`, by labelValuesKey. */
  readonly series: ReadonlyMap<string, LabelValues>;
  /**
   * False while an alerting rule may still find its earlier state in the store. It writes no `ALERTS` until then, because
   * they would replace that state.
   */
  readonly isRestored: boolean;
}

/** A sample that a rule writes. */
export interface RuleSample {
  /** With `__name__`, without empty values. */
  readonly labels: LabelValues;
  readonly timeMs: number;
  readonly value: number;
  /** Whether it is a stale marker: its series ends. */
  readonly isStale: boolean;
}

/** The state of a rule that was never evaluated. */
export const NEW_RULE_STATE: RuleState = { alerts: new Map(), series: new Map(), isRestored: true };
