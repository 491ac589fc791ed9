/** OTLP as a destination: a second gateway has the same values, and answers of a server are followed as OTLP says. */
import { afterEach, expect, test } from "bun:test";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { partOf, read } from "../receive/otlp/otlp-messages.ts";
import { until } from "../until.ts";
import { destinationTable, ForwardingGateway } from "./forwarding-gateway.ts";

let other: TestGateway | undefined;
let gateway: ForwardingGateway | undefined;
let server: Bun.Server<undefined> | undefined;

afterEach(async () => {
  gateway?.takeLog();
  await gateway?.close();
  await other?.close();
  await server?.stop(true);
  gateway = other = server = undefined;
});

const table = (url: string, more: Record<string, unknown> = {}) =>
  destinationTable({ name: "o", type: "otlp", url, batch_timeout: "1s", ...more });

/** `name{labels} value` of an instant query, in order. */
async function ask(each: TestGateway, query: string, atMs: number): Promise<string[]> {
  const answer = await each.fetch(
    `/api/v1/query?${new URLSearchParams({ query, time: String(atMs / 1_000) })}`,
  );
  const { data } = (await answer.json()) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] };
  };
  return data.result
    .map(({ metric: { __name__: name = "", ...labels }, value: [, value] }) => {
      const text = Object.entries(labels).map(([label, of]) => `${label}="${of}"`);
      return `${name}{${text.sort().join()}} ${value}`;
    })
    .sort();
}

interface SentPoint {
  readonly metric: string;
  readonly value: unknown;
}

interface PointMessage {
  readonly asDouble?: number;
  readonly count?: string;
}

/** The points of a request of one resource. */
function pointsOf(body: Uint8Array): SentPoint[] {
  const message = read("ExportMetricsServiceRequest", body);
  const metrics = partOf(message, "resourceMetrics", 0, "scopeMetrics", 0, "metrics");
  return (metrics as { name: string }[]).flatMap((metric) => {
    const data = ["gauge", "sum", "histogram"].map((form) => partOf(metric, form, "dataPoints"));
    const points = data.find((each) => each !== undefined) as readonly PointMessage[];
    return points.map(({ asDouble, count }) => ({ metric: metric.name, value: asDouble ?? count }));
  });
}

interface Received {
  readonly headers: Headers;
  readonly points: readonly SentPoint[];
}

function serve(answer: (received: Received, before: number) => Response): Received[] {
  const all: Received[] = [];
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const bytes = new Uint8Array(await request.arrayBuffer());
      const isGzip = request.headers.get("content-encoding") === "gzip";
      const points = pointsOf(isGzip ? Bun.gunzipSync(bytes) : bytes);
      const received = { headers: request.headers, points };
      all.push(received);
      return answer(received, all.length - 1);
    },
  });
  return all;
}

const push = (names: readonly string[]) =>
  gateway!.push(names.map((metric, index) => ({ metric, atMs: NOON_MS - 1_000 + index, value: index })));

test("a second gateway answers the same: levels, totals of senders, counters and histograms of events", async () => {
  other = await openTestGateway("--otlp-translation=no-translation");
  const { urls } = await other.listen();
  gateway = await ForwardingGateway.openWith(
    table(`${urls[0]}/v1/metrics`, { resource_attributes: { "machine.id": "m-1" } }),
  );
  await gateway.post(
    JSON.stringify([
      ...[21.5, 22].map((value, at) => ({
        ...{ "@timestamp": NOON_MS - 2_500 + at * 1_000, metric_name: "temperature", type: "gauge", value },
        tags: { room: "a", job: "house", instance: "attic" },
      })),
      {
        "@timestamp": NOON_MS - 1_000,
        metric_name: "jobs_total",
        type: "counter",
        value: 3,
        tags: { queue: "q" },
      },
      {
        "@timestamp": NOON_MS - 20_000,
        metric_name: "jobs_total",
        type: "counter",
        value: 2,
        tags: { queue: "q" },
      },
      ...[3, 234.5].map((value) => ({
        ...{ "@timestamp": NOON_MS - 1_000, metric_name: "http.request.duration_ms", value },
        tags: { operation: "get", task_id: String(value) },
      })),
    ]),
  );
  const text = '# TYPE sent_bytes_total counter\nsent_bytes_total{disk="a"} 1e16\n';
  await gateway.fetch("/api/v1/import/prometheus", { method: "POST", body: text });
  await gateway.sent("o");
  gateway.nowMs += 15_000;
  const atMs = NOON_MS + 15_000;
  await until("the counters", async () => (await ask(other!, "jobs_total", atMs)).length > 0);
  await until(
    "the histogram",
    async () => (await ask(other!, "http_request_duration_ms_count", atMs)).length > 0,
  );
  for (const [query, expected] of [
    ["temperature", ['temperature{instance="attic",job="house",room="a"} 22']],
    ["count_over_time(temperature[1m])", ['{instance="attic",job="house",room="a"} 2']],
    ["jobs_total", ['jobs_total{queue="q"} 5']],
    ["sent_bytes_total", ['sent_bytes_total{disk="a"} 10000000000000000']],
    ["http_request_duration_ms_sum", ['http_request_duration_ms_sum{operation="get"} 237.5']],
    ["http_request_duration_ms_count", ['http_request_duration_ms_count{operation="get"} 2']],
    [
      'http_request_duration_ms_bucket{le=~"2.5|5.0|250.0|\\\\+Inf"}',
      ["+Inf 2", "2.5 0", "250.0 2", "5.0 1"].map((each) => {
        const [le, value] = each.split(" ");
        return `http_request_duration_ms_bucket{le="${le}",operation="get"} ${value}`;
      }),
    ],
    [
      'target_info{machine_id="m-1",job="house"}',
      ['target_info{instance="attic",job="house",machine_id="m-1"} 1'],
    ],
  ] as const) {
    expect(await ask(other, query, atMs)).toEqual([...expected]);
    if (/^target_info/.test(query)) continue;
    expect(await ask(gateway, query, atMs)).toEqual([...expected]);
  }
  // The step before: 2 jobs, of which one is counted from 0.
  expect(await ask(other, "jobs_total", NOON_MS - 15_000)).toEqual(['jobs_total{queue="q"} 2']);
  expect(await ask(other, "increase(jobs_total[1m])", atMs)).toEqual(
    await ask(gateway, "increase(jobs_total[1m])", atMs),
  );
});

