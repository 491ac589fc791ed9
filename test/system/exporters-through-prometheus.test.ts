/**
 * A real Prometheus (Debian's package) between the gateway and programs that only expose metrics. It scrapes the
 * programs and writes to the gateway, evaluates the shipped rules, or scrapes the gateway for pushed metrics, each
 * with the documented scrape configuration of the programs. And `weir check --rules` over all shipped rules.
 *
 * These tests are skipped if Prometheus is not installed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "bun";
import { weir } from "../commands/weir.ts";
import { GatewayProcess } from "../gateway-process.ts";
import { canRun, type RealServer, startPrometheus } from "../real-servers.ts";
import { type Exporter, gpuWorker, orchestrator, STEPS, workers } from "../scripts/deploy/exporters.ts";
import { WORKERS } from "../scripts/deploy/exposed.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const RULES = join(import.meta.dir, "../../scripts/deploy/prometheus/rules");

/** The documented scrape configurations, with other addresses and a shorter interval. */
const scrapeConfigs = (gpuTarget: string, orchestratorTarget: string, workersTarget: string) => `
scrape_configs:
  - job_name: 'tops-worker'
    static_configs:
      - targets: ['${gpuTarget}']
    metrics_path: '/prometheus'
    scrape_interval: 1s
    scrape_timeout: 1s
  - job_name: "asdlc-orchestrator"
    static_configs:
      - targets: ["${orchestratorTarget}"]
    metrics_path: /metrics
    scrape_interval: 1s
  - job_name: "asdlc-workers"
    static_configs:
      - targets: ["${workersTarget}"]
    metrics_path: /metrics
    scrape_interval: 1s
`;
const GLOBAL = `
global:
  scrape_timeout: 1s
  evaluation_interval: 1s
`;

/** Serves the metrics of a program, which advance by one step with each scrape. */
function serve(path: string, { expose }: Exporter): Server<unknown> {
  let step = 0;
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) =>
      new URL(url).pathname === path
        ? new Response(expose(++step % STEPS), { headers: { "content-type": "text/plain" } })
        : new Response("", { status: 404 }),
  });
}

interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
}

