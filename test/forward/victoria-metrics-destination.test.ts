/** A real VictoriaMetrics as a destination of remote_write: values, outages, and what is sent once. */
import { afterEach, expect, test } from "bun:test";
import { NOON_MS } from "../gateway.ts";
import { canRun, type RealServer, startVictoriaMetrics } from "../real-servers.ts";
import { until } from "../until.ts";
import { destinationTable, exportedFrom, ForwardingGateway } from "./forwarding-gateway.ts";

const present = canRun("victoria-metrics");
let server: RealServer | undefined;
let gateway: ForwardingGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  await server?.stop();
  gateway = server = undefined;
});

const table = (url: string, more: Record<string, unknown> = {}) =>
  destinationTable({ name: "vm", type: "remote_write", url: `${url}/api/v1/write`, ...more });

test.skipIf(!present)(
  "sends gauges with their times, and events as the counters and histograms of their grid",
  async () => {
    server = await startVictoriaMetrics();
    gateway = await ForwardingGateway.openWith(table(server.url));
    const { url } = server;
    await gateway.post(
      JSON.stringify([
        {
          "@timestamp": NOON_MS - 2_500,
          metric_name: "temperature",
          type: "gauge",
          value: 21.5,
          tags: { room: "a" },
        },
        {
          "@timestamp": NOON_MS - 1_500,
          metric_name: "temperature",
          type: "gauge",
          value: 22,
          tags: { room: "a" },
        },
        // Of the step that ends at noon: 3 in all. Of the step before: 2.
        {
          "@timestamp": NOON_MS - 1_000,
          metric_name: "jobs",
          type: "counter",
          value: 1,
          tags: { queue: "q" },
        },
        {
          "@timestamp": NOON_MS - 20_000,
          metric_name: "jobs",
          type: "counter",
          value: 2,
          tags: { queue: "q" },
        },
        {
          "@timestamp": NOON_MS - 1_000,
          metric_name: "http.request.duration_ms",
          value: 234.5,
          tags: { operation: "get", task_id: "1" },
        },
        {
          "@timestamp": NOON_MS - 1_000,
          metric_name: "http.request.duration_ms",
          value: 3,
          tags: { operation: "get", task_id: "2" },
        },
      ]),
    );
    await gateway.sent("vm");
    expect(await exportedFrom(url, "temperature")).toEqual([
      `temperature{room="a"} ${NOON_MS - 2_500} 21.5`,
      `temperature{room="a"} ${NOON_MS - 1_500} 22`,
    ]);
    // The next instant of the grid.
    gateway.nowMs += 15_000;
    await until("the counters", async () => (await exportedFrom(url, "jobs_total")).length > 3);
    expect(await exportedFrom(url, "jobs_total")).toEqual([
      `jobs_total{queue="q"} ${NOON_MS - 30_000} 0`,
      `jobs_total{queue="q"} ${NOON_MS - 15_000} 2`,
      `jobs_total{queue="q"} ${NOON_MS} 3`,
      `jobs_total{queue="q"} ${NOON_MS + 15_000} 3`,
    ]);
    const count = "http_request_duration_ms";
    const at = (name: string, labels: string, value: number) => [
      `${count}_${name}{${labels}operation="get"} ${NOON_MS - 15_000} 0`,
      `${count}_${name}{${labels}operation="get"} ${NOON_MS} ${value}`,
      `${count}_${name}{${labels}operation="get"} ${NOON_MS + 15_000} ${value}`,
    ];
    expect(await exportedFrom(url, `{__name__=~"${count}_(sum|count)"}`)).toEqual([
      ...at("count", "", 2),
      ...at("sum", "", 237.5),
    ]);
    // Buckets are cumulative: 3 is in 5 and all above, 234.5 in 250 and all above.
    const buckets = await exportedFrom(url, `${count}_bucket{le=~"2.5|5.0|100.0|250.0|\\\\+Inf"}`);
    expect(buckets).toEqual(
      [
        ...at("bucket", 'le="+Inf",', 2),
        ...at("bucket", 'le="100.0",', 1),
        ...at("bucket", 'le="2.5",', 0),
        ...at("bucket", 'le="250.0",', 2),
        ...at("bucket", 'le="5.0",', 1),
      ].sort(),
    );
  },
);

test.skipIf(!present)(
  "loses and doubles nothing in an outage of six hours with a restart of the gateway, and counters never decrease",
  async () => {
    // Nobody listens there yet.
    const probe = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(null, { status: 503 }),
    });
    gateway = await ForwardingGateway.openWith(table(probe.url.origin));
    const begin = NOON_MS - 3_600_000;
    /** Pushes each half hour when it is over. */
    const push = async (from: number, to: number) => {
      for (let first = from; first < to; first += 30) {
        const end = Math.min(first + 30, to);
        const events: object[] = [];
        for (let minute = first; minute < end; minute++) {
          const at = begin + minute * 60_000;
          events.push({ "@timestamp": at, metric_name: "level", type: "gauge", value: minute });
          events.push({ "@timestamp": at, metric_name: "done", type: "counter", value: 1 });
          events.push({ "@timestamp": at, metric_name: "size_bytes", value: minute + 0.1 });
        }
        gateway!.nowMs = begin + end * 60_000;
        await gateway!.post(JSON.stringify(events));
      }
    };
    await push(0, 100);
    await until(
      "a failed attempt",
      async () => (await gateway!.own('weir_forward_retries_total{destination="vm"}')) > 0,
    );
    await push(100, 200);
    server = await startVictoriaMetrics();
    await push(200, 260);
    await gateway.configure(table(server.url));
    // Here the clock moves before the events are pushed, so counters may be sent before that, and have them one step later.
    await push(260, 330);
    await gateway.stopServices();
    await push(330, 361);
    await gateway.configure(table(server.url));
    await gateway.sent("vm");
    gateway.takeLog();
    await probe.stop(true);
    const { url } = server;
    await until("the last counter", async () =>
      (await exportedFrom(url, "done_total")).some((line) => line.endsWith(` ${begin + 360 * 60_000} 361`)),
    );
    const levels = await exportedFrom(url, "level");
    expect(levels.toSorted()).toEqual(
      Array.from({ length: 361 }, (_, minute) => `level{} ${begin + minute * 60_000} ${minute}`).sort(),
    );
    const valuesOf = async (name: string) =>
      (await exportedFrom(url, name))
        .map((line) => line.split(" ").slice(1).map(Number))
        .sort(([a], [b]) => a! - b!);
    for (const [name, last] of [
      ["done_total", 361],
      ["size_bytes_count", 361],
      ["size_bytes_sum", (360 * 361) / 2 + 36.1],
    ] as const) {
      const values = await valuesOf(name);
      expect(values.at(-1)![1]).toBeCloseTo(last, 6);
      for (let at = 1; at < values.length; at++) {
        expect(values[at]![0]).toBeGreaterThan(values[at - 1]![0]!);
        expect(values[at]![1]).toBeGreaterThanOrEqual(values[at - 1]![1]!);
      }
    }
    // At each minute the counter has the rows up to it: the times are those of the events, not of the end of the outage.
    const done = new Map((await valuesOf("done_total")).map(([ms, value]) => [ms, value]));
    for (const minute of [0, 50, 99, 150, 250]) expect(done.get(begin + minute * 60_000)).toBe(minute + 1);
  },
);
