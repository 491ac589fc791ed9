/**
 * The queries that run now, with a way to cancel them, and those that took long in the last hour. Paths and the forms of
 * answers are those of VictoriaMetrics (https://docs.victoriametrics.com/#active-queries), with further fields.
 *
 * A token sees and cancels its own queries, and one with the scope `admin` too sees all.
 */
import type { AccessToken } from "../../access/access-token.ts";
import { parseDurationMs } from "../../model/duration.ts";
import { NotFound, quote } from "../../model/errors.ts";
import { type ActiveQueries, type ListedQuery, type QueryCaller, sees } from "../../query/active-queries.ts";
import { LEAST_MS, LIFETIME_MS, TEXTS_MAX, type TimedQuery } from "../../query/query-durations.ts";
import { jsonResponse } from "../error-answers.ts";
import { readCount, rejectUnknown, wrongParameter } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";

interface ActiveQueriesDependencies {
  readonly queries: ActiveQueries;
  /** The caller whose request is being handled. */
  readonly caller: () => QueryCaller | undefined;
}

const TOP_N = 20;
const OWN = { scope: "read", bound: "narrows" } as const;
const UNSTORED = { "cache-control": "no-store" };

/** The caller of a query. Undefined if the gateway needs no token. */
export function queryCaller(token: AccessToken | undefined): QueryCaller | undefined {
  if (token === undefined) return undefined;
  const { id, name, scopes, labels } = token;
  return { id, name, isAdmin: scopes.includes("admin") && labels.size === 0 };
}

export const activeQueriesRoutes = ({ queries, caller }: ActiveQueriesDependencies) => {
  const active = (request: Request) => {
    rejectUnknown(queryOf(request.url), []);
    return jsonResponse(200, { status: "ok", data: queries.list(caller()).map(activeText) }, UNSTORED);
  };

  const cancel = (id: string) => {
    if (!queries.cancel(id, caller()))
      throw new NotFound(`No query ${quote(id)} runs that this token may cancel.`, "id");
    return jsonResponse(200, { status: "ok", id });
  };

  const top = (request: Request) => {
    const parameters = queryOf(request.url);
    rejectUnknown(parameters, ["topN", "maxLifetime"]);
    const most = readCount(parameters.get("topN"), "topN") ?? TOP_N;
    if (most > TEXTS_MAX) throw wrongParameter("topN", String(most), `at most ${TEXTS_MAX}`);
    const lifetimeMs = readLifetime(parameters.get("maxLifetime"));
    const viewer = caller();
    const found = queries.durations.list(lifetimeMs).filter((query) => sees(viewer, query));
    const by = (value: (query: TimedQuery) => number) =>
      found
        .toSorted((a, b) => value(b) - value(a))
        .slice(0, most)
        .map(timedText);
    const answer = {
      status: "ok",
      topN: String(most),
      maxLifetime: `${(lifetimeMs / 1000).toFixed(3)}s`,
      "search.queryStats.lastQueriesCount": TEXTS_MAX,
      "search.queryStats.minQueryDuration": `${LEAST_MS}ms`,
      topByCount: by(({ count }) => count),
      topByAvgDuration: by(({ sumMs, count }) => sumMs / count),
      topBySumDuration: by(({ sumMs }) => sumMs),
      topByMaxDuration: by(({ slowestMs }) => slowestMs),
    };
    return jsonResponse(200, answer, UNSTORED);
  };

  return new Routes(undefined, { isNoQuery: true })
    .on("GET", "/api/v1/status/active_queries", OWN, "lists the queries that run now", active)
    .on(
      "POST",
      "/api/v1/status/active_queries/:id/cancel",
      OWN,
      "cancels a query that runs",
      (_, { id = "" }) => cancel(id),
    )
    .on("GET", "/api/v1/status/top_queries", OWN, "lists the slowest and most frequent queries", top);
};

function activeText({ id, language, text, range, caller, isOfRule, ...state }: ListedQuery) {
  return {
    duration: `${(state.durationMs / 1000).toFixed(3)}s`,
    id,
    query: text,
    start: range?.startMs ?? state.askedMs,
    end: range?.endMs ?? state.askedMs,
    step: range?.stepMs ?? 0,
    language,
    state: state.state,
    caller: callerText(caller, isOfRule),
    asked: new Date(state.askedMs).toISOString(),
    rows: state.rows,
    series: state.series,
  };
}

function timedText({ language, text, caller, isOfRule, rangeMs, count, ...times }: TimedQuery) {
  return {
    query: text,
    timeRangeSeconds: Math.round(rangeMs / 1000),
    count,
    avgDurationSeconds: seconds(times.sumMs / count),
    sumDurationSeconds: seconds(times.sumMs),
    maxDurationSeconds: seconds(times.slowestMs),
    maxAsked: new Date(times.slowestAtMs).toISOString(),
    lastAsked: new Date(times.lastAtMs).toISOString(),
    language,
    caller: callerText(caller, isOfRule),
  };
}

/** The name of a token, `rules`, or null if nobody in particular asked. */
function callerText(caller: QueryCaller | undefined, isOfRule = false): string | null {
  return isOfRule ? "rules" : (caller?.name ?? null);
}

function seconds(ms: number): number {
  return Math.round(ms * 1000) / 1_000_000;
}

function readLifetime(text: string | null): number {
  if (text === null) return LIFETIME_MS;
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0 || ms > LIFETIME_MS)
    throw wrongParameter("maxLifetime", text, "a duration such as 10m, up to 1h");
  return ms;
}
