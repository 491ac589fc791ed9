/** Tests the query engine with a real store: tables, days in plans, limits and errors. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createCounters } from "../../../src/model/counters.ts";
import { Busy, RequestError } from "../../../src/model/errors.ts";
import { type QueryOptions, type QueryResult, SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { viewsFor } from "../../../src/query/sql/views.ts";
import type { Cell } from "../../../src/store/store.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Samples, storedSamples } from "../stored.ts";

const LIMITS = {
  memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
  timeoutMs: 20_000,
  rowsMax: 10_000,
  textBytesMax: 16_384,
  concurrencyMax: 2,
};
const HTTP = "http.request.duration_ms";
let samples: Samples;
let engine: SqlEngine;
/** A statement that returns a million rows. */
let wide: SqlEngine;

beforeAll(async () => {
  samples = await storedSamples([
    {
      metric: HTTP,
      ts: "2024-01-01T10:00:00Z",
      value: 100,
      tags: { operation: "get", status_code: "200", task_id: "a" },
    },
    {
      metric: HTTP,
      ts: "2024-01-01T11:00:00Z",
      value: 300,
      tags: { operation: "get", status_code: "500", task_id: "b" },
    },
    {
      metric: HTTP,
      ts: "2024-01-02T10:00:00Z",
      value: 50,
      tags: { operation: "put", status_code: "200", task_id: "a" },
    },
    { metric: HTTP, ts: "2024-01-02T11:00:00Z", value: null, tags: { operation: "put", status_code: "200" } },
    { metric: "cpu", kind: "gauge", ts: "2024-01-02T10:00:00Z", value: 0.5, tags: { host: "h1" } },
  ]);
  engine = new SqlEngine({
    counters: createCounters(),
    ...LIMITS,
    store: samples.store,
    registry: samples.registry,
  });
  wide = new SqlEngine({
    counters: createCounters(),
    ...LIMITS,
    rowsMax: 1_000_000,
    store: samples.store,
    registry: samples.registry,
  });
});
afterAll(async () => {
  await engine.close();
  await samples.close();
});

async function rows(sql: string, options?: QueryOptions): Promise<Cell[][]> {
  const result = await engine.query(sql, options);
  const all: Cell[][] = [];
  for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next())
    all.push(...(chunk as Cell[][]));
  return all;
}

async function failure(sql: string, options?: QueryOptions): Promise<RequestError> {
  const error = await rows(sql, options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RequestError);
  return error as RequestError;
}

/** The engine's plan of a statement, including its views. */
async function plan(sql: string, options: QueryOptions = {}): Promise<string> {
  const views: string[] = [];
  const reader = await samples.store.reader();
  try {
    const days = samples.store.days();
    const tables = engine.catalog(days);
    views.push(...viewsFor(["http_request_duration_ms", "samples"], tables, days));
    for (const view of views) await reader.run(view);
    const explained = await reader.all<{ explain_value: string }>(`EXPLAIN ${sql}`, options.parameters);
    return explained.map(({ explain_value }) => explain_value).join("\n");
  } finally {
    reader.close();
  }
}

