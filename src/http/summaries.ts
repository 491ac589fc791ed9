/**
 * `GET /api/v1/summaries` lists the summaries with their parameters; `GET /api/v1/summaries/NAME` runs one and
 * answers in the formats of SQL. Besides its own parameters each takes `format`, `limit` and `timeoutMs`.
 */
import { Elysia } from "elysia";
import { BadInput } from "../errors.ts";
import type { Formats } from "../query/formats/all.ts";
import type { QueryResult } from "../query/sql.ts";
import type { RunOptions, SummaryDescription } from "../query/summaries.ts";
import { jsonResponse } from "./errors.ts";
import { answer, chooseFormat, readLimits } from "./query-answer.ts";

export interface SummariesDependencies {
  readonly summaries: {
    list(): readonly SummaryDescription[];
    run(name: string, parameters: ReadonlyMap<string, string>, options: RunOptions): Promise<QueryResult>;
  };
  readonly formats: Formats;
}

const OF_ALL: readonly string[] = ["format", "limit", "timeoutMs"];

export const summariesRoutes = ({ summaries, formats }: SummariesDependencies) =>
  new Elysia()
    .get("/api/v1/summaries", () => jsonResponse(200, { summaries: summaries.list() }), { parse: "none" })
    .get(
      "/api/v1/summaries/:name",
      async ({ request, params }) => {
        const query = new URL(request.url).searchParams;
        const format = chooseFormat(query.get("format"), request.headers.get("accept"));
        const own = new Map<string, string>();
        for (const [name, value] of query) {
          if (OF_ALL.includes(name)) continue;
          if (own.has(name)) throw new BadInput(`${name} is given twice; expected one value.`, name);
          own.set(name, value);
        }
        const result = await summaries.run(params.name, own, {
          ...readLimits(query),
          asLines: format === "lines",
          signal: request.signal,
        });
        return await answer(result, format, formats);
      },
      { parse: "none" },
    );
