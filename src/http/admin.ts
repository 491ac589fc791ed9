/**
 * Prometheus's admin API (https://prometheus.io/docs/prometheus/latest/querying/api/#tsdb-admin-apis), off unless a
 * setting allows it: deletion of samples. There are no tombstones to clean, since the rows go at once.
 */
import { Elysia } from "elysia";
import { Forbidden } from "../errors.ts";
import { ParseError } from "../query/promql/errors.ts";
import type { Matcher } from "../query/promql/matchers.ts";
import { parseSelector } from "../query/promql/promql.ts";
import type { BodyLimits } from "./body.ts";
import { inApiFormat } from "./prometheus-api-answer.ts";
import { invalid, readParameters, readTime } from "./prometheus-api-parameters.ts";

export interface AdminDependencies {
  /** Deletes what selectors find from `fromUs` to `toUs`, both included. */
  readonly deleteSamples: (
    selectors: readonly (readonly Matcher[])[],
    fromUs: number,
    toUs: number,
  ) => Promise<unknown>;
  readonly enabled: boolean;
  readonly limits: BodyLimits;
}

export const adminRoutes = ({ deleteSamples, enabled, limits }: AdminDependencies) => {
  const route =
    (work: (request: Request) => Promise<void>) =>
    ({ request }: { request: Request }) =>
      inApiFormat(async () => {
        if (!enabled) throw new Forbidden("admin APIs disabled");
        await work(request);
        return new Response(null, { status: 204 });
      });
  const deleteSeries = route(async (request) => {
    const parameters = await readParameters(request, limits);
    const selectors = parameters.getAll("match[]").map(readSelector);
    if (selectors.length === 0) throw invalid("match[]", "no match[] parameter provided");
    const startMs = readTime(parameters, "start") ?? Number.NEGATIVE_INFINITY;
    const endMs = readTime(parameters, "end") ?? Number.POSITIVE_INFINITY;
    if (endMs < startMs) throw invalid("end", "end timestamp must not be before start time");
    // A time in milliseconds means all of it.
    await deleteSamples(selectors, startMs * 1000, endMs * 1000 + 999);
  });
  const cleanTombstones = route(async () => {});
  const raw = { parse: "none" } as const;
  return new Elysia()
    .post("/api/v1/admin/tsdb/delete_series", deleteSeries, raw)
    .put("/api/v1/admin/tsdb/delete_series", deleteSeries, raw)
    .post("/api/v1/admin/tsdb/clean_tombstones", cleanTombstones, raw)
    .put("/api/v1/admin/tsdb/clean_tombstones", cleanTombstones, raw);
};

function readSelector(text: string): readonly Matcher[] {
  try {
    return parseSelector(text);
  } catch (error) {
    if (error instanceof ParseError) throw invalid("match[]", error.message);
    throw error;
  }
}
