/** Options of remote_write against real receivers: zstd, raw values of events, and metadata. */
import { afterEach, expect, test } from "bun:test";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { canRun, type RealServer, startVictoriaMetrics } from "../real-servers.ts";
import { until } from "../until.ts";
import { destinationTable, exportedFrom, ForwardingGateway } from "./forwarding-gateway.ts";

let other: TestGateway | undefined;
let gateway: ForwardingGateway | undefined;
let server: RealServer | undefined;

afterEach(async () => {
  await gateway?.close();
  await other?.close();
  await server?.stop();
  gateway = other = undefined;
  server = undefined;
});

const EVENTS = [3, 234.5].map((value, at) => ({
  ...{ "@timestamp": NOON_MS - 3_000 + at * 1_000, metric_name: "wait.ms", value },
  tags: { queue: "q", task_id: String(value) },
}));

test.skipIf(!canRun("victoria-metrics"))(
  "a VictoriaMetrics that may not know zstd has raw values of events beside their histogram if asked",
  async () => {
    server = await startVictoriaMetrics();
    gateway = await ForwardingGateway.openWith(
      destinationTable({
        ...{ name: "vm", type: "remote_write", url: `${server.url}/api/v1/write` },
        ...{ compression: "zstd", raw_events: true },
      }),
    );
    await gateway.post(JSON.stringify(EVENTS));
    await gateway.sent("vm");
    const { url } = server;
    await until("the raw values", async () => (await exportedFrom(url, "wait_ms")).length > 0);
    expect(await exportedFrom(url, "wait_ms")).toEqual([
      `wait_ms{queue="q"} ${NOON_MS - 3_000} 3`,
      `wait_ms{queue="q"} ${NOON_MS - 2_000} 234.5`,
    ]);
    gateway.nowMs += 15_000;
    await until("the histogram", async () => (await exportedFrom(url, "wait_ms_count")).length > 2);
    expect(await exportedFrom(url, "wait_ms_sum")).toEqual([
      `wait_ms_sum{queue="q"} ${NOON_MS - 15_000} 0`,
      `wait_ms_sum{queue="q"} ${NOON_MS} 237.5`,
      `wait_ms_sum{queue="q"} ${NOON_MS + 15_000} 237.5`,
    ]);
  },
);

test("a second gateway takes zstd", async () => {
  other = await openTestGateway();
  const { urls } = await other.listen();
  const encodings: (string | null)[] = [];
  const relay = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      encodings.push(request.headers.get("content-encoding"));
      const body = await request.arrayBuffer();
      return await fetch(`${urls[0]}/api/v1/write`, { method: "POST", headers: request.headers, body });
    },
  });
  gateway = await ForwardingGateway.openWith(
    destinationTable({ name: "d", type: "remote_write", url: relay.url.href, compression: "zstd" }),
  );
  await gateway.push([{ metric: "level", atMs: NOON_MS, value: 0.1 }]);
  await gateway.sent("d");
  await relay.stop(true);
  expect(await other.query("SELECT value FROM weir.samples_20241004")).toEqual([{ value: 0.1 }]);
  expect(new Set(encodings)).toEqual(new Set(["zstd"]));
});

for (const version of [1, 2]) {
  test(`a second gateway has type, help and unit (version ${version})`, async () => {
    other = await openTestGateway();
    const { urls } = await other.listen();
    gateway = await ForwardingGateway.openWith(
      destinationTable({ name: "d", type: "remote_write", url: `${urls[0]}/api/v1/write`, version }),
    );
    await gateway.post(
      JSON.stringify([
        { metric_name: "temperature", type: "gauge", value: 1, unit: "celsius", help: "Of the air." },
        { ...EVENTS[0]!, unit: "ms", help: "Until a worker is free." },
        { metric_name: "jobs", type: "counter", value: 1, help: "Done." },
      ]),
    );
    gateway.nowMs += 15_000;
    const known = async () => {
      const answer = await other!.fetch("/api/v1/metadata");
      const { data } = (await answer.json()) as { data: Record<string, object[]> };
      return data;
    };
    await until("the metadata", async () => {
      const names = Object.keys(await known());
      return ["temperature", "wait_ms", "jobs_total"].every((name) => names.includes(name));
    });
    const { temperature, wait_ms: wait, jobs_total: total } = await known();
    expect(temperature).toEqual([{ type: "gauge", help: "Of the air.", unit: "celsius" }]);
    expect(wait).toEqual([{ type: "histogram", help: "Until a worker is free.", unit: "ms" }]);
    expect(total).toEqual([{ type: "counter", help: "Done.", unit: "" }]);
  });
}
