/**
 * What the walks over queries (syntax.ts) and expressions (expressions.ts) share: the scope at a place of the
 * tree, the measures, and the checks that refuse what is not known.
 */
import { Forbidden, quote } from "../errors.ts";
import type { Node } from "./allowed-functions.ts";

/** Levels of a statement's tree; people nest some 20. */
const DEPTH_MAX = 150;
/** How many times larger than a stored value (4 KiB) one may become: 2,048 rows of it are then 64 MiB. */
const GROWTH_MAX = 8;

/** What people may name in FROM. */
export interface Catalog {
  /** How many columns the table has, or undefined when there is none of that name (lower case). */
  columnsOf(table: string): number | undefined;
}

/** What a query or a table comes to. */
export interface Measure {
  readonly columns: number;
  readonly tables: number;
  readonly growth: number;
}

/** What is known at a place of the tree. */
export interface Scope {
  readonly walk: Walk;
  /** Common table expressions in scope, by their names in lower case. */
  readonly ctes: ReadonlyMap<string, Measure>;
  /** Columns and growth of what columns may refer to here. */
  readonly columns: number;
  readonly growth: number;
}

/** What is the same for the whole statement. */
export interface Walk {
  readonly catalog: Catalog;
  readonly tables: Set<string>;
  depth: number;
  /** Walks a subquery: syntax.ts knows how, and expressions hold such. */
  readonly subquery: (select: Node, scope: Scope) => Measure;
  /** Tables that subqueries in expressions added to the query being walked. */
  extraTables: number;
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

/** Throws when values may become too large; gives the growth back. */
export function boundedGrowth(growth: number): number {
  if (growth > GROWTH_MAX)
    throw new Forbidden(`the statement joins values to one more than ${GROWTH_MAX} times as large`, "sql");
  return growth;
}

/** Names as the engine compares them: without regard to the case of ASCII letters. */
export function lower(name: unknown): string {
  return String(name).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
