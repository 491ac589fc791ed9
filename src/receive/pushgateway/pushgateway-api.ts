/**
 * Pushgateway's other routes (https://github.com/prometheus/pushgateway#query-api): the groups and the status of the
 * gateway in JSON, and two routes that are disabled unless settings enable them: `PUT /api/v1/admin/wipe` deletes all
 * groups, and `PUT` or `POST /-/quit` stops the gateway. Pushgateway does not have `GET /api/v1/groups`.
 */
import { jsonResponse } from "../../http/error-answers.ts";
import { readCount, rejectUnknown, wrongParameter } from "../../http/parameters.ts";
import { Routes } from "../../http/routes.ts";
import { queryOf } from "../../http/url-text.ts";
import { NotFound } from "../../model/errors.ts";
import { inSlices } from "../../model/tasks/time-slices.ts";
import type { GroupTransactions } from "./groups/group-transactions.ts";
import type { Groups } from "./groups/groups.ts";

interface PushgatewayApiDependencies {
  readonly groups: Pick<Groups, "groups" | "json" | "times">;
  readonly transactions: Pick<GroupTransactions, "remove">;
  /** The content of `/api/v1/status`. */
  readonly status: {
    readonly build: Readonly<Record<string, string>>;
    readonly flags: () => Readonly<Record<string, string>>;
    readonly startedAt: Date;
  };
  readonly adminApi: boolean;
  /** Stops the gateway. Undefined if that is not allowed. */
  readonly quit?: () => void;
}

/** The most groups of an answer with their times: some two megabytes. */
const LISTED_MAX = 10_000;

/** Without Pushgateway's CORS header: pages of other origins may not read what is pushed. */
const HEADERS = {
  "content-type": "application/json",
  "cache-control": "no-cache, no-store, must-revalidate",
};

export const pushgatewayApiRoutes = ({
  groups,
  transactions,
  status,
  adminApi,
  quit,
}: PushgatewayApiDependencies) => {
  const app = new Routes()
    .on(
      "GET",
      "/api/v1/metrics",
      { scope: "read", bound: "narrows" },
      "lists all groups with their metrics",
      (_, __, { labels }) => listing(groups.json(labels)),
    )
    .on(
      "GET",
      "/api/v1/groups",
      { scope: "read", bound: "narrows" },
      "lists the groups with the times of their pushes",
      async (request, _, { labels }) => {
        const query = queryOf(request.url);
        rejectUnknown(query, ["limit"]);
        const limit = readCount(query.get("limit"), "limit") ?? LISTED_MAX;
        if (limit > LISTED_MAX) throw wrongParameter("limit", String(limit), `at most ${LISTED_MAX}`);
        return jsonResponse(200, await inSlices(groups.times(limit, labels)));
      },
    )
    .on("GET", "/api/v1/status", "read", "returns build, settings and start time", () => {
      const data = {
        build_information: status.build,
        flags: status.flags(),
        start_time: status.startedAt.toISOString(),
      };
      return new Response(`${JSON.stringify({ status: "success", data })}\n`, { headers: HEADERS });
    })
    .on(["PUT", "POST"], "/-/quit", "admin", "stops the gateway", () => quitting(quit));
  return app.on("PUT", "/api/v1/admin/wipe", "admin", "deletes all groups", async () => {
    // 404 as with Pushgateway, which then has no such route.
    if (!adminApi) throw new NotFound("Deleting all groups is disabled; --enable-admin-api enables it.");
    await transactions.remove(Array.from(groups.groups(), ({ key }) => key));
    return new Response(null, { status: 202 });
  });
};

async function listing(groups: Iterator<void, string[]>): Promise<Response> {
  const parts = await inSlices(groups);
  return new Response(`{"status":"success","data":[${parts.join(",")}]}\n`, { headers: HEADERS });
}

function quitting(quit: (() => void) | undefined): Response {
  const headers = { "content-type": "text/plain; charset=utf-8" };
  if (quit === undefined) {
    const how = "Start the gateway with --enable-lifecycle to allow it.";
    return new Response(`Lifecycle API is not enabled. ${how}`, { status: 403, headers });
  }
  // The answer is sent first: a listener that stops finishes requests in progress.
  setTimeout(quit, 0);
  return new Response("Requesting termination... Goodbye!", { headers });
}
