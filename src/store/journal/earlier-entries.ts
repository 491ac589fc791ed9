/** Reads the entries of a journal of format 1, which earlier versions wrote: all in JSON, with the columns in base64. */
import type { Rows } from "../../model/sample.ts";
import { TextBuilder } from "../engine/columns.ts";
import { type EntryParts, type EntrySeries, type ReadEntry, seriesOf } from "./entry.ts";

/** The JSON of an entry. */
type EntryText = Omit<EntryParts, "series" | "notifications" | "forwards"> & {
  /** Bytes of the engine's log when the first entry was made. Absent in others. */
  readonly logBytes?: number;
  readonly series: readonly EntrySeries[];
  readonly rows: readonly RowsText[];
};

interface RowsText {
  readonly day: number;
  readonly length: number;
  /** Times, values, series and flags (1 stale, 2 live), one column after the other, in base64. */
  readonly columns: string;
  /** An attribute's name, and its values by row. A row without it has "". The first versions have no attributes. */
  readonly attributes?: readonly (readonly [string, readonly string[]])[];
}

/** The entry of a payload. */
export function readEarlierEntry(payload: Buffer): ReadEntry {
  const { rows, series, logBytes = 0, ...parts } = JSON.parse(payload.toString("utf8")) as EntryText;
  return {
    parts: { ...parts, series: series.map(seriesOf), notifications: [], forwards: [] },
    rows: rows.map(rowsOf),
    logBytes,
  };
}

function rowsOf({ day, length, columns, attributes = [] }: RowsText): Rows {
  const { buffer } = Uint8Array.from(Buffer.from(columns, "base64"));
  const flags = new Uint8Array(buffer, length * 20, length);
  const builder = new TextBuilder();
  const read = attributes.map(([name, values]) => ({ name, ...builder.column(values) }));
  return {
    day,
    length,
    timestampUs: new Float64Array(buffer, 0, length),
    value: new Float64Array(buffer, length * 8, length),
    seriesId: new Uint32Array(buffer, length * 16, length),
    stale: flags.map((flag) => flag & 1),
    live: flags.map((flag) => flag >> 1),
    attributes: read,
    text: builder.text,
  };
}
