/** The list of tables: users' metrics first, with the number of rows and the time of the last row. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createCounters } from "../../../src/model/counters.ts";
import { SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { listTables, matcher, tableRows } from "../../../src/query/sql/table-list.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Samples, storedSamples } from "../stored.ts";

let samples: Samples;
let engine: SqlEngine;
beforeAll(async () => {
  samples = await storedSamples([
    { metric: "node_load1", kind: "gauge", ts: "2024-01-01T00:00:00Z", value: 1 },
    {
      metric: "task.processing_duration_ms",
      ts: "2024-01-01T23:59:59.999Z",
      value: 2,
      tags: { task_id: "a" },
    },
    { metric: "task.processing_duration_ms", ts: "2024-01-02T00:00:00Z", value: 3, tags: { domain: "b" } },
    { metric: "queue.depth", kind: "gauge", ts: "2024-01-01T10:00:00Z", value: 4, tags: { queue: "x" } },
    { metric: "queue.depth", kind: "gauge", ts: "2024-01-01T11:00:00Z", value: null, tags: { queue: "x" } },
    { metric: "queue_depth", kind: "gauge", ts: "2024-01-01T09:00:00Z", value: 5, tags: { queue: "y" } },
  ]);
  engine = new SqlEngine({
    counters: createCounters(),
    store: samples.store,
    registry: samples.registry,
    timeoutMs: 20_000,
    rowsMax: 1,
    textBytesMax: 16_384,
    concurrencyMax: 2,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
  });
});
afterAll(async () => {
  await engine.close();
  await samples.close();
});

const list = async (pattern?: string) =>
  (await listTables(engine, pattern)).map(({ table, rows, last }) => [table, rows, last]);

test("users' metrics come first, then the tables that always exist, then the machine's metrics", async () => {
  expect(await list()).toEqual([
    // Two metrics that Prometheus spells alike are one table. A stale marker is not a row of it.
    ["queue_depth", 2, "2024-01-01T10:00:00.000Z"],
    ["task_processing_duration_ms", 2, "2024-01-02T00:00:00.000Z"],
    ["samples", 6, "2024-01-02T00:00:00.000Z"],
    ["series", 5, null],
    ["metrics", 4, null],
    ["exemplars", 0, null],
    ["rejected", 0, null],
    ["node_load1", 1, "2024-01-01T00:00:00.000Z"],
  ]);
});

test("a pattern matches the name of the table or of the metric", async () => {
  const names = async (pattern: string) => (await list(pattern)).map(([table]) => table);
  expect(await names("task*")).toEqual(["task_processing_duration_ms"]);
  expect(await names("TASK%MS")).toEqual(["task_processing_duration_ms"]);
  expect(await names("task.processing")).toEqual(["task_processing_duration_ms"]);
  expect(await names("depth")).toEqual(["queue_depth"]);
  expect(await names("*depth")).toEqual(["queue_depth"]);
  expect(await names("depth*")).toEqual([]);
  expect(await names("a(b")).toEqual([]);
  // An underscore matches itself only, because every name has underscores.
  expect(await names("node_load_")).toEqual([]);
});

test.each([
  ["*b*", "abc", true],
  ["*b*", "ac", false],
  ["a*b*c", "abc", true],
  ["a*b*c", "axbxbxc", true],
  ["a*b*c", "acb", false],
  // Parts do not share characters.
  ["ab*ba", "aba", false],
  ["a*a", "a", false],
  ["a*a*a", "aa", false],
  ["*", "", true],
  ["a.c", "abc", false],
  // A regular expression would take longer than a day.
  [`${"*a".repeat(20)}*b`, "a".repeat(1_000), false],
])("the pattern %p and the name %p", (pattern, name, want) => expect(matcher(pattern)(name)).toBe(want));

test("the list has the shape of a query's answer, for every format", async () => {
  const result = tableRows(await listTables(engine, "queue*"));
  expect(result.columns.map(({ name }) => name)).toEqual([
    "table",
    "rows",
    "last",
    "kind",
    "unit",
    "columns",
    "metric",
  ]);
  expect(await result.next()).toEqual([
    ["queue_depth", 2, "2024-01-01T10:00:00.000Z", "gauge", null, "ts, value, queue", "queue.depth"],
  ]);
  expect(await result.next()).toBeUndefined();
  expect(await tableRows([]).next()).toBeUndefined();
});
