/** Tests each format with values that the formats write differently. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import { RequestError } from "../../../src/model/errors.ts";
import { csv } from "../../../src/query/formats/csv.ts";
import type { Format } from "../../../src/query/formats/format.ts";
import { json, ndjson } from "../../../src/query/formats/json.ts";
import { lines } from "../../../src/query/formats/lines.ts";
import { parquetFormat } from "../../../src/query/formats/parquet.ts";
import { table } from "../../../src/query/formats/table.ts";
import { SqlEngine } from "../../../src/query/sql/sql-engine.ts";
import { givenRows } from "../../../src/query/sql/table-list.ts";
import { Database } from "../../../src/store/engine/duckdb.ts";
import { DEFAULTS } from "../../defaults.ts";
import { type Samples, storedSamples } from "../stored.ts";

let samples: Samples;
let engine: SqlEngine;
beforeAll(async () => {
  samples = await storedSamples([]);
  engine = new SqlEngine({
    counters: createCounters(),
    store: samples.store,
    registry: samples.registry,
    timeoutMs: 20_000,
    rowsMax: 100_000,
    textBytesMax: 16_384,
    concurrencyMax: 2,
    memoryGrowthBytesMax: DEFAULTS.sqlMemoryGrowthBytesMax,
  });
});
afterAll(async () => {
  await engine.close();
  await samples.close();
});

async function bytes(format: Format, sql: string, limitRows?: number): Promise<Uint8Array<ArrayBuffer>> {
  return await collected(format.encode(await engine.query(sql, { limitRows })));
}

async function collected(pieces: AsyncIterable<Uint8Array | string>): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces)
    parts.push(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
  return new Uint8Array(Buffer.concat(parts));
}

const text = async (format: Format, sql: string, limitRows?: number) =>
  new TextDecoder().decode(await bytes(format, sql, limitRows));

/** Values that the formats write differently. */
const VALUES = `SELECT * FROM (VALUES
  (1, 'plain', TIMESTAMP '2024-01-02 03:04:05.678', 9007199254740993::BIGINT, 0.5::DOUBLE),
  (2, 'with "quotes", and comma', NULL, 9007199254740992::BIGINT, 'NaN'::DOUBLE),
  (3, '', TIMESTAMP '1969-12-31 23:59:59', -5::BIGINT, '-Infinity'::DOUBLE),
  (4, NULL, NULL, NULL, NULL)) AS t(n, s, ts, big, d)`;

describe("JSON", () => {
  test("writes rows as objects, and the columns with their types", async () => {
    expect(JSON.parse(await text(json, VALUES))).toEqual({
      columns: [
        { name: "n", type: "INTEGER" },
        { name: "s", type: "VARCHAR" },
        { name: "ts", type: "TIMESTAMP" },
        { name: "big", type: "BIGINT" },
        { name: "d", type: "DOUBLE" },
      ],
      rows: [
        { n: 1, s: "plain", ts: "2024-01-02 03:04:05.678", big: "9007199254740993", d: 0.5 },
        { n: 2, s: 'with "quotes", and comma', ts: null, big: "9007199254740992", d: "NaN" },
        { n: 3, s: "", ts: "1969-12-31 23:59:59", big: -5, d: "-Infinity" },
        { n: 4, s: null, ts: null, big: null, d: null },
      ],
      truncated: false,
    });
  });
  test("writes an empty result, a truncated result and many chunks", async () => {
    expect(JSON.parse(await text(json, "SELECT 1 AS a WHERE false"))).toEqual({
      columns: [{ name: "a", type: "INTEGER" }],
      rows: [],
      truncated: false,
    });
    expect(JSON.parse(await text(json, "VALUES (1), (2)", 1))).toMatchObject({
      rows: [{ col0: 1 }],
      truncated: true,
    });
    expect(JSON.parse(await text(json, "FROM range(10000)")).rows).toEqual(
      Array.from({ length: 10_000 }, (_, range) => ({ range })),
    );
  });
  test("writes one object per line as NDJSON", async () => {
    expect(
      await text(ndjson, "SELECT 1 AS a, [1, 2] AS l, MAP {'k': 'v'} AS m UNION ALL SELECT 2, NULL, NULL"),
    ).toBe('{"a":1,"l":[1,2],"m":{"k":"v"}}\n{"a":2,"l":null,"m":null}\n');
    expect(await text(ndjson, "SELECT 1 WHERE false")).toBe("");
  });
});

