/**
 * Shared by the walks over queries (syntax.ts) and expressions (expressions.ts): the scope at a node of the tree, the
 * measures, and the checks that reject unknown nodes.
 */
import { Forbidden, quote } from "../../model/errors.ts";
import { LAMBDA_BYTES_MAX, MADE_BYTES_MAX, VALUE_BYTES_MAX } from "./sizes.ts";

/** A node of the syntax tree, as parsed from JSON. */
export type Node = Readonly<Record<string, unknown>>;

/** The maximum levels of a statement's tree. Ordinary statements have about 20. */
const DEPTH_MAX = 150;
/** The engine plans about 10,000 expressions per second. A text of 16 KiB contains at most 5,000. */
const EXPRESSIONS_MAX = 10_000;

/** The columns of a table with the engine's types. */
export type CatalogColumns = readonly { readonly name: string; readonly type: string }[];

/** The tables that a statement may name in FROM. */
export interface SandboxCatalog {
  /** The columns of the table (lower case), or undefined if the table does not exist. */
  columnsOf(table: string): CatalogColumns | undefined;
  /** The names of all tables, for suggestions. */
  names(): Iterable<string>;
}

/** The maximum size of a value in bytes: by a column's name in lower case, and for all columns without a name. */
export interface ColumnSizes {
  readonly named: ReadonlyMap<string, number>;
  readonly rest: number;
}

/** The size of a query or a table. */
export interface Measure {
  readonly columns: number;
  readonly tables: number;
  /** The largest value of a column, in bytes. */
  readonly bytes: number;
  /** The same by column, if known. */
  readonly sizes?: ColumnSizes;
  /**
   * All columns with their names, which the table's name stands for. If absent, the number of columns times `bytes`.
   */
  readonly row?: number;
  /** Bytes that its calls make for one row. A CTE counts as often as it is named. */
  readonly made?: number;
}

/** The scope at a node of the tree. */
export interface Scope {
  readonly walk: Walk;
  /** Common table expressions in scope, by their names in lower case. */
  readonly ctes: ReadonlyMap<string, Measure>;
  /** The number of columns that may be named here, and their largest value in bytes. */
  readonly columns: number;
  readonly bytes: number;
  readonly sizes: ColumnSizes;
  /** The bytes of a whole row, which a table's name stands for. */
  readonly row: number;
  /** The largest value of a column of the queries around this one. */
  readonly outerBytes: number;
  /** Expressions of the SELECT list by alias, in lower case. An alias stands for the whole expression. */
  readonly aliases: ReadonlyMap<string, Aliased>;
  /** The lambda of a list function around this node; absent outside a lambda. */
  readonly lambda?: Lambda;
}

/** An expression that has an alias. The engine replaces each use of the alias with a copy of the expression. */
export interface Aliased {
  readonly bytes: number;
  readonly made: number;
  readonly expressions: number;
}

interface Lambda {
  /** The maximum number of elements of its list. */
  readonly times: number;
  /** Its parameters in lower case, with the bytes of all elements together. */
  readonly parameters: ReadonlyMap<string, number>;
  readonly isReducing: boolean;
}

/** A column that is compared with a number, for the error if the column is text. */
export interface NumberUse {
  readonly column: string;
  readonly number: string;
  readonly operator: string;
}

/** The state of the walk over one statement. */
export interface Walk {
  readonly catalog: SandboxCatalog;
  /** The tables that are named, in lower case. */
  readonly tables: Set<string>;
  /** The lists of tables and columns that the statement reads: information_schema and SHOW TABLES. */
  readonly listings: Set<Listing>;
  /** The gateway's macros that the statement calls. */
  readonly macros: Set<Macro>;
  /** The names of the parameters. Those without a name are `1`, `2` … */
  readonly parameters: Set<string>;
  readonly numberUses: NumberUse[];
  /** Columns that are cast, without TRY, to a type that not every text can be cast to. */
  readonly casts: string[];
  /** Whether rewrite.ts made the text. Such a text calls guards and reads views of listings. */
  readonly isOurs: boolean;
  /** Whether rewrite.ts must rewrite the statement before it runs. */
  isRewritten: boolean;
  depth: number;
  /** The number of expressions. Each use of an alias counts the expressions of the alias again. */
  expressions: number;
  made: number;
  lambdaBytes: number;
  /** Walks a subquery in an expression. syntax.ts provides it. */
  readonly subquery: (select: Node, scope: Scope) => Measure;
  /** Tables that subqueries in expressions added to the query being walked. */
  extraTables: number;
}

export type Macro = "local_time" | "utc_time" | "weir_text" | "weir_list" | "weir_map" | "weir_reduced";

/**
 * Lists of tables and columns that replace the engine's own. `names` is for SHOW TABLES, `details` for SHOW ALL TABLES. The
 * others are tables of information_schema.
 */
export type Listing = "tables" | "columns" | "names" | "details";

/** Temporary views of the connection. No metric's table has a space in its name. */
export const LISTING_VIEWS: Readonly<Record<Listing, string>> = {
  tables: "weir tables",
  columns: "weir columns",
  names: "weir names",
  details: "weir details",
};

/** Column sizes if only the maximum is known. */
export function unnamed(bytes: number): ColumnSizes {
  return { named: NO_NAMES, rest: bytes };
}

const NO_NAMES: ReadonlyMap<string, number> = new Map();

/** The column sizes of two joined tables. A name may belong to either. */
export function joinSizes(left: ColumnSizes, right: ColumnSizes): ColumnSizes {
  const named = new Map(left.named);
  for (const [name, bytes] of right.named) named.set(name, Math.max(bytes, named.get(name) ?? 0));
  return { named, rest: Math.max(left.rest, right.rest) };
}

