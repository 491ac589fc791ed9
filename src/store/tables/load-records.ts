/** Reads the file's small tables when it is opened: everything but the samples. store-records.ts writes them. */
import { compactMapOf } from "../../model/memory/compact-map.ts";
import type { TotalsRecord } from "../../model/records.ts";
import type { Labels, MetricType } from "../../model/sample.ts";
import type { Connection } from "../engine/duckdb.ts";
import { jsonRows, statement } from "../statements.ts";
import type { SeriesDay, Stored, StoredSeries } from "../store.ts";
import { idAfter, storedList } from "../start-file/stored-list.ts";
import type { StoredTables } from "./stored-tables.ts";

export interface LoadedRecords {
  readonly stored: Omit<Stored, "groups" | "notifications" | "forwards" | "archives">;
  readonly generation: number;
  readonly watermarks: Map<number, number>;
}

/**
 * Reads all records.
 *
 * @param totals if they are known. They are read otherwise
 */
export async function loadRecords(
  connection: Connection,
  tables: StoredTables,
  totals?: readonly TotalsRecord[],
): Promise<LoadedRecords> {
  const rows = async <Row extends Record<string, unknown>>(name: string) =>
    tables.isEmpty(name) ? [] : await connection.all<Row>(statement(`store/load_${name}`));
  const parts = await readParts(connection, tables.rows <= UNGROUPED_ROWS_MAX);
  const metrics = parts.metrics.map(([name, kind, type, unit, help, buckets]) => ({
    ...{ name, kind, type, unit, help, buckets },
  }));
  const ids = idRanges(parts.lastSeriesId[0]);
  const series = await loadSeries(connection, ids);
  const seriesDays = tables.isEmpty("series_days") ? [] : await loadSeriesDays(connection);
  const stored: LoadedRecords["stored"] = {
    ...{ metrics: storedList(metrics), series: storedList(series), seriesDays: storedList(seriesDays) },
    nextSeriesId: idAfter(series, seriesDays),
    demotions: (await rows<{ metric: string; label: string; decided_at_ms: number }>("demotions")).map(
      (row) => ({
        metric: row.metric,
        label: row.label,
        decidedAtMs: row.decided_at_ms,
      }),
    ),
    pushes: storedList(
      parts.pushes
        .map(([scope, key, bodyHash, receivedAtMs, accepted, answer]) => ({
          ...{ scope, key, bodyHash, receivedAtMs, accepted, answer },
        }))
        .sort((a, b) => a.receivedAtMs - b.receivedAtMs),
    ),
    imports: (
      await rows<{
        file: string;
        byte_offset: number;
        last_line_hash: string;
        last_day: number | null;
        updated_at_ms: number;
        first_line_hash: string;
        identity: string;
      }>("imports")
    ).map((row) => ({
      file: row.file,
      byteOffset: row.byte_offset,
      lastLineHash: row.last_line_hash,
      lastDay: row.last_day ?? undefined,
      updatedAtMs: row.updated_at_ms,
      firstLineHash: row.first_line_hash,
      identity: row.identity,
    })),
    lastPushes: parts.lastPushes
      .map(([job, instance, pushedAtMs]) => ({ job, instance, pushedAtMs }))
      .sort((a, b) => a.pushedAtMs - b.pushedAtMs),
    bodyHashSeed: parts.bodyHashSeed[0]!,
    scrapers: (await rows<{ added: string }>("scrapers")).map(
      ({ added }) => new Map(JSON.parse(added) as [string, string][]),
    ),
    totals: storedList(
      totals ??
        (tables.isEmpty("totals")
          ? []
          : await loadTotals(connection, metrics.some(({ kind }) => kind === "observation") ? ids : [])),
    ),
  };
  return {
    stored,
    generation: parts.generation[0]!,
    watermarks: new Map(parts.watermarks),
  };
}

/** What sql/store/load_records.sql returns, by its part. */
interface RecordParts {
  readonly watermarks: [day: number, rows: number][];
  readonly generation: number[];
  readonly metrics: [string, kind: string, MetricType, unit: string, help: string, buckets: number[]][];
  readonly pushes: [string, string, string, receivedAtMs: number, accepted: number, answer: string][];
  readonly lastPushes: [job: string, instance: string, pushedAtMs: number][];
  readonly bodyHashSeed: string[];
  readonly lastSeriesId: number[];
}

/** Rows of all tables with which the texts of a part are joined to one. Groups of 4,096 rows take twice the time of a few rows. */
const UNGROUPED_ROWS_MAX = 20_000;
const GROUPS = "GROUP BY rowid // 4096\n";