describe("a metric's table", () => {
  test("is there from the time when a sample is accepted, and has a row after the commit", async () => {
    const own = await storedSamples([]);
    const { store, registry } = own;
    const asked = new SqlEngine({ counters: createCounters(), ...LIMITS, store, registry });
    const value = async () => await (await asked.query("SELECT host, value FROM disk_io")).next();
    await expect(value()).rejects.toThrow("disk_io");
    registry.admit({ metric: "disk.io", kind: "gauge", labels: new Map([["host", "h1"]]) });
    expect(await value()).toBeUndefined();
    const ts = "2024-01-02T10:00:00Z";
    await own.add([{ metric: "disk.io", kind: "gauge", ts, value: 7, tags: { host: "h1" } }]);
    expect(await value()).toEqual([["h1", 7]]);
    await asked.close();
    await own.close();
  });

  test("has ts, value and one column per tag, and omits stale markers", async () => {
    const result = await engine.query("SELECT * FROM http_request_duration_ms ORDER BY ts");
    expect(result.columns).toEqual([
      { name: "ts", type: "TIMESTAMP" },
      { name: "value", type: "DOUBLE" },
      { name: "operation", type: "VARCHAR" },
      { name: "status_code", type: "VARCHAR" },
      { name: "task_id", type: "VARCHAR" },
    ]);
    expect(await result.next()).toEqual([
      ["2024-01-01 10:00:00", 100, "get", "200", "a"],
      ["2024-01-01 11:00:00", 300, "get", "500", "b"],
      ["2024-01-02 10:00:00", 50, "put", "200", "a"],
    ]);
    expect(await result.next()).toBeUndefined();
    expect(result.truncated).toBe(false);
  });

  test("can be filtered and grouped by labels and attributes", async () => {
    const sql = "SELECT operation, avg(value), count(*) FROM http_request_duration_ms GROUP BY 1 ORDER BY 1";
    expect(await rows(sql)).toEqual([
      ["get", 200, 2],
      ["put", 50, 1],
    ]);
    expect(await rows("SELECT value FROM HTTP_request_duration_MS WHERE task_id = 'a' ORDER BY ts")).toEqual([
      [100],
      [50],
    ]);
  });

  test("samples contains every metric, with NULL for stale markers", async () => {
    expect(
      await rows(
        "SELECT metric, ts, value, labels, task_id FROM samples WHERE ts >= TIMESTAMP '2024-01-02' ORDER BY ALL",
      ),
    ).toEqual([
      ["cpu", "2024-01-02 10:00:00", 0.5, { host: "h1" }, null],
      [HTTP, "2024-01-02 10:00:00", 50, { operation: "put", status_code: "200" }, "a"],
      [HTTP, "2024-01-02 11:00:00", null, { operation: "put", status_code: "200" }, null],
    ]);
  });

  test("series, metrics and DESCRIBE return the expected rows", async () => {
    expect(await rows("SELECT metric, kind FROM metrics ORDER BY 1")).toEqual([
      ["cpu", "gauge"],
      [HTTP, "observation"],
    ]);
    expect(
      await rows(
        "SELECT labels['operation'], first_day, last_day FROM series WHERE metric = $1 ORDER BY 1, 2",
        { parameters: [HTTP] },
      ),
    ).toEqual([
      ["get", "2024-01-01", "2024-01-01"],
      ["get", "2024-01-01", "2024-01-01"],
      ["put", "2024-01-02", "2024-01-02"],
    ]);
    const described = await rows("DESCRIBE cpu");
    expect(described.map((row) => row.slice(0, 2))).toEqual([
      ["ts", "TIMESTAMP"],
      ["value", "DOUBLE"],
      ["host", "VARCHAR"],
    ]);
  });
});

describe("a filter on time leaves only its days in the plan", () => {
  const tablesOf = (text: string) => [...new Set(text.match(/samples_\d{8}/g))].sort();
  test("with a constant", async () => {
    expect(tablesOf(await plan("SELECT avg(value) FROM http_request_duration_ms"))).toEqual([
      "samples_20240101",
      "samples_20240102",
    ]);
    expect(
      tablesOf(
        await plan("SELECT avg(value) FROM http_request_duration_ms WHERE ts < TIMESTAMP '2024-01-02'"),
      ),
    ).toEqual(["samples_20240101"]);
    expect(
      tablesOf(
        await plan(
          "SELECT avg(value) FROM samples WHERE ts BETWEEN TIMESTAMP '2024-01-02' AND TIMESTAMP '2024-01-03'",
        ),
      ),
    ).toEqual(["samples_20240102"]);
  });
  test("with now()", async () => {
    expect(
      tablesOf(
        await plan("SELECT avg(value) FROM http_request_duration_ms WHERE ts > now() - INTERVAL 1 HOUR"),
      ),
    ).toEqual([]);
    const nowMs = Date.now();
    await samples.add([
      { metric: HTTP, ts: nowMs, value: 1, tags: { operation: "now", status_code: "200" } },
    ]);
    const tables = tablesOf(
      await plan("SELECT avg(value) FROM http_request_duration_ms WHERE ts > now() - INTERVAL 1 MINUTE"),
    );
    expect(tables.at(-1)).toBe(`samples_${new Date(nowMs).toISOString().slice(0, 10).replaceAll("-", "")}`);
    expect(tables.length).toBe(1);
    expect(
      await rows("SELECT value FROM http_request_duration_ms WHERE ts > now() - INTERVAL 1 HOUR"),
    ).toEqual([[1]]);
  });
  test("with a bound parameter", async () => {
    const sql = "SELECT avg(value) FROM http_request_duration_ms WHERE ts < $to";
    expect(tablesOf(await plan(sql, { parameters: { to: new Date("2024-01-02T00:00:00Z") } }))).toEqual([
      "samples_20240101",
    ]);
    expect(
      await rows("SELECT count(*) FROM http_request_duration_ms WHERE ts < $to", {
        parameters: { to: "2024-01-01T10:30:00Z" },
      }),
    ).toEqual([[1]]);
  });
});

