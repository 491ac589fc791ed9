/**
 * An entry of the journal: a change, as the payload of a record. The payload is the number of bytes of a JSON text (32
 * bits), the text, and the rows (journal-rows.ts). The text has all parts of the change but the rows, and says how many
 * rows there are.
 */
import type { ForwardRecord, GroupRecord, NotificationRecord } from "../../model/records.ts";
import type { Kind, Rows } from "../../model/sample.ts";
import type { Change, MetricRecord, PushRecord, RejectedRecord, SeriesDay, SeriesRecord } from "../store.ts";
import { ROW_GROUP_ROWS } from "../engine/engine-settings.ts";
import type { Payload } from "./journal-file.ts";
import { bytesOfShape, type RowsShape, readRows, shapeOf, writeRows } from "./journal-rows.ts";

/** The most rows of an entry. More are written to their tables at once. */
const ENTRY_ROWS_MAX = ROW_GROUP_ROWS;
/**
 * The most new series of an entry, and the most characters of its text. A transaction of its own costs less for as many
 * series, but commits behind it would wait for it.
 */
const SERIES_MAX = 4_096;
const TEXT_LENGTH_MAX = 1_048_576;
/** The most bytes of the rows of an entry. */
const ROWS_BYTES_MAX = 16 * 1_048_576;

/** The bytes of the log in an entry that says nothing of it: no log is shorter. */
export const UNKNOWN_LOG = -1;

/** The parts of a change that an entry supports. */
const PARTS: ReadonlySet<string> = new Set([
  "metrics",
  "series",
  "seriesDays",
  "rows",
  "pushes",
  "rejected",
  "groups",
  "notifications",
  "forwards",
] satisfies (keyof Change)[]);
/** Parts of a change that replace what was stored before. */
const REPLACING: ReadonlySet<string> = new Set(["lastPushes", "scrapers"]);

/** The parts of an entry beside its rows. They are kept until it is moved. */
export interface EntryParts {
  readonly metrics: readonly MetricRecord[];
  readonly series: readonly SeriesRecord[];
  readonly seriesDays: readonly SeriesDay[];
  readonly pushes: readonly PushRecord[];
  readonly rejected: readonly RejectedRecord[];
  readonly groups: readonly GroupRecord[];
  readonly notifications: readonly NotificationRecord[];
  readonly forwards: readonly ForwardRecord[];
}

export interface Entry {
  readonly parts: EntryParts;
  /** The text of the parts, without the closing brace. */
  readonly text: string;
  /** Rows of the change, none empty. They belong to the caller. */
  readonly rows: readonly Rows[];
}

/** Id, name and kind of the metric, labels, whether it is exposed. */
export type EntrySeries = readonly [number, string, Kind, readonly (readonly [string, string])[], boolean];

/** The JSON of an entry. Empty parts are left out. */
type EntryText = { readonly logBytes: number } & {
  readonly [Part in keyof Omit<EntryParts, "series">]?: EntryParts[Part];
} & {
  readonly series?: readonly EntrySeries[];
  readonly rows: readonly RowsShape[];
};

/** The entry for rows that continue another one. */
export function entryOfRows(rows: readonly Rows[]): Entry {
  return { parts: NO_PARTS, text: "{", rows };
}

const NO_PARTS: EntryParts = {
  metrics: [],
  series: [],
  seriesDays: [],
  pushes: [],
  rejected: [],
  groups: [],
  notifications: [],
  forwards: [],
};

/**
 * The entry of a change. Undefined if the change is too large, or has a part that entries do not support.
 *
 * @param isOpen whether a day has its table. A change that creates a table is not for the journal
 */
