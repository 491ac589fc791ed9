/**
 * What `weir top` asks: the requests of the page's overview. Workers and events come from `/api/v1/arrivals`, which costs the
 * gateway the same at any rate of pushes. A token with labels gets them from rows, over short ranges if much arrives.
 */
import { accepted, RequestRefused, type Send } from "../client.ts";

export interface TopWorker {
  readonly job: string;
  readonly instance: string;
  readonly lastMs: number;
  readonly perSecond: number;
  readonly metrics: number;
}

export interface TopTraffic {
  readonly metric: string;
  readonly samples: number;
  readonly per_second: number;
  readonly failed_percent: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

export interface TopGauge {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface TopAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: string;
  readonly activeAt: string;
}

export interface TopAnswers {
  /** The length of the range of workers and traffic. */
  readonly windowS: number;
  readonly workers: readonly TopWorker[];
  readonly traffic: readonly TopTraffic[];
  readonly gauges: readonly TopGauge[];
  readonly alerts: readonly TopAlert[];
  readonly days: readonly { readonly day: string; readonly samples: number; readonly bytes: number }[];
}

const GAUGES = [
  ...["node_load1", "node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"],
  ...["node_filesystem_avail_bytes", "node_filesystem_size_bytes"],
  ...["gpu_utilization_ratio", "gpu_memory_used_bytes", "gpu_memory_total_bytes"],
  ...["gpu_power_watts", "gpu_power_limit_watts", "gpu_temperature_celsius"],
  "weir_last_push_timestamp_seconds",
].join("|");
const CPU = '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[2m]))';
/** `or` ignores names, so the share of the CPU gets a label instead. */
const MACHINES = `{__name__=~"${GAUGES}"} or label_replace(${CPU}, "weir_top", "cpu", "", "")`;

type Arrived = Pick<TopAnswers, "windowS" | "workers" | "traffic">;

/** An answer of /api/v1/arrivals, as far as it is read here. */
interface ArrivedLately {
  readonly from: string;
  readonly to: string;
  readonly samples: readonly number[];
  readonly workers: readonly {
    readonly job: string;
    readonly instance: string;
    readonly per_second: number;
    readonly metrics: number;
    readonly last: string;
  }[];
  readonly metrics: readonly TopTraffic[];
}

/** With fewer events in 5 minutes, the last hour is shown. */
const EVENTS_FEW = 500;
/** The last 5 minutes, without their newest part. A gateway that started later knows no more in an hour. */
const SHORT_S = 285;
/** The most samples whose quantiles are computed from their values. */
const SAMPLES_EXACT = 50_000;
/** The part of the samples by which times of samples and times of arrival may differ. */
const DIFFERENCE_MAX = 0.1;

/** A row of the summary `workers`. `last` is a time in SQL, which is UTC. */
interface WorkerOfRows {
  readonly job: string;
  readonly instance: string;
  readonly last: string;
  readonly samples: number;
  readonly metrics: number;
}

const WINDOWS_S = [10, 60, 300, 900, 3_600];
/** About how many samples a refresh may read. */
const SAMPLES_READ = 200_000;

export class TopQuestions {
  readonly #send: Send;
  /** The range of the rows, for a token that may not ask for arrivals. */
  #windowS: number | undefined;

  constructor(send: Send) {
    this.#send = send;
  }

  /** All answers of one refresh. Throws `Unreachable` or `RequestRefused`. */
  async ask(): Promise<TopAnswers> {
    const [arrived, machines, { alerts }, days] = await Promise.all([
      this.#arrived(),
      this.#prometheus<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
        "/api/v1/query",
        [["query", MACHINES]],
      ),
      this.#prometheus<{ alerts: TopAlert[] }>("/api/v1/alerts"),
      unlessForbidden(this.#summary<TopAnswers["days"][number]>("storage_by_day")),
    ]);
    const gauges = machines.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    return { ...arrived, gauges, alerts, days: days ?? [] };
  }

