/**
 * Turns `url.upper()` into `upper(url)`. The parser stores the column as a schema, and the engine looks for a schema of
 * that name first. After the rewrite, the name can only mean a column.
 */
import { lower, type Node } from "./walk.ts";

/** The call with its column as the first argument; undefined if it is not a call on a column. */
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
