/**
 * Deletes series and metrics that have no rows left, and samples that an administrator asks to delete. Such a
 * deletion writes the table of each day again, because day tables are append-only and watermarks count their
 * rows. All of it runs inside a transaction that also stores a whole snapshot of the totals.
 */
import { MICROSECONDS_PER_DAY } from "../../model/sample.ts";
import { dateText } from "../../model/time.ts";
import type { Connection } from "../engine/duckdb.ts";
import { faultOf } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import type { Day, Deletion, Ended, Store } from "../store.ts";
import { renumberForwarded } from "./forward-rows.ts";

/** Deletes series and metrics. Call it inside a transaction. */
export async function deleteSeries(writer: Connection, { seriesIds, metrics }: Ended): Promise<void> {
  await writer.run(statement("store/empty_ended_series"));
  const columns = [{ type: "uinteger" as const, values: Uint32Array.from(seriesIds) }];
  await writer.appendColumns("main", "ended_series", ["uinteger"], [{ columns, length: seriesIds.length }]);
  await writer.run(statement("store/delete_ended_series"));
  if (metrics.length > 0) await writer.runTexts(statement("store/delete_metrics"), metrics);
}

/** What a day lost. */
export interface DeletedRows {
  readonly rows: number;
  /** Samples that were in blocks and are rows now, or deleted. */
  readonly unpacked: number;
}

/**
 * Rewrites the days with deleted rows, and deletes exemplars. Blocks with samples in the range become rows first. Returns what
 * each day lost.
 */
export async function deleteRows(
  writer: Connection,
  days: readonly Day[],
  { seriesIds, fromUs, toUs }: Deletion,
): Promise<Map<number, DeletedRows>> {
  const deleted = new Map<number, DeletedRows>();
  await writer.run(statement("store/create_deleted_rows"));
  for (const { day, table, packed } of days) {
    const range = partOf(day, fromUs, toUs);
    if (range === undefined) continue;
    const before = await countRows(writer, table);
    if (packed > 0) await unpack(writer, day, table, { ...range, seriesIds });
    const unpacked = packed === 0 ? 0 : (await countRows(writer, table)) - before;
    if (unpacked > 0) deleted.set(day, { rows: 0, unpacked });
    await writer.run(statement("store/empty_deleted_rows"));
    await writer.run(statement("store/find_deleted_rows", { table }), { ...range, seriesIds });
    const [count] = await writer.all<{ rows: number }>(statement("store/count_deleted_rows"));
    if (count!.rows === 0 && unpacked === 0) continue;
    await writer.run(statement("store/mark_archive_changed"), [dateText(day)]);
    await renumberForwarded(writer, day, { before, after: before + unpacked - count!.rows });
    if (count!.rows === 0) continue;
    await writer.run(statement("store/rewrite_day", { table }));
    deleted.set(day, { rows: count!.rows, unpacked });
  }
  await writer.run(statement("store/empty_deleted_rows"));
  if (days.length > 0) {
    const first = days[0]!.day * MICROSECONDS_PER_DAY;
    const last = (days.at(-1)!.day + 1) * MICROSECONDS_PER_DAY - 1;
    const range = { fromUs: Math.max(fromUs, first), toUs: Math.min(toUs, last) };
    await writer.run(statement("store/delete_exemplars"), { ...range, seriesIds });
  }
  return deleted;
}

/** Makes rows of the blocks that have samples in the range, behind the other rows. */
async function unpack(
  writer: Connection,
  day: number,
  table: string,
  range: { readonly fromUs: number; readonly toUs: number; readonly seriesIds: readonly number[] },
): Promise<void> {
  await writer.run(statement("store/unpack_deleted", { table }), { ...range, day });
  await writer.run(statement("store/delete_unpacked"), { ...range, day });
}

async function countRows(writer: Connection, table: string): Promise<number> {
  const [count] = await writer.all<{ rows: number }>(statement("store/count_rows", { table }));
  return count!.rows;
}

/** Counts the samples of each series that a deletion would delete. */
export async function countSamples(
  store: Pick<Store, "reader" | "days">,
  { seriesIds, fromUs, toUs }: Deletion,
): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  const reader = await store.reader();
  try {
    for (const { day, table } of store.days()) {
      const range = partOf(day, fromUs, toUs);
      if (range === undefined) continue;
      const rows = await reader
        .all<{ series_id: number; samples: number }>(statement("store/count_samples", { table }), {
          ...range,
          seriesIds,
          day,
        })
        .catch((error) => {
          // Retention dropped the day meanwhile, so there is nothing left to delete.
          if (faultOf(error) === "day dropped") return [];
          throw error;
        });
      for (const { series_id, samples } of rows)
        counts.set(series_id, (counts.get(series_id) ?? 0) + samples);
    }
  } finally {
    reader.close();
  }
  return counts;
}

/** The part of a range of time in a day. Undefined if there is none. */
function partOf(day: number, fromUs: number, toUs: number): { fromUs: number; toUs: number } | undefined {
  const range = {
    fromUs: Math.max(fromUs, day * MICROSECONDS_PER_DAY),
    toUs: Math.min(toUs, (day + 1) * MICROSECONDS_PER_DAY - 1),
  };
  return range.fromUs > range.toUs ? undefined : range;
}
