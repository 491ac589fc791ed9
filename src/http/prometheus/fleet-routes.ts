/**
 * One question to all gateways of `--peers`: PromQL at `/api/v1/fleet/query` and `/api/v1/fleet/query_range`, with the parameters of
 * Prometheus's API, and SQL at `/api/v1/fleet/sql`, with those of `/api/v1/sql`. The gateways check the question. A token with labels
 * gets 403: the gateways would answer with the series that this gateway's own tokens may read.
 */
import { NotFound } from "../../model/errors.ts";
import type { Fleet } from "../../query/fleet/fleet-questions.ts";
import { type BodyLimits, readBody, routeBodyLimits } from "../body.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { apiError, longListResponse } from "./prometheus-api-answer.ts";
import { asParameter, invalid, readDuration, readParameters } from "./prometheus-api-parameters.ts";

interface FleetDependencies {
  readonly fleet: Pick<Fleet, "names" | "series" | "rows">;
  readonly limits: BodyLimits;
  readonly now: () => number;
}

/** As for `/api/v1/sql`. */
const BODY_BYTES_MAX = 1_048_576;

export const fleetRoutes = ({ fleet, limits, now }: FleetDependencies) => {
  const requirePeers = () => {
    if (fleet.names.length === 0) throw new NotFound("this gateway has no fleet: set --peers");
  };
  const promql = (path: "/api/v1/query" | "/api/v1/query_range") => async (request: Request) => {
    requirePeers();
    const parameters = await readParameters(request, limits);
    if (!parameters.get("query")) throw invalid("query", "it is missing");
    const timeoutMs = readDuration(parameters, "timeout");
    if (timeoutMs !== undefined && timeoutMs <= 0)
      throw invalid("timeout", "expected a duration greater than 0");
    const isRange = path === "/api/v1/query_range";
    // The same time for all gateways.
    if (!isRange && !parameters.get("time")) parameters.set("time", (now() / 1000).toFixed(3));
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const asked = { path, headers, body: parameters.toString() };
    const { data, status, warnings, infos, peers } = await asParameter("query", () =>
      fleet.series(asked, isRange, { signal: request.signal, timeoutMs }),
    );
    const notes = JSON.stringify({ warnings, infos, peers }).slice(1, -1);
    return longListResponse(
      `{"status":"${status}","data":{"resultType":"${data.resultType}","result":[`,
      data.result,
      `]},${notes}}\n`,
    );
  };
  const sql = async (request: Request) => {
    requirePeers();
    const query = queryOf(request.url);
    query.set("format", "json");
    const path = `/api/v1/sql?${query}`;
    const isPost = request.method === "POST";
    const body = isPost ? await readBody(request, routeBodyLimits(limits, BODY_BYTES_MAX)) : undefined;
    const type = request.headers.get("content-type");
    const headers: Record<string, string> = type === null ? {} : { "content-type": type };
    const asked = {
      ...{ path, headers },
      body: body === undefined ? "" : new Uint8Array(body),
    };
    const { columns, rows, truncated, warnings, peers } = await fleet.rows(asked, { signal: request.signal });
    const notes = JSON.stringify({ truncated, warnings, peers }).slice(1);
    return longListResponse(`{"columns":${JSON.stringify(columns)},"rows":[`, rows, `],${notes}\n`);
  };
  return new Routes(apiError)
    .on(
      ["GET", "POST"],
      "/api/v1/fleet/query",
      "read",
      "evaluates an expression on all peers",
      promql("/api/v1/query"),
    )
    .on(
      ["GET", "POST"],
      "/api/v1/fleet/query_range",
      "read",
      "evaluates an expression over a range on all peers",
      promql("/api/v1/query_range"),
    )
    .on(["GET", "POST"], "/api/v1/fleet/sql", "sql", "runs a read-only SQL statement on all peers", sql);
};