/** Queries a Prometheus or a gateway. Sorts the samples by their labels, because neither guarantees an order. */
async function query(url: string, expression: string): Promise<Sample[]> {
  const response = await fetch(`${url}/api/v1/query`, {
    method: "POST",
    body: new URLSearchParams({ query: expression }),
  });
  const { status, data, error } = (await response.json()) as ReturnType<typeof JSON.parse>;
  if (status !== "success") throw new Error(`${expression}: ${error}`);
  const samples: Sample[] = data.result.map(
    ({ metric, value }: { metric: Record<string, string>; value: [number, string] }) => ({
      labels: metric,
      value: Number(value[1]),
    }),
  );
  const keyOf = ({ labels }: Sample) => JSON.stringify(Object.entries(labels).sort());
  return samples.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** Repeats a query until the answer is as expected, and reports the last answer if it never is. */
async function eventually<Value>(
  ask: () => Promise<Value>,
  isExpected: (value: Value) => boolean,
): Promise<Value> {
  const deadline = Date.now() + 110_000;
  for (;;) {
    const value = await ask();
    if (isExpected(value) || Date.now() > deadline) return value;
    await Bun.sleep(100);
  }
}

describe.if(canRun("prometheus"))("a Prometheus", () => {
  const folder = temporaryFolder();
  const servers: Server<unknown>[] = [];
  const prometheuses: RealServer[] = [];
  let gateway: GatewayProcess;
  /** The addresses of a GPU worker whose tasks all fail, and of two services. */
  let targets: [gpu: string, orchestrator: string, workers: string];

  beforeAll(async () => {
    const args = ["--sampler-parts=gateway", "--sampler-host-interval-ms=1000", "--log-level=error"];
    gateway = await GatewayProcess.start({ data: join(folder, "data"), args });
    const sick = gpuWorker({ failed: 40, slow: true, consecutiveFailures: () => 12, uptime: () => 0 });
    servers.push(serve("/prometheus", sick), serve("/metrics", orchestrator()), serve("/metrics", workers()));
    const [gpu, first, second] = servers.map(({ port }) => `127.0.0.1:${port}`);
    targets = [gpu, first, second];
  });
  afterAll(async () => {
    for (const prometheus of prometheuses) await prometheus.stop();
    await gateway?.stop("SIGTERM");
    for (const server of servers) await server.stop(true);
  });

  /** Starts a Prometheus that is stopped at the end. */
  async function start(config: string): Promise<RealServer> {
    const prometheus = await startPrometheus(config);
    prometheuses.push(prometheus);
    return prometheus;
  }

  test("scrapes the programs as documented, writes to the gateway, and fires the shipped rules", async () => {
    // The shipped rules, with shorter times, so that the test need not wait for minutes.
    const ruleFiles = ["weir", "gpu-worker", "services"].map((name) => {
      const path = join(folder, `${name}.rules.yml`);
      writeFileSync(
        path,
        readFileSync(join(RULES, `${name}.rules.yml`), "utf8").replace(/\bfor: \w+/g, "for: 2s"),
      );
      return path;
    });
    const prometheus = await start(
      `${GLOBAL}rule_files: ${JSON.stringify(ruleFiles)}
remote_write:
  - url: ${gateway.url}/api/v1/write
${scrapeConfigs(...targets)}`,
    );

    // The gateway answers as Prometheus does.
    const worker = { instance: targets[0], job: "tops-worker" };
    const values: readonly (readonly [query: string, samples: Sample[]])[] = [
      ["tops_worker_success_rate / 100", [{ labels: worker, value: 0.9 }]],
      ["histogram_quantile(0.95, tops_worker_attempt_duration_ms_bucket)", [{ labels: worker, value: 1500 }]],
      ["tops_worker_uptime_seconds / 3600", [{ labels: worker, value: 0 }]],
      [
        "sum by (service, version) (asdlc_service_info)",
        [
          { labels: { service: "orchestrator", version: "1.2.0" }, value: 1 },
          { labels: { service: "workers", version: "1.3.0" }, value: 1 },
        ],
      ],
      [
        "sum by (service) (asdlc_active_tasks)",
        [
          { labels: { service: "orchestrator" }, value: 4 },
          { labels: { service: "workers" }, value: 6 },
        ],
      ],
    ];
    for (const [expression, samples] of values) {
      for (const url of [gateway.url, prometheus.url]) {
        const answer = await eventually(
          () => query(url, expression),
          ({ length }) => length === samples.length,
        );
        expect([expression, answer]).toEqual([expression, samples]);
      }
    }
    const listed = await fetch(`${gateway.url}/api/metrics/services`);
    expect(await listed.json()).toEqual(["orchestrator", "workers"]);

    // `weir check` also works with the Prometheus itself: nothing was pushed yet.
    const check = await weir(["check", "--rules", ...ruleFiles.slice(1), "--url", prometheus.url]);
    expect(check).toMatchObject({
      code: 1,
      out: `${ruleFiles[2]}: asdlc-services: ServiceSilent: no series of push_time_seconds\n`,
    });

    // The ratios do not depend on the number of scrapes: 40 of 400 fail.
    const firing = `ALERTS{alertstate="firing",instance="${targets[0]}"}`;
    const alerts = await eventually(
      () => query(prometheus.url, firing),
      (samples) => samples.length === 5,
    );
    expect(alerts.map(({ labels }) => labels.alertname).sort()).toEqual([
      "ConsecutiveFailures",
      "HighErrorRate",
      "HighResponseTime",
      // Its uptime does not change.
      "WorkerAbsent",
      "WorkerDown",
    ]);
    const { data } = (await (await fetch(`${prometheus.url}/api/v1/rules`)).json()) as {
      data: { groups: { name: string; rules: { name: string; health: string; lastError?: string }[] }[] };
    };
    const unwell = data.groups.flatMap(({ rules }) => rules.filter(({ health }) => health !== "ok"));
    expect(unwell).toEqual([]);
    expect(data.groups.map(({ name }) => name).sort()).toEqual([
      "asdlc-services",
      "tops-worker",
      "tops-worker-absence",
      "weir-gateway",
      "weir-workers",
    ]);
  });

  test("scrapes the gateway as documented for the pushed metrics of the programs", async () => {
    for (const { job, instance, expose } of [gpuWorker(), orchestrator(), workers()]) {
      const response = await fetch(`${gateway.url}/metrics/job/${job}/instance/${instance}`, {
        method: "PUT",
        body: expose(STEPS),
      });
      expect(response.status).toBe(200);
    }
    const address = new URL(gateway.url).host;
    const prometheus = await start(GLOBAL + scrapeConfigs(address, address, address));
    // Each of the three jobs finds all pushed metrics, at both paths.
    const labels = (job: string) => ({
      job,
      instance: address,
      exported_job: "tops-worker",
      exported_instance: "gpu-1",
    });
    for (const job of ["tops-worker", "asdlc-orchestrator", "asdlc-workers"]) {
      for (const [expression, value] of [
        ["tops_worker_success_rate{} / 100", 0.975],
        ["histogram_quantile(0.95, tops_worker_attempt_duration_ms_bucket{})", 750],
        ["tops_worker_uptime_seconds{} / 3600", 0.5],
      ] as const) {
        const answer = await eventually(
          () => query(prometheus.url, expression.replace("{}", `{job="${job}"}`)),
          ({ length }) => length > 0,
        );
        expect(answer).toEqual([{ labels: labels(job), value: expect.closeTo(value, 9) }]);
      }
    }
    expect(
      await query(prometheus.url, 'asdlc_redis_connection_up{job="asdlc-workers",service="workers"}'),
    ).toEqual([
      {
        labels: {
          __name__: "asdlc_redis_connection_up",
          exported_instance: "workers:8081",
          exported_job: "asdlc-workers",
          instance: address,
          job: "asdlc-workers",
          service: "workers",
        },
        value: 1,
      },
    ]);
  });

  test("has every metric that a shipped rule selects, together with workers that push events", async () => {
    const pushed = await fetch(`${gateway.url}/api/v1/push`, {
      method: "POST",
      body: JSON.stringify(WORKERS),
    });
    expect(pushed.status).toBe(200);
    // The sampler's metrics of disks depend on the machine.
    const disk = ["avail_bytes 5e9", "size_bytes 9e9"].map((each) => {
      const [name, value] = each.split(" ");
      return `node_filesystem_${name}{device="/dev/vda1",fstype="ext4",mountpoint="/"} ${value}\n`;
    });
    await fetch(`${gateway.url}/metrics/job/node`, { method: "PUT", body: disk.join("") });
    const check = () => weir(["check", "--rules", join(RULES, "*.rules.yml"), "--url", gateway.url]);
    const { code, out } = await eventually(check, ({ code }) => code === 0);
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(/^\d+ rules: every metric has series\n$/),
    });
  });
});
