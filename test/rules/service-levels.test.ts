/** Service levels and expectations of weir.toml in a real gateway, at times that the test sets. */
import { afterEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SettingError } from "../../src/config/config.ts";
import { NOON_MS, openTestGateway, type TestGateway } from "../gateway.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const MINUTE_MS = 60_000;
let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

async function open(toml: string): Promise<TestGateway> {
  const path = join(temporaryFolder(), "weir.toml");
  writeFileSync(path, toml);
  gateway = await openTestGateway(`--config=${path}`);
  await gateway.gateway.rules.reload();
  return gateway;
}

async function evaluateEachMinute(on: TestGateway, fromMs: number, minutes: number): Promise<void> {
  for (let minute = 0; minute <= minutes; minute++) {
    on.nowMs = fromMs + minute * MINUTE_MS;
    await on.gateway.rules.evaluate(on.nowMs);
  }
}

/** Names and labels of the alerts that fire. */
async function firing(on: TestGateway): Promise<Record<string, string>[]> {
  const { data } = (await (await on.fetch("/api/v1/alerts")).json()) as {
    data: { alerts: { labels: Record<string, string>; state: string }[] };
  };
  return data.alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels);
}

/** 9 good requests and 1 failed one, each 15 seconds from an hour before noon. */
async function pushRequests(on: TestGateway): Promise<void> {
  const samples = [];
  for (let step = 0; step <= 240; step++) {
    const atMs = NOON_MS - 3_600_000 + step * 15_000;
    for (const [success, each] of [
      ["true", 9],
      ["false", 1],
    ] as const)
      samples.push({
        metric: "requests",
        kind: "cumulative",
        labels: { success },
        value: each * step,
        atMs,
      } as const);
  }
  await on.push(samples);
}

const LEVEL = (good: string, total: string) => `[[slo]]
name = "api"
objective = 99.5
good = '''${good}'''
total = '''${total}'''
labels = { team = "edge" }
`;
const PAGE = { alertname: "ErrorBudgetBurn", severity: "page", slo: "api", team: "edge" };
const TICKET = { ...PAGE, severity: "ticket" };

describe("a service level", () => {
  test("of counters records its counts, burns its budget, and answers the summary", async () => {
    const on = await open(LEVEL('requests{success="true"}', "requests"));
    await pushRequests(on);
    // Each group is evaluated each minute here, so there are five times as many counts as in a gateway.
    await evaluateEachMinute(on, NOON_MS - 10 * MINUTE_MS, 10);
    expect(await firing(on)).toEqual([PAGE, TICKET]);
    const path = "/api/v1/summaries/service_levels?format=json";
    const { rows } = (await (await on.fetch(path)).json()) as { rows: Record<string, unknown>[] };
    expect(rows).toMatchObject([
      // 10 % of errors where 0.5 % are allowed: 20 times the budget.
      { slo: "api", objective_percent: 99.5, window_days: 30, good_percent: 90, burn_rate: 20, days_left: 0 },
    ]);
    // The report of a month that has not ended: the last hour is that of the counts.
    const range = `from=${NOON_MS - 3_600_000}&to=${NOON_MS + 10 * 86_400_000}`;
    const report = (await (await on.fetch(`${path}&${range}`)).json()) as { rows: typeof rows };
    expect(report.rows).toMatchObject([{ slo: "api", good_percent: 90, burn_rate: 20 }]);
  });

  test("in SQL counts events with all of their tags", async () => {
    const count = `SELECT count(*) AS value FROM task_ms WHERE ts > $time - $window AND ts <= $time`;
    const on = await open(LEVEL(`${count} AND value < 100`, count));
    for (let index = 0; index < 10; index++)
      await on.push([
        {
          metric: "task.ms",
          value: index < 8 ? 50 : 500,
          labels: { task_id: `t${index}` },
          atMs: NOON_MS - 2 * MINUTE_MS,
        },
      ]);
    await evaluateEachMinute(on, NOON_MS, 0);
    const query = encodeURIComponent('slo:errors:ratio{window="5m"}');
    const { data } = (await (await on.fetch(`/api/v1/query?query=${query}`)).json()) as {
      data: { result: { value: [number, string] }[] };
    };
    expect(Number(data.result[0]!.value[1])).toBeCloseTo(0.2, 9);
    expect(await firing(on)).toEqual([PAGE, TICKET]);
  });

  test("whose question is none ends the start, with the name of the level", async () => {
    const opening = open(LEVEL("sum(rate(a[5m]))", "a"));
    await expect(opening).rejects.toThrow(SettingError);
    await expect(opening).rejects.toThrow(
      'good of the slo "api" is "sum(rate(a[5m]))": expected a selector of counters, or an expression with $window.',
    );
  });
});

test("an expected push that does not come fires, and the next one resolves it", async () => {
  const on = await open('[[expect]]\njob = "backup"\nevery = "1h"\n');
  const pushed = (atMs: number, seconds: number) =>
    on.push([
      {
        metric: "weir_last_push_timestamp_seconds",
        kind: "gauge",
        labels: { job: "backup", instance: "a" },
        value: seconds,
        atMs,
      },
    ]);
  on.nowMs = NOON_MS + 1_000;
  await pushed(NOON_MS, NOON_MS / 1000 - 3_601);
  await on.gateway.rules.evaluate(on.nowMs);
  expect(await firing(on)).toEqual([
    { alertname: "PushMissing", every: "1h", job: "backup", severity: "warning" },
  ]);
  await pushed(NOON_MS + 1_000, NOON_MS / 1000);
  on.nowMs = NOON_MS + 2_000;
  await on.gateway.rules.evaluate(on.nowMs);
  expect(await firing(on)).toEqual([]);
});

test("expectations without the sampler end the start", async () => {
  const path = join(temporaryFolder(), "weir.toml");
  writeFileSync(path, 'sampler = false\n[[expect]]\njob = "backup"\nevery = "1h"\n');
  await expect(openTestGateway(`--config=${path}`)).rejects.toThrow(
    "expect needs the times of the last pushes",
  );
});
