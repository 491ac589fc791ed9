/**
 * Clearer sentences for frequent errors. Tags are text: for `status_code = 200` the engine casts the column to a
 * number, which fails at the first `unknown`. A time is compared with a number, or a map is used as a condition. A
 * column or a time zone does not exist, but a similar one does.
 */
import { quote } from "../../model/errors.ts";
import { nearest } from "../../model/nearest.ts";
import type { StatementError } from "../../store/engine/statement-faults.ts";
import type { NumberUse, Walk } from "./walk.ts";

type Uses = Pick<Walk, "numberUses" | "casts" | "catalog" | "tables" | "parameters">;

/** A clearer sentence for an error of the engine about the statement, or undefined if there is none. */
export function errorHint(error: StatementError, walk: Uses): string | undefined {
  switch (error.kind) {
    case "text is not of the type":
      return notOfType(error, walk);
    case "text is compared with a number": {
      const use = find(walk, undefined);
      return use && compared(use, undefined);
    }
    case "no such variant of a function":
      // If a variant takes a text, the type is not the fault.
      return error.types.includes("VARCHAR") && !error.takesText
        ? `${error.sentence} Tags are text: TRY_CAST(column AS DOUBLE) converts one to a number, or to NULL if it is not a number.`
        : undefined;
    case "time is compared with a number":
      return "a time is compared with a number; write a time as TIMESTAMP '2024-01-01 10:00:00' in UTC, or epoch_ms(1704103200000) for milliseconds since 1970.";
    case "map is used as a condition": {
      const map = error.column;
      return `${map} is a map, not a condition: AND and = bind more tightly than ->>, so write (${map}->>'name') = 'value', or ${map}['name'] = 'value'`;
    }
    case "no such time zone": {
      const near = nearest(error.zone, Intl.supportedValuesOf("timeZone"), ZONE_EDITS_MAX);
      return `there is no time zone ${quote(error.zone)}; ${near === undefined ? "a name such as Europe/Berlin or UTC was expected" : `did you mean ${near}?`}`;
    }
    case "no such column":
      return missingColumn(error.column, walk);
    default:
      return undefined;
  }
}

function notOfType(
  { text, type, column: source, sentence }: StatementError & { kind: "text is not of the type" },
  walk: Uses,
): string | undefined {
  const use = find(walk, source);
  if (use !== undefined) return compared(use, `a value is ${quote(text)}`);
  const column = walk.casts.find((name) => holdsText(walk, name, source));
  if (column === undefined) {
    // The statement compares the column with no number of its own, so the number is a parameter.
    if (walk.parameters.size === 0 || source === undefined || !holdsText(walk, source, source))
      return undefined;
    return `${source} is compared with a number, but tags are text and a value is ${quote(text)}; send the parameter as text, in quotation marks`;
  }
  return `${sentence}: tags are text, and a value of ${column} is ${quote(text)}; TRY_CAST(${column} AS ${named(type)}) returns NULL for it.`;
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
