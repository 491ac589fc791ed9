/**
 * The alerts that one Alertmanager has not got yet. Of several states of an alert, the newest counts. Alertmanager groups,
 * silences and repeats, so each state is sent once, as Prometheus does. Pure.
 */
import type { KnownAlert } from "./alert-book.ts";

/** As in Prometheus: the most alerts of a request, and the most that wait. */
const BATCH_MAX = 64;
const WAITING_MAX = 10_000;

export class AlertmanagerQueue {
  readonly #waiting = new Map<string, KnownAlert>();

  get size(): number {
    return this.#waiting.size;
  }

  has(fingerprint: string): boolean {
    return this.#waiting.has(fingerprint);
  }

  /** Adds a state of an alert. Returns false if the oldest alert was dropped for it. */
  add(alert: KnownAlert): boolean {
    // A new state goes to the end, so that an alert that changes often does not delay others.
    this.#waiting.delete(alert.fingerprint);
    this.#waiting.set(alert.fingerprint, alert);
    if (this.#waiting.size <= WAITING_MAX) return true;
    this.#waiting.delete(this.#waiting.keys().next().value!);
    return false;
  }

  /** The alerts of the next request. They wait until `sent`. */
  batch(): readonly KnownAlert[] {
    return this.#waiting.values().take(BATCH_MAX).toArray();
  }

  /** Removes the alerts of a request, unless they have changed since. */
  sent(batch: readonly KnownAlert[]): void {
    for (const alert of batch)
      if (this.#waiting.get(alert.fingerprint) === alert) this.#waiting.delete(alert.fingerprint);
  }
}
