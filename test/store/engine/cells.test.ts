/** The cells of a result: what a value of each type of the engine becomes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Connection, Database } from "../../../src/store/engine/duckdb.ts";

let database: Database;
let connection: Connection;

beforeAll(async () => {
  database = await Database.open(":memory:", {
    memoryLimitBytes: 134_217_728,
    threads: 1,
    temporaryDirectory: ".",
  });
  connection = await database.connect();
});

afterAll(() => {
  connection.close();
  database.close();
});

async function rowsOf(sql: string): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  const stream = await connection.stream(sql);
  for await (const chunk of stream.chunks()) rows.push(...chunk.map((row) => [...row]));
  return rows;
}

test("a value of any type is the cell that it was, alone, in a list and in a struct", async () => {
  const time = "TIMESTAMP '2024-02-29 23:59:59.250'";
  const values = [
    ["1.5::DOUBLE", 1.5],
    ["'NaN'::DOUBLE", "NaN"],
    ["'-Infinity'::DOUBLE", "-Infinity"],
    ["0.1::FLOAT", Math.fround(0.1)],
    ["(-7)::TINYINT", -7],
    ["9007199254740991::BIGINT", Number.MAX_SAFE_INTEGER],
    ["9007199254740993::BIGINT", "9007199254740993"],
    ["sum(3::INTEGER)", 3],
    ["12.50::DECIMAL(6, 2)", "12.50"],
    ["true", true],
    ["'ä\"b, longer than twelve bytes'", 'ä"b, longer than twelve bytes'],
    ["''", ""],
    ["NULL::VARCHAR", null],
    ["NULL::TIMESTAMP", null],
    [time, "2024-02-29 23:59:59.25"],
    ["DATE '2024-02-29'", "2024-02-29"],
    ["INTERVAL '1 day 2.5 seconds'", "1 day 00:00:02.5"],
    ["MAP {'a': 1}", { a: 1 }],
  ] as const;
  const columns = values.map(([sql]) => `${sql}, [${sql}], {'x': ${sql}}`);
  const wanted = values.flatMap(([, cell]) => [cell, [cell], { x: cell }]);
  expect(await rowsOf(`SELECT ${columns.join(", ")}`)).toEqual([wanted]);
});

test("the text of a time is the engine's own, in each century and with each fraction", async () => {
  const rows = await rowsOf(`
    SELECT ts, ts::VARCHAR AS text FROM (
      SELECT make_timestamp((hash(i) % 20000000000000000)::BIGINT - 10000000000000000) AS ts FROM range(3000) AS t(i)
      UNION ALL
      SELECT make_timestamp(day * 86400000000 + delta * (10 ** digits)::BIGINT)
      FROM range(-800, 800, 97) AS d(day), range(-1, 2) AS e(delta), range(0, 8) AS f(digits)
      UNION ALL
      SELECT unnest([TIMESTAMP 'infinity', TIMESTAMP '-infinity', TIMESTAMP '9999-12-31 23:59:59.999999',
        TIMESTAMP '0001-01-01', TIMESTAMP '0044-03-15 (BC) 12:00:00.000001', TIMESTAMP '1969-12-31 23:59:59.999999'])
    )`);
  expect(rows.length).toBe(3_000 + 17 * 3 * 8 + 6);
  for (const [cell, text] of rows) expect(cell).toBe(text);
});

test("rows of several chunks keep their order, and their texts their rows", async () => {
  const rows = await rowsOf(
    "SELECT i, IF(i % 3 = 0, NULL, 'the text of row ' || i), i / 4 FROM range(5000) AS t(i) ORDER BY i",
  );
  expect(rows).toEqual(
    Array.from({ length: 5_000 }, (_, i) => [i, i % 3 === 0 ? null : `the text of row ${i}`, i / 4]),
  );
});