export function entryOf(change: Change, isOpen: (day: number) => boolean): Entry | undefined {
  let isAnything = false;
  for (const part in change) {
    const value = change[part as keyof Change];
    if (value === undefined) continue;
    // A list that replaces the stored one matters even if it is empty.
    if (Array.isArray(value) && value.length === 0 && !REPLACING.has(part)) continue;
    if (!PARTS.has(part)) return undefined;
    isAnything = true;
  }
  const { metrics = [], series = [], seriesDays = [], pushes = [], rejected = [] } = change;
  const { groups = [], notifications = [], forwards = [] } = change;
  if (!isAnything || series.length > SERIES_MAX || seriesDays.length > SERIES_MAX) return undefined;
  const rows = withoutEmpty(change.rows ?? []);
  let length = 0;
  for (const segment of rows) {
    length += segment.length;
    if (length > ENTRY_ROWS_MAX || !isOpen(segment.day)) return undefined;
  }
  const parts: EntryParts = {
    // A copy: the records may change before the entry is moved.
    metrics: metrics.map(({ name, kind, type, unit, help, buckets }) => ({
      name,
      kind,
      type,
      unit,
      help,
      buckets,
    })),
    series,
    seriesDays,
    pushes,
    rejected,
    groups,
    notifications,
    forwards,
  };
  const text = textOf(parts);
  return text.length > TEXT_LENGTH_MAX ? undefined : { parts, text, rows };
}

function withoutEmpty(rows: readonly Rows[]): readonly Rows[] {
  for (const { length } of rows) if (length === 0) return rows.filter((each) => each.length > 0);
  return rows;
}

function textOf(parts: EntryParts): string {
  let text = "{";
  for (const name in parts) {
    const part = name as keyof EntryParts;
    const records = parts[part];
    if (records.length === 0) continue;
    const written = part === "series" ? parts.series.map(textOfSeries) : records;
    text += `${text.length > 1 ? "," : ""}"${part}":${JSON.stringify(written)}`;
  }
  return text;
}

function textOfSeries({ seriesId, metric, labels, exposed }: SeriesRecord): EntrySeries {
  return [seriesId, metric.name, metric.kind, [...labels], exposed];
}

export function seriesOf([seriesId, name, kind, labels, exposed]: EntrySeries): SeriesRecord {
  return { seriesId, metric: { name, kind }, labels: new Map(labels), exposed };
}

/**
 * The payload of an entry. Undefined if it would have too many bytes.
 *
 * @param logBytes of the engine's log when the entry is made, or `UNKNOWN_LOG`
 */
export function payloadOf({ text, rows }: Entry, logBytes: number): Payload | undefined {
  const shapes = rows.map(shapeOf);
  const rowsBytes = shapes.reduce((sum, shape) => sum + bytesOfShape(shape), 0);
  if (rowsBytes > ROWS_BYTES_MAX) return undefined;
  const whole = `${text}${text.length > 1 ? "," : ""}"logBytes":${logBytes},"rows":${JSON.stringify(shapes)}}`;
  const textBytes = Buffer.byteLength(whole);
  return {
    bytes: TEXT_AT + textBytes + rowsBytes,
    write(target, at) {
      target.writeUInt32LE(textBytes, at);
      target.write(whole, at + TEXT_AT);
      let end = at + TEXT_AT + textBytes;
      for (const each of rows) end = writeRows(each, target, end);
    },
  };
}

const TEXT_AT = 4;

/** What the journal keeps of an entry that it has read. */
export interface ReadEntry {
  readonly parts: EntryParts;
  readonly rows: readonly Rows[];
  /** Bytes of the engine's log when the entry was made, or `UNKNOWN_LOG`. */
  readonly logBytes: number;
}

/** The entry of a payload. */
export function readEntry(payload: Buffer): ReadEntry {
  let at = TEXT_AT + payload.readUInt32LE(0);
  const {
    logBytes,
    rows: shapes,
    series = [],
    ...parts
  } = JSON.parse(payload.toString("utf8", TEXT_AT, at)) as EntryText;
  const rows = shapes.map((shape) => {
    const read = readRows(shape, payload, at);
    at = read.end;
    return read.rows;
  });
  return { parts: { ...NO_PARTS, ...parts, series: series.map(seriesOf) }, rows, logBytes };
}
