/** Names of the day tables and of their attribute columns. */
import { DAY_MS } from "../../model/duration.ts";
import { dateText } from "../../model/time.ts";

/** The table of a day: 19723 → `samples_20240101`. */
export function dayTable(day: number): string {
  return `samples_${dateText(day).replaceAll("-", "")}`;
}

/** The day that a table's name stands for, or undefined for any other table. */
export function dayOfTable(table: string): number | undefined {
  const match = /^samples_(\d{4})(\d\d)(\d\d)$/.exec(table);
  if (match === null) return undefined;
  return Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3])) / DAY_MS;
}

/**
 * The columns that every day table has, and `rowid`, the engine's own row number, which a column of that name
 * would hide. An attribute column cannot have one of these names.
 */
const FIXED_COLUMNS = ["series_id", "ts", "value", "live", "more_attributes", "rowid"];

/**
 * The column name of an attribute: its own name, unless that is taken. DuckDB ignores case. Otherwise the next
 * free name of `name_2`, `name_3` …
 */
export function attributeColumn(attribute: string, taken: Iterable<string>): string {
  const lower = new Set([...FIXED_COLUMNS, ...taken].map((name) => name.toLowerCase()));
  let column = attribute;
  for (let n = 2; lower.has(column.toLowerCase()); n++) column = `${attribute}_${n}`;
  return column;
}
