/**
 * Names that begin with `__`: senders add `__replica__` and `__tenant__` to every series, and Prometheus and
 * VictoriaMetrics store them. Every protocol accepts them, except Pushgateway's, which rejects such labels itself.
 * Every query returns them. Some are also names of JavaScript, such as `__proto__`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { encodeV1, encodeV2 } from "../receive/remote-write/messages.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

const MINUTE_AGO_MS = NOW_MS - 60_000;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS);
});
afterAll(async () => await gateway.close());

async function send(method: string, path: string, body?: string): Promise<[status: number, text: string]> {
  const response = await gateway.fetch(path, { method, body });
  return [response.status, (await response.text()).trimEnd()];
}

async function json<Answer>(path: string): Promise<Answer> {
  const [status, text] = await send("GET", path);
  if (status !== 200) throw new Error(`${path} was answered ${status}: ${text}`);
  return JSON.parse(text) as Answer;
}

async function push(...events: readonly object[]): Promise<void> {
  const lines = events.map((event) => JSON.stringify(event)).join("\n");
  expect(await send("POST", "/api/v1/push", lines)).toEqual([
    200,
    JSON.stringify({ accepted: events.length, rejected: 0, errors: [] }),
  ]);
}

async function write(body: Uint8Array, contentType = "application/x-protobuf"): Promise<[number, string]> {
  const request = new Request("http://localhost/api/v1/write", {
    method: "POST",
    body: new Uint8Array(snappyjs.compress(body)),
    headers: { "content-type": contentType, "content-encoding": "snappy" },
  });
  const response = await gateway.app.fetch(request);
  return [response.status, await response.text()];
}

interface Found {
  readonly metric: Record<string, string>;
  readonly value: [number, string];
}

async function ask(query: string, atMs = NOW_MS): Promise<Found[]> {
  const search = new URLSearchParams({ query, time: String(atMs / 1_000) });
  return (await json<{ data: { result: Found[] } }>(`/api/v1/query?${search}`)).data.result;
}

/** Labels in an object, whose names may have a meaning in JavaScript. */
const own = (labels: readonly (readonly [string, string])[]) => Object.fromEntries(labels);

for (const [version, encode, contentType] of [
  ["1.0", encodeV1, "application/x-protobuf"],
  ["2.0", encodeV2, "application/x-protobuf;proto=io.prometheus.write.v2.Request"],
] as const) {
  test(`remote_write ${version}: a pair's two replicas are two series`, async () => {
    const name = `pair_${version.replace(".", "_")}`;
    const of = (replica: string, value: number) => ({
      labels: { __name__: name, __replica__: replica, cluster: "a" },
      samples: [{ value, timestamp: NOW_MS }],
    });
    expect(await write(encode([of("r1", 1)]), contentType)).toEqual([204, ""]);
    expect(await write(encode([of("r2", 2)]), contentType)).toEqual([204, ""]);
    const labels = (replica: string) => ({ __name__: name, __replica__: replica, cluster: "a" });
    expect((await ask(name)).map(({ metric, value }) => [metric, value[1]])).toEqual([
      [labels("r1"), "1"],
      [labels("r2"), "2"],
    ]);
    expect((await ask(`${name}{__replica__!="r1"}`)).map(({ value }) => value[1])).toEqual(["2"]);
    expect(await ask(`max without (__replica__) (${name})`)).toEqual([
      { metric: { cluster: "a" }, value: [NOW_MS / 1_000, "2"] },
    ]);
    expect(await ask(`sum by (__replica__) (${name}{__replica__="r1"})`)).toEqual([
      { metric: { __replica__: "r1" }, value: [NOW_MS / 1_000, "1"] },
    ]);
  });
}

test("remote_write: accepts names that have a meaning in JavaScript", async () => {
  const labels = [
    ["__name__", "__proto__"],
    ["__proto__", "a"],
    ["constructor", "b"],
    ["hasOwnProperty", "c"],
  ] as const;
  const samples = [{ value: 7, timestamp: NOW_MS }];
  expect(await write(encodeV1([{ labels, samples }]))).toEqual([204, ""]);
  expect((await ask('{__name__="__proto__"}'))[0]?.metric).toEqual(own(labels));
  expect(await ask('{__proto__="a"}')).toHaveLength(1);
  expect(await json('/api/v1/series?match[]={__name__="__proto__"}')).toEqual({
    status: "success",
    data: [own(labels)],
  });
  expect(
    await json(
      `/api/v1/sql?q=${encodeURIComponent(`SELECT "__proto__", "constructor", value FROM "__proto__"`)}`,
    ),
  ).toMatchObject({ rows: [own([...labels.slice(1, 3), ["value", 7 as never]])] });
  const [, federated] = await send("GET", '/federate?match[]={__name__="__proto__"}');
  expect(federated).toContain(
    `__proto__{__proto__="a",constructor="b",hasOwnProperty="c",instance=""} 7 ${NOW_MS}`,
  );
  const metadata = await json<{ data: Record<string, unknown> }>("/api/v1/metadata");
  expect(Object.hasOwn(metadata.data, "__proto__")).toBe(true);
});

