/**
 * Echoes: samples of /metrics that a Prometheus, which scrapes here and writes here, sends back by remote_write.
 * Exactly those that would count twice are dropped.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { STALE_STAND_IN, withStaleMarkers } from "../../receive/remote-write/decoded.ts";
import { encodeV1, encodeV2, type Series } from "../../receive/remote-write/messages.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** The labels that a Prometheus adds: those of its target, and its external labels. */
const TARGET = { job: "weir", instance: "gw:9091" };
const EXTERNAL = { cluster: "a", __replica__: "r1" };

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await openTestGateway();
});
afterEach(async () => await gateway.close());

async function send(method: string, path: string, body?: string | Uint8Array, headers = {}) {
  const request = new Request(`http://localhost${path}`, { method, headers, body: body as string });
  const response = await gateway.app.fetch(request);
  return { status: response.status, text: (await response.text()).trimEnd(), headers: response.headers };
}

type Labels = Readonly<Record<string, string>>;

const seriesOf = (name: string, labels: Labels, value = 3, atMs = gateway.nowMs): Series => ({
  labels: { __name__: name, ...labels },
  samples: [{ value, timestamp: atMs }],
});

/** Writes as 1.0. Returns the status and the number of dropped samples. */
async function write(series: readonly Series[], path = "/api/v1/write"): Promise<[number, number]> {
  const before = await dropped();
  const body = new Uint8Array(snappyjs.compress(withStaleMarkers(encodeV1(series))));
  const { status, text } = await send("POST", path, body);
  if (status >= 400) throw new Error(`answered ${status}: ${text}`);
  return [status, (await dropped()) - before];
}

async function dropped(): Promise<number> {
  return (await gateway.gateway.counters.echoesDropped.get()).values[0]!.value;
}

/** The first sample of /metrics as a scrape sends it back. */
async function info(added: Labels): Promise<Series> {
  const { text } = await send("GET", "/metrics");
  const [, id] = /^# HELP weir_exposition_info .*\n# TYPE .*\nweir_exposition_info\{id="(.*)"\} 1\n/.exec(
    text,
  )!;
  return seriesOf("weir_exposition_info", { id: id!, ...added }, 1);
}

async function learn(added: Labels): Promise<void> {
  expect(await write([await info(added)])).toEqual([204, 1]);
}

const push = async (...events: readonly object[]) => {
  const { status, json } = await gateway.post(events.map((event) => JSON.stringify(event)).join("\n"));
  expect([status, json.accepted]).toEqual([200, events.length]);
};
const gauge = (name: string, value: number, tags: Labels = {}) => ({ name, type: "gauge", value, tags });

/** The number of stored samples of each metric with this name. */
async function stored(...names: string[]): Promise<Record<string, number>> {
  const reader = await gateway.gateway.store.reader();
  try {
    const rows = await reader.all<{ series_id: number; n: number }>(
      `SELECT series_id, count(*)::DOUBLE AS n FROM weir.samples_20241004 GROUP BY ALL`,
    );
    const counts = Object.fromEntries(names.map((name) => [name, 0]));
    for (const { series_id, n } of rows) {
      const name = gateway.gateway.registry.seriesById(series_id)!.metric.name;
      if (name in counts) counts[name]! += n;
    }
    return counts;
  } finally {
    reader.close();
  }
}

async function sum(query: string): Promise<number | undefined> {
  const search = new URLSearchParams({ query, time: String(gateway.nowMs / 1_000) });
  const { text } = await send("GET", `/api/v1/query?${search}`);
  const { data } = JSON.parse(text) as { data: { result: { value: [number, string] }[] } };
  return data.result[0] && Number(data.result[0].value[1]);
}

