/** The columns of tables with their types, as `.schema` prints them: a line per table. */
import { accepted, type Send } from "../client.ts";

interface TableSchema {
  readonly table: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** No table has such a name. */
export class NoSuchTable extends Error {
  override readonly name = "NoSuchTable";
}

/**
 * Throws `NoSuchTable` if no table has such a name.
 *
 * @param pattern a name, a part of one, or a pattern such as `http*`. Empty for all tables
 */
export async function schemaText(pattern: string, send: Send): Promise<string> {
  const match = pattern === "" ? [] : [["match", pattern] as const];
  const response = await accepted(await send("/api/v1/tables", { query: [["format", "json"], ...match] }));
  const { tables } = (await response.json()) as { tables: readonly TableSchema[] };
  if (tables.length === 0 && pattern !== "")
    throw new NoSuchTable(`There is no table ${JSON.stringify(pattern)}; .tables lists them.`);
  const named = tables.filter(({ table }) => table === pattern);
  return (named.length > 0 ? named : tables)
    .map(
      ({ table, columns }) => `${table}(${columns.map(({ name, type }) => `${name} ${type}`).join(", ")})\n`,
    )
    .join("");
}
