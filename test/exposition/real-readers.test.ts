/**
 * The real readers: promtool parses the exposition, and a real Prometheus scrapes it in both formats, with
 * honor_labels, as in all shipped scrape configurations.
 *
 * Both are in Debian's package `prometheus` (2.42). If it is not installed, these tests are skipped.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Exposition } from "../../src/exposition/exposition.ts";
import { registerProcessMetrics } from "../../src/exposition/process-metrics.ts";
import { Totals } from "../../src/exposition/totals/totals.ts";
import { createApp } from "../../src/http/app.ts";
import { createLog } from "../../src/log/log.ts";
import { metricsRoutes } from "../../src/http/metrics.ts";
import { createCounters } from "../../src/model/counters.ts";
import { bucketsFor } from "../../src/series/buckets.ts";
import { DEFAULTS } from "../defaults.ts";
import { canRun, type RealServer, startPrometheus } from "../real-servers.ts";
import { until } from "../until.ts";
import { metric, rows, series } from "./totals/rows.ts";

const installed = canRun("prometheus", "promtool");
const DURATION = metric("http.request.duration_ms", "observation", {
  unit: "ms",
  buckets: bucketsFor("http.request.duration_ms", "ms"),
});
const TAGS = { operation: "get_task", status_code: "200" };
const ODD = 'a "quoted" \\ value\nof two lines, €';

/** A gateway's exposition: pushed, sampled, and its own metrics. */
function exposition(nowMs: number): { exposition: Exposition; stop: () => void } {
  const counters = createCounters();
  const stop = registerProcessMetrics(counters, "0.0.0");
  const totals = new Totals(DEFAULTS);
  const cumulative = (name: string, type: "counter" | "histogram" | "summary") =>
    metric(name, "cumulative", { type });
  const all = [
    series(1, DURATION, TAGS),
    series(2, DURATION, { ...TAGS, operation: "upload", instance: "w1", job: "worker" }),
    series(3, metric("uploads", "delta", { help: "Files that were uploaded." }), { odd: ODD }),
    series(4, metric("queue.depth", "gauge"), { instance: "w1" }),
    series(5, metric("node_memory_MemAvailable_bytes", "gauge"), { instance: "host" }),
    series(6, cumulative("node_cpu_seconds_total", "counter"), { cpu: "0", mode: "idle" }),
    series(7, cumulative("requests", "counter")),
    series(8, cumulative("rpc_bucket", "histogram"), { le: "1" }),
    series(9, cumulative("rpc_bucket", "histogram"), { le: "+Inf" }),
    series(10, cumulative("rpc_sum", "histogram")),
    series(11, cumulative("rpc_count", "histogram")),
    series(12, cumulative("pause_seconds", "summary"), { quantile: "0.5" }),
    series(13, cumulative("pause_seconds_sum", "summary")),
    series(14, cumulative("pause_seconds_count", "summary")),
    series(15, metric("nothing", "gauge")),
  ];
  for (const each of all) totals.define(each);
  const at = nowMs / 1000;
  const samples = all.map(({ seriesId: id }) => ({ id, at, value: id }));
  samples[14] = { id: 15, at, value: NaN };
  const slow = { id: 1, at: at - 1, value: 234.5, attributes: { task_id: "1704067200_abc123" } };
  totals.apply(rows([...samples, slow]), nowMs * 1000);
  totals.noteLastPush("worker", "w1", nowMs);
  totals.noteLastPush("", "", nowMs);
  return { exposition: new Exposition({ counters, totals }), stop };
}

const nowMs = Date.now();
const { exposition: exposed, stop } = exposition(nowMs);
afterAll(stop);
const app = createApp(
  [metricsRoutes({ exposition: exposed, scrapesMax: DEFAULTS.scrapesMax, counters: DEFAULTS.counters })],
  { counters: DEFAULTS.counters, log: createLog("error") },
);

