/**
 * Inhibition: alerts are muted while others are firing (https://prometheus.io/docs/alerting/latest/configuration/#inhibition-related-settings).
 * As in Alertmanager, an alert that matches both sides of a rule is not inhibited by one that does too. Pure.
 */
import { type AlertTest, alertTest } from "../../model/alerts/alert-matcher.ts";
import type { InhibitRule } from "../../model/alerts/notifier.ts";
import { isResolved, type KnownAlert } from "./alert-book.ts";
import type { AlertLabels } from "./alert-labels.ts";

interface Rule {
  readonly isSource: AlertTest;
  readonly isTarget: AlertTest;
  readonly equal: readonly string[];
  /** The alerts that match the source, by their values of `equal`. */
  readonly sources: Map<string, Map<string, KnownAlert>>;
}

export class Inhibition {
  readonly #rules: readonly Rule[];

  constructor(rules: readonly InhibitRule[]) {
    this.#rules = rules.map(({ sourceMatchers, targetMatchers, equal }) => ({
      isSource: alertTest(sourceMatchers),
      isTarget: alertTest(targetMatchers),
      equal,
      sources: new Map(),
    }));
  }

  /** Notes a new state of an alert. */
  note(alert: KnownAlert): void {
    for (const { isSource, equal, sources } of this.#rules) {
      if (!isSource(alert.labels)) continue;
      sources
        .getOrInsertComputed(valuesOf(alert.labels, equal), () => new Map())
        .set(alert.fingerprint, alert);
    }
  }

  forget({ fingerprint, labels }: Pick<KnownAlert, "fingerprint" | "labels">): void {
    for (const { equal, sources } of this.#rules) {
      const values = valuesOf(labels, equal);
      const alerts = sources.get(values);
      alerts?.delete(fingerprint);
      if (alerts?.size === 0) sources.delete(values);
    }
  }

  /** The fingerprint of a firing alert that mutes alerts with these labels. Undefined if there is none. */
  inhibitorOf(labels: AlertLabels, nowMs: number): string | undefined {
    for (const { isSource, isTarget, equal, sources } of this.#rules) {
      if (!isTarget(labels)) continue;
      const isTwoSided = isSource(labels);
      for (const source of sources.get(valuesOf(labels, equal))?.values() ?? []) {
        if (isResolved(source, nowMs) || (isTwoSided && isTarget(source.labels))) continue;
        return source.fingerprint;
      }
    }
    return undefined;
  }
}

/** An absent label equals an empty one. */
function valuesOf(labels: AlertLabels, names: readonly string[]): string {
  return JSON.stringify(names.map((name) => (Object.hasOwn(labels, name) ? labels[name] : "")));
}