describe("limits", () => {
  test("rows past the limit are omitted, and the result says so", async () => {
    const result = await engine.query("SELECT * FROM range(5000)", { limitRows: 3_000 });
    let count = 0;
    for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next())
      count += chunk.length;
    expect(count).toBe(3_000);
    expect(result.truncated).toBe(true);
    const exact = await engine.query("SELECT * FROM range(5)", { limitRows: 5 });
    expect((await exact.next())?.length).toBe(5);
    expect(await exact.next()).toBeUndefined();
    expect(exact.truncated).toBe(false);
  });
  test("a query that takes too long is stopped", async () => {
    const error = await failure("SELECT count(*) FROM range(100000000000000)", { timeoutMs: 100 });
    expect(error.status).toBe(422);
    expect(error.message).toContain("took longer than 100 ms");
  });
  test("a query is stopped for memory that the engine counts", async () => {
    const small = await storedSamples([], { memoryLimitBytes: 64 * 1_048_576, spills: false });
    const { store, registry } = small;
    const tight = new SqlEngine({ counters: createCounters(), ...LIMITS, store, registry });
    try {
      const error = await tight.query("SELECT list(range) FROM range(100000000)").then(
        (result) => result.next(),
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(RequestError);
      expect((error as RequestError).message).toContain("more memory");
      expect((error as RequestError).status).toBe(422);
    } finally {
      await tight.close();
      await small.close();
    }
  });
  test("a query is stopped for memory that the engine does not count", async () => {
    const small = new SqlEngine({
      counters: createCounters(),
      ...LIMITS,
      store: samples.store,
      registry: samples.registry,
      memoryGrowthBytesMax: 100 * 1_048_576,
    });
    const result = small.query(
      "SELECT quantile_cont(a.range + b.range, 0.5) FROM range(100000) a, range(100000) b",
    );
    await expect(result).rejects.toThrow("more memory");
    await result.catch(() => {});
    await small.close();
  });
  test("a query is stopped when its client disconnects", async () => {
    const controller = new AbortController();
    const waiting = failure("SELECT count(*) FROM range(100000000000000)", { signal: controller.signal });
    controller.abort();
    expect((await waiting).message).toContain("disconnected");
  });
  test("some queries wait, and more are rejected", async () => {
    const controller = new AbortController();
    const long = { signal: controller.signal };
    const sql = "SELECT count(*) FROM range(100000000000000)";
    const all = Array.from({ length: 11 }, () => rows(sql, long).catch((error: unknown) => error));
    expect(await all[10]).toBeInstanceOf(Busy);
    controller.abort();
    await Promise.all(all);
    expect(await rows("SELECT 1")).toEqual([[1]]);
  });
  test("a query that waits stops waiting when its client disconnects", async () => {
    const running = new AbortController();
    const long = "SELECT count(*) FROM range(100000000000000)";
    const one = new SqlEngine({
      counters: createCounters(),
      ...LIMITS,
      concurrencyMax: 1,
      store: samples.store,
      registry: samples.registry,
    });
    const first = one.query(long, { signal: running.signal }).then((result) => result.next());
    const client = new AbortController();
    const waiting = one.query("SELECT 1", { signal: client.signal });
    client.abort();
    await expect(waiting).rejects.toThrow("The client disconnected before the query was finished.");
    // The first query still runs.
    const second = one.query("SELECT 1");
    // Their errors are awaited from here on: close() rejects them before it resolves.
    const stopped = [first, second].map((query) => query.catch(String));
    await one.close();
    for (const error of await Promise.all(stopped)) expect(error).toContain("The gateway is stopping");
    await expect(one.query("SELECT 1")).rejects.toThrow("The gateway is stopping");
  });
  test("a result that is closed early ends its query", async () => {
    for (let i = 0; i < 5; i++) {
      const result = await engine.query("SELECT * FROM range(1000000)", { limitRows: 1_000_000 });
      await result.next();
      await result.close();
    }
    expect(await rows("SELECT 1")).toEqual([[1]]);
  });
});

