/**
 * The alerts that are known, by fingerprint: as Alertmanager keeps them (provider/mem), with its rule for two alerts with
 * equal labels whose times overlap. Pure: times are arguments.
 */
import type { Alert } from "../alert.ts";
import { type AlertLabels, fingerprintOf } from "./alert-labels.ts";

/** An alert with what is known of it. Times are ms since the epoch. */
export interface KnownAlert extends Alert {
  readonly fingerprint: string;
  readonly updatedAt: number;
  /** Whether the sender gave no end, so that the end is only a time limit. */
  readonly isTimeout: boolean;
}

/** How long an alert without an end is firing if it is not sent again: Alertmanager's `resolve_timeout`. */
export const RESOLVE_TIMEOUT_MS = 300_000;
/** How long a resolved alert is kept, as long as Prometheus sends it again. */
const RESOLVED_KEPT_MS = 900_000;
/**
 * After a start, an alert that was firing goes on for as long as its sender lets it, but at most this long: four times the
 * longest interval of rules that is usual.
 */
const RESTORED_MS_MAX = 5 * 3_600_000;

export function isResolved({ endsAt }: Pick<Alert, "endsAt">, nowMs: number): boolean {
  return endsAt <= nowMs;
}

export class AlertBook {
  readonly #alerts = new Map<string, KnownAlert>();

  get size(): number {
    return this.#alerts.size;
  }

  /** Whether an alert with these labels is known. */
  knows(labels: AlertLabels): boolean {
    return this.#alerts.has(fingerprintOf(labels));
  }

  all(): IterableIterator<KnownAlert> {
    return this.#alerts.values();
  }

  /**
   * Adds an alert, or merges it with the one that has its labels.
   *
   * @returns the alert, and whether it must be stored: whether its beginning or its state differ from what was known
   */
  put(sent: Alert & { readonly isTimeout?: boolean }, nowMs: number): { alert: KnownAlert; isNews: boolean } {
    const fingerprint = fingerprintOf(sent.labels);
    const before = this.#alerts.get(fingerprint);
    const { labels, annotations, startsAt, endsAt, generatorURL, isTimeout = false } = sent;
    const now: KnownAlert = {
      ...{ labels, annotations, startsAt, endsAt, generatorURL },
      ...{ fingerprint, updatedAt: nowMs, isTimeout },
    };
    const alert = before !== undefined && overlap(before, now) ? merged(before, now, nowMs) : now;
    this.#alerts.set(fingerprint, alert);
    const isNews =
      before === undefined ||
      before.startsAt !== alert.startsAt ||
      isResolved(before, nowMs) !== isResolved(alert, nowMs) ||
      // One that ended by itself is stored as firing.
      (isResolved(alert, nowMs) && before.endsAt > before.updatedAt);
    return { alert, isNews };
  }

  /** Adds an alert that an earlier process stored. Nobody could send it again while no process ran. */
  restore(alert: KnownAlert, nowMs: number): KnownAlert {
    const restored = isResolved(alert, alert.updatedAt)
      ? alert
      : {
          ...alert,
          endsAt: Math.max(alert.endsAt, nowMs + Math.min(alert.endsAt - alert.updatedAt, RESTORED_MS_MAX)),
        };
    this.#alerts.set(alert.fingerprint, restored);
    return restored;
  }

  /**
   * Notes that an alert ended because nobody sent it again. It is stored as firing, and would fire again after a start.
   *
   * @returns the alert, to be stored. Undefined if it did not end by itself, or if that was noted
   */
  noteEnd(fingerprint: string, nowMs: number): KnownAlert | undefined {
    const alert = this.#alerts.get(fingerprint);
    if (alert === undefined || !isResolved(alert, nowMs) || isResolved(alert, alert.updatedAt))
      return undefined;
    const ended = { ...alert, updatedAt: nowMs };
    this.#alerts.set(fingerprint, ended);
    return ended;
  }

  /** Removes the alerts that ended long ago and that nothing needs, and returns them. */
  prune(nowMs: number, isNeeded: (fingerprint: string) => boolean): KnownAlert[] {
    const gone = [...this.#alerts.values()].filter(
      ({ endsAt, fingerprint }) => endsAt <= nowMs - RESOLVED_KEPT_MS && !isNeeded(fingerprint),
    );
    for (const { fingerprint } of gone) this.#alerts.delete(fingerprint);
    return gone;
  }
}

function overlap(before: KnownAlert, now: KnownAlert): boolean {
  return (
    (now.endsAt > before.startsAt && now.endsAt < before.endsAt) ||
    (now.startsAt > before.startsAt && now.startsAt < before.endsAt)
  );
}

/** The newer alert, with the earliest beginning, and the end that counts. */
function merged(before: KnownAlert, now: KnownAlert, nowMs: number): KnownAlert {
  const startsAt = Math.min(before.startsAt, now.startsAt);
  const isBeforeLater = before.endsAt > now.endsAt;
  const isBeforeTaken = isResolved(now, nowMs)
    ? isResolved(before, nowMs) && isBeforeLater
    : isBeforeLater && !before.isTimeout;
  return { ...now, startsAt, endsAt: isBeforeTaken ? before.endsAt : now.endsAt };
}