test("gauges, counters, histograms and groups that come back with the labels of a scrape count once", async () => {
  await push(
    gauge("queue.depth", 3, { job: "w", instance: "w1" }),
    gauge("plain", 3),
    gauge("odd", 3, { "status.code": "ok" }),
    { name: "jobs", type: "counter", value: 3, tags: { job: "w" } },
    { name: "runs_total", type: "counter", value: 3 },
    { name: "took_ms", value: 3, tags: { op: "a" } },
  );
  expect((await send("PUT", "/metrics/job/b", 'grp 3\nlimit{le="2"} 3\n')).status).toBe(200);
  const sample = (name: string, labels: Labels) => seriesOf(name, { ...labels, ...EXTERNAL });
  const honoured = [
    sample("queue_depth", { job: "w", instance: "w1" }),
    sample("plain", { job: "weir" }),
    sample("odd", { job: "weir", status_code: "ok" }),
    sample("jobs_total", { job: "w" }),
    sample("jobs_created", { job: "w" }),
    sample("runs_total", { job: "weir" }),
    sample("took_ms_bucket", { job: "weir", op: "a", le: "2.5" }),
    sample("took_ms_bucket", { job: "weir", op: "a", le: "5" }),
    sample("took_ms_bucket", { job: "weir", op: "a", le: "+Inf" }),
    sample("took_ms_sum", { job: "weir", op: "a" }),
    sample("took_ms_count", { job: "weir", op: "a" }),
    sample("took_ms_created", { job: "weir", op: "a" }),
    sample("grp", { job: "b" }),
    sample("limit", { job: "b", le: "2" }),
    sample("push_time_seconds", { job: "b" }),
  ];
  const replaced = [
    sample("queue_depth", { ...TARGET, exported_job: "w", exported_instance: "w1" }),
    sample("plain", TARGET),
    sample("took_ms_count", { ...TARGET, op: "a" }),
    sample("grp", { ...TARGET, exported_job: "b" }),
  ];
  // The scrape is recognised by its first sample, at any position in the request.
  expect(await write([...honoured, await info({ ...TARGET, ...EXTERNAL }), ...replaced])).toEqual([
    204,
    honoured.length + 1 + replaced.length,
  ]);
  for (const name of ["queue_depth", "plain", "odd", "jobs_total", "took_ms_sum", "grp", "limit"])
    expect([name, await sum(`sum(${name})`)]).toEqual([
      name,
      name.startsWith("jobs") ? expect.anything() : 3,
    ]);
  expect(await sum("count(queue_depth)")).toBe(1);
  expect(await stored("queue.depth", "plain", "grp", "jobs", "took_ms")).toEqual({
    "queue.depth": 1,
    plain: 1,
    grp: 1,
    jobs: 1,
    took_ms: 1,
  });
  // And a minute later, when nothing in the request is new.
  gateway.nowMs += MINUTE_MS;
  const again = honoured.map(({ labels, samples }) => ({
    labels,
    samples: samples!.map(({ value }) => ({ value, timestamp: gateway.nowMs })),
  }));
  expect(await write(again)).toEqual([204, again.length]);
  expect(await sum("sum(queue_depth)")).toBe(3);
});

test("stores the same names with other labels", async () => {
  await push(gauge("m", 3), gauge("n", 3, { job: "w", instance: "w1" }), { name: "took_ms", value: 3 });
  await learn({ ...TARGET, ...EXTERNAL });
  const others = [
    // Another target of the same Prometheus and the same job.
    seriesOf("m", { job: "node", instance: "host:9100", ...EXTERNAL }),
    seriesOf("m", { job: "weir", instance: "gw:9092", ...EXTERNAL }),
    // Another job with the address of this target.
    seriesOf("m", { job: "node", instance: "gw:9091", ...EXTERNAL }),
    // Another Prometheus.
    seriesOf("m", { job: "weir", cluster: "a", __replica__: "r2" }),
    seriesOf("m", { job: "weir" }),
    // One label more, one label less, another value.
    seriesOf("m", { job: "weir", extra: "1", ...EXTERNAL }),
    seriesOf("n", { job: "w", ...EXTERNAL }),
    seriesOf("n", { job: "w", instance: "w2", ...EXTERNAL }),
    // Prometheus's metrics about the scrape, and a metric whose name only begins with an exposed name.
    seriesOf("up", { ...TARGET, ...EXTERNAL }, 1),
    seriesOf("m_other", { job: "weir", ...EXTERNAL }),
  ];
  expect(await write(others)).toEqual([204, 0]);
  expect(await stored("m", "n", "up", "m_other")).toEqual({ m: 7, n: 3, up: 1, m_other: 1 });
});

