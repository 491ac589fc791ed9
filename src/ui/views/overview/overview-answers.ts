/**
 * What the overview asks. Each request costs the gateway as much as the samples that it reads, so the ranges are short if
 * much arrives, and `useLive` asks less often if answers take long.
 */
import { askJson, askPrometheus, askSummary } from "../../api/gateway-api.ts";

/** A row of the summary `workers`. */
export interface WorkerRow {
  readonly job: string;
  readonly instance: string;
  readonly last: string;
  readonly samples: number;
  readonly metrics: number;
}

/** A row of the summary `traffic`. */
export interface TrafficRow {
  readonly metric: string;
  readonly kind: "observation" | "delta";
  readonly samples: number;
  readonly per_second: number;
  readonly failed: number | null;
  readonly failed_percent: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly parts: readonly {
    readonly part: number;
    readonly samples: number;
    readonly failed: number;
    readonly p95: number | null;
  }[];
}

/** What arrived: workers in the last `windowS` seconds, and traffic in the last `trafficS`. */
export interface Arrivals {
  readonly windowS: number;
  readonly trafficS: number;
  readonly workers: readonly WorkerRow[];
  readonly traffic: readonly TrafficRow[];
}

const WINDOWS_S = [1, 3, 10, 60, 300, 900, 3_600];
const PROBE_S = 10;
/** About how many samples a refresh may read: quantiles cost more than counts. */
const SAMPLES_COUNTED = 500_000;
const SAMPLES_SORTED = 100_000;

let perSecond: number | undefined;

/** The workers and metrics of a range that is shorter the more arrives. */
export async function askArrivals(signal: AbortSignal): Promise<Arrivals> {
  const workersOf = (seconds: number) => askSummary<WorkerRow>("workers", { from: `-${seconds}s` }, signal);
  perSecond ??= rateOf(await workersOf(PROBE_S), PROBE_S);
  // Workers push every few seconds, so a shorter range would miss some.
  const windowS = Math.max(PROBE_S, windowOf(perSecond, SAMPLES_COUNTED));
  const trafficS = Math.min(windowS, windowOf(perSecond, SAMPLES_SORTED));
  const [workers, traffic] = await Promise.all([
    workersOf(windowS),
    askSummary<TrafficRow>("traffic", { from: `-${trafficS}s` }, signal),
  ]);
  perSecond = rateOf(workers, windowS);
  return { windowS, trafficS, workers, traffic };
}

function rateOf(workers: readonly WorkerRow[], seconds: number): number {
  return workers.reduce((sum, { samples }) => sum + samples, 0) / seconds;
}

function windowOf(rate: number, samplesMax: number): number {
  return WINDOWS_S.findLast((each) => each * rate <= samplesMax) ?? WINDOWS_S[0]!;
}

export interface InstantSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

const MACHINE_METRICS = [
  ...["node_load1", "node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"],
  ...["node_filesystem_avail_bytes", "node_filesystem_size_bytes"],
  ...["gpu_utilization_ratio", "gpu_memory_used_bytes", "gpu_memory_total_bytes"],
  ...["gpu_power_watts", "gpu_power_limit_watts", "gpu_temperature_celsius"],
  ...["weir_last_push_timestamp_seconds", "weir_store_disk_free_bytes"],
];

/** The newest value of each gauge of machines, cards and pushes: one request for all of them. */
export async function askGauges(signal: AbortSignal): Promise<readonly InstantSeries[]> {
  const query = `{__name__=~"${MACHINE_METRICS.join("|")}"}`;
  return (
    await askPrometheus<{ result: InstantSeries[] }>("/api/v1/query", { parameters: { query }, signal })
  ).result;
}

export interface TrendSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
}

const TRENDS = {
  cpu: '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[2m]))',
  memory:
    "1 - sum by (instance) (node_memory_MemAvailable_bytes) / sum by (instance) (node_memory_MemTotal_bytes)",
  gpu: "max by (gpu, instance) (gpu_utilization_ratio)",
  accepted: 'sum (rate(weir_samples_accepted_total{protocol!~"own|sampler"}[2m]))',
};

/** Half an hour of what machines and cards do, with the label `trend`: one request for all of them. */
export async function askTrends(signal: AbortSignal): Promise<readonly TrendSeries[]> {
  const query = Object.entries(TRENDS)
    .map(([name, expr]) => `label_replace(${expr}, "trend", "${name}", "", "")`)
    .join(" or ");
  const end = Math.floor(Date.now() / 1_000);
  const parameters = { query, start: end - 1_800, end, step: 60 };
  return (await askPrometheus<{ result: TrendSeries[] }>("/api/v1/query_range", { parameters, signal }))
    .result;
}

/** A row of the summary `forecast`. */
export interface ForecastRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly days_left: number | null;
}

/** When each disk is full, by the last six hours. */
export const askForecast = (signal: AbortSignal) =>
  askSummary<ForecastRow>(
    "forecast",
    { metric: "node_filesystem_avail_bytes", reaches: 0, from: "-6h" },
    signal,
  );

export interface OverviewAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
  readonly activeAt: string;
}

export const askAlerts = async (signal: AbortSignal) =>
  (await askPrometheus<{ alerts: OverviewAlert[] }>("/api/v1/alerts", { signal })).alerts;

export interface RejectedRow {
  readonly receivedAt: string;
  readonly cause?: string;
  readonly instance: string;
  readonly protocol: string;
  readonly reason: string;
}

export const askRejected = async (signal: AbortSignal) =>
  (await askJson<{ rejected: RejectedRow[] }>("/api/v1/rejected", { parameters: { limit: 500 }, signal }))
    .rejected;

/** A row of the summary `storage_by_day`. */
export interface StorageDay {
  readonly day: string;
  readonly samples: number;
  readonly bytes: number;
}

export const askStorage = (signal: AbortSignal) => askSummary<StorageDay>("storage_by_day", {}, signal);
