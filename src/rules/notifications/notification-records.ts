/**
 * What notifications keep in the store, as JSON by key: alerts, silences, and the log of sent notifications. A record that
 * cannot be read is reported, and the others are restored.
 */
import type { NotificationRecord } from "../../model/records.ts";
import type { KnownAlert } from "./alert-book.ts";
import type { SentEntry } from "./sent-log.ts";
import type { Silence } from "./silences.ts";

/** A log entry with what it belongs to. */
export type StoredSent = SentEntry & { readonly notifier: string; readonly group: string };

export const alertKey = (fingerprint: string) => `alert/${fingerprint}`;
export const silenceKey = (id: string) => `silence/${id}`;
export const sentKey = (notifier: string, group: string) => `sent/${notifier}/${group}`;

export const alertRecord = (alert: KnownAlert) => JSON.stringify(alert);
export const silenceRecord = (silence: Silence) => JSON.stringify(silence);
export const sentRecord = (entry: StoredSent) => JSON.stringify(entry);

export interface RestoredRecords {
  readonly alerts: readonly KnownAlert[];
  readonly silences: readonly Silence[];
  readonly sent: readonly StoredSent[];
  /** Keys of records that cannot be read. */
  readonly unreadable: readonly string[];
}

export function readRecords(records: readonly NotificationRecord[]): RestoredRecords {
  const alerts: KnownAlert[] = [];
  const silences: Silence[] = [];
  const sent: StoredSent[] = [];
  const unreadable: string[] = [];
  for (const { key, definition } of records) {
    if (definition === null) continue;
    const value = parse(definition);
    if (key.startsWith("alert/") && isAlert(value)) alerts.push(value);
    else if (key.startsWith("silence/") && isSilence(value)) silences.push(value);
    else if (key.startsWith("sent/") && isSent(value)) sent.push(value);
    else unreadable.push(key);
  }
  return { alerts, silences, sent, unreadable };
}

type Fields = Readonly<Record<string, unknown>>;

function parse(text: string): Fields {
  try {
    return JSON.parse(text) as Fields;
  } catch {
    return {};
  }
}

function isAlert(value: Fields): value is Fields & KnownAlert {
  const { labels, annotations, startsAt, endsAt, updatedAt, fingerprint } = value;
  return (
    [labels, annotations].every(isTable) &&
    [startsAt, endsAt, updatedAt].every(Number.isFinite) &&
    isText(fingerprint)
  );
}

function isSilence(value: Fields): value is Fields & Silence {
  const { id, matchers, startsAt, endsAt, comment } = value;
  return (
    isText(id) && Array.isArray(matchers) && [startsAt, endsAt].every(Number.isFinite) && isText(comment)
  );
}

function isSent(value: Fields): value is Fields & StoredSent {
  const { notifier, group, sentAtMs, firing, resolved } = value;
  return (
    isText(notifier) && isText(group) && Number.isFinite(sentAtMs) && [firing, resolved].every(Array.isArray)
  );
}

function isTable(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}
