/** Federation with the real gateway: which samples another Prometheus gets. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { STALE_STAND_IN, withStaleMarkers } from "../../receive/remote-write/decoded.ts";
import { encodeV1 } from "../../receive/remote-write/messages.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS);
  const at = (secondsAgo: number) => NOW_MS - secondsAgo * 1000;
  const events = [
    ...[3, 40, 400].map((value, index) => ({
      "@timestamp": at(60 - index),
      metric_name: "http.request.duration_ms",
      value,
      tags: { operation: "get", task_id: `task-${index}` },
    })),
    { "@timestamp": at(50), metric_name: "jobs_done", type: "counter", value: 2, tags: { queue: "fast" } },
    { "@timestamp": at(40), metric_name: "jobs_done", type: "counter", value: 3, tags: { queue: "fast" } },
    ...[at(100), at(90)].map((time, index) => ({
      "@timestamp": time,
      metric_name: "queue_depth",
      type: "gauge",
      value: 3 + index,
      tags: { job: "worker", instance: "a", path: 'C:\\"x"' },
    })),
    // Outside the look-back of five minutes, and just inside it.
    { "@timestamp": at(300), metric_name: "queue_age", type: "gauge", value: 1, tags: { job: "old" } },
    { "@timestamp": at(299), metric_name: "queue_age", type: "gauge", value: 2, tags: { job: "new" } },
  ];
  const pushed = await gateway.fetch("/api/v1/push", { method: "POST", body: JSON.stringify(events) });
  expect(pushed.status).toBe(200);
  const message = encodeV1([
    ...["0.1", "1", "+Inf"].map((le, index) => ({
      labels: { __name__: "took_seconds_bucket", instance: "b:9100", le },
      samples: [{ value: index, timestamp: at(30) }],
    })),
    { labels: { __name__: "node_load1", instance: "b:9100" }, samples: [{ value: 0.25, timestamp: at(30) }] },
    {
      labels: { __name__: "node_load1", instance: "gone:9100" },
      samples: [
        { value: 0.5, timestamp: at(30) },
        { value: STALE_STAND_IN, timestamp: at(15) },
      ],
    },
  ]);
  const written = await gateway.fetch("/api/v1/write", {
    method: "POST",
    headers: {
      "content-encoding": "snappy",
      "content-type": "application/x-protobuf",
      "x-prometheus-remote-write-version": "0.1.0",
    },
    body: new Uint8Array(snappyjs.compress(withStaleMarkers(message))),
  });
  expect(written.status).toBe(204);
});

afterAll(() => gateway.close());

async function federate(selectors: readonly string[], headers: Record<string, string> = {}) {
  const query = new URLSearchParams(selectors.map((each): [string, string] => ["match[]", each]));
  return await gateway.fetch(`/federate?${query}`, { headers });
}

const lines = async (...selectors: string[]) => {
  const response = await federate(selectors);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return (await response.text()).split("\n").slice(0, -1);
};

describe("/federate", () => {
  test("returns the latest sample of each series with its own time and escaped labels", async () => {
    expect(await lines("queue_depth")).toEqual([
      "# TYPE queue_depth untyped",
      `queue_depth{instance="a",job="worker",path="C:\\\\\\"x\\""} 4 ${NOW_MS - 90_000}`,
    ]);
  });

  test("looks back as far as a query, and adds an empty instance to series without one", async () => {
    expect(await lines("queue_age")).toEqual([
      "# TYPE queue_age untyped",
      `queue_age{instance="",job="new"} 2 ${NOW_MS - 299_000}`,
    ]);
  });

  test("returns series received by remote_write, without those that ended by a stale marker", async () => {
    expect(await lines("node_load1")).toEqual([
      "# TYPE node_load1 untyped",
      `node_load1{instance="b:9100"} 0.25 ${NOW_MS - 30_000}`,
    ]);
    const exposed = await (await gateway.fetch("/metrics")).text();
    expect(exposed).not.toContain("node_load1");
  });

  test("returns observations and deltas as the counters of /metrics", async () => {
    const at = ` ${NOW_MS}`;
    const selector = '{__name__=~"http_request_duration_ms.*|jobs_done.*", le=~"|10.0|100.0|.Inf"}';
    expect(await lines(selector)).toEqual([
      "# TYPE http_request_duration_ms_bucket untyped",
      `http_request_duration_ms_bucket{instance="",le="+Inf",operation="get"} 3${at}`,
      `http_request_duration_ms_bucket{instance="",le="10.0",operation="get"} 1${at}`,
      `http_request_duration_ms_bucket{instance="",le="100.0",operation="get"} 2${at}`,
      "# TYPE http_request_duration_ms_count untyped",
      `http_request_duration_ms_count{instance="",operation="get"} 3${at}`,
      "# TYPE http_request_duration_ms_sum untyped",
      `http_request_duration_ms_sum{instance="",operation="get"} 443${at}`,
      "# TYPE jobs_done_total untyped",
      `jobs_done_total{instance="",queue="fast"} 5${at}`,
    ]);
    expect(await lines('http_request_duration_ms_bucket{le="100.0"}')).toHaveLength(2);
  });

  test("returns a series once if several selectors select it, sorted by name", async () => {
    expect(await lines('{job="worker"}', "queue_depth", "node_load1")).toEqual([
      ...(await lines("node_load1")),
      ...(await lines("queue_depth")),
    ]);
  });

  test("returns all series for a selector of all names", async () => {
    const all = await lines('{__name__=~".+"}');
    expect(all.length).toBeGreaterThan(20);
    expect(await lines('{__name__=~".*"}')).toEqual(all);
    expect(await lines("{}")).toEqual(all);
  });

  test("returns nothing without a selector, and for one that selects nothing", async () => {
    expect(await lines()).toEqual([]);
    expect(await lines("nobody")).toEqual([]);
  });

  test("compresses the answer if the client accepts gzip", async () => {
    const response = await federate(["node_load1"], { "accept-encoding": "gzip" });
    expect(response.headers.get("content-encoding")).toBe("gzip");
    const text = new TextDecoder().decode(Bun.gunzipSync(await response.arrayBuffer()));
    expect(text).toStartWith("# TYPE node_load1 untyped\n");
  });

  test("rejects an invalid selector", async () => {
    for (const text of ["sum(up)", "{", "up offset 5m", "up[5m]"]) {
      const response = await federate([text]);
      expect({ text, status: response.status }).toEqual({ text, status: 400 });
      const { error } = (await response.json()) as { error: { field: string; message: string } };
      expect(error.field).toBe("match[]");
    }
  });
});

test("returns a bound as remote_write sent it, and selects it by any spelling", async () => {
  const bounds = async (condition: string) => {
    const query = new URLSearchParams({
      query: `took_seconds_bucket{${condition}}`,
      time: `${NOW_MS / 1000}`,
    });
    const response = await gateway.fetch(`/api/v1/query?${query}`);
    const { data } = (await response.json()) as { data: { result: { metric: { le: string } }[] } };
    return data.result.map(({ metric }) => metric.le).sort();
  };
  for (const condition of ['le="1"', 'le="1.0"', 'le="1e0"', 'le=~"1"', 'le=~"1|5"', 'le=~"1\\\\.0"']) {
    expect({ condition, found: await bounds(condition) }).toEqual({ condition, found: ["1"] });
  }
  for (const condition of ['le!="1"', 'le!="1.0"', 'le!~"1"', 'le!~"1.0"']) {
    expect({ condition, found: await bounds(condition) }).toEqual({ condition, found: ["+Inf", "0.1"] });
  }
  expect(await bounds('le=~".*"')).toEqual(["+Inf", "0.1", "1"]);
});

test("series get the external labels of the gateway, unless they have labels of these names", async () => {
  const settings = ["--external-labels=site=berlin", "--external-labels=job=none"];
  const named = await openTestGatewayAt(NOW_MS, ...settings);
  await named.push([
    { metric: "depth", value: 1, atMs: NOW_MS - 1_000, labels: { job: "own" } },
    { metric: "depth", value: 2, atMs: NOW_MS - 1_000, labels: { site: "paris", instance: "a" } },
  ]);
  const [, text] = await named.send("GET /federate?match[]=depth");
  await named.close();
  expect(text.split("\n").slice(1).sort()).toEqual([
    `depth{instance="",job="own",site="berlin"} 1 ${NOW_MS - 1_000}`,
    `depth{instance="a",job="none",site="paris"} 2 ${NOW_MS - 1_000}`,
  ]);
});
