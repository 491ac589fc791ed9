/**
 * Prometheus's HTTP API for Grafana's data source, promtool and curl
 * (https://prometheus.io/docs/prometheus/latest/querying/api/). Every route supports GET and, as upstream, POST with
 * a form.
 */
import type { Caller } from "../../access/access.ts";
import { BadInput, Forbidden, quote } from "../../model/errors.ts";
import type { CallerOptions, LabelQuery, Promql } from "../../query/promql/promql-queries.ts";
import type { Shown } from "../../query/promql/worker/messages.ts";
import type { BodyLimits } from "../body.ts";
import { type RouteParameters, Routes } from "../routes.ts";
import { apiError, limited, listResponse, queryResponse, success } from "./prometheus-api-answer.ts";
import {
  asParameter,
  invalid,
  readDuration,
  readLimit,
  readParameters,
  readTime,
} from "./prometheus-api-parameters.ts";

/** The part of src/query/promql that the API uses. */
interface PrometheusApiDependencies {
  readonly promql: Pick<Promql, "instant" | "range" | "format" | "tree" | "discovery">;
  readonly limits: BodyLimits;
  readonly now: () => number;
}

/** Steps of a range query: upstream's limit, one point per pixel of a very wide screen. */
const STEPS_MAX = 11_000;
/** The default step of /api/metrics/query_range: the scrape interval of its services. */
const PROXIED_STEP_MS = 15_000;

type Handler = (parameters: URLSearchParams, request: Request, caller: Caller) => Promise<Response>;

/** These routes return only what the series of the caller contain. */
const OWN = { scope: "read", bound: "narrows" } as const;
/** These routes return nothing that was pushed. */
const SAME = { scope: "read", bound: "same" } as const;

export const prometheusApiRoutes = ({ promql, limits, now }: PrometheusApiDependencies) => {
  const route = (handler: Handler) => async (request: Request, _: RouteParameters, caller: Caller) =>
    handler(await readParameters(request, limits), request, caller);

  const instant: Handler = async (parameters, request, caller) => {
    const timeMs = readTime(parameters, "time") ?? now();
    const text = parameters.get("query") ?? "";
    const answer = await asParameter("query", () =>
      promql.instant(text, timeMs, readShown(parameters, caller), readOptions(parameters, request, caller)),
    );
    return await queryResponse(answer);
  };

  const range = async (
    parameters: URLSearchParams,
    request: Request,
    caller: Caller,
    defaultStepMs?: number,
  ) => {
    const startMs = readTime(parameters, "start");
    const endMs = readTime(parameters, "end");
    const stepMs = readDuration(parameters, "step") ?? defaultStepMs;
    if (startMs === undefined) throw invalid("start", "it is missing");
    if (endMs === undefined) throw invalid("end", "it is missing");
    if (stepMs === undefined) throw invalid("step", "it is missing");
    if (endMs < startMs) throw invalid("end", "end timestamp must not be before start time");
    if (stepMs <= 0) {
      throw invalid(
        "step",
        "zero or negative query resolution step widths are not accepted. Try a positive integer",
      );
    }
    if ((endMs - startMs) / stepMs > STEPS_MAX) {
      throw new BadInput(
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        "step",
      );
    }
    const text = parameters.get("query") ?? "";
    const times = { startMs, endMs, stepMs: wholeMs(stepMs) };
    const answer = await asParameter("query", () =>
      promql.range(text, times, readShown(parameters, caller), readOptions(parameters, request, caller)),
    );
    return await queryResponse(answer);
  };

  const proxiedRange: Handler = (parameters, request, caller) =>
    range(parameters, request, caller, PROXIED_STEP_MS);

  const format: Handler = async (parameters, request) =>
    await queryResponse(
      await asParameter("query", () => promql.format(parameters.get("query") ?? "", request.signal)),
    );
  const syntaxTree: Handler = async (parameters, request) =>
    await queryResponse(
      await asParameter("query", () => promql.tree(parameters.get("query") ?? "", request.signal)),
    );

  const series: Handler = async (parameters, request, caller) => {
    if (!parameters.has("match[]")) throw new BadInput("no match[] parameter provided", "match[]");
    const query = readLabelQuery(parameters, request, caller);
    const found = await asParameter("match[]", () => promql.discovery.series(query));
    const { items, notes } = limited(found, readLimit(parameters));
    return listResponse(items, notes);
  };
  const labels: Handler = async (parameters, request, caller) => {
    const query = readLabelQuery(parameters, request, caller);
    const found = await asParameter("match[]", () => promql.discovery.labelNames(query));
    const { items, notes } = limited(found, readLimit(parameters));
    return listResponse(items, notes);
  };
  const labelValues = (name: string): Handler => {
    return async (parameters, request, caller) => {
      const label = unescapeName(name);
      if (label === "") throw new BadInput(`invalid label name: ${quote(name)}`, "name");
      const query = readLabelQuery(parameters, request, caller);
      const found = await asParameter("match[]", () => promql.discovery.labelValues(label, query));
      const { items, notes } = limited(found, readLimit(parameters));
      return listResponse(items, notes);
    };
  };
  const metadata: Handler = async (parameters, _, caller) => {
    const perMetric = readCount(parameters, "limit_per_metric") || Number.POSITIVE_INFINITY;
    const found = [
      ...(await promql.discovery.metadata(parameters.get("metric") || undefined, caller.labels)),
    ];
    const items = found.slice(0, readCount(parameters, "limit"));
    return success(Object.fromEntries(items.map(([name, entries]) => [name, entries.slice(0, perMetric)])));
  };
  return new Routes(apiError)
    .on(["GET", "POST"], "/api/v1/query", OWN, "evaluates an expression at one time", route(instant))
    .on(["GET", "POST"], "/api/v1/query_range", OWN, "evaluates an expression over a range", route(range))
    .on(
      ["GET", "POST"],
      "/api/metrics/query_range",
      OWN,
      "evaluates an expression over a range, with a default step",
      route(proxiedRange),
    )
    .on(["GET", "POST"], "/api/v1/format_query", SAME, "formats an expression", route(format))
    .on(
      ["GET", "POST"],
      "/api/v1/parse_query",
      SAME,
      "returns the syntax tree of an expression",
      route(syntaxTree),
    )
    .on(["GET", "POST"], "/api/v1/series", OWN, "lists the series that selectors select", route(series))
    .on(["GET", "POST"], "/api/v1/labels", OWN, "lists the names of labels", route(labels))
    .on("GET", "/api/v1/label/:name/values", OWN, "lists the values of a label", (request, params, caller) =>
      route(labelValues(params.name))(request, params, caller),
    )
    .on("GET", "/api/v1/metadata", OWN, "returns type, help and unit of each metric", route(metadata));
};

