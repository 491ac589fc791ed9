/**
 * Programs that only expose metrics: a GPU worker and two services. Their counters grow by the same amount every 15
 * seconds, so that rates and quantiles can be worked out by hand. The text reaches a gateway in four ways: pushed
 * unchanged, pushed with its times, scraped by the gateway, or scraped by a Prometheus and written by remote_write.
 */
import snappyjs from "snappyjs";
import { readScrapeJobs } from "../../../src/config/scrape-jobs.ts";
import { targetsOf } from "../../../src/receive/scrape/scrape-target.ts";
import { TargetDecoder } from "../../../src/receive/scrape/target-decoder.ts";
import { BucketLayouts } from "../../../src/wire/bucket-layout.ts";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { STALE_STAND_IN, withStaleMarkers } from "../../receive/remote-write/decoded.ts";
import { encodeV1 } from "../../receive/remote-write/messages.ts";

/** Seconds between two scrapes or pushes: the interval of the systems' own scrape configurations. */
export const STEP = 15;
/** The history is half an hour: step 120 is the last. */
export const STEPS = 120;
/** The time of step 0, when everything starts: 2024-01-01 00:00 UTC. */
export const START_MS = Date.UTC(2024, 0, 1);
/** The time of the last step, at which the tests query. */
export const NOW_MS = START_MS + STEPS * STEP * 1000;

/** A program that exposes metrics. */
export interface Exporter {
  readonly job: string;
  readonly instance: string;
  /** Its exposition at a step; undefined after its death. */
  expose(step: number): string | undefined;
}

/** Lines of a histogram of which each step adds the same; `cumulative` is what a step adds to each bucket. */
function histogram(
  name: string,
  labels: string,
  cumulative: Readonly<Record<string, number>>,
  sum: number,
  step: number,
): string[] {
  const braces = labels === "" ? "" : `{${labels}}`;
  const buckets = Object.entries(cumulative).map(
    ([le, count]) => `${name}_bucket{${labels === "" ? "" : `${labels},`}le="${le}"} ${count * step}`,
  );
  const count = Object.values(cumulative).at(-1)!;
  return [...buckets, `${name}_count${braces} ${count * step}`, `${name}_sum${braces} ${sum * step}`];
}

export interface GpuWorkerState {
  /** Attempts of 400 per step that fail; 10 if absent, which is 2.5%. */
  readonly failed?: number;
  /** Takes more than a second for one attempt of 10. */
  readonly slow?: boolean;
  /** Failures in a row at a step; 0, 1, 2, 3 and again if absent. */
  readonly consecutiveFailures?: (step: number) => number;
  /** The uptime in seconds that it reports; by default the time since step 0. */
  readonly uptime?: (step: number) => number;
  /** The last step at which it exposes metrics; by default it does not die. */
  readonly lastStep?: number;
}

/** A GPU worker (`tops_worker_*`), with the metrics and buckets of its documentation. */
export function gpuWorker(state: GpuWorkerState = {}): Exporter {
  const {
    failed = 10,
    slow = false,
    consecutiveFailures = (step) => (step + 3) % 4,
    uptime = (step) => step * STEP,
    lastStep = STEPS,
  } = state;
  const counter = (name: string, value: number) => [
    `# HELP tops_worker_${name} Counts ${name}.`,
    `# TYPE tops_worker_${name} counter`,
    `tops_worker_${name} ${value}`,
  ];
  const gauge = (name: string, value: number) => [
    `# TYPE tops_worker_${name} gauge`,
    `tops_worker_${name} ${value}`,
  ];
  return {
    job: "tops-worker",
    instance: "gpu-1",
    expose: (step) =>
      step > lastStep
        ? undefined
        : [
            ...counter("total_attempts_total", 400 * step),
            ...counter("successful_attempts_total", (400 - failed) * step),
            ...counter("failed_attempts_total", failed * step),
            ...counter("gpu_errors_total", 4 * step),
            ...counter("network_errors_total", 3 * step),
            ...counter("signature_errors_total", 2 * step),
            ...counter("validation_errors_total", step),
            ...gauge("uptime_seconds", uptime(step)),
            ...gauge("consecutive_failures", consecutiveFailures(step)),
            ...gauge("success_rate", ((400 - failed) / 400) * 100),
            "# TYPE tops_worker_attempt_duration_ms histogram",
            ...histogram(
              "tops_worker_attempt_duration_ms",
              "",
              slow
                ? { 10: 0, 25: 0, 50: 0, 100: 0, 200: 200, 500: 320, 1000: 360, 2000: 400, "+Inf": 400 }
                : { 10: 0, 25: 40, 50: 160, 100: 240, 200: 320, 500: 370, 1000: 390, 2000: 400, "+Inf": 400 },
              80_000,
              step,
            ),
            "# TYPE tops_worker_network_latency_ms histogram",
            ...histogram(
              "tops_worker_network_latency_ms",
              "",
              { 1: 0, 5: 60, 10: 240, 25: 360, 50: 480, 100: 540, 250: 600, 500: 600, "+Inf": 600 },
              18_000,
              step,
            ),
            "",
          ].join("\n"),
  };
}

