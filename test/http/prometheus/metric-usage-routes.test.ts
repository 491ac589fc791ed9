/** When metrics were last asked for, by PromQL, SQL and summaries, from a real gateway. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { AskedMetrics } from "../../../src/query/asked-metrics.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../../gateway.ts";

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await openTestGateway();
  const events = ["task.duration_ms", "queue.depth", "unused"].map((metric_name) => ({
    ...{ metric_name, type: metric_name === "task.duration_ms" ? undefined : "gauge", value: 1 },
    tags: { job: "worker", status: "200" },
  }));
  expect((await send("/api/v1/push", { method: "POST", body: JSON.stringify(events) })).status).toBe(200);
});
afterEach(() => gateway.close());

async function send(path: string, init?: RequestInit): Promise<Response> {
  const answer = await gateway.app.fetch(new Request(`http://localhost${path}`, init));
  // Queries end when their answer was read.
  return new Response(await answer.text(), answer);
}

const NOON_S = NOON_MS / 1_000;
const record = (metricName: string, pushedAs: string, count: number, last: number) => ({
  ...{ metricName, pushedAs, queryRequestsCount: count, lastQueryRequestTimestamp: last },
});

test("each metric has its requests and the time of the last one, those without any first", async () => {
  const ask = async (path: string) => {
    gateway.nowMs += 1_000;
    expect((await send(path)).status).toBe(200);
  };
  const promql = (query: string) => ask(`/api/v1/query?${new URLSearchParams({ query })}`);
  await promql("sum(task_duration_ms_count) / sum(task_duration_ms_count)");
  await promql('{__name__=~"queue.+"}');
  await promql("absent_metric");
  await ask(`/api/v1/sql?${new URLSearchParams({ q: "SELECT count(*) FROM task_duration_ms" })}`);
  await ask("/api/v1/summaries/forecast?metric=queue.depth&reaches=0");
  // None of these asks for a metric.
  await ask("/api/v1/labels");
  await ask(`/api/v1/sql?${new URLSearchParams({ q: "SELECT count(*) FROM series" })}`);
  await ask("/metrics");
  expect(await (await send("/api/v1/status/metric_names_stats")).json()).toEqual({
    status: "success",
    statsCollectedSince: NOON_S,
    statsCollectedRecordsTotal: 3,
    records: [
      record("unused", "unused", 0, 0),
      record("queue_depth", "queue.depth", 2, NOON_S + 5),
      // Two selectors of an expression, and a statement.
      record("task_duration_ms", "task.duration_ms", 3, NOON_S + 4),
    ],
  });
  const names = async (parameters: string) => {
    const answer = await send(`/api/v1/status/metric_names_stats?${parameters}`);
    return ((await answer.json()) as { records: { metricName: string }[] }).records.map(
      ({ metricName }) => metricName,
    );
  };
  expect(await names("le=0")).toEqual(["unused"]);
  expect(await names("le=2&limit=1")).toEqual(["unused"]);
  expect(await names("limit=")).toHaveLength(3);
});

test("a wrong parameter is rejected", async () => {
  for (const [parameters, error] of [
    ["le=few", 'Query parameter le is "few"; expected a whole number of at least 0.'],
    ["match_pattern=a", "match_pattern is not supported: select from the answer."],
    ["matches=a", 'Query parameter "matches" is unknown; expected limit, le.'],
  ] as const) {
    const answer = await send(`/api/v1/status/metric_names_stats?${parameters}`);
    expect([answer.status, await answer.json()]).toEqual([
      400,
      expect.objectContaining({ status: "error", error }),
    ]);
  }
});

test("counts are bounded: the metric that was not asked for longest is forgotten", () => {
  let nowMs = 0;
  const asked = new AskedMetrics(() => ++nowMs, 2);
  asked.note(["a"]);
  asked.note(["b", "b"]);
  asked.note(["a"]);
  asked.note(["c"]);
  expect(["a", "b", "c"].map((metric) => asked.of(metric)?.count)).toEqual([2, undefined, 1]);
});
