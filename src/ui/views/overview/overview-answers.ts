/**
 * What the overview asks. Most of it costs the gateway the same at any rate of pushes: `/api/v1/arrivals` is answered from
 * memory, and PromQL reads shorter ranges if much arrives. `useLive` asks less often if answers take long.
 */
import { askJson, askPrometheus, askSummary } from "../../api/gateway-api.ts";
import { session } from "../../api/session.ts";
import { sqlTimeMs } from "../../format/times.ts";
import { type DiskForecast, forecastsOf } from "./disk-forecast.ts";
import { type InstantSeries, type Trend, TREND_S, TREND_STEP_S, type TrendSeries } from "./trends.ts";

/** A worker of /api/v1/arrivals. */
export interface ArrivedWorker {
  readonly job: string;
  readonly instance: string;
  readonly lastMs: number;
  readonly perSecond: number;
  readonly metrics: number;
}

/** A metric of /api/v1/arrivals, or a row of the summary `traffic`. */
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

/** What arrived in the last `seconds`. */
export interface Arrivals {
  readonly seconds: number;
  readonly workers: readonly ArrivedWorker[];
  readonly traffic: readonly TrafficRow[];
  /** All samples per second, in equal parts of time. Empty if they are not known. */
  readonly rates: readonly number[];
}

interface ArrivalsAnswer {
  readonly from: string;
  readonly to: string;
  readonly part_seconds: number;
  readonly samples: readonly number[];
  readonly workers: readonly {
    readonly job: string;
    readonly instance: string;
    readonly per_second: number;
    readonly metrics: number;
    readonly last: string;
  }[];
  readonly metrics: readonly TrafficRow[];
}

/** With fewer events in 5 minutes, the last hour is shown. */
const EVENTS_FEW = 500;
/** The most samples in the range whose quantiles are computed from their values. That takes about 10 ms. */
const SAMPLES_EXACT = 50_000;

/** All samples per second, as far as it is known. */
let samplesPerSecond = 0;

export async function askArrivals(signal: AbortSignal): Promise<Arrivals> {
  // A token with labels sees its own samples only, which are counted in rows.
  if (Object.keys(session.value?.labels ?? {}).length > 0) return await arrivalsOfRows(signal);
  const askRange = (range: string) =>
    askJson<ArrivalsAnswer>("/api/v1/arrivals", { parameters: { range }, signal });
  const count = ({ metrics }: ArrivalsAnswer) => metrics.reduce((sum, { samples }) => sum + samples, 0);
  let answer = await askRange("5m");
  // Until 5 minutes after its start, the gateway knows no more.
  if (count(answer) < EVENTS_FEW && secondsOf(answer) > PARTS_5M_S) answer = await askRange("1h");
  const { from, to, samples, metrics, part_seconds } = answer;
  const seconds = secondsOf(answer);
  const all = samples.reduce((sum, each) => sum + each, 0);
  samplesPerSecond = all / seconds;
  let traffic = metrics;
  if (all <= SAMPLES_EXACT && metrics.length > 0)
    traffic = withExact(metrics, await askSummary<TrafficRow>("traffic", { from, to }, signal));
  return {
    seconds,
    traffic,
    rates: ratesOf(samples, part_seconds, seconds),
    workers: answer.workers.map(({ job, instance, per_second, metrics: of, last }) => ({
      ...{ job: job || "(none)", instance: instance || "(none)", lastMs: Date.parse(last) },
      ...{ perSecond: per_second, metrics: of },
    })),
  };
}

/** The last 5 minutes, but for the part of them that has not ended. */
const PARTS_5M_S = 285;

const secondsOf = ({ from, to }: ArrivalsAnswer) => Math.max(1, (Date.parse(to) - Date.parse(from)) / 1_000);

/** Samples per second of the parts that are over. The first may have begun before the gateway did. */
export function ratesOf(samples: readonly number[], partSeconds: number, seconds: number): readonly number[] {
  const whole = Math.min(samples.length - 1, Math.floor(seconds / partSeconds));
  return whole === 0 ? [] : samples.slice(-whole - 1, -1).map((each) => each / partSeconds);
}

/** The part of the samples by which times of samples and times of arrival may differ. */
const DIFFERENCE_MAX = 0.1;

/** Estimates of histograms are replaced by what values say, if these are about the same samples. */
export function withExact(
  estimated: readonly TrafficRow[],
  exact: readonly TrafficRow[],
): readonly TrafficRow[] {
  const by = new Map(exact.map((row) => [row.metric, row]));
  return estimated.map((row) => {
    const found = by.get(row.metric);
    const differs =
      found === undefined || Math.abs(found.samples - row.samples) > DIFFERENCE_MAX * row.samples;
    return differs ? row : { ...found, per_second: row.per_second };
  });
}