test("drops the gateway's own metrics if it stores them itself", async () => {
  const gateways = [
    seriesOf("weir_groups", TARGET),
    seriesOf("weir_commit_duration_seconds_bucket", { ...TARGET, le: "0.001" }),
    seriesOf("weir_commit_duration_seconds_count", TARGET),
    seriesOf("weir_last_push_timestamp_seconds", { job: "weir" }),
  ];
  const others = [
    seriesOf("weir_groups", { ...TARGET, instance: "gw:9092" }),
    seriesOf("weir_last_push_timestamp_seconds", { job: "silent", instance: "gw:9092" }),
  ];
  await push(gauge("m", 3));
  await learn(TARGET);
  expect(await write([...gateways, ...others])).toEqual([204, gateways.length]);
  expect(await stored("weir_groups", "weir_last_push_timestamp_seconds")).toEqual({
    weir_groups: 1,
    weir_last_push_timestamp_seconds: 1,
  });
  // Without the sampler this is the only copy.
  await gateway.reopen("--no-sampler");
  gateway.nowMs += 1_000;
  expect(
    await write(
      gateways.map(({ labels }) => ({ labels, samples: [{ value: 1, timestamp: gateway.nowMs }] })),
    ),
  ).toEqual([204, 0]);
});

test("drops nothing before it knows the scrape, and nothing for the first sample of another gateway", async () => {
  await push(gauge("m", 3));
  const echo = seriesOf("m", { job: "weir" });
  expect(await write([echo])).toEqual([204, 0]);
  const other = seriesOf("weir_exposition_info", { id: "another", ...TARGET }, 1);
  gateway.nowMs += 1_000;
  expect(await write([other, seriesOf("m", { job: "weir" })])).toEqual([204, 0]);
  // A scrape without labels of a target would make every exposed series an echo.
  const { id } = (await info({})).labels as { id: string };
  gateway.nowMs += 1_000;
  expect(await write([seriesOf("weir_exposition_info", { id }), seriesOf("m", { job: "weir" })])).toEqual([
    204, 0,
  ]);
  gateway.nowMs += 1_000;
  await learn(TARGET);
  expect(await write([seriesOf("m", { job: "weir" })])).toEqual([204, 1]);
});

test("recognises both servers of a pair, and a target whose address changed", async () => {
  await push(gauge("m", 3));
  await learn({ ...TARGET, __replica__: "r1" });
  await learn({ ...TARGET, __replica__: "r2" });
  await learn({ job: "weir", instance: "gw:80" });
  expect(
    await write([
      seriesOf("m", { job: "weir", __replica__: "r1" }),
      seriesOf("m", { job: "weir", __replica__: "r2" }),
      seriesOf("m", { job: "weir" }),
    ]),
  ).toEqual([204, 3]);
});

test("drops stale markers of series that left /metrics", async () => {
  await push(gauge("m", 3), { name: "took_ms", value: 3 });
  expect((await send("PUT", "/metrics/job/b", "grp 3\n")).status).toBe(200);
  await learn(TARGET);
  expect(await write([seriesOf("m", { job: "weir" }), seriesOf("grp", { job: "b" })])).toEqual([204, 2]);
  gateway.nowMs += 6 * MINUTE_MS;
  expect((await send("DELETE", "/metrics/job/b")).status).toBe(202);
  gateway.nowMs += 1_000;
  const ended = [
    seriesOf("m", { job: "weir" }, STALE_STAND_IN),
    seriesOf("grp", { job: "b" }, STALE_STAND_IN),
    seriesOf("took_ms_count", { job: "weir" }, STALE_STAND_IN),
  ];
  expect(await write(ended)).toEqual([204, 3]);
});

test("stores samples with the labels of a series that left /metrics", async () => {
  await push(gauge("m", 3, { job: "w", instance: "w1" }));
  expect((await send("PUT", "/metrics/job/b/instance/b1", "grp 3\n")).status).toBe(200);
  await learn(TARGET);
  const both = () => [
    seriesOf("m", { job: "w", instance: "w1" }),
    seriesOf("grp", { job: "b", instance: "b1" }),
  ];
  gateway.nowMs += 9 * MINUTE_MS;
  expect(await write(both())).toEqual([204, 2]);
  expect((await send("DELETE", "/metrics/job/b/instance/b1")).status).toBe(202);
  // The workers stop pushing. From now on this Prometheus scrapes them itself.
  gateway.nowMs += 11 * MINUTE_MS;
  expect(await write(both())).toEqual([204, 0]);
  // Late samples from the time when the series were exposed are still echoes.
  expect(await write([seriesOf("m", { job: "w", instance: "w1" }, 3, NOON_MS + MINUTE_MS)])).toEqual([
    204, 1,
  ]);
});

