/** Makes a query's result of rows in memory, so that every format of an answer can print them. */
import type { Cell, ResultColumn } from "../../store/store.ts";
import type { QueryResult } from "./sql-engine.ts";

export function givenRows(columns: readonly ResultColumn[], rows: readonly (readonly Cell[])[]): QueryResult {
  let given = rows.length === 0;
  return {
    columns,
    limitRows: rows.length,
    truncated: false,
    async next() {
      if (given) return undefined;
      given = true;
      return rows;
    },
    async close() {},
  };
}