/** A row of the summary `workers`. */
interface WorkerRow {
  readonly job: string;
  readonly instance: string;
  readonly last: string;
  readonly samples: number;
  readonly metrics: number;
}

const WINDOWS_S = [10, 60, 300, 900, 3_600];
const PROBE_S = 10;
/** About how many samples a refresh may read. */
const SAMPLES_READ = 100_000;

let ownPerSecond: number | undefined;

/** The same from rows, in a range that is shorter the more arrives. */
async function arrivalsOfRows(signal: AbortSignal): Promise<Arrivals> {
  const workersOf = (of: number) => askSummary<WorkerRow>("workers", { from: `-${of}s` }, signal);
  const rateOf = (rows: readonly WorkerRow[], of: number) =>
    rows.reduce((sum, { samples }) => sum + samples, 0) / of;
  ownPerSecond ??= rateOf(await workersOf(PROBE_S), PROBE_S);
  const rate = ownPerSecond;
  const seconds = WINDOWS_S.findLast((each) => each * rate <= SAMPLES_READ) ?? PROBE_S;
  const [rows, traffic] = await Promise.all([
    workersOf(seconds),
    askSummary<TrafficRow>("traffic", { from: `-${seconds}s` }, signal),
  ]);
  ownPerSecond = rateOf(rows, seconds);
  const workers = rows.map(({ job, instance, last, samples, metrics }) => ({
    ...{ job, instance, lastMs: sqlTimeMs(last), perSecond: samples / seconds, metrics },
  }));
  return { seconds, traffic, workers, rates: [] };
}

const MACHINE_METRICS = [
  ...["node_load1", "node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"],
  ...["node_filesystem_avail_bytes", "node_filesystem_size_bytes"],
  ...["gpu_utilization_ratio", "gpu_memory_used_bytes", "gpu_memory_total_bytes"],
  ...["gpu_power_watts", "gpu_power_limit_watts", "gpu_temperature_celsius"],
  ...["weir_last_push_timestamp_seconds", "weir_store_disk_free_bytes"],
];

/** The highest rate, in samples per second, at which a refreshed page may look back 5 minutes. Above it there are too many rows. */
const RATE_LONG_MAX = 10_000;

const TREND_CPU = (range: string) =>
  `1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[${range}]))`;
const TRENDS: Readonly<Record<Trend, string>> = {
  cpu: TREND_CPU("2m"),
  memory:
    "1 - sum by (instance) (node_memory_MemAvailable_bytes) / sum by (instance) (node_memory_MemTotal_bytes)",
  gpu: "max by (gpu, instance) (gpu_utilization_ratio)",
};
const named = (trend: string, expr: string) => `label_replace(${expr}, "trend", "${trend}", "", "")`;

/** The newest value of each gauge of machines, cards and pushes, and the trend `cpu`: one request for all of them. */
export async function askGauges(signal: AbortSignal): Promise<readonly InstantSeries[]> {
  const selector = `{__name__=~"${MACHINE_METRICS.join("|")}"}`;
  const isMuch = samplesPerSecond > RATE_LONG_MAX;
  const query = `${isMuch ? `last_over_time(${selector}[1m])` : selector} or ${named("cpu", TREND_CPU(isMuch ? "1m" : "2m"))}`;
  return (
    await askPrometheus<{ result: InstantSeries[] }>("/api/v1/query", { parameters: { query }, signal })
  ).result;
}

/** Half an hour of what machines and cards do, with the label `trend`: one request for all of them. */
export async function askTrends(signal: AbortSignal): Promise<readonly TrendSeries[]> {
  const query = Object.entries(TRENDS)
    .map(([trend, expr]) => named(trend, expr))
    .join(" or ");
  const end = Math.floor(Date.now() / 1_000);
  const parameters = { query, start: end - TREND_S, end, step: TREND_STEP_S };
  return (await askPrometheus<{ result: TrendSeries[] }>("/api/v1/query_range", { parameters, signal }))
    .result;
}

const FORECAST_POINTS = 25;
const FORECAST_STEP_S = 900;

/**
 * When each disk is full, by the last six hours. Only a minute of each quarter of an hour is read: all samples of six
 * hours would cost seconds if much arrives.
 */
export async function askForecast(signal: AbortSignal): Promise<readonly DiskForecast[]> {
  const query = Array.from(
    { length: FORECAST_POINTS },
    (_, at) =>
      `label_replace(last_over_time(node_filesystem_avail_bytes[1m] offset ${at * FORECAST_STEP_S}s), "at", "${at}", "", "")`,
  ).join(" or ");
  const { result } = await askPrometheus<{ result: InstantSeries[] }>("/api/v1/query", {
    ...{ method: "POST", body: new URLSearchParams({ query }), signal },
  });
  return forecastsOf(result, FORECAST_STEP_S);
}

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
