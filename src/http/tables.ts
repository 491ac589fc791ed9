/** `GET /api/v1/tables`: which tables can be asked in SQL, and what their columns are. */
import { Elysia } from "elysia";
import { jsonResponse } from "./errors.ts";

/** A table (a view) as people query it. */
export interface TableDescription {
  /** Its name in SQL: `http_request_duration_ms`. */
  readonly table: string;
  /** The metric that it shows, as pushed; absent for `samples`, `series` and the like. */
  readonly metric?: string;
  readonly kind?: string;
  readonly unit?: string;
  readonly help?: string;
  readonly columns: readonly TableColumn[];
}

export interface TableColumn {
  readonly name: string;
  /** DuckDB's type: `TIMESTAMP`, `DOUBLE`, `VARCHAR` … */
  readonly type: string;
  /** The tag that it shows, as pushed. */
  readonly tag?: string;
}

export interface TablesDependencies {
  tables(): readonly TableDescription[] | Promise<readonly TableDescription[]>;
}

export const tablesRoutes = ({ tables }: TablesDependencies) =>
  new Elysia().get("/api/v1/tables", async () => jsonResponse(200, { tables: await tables() }), {
    parse: "none",
  });
