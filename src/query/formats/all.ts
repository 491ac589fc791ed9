/** All formats of a query's answer, by name. */
import { csv } from "./csv.ts";
import type { Format, FormatName } from "./format.ts";
import { json, ndjson } from "./json.ts";
import { lines } from "./lines.ts";
import { type ParquetOptions, parquetFormat } from "./parquet.ts";
import { table } from "./table.ts";

export type Formats = Readonly<Record<FormatName, Format>>;

export function createFormats(options: ParquetOptions): Formats {
  return { json, ndjson, csv, table, lines, parquet: parquetFormat(options) };
}