export interface ServiceState {
  /** Requests per step, of 60, that are answered 500; 3 if absent. */
  readonly failedRequests?: number;
  /** Takes more than a second for one request of 10. */
  readonly slow?: boolean;
  /** Events per step, of 30, that fail; 2 if absent. */
  readonly failedEvents?: number;
  readonly redisUp?: boolean;
  /** The last step at which it exposes metrics; by default it does not die. */
  readonly lastStep?: number;
}

/** A service (`asdlc_*`) that answers requests, as Python's prometheus_client exposes it. */
export function orchestrator({
  failedRequests = 3,
  slow = false,
  redisUp = true,
  lastStep = STEPS,
}: ServiceState = {}): Exporter {
  const latency = slow
    ? { 0.25: 30, 0.5: 45, "1.0": 54, 2.5: 60, "5.0": 60, "10.0": 60, "+Inf": 60 }
    : { 0.25: 54, 0.5: 58, "1.0": 60, 2.5: 60, "5.0": 60, "10.0": 60, "+Inf": 60 };
  return {
    job: "asdlc-orchestrator",
    instance: "orchestrator:8080",
    expose: (step) =>
      step > lastStep
        ? undefined
        : [
            ...serviceInfo("orchestrator", "1.2.0"),
            "# HELP asdlc_http_requests_total Total HTTP requests",
            "# TYPE asdlc_http_requests_total counter",
            requests("GET", "/api/tasks", "200", (60 - failedRequests) * step),
            requests("GET", "/api/tasks", "500", failedRequests * step),
            requests("POST", "/api/tasks", "201", 15 * step),
            "# HELP asdlc_http_requests_created Total HTTP requests",
            "# TYPE asdlc_http_requests_created gauge",
            requests("GET", "/api/tasks", "200", START_MS / 1000).replace("_total", "_created"),
            "# TYPE asdlc_http_request_duration_seconds histogram",
            ...histogram(
              "asdlc_http_request_duration_seconds",
              'service="orchestrator",method="GET",endpoint="/api/tasks"',
              { 0.005: 0, 0.01: 0, 0.025: 6, 0.05: 18, 0.1: 24, ...latency },
              6,
              step,
            ),
            ...histogram(
              "asdlc_http_request_duration_seconds",
              'service="orchestrator",method="POST",endpoint="/api/tasks"',
              {
                ...{ 0.005: 0, 0.01: 0, 0.025: 0, 0.05: 0, 0.1: 12, 0.25: 15, 0.5: 15 },
                ...{ "1.0": 15, 2.5: 15, "5.0": 15, "10.0": 15, "+Inf": 15 },
              },
              1.5,
              step,
            ),
            ...redis("orchestrator", "xadd", redisUp, step),
            "# TYPE asdlc_active_tasks gauge",
            'asdlc_active_tasks{service="orchestrator"} 4.0',
            ...memory("orchestrator", 120_000_000),
            "",
          ].join("\n"),
  };
}