/** The size of a whole row of a table. */
export function rowOf({ row, columns, bytes }: Measure): number {
  return row ?? columns * bytes;
}

/** The scope inside a query that reads from the table. Its expressions may also name outer columns. */
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

/** The size of a column by its name, or by its table's name and its own. The largest size if the column is unknown. */
export function sizeOfColumn(names: readonly string[], { sizes, bytes, row }: Scope): number {
  const [first = "", second] = names;
  const own = sizes.named.get(second ?? first);
  // An unknown name may be a table, and then it stands for a whole row.
  if (own === undefined || names.length > 2) return Math.max(bytes, row);
  // With two names, the first may also be a column, and the second one of its fields.
  return Math.max(own, sizes.rest, second === undefined ? 0 : (sizes.named.get(first) ?? 0));
}

/** Counts expressions. Throws if there are too many, for example because aliases stand for aliases. */
export function countExpressions(walk: Walk, count: number): void {
  walk.expressions += count;
  if (walk.expressions > EXPRESSIONS_MAX)
    throw forbidden(
      `the statement has more than ${EXPRESSIONS_MAX} expressions; each use of an alias counts the alias's expressions again`,
    );
}

/** How often an expression is evaluated for one row. */
export function timesOf(scope: Scope): number {
  return scope.lambda?.times ?? 1;
}

/** Throws if the node has a key that is neither one of `keys` nor one that every node has. */
export function only(node: Node, keys = ""): void {
  const other = otherKey(node, `class type alias query_location ${keys}`);
  if (other !== undefined) throw unknown(`${describe(node)} with ${quote(other)}`);
}

/** The same for an object that is not a node, such as a WHEN of a CASE. */
export function onlyKeys(object: Node, keys: string, what: string): void {
  const other = otherKey(object, keys);
  if (other !== undefined) throw unknown(`${what} with ${quote(other)}`);
}

/** The first key of an object that is not one of `keys`, which spaces separate. */
export function otherKey(object: Node, keys: string): string | undefined {
  const known = keys.split(" ");
  return Object.keys(object).find((key) => !known.includes(key));
}

/** The error for a statement, or a part of one, that is not allowed. */
export function forbidden(message: string): Forbidden {
  return new Forbidden(message, "sql");
}

export function unknown(what: string): Forbidden {
  return forbidden(`the statement contains ${what}, which is not allowed`);
}

export function describe(node: Node): string {
  return String(node.type ?? node.class ?? "an object").slice(0, 60);
}

export function nodes(value: unknown): readonly Node[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw unknown("a malformed list");
  return value as Node[];
}

/**
 * Turns `url.upper()` into `upper(url)`; undefined if a call is not one on a column. The parser stores the column as a
 * schema, and the engine looks for a schema of that name first. After the rewrite, the name can only mean a column.
 */
export function methodCall(node: Node): Node | undefined {
  const { schema, catalog, ...call } = node;
  if (typeof schema !== "string" || schema === "" || lower(schema) === "main") return undefined;
  const column = {
    class: "COLUMN_REF",
    type: "COLUMN_REF",
    alias: "",
    query_location: 0,
    column_names: typeof catalog === "string" && catalog !== "" ? [catalog, schema] : [schema],
  };
  const children = (call.children as readonly Node[] | undefined) ?? [];
  return { ...call, children: [column, ...children] };
}

/** Runs `visit` one level deeper. */
export function deeper<Result>(walk: Walk, visit: () => Result): Result {
  if (++walk.depth > DEPTH_MAX) throw forbidden(`the statement is nested deeper than ${DEPTH_MAX} levels`);
  const result = visit();
  walk.depth--;
  return result;
}

/** Counts a value that the engine makes for each row. Throws if it, or all values together, may become too large. */
export function make(what: string, bytes: number, scope: Scope): number {
  if (bytes > VALUE_BYTES_MAX && scope.lambda?.isReducing === true) throw reducesByJoining();
  if (bytes > VALUE_BYTES_MAX)
    throw forbidden(
      `${what} may make a value of ${kib(bytes)} KiB, counted from the longest text that can be stored (4 KiB); ` +
        `${kib(VALUE_BYTES_MAX)} KiB are allowed`,
    );
  count(bytes, scope);
  return bytes;
}

/** Counts bytes that the engine makes or processes for each row. Throws if the total is too large. */
export function count(bytes: number, scope: Scope): void {
  if (scope.lambda === undefined) {
    addMade(scope.walk, bytes);
    return;
  }
  scope.walk.lambdaBytes += bytes;
  if (scope.walk.lambdaBytes > LAMBDA_BYTES_MAX)
    throw forbidden("the lambdas of the statement call too many functions for each element");
}

export function reducesByJoining(): Forbidden {
  return forbidden(
    "the lambda of list_reduce must not join texts or lists, which would copy the result so far for each element; " +
      "use array_to_string or flatten",
  );
}

export function addMade(walk: Walk, bytes: number): void {
  walk.made += bytes;
  if (walk.made > MADE_BYTES_MAX)
    throw forbidden(
      `the statement may make values of more than ${kib(MADE_BYTES_MAX)} KiB for each row, ` +
        "counted from the longest text that can be stored (4 KiB); use fewer functions that make texts or lists",
    );
}

function kib(bytes: number): string {
  return Number.isFinite(bytes) ? String(Math.ceil(bytes / 1_024)) : "unlimited";
}

/** Lower case as the engine compares names: ASCII letters only. */
export function lower(name: unknown): string {
  return String(name).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