test("drops samples of series that a demotion ended, which come back for a while", async () => {
  await gateway.reopen("--label-values-max=2");
  await push(...["a", "b"].map((url) => ({ name: "hits", type: "counter", value: 1, tags: { url } })));
  await learn(TARGET);
  expect(await write([seriesOf("hits_total", { job: "weir", url: "a" })])).toEqual([204, 1]);
  await push({ name: "hits", type: "counter", value: 1, tags: { url: "c" } });
  gateway.nowMs += 1_000;
  expect(
    await write([
      seriesOf("hits_total", { job: "weir", url: "a" }, STALE_STAND_IN),
      seriesOf("hits_total", { job: "weir" }),
    ]),
  ).toEqual([204, 2]);
});

test("forgets a scrape that was not seen for a day, also across restarts", async () => {
  await learn(TARGET);
  const echoOf = async (value: number) => {
    await push(gauge("m", value));
    return await write([seriesOf("m", { job: "weir" }, value)]);
  };
  gateway.nowMs += DAY_MS - MINUTE_MS;
  expect(await echoOf(1)).toEqual([204, 1]);
  // Seen once more.
  await learn(TARGET);
  gateway.nowMs += DAY_MS - MINUTE_MS;
  expect(await echoOf(2)).toEqual([204, 1]);
  gateway.nowMs += 2 * MINUTE_MS;
  expect(await echoOf(3)).toEqual([204, 0]);
  await gateway.reopen();
  gateway.nowMs += MINUTE_MS;
  expect(await echoOf(4)).toEqual([204, 0]);
  await learn(TARGET);
  gateway.nowMs += MINUTE_MS;
  expect(await echoOf(5)).toEqual([204, 1]);
});

test("remembers a scrape after a restart", async () => {
  await push(gauge("m", 3), { name: "took_ms", value: 3 });
  await learn({ ...TARGET, ...EXTERNAL });
  await gateway.reopen();
  gateway.nowMs += 1_000;
  const echoes = [
    seriesOf("m", { job: "weir", ...EXTERNAL }),
    seriesOf("took_ms_count", { job: "weir", ...EXTERNAL }),
    // The stale marker of the first sample of the earlier process.
    seriesOf("weir_exposition_info", { id: "before", ...TARGET, ...EXTERNAL }, STALE_STAND_IN),
  ];
  expect(await write(echoes)).toEqual([204, 3]);
});

test("drops echoes of a series within a minute after its first push, if its labels were written before", async () => {
  await learn(TARGET);
  expect(await write([seriesOf("m", { job: "weir" })])).toEqual([204, 0]);
  await push(gauge("m", 3));
  gateway.nowMs += MINUTE_MS;
  expect(await write([seriesOf("m", { job: "weir" })])).toEqual([204, 1]);
});

test("counts an extra_label of the sender as a label of its scrape", async () => {
  await push(gauge("m", 3));
  const path = "/api/v1/write?extra_label=site=x";
  expect(await write([await info(TARGET), seriesOf("m", { job: "weir" })], path)).toEqual([204, 2]);
  expect(await write([seriesOf("m", { job: "weir" })])).toEqual([204, 0]);
});

test("reports echoes and their exemplars as written to 2.0, and the reason for rejected ones", async () => {
  await push(gauge("m", 3), { name: "took_ms", value: 3 });
  await learn(TARGET);
  const exemplars = [{ labels: { task_id: "t" }, value: 3, timestamp: gateway.nowMs }];
  const series = [
    { ...seriesOf("took_ms_bucket", { job: "weir", le: "5.0" }), exemplars },
    seriesOf("m", { job: "weir" }),
    { ...seriesOf("other", { job: "x" }), exemplars },
  ];
  const headers = { "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request" };
  const write2 = async (all: readonly Series[]) => {
    const answer = await send(
      "POST",
      "/api/v1/write",
      new Uint8Array(snappyjs.compress(encodeV2(all))),
      headers,
    );
    const written = ["samples", "exemplars"].map((what) =>
      answer.headers.get(`x-prometheus-remote-write-${what}-written`),
    );
    return [answer.status, ...written, answer.text.split(":")[0]];
  };
  expect(await write2(series)).toEqual([204, "3", "2", ""]);
  expect(await write2([...series.slice(0, 2), seriesOf("late", {}, 1, NOON_MS - 9 * DAY_MS)])).toEqual([
    400,
    "2",
    "1",
    "1 of 3 samples were not stored; the first",
  ]);
  expect(await stored("m", "other", "took_ms")).toEqual({ m: 1, other: 1, took_ms: 1 });
});

