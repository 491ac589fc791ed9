/**
 * Groups of alerts and when each is due, as Alertmanager's dispatcher has them: a new group waits `group_wait`, and is due
 * every `group_interval` after that. An alert goes to each notifier whose matchers match, in the order of the settings, up
 * to one that does not continue. Pure: times are arguments.
 */
import { type AlertTest, alertTest, formatAlertMatcher } from "../../model/alerts/alert-matcher.ts";
import type { Notifier } from "../../model/alerts/notifier.ts";
import { isResolved, type KnownAlert } from "./alert-book.ts";
import { type AlertLabels, labelsText, sortedNames } from "./alert-labels.ts";

/** The alerts of a notifier that have the same values of its `group_by`. */
export interface AlertGroup {
  readonly notifier: Notifier;
  /** As for a route below the root in Alertmanager: `{}/{severity="critical"}:{alertname="Hot"}`. */
  readonly key: string;
  readonly labels: AlertLabels;
  alerts(): readonly KnownAlert[];
}

class Group implements AlertGroup {
  readonly notifier: Notifier;
  readonly key: string;
  readonly labels: AlertLabels;
  readonly members = new Map<string, KnownAlert>();
  dueMs: number;
  hasFlushed = false;
  isInFlight = false;

  constructor(notifier: Notifier, key: string, labels: AlertLabels, dueMs: number) {
    this.notifier = notifier;
    this.key = key;
    this.labels = labels;
    this.dueMs = dueMs;
  }

  alerts(): readonly KnownAlert[] {
    return [...this.members.values()];
  }
}

/** A notifier with its matchers compiled. */
interface Route {
  readonly notifier: Notifier;
  readonly matches: AlertTest;
  readonly groups: Map<string, Group>;
}

export class AlertGroups {
  readonly #routes: readonly Route[];
  /** By fingerprint: how many groups have the alert. */
  readonly #uses = new Map<string, number>();

  constructor(notifiers: readonly Notifier[]) {
    this.#routes = notifiers.map((notifier) => ({
      notifier,
      matches: alertTest(notifier.matchers),
      groups: new Map(),
    }));
  }

  /** The notifiers that get alerts with these labels. */
  notifiersOf(labels: AlertLabels): Notifier[] {
    return this.#routesOf(labels).map(({ notifier }) => notifier);
  }

  #routesOf(labels: AlertLabels): Route[] {
    const found: Route[] = [];
    for (const route of this.#routes) {
      if (!route.matches(labels)) continue;
      found.push(route);
      if (!route.notifier.continues) break;
    }
    return found;
  }

  /**
   * Adds an alert, or its new state, to its groups.
   *
   * @param sentAtMs when a group was last sent by an earlier process, at a start
   */
  insert(
    alert: KnownAlert,
    nowMs: number,
    sentAtMs: (group: Pick<AlertGroup, "notifier" | "key">) => number | undefined = () => undefined,
  ): void {
    for (const { notifier, groups } of this.#routesOf(alert.labels)) {
      // An Alertmanager gets each alert by itself, and groups them.
      if (notifier.target.type === "alertmanager") continue;
      const labels = groupLabels(notifier, alert.labels);
      const key = groupKey(notifier, labels);
      let group = groups.get(key);
      if (group === undefined) {
        group = new Group(notifier, key, labels, nowMs + notifier.groupWaitMs);
        groups.set(key, group);
        const sent = sentAtMs(group);
        if (sent !== undefined) {
          group.hasFlushed = true;
          group.dueMs = Math.max(nowMs, sent + notifier.groupIntervalMs);
        }
      }
      if (!group.members.has(alert.fingerprint)) this.#use(alert.fingerprint, 1);
      group.members.set(alert.fingerprint, alert);
      // The wait of this alert is over already.
      if (!group.hasFlushed && alert.startsAt + notifier.groupWaitMs < nowMs) group.dueMs = nowMs;
    }
  }

  /** When the next group is due. Undefined if there is none. */
  nextMs(): number | undefined {
    let next: number | undefined;
    for (const group of this.#all())
      if (!group.isInFlight && group.dueMs < (next ?? Number.POSITIVE_INFINITY)) next = group.dueMs;
    return next;
  }

  /** The groups that are due. Each is in flight until `finish`. */
  takeDue(nowMs: number): AlertGroup[] {
    const due = [...this.#all()].filter(({ isInFlight, dueMs }) => !isInFlight && dueMs <= nowMs);
    for (const group of due) {
      group.isInFlight = true;
      group.hasFlushed = true;
      group.dueMs = nowMs + group.notifier.groupIntervalMs;
    }
    return due;
  }

  /**
   * Ends a flight.
   *
   * @param done the alerts that need no further notification if they are resolved. One that has changed meanwhile stays
   */
  finish(flown: AlertGroup, done: readonly KnownAlert[], asOfMs: number): void {
    const group = flown as Group;
    group.isInFlight = false;
    for (const alert of done) {
      const { fingerprint } = alert;
      if (!isResolved(alert, asOfMs) || group.members.get(fingerprint) !== alert) continue;
      group.members.delete(fingerprint);
      this.#use(fingerprint, -1);
    }
  }

  /** Removes empty groups: the next alert of such a group waits `group_wait` again. */
  prune(): void {
    for (const { groups } of this.#routes)
      for (const [key, { members, isInFlight }] of groups)
        if (members.size === 0 && !isInFlight) groups.delete(key);
  }

  /** Whether an alert is in a group. */
  has(fingerprint: string): boolean {
    return this.#uses.has(fingerprint);
  }

  hasGroup(notifier: string, key: string): boolean {
    return this.#routes.some((route) => route.notifier.name === notifier && route.groups.has(key));
  }

  all(): readonly AlertGroup[] {
    return [...this.#all()];
  }

  *#all(): Generator<Group, void> {
    for (const { groups } of this.#routes) yield* groups.values();
  }

  #use(fingerprint: string, change: number): void {
    const uses = (this.#uses.get(fingerprint) ?? 0) + change;
    if (uses === 0) this.#uses.delete(fingerprint);
    else this.#uses.set(fingerprint, uses);
  }
}

function groupLabels({ groupBy }: Notifier, labels: AlertLabels): AlertLabels {
  const names = sortedNames(labels).filter((name) => groupBy === "all" || groupBy.includes(name));
  return Object.fromEntries(names.map((name) => [name, labels[name]!]));
}

function groupKey({ matchers }: Notifier, labels: AlertLabels): string {
  return `{}/{${matchers.map(formatAlertMatcher).sort().join(",")}}:${labelsText(labels)}`;
}
