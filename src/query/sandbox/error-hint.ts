/**
 * Clearer sentences for errors that people meet often. Tags are text: `status_code = 200` makes the engine cast the
 * column to a number, which fails at the first `unknown`. Times are no numbers, maps are
 * no conditions. And a column or a time zone has another name.
 */
import { quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";
import type { NumberUse, Walk } from "./walk.ts";

type Uses = Pick<Walk, "numberUses" | "casts" | "catalog" | "tables" | "parameters">;

/** The sentence for an error of the engine about the statement, or undefined where its own says enough. */
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
      // No number of the statement's is beside the column: one of its parameters is.
      if (walk.parameters.size === 0 || source === undefined || !holdsText(walk, source, source))
        return undefined;
      return `${source} is compared with a number, but tags are text and a value is ${quote(text)}; send the parameter as text, in quotation marks`;
    }
    return `${line.replace(/^Conversion Error: /, "")}: tags are text, and a value of ${column} is ${quote(text)}; TRY_CAST(${column} AS ${named(type)}) gives NULL for it.`;
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
  // Where one of the candidates takes a text, the type is not what is wrong.
  const takesText = /^\t.*\(.*(?:VARCHAR|ANY|MAP)/m.test(message) && !/^\W+$/.test(call?.[1] ?? "");
  if (call !== null && /\bVARCHAR\b/.test(call[2]!) && !takesText)
    return `${line.replace(/^Binder Error: /, "")} Tags are text: TRY_CAST(column AS DOUBLE) makes a number of one, and NULL of what is no number.`;
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
    return `${map} is a map and no condition: AND and = bind more tightly than ->>, so write (${map}->>'name') = 'value', or ${map}['name'] = 'value'`;
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

/** Edits between a zone and the one that was meant: "Asia/Aden" is not meant by each short word. */
const ZONE_EDITS_MAX = 2;

/** Columns of the tables that a statement names: the nearest, or all where there is one table with few. */
function missingColumn(column: string, { catalog, tables }: Uses): string | undefined {
  const names = [...tables].flatMap((table) => catalog.columnsOf(table)?.map(({ name }) => name) ?? []);
  const near = nearest(column, names);
  const said = `there is no column ${quote(column)}`;
  const withLabels = [...tables].find((table) => catalog.columnsOf(table)?.some(isLabelMap));
  if (withLabels !== undefined) {
    const meant = near === undefined ? "" : `; did you mean ${near}?`;
    const text = column.replaceAll("'", "''");
    return (
      `${said}${meant === "" ? "." : meant} In ${withLabels}, tags are in the map labels: labels['${text}']. ` +
      "The table of each metric has a column per tag."
    );
  }
  if (near !== undefined) return `${said}; did you mean ${near}?`;
  const [table, other] = tables;
  if (table === undefined || other !== undefined || names.length > COLUMNS_NAMED_MAX) return undefined;
  return `${said}; the columns of ${table} are ${names.join(", ")}.`;
}

/** The column of `samples`, `series` and `exemplars` with all labels. A tag can have this name too, and is text. */
function isLabelMap({ name, type }: { readonly name: string; readonly type: string }): boolean {
  return name === "labels" && type.startsWith("MAP");
}

/** Columns that an error lists. */
const COLUMNS_NAMED_MAX = 20;

function find(walk: Uses, source: string | undefined): NumberUse | undefined {
  return walk.numberUses.find(({ column }) => holdsText(walk, column, source));
}

/** Whether the column holds text in a table of the statement, and is the one that the engine names, if it names any. */
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
    `${operator === "IN" ? ` (${number}, …), or ${column} IN ('${number}', …)` : ""}. TRY_CAST gives NULL for what is no number.`
  );
}

function named(type: string): string {
  return /^INT(8|16|32|64)$/.test(type) ? "BIGINT" : type;
}
