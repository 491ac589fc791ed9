/**
 * Two gateways get the same pushes. One of them has half of its samples in blocks. All answers are the same, before and after
 * a deletion, late samples, and a restart.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { NOON_MS, openTestGateway, type Sample, type TestGateway } from "../gateway.ts";

const DAY = Math.floor(NOON_MS / 86_400_000);
const BEGIN_MS = NOON_MS - 5 * 3_600_000;
/** 10:00. */
const PACKED_UNTIL_US = (NOON_MS - 2 * 3_600_000) * 1_000;

const ADMIN = "--enable-admin-api";

let rows: TestGateway;
let packed: TestGateway;

function samples(): Sample[] {
  return Array.from({ length: 1_150 }, (_, at): Sample[] => {
    const atMs = BEGIN_MS + at * 15_000;
    return [
      {
        metric: "room.temperature",
        atMs,
        value: 20 + Math.round(Math.sin(at / 9) * 400) / 100,
        labels: { room: "a" },
      },
      {
        metric: "room.temperature",
        atMs: atMs + 7,
        value: at % 50 === 3 ? Number.NaN : at / 7,
        labels: { room: "b" },
      },
      { metric: "jobs_total", kind: "cumulative", atMs, value: 10 * at + (at % 3), labels: { queue: "q" } },
      { metric: "task.ms", kind: "observation", atMs, value: at % 90, labels: { step: "s" } },
      { metric: "done", kind: "delta", atMs, value: 2 },
    ];
  }).flat();
}

async function pack(): Promise<void> {
  await packed.gateway.ingest.storeTotals();
  await packed.gateway.store.pack({ day: DAY, untilUs: PACKED_UNTIL_US, isForced: true, rowsAtOnce: 7 });
}

beforeAll(async () => {
  [rows, packed] = await Promise.all([openTestGateway(ADMIN), openTestGateway(ADMIN)]);
  for (const gateway of [rows, packed]) await gateway.push(samples());
  await pack();
});
afterAll(async () => {
  await rows.close();
  await packed.close();
});

const seconds = (ms: number) => ms / 1000;
const sql = (q: string) => `/api/v1/sql?${new URLSearchParams({ format: "csv", q })}`;
const promql = (query: string, more: Record<string, string> = {}) =>
  `/api/v1/query?${new URLSearchParams({ query, time: String(seconds(NOON_MS)), ...more })}`;
const range = (query: string) =>
  `/api/v1/query_range?${new URLSearchParams({
    query,
    start: String(seconds(BEGIN_MS + 90 * 60_000)),
    end: String(seconds(NOON_MS)),
    step: "300",
  })}`;

const QUESTIONS: readonly string[] = [
  promql("room_temperature[5h]"),
  promql("jobs_total"),
  promql("jobs_total", { time: String(seconds(BEGIN_MS + 45 * 60_000)) }),
  promql("max_over_time(room_temperature[5h])"),
  promql("count_over_time({__name__=~'room_temperature|jobs_total'}[5h])"),
  promql("sum(increase(jobs_total[4h]))"),
  promql("sum_over_time(task_ms[4h])"),
  range("rate(jobs_total[10m])"),
  range("avg by (room) (room_temperature)"),
  range("histogram_quantile(0.9, sum by (le) (rate(task_ms_bucket[10m])))"),
  `/federate?${new URLSearchParams({ "match[]": '{__name__=~".+"}' })}`,
  `/api/v1/export?${new URLSearchParams({ from: String(BEGIN_MS), to: String(NOON_MS) })}`,
  `/api/v1/export?${new URLSearchParams({ from: String(BEGIN_MS + 600_000), to: String(NOON_MS), metric: "room.temperature" })}`,
  `/api/v1/export?${new URLSearchParams({ "match[]": "{__name__=~'room.*|jobs_total'}" })}`,
  `/api/v1/export/csv?${new URLSearchParams({ "match[]": "jobs_total", format: "__value__,__timestamp__:unix_ms" })}`,
  `/api/v1/series?${new URLSearchParams({ "match[]": "room_temperature", start: String(seconds(BEGIN_MS)), end: String(seconds(NOON_MS)) })}`,
  "/api/v1/tables",
  sql("SELECT count(*), min(ts), max(ts), min(value), max(value) FROM jobs_total"),
  sql(
    "SELECT room, count(*), max(value) FROM room_temperature WHERE NOT isnan(value) GROUP BY ALL ORDER BY ALL",
  ),
  sql("SELECT ts, value FROM room_temperature WHERE room = 'a' AND ts < '2024-10-04 07:10:00' ORDER BY ts"),
  sql(
    "SELECT ts, value FROM jobs_total WHERE ts BETWEEN '2024-10-04 09:59:00' AND '2024-10-04 10:01:00' ORDER BY ts",
  ),
  sql("SELECT metric, labels, count(*), max(ts) FROM samples GROUP BY ALL ORDER BY ALL"),
  sql("SELECT metric, value FROM samples WHERE ts = '2024-10-04 07:00:00' ORDER BY ALL"),
  sql("SELECT count(*) FROM jobs_total JOIN room_temperature USING (ts)"),
];

