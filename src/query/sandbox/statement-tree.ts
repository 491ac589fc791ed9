/** Converts statements to syntax trees and back, with the engine's own parser. */
import { BadInput } from "../../model/errors.ts";
import type { SerializeAnswer } from "../../store/engine/statement-faults.ts";
import { statement } from "../../store/statements.ts";
import type { Node } from "./walk.ts";

/** The part of a connection that the sandbox uses. */
export interface Serializer {
  all<Row extends Record<string, unknown>>(sql: string, parameters?: readonly string[]): Promise<Row[]>;
}

export interface Serialized extends SerializeAnswer {
  readonly statements?: readonly Node[];
}

/** The tree of a text, without empty keys. */
export async function treeOf(reader: Serializer, sql: string): Promise<Serialized> {
  return parsed(await serialized(reader, statement("query/serialize"), sql));
}

/** The tree of a text with all its keys, and with all digits of each number. `textOf` needs such a tree. */
export async function wholeTreeOf(reader: Serializer, sql: string): Promise<Serialized> {
  return parsed(await serialized(reader, statement("query/serialize_whole"), sql), exact);
}

async function serialized(reader: Serializer, serialize: string, sql: string): Promise<string> {
  const rows = await reader.all<{ tree: string }>(serialize, [sql]);
  return rows[0]!.tree;
}

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

function parsed(tree: string, reviver?: Reviver): Serialized {
  try {
    return JSON.parse(tree, reviver as (key: string, value: unknown) => unknown) as Serialized;
  } catch {
    // The engine writes a number above the largest double as Infinity, which is not JSON.
    throw new BadInput("a number in the statement is too large for a DOUBLE", "sql");
  }
}

/** The standard API of JSON that keeps a number as it was written. */
const raw = JSON as unknown as {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
};

function exact(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  return typeof value === "number" && source !== undefined && String(value) !== source
    ? raw.rawJSON(source)
    : value;
}

/** Whether a value of a whole tree is a number that no double represents exactly. */
export function isExactNumber(value: unknown): boolean {
  return raw.isRawJSON(value);
}

/** The text of a whole tree. */
export async function textOf(reader: Serializer, tree: unknown): Promise<string> {
  const rows = await reader.all<{ text: string }>(statement("query/deserialize"), [JSON.stringify(tree)]);
  return rows[0]!.text;
}
