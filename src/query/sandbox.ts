/**
 * The sandbox: says whether a stranger's statement may run, and which tables it names.
 *
 * The engine's own parser turns the text into a syntax tree, and the tree is walked from the top: what is not
 * known and allowed is refused. The engine is closed against files and settings besides, and the statement
 * runs in a read-only transaction; this walk holds what those cannot: functions that hang the engine, names
 * of files or of physical tables, statements that grow while they are planned.
 */
import { BadInput, Forbidden, TooLarge } from "../errors.ts";
import { statement } from "../statements.ts";
import type { Node } from "./allowed-functions.ts";
import { walkStatement } from "./syntax.ts";
import type { Catalog } from "./walk.ts";

/** 160 KB of text take 0.8 s to serialize, in one go; 16 KiB take 30 ms at most. */
export const SQL_BYTES_MAX = 16 * 1024;

/** What the sandbox needs of a connection. */
export interface Serializer {
  all<Row extends Record<string, unknown>>(sql: string, parameters?: readonly string[]): Promise<Row[]>;
}

/** A statement that may run. */
export interface Inspected {
  /** The tables that it names, in lower case. */
  readonly tables: ReadonlySet<string>;
}

/**
 * Inspects one statement.
 *
 * @throws BadInput where it does not parse, is not one statement, or names a table that is not there
 * @throws Forbidden where it holds anything that is not allowed
 */
export async function inspect(
  reader: Serializer,
  sql: string,
  catalog: Catalog,
  bytesMax = SQL_BYTES_MAX,
): Promise<Inspected> {
  const bytes = Buffer.byteLength(sql);
  if (bytes > bytesMax)
    throw new TooLarge(
      `the statement has ${bytes} bytes; ${bytesMax} are allowed (setting sqlTextBytesMax)`,
      "sql",
    );
  if (sql.includes("\0")) throw new BadInput("the statement holds a NUL character", "sql");
  const rows = await reader.all<{ tree: string }>(statement("query/serialize"), [sql]);
  const tree = JSON.parse(rows[0]!.tree) as Serialized;
  if (tree.error) throw refusal(tree, sql);
  const statements = tree.statements ?? [];
  if (statements.length !== 1) {
    throw new BadInput(
      statements.length === 0
        ? "the statement is empty; a SELECT was expected"
        : `there are ${statements.length} statements; one SELECT was expected`,
      "sql",
    );
  }
  return { tables: walkStatement(statements[0]!, catalog) };
}

interface Serialized {
  readonly error: boolean;
  readonly error_type?: string;
  readonly error_message?: string;
  readonly position?: string;
  readonly statements?: readonly Node[];
}

function refusal(tree: Serialized, sql: string): Error {
  const message = tree.error_message ?? "";
  if (tree.error_type === "not implemented" && message.startsWith("Only SELECT"))
    return new Forbidden("only one SELECT statement is allowed (WITH, VALUES and FROM … included)", "sql");
  const position = Number(tree.position);
  const place = Number.isInteger(position) ? ` at ${lineAndColumn(sql, position)}` : "";
  return new BadInput(`${message.split("\n")[0]}${place}`, "sql");
}

/** `line 2, column 5` of a byte offset; both count from 1. */
function lineAndColumn(sql: string, offset: number): string {
  const before = Buffer.from(sql).subarray(0, offset).toString().split("\n");
  return `line ${before.length}, column ${before[before.length - 1]!.length + 1}`;
}
