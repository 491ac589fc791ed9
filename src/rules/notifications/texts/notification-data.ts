/**
 * What a notification says: the data of Alertmanager's templates and of its webhooks
 * (https://prometheus.io/docs/alerting/latest/notifications/#data). Pure.
 */
import { sortedLabels, sortedNames } from "../alert-labels.ts";
import type { DueNotification, NotifiedAlert } from "../notification-core.ts";

/** Names with texts, in ascending order of the names. */
export type Texts = Readonly<Record<string, string>>;

export interface AlertData {
  readonly status: "firing" | "resolved";
  readonly labels: Texts;
  readonly annotations: Texts;
  /** ms since the epoch. */
  readonly startsAt: number;
  /** ms since the epoch. Undefined while the alert is firing. */
  readonly endsAt: number | undefined;
  readonly generatorURL: string;
  readonly fingerprint: string;
}

export interface NotificationData {
  readonly receiver: string;
  readonly status: "firing" | "resolved";
  readonly alerts: readonly AlertData[];
  readonly groupLabels: Texts;
  readonly commonLabels: Texts;
  readonly commonAnnotations: Texts;
  readonly externalURL: string;
  readonly groupKey: string;
}

/** @param externalURL the address of the gateway, for links */
export function notificationData(due: DueNotification, externalURL: string): NotificationData {
  const { alerts, group, notifier } = due;
  return {
    receiver: notifier.name,
    status: alerts.some(({ isFiring }) => isFiring) ? "firing" : "resolved",
    alerts: alerts.map(alertData),
    groupLabels: sortedLabels(group.labels),
    commonLabels: common(alerts.map(({ labels }) => labels)),
    commonAnnotations: common(alerts.map(({ annotations }) => annotations)),
    externalURL,
    groupKey: group.key,
  };
}

function alertData(alert: NotifiedAlert): AlertData {
  const { labels, annotations, startsAt, endsAt, generatorURL, fingerprint, isFiring } = alert;
  return {
    status: isFiring ? "firing" : "resolved",
    labels: sortedLabels(labels),
    annotations: sortedLabels(annotations),
    startsAt,
    endsAt: isFiring ? undefined : endsAt,
    generatorURL,
    fingerprint,
  };
}

/** The names that all have with the same text. */
function common([first = {}, ...others]: readonly Texts[]): Texts {
  const names = sortedNames(first).filter((name) => others.every((other) => other[name] === first[name]));
  return Object.fromEntries(names.map((name) => [name, first[name]!]));
}

/** A time as Go writes it in JSON. The zero time stands for no time. */
export function goTimeText(ms: number | undefined): string {
  if (ms === undefined) return "0001-01-01T00:00:00Z";
  return new Date(ms).toISOString().replace(/\.?0*Z$/, "Z");
}

/** The version of the format of webhooks. */
const WEBHOOK_VERSION = "4";

/**
 * The body of Alertmanager's webhooks, version 4 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config).
 *
 * @param alertsMax the most alerts. 0 is no limit
 */
export function webhookBody(data: NotificationData, alertsMax: number) {
  const { alerts, groupKey, ...rest } = data;
  const shown = alertsMax > 0 ? alerts.slice(0, alertsMax) : alerts;
  return {
    receiver: rest.receiver,
    status: rest.status,
    alerts: shown.map((alert) => ({
      ...alert,
      startsAt: goTimeText(alert.startsAt),
      endsAt: goTimeText(alert.endsAt),
    })),
    groupLabels: rest.groupLabels,
    commonLabels: rest.commonLabels,
    commonAnnotations: rest.commonAnnotations,
    externalURL: rest.externalURL,
    version: WEBHOOK_VERSION,
    groupKey,
    truncatedAlerts: alerts.length - shown.length,
  };
}