test("stores exposed series of remote_write that come back with their own labels", async () => {
  await gateway.reopen("--expose-protocols=remote_write");
  await push(gauge("m", 3));
  expect((await send("PUT", "/metrics/job/b/instance/i", "grp 3\n")).status).toBe(200);
  await learn({ ...TARGET, ...EXTERNAL });
  const app = { job: "app", instance: "app:1" };
  const scraped = { ...app, ...EXTERNAL };
  expect(await write([seriesOf("requests", scraped)])).toEqual([204, 0]);
  const { text } = await send("GET", "/metrics");
  expect(text).toContain('requests{__replica__="r1",cluster="a",instance="app:1",job="app"} 3');
  gateway.nowMs += 1_000;
  expect(
    await write([
      // The application again, and the samples of it that were scraped here, with and without honor_labels.
      seriesOf("requests", scraped, 4),
      seriesOf("requests", { ...TARGET, ...EXTERNAL, exported_job: "app", exported_instance: "app:1" }),
      seriesOf("m", { job: "weir", ...EXTERNAL }),
      seriesOf("grp", { job: "b", instance: "i", ...EXTERNAL }),
      seriesOf("grp", { job: "b", instance: "i" }),
    ]),
  ).toEqual([204, 3]);
  expect(await stored("requests", "m")).toEqual({ requests: 2, m: 1 });
});

test("a bound that remote_write stored as it was sent is recognised as Prometheus 2 and 3 scrape it", async () => {
  await gateway.reopen("--expose-protocols=remote_write");
  await learn({ ...TARGET, ...EXTERNAL });
  const app = { job: "app", instance: "app:1" };
  expect(await write([seriesOf("took_bucket", { ...app, le: "1" })])).toEqual([204, 0]);
  const { text } = await send("GET", "/metrics");
  expect(text).toContain('took_bucket{instance="app:1",job="app",le="1"} 3');
  const exported = { ...TARGET, ...EXTERNAL, exported_job: "app", exported_instance: "app:1" };
  // Prometheus 3 spells the bounds that it scrapes as OpenMetrics floats.
  for (const le of ["1", "1.0"])
    expect(await write([seriesOf("took_bucket", { ...exported, le })])).toEqual([204, 1]);
  // The application's own Prometheus was upgraded: no echo.
  expect(await write([seriesOf("took_bucket", { ...app, le: "1.0" }, 4)])).toEqual([204, 0]);
  expect(await stored("took_bucket")).toEqual({ took_bucket: 2 });
  // A bound of the gateway's own histograms, spelled otherwise on the way.
  await push({ name: "op_ms", value: 0.5, tags: { job: "w" } });
  const bucket = { ...TARGET, ...EXTERNAL, exported_job: "w" };
  expect(
    await write([
      seriesOf("op_ms_bucket", { ...bucket, le: "5" }),
      seriesOf("op_ms_bucket", { ...bucket, le: "5.0" }),
    ]),
  ).toEqual([204, 2]);
});

test("stores a series without metadata beside a gauge with the same Prometheus name, in either order", async () => {
  await push(gauge("queue.depth", 3));
  expect(await write([seriesOf("queue_depth", { job: "other" }, 40)])).toEqual([204, 0]);
  expect(await write([seriesOf("disk_parts", { job: "other" }, 40)])).toEqual([204, 0]);
  await push(gauge("disk.parts", 3));
  const { text } = await send("GET", "/metrics");
  for (const name of ["queue_depth", "disk_parts"]) {
    expect([name, await sum(`sum(${name})`)]).toEqual([name, 43]);
    expect([name, await sum(`count(${name})`)]).toEqual([name, 2]);
    expect(text.match(new RegExp(`^${name}.*$`, "gm"))).toEqual([`${name}{instance=""} 3`]);
    const query = encodeURIComponent(`SELECT sum(value) AS sum FROM ${name}`);
    expect(JSON.parse((await send("GET", `/api/v1/sql?q=${query}`)).text)).toMatchObject({
      rows: [{ sum: 43 }],
    });
  }
});

