/**
 * The part of Prometheus's API that clients request before any query: version, settings and counts of series.
 */
import { DAY_MS } from "../../model/duration.ts";
import type { Labels } from "../../model/sample.ts";
import type { SeriesStatistics } from "../../query/promql/promql-queries.ts";
import { Routes } from "../routes.ts";
import { queryOf } from "../url-text.ts";
import { apiError, success } from "./prometheus-api-answer.ts";
import { readLimit } from "./prometheus-api-parameters.ts";

interface PrometheusStatusDependencies {
  readonly discovery: {
    statistics(most: number, labels: Labels | undefined): Promise<SeriesStatistics>;
    /** Stored series with the labels, and those of the days in which they may have samples. */
    stored(
      labels: Labels,
      days: readonly number[],
    ): Promise<{ readonly series: number; readonly days: readonly number[] }>;
  };
  /** The number of stored series, which may differ from the number of series in PromQL. */
  readonly seriesCount: () => number;
  /** The stored days, in days since the epoch. */
  readonly days: () => readonly { readonly day: number }[];
  /** Every setting by its flag without dashes, as it is written on a command line. */
  readonly flags: () => Readonly<Record<string, string>>;
  /** Every setting with its source and its description, in JSON. */
  readonly settings: () => readonly object[];
  readonly version: string;
  readonly retentionDays: number;
  readonly now: () => number;
}

/**
 * The release of Prometheus whose API and PromQL are supported. Grafana chooses its requests by it, for example label
 * values with match[].
 */
const PROMETHEUS_VERSION = "3.5.0";
/** Entries per list of the TSDB status: the default without `limit`, and the most. */
const TOP = 10;
const TOP_MAX = 10_000;
/** These routes return only what the series of the caller contain. */
const OWN = { scope: "read", bound: "narrows" } as const;
/** These routes return nothing that was pushed. */
const SAME = { scope: "read", bound: "same" } as const;
export const prometheusStatusRoutes = (deps: PrometheusStatusDependencies) => {
  const startTime = new Date(deps.now()).toISOString();
  return new Routes(apiError)
    .on("GET", "/api/v1/status/buildinfo", SAME, "returns the version", () =>
      success({
        version: PROMETHEUS_VERSION,
        revision: `weir-${deps.version}`,
        branch: "weir",
        buildUser: "",
        buildDate: "",
        goVersion: "",
      }),
    )
    .on("GET", "/api/v1/status/runtimeinfo", SAME, "returns start time and retention", () =>
      success({
        startTime,
        CWD: "",
        serverTime: new Date(deps.now()).toISOString(),
        reloadConfigSuccess: true,
        lastConfigTime: startTime,
        corruptionCount: 0,
        goroutineCount: 0,
        GOMAXPROCS: navigator.hardwareConcurrency,
        GOGC: "",
        GODEBUG: "",
        storageRetention: `${deps.retentionDays}d`,
      }),
    )
    .on("GET", "/api/v1/status/config", SAME, "returns an empty configuration, for Grafana", () =>
      success({ yaml: "# The settings in effect are at /api/v1/status/flags.\n" }),
    )
    .on("GET", "/api/v1/status/flags", "read", "lists the settings in effect", () => success(deps.flags()))
    .on(
      "GET",
      "/api/v1/status/settings",
      "read",
      "lists the settings with their sources and what they do",
      () => success({ settings: deps.settings() }),
    )
    .on("GET", "/api/v1/status/tsdb", OWN, "counts series and labels", async (request, _, { labels }) =>
      success(await tsdbStatus(deps, request.url, labels)),
    );
};

/** Counts of series and labels, the largest first. */
async function tsdbStatus(
  { discovery, seriesCount, days }: PrometheusStatusDependencies,
  url: string,
  labels: Labels | undefined,
): Promise<unknown> {
  const query = queryOf(url);
  const most = query.get("limit") ? Math.min(readLimit(query), TOP_MAX) : TOP;
  const { labelPairs, seriesByMetric, valuesByLabel, lengthByLabel, seriesByPair } =
    await discovery.statistics(most, labels);
  const all = { series: seriesCount(), days: days().map(({ day }) => day) };
  const stored = labels === undefined ? all : await discovery.stored(labels, all.days);
  return {
    headStats: {
      numSeries: stored.series,
      numLabelPairs: labelPairs,
      chunkCount: stored.days.length,
      minTime: (stored.days[0] ?? 0) * DAY_MS,
      maxTime: ((stored.days.at(-1) ?? -1) + 1) * DAY_MS,
    },
    seriesCountByMetricName: seriesByMetric,
    labelValueCountByLabelName: valuesByLabel,
    memoryInBytesByLabelName: lengthByLabel,
    seriesCountByLabelValuePair: seriesByPair,
  };
}
