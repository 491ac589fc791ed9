/**
 * Events over the seam: a gateway forwards to a VictoriaMetrics, forgets its older days, and reads their counters back. The
 * store counts from the beginning of what it has, and the upstream since the gateway began. Joined they never decrease.
 */
import { afterEach, expect, test } from "bun:test";
import { destinationTable, ForwardingGateway } from "../../forward/forwarding-gateway.ts";
import { openTestGatewayAt, type TestGateway } from "../../gateway.ts";
import { canRun, type RealServer, startVictoriaMetrics } from "../../real-servers.ts";
import { until } from "../../until.ts";
import { askGateway, gatewayWith } from "./upstream-gateway.ts";

const present = canRun("victoria-metrics");
const BEGIN_MS = Date.UTC(2024, 9, 1, 12);
let server: RealServer | undefined;
let gateway: ForwardingGateway | undefined;

afterEach(async () => {
  gateway?.takeLog();
  await gateway?.close();
  await server?.stop();
  gateway = server = undefined;
});

test("another Weir as the upstream adds up counters of all parts of a range from the same time", async () => {
  const hub = await openTestGatewayAt(BEGIN_MS, "--retention-days=30", "--no-sampler");
  const { urls } = await hub.listen();
  const spoke = await gatewayWith(BEGIN_MS, `[upstream]\nurl = "${urls[0]}"\ntimeout = "60s"\n`);
  try {
    const hours = 6 * 24;
    for (let hour = 0; hour < hours; hour++) {
      hub.nowMs = spoke.nowMs = BEGIN_MS + hour * 3_600_000;
      const at = { "@timestamp": spoke.nowMs - 20_000, tags: { queue: "q" } };
      const body = JSON.stringify([
        { ...at, metric_name: "jobs", type: "counter", value: 3 },
        { ...at, metric_name: "wait_ms", value: hour % 2 === 0 ? 3 : 300 },
      ]);
      await hub.post(body);
      await spoke.post(body);
    }
    await spoke.gateway.ingest.prune();
    expect(spoke.gateway.store.days().length).toBe(3);
    const lastMs = spoke.nowMs + 60_000;
    const ask = async (gateway: TestGateway, query: string) => {
      const range = { start: (BEGIN_MS + 3_660_000) / 1000, end: lastMs / 1000, step: 3_600 };
      const { data, warnings } = await askGateway(gateway, "query_range", { query, ...range });
      expect(warnings).toBeUndefined();
      return data.result.map(({ metric, values }) => ({ metric, values }));
    };
    const expressions = [
      "jobs_total - jobs_total offset 1h",
      "jobs_total offset 1h - jobs_total offset 2d",
      "increase(wait_ms_count[6h])",
      'rate(wait_ms_bucket{le="10.0"}[1d])',
      "resets(wait_ms_sum[5d])",
      "wait_ms",
    ];
    for (const query of expressions) {
      const want = await ask(hub, query);
      expect(want.length).toBeGreaterThan(0);
      expect({ query, result: await ask(spoke, query) }).toEqual({ query, result: want });
    }
  } finally {
    await spoke.close();
    await hub.close();
  }
});

test.skipIf(!present)("counters of events continue those that the upstream has", async () => {
  server = await startVictoriaMetrics();
  const { url } = server;
  gateway = await ForwardingGateway.openWith(
    `externalLabels = ["site=berlin"]\n${destinationTable({ name: "vm", type: "remote_write", url: `${url}/api/v1/write` })}` +
      `[upstream]\nurl = "${url}"\ntimeout = "60s"\n`,
    { nowMs: BEGIN_MS },
  );
  // Every hour 3 jobs and two durations, for five days.
  const hours = 5 * 24;
  for (let hour = 0; hour < hours; hour++) {
    gateway.nowMs = BEGIN_MS + hour * 3_600_000;
    const at = { "@timestamp": gateway.nowMs - 20_000, tags: { queue: "q" } };
    await gateway.post(
      JSON.stringify([
        { ...at, metric_name: "jobs", type: "counter", value: 3 },
        { ...at, metric_name: "wait_ms", value: 8 },
        { ...at, metric_name: "wait_ms", value: hour % 2 === 0 ? 3 : 300 },
      ]),
    );
  }
  const lastMs = gateway.nowMs;
  gateway.nowMs += 30_000;
  await gateway.sent("vm");
  const done = 'jobs_total{queue="q",site="berlin"}';
  await until("all counters", async () => {
    await fetch(`${url}/internal/force_flush`);
    const query = new URLSearchParams({ query: done, time: String((lastMs + 30_000) / 1000) });
    const answer = (await (await fetch(`${url}/api/v1/query?${query}`)).json()) as {
      data: { result: { value: [number, string] }[] };
    };
    return answer.data.result[0]?.value[1] === String(3 * hours);
  });
  const before = gateway.gateway.store.days().length;
  await gateway.gateway.ingest.prune();
  expect([before, gateway.gateway.store.days().length]).toEqual([6, 3]);
  const value = async (query: string, atMs = lastMs + 60_000) => {
    const { data, warnings } = await askGateway(gateway!, "query", { query, time: atMs / 1000 });
    expect(warnings).toBeUndefined();
    return data.result.map((each) => Number(each.value?.[1]));
  };
  // In the last four days: 96 hours, of which the gateway still has 2.5 days.
  expect(await value("jobs_total - jobs_total offset 4d")).toEqual([3 * 96]);
  expect(await value("wait_ms_count - wait_ms_count offset 4d")).toEqual([2 * 96]);
  expect(await value('wait_ms_bucket{le="10.0"} - wait_ms_bucket{le="10.0"} offset 4d')).toEqual([96 + 48]);
  expect(await value("wait_ms_sum - wait_ms_sum offset 4d")).toEqual([8 * 96 + 48 * 3 + 48 * 300]);
  expect(await value("resets(jobs_total[5d])")).toEqual([0]);
  // Steps over the seam: 3 more in each hour.
  const { data } = await askGateway(gateway, "query_range", {
    query: "jobs_total - jobs_total offset 1h",
    start: (BEGIN_MS + 3_600_000 + 60_000) / 1000,
    end: (lastMs + 60_000) / 1000,
    step: 3_600,
  });
  expect(data.result[0]?.values?.map(([, each]) => each)).toEqual(Array(hours - 1).fill("3"));
});
