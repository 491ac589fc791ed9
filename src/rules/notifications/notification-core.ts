/**
 * What notifications decide, without clocks, timers and requests: which alerts are known, which are muted, which groups
 * are due, and whether a group must be sent. It behaves as Alertmanager 0.25 does (dispatch, notify, inhibit, silence).
 *
 * The caller stores the changes that must survive a kill (`takeChanges`), then sends what `takeDue` has returned, and says
 * how that ended.
 */
import type { Notifier } from "../../model/alerts/notifier.ts";
import type { InhibitRule } from "../../model/alerts/notifier.ts";
import type { NotificationRecord } from "../../model/records.ts";
import type { Alert } from "../alert.ts";
import { AlertBook, isResolved, type KnownAlert } from "./alert-book.ts";
import { type AlertGroup, AlertGroups } from "./alert-groups.ts";
import { type AlertLabels, compareLabels } from "./alert-labels.ts";
import { AlertmanagerQueue } from "./alertmanager-queue.ts";
import { Inhibition } from "./inhibition.ts";
import {
  alertKey,
  alertRecord,
  readRecords,
  sentKey,
  sentRecord,
  silenceKey,
  silenceRecord,
} from "./notification-records.ts";
import { attemptedEntry, type GroupState, mustSend, SENT_KEPT_MS, type SentEntry } from "./sent-log.ts";
import { Silences, type WantedSilence } from "./silences.ts";

/** As many as a thousand rules with 50 alerts each. One takes some 1 KB. */
const ALERTS_MAX = 50_000;
/** The shortest time limit of a delivery, also with a shorter group_interval: as in Alertmanager. */
const DELIVERY_MS_MIN = 10_000;

/** An alert in a notification: with its state as of the notification, and the end if that is known. */
export interface NotifiedAlert extends Alert {
  readonly fingerprint: string;
  readonly isFiring: boolean;
}

/** A notification that must be sent. */
export interface DueNotification {
  readonly group: AlertGroup;
  readonly notifier: Notifier;
  readonly alerts: readonly NotifiedAlert[];
  /** How long it may take. Later, the group is due again. */
  readonly deadlineMs: number;
  /** For `delivered` and `failed`. */
  readonly flight: {
    readonly state: GroupState;
    readonly members: readonly KnownAlert[];
    readonly asOfMs: number;
  };
}

/** What mutes an alert. */
export interface Muting {
  readonly silencedBy: readonly string[];
  readonly inhibitedBy: readonly string[];
}

export interface CoreSettings {
  readonly notifiers: readonly Notifier[];
  readonly inhibitRules: readonly InhibitRule[];
}

export class NotificationCore {
  readonly silences = new Silences();
  readonly groups: AlertGroups;
  /** By the name of the notifier. */
  readonly queues: ReadonlyMap<string, AlertmanagerQueue>;
  readonly #book = new AlertBook();
  readonly #inhibition: Inhibition;
  readonly #sent = new Map<string, SentEntry & { readonly notifier: string; readonly group: string }>();
  readonly #changes = new Map<string, string | null>();

  constructor({ notifiers, inhibitRules }: CoreSettings) {
    this.groups = new AlertGroups(notifiers);
    this.#inhibition = new Inhibition(inhibitRules);
    const toAlertmanager = notifiers.filter(({ target }) => target.type === "alertmanager");
    this.queues = new Map(toAlertmanager.map(({ name }) => [name, new AlertmanagerQueue()]));
  }

  /** Restores what an earlier process stored. Returns the keys of records that cannot be read. */
  restore(records: readonly NotificationRecord[], nowMs: number): readonly string[] {
    const { alerts, silences, sent, unreadable } = readRecords(records);
    for (const silence of silences) this.silences.restore(silence);
    for (const entry of sent) this.#sent.set(sentKey(entry.notifier, entry.group), entry);
    const restored = alerts.map((alert) => this.#book.restore(alert, nowMs));
    for (const alert of restored) {
      this.#inhibition.note(alert);
      this.groups.insert(
        alert,
        nowMs,
        ({ notifier, key }) => this.#sent.get(sentKey(notifier.name, key))?.sentAtMs || undefined,
      );
      this.#enqueue(alert);
    }
    return unreadable;
  }

  /** Takes alerts. Returns how many were dropped, because there are too many. */
  receive(alerts: readonly (Alert & { readonly isTimeout?: boolean })[], nowMs: number): number {
    let dropped = 0;
    for (const sent of alerts) {
      if (this.#book.size >= ALERTS_MAX && !this.#book.knows(sent.labels)) {
        dropped++;
        continue;
      }
      const { alert, isNews } = this.#book.put(sent, nowMs);
      if (isNews) this.#changes.set(alertKey(alert.fingerprint), alertRecord(alert));
      this.#inhibition.note(alert);
      this.groups.insert(alert, nowMs);
      if (!this.#enqueue(alert)) dropped++;
    }
    return dropped;
  }

  #enqueue(alert: KnownAlert): boolean {
    let isKept = true;
    for (const { name } of this.groups.notifiersOf(alert.labels))
      if (this.queues.get(name)?.add(alert) === false) isKept = false;
    return isKept;
  }

  /** The notifications that are due. Groups that need none are done at once. */
  takeDue(nowMs: number): DueNotification[] {
    const due: DueNotification[] = [];
    for (const group of this.groups.takeDue(nowMs)) {
      const notification = this.#notificationOf(group, nowMs);
      if (notification !== undefined) due.push(notification);
    }
    return due;
  }

  #notificationOf(group: AlertGroup, nowMs: number): DueNotification | undefined {
    const { notifier } = group;
    const members = group.alerts();
    const heard = members.filter(({ fingerprint, labels }) => !this.#isMuted(fingerprint, labels, nowMs));
    const firing = heard.filter((alert) => !isResolved(alert, nowMs));
    const resolved = heard.filter((alert) => isResolved(alert, nowMs));
    // Before it is sent: a kill after that must not begin the alert anew.
    for (const { fingerprint } of resolved) this.#noteEnd(fingerprint, nowMs);
    const state: GroupState = { firing: fingerprints(firing), resolved: fingerprints(resolved) };
    const flight = { state, members, asOfMs: nowMs };
    const before = this.#sent.get(sentKey(notifier.name, group.key));
    if (heard.length === 0 || !mustSend(before, state, notifier, nowMs)) {
      this.groups.finish(group, members, nowMs);
      return undefined;
    }
    const { sendResolved } = notifier;
    const sent = sendResolved ? heard : firing;
    if (sent.length === 0) {
      // The log notes that the alerts are not firing any more.
      this.#noteSent(group, state, nowMs);
      this.groups.finish(group, members, nowMs);
      return undefined;
    }
    const alerts = sent
      .map((alert) => ({ ...alert, isFiring: !isResolved(alert, nowMs) }))
      .sort((a, b) => compareLabels(a.labels, b.labels));
    this.#note(group, attemptedEntry(before, state, nowMs));
    const deadlineMs = Math.max(notifier.groupIntervalMs, DELIVERY_MS_MIN);
    return { group, notifier, alerts, deadlineMs, flight };
  }

  #noteEnd(fingerprint: string, nowMs: number): void {
    const ended = this.#book.noteEnd(fingerprint, nowMs);
    if (ended !== undefined) this.#changes.set(alertKey(fingerprint), alertRecord(ended));
  }

