/** `GET /api/v1/tables`: which tables can be asked in SQL, and what their columns are. */
import { Elysia } from "elysia";
import type { Table } from "../query/tables.ts";
import { jsonResponse } from "./errors.ts";

export interface TablesDependencies {
  tables(): readonly Table[] | Promise<readonly Table[]>;
}

export const tablesRoutes = ({ tables }: TablesDependencies) =>
  new Elysia().get("/api/v1/tables", async () => jsonResponse(200, { tables: await tables() }), {
    parse: "none",
  });
