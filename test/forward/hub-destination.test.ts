/** Another gateway as a destination: events with their attributes, each exactly once. And files in the shape of workers'. */
import { afterEach, expect, test } from "bun:test";
import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../until.ts";
import { destinationTable, ForwardingGateway } from "./forwarding-gateway.ts";

let hub: TestGateway | undefined;
let gateway: ForwardingGateway | undefined;

afterEach(async () => {
  gateway?.takeLog();
  await gateway?.close();
  await hub?.close();
  gateway = hub = undefined;
});

const EVENTS = [
  {
    "@timestamp": NOON_MS - 5_000,
    metric_name: "http.request.duration_ms",
    value: 234.5,
    tags: { operation: "get", task_id: "t1" },
  },
  {
    "@timestamp": NOON_MS - 4_000,
    metric_name: "http.request.duration_ms",
    value: 3,
    tags: { operation: "put", task_id: "t2" },
  },
  { "@timestamp": NOON_MS - 3_000, metric_name: "jobs", type: "counter", value: 2, tags: { queue: "ü" } },
  { "@timestamp": NOON_MS - 2_000, metric_name: "temperature", type: "gauge", value: -0.5, unit: "celsius" },
];

/** The rows of a statement, as people ask for it. */
async function ask(each: TestGateway, sql: string): Promise<unknown[]> {
  const answer = await each.fetch(`/api/v1/sql?${new URLSearchParams({ q: sql, format: "ndjson" })}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

const SAMPLES = "SELECT metric, epoch_ms(ts) AS ms, value FROM samples ORDER BY ms, value";

test("a hub has the same events, kinds, attributes and times, with the labels of the destination", async () => {
  hub = await openTestGateway();
  const { urls } = await hub.listen();
  gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "hub", type: "weir", url: `${urls[0]}/api/v1/push`, labels: { site: "x" } }),
  );
  await gateway.post(JSON.stringify(EVENTS));
  await gateway.sent("hub");
  expect(
    await ask(hub, "SELECT operation, task_id, site, value FROM http_request_duration_ms ORDER BY ts"),
  ).toEqual([
    { operation: "get", task_id: "t1", site: "x", value: 234.5 },
    { operation: "put", task_id: "t2", site: "x", value: 3 },
  ]);
  expect(await ask(hub, "SELECT metric, kind, unit FROM metrics ORDER BY metric")).toEqual([
    { metric: "http.request.duration_ms", kind: "observation", unit: "" },
    { metric: "jobs", kind: "delta", unit: "" },
    { metric: "temperature", kind: "gauge", unit: "celsius" },
  ]);
  const times = (each: TestGateway) => ask(each, "SELECT epoch_ms(ts) AS ms, value FROM samples ORDER BY ms");
  expect(await times(hub)).toEqual(await times(gateway));
});

test("new events gather for as long as the setting says, or until a request is full", async () => {
  const lines: number[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const text = Buffer.from(
        Bun.zstdDecompressSync(new Uint8Array(await request.arrayBuffer())),
      ).toString();
      const accepted = text.split("\n").length - 1;
      lines.push(accepted);
      return Response.json({ accepted, rejected: 0, errors: [] });
    },
  });
  gateway = await ForwardingGateway.openWith(
    destinationTable({
      ...{ name: "hub", type: "weir", url: server.url.href, batch_timeout: "10m", samples_per_request: 4 },
    }),
  );
  // Ten minutes would end the test. The fourth event fills a request.
  for (const event of EVENTS) await gateway.post(JSON.stringify([event]));
  await gateway.sent("hub");
  await server.stop(true);
  expect(lines).toEqual([4]);
});

test("a request whose answer was lost is stored once, also if the gateway is started again before it is repeated", async () => {
  hub = await openTestGateway();
  const target = await hub.listen();
  let losses = 2;
  const keys: (string | null)[] = [];
  // Passes requests on, and loses the first answers.
  const relay = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      keys.push(request.headers.get("idempotency-key"));
      const answer = await fetch(`${target.urls[0]}/api/v1/push`, {
        method: "POST",
        headers: request.headers,
        body: await request.arrayBuffer(),
      });
      return losses-- > 0 ? new Response("lost", { status: 502 }) : answer;
    },
  });
  const table = destinationTable({ name: "hub", type: "weir", url: relay.url.href });
  gateway = await ForwardingGateway.openWith(table);
  await gateway.post(JSON.stringify(EVENTS));
  await until("a lost answer", () => keys.length > 0);
  await gateway.configure(table);
  await gateway.post(JSON.stringify([{ ...EVENTS[0]!, value: 7 }]));
  await gateway.sent("hub");
  await relay.stop(true);
  expect(keys.length).toBeGreaterThan(2);
  expect(keys[0]).toMatch(/^hub\/2024-10-04\/0-4\/[0-9a-f-]{36}$/);
  expect(keys[1]).toBe(keys[0]!);
  expect(await ask(hub, SAMPLES)).toEqual(await ask(gateway, SAMPLES));
});

test("a request whose answer was lost is stored once, also if a deletion renumbers its rows before it is repeated", async () => {
  hub = await openTestGateway();
  const target = await hub.listen();
  const keys: (string | null)[] = [];
  const answered = Promise.withResolvers<void>();
  const relay = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      keys.push(request.headers.get("idempotency-key"));
      const body = await request.arrayBuffer();
      const { headers } = request;
      const answer = await fetch(`${target.urls[0]}/api/v1/push`, { method: "POST", headers, body });
      if (keys.length === 2) await answered.promise;
      return answer;
    },
  });
  gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "hub", type: "weir", url: relay.url.href }),
  );
  const temperature = { ...EVENTS[3]!, "@timestamp": NOON_MS - 60_000 };
  await gateway.post(JSON.stringify([temperature, EVENTS[0]]));
  await gateway.sent("hub");
  await gateway.post(JSON.stringify(EVENTS.slice(1, 3)));
  await until("the request that is not answered", () => keys.length > 1);
  const [series] = gateway.gateway.registry.metric("temperature")!.series.values();
  await gateway.gateway.ingest.deleteSamples({
    ...{ seriesIds: [series!.seriesId], fromUs: 0, toUs: Number.POSITIVE_INFINITY },
  });
  answered.resolve();
  await gateway.sent("hub");
  await relay.stop(true);
  expect(keys[2]).toBe(keys[1]!);
  expect(await ask(hub, `${SAMPLES} OFFSET 1`)).toEqual(await ask(gateway, SAMPLES));
});

test("an answer that is no gateway's is an error, and the same rows are sent again with the same key", async () => {
  hub = await openTestGateway();
  const target = await hub.listen();
  const keys: (string | null)[] = [];
  const relay = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      keys.push(request.headers.get("idempotency-key"));
      if (keys.length === 1) return new Response("<html>a portal</html>");
      const body = await request.arrayBuffer();
      return await fetch(`${target.urls[0]}/api/v1/push`, { method: "POST", headers: request.headers, body });
    },
  });
  gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "hub", type: "weir", url: relay.url.href }),
  );
  await gateway.post(JSON.stringify(EVENTS));
  await gateway.sent("hub");
  await relay.stop(true);
  expect(keys).toEqual([keys[0]!, keys[0]!]);
  expect(await ask(hub, SAMPLES)).toEqual(await ask(gateway, SAMPLES));
});

test("a request that is too large for the hub is divided, and only an event that is too large alone is refused", async () => {
  hub = await openTestGateway("--body-bytes-max=1500");
  const { urls } = await hub.listen();
  gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "hub", type: "weir", url: `${urls[0]}/api/v1/push` }),
  );
  // Hashes, so that the body is not small after its compression.
  const hash = (text: string) => new Bun.CryptoHasher("sha512").update(text).digest("base64");
  const event = (index: number, tags: Record<string, string>) => ({
    ...{ "@timestamp": NOON_MS - 1_000 + index, metric_name: "jobs_done", value: index, tags },
  });
  const events = Array.from({ length: 24 }, (_, index) => event(index, { task_id: hash(`${index}`) }));
  // 2,640 characters, of 6 bits each.
  const tags = Object.fromEntries(
    Array.from({ length: 30 }, (_, index) => [`tag${index}`, hash(`large ${index}`)]),
  );
  await gateway.post(JSON.stringify(events.with(7, event(7, tags))));
  await gateway.sent("hub");
  expect(
    await ask(hub, "SELECT count(*) AS n, count(DISTINCT value) AS d, sum(value) AS s FROM jobs_done"),
  ).toEqual([{ n: 23, d: 23, s: 276 - 7 }]);
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="hub",reason="refused"}')).toBe(1);
  await until("the rejected sample", async () => {
    const [row] = await gateway!.query("SELECT metric, labels->>'tag0' AS tag FROM weir.rejected");
    expect(row).toEqual({ metric: "jobs_done", tag: hash("large 0") });
    return true;
  });
});

test("what the hub rejects is counted, and the rest is stored", async () => {
  hub = await openTestGateway();
  const { urls } = await hub.listen();
  // The hub has this metric as a gauge already.
  await hub.post(JSON.stringify([{ metric_name: "jobs", type: "gauge", value: 1 }]));
  gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "hub", type: "weir", url: `${urls[0]}/api/v1/push` }),
  );
  await gateway.post(JSON.stringify(EVENTS));
  await gateway.sent("hub");
  expect(await ask(hub, "SELECT count(*) AS n FROM samples")).toEqual([{ n: 4 }]);
  expect(await gateway.own('weir_forward_dropped_samples_total{destination="hub",reason="refused"}')).toBe(1);
  await until("the rejected sample", async () => {
    const [row] = await gateway!.query("SELECT metric, labels FROM weir.rejected");
    expect(row).toEqual({ metric: "jobs", labels: '{"queue":"ü"}' });
    return true;
  });
  hub.takeLog();
});

test("the rejection of a sample that another gateway has sent names externalLabels", async () => {
  hub = await openTestGateway();
  const { urls } = await hub.listen();
  const event = { "@timestamp": NOON_MS - 1_000, metric_name: "own", type: "gauge", tags: { instance: "a" } };
  await hub.post(JSON.stringify([{ ...event, value: 1 }]));
  gateway = await ForwardingGateway.openWith(destinationTable({ name: "hub", type: "weir", url: urls[0]! }));
  await gateway.post(JSON.stringify([{ ...event, value: 2 }]));
  await gateway.sent("hub");
  await until("the rejected sample", async () => {
    const [row] = await gateway!.query("SELECT reason FROM weir.rejected");
    expect((row as { reason: string }).reason).toEndWith(
      "is already stored for this series and time; if another gateway sends the same series, give each gateway externalLabels of its own",
    );
    return true;
  });
  hub.takeLog();
});

test("a file has each event once, after an interrupted append too, and is begun again when it is rotated", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "events.json");
  const table = destinationTable({
    name: "file",
    type: "ndjson",
    path,
    matchers: ['__name__!="temperature"'],
  });
  gateway = await ForwardingGateway.openWith(table);
  await gateway.post(JSON.stringify(EVENTS));
  await gateway.sent("file");
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  expect(lines.map(({ metric_name, value, tags }) => [metric_name, value, tags])).toEqual(
    EVENTS.slice(0, 3).map(({ metric_name, value, tags }) => [metric_name, value, tags!]),
  );
  renameSync(path, `${path}.1`);
  await gateway.post(JSON.stringify([{ ...EVENTS[0]!, value: 7 }]));
  await gateway.sent("file");
  expect(readFileSync(path, "utf8").split("\n").filter(Boolean).length).toBe(1);
  expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ value: 7 });
  rmSync(folder, { recursive: true });
});
