/** SQL over HTTP, on a socket: bodies, formats, errors, a client that disconnects. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createApp } from "../../../src/http/app.ts";
import { BodiesInProgress } from "../../../src/http/body.ts";
import { createLog } from "../../../src/log/log.ts";
import { chooseFormat } from "../../../src/http/query/query-answer.ts";
import { sqlRoutes } from "../../../src/http/query/sql-routes.ts";
import { type Listener, listen } from "../../../src/http/server.ts";
import { createCounters } from "../../../src/model/counters.ts";
import { createFormats } from "../../../src/query/formats/all.ts";
import { SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Samples, storedSamples } from "../../query/stored.ts";

let samples: Samples;
let engine: SqlEngine;
let listener: Listener;
let url: string;

const counters = createCounters();

beforeAll(async () => {
  samples = await storedSamples([
    {
      metric: "http.request.duration_ms",
      ts: "2024-01-01T10:00:00Z",
      value: 12.5,
      tags: { operation: "get", task_id: "a" },
    },
    {
      metric: "http.request.duration_ms",
      ts: "2024-01-01T11:00:00Z",
      value: 3,
      tags: { operation: "put", task_id: "b" },
    },
  ]);
  engine = new SqlEngine({
    counters,
    store: samples.store,
    registry: samples.registry,
    timeoutMs: 20_000,
    rowsMax: 1_000_000,
    textBytesMax: 16_384,
    concurrencyMax: 2,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
  });
  const formats = createFormats({
    directory: join(samples.folder, "answers"),
    memoryLimitBytes: 64 * 1_048_576,
  });
  const log = createLog("error", () => {});
  const limits = {
    bodyBytesMax: 1_048_576,
    inflatedBytesMax: 1_048_576,
    timeoutMs: 10_000,
    inProgress: new BodiesInProgress(),
  };
  const app = createApp([sqlRoutes({ engine, formats, limits })], { log, counters });
  listener = await listen(app, [{ hostname: "127.0.0.1", port: 0 }], { log });
  url = `${listener.urls[0]}/api/v1/sql`;
});
afterAll(async () => {
  await listener.stop(1_000);
  await engine.close();
  await samples.close();
});

const get = (query: Record<string, string>, headers = {}) =>
  fetch(`${url}?${new URLSearchParams(query)}`, { headers });
const post = (body: unknown, query = "") =>
  fetch(url + query, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
const SQL = "SELECT operation, value FROM http_request_duration_ms ORDER BY value";
const ROWS = [
  { operation: "put", value: 3 },
  { operation: "get", value: 12.5 },
];

describe("a request", () => {
  test("has its statement in the query, as text, in a form as curl sends it, or in a JSON object", async () => {
    for (const response of [
      await get({ q: SQL }),
      await fetch(url, { method: "POST", body: SQL, headers: { "content-type": "text/plain" } }),
      await fetch(url, {
        method: "POST",
        body: SQL,
        headers: { "content-type": "application/x-www-form-urlencoded" },
      }),
      await get({ sql: SQL }),
      await fetch(url, { method: "POST", body: new URLSearchParams({ q: SQL }) }),
      await fetch(url, { method: "POST", body: new URLSearchParams({ limit: "10", sql: SQL }) }),
      await post({ sql: SQL }),
      await fetch(url, { method: "POST", body: ` {"sql": ${JSON.stringify(SQL)}}` }),
    ]) {
      expect(response.status).toBe(200);
      expect(((await response.json()) as { rows: unknown }).rows).toEqual(ROWS);
    }
  });
  test("binds parameters", async () => {
    const rows = async (response: Response) => ((await response.json()) as { rows: unknown }).rows;
    const sql = "SELECT value FROM http_request_duration_ms WHERE operation = ";
    expect(await rows(await post({ sql: `${sql}$1`, params: ["get"] }))).toEqual([{ value: 12.5 }]);
    expect(await rows(await post({ sql: `${sql}?`, params: ["get"] }))).toEqual([{ value: 12.5 }]);
    expect(await rows(await post({ sql: `${sql}$op`, params: { op: "put" } }))).toEqual([{ value: 3 }]);
    expect(await rows(await get({ q: `${sql}$op`, "param.op": "put" }))).toEqual([{ value: 3 }]);
    const form = new URLSearchParams({ q: `${sql}$op`, "param.op": "get", limit: "1", timeoutMs: "9000" });
    expect(await rows(await fetch(url, { method: "POST", body: form }))).toEqual([{ value: 12.5 }]);
    const csv = await fetch(url, { method: "POST", body: new URLSearchParams({ sql: SQL, format: "csv" }) });
    expect(await csv.text()).toBe("operation,value\nput,3\nget,12.5\n");
    expect(
      await rows(await post({ sql: "SELECT $1 AS a, $2 AS b, $3 AS c", params: [1, null, true] })),
    ).toEqual([{ a: 1, b: null, c: true }]);
  });
  test("keeps the digits of numbers in parameters, as in a statement", async () => {
    const asked = async (body: string) =>
      (await fetch(url, { method: "POST", body, headers: { "content-type": "application/json" } })).json();
    const bound = async (number: string) => {
      const sql = "SELECT typeof($1) AS type, $1::VARCHAR AS text";
      const { rows } = (await asked(`{"sql":"${sql}","params":[${number}]}`)) as {
        rows: [{ type: string; text: string }];
      };
      return [rows[0].type, rows[0].text];
    };
    expect(await bound("200")).toEqual(["BIGINT", "200"]);
    expect(await bound("738529527931269425")).toEqual(["BIGINT", "738529527931269425"]);
    // The float next to it is ...376: its digits are not those that were sent.
    expect(await bound("738529527931269400")).toEqual(["BIGINT", "738529527931269400"]);
    expect(await bound("9007199254740992")).toEqual(["BIGINT", "9007199254740992"]);
    expect(await bound("-9007199254740993")).toEqual(["BIGINT", "-9007199254740993"]);
    expect(await bound("18446744073709551615")).toEqual(["HUGEINT", "18446744073709551615"]);
    expect(await bound("12345678901234567890123")).toEqual(["HUGEINT", "12345678901234567890123"]);
    expect(await bound("170141183460469231731687303715884105727")).toEqual([
      "HUGEINT",
      "170141183460469231731687303715884105727",
    ]);
    expect(await bound("0.1234567890123456789")).toEqual(["DECIMAL(38,19)", "0.1234567890123456789"]);
    expect(await bound("-12.1234567890123456789")).toEqual(["DECIMAL(38,19)", "-12.1234567890123456789"]);
    expect(await bound("0.5")).toEqual(["DOUBLE", "0.5"]);
    expect(await bound("0.10000000000000001")).toEqual(["DOUBLE", "0.1"]);
    expect(await bound("1e300")).toEqual(["DOUBLE", "1e+300"]);
    const named = `{"sql":"SELECT $id::VARCHAR AS id","params":{"id":738529527931269425}}`;
    expect(await asked(named)).toMatchObject({ rows: [{ id: "738529527931269425" }] });
    for (const number of [
      "170141183460469231731687303715884105729",
      `0.${"1".repeat(39)}`,
      "1e400",
      "1e-400",
    ]) {
      expect(await asked(`{"sql":"SELECT $1","params":[${number}]}`)).toEqual({
        error: {
          code: "bad_input",
          field: "params",
          message: `params.0 is ${number}, which HUGEINT, DECIMAL and DOUBLE cannot represent; send it as text.`,
        },
      });
    }
  });
  test("is rejected if a parameter in the query has bytes that are not UTF-8", async () => {
    const response = await fetch(`${url}?q=SELECT%20%24x&param.x=caf%E9`);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: { message: string } }).error.message).toBe(
      'param.x is "caf\ufffd", which contains bytes that are not UTF-8; a JSON body can contain any text.',
    );
  });
  test("a multipart form is rejected with the forms that are accepted", async () => {
    const body = new FormData();
    body.set("q", "SELECT 1");
    const response = await fetch(url, { method: "POST", body });
    expect(response.status).toBe(415);
    expect(await response.text()).toContain("curl: --data-urlencode");
  });
  test("has limits of rows and time", async () => {
    const response = await post({ sql: SQL, limit: 1 });
    expect(response.headers.get("weir-row-limit")).toBe("1");
    expect(response.headers.get("weir-truncated")).toBe("true");
    expect(await response.json()).toMatchObject({ rows: [ROWS[0]], truncated: true });
    expect((await post({ sql: SQL })).headers.has("weir-truncated")).toBe(false);
    expect((await post({ sql: "SELECT count(*) FROM range(100000000000000)", timeoutMs: 50 })).status).toBe(
      422,
    );
  });
});

describe("the format", () => {
  test("is chosen by parameter and by Accept", async () => {
    const csv = "operation,value\nput,3\nget,12.5\n";
    expect(await (await get({ q: SQL, format: "csv" })).text()).toBe(csv);
    const accepted = await get({ q: SQL }, { accept: "text/csv" });
    expect(accepted.headers.get("content-type")).toBe("text/csv; charset=utf-8; header=present");
    expect(await accepted.text()).toBe(csv);
    expect(await (await get({ q: SQL, format: "table" })).text()).toBe(
      ["operation  value", "---------  -----", "put            3", "get         12.5", "(2 rows)", ""].join(
        "\n",
      ),
    );
    expect(await (await get({ q: `${SQL} LIMIT 0`, format: "ndjson" })).text()).toBe("");
    const parquet = await (await get({ q: SQL, format: "parquet" })).bytes();
    expect(new TextDecoder().decode(parquet.slice(0, 4))).toBe("PAR1");
  });
  const is = (accept: string | null, want: string) =>
    test(`Accept: ${accept}`, () => expect(chooseFormat(null, accept)).toBe(want as "json"));
  is(null, "json");
  is("*/*", "json");
  is("text/plain", "table");
  is("text/html, application/xhtml+xml, */*;q=0.8", "json");
  is("text/csv;q=0.5, application/x-ndjson;q=0.9", "ndjson");
  is("application/vnd.apache.parquet, */*;q=0.1", "parquet");
  is("text/*", "table");
  is("application/json; charset=utf-8", "json");
  // RFC 9110 section 12.5.1: the most specific range decides, so that the weight 0 excludes JSON.
  is("application/json;q=0, */*", "ndjson");
  is("*/*, text/csv", "csv");
});