/** A service (`asdlc_*`) that processes events; its collector counts them in a family of type gauge. */
export function workers({ failedEvents = 2, redisUp = true, lastStep = STEPS }: ServiceState = {}): Exporter {
  const events = (type: string, status: string, value: number) =>
    `asdlc_events_processed_total{service="workers",event_type="${type}",status="${status}"} ${value}`;
  return {
    job: "asdlc-workers",
    instance: "workers:8081",
    expose: (step) =>
      step > lastStep
        ? undefined
        : [
            ...serviceInfo("workers", "1.3.0"),
            "# TYPE asdlc_events_processed_total gauge",
            events("task.created", "success", 20 * step),
            events("task.done", "success", (10 - failedEvents) * step),
            events("task.done", "failed", failedEvents * step),
            "# TYPE asdlc_active_tasks gauge",
            'asdlc_active_tasks{service="workers"} 6.0',
            "# TYPE asdlc_active_workers gauge",
            'asdlc_active_workers{service="workers"} 8.0',
            ...redis("workers", "xreadgroup", redisUp, step),
            ...memory("workers", 240_000_000),
            "",
          ].join("\n"),
  };
}

function serviceInfo(service: string, version: string): string[] {
  return [
    "# HELP asdlc_service_info Service information",
    "# TYPE asdlc_service_info gauge",
    `asdlc_service_info{service="${service}",version="${version}"} 1.0`,
  ];
}

function requests(method: string, endpoint: string, status: string, value: number): string {
  const labels = `service="orchestrator",method="${method}",endpoint="${endpoint}",status="${status}"`;
  return `asdlc_http_requests_total{${labels}} ${value}`;
}

function redis(service: string, operation: string, isUp: boolean, step: number): string[] {
  return [
    "# TYPE asdlc_redis_connection_up gauge",
    `asdlc_redis_connection_up{service="${service}"} ${isUp ? "1.0" : "0.0"}`,
    "# TYPE asdlc_redis_operation_duration_seconds histogram",
    ...histogram(
      "asdlc_redis_operation_duration_seconds",
      `service="${service}",operation="${operation}"`,
      { 0.001: 60, 0.005: 90, 0.01: 110, 0.025: 118, 0.05: 120, 0.1: 120, 0.25: 120, 0.5: 120, "+Inf": 120 },
      0.36,
      step,
    ),
  ];
}

function memory(service: string, bytes: number): string[] {
  return [
    "# TYPE asdlc_process_memory_bytes gauge",
    `asdlc_process_memory_bytes{service="${service}",type="rss"} ${bytes}`,
    `asdlc_process_memory_bytes{service="${service}",type="vms"} ${bytes * 4}`,
  ];
}

/** A gateway with half an hour of the exporters' metrics. */
export interface History {
  readonly gateway: TestGateway;
  /** Runs a PromQL query at the last step, or that many seconds before it. Throws if it is rejected. */
  query(expression: string, secondsAgo?: number): Promise<Sample[]>;
  /** Runs a query over all steps. Returns the values of each series by step. */
  range(expression: string): Promise<{ labels: Record<string, string>; values: Map<number, number> }[]>;
  close(): Promise<void>;
}

export interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
}

/** The ways in which the metrics reach a gateway. */
export const SCRAPED = "scraped and written by remote_write";
export const SCRAPED_HERE = "scraped by the gateway";
export const WAYS = ["pushed", "pushed with timestamps", SCRAPED, SCRAPED_HERE] as const;
export type Way = (typeof WAYS)[number];

