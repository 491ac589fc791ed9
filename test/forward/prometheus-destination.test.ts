/** A real Prometheus as a destination: it takes a backlog in order, and stores what is sent twice once. */
import { afterEach, expect, test } from "bun:test";
import { canRun, type RealServer, startPrometheus } from "../real-servers.ts";
import { until } from "../until.ts";
import { destinationTable, ForwardingGateway } from "./forwarding-gateway.ts";

const present = canRun("prometheus");
let server: RealServer | undefined;
let gateway: ForwardingGateway | undefined;

afterEach(async () => {
  await gateway?.close();
  await server?.stop();
  gateway = server = undefined;
});

async function ask(query: string, atMs: number): Promise<string[]> {
  const answer = await fetch(`${server!.url}/api/v1/query`, {
    method: "POST",
    body: new URLSearchParams({ query, time: String(atMs / 1000) }),
  });
  const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
  return data.result.map(({ value: [, value] }) => value);
}

// Prometheus accepts samples of the last hours only, by its own clock.
const nowMs = Math.floor(Date.now() / 60_000) * 60_000;

for (const version of [1, 2]) {
  test.skipIf(!present)(
    `takes a backlog of an hour in order, and its rates are those of here (version ${version})`,
    async () => {
      const probe = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: () => new Response(null, { status: 503 }),
      });
      const table = (url: string) =>
        destinationTable({ name: "p", type: "remote_write", url, order: "oldest-first", version, shards: 2 });
      gateway = await ForwardingGateway.openWith(table(probe.url.href), { nowMs: nowMs - 3_600_000 });
      for (let minute = 1; minute <= 60; minute++) {
        gateway.nowMs = nowMs - (60 - minute) * 60_000;
        const at = gateway.nowMs - 30_000;
        await gateway.post(
          JSON.stringify([
            { "@timestamp": at, metric_name: "level", type: "gauge", value: minute, tags: { a: "b" } },
            { "@timestamp": at, metric_name: "done", type: "counter", value: 2 },
            { "@timestamp": at, metric_name: "wait_seconds", value: minute % 3, tags: { queue: "q" } },
          ]),
        );
      }
      await until(
        "an attempt",
        async () => (await gateway!.own('weir_forward_retries_total{destination="p"}')) > 0,
      );
      server = await startPrometheus();
      await gateway.configure(table(`${server.url}/api/v1/write`));
      await probe.stop(true);
      gateway.takeLog();
      await gateway.sent("p");
      // Between two instants: Prometheus 3, as here, has windows without their begin, and earlier versions with it.
      const askedMs = nowMs + 7_000;
      await until(
        "the counters",
        async () => (await ask("count_over_time(done_total[5m])", askedMs))[0] === "20",
      );
      expect(await ask("done_total", askedMs)).toEqual(["120"]);
      expect(await ask("count_over_time(level[61m])", nowMs)).toEqual(["60"]);
      expect(await ask("sum_over_time(level[61m])", nowMs)).toEqual(["1830"]);
      for (const query of [
        "increase(done_total[10m])",
        "rate(wait_seconds_sum[20m])",
        "histogram_quantile(0.9, rate(wait_seconds_bucket[30m]))",
        "wait_seconds_count",
      ]) {
        const here = await gateway.fetch(
          `/api/v1/query?${new URLSearchParams({ query, time: String(askedMs / 1000) })}`,
        );
        const { data } = (await here.json()) as { data: { result: { value: [number, string] }[] } };
        const [there] = await ask(query, askedMs);
        expect(Number(there)).toBeGreaterThan(0);
        expect(Number(there)).toBeCloseTo(Number(data.result[0]!.value[1]), 9);
      }
      expect(await gateway.own('weir_forward_dropped_samples_total{destination="p",reason="refused"}')).toBe(
        0,
      );
    },
  );
}
