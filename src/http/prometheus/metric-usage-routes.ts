/**
 * `GET /api/v1/status/metric_names_stats`, with the name and the shape of VictoriaMetrics: how often each metric was asked
 * for, and when it last was. Metrics that were asked for least come first, so that those that nobody needs are found.
 * https://docs.victoriametrics.com/victoriametrics/#track-ingested-metrics-usage
 */
import { BadInput } from "../../model/errors.ts";
import { sorting } from "../../model/tasks/sorting.ts";
import { inSlices } from "../../model/tasks/time-slices.ts";
import { jsonResponse } from "../error-answers.ts";
import { rejectUnknown, wrongParameter } from "../parameters.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { apiError } from "./prometheus-api-answer.ts";

interface MetricUsageDependencies {
  readonly asked: {
    /** Since when requests are counted, in milliseconds since the epoch. */
    readonly sinceMs: number;
    of(metric: string): { readonly count: number; readonly lastMs: number } | undefined;
  };
  /** All metrics that are stored. */
  readonly metrics: () => Iterable<{ readonly name: string; readonly prometheusName: string }>;
}

/** As upstream. */
const LIMIT_DEFAULT = 1_000;

export const metricUsageRoutes = ({ asked, metrics }: MetricUsageDependencies) =>
  new Routes(apiError).on(
    "GET",
    "/api/v1/status/metric_names_stats",
    "read",
    "says how often each metric was asked for, and when it last was",
    async (request) => {
      const query = queryOf(request.url);
      if (query.has("match_pattern"))
        throw new BadInput("match_pattern is not supported: select from the answer.", "match_pattern");
      rejectUnknown(query, ["limit", "le"]);
      const limit = wholeNumber(query, "limit") ?? LIMIT_DEFAULT;
      const most = wholeNumber(query, "le") ?? Number.POSITIVE_INFINITY;
      const records = Array.from(metrics(), ({ name, prometheusName }) => {
        const { count, lastMs } = asked.of(prometheusName) ?? { count: 0, lastMs: 0 };
        return {
          metricName: prometheusName,
          pushedAs: name,
          queryRequestsCount: count,
          lastQueryRequestTimestamp: Math.floor(lastMs / 1_000),
        };
      });
      const sorted = await inSlices(
        sorting(
          records.filter(({ queryRequestsCount }) => queryRequestsCount <= most),
          (a, b) =>
            a.queryRequestsCount - b.queryRequestsCount ||
            a.lastQueryRequestTimestamp - b.lastQueryRequestTimestamp ||
            (a.metricName < b.metricName ? -1 : 1),
        ),
      );
      return jsonResponse(200, {
        status: "success",
        statsCollectedSince: Math.floor(asked.sinceMs / 1_000),
        statsCollectedRecordsTotal: records.length,
        records: sorted.slice(0, limit),
      });
    },
  );

/** A whole number of at least 0. Undefined if absent or empty, as upstream. */
function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (!/^\d{1,15}$/.test(text)) throw wrongParameter(name, text, "a whole number of at least 0");
  return Number(text);
}
