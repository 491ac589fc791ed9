/**
 * Clearer sentences for frequent errors. Tags are text: for `status_code = 200` the engine casts the column to a
 * number, which fails at the first `unknown`. A time is compared with a number, or a map is used as a condition. A
 * column or a time zone does not exist, but a similar one does.
 */
import { quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";
import type { NumberUse, Walk } from "./walk.ts";

type Uses = Pick<Walk, "numberUses" | "casts" | "catalog" | "tables" | "parameters">;

/** A clearer sentence for an error of the engine about the statement, or undefined if there is none. */
export function errorHint(message: string, walk: Uses): string | undefined {
  const line = message.split("\n")[0]!;
  const conversion =
    /^Conversion Error: Could not convert string '(.*)' to (\w+)(?: when casting from source column (.+))?/s.exec(
      line,
    );
  if (conversion !== null) {
    const [, text = "", type = "", source] = conversion;
    const use = find(walk, source);
    if (use !== undefined) return compared(use, `a value is ${quote(text)}`);
    const column = walk.casts.find((name) => holdsText(walk, name, source));
    if (column === undefined) {
      // The statement compares the column with no number of its own, so the number is a parameter.
      if (walk.parameters.size === 0 || source === undefined || !holdsText(walk, source, source))
        return undefined;
      return `${source} is compared with a number, but tags are text and a value is ${quote(text)}; send the parameter as text, in quotation marks`;
    }
    return `${line.replace(/^Conversion Error: /, "")}: tags are text, and a value of ${column} is ${quote(text)}; TRY_CAST(${column} AS ${named(type)}) returns NULL for it.`;
  }
  if (
    /^Binder Error: Cannot (?:compare|mix) values of type VARCHAR and (?:type )?\w*(?:INTEGER|DECIMAL|DOUBLE|BIGINT)/.test(
      line,
    )
  ) {
    const use = find(walk, undefined);
    if (use !== undefined) return compared(use, undefined);
  }
  const call = /^Binder Error: No function matches the given name and argument types '(.+)\((.*)\)'/.exec(
    line,
  );
  // If one of the candidates takes a text, the type is not the fault.
  const takesText = /^\t.*\(.*(?:VARCHAR|ANY|MAP)/m.test(message) && !/^\W+$/.test(call?.[1] ?? "");
  if (call !== null && /\bVARCHAR\b/.test(call[2]!) && !takesText)
    return `${line.replace(/^Binder Error: /, "")} Tags are text: TRY_CAST(column AS DOUBLE) converts one to a number, or to NULL if it is not a number.`;
  if (
    /^Binder Error: Cannot (?:compare|mix) values of type TIMESTAMP and (?:type )?\w*(?:INT|DECIMAL|DOUBLE)/.test(
      line,
    )
  )
    return "a time is compared with a number; write a time as TIMESTAMP '2024-01-01 10:00:00' in UTC, or epoch_ms(1704103200000) for milliseconds since 1970.";
  const map =
    /^Conversion Error: Unimplemented type for cast \(MAP\(.*\) -> BOOLEAN\) when casting from source column (\w+)/.exec(
      line,
    )?.[1];
  if (map !== undefined)
    return `${map} is a map, not a condition: AND and = bind more tightly than ->>, so write (${map}->>'name') = 'value', or ${map}['name'] = 'value'`;
  const zone = /^Not implemented Error: Unknown TimeZone '(.*)'!/.exec(line)?.[1];
  if (zone !== undefined) {
    const near = nearest(zone, Intl.supportedValuesOf("timeZone"), ZONE_EDITS_MAX);
    return `there is no time zone ${quote(zone)}; ${near === undefined ? "a name such as Europe/Berlin or UTC was expected" : `did you mean ${near}?`}`;
  }
  const column =
    /^Binder Error: (?:Referenced column "(.+?)" not found|(?:Values list|Table) ".*?" does not have a column named "(.+?)")/.exec(
      line,
    );
  return column === null ? undefined : missingColumn((column[1] ?? column[2])!, walk);
}

/** The maximum edits between a zone and its suggestion, so that not every short word suggests "Asia/Aden". */
const ZONE_EDITS_MAX = 2;

/** Suggests the most similar column of the statement's tables, or lists all columns of one table with few columns. */
function missingColumn(column: string, { catalog, tables }: Uses): string | undefined {
  const names = [...tables].flatMap((table) => catalog.columnsOf(table)?.map(({ name }) => name) ?? []);
  const near = nearest(column, names);
  const fault = `there is no column ${quote(column)}`;
  const withLabels = [...tables].find((table) => catalog.columnsOf(table)?.some(isLabelMap));
  if (withLabels !== undefined) {
    const suggestion = near === undefined ? "" : `; did you mean ${near}?`;
    const text = column.replaceAll("'", "''");
    return (
      `${fault}${suggestion === "" ? "." : suggestion} In ${withLabels}, tags are in the map labels: labels['${text}']. ` +
      "The table of each metric has a column per tag."
    );
  }
  if (near !== undefined) return `${fault}; did you mean ${near}?`;
  const [table, other] = tables;
  if (table === undefined || other !== undefined || names.length > COLUMNS_NAMED_MAX) return undefined;
  return `${fault}; the columns of ${table} are ${names.join(", ")}.`;
}

/** The column of `samples`, `series` and `exemplars` with all labels. A tag can have this name too, and is text. */
function isLabelMap({ name, type }: { readonly name: string; readonly type: string }): boolean {
  return name === "labels" && type.startsWith("MAP");
}

/** The maximum number of columns that an error lists. */
const COLUMNS_NAMED_MAX = 20;

function find(walk: Uses, source: string | undefined): NumberUse | undefined {
  return walk.numberUses.find(({ column }) => holdsText(walk, column, source));
}

/** Whether a table of the statement has the column as text, and the engine names this column or none. */
function holdsText({ catalog, tables }: Uses, column: string, source: string | undefined): boolean {
  const is = (name: string) => name.toLowerCase() === column.toLowerCase();
  return (
    (source === undefined || is(source)) &&
    [...tables].some((table) =>
      catalog.columnsOf(table)?.some(({ name, type }) => type === "VARCHAR" && is(name)),
    )
  );
}

const SIGNS: ReadonlyMap<string, string> = new Map([
  ["COMPARE_EQUAL", "="],
  ["COMPARE_NOTEQUAL", "<>"],
  ["COMPARE_LESSTHAN", "<"],
  ["COMPARE_GREATERTHAN", ">"],
  ["COMPARE_LESSTHANOREQUALTO", "<="],
  ["COMPARE_GREATERTHANOREQUALTO", ">="],
]);

function compared({ column, number, operator }: NumberUse, why: string | undefined): string {
  const sign = SIGNS.get(operator);
  const cast = `TRY_CAST(${column} AS ${/^-?\d+$/.test(number) ? "INTEGER" : "DOUBLE"})`;
  const isEquality = sign === "=" || sign === "<>";
  return (
    `${column} is compared with the number ${number}, but tags are text${why === undefined ? "" : ` and ${why}`}; write ` +
    `${isEquality ? `${column} ${sign} '${number}', or ` : ""}${sign === undefined ? `${cast} ${operator}${operator === "BETWEEN" ? ` ${number} AND …` : ""}` : `${cast} ${sign} ${number}`}` +
    `${operator === "IN" ? ` (${number}, …), or ${column} IN ('${number}', …)` : ""}. TRY_CAST returns NULL if the text is not a number.`
  );
}

function named(type: string): string {
  return /^INT(8|16|32|64)$/.test(type) ? "BIGINT" : type;
}
