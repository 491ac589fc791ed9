/** What arrived in the last minutes, over HTTP, from a real gateway. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { addToken } from "../../access/token-texts.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await openTestGateway();
});
afterEach(() => gateway.close());

const ask = (parameters = "", headers: Record<string, string> = {}) =>
  gateway.app.fetch(new Request(`http://localhost/api/v1/arrivals${parameters}`, { headers }));

async function push(events: readonly object[], headers: Record<string, string> = {}): Promise<void> {
  const request = new Request("http://localhost/api/v1/push", {
    ...{ method: "POST", body: JSON.stringify(events), headers },
  });
  expect((await gateway.app.fetch(request)).status).toBe(200);
}

const task = (value: number, tags: Record<string, string>) => ({
  ...{ metric_name: "task.duration_ms", value, tags: { job: "worker", instance: "w-1", ...tags } },
});

test("it has rates, errors and quantiles of what was pushed", async () => {
  await push([
    ...[10, 20, 30].map((value) => task(value, { http_status: "200" })),
    task(40, { http_status: "timeout" }),
  ]);
  await push([{ metric_name: "queue.depth", type: "gauge", value: 3, tags: { job: "node" } }]);
  gateway.nowMs = NOON_MS + 20_000;
  expect(await (await ask()).json()).toEqual({
    from: "2024-10-04T12:00:00.000Z",
    to: "2024-10-04T12:00:20.000Z",
    part_seconds: 10,
    samples: [...Array.from({ length: 27 }, () => 0), 5, 0, 0],
    workers: [
      {
        ...{ job: "node", instance: "", samples: 1, per_second: 0.05, metrics: 1 },
        last: "2024-10-04T12:00:00.000Z",
      },
      {
        ...{ job: "worker", instance: "w-1", samples: 4, per_second: 0.2, metrics: 1 },
        last: "2024-10-04T12:00:00.000Z",
      },
    ],
    workers_left_out: 0,
    metrics: [
      {
        ...{ metric: "task.duration_ms", kind: "observation", unit: "", samples: 4, per_second: 0.2 },
        ...{ failed: 1, failed_percent: 25 },
        // One is at most 10, the second at most 25, and two at most 50: 25 + 25 × (3.8 - 2) / 2, and (3.96 - 2) / 2.
        ...{ p50: 25, p95: 47.5, p99: 49.5 },
        parts: [{ part: 27, samples: 4, failed: 1, p95: 47.5 }],
      },
    ],
    metrics_left_out: 0,
  });
});

test("a worker that is silent keeps the time of its last push", async () => {
  await push([task(1, {})]);
  gateway.nowMs = NOON_MS + 3_600_000;
  const { workers, metrics } = (await (await ask("?range=1h")).json()) as Record<string, unknown>;
  expect([workers, metrics]).toEqual([
    [
      {
        ...{ job: "worker", instance: "w-1", samples: 0, per_second: 0, metrics: 0 },
        last: "2024-10-04T12:00:00.000Z",
      },
    ],
    [],
  ]);
});

test("requests of one second share an answer", async () => {
  await push([task(1, {})]);
  const samples = async () => ((await (await ask()).json()) as { samples: number[] }).samples.at(-1);
  expect(await samples()).toBe(1);
  await push([task(2, {})]);
  expect(await samples()).toBe(1);
  gateway.nowMs += 1_000;
  expect(await samples()).toBe(2);
});

test("a wrong parameter is rejected", async () => {
  for (const [parameters, error] of [
    ["?range=2h", 'Query parameter range is "2h"; expected 5m or 1h.'],
    ["?limit=0", 'limit is "0"; expected a whole number of at least 1.'],
    ["?from=-1h", 'Query parameter "from" is unknown; expected range, limit.'],
  ] as const) {
    const answer = await ask(parameters);
    expect([answer.status, ((await answer.json()) as { error: { message: string } }).error.message]).toEqual([
      400,
      error,
    ]);
  }
});

test("a limit leaves out the metrics with the fewest samples, and says how many", async () => {
  await push([
    task(1, {}),
    task(2, {}),
    ...["a", "b"].map((name) => ({ ...task(1, { instance: `w-${name}` }), metric_name: name })),
  ]);
  const answer = (await (await ask("?limit=1")).json()) as { metrics: { metric: string }[] };
  expect(answer).toMatchObject({ metrics_left_out: 2, workers_left_out: 2 });
  expect(answer.metrics.map(({ metric }) => metric)).toEqual(["task.duration_ms"]);
});

test("a token with labels is rejected, because the answer counts the samples of all", async () => {
  const path = join(temporaryFolder(), "tokens.json");
  const token = await addToken(path, "apple", { scopes: ["read"], labels: { job: "apple" } });
  await gateway.close();
  gateway = await openTestGateway(`--token-file=${path}`);
  expect((await ask("", { authorization: `Bearer ${token}` })).status).toBe(403);
});
