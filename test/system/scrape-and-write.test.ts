/**
 * Real Prometheus servers (Debian's 2.42) that scrape the gateway and write all scraped samples to it: one with
 * honor_labels and external labels, as half of a pair, and one with neither. No sample of the gateway counts twice,
 * no request is rejected, and samples from other targets are stored under the same names, also across a kill of the
 * gateway.
 *
 * These tests are skipped if Prometheus is not installed.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Server } from "bun";
import { GatewayProcess } from "../gateway-process.ts";
import { canRun, type RealServer, startPrometheus } from "../real-servers.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

setDefaultTimeout(300_000);

/** Another machine's node_exporter, which has the names of the sampler, and an application that pushes too. */
const OTHER = [
  "# TYPE node_load1 gauge",
  "node_load1 0.5",
  "# TYPE queue_depth gauge",
  'queue_depth{queue="elsewhere"} 40',
  "",
].join("\n");

describe.if(canRun("prometheus"))("Prometheus scrapes here and writes here", () => {
  let folder: string;
  let other: Server<unknown>;
  let gateway: GatewayProcess | undefined;
  let address: string;
  const senders: RealServer[] = [];

  beforeAll(async () => {
    folder = temporaryFolder();
    other = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response(OTHER, { headers: { "content-type": "text/plain; version=0.0.4" } }),
    });
    await startGateway();
    address = new URL(gateway!.url).host;
    const events = [
      { name: "queue.depth", type: "gauge", value: 3, tags: { queue: "here", instance: "w1", job: "w" } },
      { name: "disk.parts", type: "gauge", value: 3 },
      { name: "jobs", type: "counter", value: 3, tags: { instance: "w1", job: "w" } },
      { name: "took_ms", value: 3, tags: { operation: "a", "status.code": "200" } },
    ];
    await ok("/api/v1/push", { method: "POST", body: JSON.stringify(events) });
    const group =
      'grp 3\n# TYPE gh histogram\ngh_bucket{le="1"} 1\ngh_bucket{le="+Inf"} 3\ngh_sum 3\ngh_count 3\n';
    await ok("/metrics/job/batch/instance/i1", { method: "PUT", body: group });
    await startSender("pair", "external_labels: { cluster: a, __replica__: r1 }", true);
    await startSender("plain", "", false);
  });

  afterAll(async () => {
    for (const sender of senders) await sender.stop();
    await gateway?.stop("SIGKILL");
    await other?.stop(true);
  });

  /** Starts it on a free port, and later on the same one. */
  async function startGateway(address = "127.0.0.1:0"): Promise<void> {
    const args = ["--listen", address, "--log-level=error", "--sampler-host-interval-ms=1s"];
    gateway = await GatewayProcess.start({ data: join(folder, "data"), args });
  }

  async function startSender(name: string, global: string, honorLabels: boolean): Promise<void> {
    const config = `
global:
  scrape_interval: 500ms
  scrape_timeout: 500ms
  ${global}
scrape_configs:
  - { job_name: weir-${name}, honor_labels: ${honorLabels}, static_configs: [{ targets: ["${address}"] }] }
  - { job_name: node-${name}, static_configs: [{ targets: ["127.0.0.1:${other.port}"] }] }
remote_write:
  - url: http://${address}/api/v1/write
    queue_config: { batch_send_deadline: 250ms, min_backoff: 30ms, max_backoff: 250ms }
    metadata_config: { send: true, send_interval: 1s }
`;
    senders.push(await startPrometheus(config));
  }

  async function ok(path: string, init?: RequestInit): Promise<string> {
    const response = await fetch(`http://${address}${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${text}`);
    return text;
  }

  /** The answer to an instant query: label sets in JSON, with their values. */
  async function ask(query: string): Promise<[Record<string, string>, number][]> {
    const text = await ok(`/api/v1/query?${new URLSearchParams({ query })}`);
    const { data } = JSON.parse(text) as {
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    return data.result.map(({ metric, value }) => [metric, Number(value[1])]);
  }

  async function scrapesStored(): Promise<number[]> {
    const counts = ["pair", "plain"].map((name) => ask(`sum(sum_over_time(up{job="weir-${name}"}[10m]))`));
    return (await Promise.all(counts)).map((found) => found[0]?.[1] ?? 0);
  }

  /** Waits until each Prometheus has scraped this gateway successfully and written the samples. */
  async function scrapes(more: number): Promise<void> {
    const before = await scrapesStored();
    const areStored = async () => (await scrapesStored()).every((count, at) => count >= before[at]! + more);
    await until(`${more} scrapes`, areStored, 240);
  }

  async function metricOf(url: string, name: string): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text();
    const values = [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (.*)$`, "gm"))].map(([, value]) =>
      Number(value),
    );
    if (values.length === 0) throw new Error(`${url} has no ${name}`);
    return values.reduce((sum, value) => sum + value, 0);
  }

  async function expectEachOnce(): Promise<void> {
    const once = ["disk_parts", "grp", "gh_sum", "gh_count", 'queue_depth{queue="here"}'];
    // At each time of the test: PromQL would return an echo for five minutes.
    for (const metric of once)
      expect([metric, await ask(`max_over_time(sum(${metric})[10m:500ms])`)]).toEqual([metric, [[{}, 3]]]);
    const series = [...once, "jobs_total", 'took_ms_bucket{le="5.0"}', "took_ms_count", "push_time_seconds"];
    for (const metric of series) expect([metric, await ask(`count(${metric})`)]).toEqual([metric, [[{}, 1]]]);
    const own = "weir_samples_accepted_total{protocol='events'}";
    expect(await ask(`count(${own})`)).toEqual([[{}, 1]]);
    for (const { url, log } of senders) {
      const refused = log()
        .split("\n")
        .filter((line) => line.includes("non-recoverable"));
      expect(refused).toEqual([]);
      expect(await metricOf(url, "prometheus_remote_storage_samples_failed_total")).toBe(0);
      expect(await metricOf(url, "prometheus_remote_storage_samples_dropped_total")).toBe(0);
    }
    expect(
      await metricOf(`http://${address}`, "weir_remote_write_own_samples_dropped_total"),
    ).toBeGreaterThan(100);
    expect(
      await metricOf(`http://${address}`, 'weir_samples_accepted_total\\{protocol="remote_write"\\}'),
    ).toBeGreaterThan(0);
    expect(await ok("/metrics")).not.toContain('weir_samples_rejected_total{cause="name"');
  }

  test("and each series of the gateway counts once", async () => {
    await scrapes(20);
    await expectEachOnce();
  });

  test("and samples of other targets are stored under the same names, with Prometheus's own metrics about scrapes", async () => {
    const instance = `127.0.0.1:${other.port}`;
    const pair = { cluster: "a", __replica__: "r1" };
    const sorted = async (query: string) => (await ask(query)).sort(([a], [b]) => (a.job! < b.job! ? -1 : 1));
    // A scrape that takes too long, on a busy machine, ends its series until the next one.
    await until("four scrapes in time", async () => {
      const up = await ask(`up{instance=~"${instance}|${address}"}`);
      return up.length === 4 && up.every(([, value]) => value === 1);
    });
    expect(await sorted(`node_load1{instance="${instance}"}`)).toEqual([
      [{ __name__: "node_load1", ...pair, instance, job: "node-pair" }, 0.5],
      [{ __name__: "node_load1", instance, job: "node-plain" }, 0.5],
    ]);
    expect(await ask("count(node_load1)")).toEqual([[{}, 3]]);
    expect(await ask('sum(queue_depth{queue="elsewhere"})')).toEqual([[{}, 80]]);
    expect(await sorted('up{job=~"weir-.*"}')).toEqual([
      [{ __name__: "up", ...pair, instance: address, job: "weir-pair" }, 1],
      [{ __name__: "up", instance: address, job: "weir-plain" }, 1],
    ]);
  });

  test("across a kill of the gateway, after which they repeat unanswered requests", async () => {
    await gateway!.stop("SIGKILL");
    await until("scrapes that fail", async () => {
      const failing = senders.map(async ({ url }) => {
        const answer = await fetch(`${url}/api/v1/query?query=${encodeURIComponent('up{job=~"weir-.*"}')}`);
        const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
        return data.result[0]?.value[1] === "0";
      });
      return (await Promise.all(failing)).every(Boolean);
    });
    await startGateway(address);
    await scrapes(10);
    await expectEachOnce();
  });
});