async function readParts(connection: Connection, areFew: boolean): Promise<RecordParts> {
  const parts: RecordParts = {
    ...{ watermarks: [], generation: [], metrics: [], pushes: [] },
    ...{ lastPushes: [], bodyHashSeed: [], lastSeriesId: [] },
  };
  const sql = statement("store/load_records");
  const texts = await connection.all<{ part: keyof RecordParts; rows: string | null }>(
    areFew ? sql.replaceAll(GROUPS, "") : sql,
  );
  for (const { part, rows } of texts) {
    if (rows === null) continue;
    const values: unknown[] = parts[part];
    for (const value of JSON.parse(`[${rows}]`) as unknown[]) values.push(value);
  }
  return parts;
}

/**
 * Series whose texts the engine makes at once: 2 MB with labels of 250 characters. With all texts of a million series it would need
 * more memory than it has.
 */
const IDS_AT_ONCE = 8_192;

type IdRange = Readonly<{ fromId: number; toId: number }>;

/** The ids of all series, in parts: from one, and up to but without another. */
function idRanges(lastId = -1): readonly IdRange[] {
  const parts = Math.ceil((lastId + 1) / IDS_AT_ONCE);
  return Array.from({ length: parts }, (_, at) => ({
    fromId: at * IDS_AT_ONCE,
    toId: (at + 1) * IDS_AT_ONCE,
  }));
}

/** Labels are in ascending order of names. Equal texts of values are kept once. */
async function loadSeries(connection: Connection, ids: readonly IdRange[]): Promise<StoredSeries[]> {
  const texts = new Map<string, string>();
  const textOf = (text: string) => texts.getOrInsert(text, text);
  const found: StoredSeries[] = [];
  for (const range of ids) {
    const rows = await jsonRows<
      [seriesId: number, metric: string, exposed: boolean, names: string[], values: string[]]
    >(connection, statement("store/load_series"), range);
    rows.sort(([a], [b]) => a - b);
    for (const [seriesId, metric, exposed, names, values] of rows)
      found.push({ seriesId, metric, exposed, labels: labelsOf(names, values, textOf) });
  }
  return found;
}

function labelsOf(names: string[], values: string[], textOf: (text: string) => string): Labels {
  for (let at = 0; at < values.length; at++) values[at] = textOf(values[at]!);
  for (let at = 1; at < names.length; at++) {
    if (names[at - 1]! < names[at]!) continue;
    // Senders of some protocols choose the order.
    const sorted = names.map((name, place) => [name, values[place]!] as const);
    sorted.sort(([a], [b]) => (a < b ? -1 : 1));
    return compactMapOf(
      sorted.map(([name]) => name),
      sorted.map(([, value]) => value),
    );
  }
  return compactMapOf(names, values);
}

async function loadSeriesDays(connection: Connection): Promise<SeriesDay[]> {
  const found: SeriesDay[] = [];
  await connection.scan(statement("store/load_series_days"), [], 0, ([ids, days], length) => {
    for (let row = 0; row < length; row++) found.push({ seriesId: ids![row]!, day: days![row]! });
  });
  return found;
}

const VALUE = 4;
const NO_BUCKETS = new Float64Array(0);

async function loadTotals(connection: Connection, idsOfBuckets: readonly IdRange[]): Promise<TotalsRecord[]> {
  const buckets = await loadBuckets(connection, idsOfBuckets);
  const totals: TotalsRecord[] = [];
  await connection.scan(statement("store/load_totals"), [], VALUE, (columns, length, isNull) => {
    const [seriesIds, count, sumHigh, sumLow, value, createdUs, lastUs, arrivedUs] = columns;
    for (let row = 0; row < length; row++) {
      const seriesId = seriesIds![row]!;
      totals.push({
        seriesId,
        count: count![row]!,
        sumHigh: sumHigh![row]!,
        sumLow: sumLow![row]!,
        value: isNull(row) ? null : value![row]!,
        createdUs: createdUs![row]!,
        lastUs: lastUs![row]!,
        arrivedUs: arrivedUs![row]!,
        buckets: buckets.get(seriesId) ?? NO_BUCKETS,
      });
    }
  });
  return totals;
}

async function loadBuckets(
  connection: Connection,
  ids: readonly IdRange[],
): Promise<Map<number, Float64Array>> {
  const found = new Map<number, Float64Array>();
  for (const range of ids) {
    const texts = await connection.all<{ rows: string; buckets: string }>(
      statement("store/load_totals_buckets"),
      range,
    );
    for (const { rows, buckets } of texts) {
      const all = new Float64Array(Uint8Array.fromHex(buckets).buffer);
      let from = 0;
      for (const [seriesId, length] of JSON.parse(`[${rows}]`) as [number, number][]) {
        found.set(seriesId, all.subarray(from, from + length));
        from += length;
      }
    }
  }
  return found;
}
