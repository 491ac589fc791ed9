/** The core of notifications under a clock that the test moves: what is sent when. */
import { parseAlertMatchers } from "../../../src/model/alerts/alert-matcher.ts";
import type { InhibitRule, Notifier } from "../../../src/model/alerts/notifier.ts";
import type { NotificationRecord } from "../../../src/model/records.ts";
import {
  type DueNotification,
  NotificationCore,
} from "../../../src/rules/notifications/notification-core.ts";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** 2024-10-04 12:00 UTC. */
export const NOON = Date.UTC(2024, 9, 4, 12);

export function notifier(settings: Partial<Notifier> = {}, matchers = ""): Notifier {
  return {
    name: "n",
    matchers: parseAlertMatchers(matchers),
    continues: true,
    groupBy: ["alertname"],
    groupWaitMs: 30 * SECOND,
    groupIntervalMs: 5 * MINUTE,
    repeatIntervalMs: 4 * HOUR,
    sendResolved: true,
    timeoutMs: 10 * SECOND,
    target: { type: "webhook", url: { text: "http://127.0.0.1:1/" }, maxAlerts: 0 },
    ...settings,
  };
}

export const inhibit = (source: string, target: string, equal: readonly string[] = []): InhibitRule => ({
  sourceMatchers: parseAlertMatchers(source),
  targetMatchers: parseAlertMatchers(target),
  equal,
});

/** Labels as text: `Hot instance=a` is `{alertname: "Hot", instance: "a"}`. */
export function labelsOf(text: string): Record<string, string> {
  const [alertname = "", ...rest] = text.split(" ");
  return { alertname, ...Object.fromEntries(rest.map((pair) => pair.split("=") as [string, string])) };
}

export class Simulation {
  core: NotificationCore;
  readonly notifiers: readonly Notifier[];
  readonly inhibitRules: readonly InhibitRule[];
  /** Seconds since noon, the notifier, and the alerts: `Hot a` is firing, `-Hot a` is resolved. */
  readonly sent: [atSeconds: number, notifier: string, alerts: string[]][] = [];
  nowMs = NOON;
  /** The records as a store has them. */
  readonly stored = new Map<string, string>();
  /** Whether receivers take notifications. */
  isUp = true;
  /** The alerts that are sent again each minute, as rules do. */
  readonly active = new Map<string, { labels: Record<string, string>; startsAt: number }>();
  #resend: { text: string; endsAt: number; until: number; startsAt: number }[] = [];

  constructor(notifiers: readonly Notifier[], inhibitRules: readonly InhibitRule[] = []) {
    this.notifiers = notifiers;
    this.inhibitRules = inhibitRules;
    this.core = new NotificationCore({ notifiers, inhibitRules });
  }

  get seconds(): number {
    return (this.nowMs - NOON) / SECOND;
  }

  /** An alert begins, and is sent again each minute until it is resolved. */
  fire(text: string): void {
    this.active.set(text, { labels: labelsOf(text), startsAt: this.nowMs });
    this.#send(text);
  }

  resolve(text: string): void {
    const { startsAt } = this.active.get(text)!;
    this.active.delete(text);
    this.#resend.push({ text, endsAt: this.nowMs, until: this.nowMs + 15 * MINUTE, startsAt });
    this.#sendResolved();
  }

  /** The sender of an alert is gone, so nobody sends it again. */
  abandon(text: string): void {
    this.active.delete(text);
  }

  #send(text: string): void {
    const { labels, startsAt } = this.active.get(text)!;
    const alert = { labels, startsAt, annotations: {}, generatorURL: "", endsAt: this.nowMs + 4 * MINUTE };
    this.core.receive([alert], this.nowMs);
  }

  #sendResolved(): void {
    this.#resend = this.#resend.filter(({ until }) => until > this.nowMs);
    for (const { text, endsAt, startsAt } of this.#resend) {
      const alert = { labels: labelsOf(text), startsAt, annotations: {}, generatorURL: "", endsAt };
      this.core.receive([alert], this.nowMs);
    }
  }

  /** Moves the clock in steps of a second. */
  run(durationMs: number): void {
    for (const end = this.nowMs + durationMs; this.nowMs < end; ) {
      this.#step();
      this.nowMs += SECOND;
    }
    this.#step();
  }

  #step(): void {
    if (this.seconds % 60 === 0) {
      for (const text of this.active.keys()) this.#send(text);
      this.#sendResolved();
    }
    if (this.seconds % 30 === 0) this.core.prune(this.nowMs);
    for (const due of this.core.takeDue(this.nowMs)) this.#deliver(due);
    this.keep();
  }

  #deliver(due: DueNotification): void {
    if (!this.isUp) {
      this.core.failed(due);
      return;
    }
    const alerts = due.alerts.map(({ labels: { alertname, ...rest }, isFiring }) =>
      [`${isFiring ? "" : "-"}${alertname}`, ...Object.values(rest)].join(" "),
    );
    this.sent.push([this.seconds, due.notifier.name, alerts]);
    this.core.delivered(due, this.nowMs);
  }

  /** Stores the changes. */
  keep(): void {
    for (const { key, definition } of this.core.takeChanges()) {
      if (definition === null) this.stored.delete(key);
      else this.stored.set(key, definition);
    }
  }

  /** The process is killed, and starts again at once from its records. */
  kill(): void {
    this.core = new NotificationCore({ notifiers: this.notifiers, inhibitRules: this.inhibitRules });
    const records: NotificationRecord[] = Array.from(this.stored, ([key, definition]) => ({
      key,
      definition,
    }));
    if (this.core.restore(records, this.nowMs).length > 0) throw new Error("a record cannot be read");
  }

  /** What was sent since the last call. */
  take(): [number, string, string[]][] {
    return this.sent.splice(0);
  }
}
