/** What `weir top` asks: the requests of the page's overview. Few, and over short ranges if much arrives. */
import { accepted, type Send } from "../client.ts";

export interface TopWorker {
  readonly job: string;
  readonly instance: string;
  /** A time in SQL, which is UTC. */
  readonly last: string;
  readonly samples: number;
  readonly metrics: number;
}

export interface TopTraffic {
  readonly metric: string;
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

const WINDOWS_S = [10, 60, 300, 900, 3_600];
/** About how many samples a refresh may read. */
const SAMPLES_READ = 200_000;

export class TopQuestions {
  readonly #send: Send;
  #windowS: number | undefined;

  constructor(send: Send) {
    this.#send = send;
  }

  /** All answers of one refresh. Throws `Unreachable` or `RequestRefused`. */
  async ask(): Promise<TopAnswers> {
    this.#windowS ??= windowOf(await this.#workers(WINDOWS_S[0]!), WINDOWS_S[0]!);
    const windowS = this.#windowS;
    const [workers, traffic, machines, { alerts }, days] = await Promise.all([
      this.#workers(windowS),
      this.#summary<TopTraffic>("traffic", [["from", `-${windowS}s`]]),
      this.#prometheus<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
        "/api/v1/query",
        [["query", MACHINES]],
      ),
      this.#prometheus<{ alerts: TopAlert[] }>("/api/v1/alerts"),
      this.#summary<TopAnswers["days"][number]>("storage_by_day"),
    ]);
    this.#windowS = windowOf(workers, windowS);
    const gauges = machines.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    return { windowS, workers, traffic, gauges, alerts, days };
  }

  #workers(seconds: number) {
    return this.#summary<TopWorker>("workers", [["from", `-${seconds}s`]]);
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

function windowOf(workers: readonly TopWorker[], seconds: number): number {
  const perSecond = workers.reduce((sum, { samples }) => sum + samples, 0) / seconds;
  return WINDOWS_S.findLast((each) => each * perSecond <= SAMPLES_READ) ?? WINDOWS_S[0]!;
}
