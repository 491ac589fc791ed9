/**
 * Real senders: Debian's Prometheus (2.42) scrapes itself and another target and writes everything to the gateway,
 * also across a kill of the gateway. Afterwards the gateway has exactly the samples that Prometheus has. vmagent and
 * vmalert write to the gateway, too.
 *
 * Tests of senders that are not installed are skipped.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Server, Subprocess } from "bun";
import snappyjs from "snappyjs";
import { GatewayProcess } from "../gateway-process.ts";
import { canRun, type RealServer, startPrometheus } from "../real-servers.ts";
import { encodeV1 } from "../receive/remote-write/messages.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";

/** The metrics of the target. `gone` is exposed only until the test removes it. */
const target = {
  scrapes: 0,
  showsGone: true,
  text(): string {
    this.scrapes++;
    return [
      "# HELP target_requests_total Requests so far.",
      "# TYPE target_requests_total counter",
      `target_requests_total{zone="b",code="200",path="/ü\\"\\n"} ${this.scrapes * 3}`,
      "# TYPE target_temperature_celsius gauge",
      "target_temperature_celsius -40.5",
      "# TYPE target_odd gauge",
      'target_odd{is="NaN"} NaN',
      'target_odd{is="Inf"} +Inf',
      "# TYPE target_size_bytes histogram",
      'target_size_bytes_bucket{le="1"} 1',
      'target_size_bytes_bucket{le="1000"} 2',
      'target_size_bytes_bucket{le="+Inf"} 2',
      "target_size_bytes_sum 12.5",
      "target_size_bytes_count 2",
      "# TYPE target_twice histogram",
      // One bound in two spellings: two series in Prometheus.
      'target_twice_bucket{le="0.5"} 1',
      'target_twice_bucket{le="1"} 3',
      'target_twice_bucket{le="1.0"} 4',
      'target_twice_bucket{le="2"} 9',
      'target_twice_bucket{le="+Inf"} 9',
      "target_twice_sum 9",
      "target_twice_count 9",
      // One series with two values: Prometheus 2 stores the first and sends both.
      "target_double 1",
      "target_double 2",
      ...(this.showsGone ? ["target_gone 1"] : []),
      "",
    ].join("\n");
  },
};

/** A target in OpenMetrics whose counter has an exemplar with a trace. The exemplar is the same in each scrape. */
const TRACED = [
  "# TYPE traced_requests counter",
  `traced_requests_total 5 # {trace_id="4bf92f35"} 0.5 ${Math.floor(Date.now() / 1000)}`,
  "# EOF",
  "",
].join("\n");

interface Sample {
  readonly series: string;
  readonly ms: number;
  readonly value: string;
}

let folder: string;
let server: Server<unknown>;
let gateway: GatewayProcess | undefined;
let address: string;
const children: Subprocess[] = [];

beforeAll(async () => {
  folder = temporaryFolder();
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => {
      const isTraced = url.endsWith("/traced");
      const type = isTraced ? "application/openmetrics-text; version=1.0.0" : "text/plain; version=0.0.4";
      return new Response(isTraced ? TRACED : target.text(), { headers: { "content-type": type } });
    },
  });
  await startGateway();
  address = new URL(gateway!.url).host;
});
afterAll(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    await child.exited;
  }
  await gateway?.stop("SIGKILL");
  await server.stop(true);
});

/** Starts it on a free port, and later on the same one. */
async function startGateway(address = "127.0.0.1:0"): Promise<void> {
  const args = ["--no-sampler", "--listen", address, "--log-level=error"];
  gateway = await GatewayProcess.start({ data: join(folder, "data"), args });
}

