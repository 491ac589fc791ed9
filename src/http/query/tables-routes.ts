/**
 * `GET /api/v1/tables`: the tables that can be queried in SQL, with their number of rows and their columns. `match=`
 * selects some. JSON has all fields. The other formats of SQL have one line per table.
 */
import type { Labels } from "../../model/sample.ts";
import type { Formats } from "../../query/formats/all.ts";
import { type ListedTable, tableRows, tablesJson } from "../../query/sql/table-list.ts";
import { rejectUnknown } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { answer, chooseFormat } from "./query-answer.ts";

interface TablesDependencies {
  /** The tables that match a pattern, or all without a pattern, with only the series that have the labels if they are set. */
  tables(
    pattern: string | undefined,
    signal: AbortSignal,
    labels: Labels | undefined,
  ): Promise<readonly ListedTable[]>;
  readonly formats: Formats;
}

export const tablesRoutes = ({ tables, formats }: TablesDependencies) =>
  new Routes().on(
    "GET",
    "/api/v1/tables",
    { scope: "sql", bound: "narrows" },
    "lists the tables that a statement may read",
    async (request, _, { labels }) => {
      const query = queryOf(request.url);
      rejectUnknown(query, ["match", "format"]);
      const format = chooseFormat(query.get("format"), request.headers.get("accept"));
      const listed = await tables(query.get("match") ?? undefined, request.signal, labels);
      if (format === "json") {
        const headers = { "content-type": formats.json.contentType };
        return new Response(await tablesJson(listed), { headers });
      }
      return await answer(tableRows(listed), format, formats);
    },
  );