describe("the functions that a statement may call", () => {
  test("are listed with kind and bounds, in every format, by pattern", async () => {
    const all = (await (await fetch(`${url}/functions`)).json()) as {
      functions: { name: string; kind: string; bounds?: string }[];
    };
    const find = (name: string) => all.functions.filter((each) => each.name === name);
    expect(find("upper")).toEqual([{ name: "upper", kind: "scalar" }]);
    expect(find("lpad")).toEqual([
      { name: "lpad", kind: "scalar", bounds: "length a constant, at most 1000" },
    ]);
    expect(find("range").map(({ kind }) => kind)).toEqual(["scalar", "table"]);
    expect(find("getenv")).toEqual([]);
    expect(await (await fetch(`${url}/functions?format=csv&match=string_agg`)).text()).toBe(
      'name,kind,bounds\nstring_agg,aggregate,"at most 96 KiB; with OVER, a frame of ROWS"\n',
    );
    expect(
      await (await fetch(`${url}/functions?match=row_*`, { headers: { accept: "text/plain" } })).text(),
    ).toContain("row_number   window  NULL\n");
    const wrong = await fetch(`${url}/functions?like=a`);
    expect(wrong.status).toBe(400);
  });
});

describe("errors have their status and position", () => {
  const bad = (name: string, ask: () => Promise<Response>, status: number, part: string) =>
    test(name, async () => {
      const response = await ask();
      expect(response.status).toBe(status);
      expect(((await response.json()) as { error: { message: string } }).error.message).toContain(part);
    });
  bad("no q", () => get({}), 400, "q is missing");
  bad("unknown parameter", () => get({ q: "SELECT 1", frmt: "csv" }), 400, "frmt");
  bad("unknown format", () => get({ q: "SELECT 1", format: "xml" }), 400, "xml");
  bad("unknown field", () => post({ sql: "SELECT 1", parameters: [] }), 400, "parameters");
  bad("no sql", () => post({}), 400, "sql is");
  bad("sql is no text", () => post({ sql: 1 }), 400, "sql is 1");
  bad("limit is no number", () => post({ sql: "SELECT 1", limit: "many" }), 400, 'limit is "many"');
  bad("limit is 0", () => get({ q: "SELECT 1", limit: "0" }), 400, 'limit is "0"');
  bad("params is no list", () => post({ sql: "SELECT 1", params: 1 }), 400, "params is 1");
  bad("a parameter is a list", () => post({ sql: "SELECT $1", params: [[1]] }), 400, "params.0");
  bad(
    "cut JSON",
    () => fetch(url, { method: "POST", body: '{"sql": "SELECT' }),
    400,
    "not JSON: byte 15 is the end",
  );
  bad("a forbidden function", () => get({ q: "SELECT getenv('HOME')" }), 403, "getenv");
  bad("a syntax error", () => get({ q: "SELECT FROM" }), 400, "line 1, column");
  bad(
    "a failure while rows are read",
    () => get({ q: "SELECT operation::INTEGER FROM http_request_duration_ms", format: "csv" }),
    400,
    "Could not convert",
  );
  bad("two statements", () => get({ q: "SELECT 1; SELECT 2" }), 400, "2 statements");
  bad(
    "an Accept that nothing meets",
    () => get({ q: "SELECT 1" }, { accept: "image/png" }),
    415,
    "image/png",
  );
});

test("a failure in the middle of an answer resets the connection", async () => {
  const sql =
    "SELECT CASE WHEN range < 900000 THEN range::VARCHAR ELSE 'x' END::INTEGER AS n FROM range(1000000)";
  const response = await get({ q: sql, format: "ndjson" });
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
});

test("a client that disconnects frees its slot for another query", async () => {
  const running = async () => (await counters.queriesRunning.get()).values[0]?.value ?? 0;
  const controller = new AbortController();
  const before = fetch(`${url}?q=${encodeURIComponent("SELECT count(*) FROM range(100000000000000)")}`, {
    signal: controller.signal,
  });
  before.catch(() => {});
  while ((await running()) < 1) await new Promise(setImmediate);
  controller.abort();
  while ((await running()) > 0) await new Promise(setImmediate);
  const reading = new AbortController();
  const response = await fetch(
    `${url}?format=ndjson&q=${encodeURIComponent("SELECT * FROM range(1000000)")}`,
    { signal: reading.signal },
  );
  await response.body!.getReader().read();
  expect(await running()).toBe(1);
  reading.abort();
  while ((await running()) > 0) await new Promise(setImmediate);
  expect(await counters.registry.getSingleMetricAsString("weir_queries_total")).toContain('outcome="ok"');
});
