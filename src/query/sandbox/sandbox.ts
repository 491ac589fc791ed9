/**
 * The sandbox decides whether a statement from a request may run, which tables it names, and which text runs.
 *
 * The engine's own parser turns the text into a syntax tree. The walk starts at the top of the tree and rejects every
 * node that is not known and allowed. In addition, the engine has no access to files and settings, and the statement
 * runs in a read-only transaction. The walk stops what those cannot: functions that hang the engine, names of files or
 * of physical tables, and statements that grow while they are planned.
 */
import { BadInput, TooLarge } from "../../model/errors.ts";
import {
  type ParseFailure,
  parseFailureOf,
  type StatementError,
} from "../../store/engine/statement-faults.ts";
import { errorHint } from "./error-hint.ts";
import { completePivots } from "./pivot.ts";
import { rewrite } from "./rewrite.ts";
import { walkStatement } from "./syntax.ts";
import { type Serializer, treeOf } from "./statement-tree.ts";
import { forbidden, type Listing, type Macro, type SandboxCatalog } from "./walk.ts";

/** A statement that may run. */
export interface Inspected {
  /** The text to run: the original, or the result of rewrite.ts. */
  readonly sql: string;
  /** The tables that it names, in lower case. */
  readonly tables: ReadonlySet<string>;
  /** The lists of tables and columns that it reads. */
  readonly listings: ReadonlySet<Listing>;
  /** The gateway's macros that it calls. */
  readonly macros: ReadonlySet<Macro>;
  /** The names of its parameters. Those without a name are `1`, `2` … */
  readonly parameters: ReadonlySet<string>;
  /** Whether it is an EXPLAIN, whose answer is one text of many lines. */
  readonly isExplain: boolean;
  /** Returns a clearer sentence for an error of the engine about this statement, or undefined. */
  readonly hint: (error: StatementError) => string | undefined;
}

/** Runs a statement that the sandbox has accepted, with its tables, and returns the first column of each row. */
type Lookup = (inspected: Inspected) => Promise<readonly unknown[]>;

export interface InspectOptions {
  /** The engine takes 0.8 s to serialize 160 KB of text, without a pause, and at most 30 ms for 16 KiB. */
  readonly bytesMax: number;
  /** Looks up the values of a PIVOT that does not list them. If absent, such a PIVOT is rejected. */
  readonly lookup?: Lookup;
}

/**
 * Inspects one statement.
 *
 * @throws BadInput if it does not parse, is not one statement, or names a table that does not exist
 * @throws Forbidden if it contains anything that is not allowed
 */
export async function inspect(
  reader: Serializer,
  sql: string,
  catalog: SandboxCatalog,
  { bytesMax, lookup }: InspectOptions,
): Promise<Inspected> {
  const bytes = Buffer.byteLength(sql);
  if (bytes > bytesMax)
    throw new TooLarge(
      `the statement has ${bytes} bytes; ${bytesMax} are allowed (setting sqlTextBytesMax)`,
      "sql",
    );
  if (sql.includes("\0")) throw new BadInput("the statement contains a NUL character", "sql");
  const explain = EXPLAIN.exec(sql)?.[0] ?? "";
  if (explain !== "" && /^(?:ANALYZE\b|\()/i.test(sql.slice(explain.length)))
    throw forbidden("EXPLAIN takes no options in parentheses; EXPLAIN and EXPLAIN ANALYZE are allowed");
  const explained = sql.slice(explain.length);
  const text = await completePivots(
    reader,
    explained,
    lookup && (async (values) => lookup(await inspect(reader, values, catalog, { bytesMax: bytesMax * 2 }))),
  );
  const tree = await treeOf(reader, text);
  const failure = parseFailureOf(tree);
  if (failure !== undefined) throw refusal(failure, text, text === explained ? explain : "");
  const statements = tree.statements ?? [];
  if (statements.length !== 1) {
    throw new BadInput(
      statements.length === 0
        ? "the statement is empty; a SELECT was expected"
        : `there are ${statements.length} statements; one SELECT was expected`,
      "sql",
    );
  }
  const walk = walkStatement(statements[0]!, catalog);
  const runs = walk.isRewritten ? await rewrite(reader, text) : text;
  if (runs !== text) await inspectAgain(reader, runs, catalog);
  return {
    sql: explain + runs,
    tables: walk.tables,
    listings: walk.listings,
    macros: walk.macros,
    parameters: walk.parameters,
    isExplain: explain !== "",
    hint: (error) => errorHint(error, walk),
  };
}

/** Walks the rewritten text too, so that an error of the engine in writing a tree as text cannot bypass the sandbox. */
async function inspectAgain(reader: Serializer, sql: string, catalog: SandboxCatalog): Promise<void> {
  const { error, statements = [] } = await treeOf(reader, sql);
  if (error || statements.length !== 1) throw new Error("a rewritten statement is not one SELECT");
  walkStatement(statements[0]!, catalog, true);
}

/** `EXPLAIN` and `EXPLAIN ANALYZE`, after optional comments. The rest is inspected like any statement. */
const EXPLAIN = /^(?:\s|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*EXPLAIN\b\s*(?:ANALYZE\b\s*)?/i;

function refusal({ kind, sentence, position }: ParseFailure, sql: string, before: string): Error {
  if (kind === "not a select")
    return forbidden(
      "only one SELECT statement is allowed (WITH, VALUES, FROM …, PIVOT, EXPLAIN, DESCRIBE and SHOW TABLES included)",
    );
  const place =
    position === undefined ? "" : ` at ${lineAndColumn(before + sql, Buffer.byteLength(before) + position)}`;
  return new BadInput(`${sentence}${place}`, "sql");
}

/** `line 2, column 5` of a byte offset; both count from 1. */
function lineAndColumn(sql: string, offset: number): string {
  const before = Buffer.from(sql).subarray(0, offset).toString().split("\n");
  return `line ${before.length}, column ${before[before.length - 1]!.length + 1}`;
}
