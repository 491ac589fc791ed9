/**
 * An export carries what an import needs to make the same series: what every protocol stored comes back with equal rows,
 * metadata, PromQL and /metrics in an empty gateway, and its senders go on there.
 */
import { afterEach, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { batchOf, openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { encodeSketches } from "../receive/datadog/agent-payload.ts";
import { attributes, encode } from "../receive/otlp/otlp-messages.ts";
import { STALE_STAND_IN, withStaleMarkers } from "../receive/remote-write/decoded.ts";
import { encodeV2, type Series } from "../receive/remote-write/messages.ts";
import { until } from "../until.ts";

const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);
const SECONDS = NOW_MS / 1000;
const SETTINGS = ["--attributes=task_id", "--statsd-listen=127.0.0.1:0", "--influx-events=took"];

const open: TestGateway[] = [];
async function gatewayAt(nowMs: number): Promise<TestGateway> {
  const gateway = await openTestGatewayAt(nowMs, ...SETTINGS);
  open.push(gateway);
  return gateway;
}
afterEach(async () => {
  for (const gateway of open.splice(0)) await gateway.close();
});

async function post(to: TestGateway, path: string, body: Bun.BodyInit, headers: Record<string, string> = {}) {
  const response = await to.fetch(path, { method: "POST", body, headers });
  const text = await response.text();
  expect([path, response.status < 300, text]).toEqual([path, true, text]);
  return text;
}

function otlp(to: TestGateway, seconds: number): Promise<string> {
  const point = { timeUnixNano: `${seconds}000000000`, attributes: attributes({ op: "get" }) };
  const spread = { count: "2", sum: 2.5, explicitBounds: [1, 5], bucketCounts: ["1", "1", "0"] };
  const resource = {
    attributes: attributes({ "service.name": "otlp", "service.instance.id": "w-1", site: "b" }),
  };
  const metrics = [
    {
      name: "jobs",
      sum: { aggregationTemporality: 1, isMonotonic: true, dataPoints: [{ ...point, asInt: "3" }] },
    },
    {
      name: "took",
      unit: "s",
      histogram: { aggregationTemporality: 1, dataPoints: [{ ...point, ...spread }] },
    },
    {
      name: "sent",
      unit: "By",
      sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ ...point, asInt: "9" }] },
    },
    { name: "wait", histogram: { aggregationTemporality: 2, dataPoints: [{ ...point, ...spread }] } },
    { name: "level", unit: "1", gauge: { dataPoints: [{ ...point, asDouble: -0.5 }] } },
    {
      name: "old",
      summary: {
        dataPoints: [{ ...point, count: "4", sum: 8, quantileValues: [{ quantile: 0.5, value: 2 }] }],
      },
    },
    { name: "gone", gauge: { dataPoints: [{ ...point, flags: 1 }] } },
  ];
  const body = encode({ resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] });
  return post(to, "/v1/metrics", new Uint8Array(body), { "content-type": "application/x-protobuf" });
}

async function remoteWrite(to: TestGateway, seconds: number): Promise<void> {
  const at = seconds * 1000;
  const [COUNTER, GAUGE, HISTOGRAM] = [1, 2, 3];
  const series = (
    name: string,
    type: number,
    values: readonly number[],
    more: Record<string, string> = {},
  ) => ({
    labels: { __name__: name, instance: "a:1", job: "written", ...more },
    samples: values.map((value, index) => ({ value, timestamp: at + index })),
    metadata: { type },
  });
  const written = [
    series("requests_total", COUNTER, [5, 6]),
    series("temperature", GAUGE, [1, STALE_STAND_IN]),
    // As Prometheus 2 sends a bound.
    series("latency_bucket", HISTOGRAM, [4], { le: "1" }),
    series("latency_bucket", HISTOGRAM, [5], { le: "+Inf" }),
    series("latency_sum", HISTOGRAM, [7]),
    series("latency_count", HISTOGRAM, [5]),
  ];
  const body = withStaleMarkers(encodeV2(written as readonly Series[]));
  await post(to, "/api/v1/write", new Uint8Array(snappyjs.compress(body)), {
    "content-encoding": "snappy",
    "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
  });
}

async function everyProtocol(to: TestGateway, seconds: number): Promise<void> {
  await otlp(to, seconds);
  await remoteWrite(to, seconds);
  await post(
    to,
    "/write?precision=s",
    `took,op=get ms=250,task_id="t-1" ${seconds}\ntook,op=get ms=251,task_id="t-2" ${seconds}\ndisk,host=a used=0.5,full=f ${seconds}\n`,
  );
  await post(
    to,
    "/api/v1/import/prometheus",
    `# TYPE imported histogram\nimported_bucket{le="2"} 1 ${seconds}000\nimported_bucket{le="+Inf"} 1 ${seconds}000\nimported_sum 2 ${seconds}000\nimported_count 1 ${seconds}000\n`,
  );
  const sketch = { ts: seconds, cnt: 1, min: 2, max: 2, avg: 2, sum: 2, k: [1_383], n: [1] };
  await post(
    to,
    "/datadog/api/beta/sketches",
    new Uint8Array(encodeSketches({ metric: "spread", host: "h", tags: ["op:get"], dogsketches: [sketch] })),
    { "content-type": "application/x-protobuf" },
  );
  await post(to, "/metrics/job/group", "# TYPE in_group summary\nin_group_sum 1\nin_group_count 2\n");
  const scraped = {
    metric: "scraped",
    kind: "cumulative",
    atMs: seconds * 1000,
    labels: { job: "target" },
  } as const;
  const batch = batchOf([scraped]);
  const heads = batch.heads.map((head) => ({ ...head, type: "counter" as const, help: "Helps." }));
  await to.gateway.ingest.push({ ...batch, heads, protocol: "scrape" });
}

