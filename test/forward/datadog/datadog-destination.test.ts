/** Datadog as a destination: series to a second gateway, which has Datadog's API, and events to an endpoint of logs. */
import { afterEach, expect, test } from "bun:test";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { until } from "../../until.ts";
import { destinationTable, ForwardingGateway } from "../forwarding-gateway.ts";

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

interface Received {
  readonly headers: Headers;
  readonly body: unknown;
}

function serve(answer: (received: Received, before: number) => Response): Received[] {
  const all: Received[] = [];
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const text = new TextDecoder().decode(Bun.gunzipSync(new Uint8Array(await request.arrayBuffer())));
      const received = { headers: request.headers, body: JSON.parse(text) };
      all.push(received);
      return answer(received, all.length - 1);
    },
  });
  return all;
}

const table = (url: string, more: Record<string, unknown> = {}) =>
  destinationTable({ name: "dd", type: "datadog", url, api_key: "geheim", ...more });

async function ask(each: TestGateway, sql: string): Promise<unknown[]> {
  const answer = await each.fetch(`/api/v1/sql?${new URLSearchParams({ q: sql, format: "ndjson" })}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

const EVENTS = [
  {
    "@timestamp": NOON_MS - 5_000,
    metric_name: "http.request.duration_ms",
    value: 234.5,
    tags: { operation: "get", task_id: "t1", instance: "w1" },
  },
  { "@timestamp": NOON_MS - 4_000, metric_name: "jobs", type: "counter", value: 2, tags: { queue: "ü" } },
  { "@timestamp": NOON_MS - 3_000, metric_name: "jobs", type: "counter", value: 3, tags: { queue: "ü" } },
  {
    "@timestamp": NOON_MS - 2_000,
    metric_name: "temperature",
    type: "gauge",
    value: -0.5,
    tags: { host: "attic" },
  },
];

test("a server with Datadog's API has levels with their times, and events as running totals", async () => {
  other = await openTestGateway();
  const { urls } = await other.listen();
  gateway = await ForwardingGateway.openWith(table(`${urls[0]}/datadog/api/v2/series`));
  await gateway.post(JSON.stringify(EVENTS));
  await gateway.sent("dd");
  gateway.nowMs += 15_000;
  const atMs = (seconds: number) => NOON_MS + seconds * 1_000;
  await until("the totals", async () => (await ask(other!, "SELECT value FROM jobs_total")).length > 2);
  expect(await ask(other, "SELECT host, epoch_ms(ts) AS ms, value FROM temperature")).toEqual([
    { host: "attic", ms: atMs(-2), value: -0.5 },
  ]);
  expect(await ask(other, "SELECT queue, epoch_ms(ts) AS ms, value FROM jobs_total ORDER BY ts")).toEqual([
    { queue: "ü", ms: atMs(-15), value: 0 },
    { queue: "ü", ms: atMs(0), value: 5 },
    { queue: "ü", ms: atMs(15), value: 5 },
  ]);
  expect(
    await ask(
      other,
      `SELECT operation, host, max(value) AS value FROM http_request_duration_ms_sum GROUP BY ALL`,
    ),
  ).toEqual([{ operation: "get", host: "w1", value: 234.5 }]);
});

test("sends the key of the API, and divides a request until the series are found that Datadog does not take", async () => {
  const received = serve(({ body }) => {
    const { series } = body as { series: { metric: string }[] };
    const isBad = series.some(({ metric }) => metric === "bad");
    if (series.length > 10) return new Response(null, { status: 413 });
    // An error beside 202 stands for a part of the request.
    return Response.json({ errors: isBad ? ["invalid metric"] : [] }, { status: 202 });
  });
  gateway = await ForwardingGateway.openWith(table(server!.url.href));
  const names = Array.from({ length: 25 }, (_, at) => (at === 12 ? "bad" : `good${at}`));
  await gateway.push(names.map((metric, value) => ({ metric, value, atMs: NOON_MS - 1_000 })));
  await gateway.sent("dd");
  const { headers, body } = received[0]!;
  expect(headers.get("dd-api-key")).toBe("geheim");
  const { series: first } = body as { series: { metric: string }[] };
  expect(first.find(({ metric }) => metric === "good24")).toEqual({
    ...{ metric: "good24", type: 3, tags: [] },
    points: [{ timestamp: NOON_MS / 1_000 - 1, value: 24 }],
  } as never);
  const taken = received.flatMap(({ body: each }) => {
    const { series } = each as { series: { metric: string }[] };
    const all = series.map(({ metric }) => metric);
    return all.length > 10 || all.includes("bad") ? [] : all;
  });
  expect(taken.toSorted()).toEqual(names.filter((name) => name !== "bad").toSorted());
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="dd",reason="refused"}')).toBe(1);
});

test("of samples of one series in one second the last is sent, and the others are counted", async () => {
  const received = serve(() => Response.json({ errors: [] }, { status: 202 }));
  gateway = await ForwardingGateway.openWith(table(server!.url.href));
  await gateway.push([10, 20, 1_020].map((ms) => ({ metric: "a", value: ms, atMs: NOON_MS - 5_000 + ms })));
  await gateway.sent("dd");
  const sent = received.flatMap(({ body }) => (body as { series: { points: object[] }[] }).series);
  const second = NOON_MS / 1_000 - 5;
  expect(sent.flatMap(({ points }) => points)).toEqual([
    { timestamp: second, value: 20 },
    { timestamp: second + 1, value: 1_020 },
  ]);
  expect(await gateway.own('weir_forward_samples_total{destination="dd"}')).toBe(2);
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="dd",reason="same_time"}')).toBe(
    1,
  );
});

test("values that are not finite are counted and reported, and the others are sent", async () => {
  const received = serve(() => Response.json({ errors: [] }, { status: 202 }));
  gateway = await ForwardingGateway.openWith(table(server!.url.href));
  const values = [1, Number.NaN, Number.POSITIVE_INFINITY, 4];
  await gateway.push(values.map((value, at) => ({ metric: `m${at}`, value, atMs: NOON_MS - 1_000 })));
  await gateway.sent("dd");
  const sent = received.flatMap(({ body }) => (body as { series: { metric: string }[] }).series);
  expect(sent.map(({ metric }) => metric).toSorted()).toEqual(["m0", "m3"]);
  expect(await gateway.own('weir_forward_samples_total{destination="dd"}')).toBe(2);
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="dd",reason="refused"}')).toBe(2);
  await until("the rejected samples", async () => {
    const rows = await gateway!.query("SELECT metric, reason FROM weir.rejected ORDER BY metric");
    const reason = "dd: Datadog takes finite numbers only";
    expect(rows).toEqual(["m1", "m2"].map((metric) => ({ metric, reason })));
    return true;
  });
});

test("logs are the events as workers write them, with what Datadog reads of each log", async () => {
  const received = serve((_, before) => new Response("{}", { status: before === 0 ? 503 : 202 }));
  gateway = await ForwardingGateway.openWith(
    table(server!.url.href, { as: "logs", service: "worker", source: "custom", labels: { site: "berlin" } }),
  );
  await gateway.post(JSON.stringify(EVENTS));
  await gateway.sent("dd");
  expect(received.length).toBe(2);
  expect(received[1]!.body).toEqual(
    EVENTS.map((event) => {
      const tags: Record<string, string | undefined> = { ...event.tags, site: "berlin" };
      const host = tags.host ?? tags.instance;
      return {
        ...event,
        ...{ tags, ddsource: "custom", service: "worker", message: `${event.metric_name} ${event.value}` },
        ...(host === undefined ? {} : { hostname: host }),
      };
    }),
  );
});

test("an error does not have the key, even if the server quotes it", async () => {
  serve(({ headers }) => new Response(`no such key ${headers.get("dd-api-key")}`, { status: 403 }));
  gateway = await ForwardingGateway.openWith(table(server!.url.href, { as: "logs" }));
  await gateway.post(JSON.stringify(EVENTS));
  await until("an attempt", async () => {
    const answer = await gateway!.fetch("/api/v1/forward");
    const { destinations } = (await answer.json()) as { destinations: { last_error: string | null }[] };
    const error = destinations[0]!.last_error;
    if (error !== null) expect(error).toEndWith('answered 403: "no such key …"');
    return error !== null;
  });
});
