/**
 * What destinations have received of a day is ranges of row ids. A deletion of samples renumbers the rows of a day, and makes
 * rows of blocks, so it changes these ranges in the same transaction.
 */
import type { ForwardedRows, OpenRange, RowRange } from "../../model/records.ts";
import { dateText } from "../../model/time.ts";
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";

/**
 * Renumbers the rows of a day in all records, for the rows in temp.main.deleted_rows. Rows that were in blocks until now are
 * noted as sent, since samples in blocks are not sent: they are the last ones. Call it inside the transaction that deletes
 * rows, before it does.
 *
 * @param rows how many rows the day has in its table: before that, without those from blocks, and after the deletion
 */
export async function renumberForwarded(
  writer: Connection,
  day: number,
  rows: { readonly before: number; readonly after: number },
): Promise<void> {
  const records = await writer.all<{ key: string; version: number; definition: string }>(
    statement("store/load_forwards_of_day"),
    [dateText(day)],
  );
  if (records.length === 0) return;
  const states = records.map((record) => ({
    ...record,
    rows: JSON.parse(record.definition) as ForwardedRows,
  }));
  const ranges = states.flatMap(({ rows: { sent, open = [] } }) => [...sent, ...open]);
  const bounds = [rows.before, ...ranges.map(([from]) => from), ...ranges.map(([, to]) => to)];
  const counted = await writer.all<{ bound: number; deleted: number }>(
    statement("store/count_deleted_before"),
    [bounds],
  );
  // Rows of this transaction have ids far behind all others, until they are committed.
  const deleted = new Map(counted.map((row) => [row.bound, row.deleted]));
  const renumbered = <Range extends RowRange | OpenRange>(ranges: readonly Range[]) =>
    ranges
      .map(
        ([from, to, ...key]) => [from - deleted.get(from)!, to - deleted.get(to)!, ...key] as never as Range,
      )
      .filter(([from, to]) => from < to);
  const unpacked: RowRange = [rows.before - deleted.get(rows.before)!, rows.after];
  for (const { key, version, rows } of states) {
    const { sent, open = [] } = rows;
    const next: ForwardedRows = {
      ...rows,
      sent: withLast(renumbered(sent), unpacked),
      open: renumbered(open),
    };
    await writer.run(statement("store/replace_forward"), [JSON.stringify(next), key, version]);
  }
}

/**
 * Whether all of these streams have the rows of a day before `rowEnd`, and no request with some of them is under way, by the stored
 * records. Streams that have received nothing have no record.
 */
export async function areReceived(
  writer: Connection,
  day: number,
  streams: readonly string[],
  rowEnd: number,
): Promise<boolean> {
  const records = await writer.all<{ key: string; definition: string }>(
    statement("store/load_forwards_of_day"),
    [dateText(day)],
  );
  const received = new Set(
    records
      .filter(({ definition }) => {
        const { sent, open = [] } = JSON.parse(definition) as ForwardedRows;
        return sent[0]?.[0] === 0 && sent[0][1] >= rowEnd && open.every(([from]) => from >= rowEnd);
      })
      .map(({ key }) => key),
  );
  return streams.every((stream) => received.has(`${stream}/${dateText(day)}`));
}

/**
 * Renumbers the rows of a day in all records, after `removed` of the rows before `rowEnd` have left its table. Records that do not
 * have all of these rows are of destinations that the settings do not have any more, and are deleted.
 */
export async function shiftForwarded(
  writer: Connection,
  day: number,
  rowEnd: number,
  removed: number,
): Promise<void> {
  const records = await writer.all<{ key: string; version: number; definition: string }>(
    statement("store/load_forwards_of_day"),
    [dateText(day)],
  );
  for (const { key, version, definition } of records) {
    const rows = JSON.parse(definition) as ForwardedRows;
    const { sent, open = [] } = rows;
    const isKept = sent[0]?.[0] === 0 && sent[0][1] >= rowEnd && open.every(([from]) => from >= rowEnd);
    const moved = (row: number) => Math.max(0, row - removed);
    const next: ForwardedRows = {
      ...rows,
      sent: sent.map(([from, to]) => [moved(from), moved(to)]),
      open: open.map(([from, to, ...rest]) => [moved(from), moved(to), ...rest] as never as OpenRange),
    };
    await writer.run(statement("store/replace_forward"), [
      isKept ? JSON.stringify(next) : null,
      key,
      version,
    ]);
  }
}

/** Ranges with one behind all of them. */
function withLast(ranges: readonly RowRange[], [from, to]: RowRange): readonly RowRange[] {
  if (from === to) return ranges;
  const last = ranges.at(-1);
  return last?.[1] === from ? [...ranges.slice(0, -1), [last[0], to]] : [...ranges, [from, to]];
}
