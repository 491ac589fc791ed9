/** Names of tables and columns, and where the values of a column come from. */
import { afterEach, describe, expect, test } from "bun:test";
import { createCounters } from "../../../src/model/counters.ts";
import { SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { distinctNames, Tables } from "../../../src/query/sql/tables.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Sample, type Samples, storedSamples } from "../stored.ts";

let samples: Samples | undefined;
afterEach(async () => {
  await samples?.close();
  samples = undefined;
});

const at = "2024-01-01T00:00:00Z";

async function open(stored: readonly Sample[], options?: { labelValuesMax?: number }): Promise<SqlEngine> {
  samples = await storedSamples(stored, options);
  return new SqlEngine({
    counters: createCounters(),
    store: samples.store,
    registry: samples.registry,
    timeoutMs: 10_000,
    rowsMax: 1_000,
    textBytesMax: 16_384,
    concurrencyMax: 1,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
  });
}

async function rows(engine: SqlEngine, sql: string): Promise<unknown> {
  const result = await engine.query(sql);
  const chunk = (await result.next()) ?? [];
  await result.close();
  return chunk;
}

const columnsOf = async (engine: SqlEngine, table: string) =>
  (await engine.tables())
    .find((each) => each.table === table)
    ?.columns.map(({ name, tag, source }) => [name, tag, source]);

describe("names", () => {
  /** The names, in any order, are mapped to these. */
  function ok(names: string[], taken: string[], want: Record<string, string>): void {
    test(names.join(" "), () => {
      expect(Object.fromEntries(distinctNames(names, taken))).toEqual(want);
      expect(Object.fromEntries(distinctNames(names.toReversed(), taken))).toEqual(want);
    });
  }
  ok(["a", "b"], [], { a: "a", b: "b" });
  // The name without capitals is unchanged.
  ok(["Url", "url"], [], { Url: "Url_2", url: "url" });
  ok(["URL", "Url"], [], { URL: "URL", Url: "Url_2" });
  ok(["URL", "Url", "url"], [], { URL: "URL_2", Url: "Url_3", url: "url" });
  // Reserved names, and names that equal a generated one.
  ok(["ts", "value"], ["ts", "value"], { ts: "ts_2", value: "value_2" });
  ok(["ts", "ts_2"], ["ts"], { ts: "ts_3", ts_2: "ts_2" });
  ok(["Samples", "samples"], ["samples"], { Samples: "Samples_3", samples: "samples_2" });
});

describe("tables", () => {
  test("a metric with a reserved name, and one that differs in case, get a number", async () => {
    const engine = await open([
      { metric: "samples", kind: "gauge", ts: at, value: 1 },
      { metric: "load", kind: "gauge", ts: at, value: 2 },
      { metric: "Load", kind: "gauge", ts: at, value: 3 },
    ]);
    expect((await engine.tables()).map(({ table, metric }) => [table, metric])).toEqual([
      ["samples", undefined],
      ["series", undefined],
      ["metrics", undefined],
      ["exemplars", undefined],
      ["rejected", undefined],
      ["Load_2", "Load"],
      ["load", "load"],
      ["samples_2", "samples"],
    ]);
    expect(Object.keys((await engine.tables())[0]!)).toEqual(["table", "columns"]);
    expect(await rows(engine, "SELECT value FROM samples_2")).toEqual([[1]]);
    expect(await rows(engine, "SELECT value FROM LOAD")).toEqual([[2]]);
    expect(await rows(engine, "SELECT value FROM load_2")).toEqual([[3]]);
    expect(await rows(engine, "SELECT count(*) FROM samples")).toEqual([[3]]);
  });

  test("metrics that Prometheus spells alike are one table", async () => {
    const engine = await open([
      { metric: "a.b", kind: "gauge", ts: at, value: 1, tags: { x: "1" } },
      { metric: "a_b", kind: "gauge", ts: at, value: 2, tags: { y: "2" } },
    ]);
    expect((await engine.tables()).find(({ table }) => table === "a_b")?.metrics).toEqual(["a.b", "a_b"]);
    expect(await rows(engine, "SELECT value, x, y FROM a_b ORDER BY value")).toEqual([
      [1, "1", null],
      [2, null, "2"],
    ]);
  });

  test("tags that are reserved, differ in case or contain other characters get their own columns", async () => {
    const engine = await open([
      {
        metric: "m",
        ts: at,
        value: 1,
        tags: { ts: "a", value: "b", Url: "c", url: "d", "x'y": "e", series_id: "f", task_id: "g" },
      },
    ]);
    expect(await columnsOf(engine, "m")).toEqual([
      ["ts", undefined, undefined],
      ["value", undefined, undefined],
      ["Url_2", "Url", "label"],
      ["series_id", "series_id", "label"],
      ["task_id", "task_id", "attribute"],
      ["ts_2", "ts", "label"],
      ["url", "url", "label"],
      ["value_2", "value", "label"],
      ["x_y", "x'y", "label"],
    ]);
    expect(
      await rows(engine, "SELECT Url_2, series_id, task_id, ts_2, url, value_2, x_y, value FROM m"),
    ).toEqual([["c", "f", "g", "a", "d", "b", "e", 1]]);
  });

  test("tags that Prometheus spells alike are one column", async () => {
    const engine = await open([
      { metric: "m", kind: "gauge", ts: at, value: 1, tags: { "http.method": "GET" } },
      { metric: "m", kind: "gauge", ts: at, value: 2, tags: { http_method: "PUT" } },
    ]);
    expect(await rows(engine, "SELECT value, http_method FROM m ORDER BY value")).toEqual([
      [1, "GET"],
      [2, "PUT"],
    ]);
  });

  test("a demoted label is one column, with the values of before and after", async () => {
    const users = ["a", "b", "c", "d"];
    const engine = await open(
      users.map((user, index) => ({ metric: "m", ts: at, value: index, tags: { user, kind: "x" } })),
      { labelValuesMax: 2 },
    );
    expect((await columnsOf(engine, "m"))?.find(([name]) => name === "user")).toEqual([
      "user",
      "user",
      "both",
    ]);
    expect(await rows(engine, "SELECT user, value, kind FROM m ORDER BY value")).toEqual([
      ["a", 0, "x"],
      ["b", 1, "x"],
      ["c", 2, "x"],
      ["d", 3, "x"],
    ]);
  });

  test("an attribute is NULL on a day that lacks it, and gauges have no column for it", async () => {
    const engine = await open([
      { metric: "m", ts: at, value: 1 },
      { metric: "m", ts: "2024-01-02T00:00:00Z", value: 2, tags: { trace_id: "t" } },
      { metric: "g", kind: "gauge", ts: at, value: 3, tags: { trace_id: "l" } },
    ]);
    expect(await rows(engine, "SELECT value, trace_id FROM m ORDER BY value")).toEqual([
      [1, null],
      [2, "t"],
    ]);
    expect((await columnsOf(engine, "g"))?.at(-1)).toEqual(["trace_id", "trace_id", "label"]);
    expect(await rows(engine, "SELECT value, trace_id FROM g")).toEqual([[3, "l"]]);
  });

  test("a registered metric without rows is an empty table", async () => {
    const engine = await open([]);
    samples!.registry.admit({ metric: "m", kind: "observation", labels: new Map([["x", "1"]]) });
    expect(await rows(engine, "SELECT ts, value, x FROM m")).toEqual([]);
    expect(await rows(engine, "SELECT * FROM samples")).toEqual([]);
    expect(new Tables(samples!.registry, []).tableOf("m")).toBe("m");
  });
});
