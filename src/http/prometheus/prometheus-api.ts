/**
 * Prometheus's HTTP API for Grafana's data source, promtool and curl
 * (https://prometheus.io/docs/prometheus/latest/querying/api/). Every route supports GET and, as upstream, POST with
 * a form.
 */
import type { Caller } from "../../access/access.ts";
import { BadInput, quote } from "../../model/errors.ts";
import type { LabelQuery, Promql } from "../../query/promql/promql-queries.ts";
import type { LookedUp } from "../../query/upstream/joined-look-ups.ts";
import type { BodyLimits } from "../body.ts";
import { type RouteParameters, Routes } from "../routes.ts";
import { apiError, limited, listResponse, queryResponse, success } from "./prometheus-api-answer.ts";
import { asParameter, invalid, readLimit, readParameters, readTime } from "./prometheus-api-parameters.ts";
import { answerRange, readOptions, readShown } from "./range-queries.ts";

/** The part of src/query/promql that the API uses. */
interface PrometheusApiDependencies {
  readonly promql: Pick<Promql, "instant" | "range" | "format" | "tree" | "lookUps">;
  readonly limits: BodyLimits;
  readonly now: () => number;
}

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

  const range: Handler = (parameters, request, caller) => answerRange(promql, parameters, request, caller);

  const format: Handler = async (parameters, request) =>
    await queryResponse(
      await asParameter("query", () => promql.format(parameters.get("query") ?? "", request.signal)),
    );
  const syntaxTree: Handler = async (parameters, request) =>
    await queryResponse(
      await asParameter("query", () => promql.tree(parameters.get("query") ?? "", request.signal)),
    );

  const list = async (
    parameters: URLSearchParams,
    lookUp: () => Promise<LookedUp<readonly unknown[]>>,
  ): Promise<Response> => {
    const { found, warnings } = await asParameter("match[]", lookUp);
    const { items, notes } = limited(found, readLimit(parameters));
    return listResponse(items, { warnings: [...warnings, ...(notes.warnings ?? [])] });
  };
  const series: Handler = async (parameters, request, caller) => {
    if (!parameters.has("match[]")) throw new BadInput("no match[] parameter provided", "match[]");
    const query = readLabelQuery(parameters, request, caller);
    return await list(parameters, () => promql.lookUps.series(query));
  };
  const labels: Handler = async (parameters, request, caller) => {
    const query = readLabelQuery(parameters, request, caller);
    return await list(parameters, () => promql.lookUps.labelNames(query));
  };
  const labelValues = (name: string): Handler => {
    return async (parameters, request, caller) => {
      const label = unescapeName(name);
      if (label === "") throw new BadInput(`invalid label name: ${quote(name)}`, "name");
      const query = readLabelQuery(parameters, request, caller);
      return await list(parameters, () => promql.lookUps.labelValues(label, query));
    };
  };
  const metadata: Handler = async (parameters, request, caller) => {
    const perMetric = readCount(parameters, "limit_per_metric") || Number.POSITIVE_INFINITY;
    const metric = parameters.get("metric") || undefined;
    const { found, warnings } = await promql.lookUps.metadata(metric, caller.labels, request.signal);
    const items = [...found].slice(0, readCount(parameters, "limit"));
    return success(Object.fromEntries(items.map(([name, entries]) => [name, entries.slice(0, perMetric)])), {
      warnings,
    });
  };
  return new Routes(apiError)
    .on(["GET", "POST"], "/api/v1/query", OWN, "evaluates an expression at one time", route(instant))
    .on(["GET", "POST"], "/api/v1/query_range", OWN, "evaluates an expression over a range", route(range))
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