/** Sends StatsD, whose samples arrive without an acknowledgement. */
async function statsd(to: TestGateway, seconds: number): Promise<void> {
  const [url] = await to.startServices();
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const lines = [
    "api.time:320:7|ms|#op:get,task_id:t-9",
    "users:alice|s|#op:get",
    "users:bob|s|#op:get",
    "calls:2|c|@0.5",
  ];
  socket.send(lines.map((line) => `${line}|T${seconds}`).join("\n"), Number(new URL(url!).port), "127.0.0.1");
  socket.close();
  const count = async () => (await rowsOf(to)).filter((row) => /api\.time|users|calls/.test(row)).length;
  await until("the datagram", async () => (await count()) === 5);
}

async function rowsOf(of: TestGateway): Promise<string[]> {
  const statement =
    "SELECT * EXCLUDE labels, labels::VARCHAR AS labels FROM samples WHERE metric NOT LIKE 'push_%' ORDER BY ALL";
  const answer = await of.fetch(`/api/v1/sql?format=ndjson&q=${encodeURIComponent(statement)}`);
  return (await answer.text()).trimEnd().split("\n");
}

const metricsOf = (of: TestGateway) =>
  of.query("SELECT metric, kind, type, unit, help FROM weir.metrics ORDER BY metric");

/** Whether /metrics exposes the series, in the order of their names and labels. */
const exposedSeries = (of: TestGateway) =>
  of.query("SELECT metric, labels::VARCHAR AS labels, exposed FROM weir.series ORDER BY ALL");

async function promqlOf(of: TestGateway): Promise<unknown> {
  const query = encodeURIComponent('{__name__=~".+"}');
  const read = async (path: string) => (await of.fetch(path)).json();
  return [
    await read(`/api/v1/query_range?query=${query}&start=${SECONDS - 60}&end=${SECONDS + 60}&step=15`),
    await read("/api/v1/metadata"),
    await read(`/api/v1/query?query=histogram_quantile(0.5,took_seconds_bucket)&time=${SECONDS + 15}`),
  ];
}

/** /metrics without own metrics. An import makes no groups: so their times differ, and their metrics have a default HELP. */
async function metricsText(of: TestGateway): Promise<string[]> {
  const [, text] = await of.send("GET /metrics");
  return text.split("\n").filter((line) => !/^((# \w+ )?(weir_|process_|push_)|# HELP in_group )/.test(line));
}

async function exportOf(of: TestGateway): Promise<string> {
  return await (await of.fetch("/api/v1/export")).text();
}

test("an empty gateway that imports an export has equal rows, metadata, PromQL and /metrics", async () => {
  const first = await gatewayAt(NOW_MS);
  await everyProtocol(first, SECONDS - 30);
  await statsd(first, SECONDS - 30);
  const lines = await exportOf(first);
  const second = await gatewayAt(NOW_MS);
  const answer = JSON.parse(
    await post(second, "/api/v1/push", lines, { "content-type": "application/x-ndjson" }),
  );
  expect(answer).toMatchObject({ accepted: lines.trimEnd().split("\n").length, rejected: 0, errors: [] });
  expect(answer.warnings).toBeUndefined();

  expect(await rowsOf(second)).toEqual(await rowsOf(first));
  expect(await metricsOf(second)).toEqual(await metricsOf(first));
  expect(await exposedSeries(second)).toEqual(await exposedSeries(first));
  expect(await promqlOf(second)).toEqual(await promqlOf(first));
  expect(await metricsText(second)).toEqual(await metricsText(first));
  expect(await exportOf(second)).toBe(lines);

  // Worked out by hand: the parts of a histogram of increments are no counters of their own.
  const exposed = await second.exposed();
  expect(exposed).toContain('took_seconds_bucket{instance="w-1",job="otlp",op="get",le="1.0"} 1');
  expect(exposed.filter((line) => line.startsWith("took_seconds_bucket_total"))).toEqual([]);
  expect(exposed.filter((line) => /^(requests_total|temperature|latency|scraped)/.test(line))).toEqual([]);
  const members = (await rowsOf(second)).flatMap((row) => JSON.parse(row).member ?? []);
  expect(members.sort()).toEqual(["alice", "bob"]);
});

test("senders go on after an import of history: no series is doubled, and none is exposed that was not", async () => {
  const first = await gatewayAt(NOW_MS);
  await everyProtocol(first, SECONDS - 30);
  const second = await gatewayAt(NOW_MS);
  const lines = await exportOf(first);
  await post(second, "/api/v1/push?historical=true", lines, { "content-type": "application/x-ndjson" });
  for (const gateway of [first, second]) await everyProtocol(gateway, SECONDS - 15);
  expect(await rowsOf(second)).toEqual(await rowsOf(first));
  expect(await exposedSeries(second)).toEqual(await exposedSeries(first));
  expect(await promqlOf(second)).toEqual(await promqlOf(first));
  // The totals of the second gateway count from the import on.
  const names = async (of: TestGateway) => (await metricsText(of)).map((line) => line.replace(/ [^ ]*$/, ""));
  expect(await names(second)).toEqual(await names(first));
  expect(await second.exposed()).toContain('jobs_total{instance="w-1",job="otlp",op="get"} 3');
  expect(await first.exposed()).toContain('jobs_total{instance="w-1",job="otlp",op="get"} 6');
});
