/**
 * `le` and `quantile` are numbers. In events and groups a bound is one series in any spelling. Series received by
 * remote_write keep the text that was sent, as in Prometheus. Queries find every spelling, and add the buckets of one
 * bound.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";
import { encodeV1, encodeV2 } from "../receive/remote-write/messages.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS, "--expose-protocols=remote_write");
});
afterAll(async () => await gateway.close());

async function send(method: string, path: string, body?: string): Promise<[status: number, text: string]> {
  const response = await gateway.fetch(path, { method, body });
  return [response.status, (await response.text()).trimEnd()];
}

async function pushGauges(name: string, edges: readonly Record<string, string>[]): Promise<void> {
  const events = edges.map((tags, at) => ({ name, type: "gauge", value: at, tags, timestamp: NOW_MS + at }));
  const [status, text] = await send("POST", "/api/v1/push", JSON.stringify(events));
  expect([status, text]).toEqual([200, expect.stringContaining(`"accepted":${edges.length}`)]);
}

async function write(name: string, edge: Record<string, string>, value: number, at: number): Promise<void> {
  const series = {
    labels: { __name__: name, ...edge },
    samples: [{ value, timestamp: NOW_MS - 1_000 + at }],
  };
  const body = new Uint8Array(snappyjs.compress(encodeV1([series])));
  const request = new Request("http://localhost/api/v1/write", { method: "POST", body });
  expect((await gateway.app.fetch(request)).status).toBe(204);
}

/** The lines of a metric on /metrics. */
async function exposed(name: string): Promise<string[]> {
  const [, text] = await send("GET", "/metrics");
  return text.split("\n").filter((line) => line.startsWith(`${name}{`));
}

/** The label sets of a metric's series in the store. */
async function stored(name: string): Promise<unknown[]> {
  const rows = await gateway.query(`SELECT labels FROM weir.series WHERE metric = '${name}' ORDER BY ALL`);
  return rows.map(({ labels }) => labels);
}

const SPELLED = ["1", "1.0", "1.00", "1e0", "+1", "01"];

test("events: gauges and counters of one bound are one series", async () => {
  await pushGauges(
    "g_bucket",
    SPELLED.map((le) => ({ le })),
  );
  expect(await stored("g_bucket")).toEqual([{ le: "1.0" }]);
  expect(await exposed("g_bucket")).toEqual(['g_bucket{instance="",le="1.0"} 5']);
  const events = SPELLED.map((le) => ({ name: "d", type: "counter", value: 2, tags: { le } }));
  expect((await send("POST", "/api/v1/push", JSON.stringify(events)))[0]).toBe(200);
  expect(await stored("d")).toEqual([{ le: "1.0" }]);
  expect(await exposed("d_total")).toEqual(['d_total{instance="",le="1.0"} 12']);
});

test("remote_write: le and quantile keep the text that was sent", async () => {
  for (const [at, le] of SPELLED.entries()) await write("w_bucket", { le }, at, 0);
  expect(await stored("w_bucket")).toEqual([...SPELLED].sort().map((le) => ({ le })));
  for (const edge of ["1", "1.0"]) await write("both", { le: edge, quantile: edge }, 1, 0);
  expect(await stored("both")).toEqual([
    { le: "1", quantile: "1" },
    { le: "1.0", quantile: "1.0" },
  ]);
  for (const le of ["+Inf", "Inf", "inf"]) await write("i_bucket", { le }, 1, 0);
  expect(await stored("i_bucket")).toEqual([{ le: "+Inf" }, { le: "Inf" }, { le: "inf" }]);
});

/** Buckets of one scrape; the last two spell one bound. Prometheus 2.42 answers 0.7167 for the quantile 0.4. */
const TWICE_SPELLED = [
  ["0.5", 1],
  ["2", 9],
  ["+Inf", 9],
  ["1", 3],
  ["1.0", 4],
] as const;

async function valuesOf(query: string): Promise<number[]> {
  const path = `/api/v1/query?query=${encodeURIComponent(query)}&time=${NOW_MS / 1000}`;
  const [status, text] = await send("GET", path);
  expect([status, text]).toEqual([200, expect.any(String)]);
  const { data } = JSON.parse(text) as { data: { result: { value: [number, string] }[] } };
  return data.result.map(({ value }) => Number(Number(value[1]).toFixed(4)));
}

