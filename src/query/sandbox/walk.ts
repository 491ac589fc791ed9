/**
 * What the walks over queries (syntax.ts) and expressions (expressions.ts) share: the scope at a place of the
 * tree, the measures, and the checks that refuse what is not known.
 */
import { Forbidden, quote } from "../../errors.ts";
import { LAMBDA_BYTES_MAX, MADE_BYTES_MAX, VALUE_BYTES_MAX } from "./sizes.ts";

/** A node of the syntax tree, as parsed from JSON. */
export type Node = Readonly<Record<string, unknown>>;

/** Levels of a statement's tree; people nest some 20. */
const DEPTH_MAX = 150;

/** What people may name in FROM. */
export interface Catalog {
  /** How many columns the table has, or undefined when there is none of that name (lower case). */
  columnsOf(table: string): number | undefined;
  /** The names of all tables, for suggestions. */
  names(): Iterable<string>;
  /** The columns of the table (lower case) that hold text, for hints. */
  textColumnsOf(table: string): Iterable<string>;
}

/** What a query or a table comes to. */
export interface Measure {
  readonly columns: number;
  readonly tables: number;
  /** The largest value of a column, in bytes. */
  readonly bytes: number;
  /** What its calls make for one row, in bytes: a CTE counts as often as it is named. */
  readonly made?: number;
}

/** What is known at a place of the tree. */
export interface Scope {
  readonly walk: Walk;
  /** Common table expressions in scope, by their names in lower case. */
  readonly ctes: ReadonlyMap<string, Measure>;
  /** Columns of what columns may refer to here, and the largest value of these in bytes. */
  readonly columns: number;
  readonly bytes: number;
  /** Inside the lambda of a list function. */
  readonly lambda?: Lambda;
}

export interface Lambda {
  /** Elements that its list may have. */
  readonly times: number;
  /** Its parameters in lower case, with the bytes of all elements together. */
  readonly parameters: ReadonlyMap<string, number>;
  readonly isReducing: boolean;
}

/** A column that is compared with a number, for the error when it holds text. */
export interface NumberUse {
  readonly column: string;
  readonly number: string;
  readonly operator: string;
}

/** What is the same for the whole statement. */
export interface Walk {
  readonly catalog: Catalog;
  /** The tables that are named, in lower case. */
  readonly tables: Set<string>;
  /** Lists of tables and columns that are named: information_schema and SHOW TABLES. */
  readonly listings: Set<Listing>;
  /** Macros of ours that are called. */
  readonly macros: Set<Macro>;
  readonly numberUses: NumberUse[];
  /** Columns that are cast, without TRY, to a type that a text may not fit. */
  readonly casts: string[];
  /** Whether the statement must be written anew (rewrite.ts) before it runs. */
  isRewritten: boolean;
  depth: number;
  made: number;
  lambdaBytes: number;
  /** Walks a subquery: syntax.ts knows how, and expressions hold such. */
  readonly subquery: (select: Node, scope: Scope) => Measure;
  /** Tables that subqueries in expressions added to the query being walked. */
  extraTables: number;
}

export type Listing = "tables" | "columns" | "names" | "details";
export type Macro = "local_time" | "utc_time" | "weir_text" | "weir_list" | "weir_map" | "weir_reduced";

/** How often an expression is evaluated for one row. */
export function timesOf(scope: Scope): number {
  return scope.lambda?.times ?? 1;
}

/** Throws unless the node has known keys only. */
export function only(node: Node, ...keys: readonly string[]): void {
  for (const key of Object.keys(node)) {
    if (!keys.includes(key) && !COMMON.has(key)) throw unknown(`${describe(node)} with ${quote(key)}`);
  }
}

const COMMON: ReadonlySet<string> = new Set(["class", "type", "alias", "query_location"]);

export function unknown(what: string): Forbidden {
  return new Forbidden(`the statement holds what is not allowed here: ${what}`, "sql");
}

export function describe(node: Node): string {
  return String(node.type ?? node.class ?? "an object").slice(0, 60);
}

export function nodes(value: unknown): readonly Node[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw unknown("a list that is none");
  return value as Node[];
}

/** Runs `visit` one level deeper. */
export function deeper<Result>(walk: Walk, visit: () => Result): Result {
  if (++walk.depth > DEPTH_MAX)
    throw new Forbidden(`the statement is nested deeper than ${DEPTH_MAX} levels`, "sql");
  const result = visit();
  walk.depth--;
  return result;
}

/** Counts a value that the engine makes for each row; throws where it, or all of them, may become too large. */
export function make(what: string, bytes: number, scope: Scope): number {
  if (bytes > VALUE_BYTES_MAX && scope.lambda?.isReducing === true) throw reducesByJoining();
  if (bytes > VALUE_BYTES_MAX)
    throw new Forbidden(
      `${what} may make a value of ${kib(bytes)} KiB, counted from the longest text that can be stored (4 KiB); ` +
        `${kib(VALUE_BYTES_MAX)} KiB are allowed`,
      "sql",
    );
  if (scope.lambda === undefined) addMade(scope.walk, bytes);
  else {
    scope.walk.lambdaBytes += bytes;
    if (scope.walk.lambdaBytes > LAMBDA_BYTES_MAX)
      throw new Forbidden("the lambdas of the statement call too many functions for each element", "sql");
  }
  return bytes;
}

export function reducesByJoining(): Forbidden {
  return new Forbidden(
    "the lambda of list_reduce must not join texts or lists, which would copy what it has so far for each element; " +
      "use array_to_string or flatten",
    "sql",
  );
}

export function addMade(walk: Walk, bytes: number): void {
  walk.made += bytes;
  if (walk.made > MADE_BYTES_MAX)
    throw new Forbidden(
      `the statement may make values of more than ${kib(MADE_BYTES_MAX)} KiB for each row, ` +
        "counted from the longest text that can be stored (4 KiB); use fewer functions that make texts or lists",
      "sql",
    );
}

function kib(bytes: number): string {
  return Number.isFinite(bytes) ? String(Math.ceil(bytes / 1_024)) : "unlimited";
}

/** Names as the engine compares them: without regard to the case of ASCII letters. */
export function lower(name: unknown): string {
  return String(name).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
