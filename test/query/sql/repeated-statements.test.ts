/**
 * The same statements again, after something has changed: inspections are kept, and connections with their views. Each answer has to
 * be that of a gateway that keeps neither.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createCounters } from "../../../src/model/counters.ts";
import { dayOf } from "../../../src/model/sample.ts";
import { type QueryOptions, type QueryResult, SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { metricViews } from "../../../src/query/sql/views.ts";
import type { Cell } from "../../../src/store/store.ts";
import { DEFAULTS } from "../../defaults.ts";
import { snapshotOf } from "../../totals-snapshots.ts";
import { type Samples, storedSamples } from "../stored.ts";

const HTTP = "http.request.duration_ms";
const ALL = "SELECT * FROM http_request_duration_ms ORDER BY ts";
let samples: Samples;
let engine: SqlEngine;

beforeEach(async () => {
  samples = await storedSamples([
    { metric: HTTP, ts: "2024-01-01T10:00:00Z", value: 100, tags: { operation: "get" } },
    { metric: "cpu", kind: "gauge", ts: "2024-01-01T10:00:00Z", value: 0.5, tags: { host: "h1" } },
  ]);
  engine = new SqlEngine({
    counters: createCounters(),
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
    timeoutMs: 20_000,
    rowsMax: 10_000,
    textBytesMax: 16_384,
    concurrencyMax: 2,
    store: samples.store,
    registry: samples.registry,
  });
});
afterEach(async () => {
  await engine.close();
  await samples.close();
});

async function read(result: QueryResult): Promise<Cell[][]> {
  const all: Cell[][] = [];
  for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next())
    all.push(...(chunk as Cell[][]));
  return all;
}
const rows = async (sql: string, options?: QueryOptions) => await read(await engine.query(sql, options));
const failure = (sql: string) =>
  rows(sql).then(
    () => "no error",
    (error: Error) => error.message,
  );

test("sees samples that came since, in the same day and in a new one", async () => {
  expect(await rows(ALL)).toEqual([["2024-01-01 10:00:00", 100, "get"]]);
  await samples.add([{ metric: HTTP, ts: "2024-01-01T11:00:00Z", value: 200, tags: { operation: "put" } }]);
  expect(await rows(ALL)).toEqual([
    ["2024-01-01 10:00:00", 100, "get"],
    ["2024-01-01 11:00:00", 200, "put"],
  ]);
  await samples.add([{ metric: HTTP, ts: "2024-01-02T11:00:00Z", value: 300, tags: { operation: "get" } }]);
  expect(await rows("SELECT sum(value) FROM http_request_duration_ms")).toEqual([[600]]);
  expect((await rows(ALL)).at(-1)).toEqual(["2024-01-02 11:00:00", 300, "get"]);
});

test("sees values outside of those that the first plan knew", async () => {
  const high = "SELECT count(*) FROM http_request_duration_ms WHERE value > 1000";
  const low = "SELECT count(*) FROM http_request_duration_ms WHERE value < 1000";
  expect([await rows(high), await rows(low)]).toEqual([[[0]], [[1]]]);
  await samples.add([{ metric: HTTP, ts: "2024-01-01T11:00:00Z", value: 2_000, tags: { operation: "get" } }]);
  expect([await rows(high), await rows(low)]).toEqual([[[1]], [[1]]]);
});

test("sees a new label, a new attribute and a new metric", async () => {
  expect(await rows(ALL)).toEqual([["2024-01-01 10:00:00", 100, "get"]]);
  expect(await failure("SELECT task_id FROM http_request_duration_ms")).toStartWith(
    'there is no column "task_id"',
  );
  expect(await failure("SELECT * FROM mem")).toStartWith('there is no table "mem"');
  await samples.add([
    {
      metric: HTTP,
      ts: "2024-01-01T11:00:00Z",
      value: 200,
      tags: { operation: "get", task_id: "a", zone: "z" },
    },
    { metric: "mem", kind: "gauge", ts: "2024-01-01T11:00:00Z", value: 7 },
  ]);
  expect(await rows(ALL)).toEqual([
    ["2024-01-01 10:00:00", 100, "get", null, null],
    ["2024-01-01 11:00:00", 200, "get", "a", "z"],
  ]);
  expect(await rows("SELECT task_id FROM http_request_duration_ms ORDER BY ts")).toEqual([[null], ["a"]]);
  expect(await rows("SELECT * FROM mem")).toEqual([["2024-01-01 11:00:00", 7]]);
});

test("does not need a day that was dropped", async () => {
  await samples.add([{ metric: HTTP, ts: "2024-01-02T11:00:00Z", value: 300, tags: { operation: "put" } }]);
  expect(await rows("SELECT sum(value) FROM http_request_duration_ms")).toEqual([[400]]);
  const day = dayOf(Date.parse("2024-01-02T00:00:00Z") * 1_000);
  await samples.store.dropDaysBefore(day, samples.registry.forgetDaysBefore(day), snapshotOf([]));
  expect(await rows("SELECT sum(value) FROM http_request_duration_ms")).toEqual([[300]]);
  expect(await failure("SELECT * FROM cpu")).toStartWith('there is no table "cpu"');
});

test("a name that spells a column in a new way is inspected again", async () => {
  const sql = "SELECT current_date IS NULL FROM cpu";
  expect(await rows(sql)).toEqual([[false]]);
  await samples.add([
    { metric: "cpu", kind: "gauge", ts: "2024-01-01T11:00:00Z", value: 1, tags: { current_date: "x" } },
  ]);
  expect(await failure(sql)).toStartWith("a column is named current_date");
});

test("a statement after one that failed, and after one whose rows were not all read", async () => {
  const cast = "SELECT CAST(operation AS INTEGER) FROM http_request_duration_ms";
  for (const _ of [1, 2]) {
    expect(await failure(cast)).toContain("TRY_CAST(operation AS BIGINT)");
    expect(await rows(ALL)).toEqual([["2024-01-01 10:00:00", 100, "get"]]);
    const result = await engine.query("SELECT * FROM range(5000)", { limitRows: 10 });
    expect((await read(result)).length).toBe(10);
    expect(result.truncated).toBe(true);
    const unread = await engine.query("SELECT * FROM range(5000)");
    await unread.next();
    await unread.close();
  }
  expect(await rows(ALL)).toEqual([["2024-01-01 10:00:00", 100, "get"]]);
});

test("the values of a PIVOT are looked up each time", async () => {
  const sql = "PIVOT http_request_duration_ms ON operation USING sum(value) GROUP BY ts ORDER BY ts";
  expect((await engine.query(sql)).columns.map(({ name }) => name)).toEqual(["ts", "get"]);
  await samples.add([{ metric: HTTP, ts: "2024-01-01T11:00:00Z", value: 200, tags: { operation: "put" } }]);
  const result = await engine.query(sql);
  expect(result.columns.map(({ name }) => name)).toEqual(["ts", "get", "put"]);
  expect(await read(result)).toEqual([
    ["2024-01-01 10:00:00", 100, null],
    ["2024-01-01 11:00:00", null, 200],
  ]);
});

test("a view of our own with the name of a table does not replace it", async () => {
  const table = engine.catalog(samples.store.days()).metricTable("cpu")!;
  const name = "http_request_duration_ms";
  const asked = () =>
    engine.run(
      async (_, days) => ({
        views: metricViews(table, days, { name }),
        sql: `SELECT value FROM "${name}"`,
      }),
      {},
    );
  for (const _ of [1, 2]) {
    expect(await rows(ALL)).toEqual([["2024-01-01 10:00:00", 100, "get"]]);
    expect(await read(await asked())).toEqual([[0.5]]);
  }
});

test("parameters are those of each run", async () => {
  const sql = "SELECT value FROM http_request_duration_ms WHERE value < $limit AND operation = ?";
  const mixed = sql.replace("?", "$operation");
  expect(await rows(mixed, { parameters: { limit: 200, operation: "get" } })).toEqual([[100]]);
  expect(await rows(mixed, { parameters: { limit: 50, operation: "get" } })).toEqual([]);
  expect(await rows(mixed, { parameters: { limit: 200, operation: "put" } })).toEqual([]);
});
