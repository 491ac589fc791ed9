/** Errors that an operator can resolve name the flag or the setting that helps. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { describeSettings } from "../../src/config/config.ts";
import { openTestGatewayAt, type TestGateway } from "../gateway.ts";

/** Ten minutes after the times that the tests push. */
const NOW_MS = Date.UTC(2024, 0, 1, 0, 10);

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await openTestGatewayAt(
    NOW_MS,
    "--body-bytes-max=1MiB",
    "--events-max=2",
    "--tags-max=1",
    "--tag-value-bytes-max=4",
    "--name-bytes-max=40",
    "--metrics-max=4",
    "--tag-names-max=1",
    "--sql-text-bytes-max=4000",
    "--promql-series-max=1",
    "--promql-samples-max=1",
    "--groups-max=1",
  );
  for (const value of [1, 2])
    await send("POST", "/api/v1/push", event({ value, tags: { a: `x${value}` }, type: "gauge" }));
  await send("PUT", "/metrics/job/one", "g 1\n");
});
afterAll(() => gateway.close());

async function send(method: string, path: string, body?: string): Promise<{ status: number; text: string }> {
  const response = await gateway.fetch(path, { method, body });
  return { status: response.status, text: await response.text() };
}

const event = (fields: Record<string, unknown> = {}) =>
  JSON.stringify({ metric_name: "m", value: 1, "@timestamp": NOW_MS, ...fields });

const day = 86_400_000;
const slow = "SELECT count(*) FROM range(100000000) AS a(i), range(100) AS b(j)";
const soon = `/api/v1/sql?timeoutMs=1&q=${encodeURIComponent(slow)}`;

const cases: [name: string, method: string, path: string, body: string | undefined, status: number][] = [
  ["--enable-admin-api", "POST", "/api/v1/admin/tsdb/delete_series?match[]=m", undefined, 503],
  ["--enable-admin-api", "POST", "/api/v1/admin/tsdb/snapshot", undefined, 503],
  ["--enable-admin-api", "PUT", "/api/v1/admin/wipe", undefined, 404],
  ["--enable-lifecycle", "POST", "/-/quit", undefined, 403],
  ["eventsMax", "POST", "/api/v1/push", `[${event()},${event()},${event()}]`, 413],
  ["bodyBytesMax", "POST", "/api/v1/push", " ".repeat(2 ** 20 + 1), 413],
  ["tagsMax", "POST", "/api/v1/push", event({ tags: { a: "1", b: "2" } }), 400],
  ["tagNamesMax", "POST", "/api/v1/push", event({ tags: { b: "2" }, type: "gauge" }), 400],
  ["tagValueBytesMax", "POST", "/api/v1/push", event({ tags: { a: "12345" } }), 400],
  ["nameBytesMax", "POST", "/api/v1/push", event({ metric_name: "n".repeat(41) }), 400],
  ["metricsMax", "POST", "/api/v1/push", event({ metric_name: "third" }), 400],
  ["--retention-days", "POST", "/api/v1/push", event({ "@timestamp": NOW_MS - 10 * day }), 400],
  ["futureMs", "POST", "/api/v1/push", event({ "@timestamp": NOW_MS + day }), 400],
  ["retentionDays", "PUT", "/metrics/job/one?honor_timestamps=true", `g 1 ${NOW_MS - 10 * day}\n`, 400],
  ["futureMs", "PUT", "/metrics/job/one?honor_timestamps=true", `g 1 ${NOW_MS + day}\n`, 400],
  ["groupsMax", "PUT", "/metrics/job/two", "g 1\n", 400],
  ["sqlTimeoutMs", "GET", soon, undefined, 422],
  ["sqlTextBytesMax", "POST", "/api/v1/sql", `SELECT ${"1 + ".repeat(1_000)}1`, 413],
  ["promqlSeriesMax", "GET", `/api/v1/query?query=m&time=${NOW_MS / 1_000}`, undefined, 422],
];

test.each(cases)("%s is named by the answer to %s %s", async (name, method, path, body, status) => {
  const answer = await send(method, path, body);
  expect({ name, ...answer }).toMatchObject({ status });
  expect(answer.text).toContain(name);
  // The name is one of an existing setting or flag.
  const names = describeSettings().flatMap(({ key, flag }) => [key as string, flag]);
  expect(names).toContain(name);
});