test("repeats a request after 429, 502, 503 and 504, and waits for as long as Retry-After says", async () => {
  const statuses = [429, 502, 503, 504];
  const received = serve(
    (_, before) =>
      new Response("busy", {
        status: statuses[before] ?? 200,
        headers: before < 4 ? { "retry-after": "0" } : {},
      }),
  );
  gateway = await ForwardingGateway.openWith(table(server!.url.href, { bearer_token: "geheim" }));
  await push(["a", "b"]);
  await gateway.sent("o");
  expect(received.map(({ points }) => points.map(({ metric, value }) => `${metric} ${value}`))).toEqual(
    Array.from({ length: 5 }, () => ["a 0", "b 1"]),
  );
  const { headers } = received[0]!;
  expect(headers.get("authorization")).toBe("Bearer geheim");
  expect(headers.get("content-type")).toBe("application/x-protobuf");
  expect(headers.get("content-encoding")).toBe("gzip");
  expect(await gateway.own('weir_forward_retries_total{destination="o"}')).toBe(4);
  expect(await gateway.own('weir_forward_samples_total{destination="o"}')).toBe(2);
});

test("counts the points that a destination rejects as a part of a request, and logs its reason", async () => {
  // partial_success with rejected_data_points 2 and error_message "too old".
  const body = Uint8Array.of(0x0a, 11, 0x08, 2, 0x12, 7, ...new TextEncoder().encode("too old"));
  const received = serve(() => new Response(body, { headers: { "content-type": "application/x-protobuf" } }));
  gateway = await ForwardingGateway.openWith(table(server!.url.href));
  await push(["a", "b", "c"]);
  await gateway.sent("o");
  expect(received.length).toBe(1);
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="o",reason="rejected"}')).toBe(2);
  expect(await gateway.own('weir_forward_samples_total{destination="o"}')).toBe(1);
  expect(gateway.takeLog().join("")).toContain("too old");
});

test("divides a request after 400 and 413 until the points are found that the destination does not take", async () => {
  const received = serve(({ points }) => {
    if (points.length > 20) return new Response("too large", { status: 413 });
    return new Response(null, { status: points.some(({ metric }) => metric === "bad") ? 400 : 200 });
  });
  gateway = await ForwardingGateway.openWith(table(server!.url.href));
  const names = Array.from({ length: 50 }, (_, at) => (at === 31 ? "bad" : `good${at}`));
  await push(names);
  await gateway.sent("o");
  const taken = received
    .filter(({ points }) => points.length <= 20 && !points.some(({ metric }) => metric === "bad"))
    .flatMap(({ points }) => points.map(({ metric }) => metric));
  expect(taken.toSorted()).toEqual(names.filter((name) => name !== "bad").toSorted());
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="o",reason="refused"}')).toBe(1);
  await until("the rejected sample", async () => {
    const rows = await gateway!.query("SELECT metric, reason FROM weir.rejected");
    expect(rows).toEqual([{ metric: "bad", reason: "o: the destination answered 400" }]);
    return true;
  });
});

test("does not repeat a request after 500, as the specification demands, and counts its points", async () => {
  const received = serve(() => new Response("a fault", { status: 500 }));
  gateway = await ForwardingGateway.openWith(table(server!.url.href));
  await push(["a", "b", "c"]);
  await gateway.sent("o");
  expect(received.length).toBe(1);
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="o",reason="refused"}')).toBe(3);
});

test("a request has at most as many points as the setting says", async () => {
  const received = serve(() => new Response(null));
  gateway = await ForwardingGateway.openWith(table(server!.url.href, { samples_per_request: 7 }));
  await push(Array.from({ length: 30 }, (_, at) => `m${at}`));
  await gateway.sent("o");
  expect(received.map(({ points }) => points.length).toSorted((a, b) => a - b)).toEqual([2, 7, 7, 7, 7]);
});