/** Opens a gateway and sends it the metrics of exporters from step 1 to the last, in one of the ways. */
export async function historyOf(exporters: readonly Exporter[], way: Way): Promise<History> {
  const gateway = await openTestGatewayAt(way === "pushed" ? START_MS : NOW_MS, "--retention-days=7");
  const fetchJson = async (path: string, parameters: Record<string, string>) => {
    const answer = await gateway.fetch(path, { method: "POST", body: new URLSearchParams(parameters) });
    const body = (await answer.json()) as ReturnType<typeof JSON.parse>;
    if (body.status !== "success") throw new Error(`${parameters.query}: ${body.error}`);
    return body.data.result;
  };
  const send = async (method: string, path: string, body: string | Uint8Array, headers = {}) => {
    const response = await gateway.fetch(path, { method, body: body as Uint8Array<ArrayBuffer>, headers });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  };

  if (way === SCRAPED) {
    await send("POST", "/api/v1/write", snappyjs.compress(scraped(exporters)), {
      "content-type": "application/x-protobuf",
      "content-encoding": "snappy",
    });
  } else if (way === SCRAPED_HERE) {
    await scrapeInto(gateway, exporters);
  } else {
    for (let step = 1; step <= STEPS; step++) {
      const stepMs = START_MS + step * STEP * 1000;
      for (const [at, { job, instance, expose }] of [...exporters.entries()].reverse()) {
        // Not all push at once: the first on time, each other a second before the one that it follows.
        if (way === "pushed") gateway.nowMs = stepMs - at * 1000;
        const text = expose(step);
        if (text === undefined) continue;
        const path = `/metrics/job/${job}/instance/${instance}`;
        if (way === "pushed") await send("PUT", path, text);
        else {
          const timed = text.replace(/^([^#\n].*)$/gm, `$1 ${stepMs}`);
          await send("PUT", `${path}?honor_timestamps=true`, timed);
        }
      }
    }
  }

  return {
    gateway,
    async query(expression, secondsAgo = 0) {
      const time = String(NOW_MS / 1000 - secondsAgo);
      const result = await fetchJson("/api/v1/query", { query: expression, time });
      return result.map(({ metric, value }: { metric: Record<string, string>; value: [number, string] }) => ({
        labels: metric,
        value: Number(value[1]),
      }));
    },
    async range(expression) {
      const result = await fetchJson("/api/v1/query_range", {
        query: expression,
        start: String(START_MS / 1000),
        end: String(NOW_MS / 1000),
        step: String(STEP),
      });
      return result.map(
        ({ metric, values }: { metric: Record<string, string>; values: [number, string][] }) => ({
          labels: metric,
          values: new Map(values.map(([time, value]) => [(time - START_MS / 1000) / STEP, Number(value)])),
        }),
      );
    },
    close: () => gateway.close(),
  };
}

/** Stores what the gateway's scraper makes of all exporters from step 1 on. */
async function scrapeInto({ gateway }: TestGateway, exporters: readonly Exporter[]): Promise<void> {
  const decoders = exporters.map(({ job, instance, expose }) => {
    const [target] = targetsOf(readScrapeJobs(`${instance},job=${job},instance=${instance}`, "scrape"));
    return { expose, decoder: new TargetDecoder(target!.job, target!.labels, new BucketLayouts(), "scrape") };
  });
  for (let step = 1; step <= STEPS; step++) {
    for (const { expose, decoder } of decoders) {
      const text = expose(step);
      const body = text === undefined ? undefined : { bytes: Buffer.from(text), contentType: "text/plain" };
      const { failure } = decoder.read(body, START_MS + step * STEP * 1000);
      if (failure !== undefined) throw failure;
      const { rejected } = await gateway.ingest.push(decoder.take(body !== undefined, 0));
      if (rejected.length > 0) throw new Error(rejected[0]!.reason);
      decoder.keep();
    }
  }
}

/** One sample line of text 0.0.4. */
const LINE = /^(\w+)(?:\{(.*)\})? (\S+)$/gm;

/** A remote_write request of all that a Prometheus would have scraped from step 1 on. */
function scraped(exporters: readonly Exporter[]): Buffer {
  const series = new Map<
    string,
    { labels: Record<string, string>; samples: { value: number; timestamp: number }[] }
  >();
  const add = (labels: Record<string, string>, value: number, timestamp: number) => {
    const sorted = Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
    const key = JSON.stringify(sorted);
    const entry = series.get(key) ?? { labels: sorted, samples: [] };
    series.set(key, entry);
    entry.samples.push({ value, timestamp });
  };
  for (const { job, instance, expose } of exporters) {
    const own = () =>
      [...series.values()].filter(
        ({ labels }) => labels.job === job && labels.instance === instance && labels.__name__ !== "up",
      );
    for (let step = 1; step <= STEPS; step++) {
      const timestamp = START_MS + step * STEP * 1000;
      const text = expose(step);
      add({ __name__: "up", job, instance }, text === undefined ? 0 : 1, timestamp);
      // A scrape that fails ends the series of the one before it.
      if (text === undefined && step > 1 && expose(step - 1) !== undefined) {
        for (const { samples } of own()) samples.push({ value: STALE_STAND_IN, timestamp });
      }
      for (const [, name, pairs = "", value] of text?.matchAll(LINE) ?? []) {
        const labels: Record<string, string> = { __name__: name, job, instance };
        for (const [, label, quoted] of pairs.matchAll(/(\w+)=("(?:[^"\\]|\\.)*")/g)) {
          labels[label] = JSON.parse(quoted) as string;
        }
        add(labels, Number(value), timestamp);
      }
    }
  }
  return withStaleMarkers(encodeV1([...series.values()]));
}