test("CSV follows RFC 4180 except for its line ends, and distinguishes NULL from an empty text", async () => {
  expect(await text(csv, VALUES)).toBe(
    [
      "n,s,ts,big,d",
      "1,plain,2024-01-02 03:04:05.678,9007199254740993,0.5",
      '2,"with ""quotes"", and comma",,9007199254740992,NaN',
      '3,"",1969-12-31 23:59:59,-5,-Infinity',
      "4,,,,",
      "",
    ].join("\n"),
  );
  expect(await text(csv, `SELECT 'a' || chr(10) || 'b' AS "x,y", MAP {'k': 1} AS m`)).toBe(
    '"x,y",m\n"a\nb","{""k"":1}"\n',
  );
});

test("intervals are readable texts", async () => {
  const sql = `SELECT INTERVAL '1 day 2 hours 3.5 seconds' AS a, INTERVAL 14 MONTH AS b, INTERVAL 90 SECOND AS c,
    TIMESTAMP '2024-01-02 00:00:00' - TIMESTAMP '2024-01-01 12:00:00' AS d, [INTERVAL '-5' MINUTE] AS e`;
  expect(await text(csv, sql)).toBe(
    'a,b,c,d,e\n1 day 02:00:03.5,1 year 2 months,00:01:30,12:00:00,"[""-00:05:00""]"\n',
  );
  expect((await text(table, sql)).split("\n")[2]).toBe(
    '1 day 02:00:03.5  1 year 2 months  00:01:30  12:00:00  ["-00:05:00"]',
  );
  expect(JSON.parse(await text(ndjson, sql))).toMatchObject({ a: "1 day 02:00:03.5", e: ["-00:05:00"] });
});

test("lines separate cells by tabs, and no stored value can end a line", async () => {
  expect(
    await text(lines, "SELECT * FROM (VALUES ('a', 1), (chr(27) || chr(10) || chr(9), NULL)) AS t(a, b)"),
  ).toBe("a\t1\n\\u001b\\n\\t\t\n");
  expect(await text(lines, "SELECT [1, 2] AS l, MAP {'k': 'v'} AS m")).toBe('[1,2]\t{"k":"v"}\n');
  expect(await text(lines, "SELECT 1 WHERE false")).toBe("");
});

describe("the table", () => {
  test("aligns numbers to the right and the rest to the left", async () => {
    expect(
      await text(table, "SELECT * FROM (VALUES ('get', 12.5::DOUBLE), ('upload', 3)) AS t(operation, mean)"),
    ).toBe(
      ["operation  mean", "---------  ----", "get        12.5", "upload        3", "(2 rows)", ""].join("\n"),
    );
  });
  test("reports omitted rows, shows NULL, wide and control characters, and cuts long cells", async () => {
    expect(await text(table, "SELECT 'x' AS a FROM range(3)", 2)).toBe(
      "a\n-\nx\nx\n(2 rows; the limit omitted more)\n",
    );
    expect(
      await text(table, "SELECT * FROM (VALUES ('日本', 1), (chr(27) || '[2J' || chr(10), NULL)) AS t(a, b)"),
    ).toBe(
      [
        "a               b",
        "-----------  ----",
        "日本            1",
        "\\u001b[2J\\n  NULL",
        "(2 rows)",
        "",
      ].join("\n"),
    );
    const long = (await text(table, `SELECT '${"a".repeat(200)}' AS a`)).split("\n")[2];
    expect(long).toBe(`${"a".repeat(99)}…`);
  });
});