for (const [version, encode, parts] of [
  ["1.0", encodeV1, 1],
  ["2.0", encodeV2, 1],
  ["1.0", encodeV1, 2],
  ["2.0", encodeV2, 2],
] as const) {
  test(`remote_write ${version}: a bucket spelled in two ways counts as in Prometheus, ${parts} request(s)`, async () => {
    const name = `twice_${version.replace(".", "_")}_${parts}`;
    const series = TWICE_SPELLED.map(([le, value]) => ({
      labels: { __name__: `${name}_bucket`, job: "a", le },
      // 0, and a minute later the value: `increase` extrapolates all buckets by one factor.
      samples: [
        { value: 0, timestamp: NOW_MS - 60_000 },
        { value, timestamp: NOW_MS },
      ],
    }));
    const proto = version === "1.0" ? "prometheus.WriteRequest" : "io.prometheus.write.v2.Request";
    const requests = parts === 1 ? [series] : [series.slice(0, 4), series.slice(4)];
    for (const some of requests) {
      const request = new Request("http://localhost/api/v1/write", {
        method: "POST",
        headers: { "content-type": `application/x-protobuf;proto=${proto}` },
        body: new Uint8Array(snappyjs.compress(encode(some))),
      });
      expect((await gateway.app.fetch(request)).status).toBe(204);
    }
    // 3 + 4 within bound 1, of 9: rank 3.6, so 0.5 + 0.5 * (3.6 - 1) / (3 + 4 - 1).
    for (const query of [
      `histogram_quantile(0.4, ${name}_bucket)`,
      `histogram_quantile(0.4, sum by (le) (${name}_bucket))`,
      `histogram_quantile(0.4, sum by (le) (rate(${name}_bucket[5m])))`,
      `histogram_quantile(0.4, increase(${name}_bucket[5m]))`,
    ])
      expect([query, await valuesOf(query)]).toEqual([query, [0.7167]]);
    // 7 of 9 are within 1.
    expect(await valuesOf(`histogram_fraction(0, 1, ${name}_bucket)`)).toEqual([0.7778]);
    // A matcher finds every spelling.
    for (const le of ["1", "1.0", "1e0"])
      expect((await valuesOf(`${name}_bucket{le="${le}"}`)).sort()).toEqual([3, 4]);
    // Federation and /metrics return them as they are stored.
    const [, federated] = await send("GET", `/federate?match[]=${name}_bucket`);
    for (const le of ["1", "1.0"]) expect(federated).toContain(`,le="${le}"} `);
    expect(await exposed(`${name}_bucket`)).toEqual(
      expect.arrayContaining([
        `${name}_bucket{instance="",job="a",le="1"} 3`,
        `${name}_bucket{instance="",job="a",le="1.0"} 4`,
      ]),
    );
  });
}

test("remote_write: typed buckets are one histogram on /metrics, each line once and as it was sent", async () => {
  const series = [...TWICE_SPELLED, ['a"b', 2] as const].map(([le, value]) => ({
    labels: { __name__: "typed_bucket", le },
    samples: [{ value, timestamp: NOW_MS }],
    metadata: { type: 3 },
  }));
  const request = new Request("http://localhost/api/v1/write", {
    method: "POST",
    headers: { "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request" },
    body: new Uint8Array(snappyjs.compress(encodeV2(series))),
  });
  expect((await gateway.app.fetch(request)).status).toBe(204);
  const lines = await exposed("typed_bucket");
  expect(new Set(lines).size).toBe(lines.length);
  expect([...lines].sort()).toEqual([
    'typed_bucket{instance="",le="+Inf"} 9',
    'typed_bucket{instance="",le="0.5"} 1',
    'typed_bucket{instance="",le="1"} 3',
    'typed_bucket{instance="",le="1.0"} 4',
    'typed_bucket{instance="",le="2"} 9',
    'typed_bucket{instance="",le="a\\"b"} 2',
  ]);
});

