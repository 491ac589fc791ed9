/**
 * `GET /api/v1/dashboards`: the dashboards of the page, with the errors of files. `GET /api/v1/dashboards/NAME`: one of them as
 * JSON of Grafana. They contain questions and no samples, so a token with labels gets the same.
 */
import type { DashboardList, DashboardProblem, FoundDashboard } from "../../dashboards/dashboard-files.ts";
import { NotFound, quote, Unprocessable } from "../../model/errors.ts";
import { jsonResponse } from "../error-answers.ts";
import { Routes } from "../routes.ts";

interface DashboardsDependencies {
  readonly dashboards: {
    list(): Promise<DashboardList>;
    find(name: string): Promise<FoundDashboard | undefined>;
  };
}

const SAME = { scope: "read", bound: "same" } as const;

export const dashboardsRoutes = ({ dashboards }: DashboardsDependencies) =>
  new Routes()
    .on("GET", "/api/v1/dashboards", SAME, "lists the dashboards, with the errors of their files", async () =>
      jsonResponse(200, await dashboards.list()),
    )
    .on(
      "GET",
      "/api/v1/dashboards/:name",
      SAME,
      "returns a dashboard as JSON of Grafana",
      async (_, { name = "" }) => {
        const found = await dashboards.find(name);
        if (found === undefined)
          throw new NotFound(`There is no dashboard ${quote(name)}; /api/v1/dashboards lists them.`, "name");
        if ("problem" in found)
          throw new Unprocessable(`The dashboard cannot be read: ${problemOf(found.problem)}.`, "name");
        return new Response(found.json, { headers: { "content-type": "application/json; charset=utf-8" } });
      },
    );

function problemOf({ file, line, column, message }: DashboardProblem): string {
  return `${file}:${line}:${column}: ${message}`;
}