describe("Parquet", () => {
  const folder = () => join(samples.folder, "tmp");
  const parquet = () => parquetFormat({ directory: folder(), memoryLimitBytes: 64 * 1_048_576 });

  async function readBack(file: Uint8Array<ArrayBuffer>, sql: string): Promise<Record<string, unknown>[]> {
    const path = join(samples.folder, "back.parquet");
    writeFileSync(path, file);
    const database = await Database.open(":memory:", {
      memoryLimitBytes: 64 * 1_048_576,
      threads: 1,
      temporaryDirectory: "",
    });
    const connection = await database.connect();
    try {
      return await connection.all(sql.replace("FILE", `'${path}'`));
    } finally {
      connection.close();
      database.close();
    }
  }

  test("keeps values and types", async () => {
    const file = await bytes(parquet(), VALUES);
    expect(await readBack(file, "SELECT * FROM FILE")).toEqual([
      { n: 1, s: "plain", ts: "2024-01-02 03:04:05.678", big: "9007199254740993", d: 0.5 },
      { n: 2, s: 'with "quotes", and comma', ts: null, big: "9007199254740992", d: "NaN" },
      { n: 3, s: "", ts: "1969-12-31 23:59:59", big: -5, d: "-Infinity" },
      { n: 4, s: null, ts: null, big: null, d: null },
    ]);
    expect((await readBack(file, "DESCRIBE FROM FILE")).map((row) => row.column_type)).toEqual([
      "INTEGER",
      "VARCHAR",
      "TIMESTAMP",
      "BIGINT",
      "DOUBLE",
    ]);
  });
  test("keeps maps, lists, structures and the types inside them", async () => {
    const file = await bytes(
      parquet(),
      `SELECT MAP {'operation': 'get', 'none': NULL} AS labels, [1.5, 'NaN'::DOUBLE, NULL] AS list,
         {'a b': 9007199254740993, 'ts': [TIMESTAMP '2024-01-02 03:04:05.678']} AS struct,
         MAP {'p95': {'n': 1}} AS nested, MAP {1: 'one'} AS odd_keys, INTERVAL 90 MINUTE AS span, 0.10::DECIMAL(5,2) AS price`,
    );
    const types = await readBack(file, "DESCRIBE FROM FILE");
    expect(types.map(({ column_name, column_type }) => [column_name, column_type])).toEqual([
      ["labels", "MAP(VARCHAR, VARCHAR)"],
      ["list", "DOUBLE[]"],
      ["struct", 'STRUCT("a b" BIGINT, ts TIMESTAMP[])'],
      ["nested", "MAP(VARCHAR, STRUCT(n INTEGER))"],
      ["odd_keys", "MAP(INTEGER, VARCHAR)"],
      ["span", "VARCHAR"],
      ["price", "DECIMAL(5,2)"],
    ]);
    expect(await readBack(file, "SELECT * FROM FILE")).toEqual([
      {
        labels: { operation: "get", none: null },
        list: [1.5, "NaN", null],
        struct: { "a b": "9007199254740993", ts: ["2024-01-02 03:04:05.678"] },
        nested: { p95: { n: 1 } },
        odd_keys: [{ key: 1, value: "one" }],
        span: "01:30:00",
        price: "0.10",
      },
    ]);
    expect(await readBack(file, "SELECT labels['operation'] AS operation FROM FILE")).toEqual([
      { operation: "get" },
    ]);
  });
  test("writes many chunks, sums beyond 2^53 and maps", async () => {
    const file = await bytes(
      parquet(),
      "SELECT range AS n, sum(9007199254740993) AS s, MAP {'k': range} AS m FROM range(5000) GROUP BY range ORDER BY range",
    );
    expect(
      await readBack(
        file,
        "SELECT count(*) AS rows, sum(n)::BIGINT AS n, first(s)::VARCHAR AS s, last(m)['k'] AS m FROM FILE",
      ),
    ).toEqual([{ rows: 5_000, n: 12_497_500, s: "9007199254740993", m: 4_999 }]);
  });
  test("has the types of the query, except those that Parquet would round", async () => {
    const file = await bytes(
      parquet(),
      `SELECT true AS a, 1::TINYINT AS b, 2::UBIGINT AS c, 0.5::FLOAT AS d, DATE '2024-01-02' AS e, TIME '03:04:05.678901' AS f,
         TIMESTAMPTZ '2024-01-02 03:04:05Z' AS g, 5::HUGEINT AS i, [INTERVAL 1 MICROSECOND] AS j,
         MAP {1: {'INTERVAL': 7::HUGEINT}} AS k, NULL AS l, 1.25::DECIMAL(9,2) AS m`,
    );
    expect((await readBack(file, "DESCRIBE FROM FILE")).map((row) => row.column_type)).toEqual([
      "BOOLEAN",
      "TINYINT",
      "UBIGINT",
      "FLOAT",
      "DATE",
      "TIME",
      "TIMESTAMP WITH TIME ZONE",
      "DECIMAL(38,0)",
      "VARCHAR[]",
      'MAP(INTEGER, STRUCT("INTERVAL" DECIMAL(38,0)))',
      "INTEGER",
      "DECIMAL(9,2)",
    ]);
    expect(await readBack(file, "SELECT f::VARCHAR AS f, g::VARCHAR AS g, i, j, l FROM FILE")).toEqual([
      { f: "03:04:05.678901", g: "2024-01-02 03:04:05+00", i: "5", j: ["00:00:00.000001"], l: null },
    ]);
  });

  test("rejects an integer with more digits than Parquet has, and names the column", async () => {
    const result = await engine.query(
      "SELECT 1 AS n, '123456789012345678901234567890123456789'::HUGEINT AS big",
    );
    const pieces = parquet().encode(result);
    const error = (await pieces.next().catch((reason: unknown) => reason)) as RequestError;
    expect(error).toBeInstanceOf(RequestError);
    expect([error.status, error.message]).toEqual([
      422,
      'an integer of the column "big" has more than 38 digits, which Parquet does not support; CAST it AS VARCHAR or DOUBLE',
    ]);
    expect(readdirSync(folder())).toEqual([]);
  });

  test("stops at the limit of rows, also in the middle of a chunk", async () => {
    const result = await engine.query("SELECT range AS n FROM range(5000)", { limitRows: 3_000 });
    const file = await collected(parquet().encode(result));
    expect(result.truncated).toBe(true);
    expect(await readBack(file, "SELECT count(*) AS rows, max(n) AS last FROM FILE")).toEqual([
      { rows: 3_000, last: 2_999 },
    ]);
  });

  test("has a plan, and rows that are not the engine's", async () => {
    const plan = await readBack(await bytes(parquet(), "EXPLAIN SELECT 1"), "SELECT plan FROM FILE");
    expect(plan[0]).toEqual({ plan: "┌───────────────────────────┐" });
    const rows = givenRows(
      [
        { name: "na me", type: "VARCHAR" },
        { name: "rows", type: "BIGINT" },
      ],
      [
        ["", 9_007_199_254_740_991],
        [null, null],
        ["it's", 0],
      ],
    );
    const file = await collected(parquet().encode(rows));
    expect(await readBack(file, "SELECT * FROM FILE")).toEqual([
      { "na me": "", rows: 9_007_199_254_740_991 },
      { "na me": null, rows: null },
      { "na me": "it's", rows: 0 },
    ]);
  });

  test("leaves no file behind, whether the client reads to the end or not", async () => {
    const pieces = parquet().encode(await engine.query("SELECT 1 AS a"));
    expect((await pieces.next()).value).toBeInstanceOf(Uint8Array);
    expect(readdirSync(folder())).toEqual([]);
    await pieces.return();
  });
});
