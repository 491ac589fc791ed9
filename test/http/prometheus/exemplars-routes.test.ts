/** Exemplars with the real gateway: the tasks behind a bucket, and exemplars received by remote_write. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import snappyjs from "snappyjs";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { encodeV1 } from "../../receive/remote-write/messages.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

const DAY_MS = 86_400_000;
const seconds = NOW_MS / 1000;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await openTestGatewayAt(NOW_MS, "--retention-days=7");
  const event = (secondsAgo: number, value: number, tags: Record<string, string>) => ({
    "@timestamp": NOW_MS - secondsAgo * 1000,
    metric_name: "http.request.duration_ms",
    value,
    tags: { operation: "get", ...tags },
  });
  const events = [
    event(50, 3, { task_id: "fast" }),
    event(40, 3000, { task_id: "slow", trace_id: "t1" }),
    event(30, 99_000, { trace_id: "t2" }),
    event(20, 4, {}),
    event(10, 2, { task_id: "other", operation: "put" }),
    // Yesterday.
    event(DAY_MS / 1000, 3500, { task_id: "before" }),
    {
      "@timestamp": NOW_MS - 5_000,
      metric_name: "jobs_failed",
      type: "counter",
      value: 1,
      tags: { task_id: "broken" },
    },
    { "@timestamp": NOW_MS - 5_000, metric_name: "queue_depth", type: "gauge", value: 1 },
  ];
  const pushed = await gateway.fetch("/api/v1/push", { method: "POST", body: JSON.stringify(events) });
  expect(pushed.status).toBe(200);
  const message = encodeV1([
    {
      labels: { __name__: "api_seconds_bucket", le: "0.5" },
      samples: [{ value: 7, timestamp: NOW_MS - 15_000 }],
      exemplars: [{ value: 0.4, timestamp: NOW_MS - 15_250, labels: { trace_id: "abc" } }],
    },
  ]);
  const written = await gateway.fetch("/api/v1/write", {
    method: "POST",
    headers: {
      "content-encoding": "snappy",
      "content-type": "application/x-protobuf",
      "x-prometheus-remote-write-version": "0.1.0",
    },
    body: new Uint8Array(snappyjs.compress(message)),
  });
  expect(written.status).toBe(204);
});

afterAll(() => gateway.close());

const HOUR = { start: String(seconds - 600), end: String(seconds) };

async function find(query: string, range: Record<string, string> = HOUR, method = "GET") {
  const parameters = new URLSearchParams({ query, ...range });
  const request =
    method === "GET"
      ? new Request(`http://localhost/api/v1/query_exemplars?${parameters}`)
      : new Request("http://localhost/api/v1/query_exemplars", { method, body: parameters });
  const response = await gateway.app.fetch(request);
  return { status: response.status, body: await response.json() };
}

const data = async (query: string, range?: Record<string, string>) => {
  const { status, body } = await find(query, range);
  expect(status).toBe(200);
  return (body as { data: unknown }).data;
};

const bucket = (le: string, operation = "get") => ({
  __name__: "http_request_duration_ms_bucket",
  le,
  operation,
});

describe("/api/v1/query_exemplars", () => {
  test("returns the rows behind the buckets of a query, each in its bucket", async () => {
    const query =
      'histogram_quantile(0.95, sum by (le) (rate(http_request_duration_ms_bucket{operation="get"}[5m])))';
    const found = [
      {
        seriesLabels: bucket("+Inf"),
        exemplars: [{ labels: { trace_id: "t2" }, value: "99000", timestamp: seconds - 30 }],
      },
      {
        seriesLabels: bucket("5.0"),
        exemplars: [{ labels: { task_id: "fast" }, value: "3", timestamp: seconds - 50 }],
      },
      {
        seriesLabels: bucket("5000.0"),
        exemplars: [{ labels: { task_id: "slow", trace_id: "t1" }, value: "3000", timestamp: seconds - 40 }],
      },
    ];
    expect(await data(query)).toEqual(found);
    expect(await find(query, HOUR, "POST")).toEqual({
      status: 200,
      body: { status: "success", data: found },
    });
  });

  test("returns only rows of the requested buckets and times, across days", async () => {
    const name = "http_request_duration_ms_bucket";
    expect(await data(`${name}{le="+Inf"}`)).toMatchObject([{ exemplars: [{ value: "99000" }] }]);
    expect(await data(`${name}{le="5000.0"}`, {})).toEqual([
      {
        seriesLabels: bucket("5000.0"),
        exemplars: [
          { labels: { task_id: "before" }, value: "3500", timestamp: seconds - 86_400 },
          { labels: { task_id: "slow", trace_id: "t1" }, value: "3000", timestamp: seconds - 40 },
        ],
      },
    ]);
    // Both ends are included.
    const at = String(seconds - 10);
    expect(await data(name, { start: at, end: at })).toMatchObject([{ seriesLabels: bucket("2.5", "put") }]);
    expect(await data(name, { start: String(seconds - 9), end: String(seconds) })).toEqual([]);
    expect(await data(name, { start: "0", end: "1" })).toEqual([]);
  });

  test("returns the rows behind a counter, and those of two selectors together", async () => {
    const found = await data(
      'rate(jobs_failed_total[5m]) / on () rate(http_request_duration_ms_bucket{le="5.0"}[5m])',
    );
    expect(found).toEqual([
      { ...((await data('http_request_duration_ms_bucket{le="5.0"}')) as object[])[0] },
      {
        seriesLabels: { __name__: "jobs_failed_total" },
        exemplars: [{ labels: { task_id: "broken" }, value: "1", timestamp: seconds - 5 }],
      },
    ]);
  });

  test("returns exemplars that were pushed to a group, each in the series and at the time that it was sent with", async () => {
    const body = [
      "# TYPE orders counter",
      `orders_total{shop="a"} 5 # {trace_id="abc",empty=""} 0.7 ${seconds - 3.5}`,
      "# TYPE wait_seconds histogram",
      'wait_seconds_bucket{le="1"} 2 # {trace_id="fast"} 0.25',
      'wait_seconds_bucket{le="2.5"} 3',
      'wait_seconds_bucket{le="+Inf"} 4 # {trace_id="slow"} 9 1',
      "wait_seconds_sum 12",
      "wait_seconds_count 4",
      "# EOF",
      "",
    ].join("\n");
    const dropped = async () => (await gateway.counters.exemplarsDropped.get()).values[0]!.value;
    const before = await dropped();
    const pushed = await gateway.fetch("/metrics/job/shop", {
      method: "PUT",
      headers: { "content-type": "application/openmetrics-text; version=1.0.0" },
      body,
    });
    expect(pushed.status).toBe(200);
    expect(await data("orders_total")).toEqual([
      {
        seriesLabels: { __name__: "orders_total", job: "shop", shop: "a" },
        exemplars: [{ labels: { trace_id: "abc" }, value: "0.7", timestamp: seconds - 3.5 }],
      },
    ]);
    // Without a time it has that of its push.
    expect(await data("wait_seconds_bucket")).toEqual([
      {
        seriesLabels: { __name__: "wait_seconds_bucket", job: "shop", le: "1.0" },
        exemplars: [{ labels: { trace_id: "fast" }, value: "0.25", timestamp: seconds }],
      },
    ]);
    // The one of 1970 is dropped and counted.
    expect((await dropped()) - before).toBe(1);
    const rows = await gateway.query(
      "SELECT value FROM weir.exemplars JOIN weir.series USING (series_id) WHERE metric IN ('orders_total', 'wait_seconds_bucket') ORDER BY value",
    );
    expect(rows).toEqual([{ value: 0.25 }, { value: 0.7 }]);
  });

  test("returns exemplars that were received by remote_write", async () => {
    expect(await data("rate(api_seconds_bucket[5m])")).toEqual([
      {
        seriesLabels: { __name__: "api_seconds_bucket", le: "0.5" },
        exemplars: [{ labels: { trace_id: "abc" }, value: "0.4", timestamp: seconds - 15.25 }],
      },
    ]);
  });

  test("returns nothing for series without exemplars and for queries without a selector", async () => {
    for (const query of ["queue_depth", "nobody", "http_request_duration_ms_sum", "1 + 1"]) {
      expect({ query, found: await data(query) }).toEqual({ query, found: [] });
    }
  });

  test("returns at most the newest row per bucket and slice of time", async () => {
    const start = NOW_MS - 3 * DAY_MS;
    // A row per second for ten minutes: 60 slices of ten seconds, and the last second in a slice of its own.
    const events = Array.from({ length: 601 }, (_, second) => ({
      "@timestamp": start + second * 1000,
      metric_name: "many_ms",
      value: 3,
      tags: { task_id: `task-${second}` },
    }));
    const body = JSON.stringify(events);
    await gateway.fetch("/api/v1/push", { method: "POST", body });
    const range = { start: String(start / 1000), end: String(start / 1000 + 600) };
    const [{ exemplars }] = (await data("many_ms_bucket", range)) as [
      { exemplars: { labels: { task_id: string } }[] },
    ];
    expect(exemplars.map(({ labels }) => labels.task_id)).toEqual([
      ...Array.from({ length: 60 }, (_, slice) => `task-${slice * 10 + 9}`),
      "task-600",
    ]);
  });

  test("answers errors as Prometheus does", async () => {
    for (const [query, range] of [
      ["sum(", {}],
      ["", {}],
      ["up", { start: "2", end: "1" }],
      ["up", { start: "soon" }],
    ] as const) {
      const { status, body } = await find(query, range);
      expect({ query, status, body }).toEqual({
        query,
        status: 400,
        body: { status: "error", errorType: "bad_data", error: expect.stringContaining("invalid parameter") },
      });
    }
  });
});