  /** A notification was sent. */
  delivered({ group, flight }: DueNotification, nowMs: number): void {
    this.#noteSent(group, flight.state, nowMs);
    this.groups.finish(group, flight.members, flight.asOfMs);
  }

  /** A notification could not be sent within its time, or never can be. The group is due again. */
  failed({ group }: DueNotification): void {
    this.groups.finish(group, [], 0);
  }

  #noteSent(group: AlertGroup, state: GroupState, nowMs: number): void {
    this.#note(group, { ...state, sentAtMs: nowMs });
  }

  #note({ notifier, key }: AlertGroup, sent: SentEntry): void {
    const entry = { ...sent, notifier: notifier.name, group: key };
    const name = sentKey(notifier.name, key);
    this.#sent.set(name, entry);
    this.#changes.set(name, sentRecord(entry));
  }

  #isMuted(fingerprint: string, labels: AlertLabels, nowMs: number): boolean {
    return (
      this.#inhibition.inhibitorOf(labels, nowMs) !== undefined ||
      this.silences.mutersOf(fingerprint, labels, nowMs).length > 0
    );
  }

  /** What mutes an alert now. */
  mutingOf({ fingerprint, labels }: KnownAlert, nowMs: number): Muting {
    const inhibitor = this.#inhibition.inhibitorOf(labels, nowMs);
    return {
      silencedBy: this.silences.mutersOf(fingerprint, labels, nowMs),
      inhibitedBy: inhibitor === undefined ? [] : [inhibitor],
    };
  }

  /** The alerts that are firing, by fingerprint. */
  firing(nowMs: number): KnownAlert[] {
    return [...this.#book.all()]
      .filter((alert) => !isResolved(alert, nowMs))
      .sort((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1));
  }

  /** Adds or changes a silence. Returns its id. Throws as `Silences.set` does. */
  setSilence(wanted: WantedSilence, nowMs: number): string {
    const changed = this.silences.set(wanted, nowMs);
    for (const silence of changed) this.#changes.set(silenceKey(silence.id), silenceRecord(silence));
    return changed.at(-1)!.id;
  }

  /** Ends a silence. Throws as `Silences.expire` does. */
  expireSilence(id: string, nowMs: number): void {
    this.#changes.set(silenceKey(id), silenceRecord(this.silences.expire(id, nowMs)));
  }

  /** Forgets what is over. The caller does this every 30 seconds, as Alertmanager does. */
  prune(nowMs: number): void {
    this.groups.prune();
    // Those that no notification has: muted ones, and those for an Alertmanager.
    for (const { fingerprint } of this.#book.all()) this.#noteEnd(fingerprint, nowMs);
    const isNeeded = (fingerprint: string) =>
      this.groups.has(fingerprint) || this.queues.values().some((queue) => queue.has(fingerprint));
    for (const alert of this.#book.prune(nowMs, isNeeded)) {
      this.#inhibition.forget(alert);
      this.silences.forget(alert.fingerprint);
      this.#changes.set(alertKey(alert.fingerprint), null);
    }
    for (const id of this.silences.prune(nowMs)) this.#changes.set(silenceKey(id), null);
    for (const [name, { sentAtMs, attemptedAtMs = 0, notifier, group }] of this.#sent) {
      if (Math.max(sentAtMs, attemptedAtMs) > nowMs - SENT_KEPT_MS || this.groups.hasGroup(notifier, group))
        continue;
      this.#sent.delete(name);
      this.#changes.set(name, null);
    }
  }

  /** The changes since the last call that must survive a kill. */
  takeChanges(): NotificationRecord[] {
    const changes = Array.from(this.#changes, ([key, definition]) => ({ key, definition }));
    this.#changes.clear();
    return changes;
  }

  /** Changes that could not be stored. Newer ones of the same records count. */
  returnChanges(changes: readonly NotificationRecord[]): void {
    for (const { key, definition } of changes)
      if (!this.#changes.has(key)) this.#changes.set(key, definition);
  }
}

function fingerprints(alerts: readonly KnownAlert[]): string[] {
  return alerts.map(({ fingerprint }) => fingerprint);
}
