/** Writes records as rows of the file's small tables: everything but the samples. load-records.ts reads them. */
import type { LastPushRecord, TotalsSnapshot } from "../../model/records.ts";
import type { Labels } from "../../model/sample.ts";
import { type AppendCell, type Column, type DoubleColumn, TextBuilder } from "../engine/columns.ts";
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";
import type { Change, MetricRecord, SeriesDay, SeriesRecord } from "../store.ts";

const text = (value: string): AppendCell => ({ type: "varchar", value });
const timeMs = (value: number): AppendCell => ({ type: "timestampMs", value });
const count = (value: number): AppendCell => ({ type: "ubigint", value });
const date = (value: number | null): AppendCell => ({ type: "date", value });

/** Appends the records of a change. Call it inside the change's transaction. */
export async function write(connection: Connection, change: Change): Promise<void> {
  const append = async (table: string, rows: readonly (readonly AppendCell[])[] | undefined) => {
    if (rows !== undefined && rows.length > 0) await connection.append("weir", table, rows);
  };
  if (change.metrics !== undefined) await writeMetrics(connection, change.metrics);
  if (change.series !== undefined) await writeSeries(connection, change.series);
  if (change.seriesDays !== undefined) await writeSeriesDays(connection, change.seriesDays);
  await append(
    "pushes",
    change.pushes?.map((push) => [
      text(push.scope),
      text(push.key),
      text(push.bodyHash),
      timeMs(push.receivedAtMs),
      count(push.accepted),
      text(push.answer),
    ]),
  );
  for (const { file } of change.imports ?? []) await connection.run(statement("store/delete_import"), [file]);
  await append(
    "imports",
    change.imports?.map((record) => [
      text(record.file),
      count(record.byteOffset),
      text(record.lastLineHash),
      date(record.lastDay ?? null),
      timeMs(record.updatedAtMs),
      text(record.firstLineHash),
      text(record.identity),
    ]),
  );
  if (change.lastPushes !== undefined) await writeLastPushes(connection, change.lastPushes);
  if (change.scrapers !== undefined) await writeScrapers(connection, change.scrapers);
  await append(
    "demotions",
    change.demotions?.map(({ metric, label, decidedAtMs }) => [
      text(metric),
      text(label),
      timeMs(decidedAtMs),
    ]),
  );
}

/**
 * Of several records of one metric the last counts. Takes two statements in all, because there may be
 * thousands.
 */
async function writeMetrics(connection: Connection, metrics: readonly MetricRecord[]): Promise<void> {
  if (metrics.length === 0) return;
  const newest = new Map(metrics.map((metric) => [metric.name, metric]));
  await connection.runTexts(statement("store/delete_metrics"), [...newest.keys()]);
  const rows = Array.from(newest.values(), ({ name, kind, type, unit, help, buckets }) =>
    // The appender parses the bounds from their text.
    [name, kind, type, unit, help, JSON.stringify(buckets)].map(text),
  );
  await connection.append("weir", "metrics", rows);
}

/** Series whose columns are made at once: some 3 ms. */
const SERIES_AT_ONCE = 1_024;

async function writeSeries(connection: Connection, series: readonly SeriesRecord[]): Promise<void> {
  if (series.length === 0) return;
  const types = ["uinteger", "varchar", "varchar", "map", "boolean"] as const;
  await connection.appendColumns("weir", "series", types, segmentsOf(series));
}

function* segmentsOf(series: readonly SeriesRecord[]): Generator<ReturnType<typeof columnsOfSeries>> {
  for (let from = 0; from < series.length; from += SERIES_AT_ONCE)
    yield columnsOfSeries(series.slice(from, from + SERIES_AT_ONCE));
}

