/**
 * The statements of sql/, read once, by name. Quoted identifiers replace the `{identifier}` parts of a
 * statement, and the text of another file replaces `{@folder/name}`. Values are never part of the text; they are bound.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { programPath } from "../program/program-files.ts";
import type { Reader } from "./store.ts";

const root = programPath("sql");
const texts = new Map<string, string>();

/** Quotes a name as an SQL identifier: doubles its quotation marks. Rejects NUL, which SQL does not allow. */
export function quoteIdentifier(name: string): string {
  if (name.includes("\0")) throw new Error("an SQL identifier cannot hold a NUL character");
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a text where SQL allows no parameter: the body of a view. Everywhere else texts are bound. */
export function quoteText(text: string): string {
  if (text.includes("\0")) throw new Error("an SQL text cannot hold a NUL character");
  return `'${text.replaceAll("'", "''")}'`;
}

function textOf(name: string): string {
  let text = texts.get(name);
  if (text === undefined) {
    text = readFileSync(join(root, `${name}.sql`), "utf8").replace(/\{@([\w/]+)\}/g, (_, part: string) =>
      textOf(part),
    );
    texts.set(name, text);
  }
  return text;
}

/**
 * The text of sql/NAME.sql, such as `statement("store/create_day", { table })`.
 *
 * @param names for the statement's `{placeholders}`; each is quoted here: as a text if the statement has it between
 *   apostrophes (`'{path}'`), where SQL allows no parameter, and otherwise as an identifier
 * @throws if a placeholder has no name, or a name has no placeholder
 */
export function statement(name: string, names: Readonly<Record<string, string>> = {}): string {
  const text = textOf(name);
  const unused = new Set(Object.keys(names));
  const filled = text.replace(/\{(\w+)\}|'\{(\w+)\}'/g, (match, ...places: string[]) => {
    const place = places[0] ?? places[1]!;
    const given = names[place];
    if (given === undefined) throw new Error(`sql/${name}.sql needs a name for {${place}}`);
    unused.delete(place);
    return match.startsWith("'") ? quoteText(given) : quoteIdentifier(given);
  });
  if (unused.size > 0) throw new Error(`sql/${name}.sql has no placeholder for ${[...unused].join(", ")}`);
  return filled;
}

/**
 * The rows of a statement that returns them as JSON, many in one text: JSON values with commas between them, in its one column
 * `rows`, which is NULL if there are none. At a start, the driver takes 5 to 20 µs to make the value of a cell, because its code is not compiled yet.
 */
export async function jsonRows<Row>(
  reader: Pick<Reader, "all">,
  sql: string,
  parameters?: Parameters<Reader["all"]>[1],
): Promise<Row[]> {
  const texts = await reader.all<{ rows: string | null }>(sql, parameters);
  return texts.flatMap(({ rows }) => (rows === null ? [] : (JSON.parse(`[${rows}]`) as Row[])));
}

/** Statements as one, which returns the rows of all, in any order. Each is a SELECT without an ORDER BY. */
export function unionOf(statements: readonly string[]): string {
  return statements.map((text) => text.trimEnd().replace(/;$/, "")).join("\nUNION ALL\n");
}

/** One file of sql/schema. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  /** Whether it changes or moves stored rows, and not only adds what is new. Its first line is `-- rewrites data` then. */
  readonly rewritesData: boolean;
}

/** The numbered files of sql/schema in their order. */
export function migrations(folder = join(root, "schema")): Migration[] {
  return readdirSync(folder)
    .filter((file) => /^\d{3}_\w+\.sql$/.test(file))
    .sort()
    .map((file) => ({
      version: Number(file.slice(0, 3)),
      name: file.slice(4, -4),
      // Most starts run none, and read none.
      get sql() {
        return readFileSync(join(folder, file), "utf8");
      },
      get rewritesData() {
        return /^-- rewrites data\b/i.test(this.sql);
      },
    }));
}