test("events: tags and metrics are stored, exposed, queried and exported as they were pushed", async () => {
  await push({
    metric_name: "__tenants.jobs",
    value: 3,
    type: "gauge",
    "@timestamp": NOW_MS - 1,
    tags: { __tenant__: "t1", ".-dots": "x" },
  });
  const found = { __name__: "__tenants_jobs", __tenant__: "t1", __dots: "x" };
  expect((await ask('{__tenant__="t1"}'))[0]?.metric).toEqual(found);
  const [, exposed] = await send("GET", "/metrics");
  expect(exposed).toContain('\n__tenants_jobs{__dots="x",__tenant__="t1",instance=""} 3\n');
  const [, federated] = await send("GET", '/federate?match[]={__tenant__="t1"}');
  expect(federated).toContain(`__tenants_jobs{__dots="x",__tenant__="t1",instance=""} 3 ${NOW_MS - 1}`);
  const sql = 'SELECT "__tenant__", "__dots", value FROM "__tenants_jobs"';
  expect(await json(`/api/v1/sql?q=${encodeURIComponent(sql)}`)).toMatchObject({
    rows: [{ __tenant__: "t1", __dots: "x", value: 3 }],
  });
  const names = await json<{ data: string[] }>("/api/v1/labels?match[]=__tenants_jobs");
  expect(names.data).toEqual(["__dots", "__name__", "__tenant__"]);
  expect((await json<{ data: string[] }>("/api/v1/label/__tenant__/values")).data).toEqual(["t1"]);
  const range = `from=${MINUTE_AGO_MS}&to=${NOW_MS}`;
  const [, exported] = await send("GET", `/api/v1/export?${range}&metric=__tenants.jobs`);
  expect(JSON.parse(exported)).toMatchObject({
    metric_name: "__tenants.jobs",
    tags: { __tenant__: "t1", ".-dots": "x" },
    value: 3,
  });
});

test("events: such tags of observations are in their buckets, and as attributes in their own columns", async () => {
  const tags = JSON.parse('{"__replica__": "r1", "__proto__": "p", "task_id": "t"}') as object;
  await push({ metric_name: "took_ms", value: 3, tags, "@timestamp": MINUTE_AGO_MS });
  const labels = '__proto__="p",__replica__="r1"';
  const [, exposed] = await send("GET", "/metrics");
  expect(exposed).toContain(`took_ms_bucket{${labels},instance="",le="2.5"} 0\n`);
  expect(exposed).toContain(`took_ms_bucket{${labels},instance="",le="5.0"} 1\n`);
  const found = await ask('took_ms_count{__replica__="r1"}');
  expect(found.map(({ metric }) => metric)).toEqual([
    own([
      ["__name__", "took_ms_count"],
      ["__proto__", "p"],
      ["__replica__", "r1"],
    ]),
  ]);
  const [, exported] = await send("GET", `/api/v1/export?from=${MINUTE_AGO_MS}&to=${NOW_MS}&metric=took_ms`);
  expect((JSON.parse(exported) as { tags: object }).tags).toEqual(tags);
  const tables = await json<{ tables: { table: string; columns: { name: string }[] }[] }>("/api/v1/tables");
  const columns = tables.tables.find(({ table }) => table === "took_ms")?.columns.map(({ name }) => name);
  expect(columns).toEqual(expect.arrayContaining(["__proto__", "__replica__", "task_id"]));
});

test("extra_label accepts such names", async () => {
  const event = JSON.stringify({ name: "extra", type: "gauge", value: 1 });
  expect((await send("POST", "/api/v1/push?extra_label=__replica__=r9", event))[0]).toBe(200);
  expect((await ask("extra"))[0]?.metric).toEqual({ __name__: "extra", __replica__: "r9" });
});

test("rejects a label __name__ on samples", async () => {
  const event = JSON.stringify({ name: "named", value: 1, tags: { __name__: "x" } });
  const [status, text] = await send("POST", "/api/v1/push", event);
  expect([status, text]).toEqual([
    400,
    expect.stringContaining('tag \\"__name__\\" is reserved for the name of the metric'),
  ]);
});

test("Pushgateway: accepts a metric with such a name and rejects a label, as the real one does", async () => {
  expect(await send("PUT", "/metrics/job/a", '__m 1\n__proto__{x="1"} 2\n')).toEqual([200, ""]);
  const [, exposed] = await send("GET", "/metrics");
  expect(exposed).toContain('\n__m{instance="",job="a"} 1\n');
  expect(exposed).toContain('\n__proto__{instance="",job="a",x="1"} 2\n');
  expect((await send("PUT", "/metrics/job/b", '__m{__x="1"} 1\n'))[0]).toBe(400);
  expect((await send("PUT", "/metrics/job/b/__x/1", "__m 1\n"))[0]).toBe(400);
});