test.if(installed)("passes promtool, except for names that users chose", async () => {
  const response = await app.fetch(new Request("http://localhost/metrics"));
  const promtool = Bun.spawn(["promtool", "check", "metrics"], {
    stdin: await response.blob(),
    stdout: "pipe",
    stderr: "pipe",
  });
  const findings = (await new Response(promtool.stderr).text()).trim().split("\n").sort();
  expect(findings).toEqual([
    "http_request_duration_ms metric names should not contain abbreviated units",
    "node_memory_MemAvailable_bytes metric names should be written in 'snake_case' not 'camelCase'",
    'requests counter metrics should have "_total" suffix',
  ]);
});

describe.if(installed)("Prometheus 2.42", () => {
  const servers = [
    Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => app.fetch(request) }),
    // Prometheus always asks for OpenMetrics. This server returns text.
    Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        const headers = new Headers(request.headers);
        headers.delete("accept");
        return app.fetch(new Request(request.url, { headers }));
      },
    }),
  ];
  const [openMetrics, text] = servers.map((server) => `127.0.0.1:${server.port}`);
  let prometheus: RealServer;

  beforeAll(async () => {
    const job = (name: string, target: string) =>
      `  - job_name: ${name}\n    honor_labels: true\n    static_configs: [{ targets: ["${target}"] }]\n`;
    prometheus = await startPrometheus(
      `global: { scrape_interval: 1s }\nscrape_configs:\n${job("openmetrics", openMetrics)}${job("text", text)}`,
      "--enable-feature=exemplar-storage",
    );
    await until("a scrape of both targets, successful or not", async () => {
      const targets = (await ask("targets"))?.activeTargets as { health: string }[] | undefined;
      return targets?.length === 2 && targets.every(({ health }) => health !== "unknown");
    });
  });

  afterAll(async () => {
    await prometheus.stop();
    for (const server of servers) await server.stop(true);
  });

  /** `data` of an answer of the Prometheus API. Undefined until it answers. */
  async function ask(path: string): Promise<Record<string, unknown> | undefined> {
    try {
      const response = await fetch(`${prometheus.url}/api/v1/${path}`);
      return response.ok ? ((await response.json()) as { data: Record<string, unknown> }).data : undefined;
    } catch {
      return undefined;
    }
  }

  async function query(expression: string): Promise<string[]> {
    const data = await ask(`query?query=${encodeURIComponent(expression)}`);
    const result = data?.result as { metric: Record<string, string>; value: [number, string] }[];
    return result
      .map(({ metric: { __name__, ...labels }, value }) => {
        const pairs = Object.keys(labels).sort();
        return `${__name__}{${pairs.map((name) => `${name}=${JSON.stringify(labels[name])}`).join()}} ${value[1]}`;
      })
      .sort();
  }

  test("scrapes both formats without an error", async () => {
    const targets = (await ask("targets"))?.activeTargets as { lastError: string; health: string }[];
    expect(targets.map(({ health, lastError }) => [health, lastError])).toEqual([
      ["up", ""],
      ["up", ""],
    ]);
  });

  test("stores a histogram, without an instance if none was pushed", async () => {
    const labels = (job: string, le: string) =>
      `job="${job}",le="${le}",operation="get_task",status_code="200"`;
    const both = (le: string, count: number) =>
      ["openmetrics", "text"].map((job) => `http_request_duration_ms_bucket{${labels(job, le)}} ${count}`);
    // Its observations are 1 and 234.5.
    expect(
      await query('http_request_duration_ms_bucket{le=~"1.0|100.0|250.0",operation="get_task"}'),
    ).toEqual([...both("1.0", 1), ...both("100.0", 1), ...both("250.0", 2)].sort());
    const rest = (job: string) => `{job="${job}",operation="get_task",status_code="200"}`;
    expect(await query('{__name__=~"http_request_duration_ms_(sum|count)",operation="get_task"}')).toEqual([
      `http_request_duration_ms_count${rest("openmetrics")} 2`,
      `http_request_duration_ms_count${rest("text")} 2`,
      `http_request_duration_ms_sum${rest("openmetrics")} 235.5`,
      `http_request_duration_ms_sum${rest("text")} 235.5`,
    ]);
  });

  test("keeps a pushed job and instance, and adds those of the scrape to the gateway's own metrics", async () => {
    expect(await query('http_request_duration_ms_count{operation="upload"}')).toEqual([
      'http_request_duration_ms_count{instance="w1",job="worker",operation="upload",status_code="200"} 1',
    ]);
    expect(await query('queue_depth{job="text"}')).toEqual(['queue_depth{instance="w1",job="text"} 4']);
    for (const [job, instance] of [
      ["openmetrics", openMetrics],
      ["text", text],
    ]) {
      expect(await query(`weir_build_info{job="${job}"}`)).toEqual([
        `weir_build_info{instance="${instance}",job="${job}",version="0.0.0"} 1`,
      ]);
    }
    expect(await query('weir_last_push_timestamp_seconds{job!="openmetrics"}')).toEqual([
      `weir_last_push_timestamp_seconds{instance="w1",job="worker"} ${nowMs / 1000}`,
      `weir_last_push_timestamp_seconds{job="text"} ${nowMs / 1000}`,
    ]);
  });

  test("stores counters, gauges and pushed families the same from both formats", async () => {
    for (const job of ["openmetrics", "text"]) {
      const own = "process_.*|weir_.*|http_.*|queue_depth|up|scrape_.*|.*_created";
      expect(await query(`{job="${job}",__name__!~"${own}"}`)).toEqual([
        `node_cpu_seconds_total{cpu="0",job="${job}",mode="idle"} 6`,
        `node_memory_MemAvailable_bytes{instance="host",job="${job}"} 5`,
        `nothing{job="${job}"} NaN`,
        `pause_seconds_count{job="${job}"} 14`,
        `pause_seconds_sum{job="${job}"} 13`,
        `pause_seconds{job="${job}",quantile="0.5"} 12`,
        `requests{job="${job}"} 7`,
        `rpc_bucket{job="${job}",le="+Inf"} 9`,
        `rpc_bucket{job="${job}",le="1"} 8`,
        `rpc_count{job="${job}"} 11`,
        `rpc_sum{job="${job}"} 10`,
        `uploads_total{job="${job}",odd=${JSON.stringify(ODD)}} 3`,
      ]);
    }
  });

  test("stores when totals began, from OpenMetrics only", async () => {
    const uploads = await query("uploads_created");
    expect(uploads).toEqual([
      `uploads_created{job="openmetrics",odd=${JSON.stringify(ODD)}} ${nowMs / 1000}`,
    ]);
  });

  test("stores types, units and help", async () => {
    const metadata = await ask("metadata");
    // The type differs if a counter's name lacks _total, which OpenMetrics does not support.
    const kept = { help: "Pushed as requests (cumulative).", unit: "" };
    expect(metadata?.requests).toHaveLength(2);
    expect(metadata?.requests).toContainEqual({ type: "counter", ...kept });
    expect(metadata?.requests).toContainEqual({ type: "unknown", ...kept });
    expect(metadata?.http_request_duration_ms).toContainEqual({
      type: "histogram",
      help: "Pushed as http.request.duration_ms (observation).",
      unit: "ms",
    });
    expect(metadata?.uploads).toContainEqual({
      type: "counter",
      help: "Files that were uploaded.",
      unit: "",
    });
    expect(metadata?.uploads_total).toContainEqual({
      type: "counter",
      help: "Files that were uploaded.",
      unit: "",
    });
  });

  test("stores the exemplar that leads from the slow bucket to its task", async () => {
    const range = `start=${nowMs / 1000 - 60}&end=${nowMs / 1000 + 60}`;
    const found = (await ask(`query_exemplars?query=http_request_duration_ms_bucket&${range}`)) as unknown;
    expect(found).toEqual([
      {
        seriesLabels: {
          __name__: "http_request_duration_ms_bucket",
          job: "openmetrics",
          le: "250.0",
          operation: "get_task",
          status_code: "200",
        },
        exemplars: [
          { labels: { task_id: "1704067200_abc123" }, value: "234.5", timestamp: nowMs / 1000 - 1 },
        ],
      },
    ]);
  });
});