test("a sender that changes its spelling: rates lose nothing, and the look-back finds both series", async () => {
  // A counter that grows by 1 each second: four minutes of samples, the newer half under another spelling.
  const samples = (fromMs: number, toMs: number) =>
    Array.from({ length: (toMs - fromMs) / 15_000 + 1 }, (_, at) => ({
      value: (fromMs - NOW_MS) / 1000 + at * 15 + 600,
      timestamp: fromMs + at * 15_000,
    }));
  const labels = (le: string) => ({ __name__: "moved_bucket", le });
  const series = [
    { labels: labels("1.0"), samples: samples(NOW_MS - 240_000, NOW_MS - 120_000) },
    { labels: labels("1"), samples: samples(NOW_MS - 105_000, NOW_MS) },
  ];
  const request = new Request("http://localhost/api/v1/write", {
    method: "POST",
    body: new Uint8Array(snappyjs.compress(encodeV1(series))),
  });
  expect((await gateway.app.fetch(request)).status).toBe(204);
  // 105 s, extrapolated by 15 s to the start and 7.5 s at the change; then 105 s and 7.5 s.
  expect(await valuesOf('sum(increase(moved_bucket{le="1"}[4m]))')).toEqual([127.5 + 112.5]);
  // For the look-back of five minutes without a stale marker, as in Prometheus.
  expect(await valuesOf('moved_bucket{le="1"}')).toEqual([600, 480]);
});

test("keeps a bound that is not a number as it was sent", async () => {
  for (const le of ["high", "0x10", " 1", "1e999"]) await write("t_bucket", { le }, 1, 0);
  expect(await stored("t_bucket")).toEqual([{ le: " 1" }, { le: "0x10" }, { le: "1e999" }, { le: "high" }]);
});

test("Pushgateway: untyped buckets get the same bounds as those of histograms, also from a bound in the path", async () => {
  const typed =
    '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n' +
    '# TYPE s summary\ns{quantile="0.50"} 4\ns_sum 1\ns_count 1\n';
  expect(await send("PUT", "/metrics/job/a", `${typed}u_bucket{le="1"} 5\nu_bucket{le="Inf"} 6\n`)).toEqual([
    200,
    "",
  ]);
  expect(await exposed("h_bucket")).toEqual([
    'h_bucket{instance="",job="a",le="1.0"} 1',
    'h_bucket{instance="",job="a",le="+Inf"} 2',
  ]);
  expect(await exposed("s")).toEqual(['s{instance="",job="a",quantile="0.5"} 4']);
  expect((await exposed("u_bucket")).sort()).toEqual([
    'u_bucket{instance="",job="a",le="+Inf"} 6',
    'u_bucket{instance="",job="a",le="1.0"} 5',
  ]);
  expect(await send("PUT", "/metrics/job/b/le/2", "p_bucket 1\np 1\n")).toEqual([200, ""]);
  expect(await exposed("p_bucket")).toEqual(['p_bucket{instance="",job="b",le="2.0"} 1']);
  expect(await stored("p_bucket")).toEqual([{ job: "b", le: "2.0" }]);
  // Outside of buckets it is a label like any other, as in the real Pushgateway.
  expect(await exposed("p")).toEqual(['p{instance="",job="b",le="2"} 1']);
  // The name of the group does not change.
  expect((await send("DELETE", "/metrics/job/b/le/2"))[0]).toBe(202);
  expect(await exposed("p_bucket")).toEqual([]);
});

test("Pushgateway: rejects a push with one bound twice, typed or untyped", async () => {
  const [status, text] = await send("PUT", "/metrics/job/c", 'v_bucket{le="1"} 1\nv_bucket{le="1.0"} 2\n');
  expect(status).toBe(400);
  expect(text).toContain("was collected before with the same name and label values");
  expect(await exposed("v_bucket")).toEqual([]);
});

test("several protocols write one bound to one series, unless remote_write spells it differently", async () => {
  await write("x_bucket", { le: "1.0", job: "a" }, 1, 0);
  expect(await send("PUT", "/metrics/job/a", 'x_bucket{le="1.0"} 7\n')).toEqual([200, ""]);
  await pushGauges("x_bucket", [{ le: "1e0", job: "a" }]);
  expect(await stored("x_bucket")).toEqual([{ job: "a", le: "1.0" }]);
  expect(await exposed("x_bucket")).toEqual(['x_bucket{instance="",job="a",le="1.0"} 7']);
  await write("x_bucket", { le: "1", job: "a" }, 2, 0);
  expect(await stored("x_bucket")).toEqual([
    { job: "a", le: "1" },
    { job: "a", le: "1.0" },
  ]);
});
