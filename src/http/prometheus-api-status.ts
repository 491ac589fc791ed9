/**
 * The rest of Prometheus's API that clients look at before they ask anything: what this is, how it is set, how
 * much it holds. And the short paths that dashboards of orchestrators use.
 */
import { Elysia } from "elysia";
import type { LabelQuery } from "../query/promql/promql.ts";
import { success } from "./prometheus-api-answer.ts";

export interface PrometheusStatusDependencies {
  readonly discovery: {
    series(
      query: LabelQuery,
    ): readonly { get(name: string): string; entries(): Iterable<[string, string]> }[];
    labelValues(name: string, query: LabelQuery): readonly string[];
  };
  /** Series that are stored, whatever PromQL makes of them. */
  readonly seriesCount: () => number;
  /** The first and the last day that is stored, in days since the epoch. */
  readonly days: () => readonly { readonly day: number; readonly rows: number }[];
  /** Every setting by its flag without dashes, as it is written on a command line. */
  readonly flags: () => Readonly<Record<string, string>>;
  readonly version: string;
  readonly retentionDays: number;
  readonly now: () => number;
}

/**
 * The release of Prometheus whose API and PromQL this is. Grafana chooses by it what to ask for: label values
 * with match[], for one.
 */
const PROMETHEUS_VERSION = "3.5.0";
/** Entries of each list of the tsdb status. */
const TOP = 10;
const ALWAYS: LabelQuery = {
  selectors: [],
  startMs: Number.NEGATIVE_INFINITY,
  endMs: Number.POSITIVE_INFINITY,
};

export const prometheusStatusRoutes = (deps: PrometheusStatusDependencies) => {
  const startTime = new Date(deps.now()).toISOString();
  const raw = { parse: "none" } as const;
  return (
    new Elysia()
      .get(
        "/api/v1/status/buildinfo",
        () =>
          success({
            version: PROMETHEUS_VERSION,
            revision: `weir-${deps.version}`,
            branch: "weir",
            buildUser: "",
            buildDate: "",
            goVersion: "",
          }),
        raw,
      )
      .get(
        "/api/v1/status/runtimeinfo",
        () =>
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
        raw,
      )
      .get(
        "/api/v1/status/config",
        () => success({ yaml: "# The settings in effect are at /api/v1/status/flags.\n" }),
        raw,
      )
      .get("/api/v1/status/flags", () => success(deps.flags()), raw)
      .get("/api/v1/status/tsdb", () => success(tsdbStatus(deps)), raw)
      // No rules are run by the gateway; Grafana asks all the same.
      .get("/api/v1/rules", () => success({ groups: [] }), raw)
      .get("/api/v1/alerts", () => success({ alerts: [] }), raw)
      .get(
        "/api/metrics/services",
        () => {
          const values = ["service", "service_name", "job"].flatMap((label) => [
            ...deps.discovery.labelValues(label, ALWAYS),
          ]);
          return success([...new Set(values)].sort());
        },
        raw,
      )
      .get("/api/metrics/health", () => success({ status: "healthy" }), raw)
  );
};

/** Counts of series and labels, the largest first. */
function tsdbStatus({ discovery, seriesCount, days }: PrometheusStatusDependencies): unknown {
  const byMetric = new Map<string, number>();
  const byPair = new Map<string, number>();
  const valuesOf = new Map<string, Set<string>>();
  for (const series of discovery.series(ALWAYS)) {
    increment(byMetric, series.get("__name__"));
    for (const [name, value] of series.entries()) {
      increment(byPair, `${name}=${value}`);
      const values = valuesOf.get(name) ?? new Set();
      valuesOf.set(name, values.add(value));
    }
  }
  const stored = days();
  const values = new Map([...valuesOf].map(([name, { size }]) => [name, size]));
  const bytes = new Map(
    [...valuesOf].map(([name, all]) => [name, [...all].reduce((sum, value) => sum + value.length, 0)]),
  );
  return {
    headStats: {
      numSeries: seriesCount(),
      numLabelPairs: byPair.size,
      chunkCount: stored.length,
      minTime: (stored[0]?.day ?? 0) * 86_400_000,
      maxTime: ((stored.at(-1)?.day ?? -1) + 1) * 86_400_000,
    },
    seriesCountByMetricName: largest(byMetric),
    labelValueCountByLabelName: largest(values),
    memoryInBytesByLabelName: largest(bytes),
    seriesCountByLabelValuePair: largest(byPair),
  };
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function largest(counts: ReadonlyMap<string, number>): { name: string; value: number }[] {
  return [...counts]
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1))
    .slice(0, TOP);
}