function readShown(parameters: URLSearchParams, { labels }: Caller): Shown {
  const explain = parameters.get("explain") === "true";
  // It names the days in which anything is stored.
  if (explain && labels !== undefined)
    throw new Forbidden("explain=true is not supported for a token with labels");
  return { limit: readLimit(parameters), stats: Boolean(parameters.get("stats")), explain };
}

function readOptions(parameters: URLSearchParams, request: Request, { labels }: Caller): CallerOptions {
  const promqlTimeoutMs = readDuration(parameters, "timeout");
  const lookbackMs = readDuration(parameters, "lookback_delta");
  for (const [name, value] of Object.entries({ timeout: promqlTimeoutMs, lookback_delta: lookbackMs })) {
    if (value !== undefined && value <= 0) throw invalid(name, "expected a duration greater than 0");
  }
  return {
    promqlTimeoutMs: promqlTimeoutMs && wholeMs(promqlTimeoutMs),
    lookbackMs: lookbackMs && wholeMs(lookbackMs),
    signal: request.signal,
    labels,
  };
}

/** A duration above 0 in whole milliseconds: one at the least. */
function wholeMs(durationMs: number): number {
  return Math.max(1, Math.round(durationMs));
}

/** A count for metadata. Absent or below 0 means no limit, as upstream; 0 means no entries. */
function readCount(parameters: URLSearchParams, name: string): number {
  const text = parameters.get(name) || "-1";
  const count = Number(text);
  if (!Number.isSafeInteger(count)) throw new BadInput(`${name} must be a number`, name);
  return count < 0 ? Number.POSITIVE_INFINITY : count;
}

function readLabelQuery(parameters: URLSearchParams, { signal }: Request, { labels }: Caller): LabelQuery {
  const startMs = readTime(parameters, "start") ?? Number.NEGATIVE_INFINITY;
  const endMs = readTime(parameters, "end") ?? Number.POSITIVE_INFINITY;
  if (endMs < startMs) throw invalid("end", "end timestamp must not be before start time");
  return { selectors: parameters.getAll("match[]"), startMs, endMs, labels, signal };
}

/** Upstream's escape for names that a path cannot contain: `U__http_2e_method` is `http.method`. */
function unescapeName(name: string): string {
  if (!name.startsWith("U__")) return name;
  return name
    .slice(3)
    .replace(/__|_([0-9a-fA-F]{1,6})_/g, (_, hex) =>
      hex === undefined ? "_" : String.fromCodePoint(Math.min(0x10ffff, Number.parseInt(hex, 16))),
    );
}