function columnsOfSeries(series: readonly SeriesRecord[]): { length: number; columns: Column[] } {
  const builder = new TextBuilder();
  const names = builder.column(series.map(({ metric }) => metric.name));
  const kinds = builder.column(series.map(({ metric }) => metric.kind));
  const labelNames: string[] = [];
  const labelValues: string[] = [];
  const first = new Uint32Array(series.length + 1);
  for (let row = 0; row < series.length; row++) {
    for (const [name, value] of series[row]!.labels) {
      labelNames.push(name);
      labelValues.push(value);
    }
    first[row + 1] = labelNames.length;
  }
  const keys = builder.column(labelNames);
  const values = builder.column(labelValues);
  const text = builder.text;
  return {
    length: series.length,
    columns: [
      { type: "uinteger", values: Uint32Array.from(series, ({ seriesId }) => seriesId) },
      { type: "varchar", strings: names, text },
      { type: "varchar", strings: kinds, text },
      { type: "map", first, keys, values, text },
      { type: "boolean", values: Uint8Array.from(series, ({ exposed }) => (exposed ? 1 : 0)) },
    ],
  };
}

async function writeSeriesDays(connection: Connection, seriesDays: readonly SeriesDay[]): Promise<void> {
  await connection.appendColumns(
    "weir",
    "series_days",
    ["uinteger", "date"],
    [
      {
        length: seriesDays.length,
        columns: [
          { type: "uinteger", values: Uint32Array.from(seriesDays, ({ seriesId }) => seriesId) },
          { type: "date", values: Int32Array.from(seriesDays, ({ day }) => day) },
        ],
      },
    ],
  );
}

async function writeLastPushes(connection: Connection, pushes: readonly LastPushRecord[]): Promise<void> {
  await connection.run(statement("store/delete_last_pushes"));
  await connection.append(
    "weir",
    "last_pushes",
    pushes.map(({ job, instance, pushedAtMs }) => [text(job), text(instance), timeMs(pushedAtMs)]),
  );
}

async function writeScrapers(connection: Connection, scrapers: readonly Labels[]): Promise<void> {
  await connection.run(statement("store/delete_scrapers"));
  const rows = scrapers.map((added, position) => [count(position), text(JSON.stringify([...added]))]);
  await connection.append("weir", "scrapers", rows);
}

/** Stores the column of each attribute. */
export async function writeAttributes(
  connection: Connection,
  columns: readonly { attribute: string; column: string }[],
): Promise<void> {
  await connection.append(
    "weir",
    "attributes",
    columns.map(({ attribute, column }) => [text(attribute), text(column)]),
  );
}

/** Writes a snapshot of the totals with its watermarks: the number of rows that it contains, by day. */
export async function writeTotals(
  connection: Connection,
  generation: number,
  totals: TotalsSnapshot,
  watermarks: ReadonlyMap<number, number>,
): Promise<void> {
  const { length, firstBucket, buckets } = totals;
  const double = (values: Float64Array): DoubleColumn => ({ type: "double", values });
  const { BYTES_PER_ELEMENT } = buckets;
  const strings = { offset: new Uint32Array(length), length: new Uint32Array(length) };
  for (let row = 0; row < length; row++) {
    strings.offset[row] = firstBucket[row]! * BYTES_PER_ELEMENT;
    strings.length[row] = (firstBucket[row + 1]! - firstBucket[row]!) * BYTES_PER_ELEMENT;
  }
  const text = new Uint8Array(buckets.buffer, buckets.byteOffset, buckets.byteLength);
  await connection.appendColumns(
    "weir",
    "totals",
    ["uinteger", "uinteger", "double", "double", "double", "double", "double", "double", "double", "blob"],
    [
      {
        length,
        columns: [
          { type: "uinteger", values: new Uint32Array(length).fill(generation) },
          { type: "uinteger", values: totals.seriesId },
          double(totals.count),
          double(totals.sumHigh),
          double(totals.sumLow),
          { ...double(totals.value), nulls: totals.noValue },
          double(totals.createdUs),
          double(totals.lastUs),
          double(totals.arrivedUs),
          { type: "blob", strings, text },
        ],
      },
    ],
  );
  await connection.append(
    "weir",
    "watermarks",
    [...watermarks].map(([day, rows]) => [count(generation), date(day), count(rows)]),
  );
  if (totals.whole) await connection.run(statement("store/delete_totals_before"), [generation]);
  await connection.run(statement("store/delete_watermarks_before"), [generation]);
}