test("stores another application's histogram beside the observations of its name, in either order", async () => {
  const histogram = (name: string, labels: Labels, scale: number, atMs = gateway.nowMs) => [
    ...[1, 2, 4].map((count, at) =>
      seriesOf(`${name}_bucket`, { ...labels, le: ["1", "2.5", "+Inf"][at]! }, count * scale, atMs),
    ),
    seriesOf(`${name}_sum`, labels, 10 * scale, atMs),
    seriesOf(`${name}_count`, labels, 4 * scale, atMs),
  ];
  const app = { job: "app", instance: "app:1" };
  await push({ name: "took_ms", value: 2, tags: { op: "a" }, timestamp: NOON_MS - 50_000 });
  for (const name of ["took_ms", "later_ms"]) {
    expect(await write(histogram(name, app, 1, NOON_MS - 90_000))).toEqual([204, 0]);
    expect(await write(histogram(name, app, 2, NOON_MS - 30_000))).toEqual([204, 0]);
  }
  await push({ name: "later_ms", value: 2, tags: { op: "a" }, timestamp: NOON_MS - 50_000 });
  await learn(TARGET);
  for (const name of ["took_ms", "later_ms"]) {
    // The echo is still dropped.
    expect(await write(histogram(name, { job: "weir", op: "a" }, 1))).toEqual([204, 5]);
    expect([name, await sum(`sum(${name}_count)`)]).toEqual([name, 9]);
    expect([name, await sum(`sum(${name}_count{job="app"})`)]).toEqual([name, 8]);
    expect([name, await sum(`sum(${name}_bucket{le="2.5"})`)]).toEqual([name, 5]);
    expect([name, await sum(`sum(${name}_sum{op="a"})`)]).toEqual([name, 2]);
    const { text } = await send("GET", "/metrics");
    expect(text.match(new RegExp(`^${name}_count.*$`, "gm"))).toEqual([
      `${name}_count{instance="",op="a"} 1`,
    ]);
    const query = encodeURIComponent(
      `SELECT (SELECT count(*) FROM ${name}) AS own, max(value) AS theirs FROM ${name}_count`,
    );
    expect(JSON.parse((await send("GET", `/api/v1/sql?q=${query}`)).text)).toMatchObject({
      rows: [{ own: 1, theirs: 8 }],
    });
  }
  const { text } = await send("GET", "/metrics");
  expect(text).toContain("\nweir_exposition_conflicts 0\n");
  const federated = await send("GET", '/federate?match[]={__name__=~"took_ms_count|later_ms_count"}');
  expect(federated.text.match(/^\w+_count\{.*/gm)?.map((line) => line.split(" ")[0])).toEqual([
    'later_ms_count{instance="app:1",job="app"}',
    'later_ms_count{instance="",op="a"}',
    'took_ms_count{instance="app:1",job="app"}',
    'took_ms_count{instance="",op="a"}',
  ]);
});

test("rejects names on /metrics that belong to another family, in exposed writes and in pushes", async () => {
  await push({ name: "took_ms", value: 2 });
  expect(
    await write([seriesOf("took_ms_count", { job: "app" }), seriesOf("took_ms_sum", { job: "app" })]),
  ).toEqual([204, 0]);
  const { status, json } = await gateway.post(JSON.stringify(gauge("took_ms_count", 1, { job: "w" })));
  expect([status, JSON.stringify(json)]).toEqual([
    400,
    expect.stringContaining("would share the name took_ms_count in Prometheus with metric"),
  ]);
  const { text } = await send("PUT", "/metrics/job/b", "took_ms_sum 1\n");
  expect(text).toContain("would share the name took_ms_sum");
  await gateway.reopen("--expose-protocols=remote_write");
  await push({ name: "other_ms", value: 2 });
  await expect(write([seriesOf("other_ms_count", { job: "app" })])).rejects.toThrow("would share the name");
});