async function sql(statement: string): Promise<Record<string, unknown>[]> {
  const response = await fetch(`http://${address}/api/v1/sql?format=ndjson`, {
    method: "POST",
    body: statement,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const spell = (metric: string, labels: Record<string, string>) =>
  `${metric}{${Object.entries(labels)
    .filter(([name]) => name !== "__name__")
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(",")}}`;
const order = (samples: Sample[]) =>
  samples.map(({ series, ms, value }) => `${series} ${ms} ${value}`).sort();

/** The gateway's samples of a job, with null for stale markers. */
async function stored(job: string, toMs: number): Promise<string[]> {
  const rows = await sql(
    `SELECT metric, labels, epoch_ms(ts)::DOUBLE AS ms, value FROM samples
     WHERE labels['job'] = '${job}' AND ts <= make_timestamp(${toMs}::BIGINT * 1000) LIMIT 100000`,
  );
  return order(
    rows.map(({ metric, labels, ms, value }) => ({
      series: spell(metric as string, labels as Record<string, string>),
      ms: ms as number,
      value: String(value === "Infinity" ? Number.POSITIVE_INFINITY : value),
    })),
  );
}

const newestMs = async (job: string) => {
  const [row] = await sql(
    `SELECT max(epoch_ms(ts))::DOUBLE AS ms FROM samples WHERE labels['job'] = '${job}'`,
  );
  return (row?.ms as number | null) ?? 0;
};

describe.if(canRun("prometheus"))("Prometheus writes its scrapes", () => {
  let prometheus: RealServer | undefined;
  let url: string;
  afterAll(() => prometheus?.stop());
  beforeAll(async () => {
    const config = (own: string) => `
global: { scrape_interval: 500ms, scrape_timeout: 500ms }
scrape_configs:
  - { job_name: prometheus, static_configs: [{ targets: ["${own}"] }] }
  - { job_name: target, static_configs: [{ targets: ["127.0.0.1:${server.port}"] }] }
  - { job_name: traced, metrics_path: /traced, static_configs: [{ targets: ["127.0.0.1:${server.port}"] }] }
remote_write:
  - url: http://${address}/api/v1/write
    send_exemplars: true
    queue_config: { max_shards: 1, batch_send_deadline: 250ms, min_backoff: 30ms, max_backoff: 250ms }
    metadata_config: { send: true, send_interval: 500ms }
`;
    prometheus = await startPrometheus(config, "--enable-feature=exemplar-storage");
    url = prometheus.url;
    const scrapes = target.scrapes;
    await until("five scrapes", async () => target.scrapes >= scrapes + 5);
    target.showsGone = false;
  });

  /** Prometheus's own samples of a job, without stale markers, which it does not return. */
  async function own(job: string, toMs: number): Promise<string[]> {
    const query = new URLSearchParams({ query: `{job="${job}"}[10m]`, time: String(toMs / 1000) });
    const answer = (await (await fetch(`${url}/api/v1/query?${query}`)).json()) as {
      data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
    };
    return order(
      answer.data.result.flatMap(({ metric, values }) => {
        return values.map(([seconds, value]) => ({
          series: spell(metric.__name__!, metric),
          ms: Math.round(seconds * 1000),
          value: String(value === "NaN" ? Number.NaN : Number(value.replace("Inf", "Infinity"))),
        }));
      }),
    );
  }

  /** Waits until the gateway has everything that Prometheus scraped until now, and returns that time. */
  async function caughtUp(): Promise<number> {
    const nowMs = Date.now();
    await until("the gateway to catch up", async () => {
      return (await newestMs("prometheus")) > nowMs + 500 && (await newestMs("target")) > nowMs + 500;
    });
    return nowMs;
  }

  test("and the gateway stores each sample once, with its time and its value", async () => {
    const toMs = await caughtUp();
    for (const job of ["target", "prometheus"]) {
      const ours = (await stored(job, toMs)).filter((sample) => !sample.endsWith(" null"));
      const theirs = await own(job, toMs);
      expect(theirs.length).toBeGreaterThan(50);
      expect(ours).toEqual(theirs);
    }
  });

  test("and histogram_quantile has the same value on both, where a bound is spelled in two ways", async () => {
    for (const query of [
      "histogram_quantile(0.4, target_twice_bucket)",
      "histogram_quantile(0.4, sum by (le) (target_twice_bucket))",
    ]) {
      for (const server of [url, `http://${address}`]) {
        let values: string[] = [];
        // The series ends until the next scrape if one takes too long, which happens on a busy machine.
        await until(`an answer of ${server}`, async () => {
          const answer = await fetch(`${server}/api/v1/query?${new URLSearchParams({ query })}`);
          const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
          values = data.result.map(({ value }) => Number(value[1]).toFixed(4));
          return values.length > 0;
        });
        // Rank 3.6 of 9, between 1 below 0.5 and 3 + 4 below 1: 0.5 + 0.5 * 2.6 / 6.
        expect(values).toEqual(["0.7167"]);
      }
    }
  });

  test("and no sample fails: of two values in one scrape the first is stored, the second is counted", async () => {
    // Prometheus sends a scrape in requests of up to 500 samples. If one ends between the two values, the second value
    // differs from one of an earlier request. That is a 400, after which Prometheus counts the whole request as failed.
    // The failures are read first: requests go on.
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const failed = /^prometheus_remote_storage_samples_failed_total{.*} (\d+)$/m.exec(metrics)?.[1];
    const rejected = await sql("SELECT DISTINCT reason FROM rejected");
    const reasons = rejected.map(({ reason }) => String(reason));
    expect(reasons.filter((reason) => !reason.includes('"target_double"'))).toEqual([]);
    const isDivided = reasons.some((reason) => reason.includes("already stored"));
    if (!isDivided) expect({ failed, reasons }).toEqual({ failed: "0", reasons });
    // A scrape that takes too long on a busy machine stores a stale marker.
    const values = "SELECT DISTINCT value FROM samples WHERE metric = 'target_double' AND value IS NOT NULL";
    expect(await sql(values)).toEqual([{ value: 1 }]);
    const own = await (await fetch(`http://${address}/metrics`)).text();
    expect(own).toMatch(/^weir_samples_rejected_total{cause="repeated",protocol="remote_write"} [1-9]/m);
  });

  test("across a kill, after which it repeats unanswered requests", async () => {
    await gateway!.stop("SIGKILL");
    const scrapes = target.scrapes;
    await until("scrapes without a gateway", async () => target.scrapes > scrapes + 4);
    await startGateway(address);
    const toMs = await caughtUp();
    for (const job of ["target", "prometheus"]) {
      const ours = (await stored(job, toMs)).filter((sample) => !sample.endsWith(" null"));
      expect(ours).toEqual(await own(job, toMs));
    }
  });

  test("and ends a series that disappeared by a stale marker, which is stored as NULL", async () => {
    const rows = await sql(
      "SELECT value IS NULL AS is_null, count(*) AS n FROM samples WHERE metric = 'target_gone' GROUP BY ALL ORDER BY ALL",
    );
    expect(rows).toEqual([
      { is_null: false, n: expect.any(Number) },
      { is_null: true, n: 1 },
    ]);
  });

  test("and the gateway stores its metadata", async () => {
    const types = async () =>
      sql("SELECT metric, type, help FROM metrics WHERE metric LIKE 'target_%' ORDER BY metric");
    await until("metadata", async () => (await types()).some(({ type }) => type === "histogram"));
    expect(await types()).toEqual([
      { metric: "target_double", type: "unknown", help: "" },
      { metric: "target_gone", type: "unknown", help: "" },
      { metric: "target_odd", type: "gauge", help: "" },
      { metric: "target_requests_total", type: "counter", help: "Requests so far." },
      { metric: "target_size_bytes_bucket", type: "histogram", help: "" },
      { metric: "target_size_bytes_count", type: "histogram", help: "" },
      { metric: "target_size_bytes_sum", type: "histogram", help: "" },
      { metric: "target_temperature_celsius", type: "gauge", help: "" },
      { metric: "target_twice_bucket", type: "histogram", help: "" },
      { metric: "target_twice_count", type: "histogram", help: "" },
      { metric: "target_twice_sum", type: "histogram", help: "" },
    ]);
  });

  test("and the gateway stores its exemplars", async () => {
    const exemplars = () =>
      sql("SELECT metric, value, exemplar FROM exemplars WHERE metric = 'traced_requests_total'");
    await until("exemplars", async () => (await exemplars()).length > 0);
    expect(await exemplars()).toEqual([
      { metric: "traced_requests_total", value: 0.5, exemplar: { trace_id: "4bf92f35" } },
    ]);
  });

  test("and none of its series is on /metrics, which Prometheus may scrape", async () => {
    expect(await (await fetch(`http://${address}/metrics`)).text()).not.toContain("target_");
  });
});

test("a request that is repeated after a kill stores no sample twice, late ones included", async () => {
  const nowMs = Date.now();
  // Samples of now, and samples too late to count in totals.
  const times = [nowMs - 20_000, nowMs - 10_000, nowMs - 3 * 3_600_000];
  const series = Array.from({ length: 300 }, (_, index) => ({
    labels: { __name__: "again", job: "again", n: String(index) },
    samples: [{ value: index, timestamp: times[index % 3] }],
  }));
  const body = new Uint8Array(snappyjs.compress(encodeV1(series)));
  const headers = { "content-encoding": "snappy", "content-type": "application/x-protobuf" };
  const send = async () =>
    (await fetch(`http://${address}/api/v1/write`, { method: "POST", headers, body })).status;
  const count = async () =>
    sql("SELECT count(*) AS n, sum(value) AS sum FROM samples WHERE metric = 'again'");
  for (let kill = 0; kill < 2; kill++) {
    expect(await send()).toBe(204);
    expect(await count()).toEqual([{ n: 300, sum: (299 * 300) / 2 }]);
    await gateway!.stop("SIGKILL");
    await startGateway(address);
  }
  expect(await send()).toBe(204);
  expect(await count()).toEqual([{ n: 300, sum: (299 * 300) / 2 }]);
});

test.if(canRun("vmagent"))("vmagent writes its scrapes, whose labels it does not sort", async () => {
  await writeFile(
    join(folder, "vmagent.yml"),
    `scrape_configs:
  - { job_name: vmagent, scrape_interval: 500ms, static_configs: [{ targets: ["127.0.0.1:${server.port}"] }] }
`,
  );
  children.push(
    Bun.spawn(
      [
        "vmagent",
        `-promscrape.config=${join(folder, "vmagent.yml")}`,
        `-remoteWrite.url=http://${address}/api/v1/write`,
        `-remoteWrite.tmpDataPath=${join(folder, "vmagent")}`,
        "-remoteWrite.flushInterval=500ms",
        "-httpListenAddr=127.0.0.1:0",
        "-loggerLevel=ERROR",
      ],
      { stdout: "ignore", stderr: "ignore" },
    ),
  );
  await until("samples of vmagent", async () => (await newestMs("vmagent")) > 0);
  const rows = await sql(
    "SELECT DISTINCT labels FROM samples WHERE labels['job'] = 'vmagent' AND metric = 'target_requests_total'",
  );
  const instance = `127.0.0.1:${server.port}`;
  expect(rows).toEqual([{ labels: { code: "200", instance, job: "vmagent", path: '/ü"\n', zone: "b" } }]);
});

test.if(canRun("vmalert"))("vmalert asks here and writes what its rules record", async () => {
  const now = Date.now();
  const series = [1, 2, 3].map((value) => ({
    labels: { __name__: "asked", n: String(value) },
    samples: [{ value, timestamp: now }],
  }));
  const body = new Uint8Array(snappyjs.compress(encodeV1(series)));
  expect((await fetch(`http://${address}/api/v1/write`, { method: "POST", body })).status).toBe(204);
  await writeFile(
    join(folder, "rules.yml"),
    `groups:
  - name: recorded
    interval: 500ms
    rules: [{ record: "asked:sum", expr: sum(asked), labels: { from: vmalert } }]
`,
  );
  children.push(
    Bun.spawn(
      [
        "vmalert",
        `-rule=${join(folder, "rules.yml")}`,
        `-datasource.url=http://${address}`,
        `-remoteWrite.url=http://${address}`,
        "-remoteWrite.flushInterval=250ms",
        "-notifier.url=http://127.0.0.1:1",
        "-httpListenAddr=127.0.0.1:0",
        "-loggerLevel=ERROR",
      ],
      { stdout: "ignore", stderr: "ignore" },
    ),
  );
  const recorded = () =>
    sql("SELECT DISTINCT labels, value FROM samples WHERE metric = 'asked:sum' AND value IS NOT NULL");
  await until("what vmalert records", async () => (await recorded()).length > 0);
  expect(await recorded()).toEqual([{ labels: { from: "vmalert" }, value: 6 }]);
});