  async #arrived(): Promise<Arrived> {
    if (this.#windowS !== undefined) return await this.#arrivedRows(this.#windowS);
    const lately = await unlessForbidden(this.#arrivedLately());
    if (lately !== undefined) return lately;
    return await this.#arrivedRows(windowOf(await this.#workers(WINDOWS_S[0]!), WINDOWS_S[0]!));
  }

  async #arrivedLately(): Promise<Arrived> {
    let lately = await this.#lately("5m");
    if (sumOf(lately.metrics) < EVENTS_FEW && secondsOf(lately) > SHORT_S) lately = await this.#lately("1h");
    const { from, to, metrics, samples, workers } = lately;
    let traffic = metrics;
    if (metrics.length > 0 && samples.reduce((sum, each) => sum + each, 0) <= SAMPLES_EXACT)
      traffic = exactOf(
        metrics,
        await this.#summary<TopTraffic>("traffic", [
          ["from", from],
          ["to", to],
        ]),
      );
    return {
      windowS: secondsOf(lately),
      traffic,
      workers: workers.map(({ job, instance, per_second, metrics: count, last }) => ({
        ...{ job: job || "(none)", instance: instance || "(none)", lastMs: Date.parse(last) },
        ...{ perSecond: per_second, metrics: count },
      })),
    };
  }

  async #lately(range: string): Promise<ArrivedLately> {
    const response = await this.#send("/api/v1/arrivals", { query: [["range", range]] });
    return (await (await accepted(response)).json()) as ArrivedLately;
  }

  async #arrivedRows(windowS: number): Promise<Arrived> {
    const [rows, traffic] = await Promise.all([
      this.#workers(windowS),
      this.#summary<TopTraffic>("traffic", [["from", `-${windowS}s`]]),
    ]);
    this.#windowS = windowOf(rows, windowS);
    const workers = rows.map(({ job, instance, last, samples, metrics }) => ({
      ...{ job, instance, lastMs: Date.parse(`${last.replace(" ", "T")}Z`) },
      ...{ perSecond: samples / windowS, metrics },
    }));
    return { windowS, workers, traffic };
  }

  #workers(seconds: number) {
    return this.#summary<WorkerOfRows>("workers", [["from", `-${seconds}s`]]);
  }

  async #summary<Row>(name: string, query: readonly (readonly [string, string])[] = []): Promise<Row[]> {
    const path = `/api/v1/summaries/${name}`;
    const response = await accepted(await this.#send(path, { query: [["format", "json"], ...query] }));
    return ((await response.json()) as { rows: Row[] }).rows;
  }

  async #prometheus<Data>(path: string, query: readonly (readonly [string, string])[] = []): Promise<Data> {
    const response = await accepted(await this.#send(path, { query }));
    return ((await response.json()) as { data: Data }).data;
  }
}

/** Undefined for a token with labels: it may not see what describes all workers, or the whole store. */
async function unlessForbidden<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof RequestRefused && error.status === 403) return undefined;
    throw error;
  }
}

const sumOf = (rows: readonly { readonly samples: number }[]) =>
  rows.reduce((sum, { samples }) => sum + samples, 0);
const secondsOf = ({ from, to }: ArrivedLately) => Math.max(1, (Date.parse(to) - Date.parse(from)) / 1_000);

/** Estimates of histograms are replaced by what values say, if these are about the same samples. */
function exactOf(estimated: readonly TopTraffic[], exact: readonly TopTraffic[]): readonly TopTraffic[] {
  const by = new Map(exact.map((row) => [row.metric, row]));
  return estimated.map((row) => {
    const found = by.get(row.metric);
    return found !== undefined && Math.abs(found.samples - row.samples) <= DIFFERENCE_MAX * row.samples
      ? { ...found, per_second: row.per_second }
      : row;
  });
}

function windowOf(workers: readonly WorkerOfRows[], seconds: number): number {
  const perSecond = sumOf(workers) / seconds;
  return WINDOWS_S.findLast((each) => each * perSecond <= SAMPLES_READ) ?? WINDOWS_S[0]!;
}
