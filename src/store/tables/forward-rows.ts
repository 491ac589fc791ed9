/**
 * What destinations have received of a day is ranges of row ids. A deletion of samples renumbers the rows of a day, so it
 * changes these ranges in the same transaction.
 */
import type { ForwardedRows, OpenRange, RowRange } from "../../model/records.ts";
import { dateText } from "../../model/time.ts";
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";

/**
 * Renumbers the rows of a day in all records, for the rows in temp.main.deleted_rows. Call it inside the transaction that
 * deletes them.
 */
export async function renumberForwarded(writer: Connection, day: number): Promise<void> {
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
  const bounds = [...ranges.map(([from]) => from), ...ranges.map(([, to]) => to)];
  const counted = await writer.all<{ bound: number; deleted: number }>(
    statement("store/count_deleted_before"),
    [bounds],
  );
  const deleted = new Map(counted.map((row) => [row.bound, row.deleted]));
  const renumbered = <Range extends RowRange | OpenRange>(ranges: readonly Range[]) =>
    ranges
      .map(
        ([from, to, ...key]) => [from - deleted.get(from)!, to - deleted.get(to)!, ...key] as never as Range,
      )
      .filter(([from, to]) => from < to);
  for (const { key, version, rows } of states) {
    const { sent, open = [] } = rows;
    const next: ForwardedRows = { ...rows, sent: renumbered(sent), open: renumbered(open) };
    await writer.run(statement("store/replace_forward"), [JSON.stringify(next), key, version]);
  }
}
