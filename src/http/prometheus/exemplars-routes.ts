/**
 * `GET` and `POST /api/v1/query_exemplars`
 * (https://prometheus.io/docs/prometheus/latest/querying/api/#querying-exemplars): finds the slow tasks behind a slow
 * bucket.
 */
import type { Caller } from "../../access/access.ts";
import type { Labels } from "../../model/sample.ts";
import { ParseError } from "../../query/promql/query-errors.ts";
import type { SeriesExemplars } from "../../query/promql/exemplar-search.ts";
import { formatFloat } from "../../query/promql/promql-text.ts";
import type { BodyLimits } from "../body.ts";
import { type RouteParameters, Routes } from "../routes.ts";
import { apiError, success } from "./prometheus-api-answer.ts";
import { invalid, readParameters, readTime } from "./prometheus-api-parameters.ts";

interface ExemplarsDependencies {
  readonly exemplars: {
    find(
      text: string,
      startMs: number,
      endMs: number,
      signal: AbortSignal,
      labels: Labels | undefined,
    ): Promise<readonly SeriesExemplars[]>;
  };
  readonly limits: BodyLimits;
}

export const exemplarsRoutes = ({ exemplars, limits }: ExemplarsDependencies) => {
  const find = async (request: Request, _: RouteParameters, { labels }: Caller) => {
    const parameters = await readParameters(request, limits);
    const startMs = readTime(parameters, "start") ?? Number.NEGATIVE_INFINITY;
    const endMs = readTime(parameters, "end") ?? Number.POSITIVE_INFINITY;
    if (endMs < startMs) throw invalid("end", "end timestamp must not be before start time");
    try {
      const found = await exemplars.find(
        parameters.get("query") ?? "",
        startMs,
        endMs,
        request.signal,
        labels,
      );
      return success(found.map(answerOf));
    } catch (error) {
      if (error instanceof ParseError) throw invalid("query", error.message);
      throw error;
    }
  };
  return new Routes(apiError).on(
    ["GET", "POST"],
    "/api/v1/query_exemplars",
    { scope: "read", bound: "narrows" },
    "returns the exemplars of the series of an expression",
    find,
  );
};

function answerOf({ seriesLabels, exemplars }: SeriesExemplars): unknown {
  return {
    seriesLabels,
    exemplars: exemplars.map(({ labels, value, timestampMs }) => ({
      labels,
      value: formatFloat(value),
      timestamp: timestampMs / 1000,
    })),
  };
}
