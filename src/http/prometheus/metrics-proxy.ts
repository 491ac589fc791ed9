/**
 * The paths of a query proxy for dashboards of services: `/api/metrics/query_range` and `/api/metrics/services`, with the
 * errors of that proxy beside those of Prometheus's API. `/api/metrics/health` is in src/http/health.ts.
 */
import type { RequestError } from "../../model/errors.ts";
import type { LabelQuery, Promql } from "../../query/promql/promql-queries.ts";
import { QueryError } from "../../query/promql/query-errors.ts";
import type { BodyLimits } from "../body.ts";
import { jsonResponse } from "../error-answers.ts";
import { Routes } from "../routes.ts";
import { errorResponse } from "./prometheus-api-answer.ts";
import { readParameters } from "./prometheus-api-parameters.ts";
import { answerRange } from "./range-queries.ts";

interface MetricsProxyDependencies {
  readonly promql: Pick<Promql, "range" | "lookUps">;
  readonly limits: BodyLimits;
}

/** The default step: the scrape interval of the services. */
const STEP_MS = 15_000;
const NEEDED = ["query", "start", "end"] as const;
/** These routes return only what the series of the caller contain. */
const OWN = { scope: "read", bound: "narrows" } as const;
const ALWAYS: LabelQuery = {
  selectors: [],
  startMs: Number.NEGATIVE_INFINITY,
  endMs: Number.POSITIVE_INFINITY,
};

/** A parameter is missing. The proxy answers that with 422, and a list of what is missing. */
class ParameterMissing extends QueryError {
  override readonly errorType = "bad_data";
  override readonly status = 422;
  override readonly code = "bad_input";
}

export const metricsProxyRoutes = ({ promql, limits }: MetricsProxyDependencies) =>
  new Routes(proxyError)
    .on(
      ["GET", "POST"],
      "/api/metrics/query_range",
      OWN,
      "evaluates an expression over a range, with a default step",
      async (request, _, caller) => {
        const parameters = await readParameters(request, limits);
        const missing = NEEDED.find((name) => !parameters.has(name));
        if (missing !== undefined)
          throw new ParameterMissing(`invalid parameter "${missing}": it is missing`, missing);
        const rules = { defaultStepMs: STEP_MS, needsUpstream: true };
        return await answerRange(promql, parameters, request, caller, rules);
      },
    )
    // A bare list, as dashboards expect it. The services of `*_service_info` are among the values of the label.
    .on(
      "GET",
      "/api/metrics/services",
      OWN,
      "lists the names of the services",
      async ({ signal }, _, { labels }) => {
        const { found } = await promql.lookUps.labelValues("service", { ...ALWAYS, labels, signal });
        return jsonResponse(200, found);
      },
    );

/** The error of Prometheus's API, with the field `detail` of the proxy: a sentence, or what is missing. */
function proxyError(error: RequestError): Response {
  const missing = { type: "missing", loc: ["query", error.field], msg: "Field required", input: null };
  return errorResponse(error, { detail: error instanceof ParameterMissing ? [missing] : error.message });
}
