/**
 * What the walks over queries (syntax.ts) and expressions (expressions.ts) share: the scope at a place of the
 * tree, the measures, and the checks that refuse what is not known.
 */
import { Forbidden, quote } from "../../model/errors.ts";
import type { Listing } from "./listings.ts";
import { LAMBDA_BYTES_MAX, MADE_BYTES_MAX, VALUE_BYTES_MAX } from "./sizes.ts";

/** A node of the syntax tree, as parsed from JSON. */
export type Node = Readonly<Record<string, unknown>>;

/** Levels of a statement's tree; people nest some 20. */
const DEPTH_MAX = 150;
/** The engine plans some 10,000 expressions a second; 16 KiB of text hold 5,000. */
const EXPRESSIONS_MAX = 10_000;

/** What people may name in FROM. */
export interface Catalog {
  /** The columns of the table (lower case) with the engine's types, or undefined when there is none of that name. */
  columnsOf(table: string): readonly { readonly name: string; readonly type: string }[] | undefined;
  /** The names of all tables, for suggestions. */
  names(): Iterable<string>;
}

/** The largest value of each column by its name in lower case, in bytes, and of those columns that have no name here. */
export interface ColumnSizes {
  readonly named: ReadonlyMap<string, number>;
  readonly rest: number;
}

/** What a query or a table comes to. */
export interface Measure {
  readonly columns: number;
  readonly tables: number;
  /** The largest value of a column, in bytes. */
  readonly bytes: number;
  /** The same by column, where it is known. */
  readonly sizes?: ColumnSizes;
  /** All columns with their names, where that is not the largest so many times: what the table's name stands for. */
  readonly row?: number;
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
  readonly sizes: ColumnSizes;
  /** A whole row, which a table's name stands for. */
  readonly row: number;
  /** The largest value of what columns of the queries around this one hold. */
  readonly outerBytes: number;
  /** Expressions of the SELECT list by their aliases in lower case: a name for one stands for all of it. */
  readonly aliases: ReadonlyMap<string, Aliased>;
  /** Inside the lambda of a list function. */
  readonly lambda?: Lambda;
}

/** An expression that has an alias: the engine puts a copy of it where the alias stands. */
export interface Aliased {
  readonly bytes: number;
  readonly made: number;
  readonly expressions: number;
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
  /** The names of the parameters, `1`, `2` … where they have none. */
  readonly parameters: Set<string>;
  readonly numberUses: NumberUse[];
  /** Columns that are cast, without TRY, to a type that a text may not fit. */
  readonly casts: string[];
  /** Whether the text is what rewrite.ts made, which calls guards and reads views of listings. */
  readonly isOurs: boolean;
  /** Whether the statement must be written anew (rewrite.ts) before it runs. */
  isRewritten: boolean;
  depth: number;
  /** Expressions, those counted again for which an alias stands. */
  expressions: number;
  made: number;
  lambdaBytes: number;
  /** Walks a subquery: syntax.ts knows how, and expressions hold such. */
  readonly subquery: (select: Node, scope: Scope) => Measure;
  /** Tables that subqueries in expressions added to the query being walked. */
  extraTables: number;
}

export type Macro = "local_time" | "utc_time" | "weir_text" | "weir_list" | "weir_map" | "weir_reduced";

/** Sizes of which no more is known than the largest. */
export function unnamed(bytes: number): ColumnSizes {
  return { named: NO_NAMES, rest: bytes };
}

const NO_NAMES: ReadonlyMap<string, number> = new Map();

/** Columns of two tables: a name may be of either. */
export function joinSizes(left: ColumnSizes, right: ColumnSizes): ColumnSizes {
  const named = new Map(left.named);
  for (const [name, bytes] of right.named) named.set(name, Math.max(bytes, named.get(name) ?? 0));
  return { named, rest: Math.max(left.rest, right.rest) };
}

/** The size of a whole row of a table. */
export function rowOf({ row, columns, bytes }: Measure): number {
  return row ?? columns * bytes;
}

/** The scope inside of a query that reads from the table: outer columns may be meant, too. */
export function within(scope: Scope, table: Measure): Scope {
  return {
    ...scope,
    columns: table.columns,
    bytes: Math.max(scope.bytes, table.bytes),
    outerBytes: scope.bytes,
    row: Math.max(scope.row, rowOf(table)),
    sizes: table.sizes ?? unnamed(table.bytes),
  };
}

/** The size of a column by its name, or by its table's and its own; that of the largest where it is not known. */
export function sizeOfColumn(names: readonly string[], { sizes, bytes, row }: Scope): number {
  const [first = "", second] = names;
  const own = sizes.named.get(second ?? first);
  // What is no known column may be a table, and then stands for a whole row of it.
  if (own === undefined || names.length > 2) return Math.max(bytes, row);
  // With two names the first may be a column too, and the second a field of it.
  return Math.max(own, sizes.rest, second === undefined ? 0 : (sizes.named.get(first) ?? 0));
}

/** Counts expressions; throws where aliases that stand for aliases make too many of them. */
export function countExpressions(walk: Walk, count: number): void {
  walk.expressions += count;
  if (walk.expressions > EXPRESSIONS_MAX)
    throw new Forbidden(
      `the statement comes to more than ${EXPRESSIONS_MAX} expressions, counting what stands behind each alias that it uses`,
      "sql",
    );
}

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
  count(bytes, scope);
  return bytes;
}

/** Counts what the engine makes or touches for each row; throws where all of that is too much. */
export function count(bytes: number, scope: Scope): void {
  if (scope.lambda === undefined) {
    addMade(scope.walk, bytes);
    return;
  }
  scope.walk.lambdaBytes += bytes;
  if (scope.walk.lambdaBytes > LAMBDA_BYTES_MAX)
    throw new Forbidden("the lambdas of the statement call too many functions for each element", "sql");
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