describe("an error of the engine is reported in one sentence", () => {
  test("for an unknown column, with a similar one", async () => {
    const error = await failure("SELECT operatio FROM http_request_duration_ms");
    expect(error.status).toBe(400);
    expect(error.message).toContain('"operatio"');
    expect(error.message).toContain("operation");
    expect(error.message).not.toContain("\n");
  });
  test("for a conversion that fails", async () => {
    expect((await failure("SELECT operation::INTEGER FROM http_request_duration_ms")).message).toContain(
      "Could not convert",
    );
  });
  test("for a parameter without a value, and for a value without a parameter", async () => {
    expect((await failure("SELECT $1")).status).toBe(400);
    expect((await failure("SELECT 1", { parameters: [1] })).status).toBe(400);
    expect(await failure("SELECT $a", { parameters: { b: 1 } })).toMatchObject({
      status: 400,
      message:
        "params names a parameter that the statement does not have; expected a value for each $NAME of the statement.",
    });
  });
  test("columns of the same name get distinct names", async () => {
    expect((await engine.query("SELECT 1 AS a, 2 AS A, 3 AS a_2")).columns.map(({ name }) => name)).toEqual([
      "a",
      "A_2",
      "a_2_2",
    ]);
  });
});

describe("an error between two chunks does not look like the end of the rows", () => {
  const read = async (result: QueryResult) => {
    let count = 0;
    for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next())
      count += chunk.length;
    return count;
  };
  test("if the statement fails", async () => {
    const sql =
      "SELECT CASE WHEN range < 900000 THEN range::VARCHAR ELSE 'x' END::INTEGER FROM range(1000000) ORDER BY ALL";
    const streamed = await wide.query(sql.replace(" ORDER BY ALL", ""));
    await expect(read(streamed)).rejects.toThrow("Could not convert string 'x'");
    await read(streamed).catch(() => {});
    await expect(wide.query(sql).then(read)).rejects.toThrow("Could not convert string 'x'");
  });
  test("if the query is interrupted", async () => {
    const controller = new AbortController();
    const result = await wide.query("SELECT * FROM range(1000000)", { signal: controller.signal });
    expect((await result.next())?.length).toBe(2_048);
    controller.abort();
    await expect(read(result)).rejects.toThrow("disconnected");
  });
});

describe("an answer of large lists", () => {
  test("lets the process do other work between its rows, not only once per 2,048 of them", async () => {
    // The engine gives the 1,024 rows in one piece, and no wait for it lies between them.
    const result = await engine.query("SELECT range(100) FROM range(1024)");
    let other = 0;
    let pieces = 0;
    setImmediate(function again() {
      other++;
      if (pieces >= 0) setImmediate(again);
    });
    let count = 0;
    let seen = 0;
    for (let chunk = await result.next(); chunk !== undefined; chunk = await result.next()) {
      pieces++;
      count += chunk.length;
      if (count === 1_024) seen = other;
      if (pieces === 1) other = 0;
    }
    pieces = -1;
    expect(count).toBe(1_024);
    expect(seen).toBeGreaterThan(10);
  });

  test("can be stopped within the 2,048 rows that the engine gave", async () => {
    const controller = new AbortController();
    const result = await engine.query("SELECT list_zip(range(4000), range(4000)) FROM range(2048)", {
      signal: controller.signal,
    });
    const first = await result.next();
    expect(first!.length).toBeLessThan(2_048);
    controller.abort();
    await expect(result.next()).rejects.toThrow("disconnected");
  });
});
