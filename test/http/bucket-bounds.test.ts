/**
 * `le` and `quantile` are numbers: in any spelling and by any protocol, a bound is one series and one line on
 * /metrics.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { encodeV1 } from "../receive/remote-write/messages.ts";
import { NOW_MS, openTestGateway, type TestGateway } from "./gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway("--expose-protocols=remote_write");
});
afterAll(async () => await gateway.close());

async function send(method: string, path: string, body?: string): Promise<[status: number, text: string]> {
  const response = await gateway.app.fetch(new Request(`http://localhost${path}`, { method, body }));
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

test("remote_write: buckets of one bound are one series, and so is one that has both labels", async () => {
  for (const [at, le] of SPELLED.entries()) await write("w_bucket", { le }, at, at);
  expect(await stored("w_bucket")).toEqual([{ le: "1.0" }]);
  for (const [at, edge] of SPELLED.entries()) await write("both", { le: edge, quantile: edge }, at, at);
  expect(await stored("both")).toEqual([{ le: "1.0", quantile: "1.0" }]);
  for (const [at, le] of ["+Inf", "Inf", "inf", "+infinity"].entries())
    await write("i_bucket", { le }, at, at);
  expect(await stored("i_bucket")).toEqual([{ le: "+Inf" }]);
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

test("several protocols write one bound to one series", async () => {
  await write("x_bucket", { le: "1", job: "a" }, 1, 0);
  expect(await send("PUT", "/metrics/job/a", 'x_bucket{le="1.0"} 7\n')).toEqual([200, ""]);
  await pushGauges("x_bucket", [{ le: "1e0", job: "a" }]);
  expect(await stored("x_bucket")).toEqual([{ job: "a", le: "1.0" }]);
  expect(await exposed("x_bucket")).toEqual(['x_bucket{instance="",job="a",le="1.0"} 7']);
});