/** The answer without what depends on time: durations, sizes and ids. */
async function answer(gateway: TestGateway, path: string): Promise<string> {
  const response = await gateway.fetch(path);
  const text = await response.text();
  return `${response.status} ${text.replaceAll(/"(elapsed\w*|duration\w*|\w*Bytes)":[\d.]+/g, "")}`;
}

async function expectSame(): Promise<void> {
  for (const path of QUESTIONS) {
    const want = await answer(rows, path);
    expect(want.slice(0, 3), path).toBe("200");
    expect(await answer(packed, path), path).toBe(want);
  }
  expect(await packed.exposed()).toEqual(await rows.exposed());
}

test("samples in blocks have the answers of rows", async () => {
  expect(await packed.query("SELECT count(*)::INTEGER AS n FROM weir.blocks")).not.toEqual([{ n: 0 }]);
  await expectSame();
});

test("duplicates of samples in blocks are recognised, and other values are rejected", async () => {
  const atMs = BEGIN_MS + 150_000;
  for (const gateway of [rows, packed]) {
    const send = (value: number) =>
      gateway.push([{ metric: "jobs_total", kind: "cumulative", atMs, value, labels: { queue: "q" } }]);
    expect(await send(101), "the same value").toMatchObject({ rejected: [] });
    const { rejected } = await send(102);
    expect(rejected, "another value").toHaveLength(1);
  }
  await expectSame();
});

test("late samples are beside the blocks", async () => {
  const late = Array.from({ length: 40 }, (_, at): Sample => {
    const atMs = BEGIN_MS + at * 61_000 + 1;
    return { metric: "room.temperature", atMs, value: -at, labels: { room: at % 2 === 0 ? "a" : "late" } };
  });
  for (const gateway of [rows, packed]) await gateway.push(late, { historical: true });
  await expectSame();
  await pack();
  await expectSame();
});

test("a deletion of a part of a span deletes the same samples", async () => {
  const query = new URLSearchParams({
    "match[]": 'room_temperature{room="a"}',
    start: String(seconds(BEGIN_MS + 20 * 60_000)),
    end: String(seconds(BEGIN_MS + 200 * 60_000)),
  });
  const deleted: (string | null)[] = [];
  for (const gateway of [rows, packed]) {
    const response = await gateway.fetch(`/api/v1/admin/tsdb/delete_series?${query}`, { method: "POST" });
    expect(response.status).toBe(204);
    deleted.push(response.headers.get("weir-deleted-samples"));
  }
  expect(Number(deleted[0])).toBeGreaterThan(700);
  expect(deleted[1]).toBe(deleted[0]!);
  await expectSame();
  await pack();
  await expectSame();
});

test("a restart has the same samples and totals", async () => {
  for (const gateway of [rows, packed]) await gateway.reopen(ADMIN);
  await expectSame();
});
