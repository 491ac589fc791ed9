/**
 * A rewrite turns a statement's text into the engine's tree and back into text. The engine's text of a tree must mean
 * the same as the original. These tests run each statement in both forms.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { textOf, wholeTreeOf } from "../../../src/query/sandbox/statement-tree.ts";
import { type Connection, Database } from "../../../src/store/engine/duckdb.ts";
import { type Asked, workerEvents } from "./worker-events.ts";

let asked: Asked;
let database: Database;
let connection: Connection;
beforeAll(async () => {
  asked = await workerEvents();
  database = await Database.open(":memory:", {
    memoryLimitBytes: 256 * 1_048_576,
    threads: 1,
    temporaryDirectory: "",
  });
  connection = await database.connect();
});
afterAll(async () => {
  connection.close();
  database.close();
  await asked.close();
});

/** Compares rows without their order if the statement does not define an order. */
const sorted = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).sort();

const STATEMENTS = [
  "SELECT operation, value FROM http_request_duration_ms ORDER BY value DESC NULLS LAST, operation ASC NULLS FIRST LIMIT 2 OFFSET 1",
  "SELECT a.operation FROM http_request_duration_ms a ASOF LEFT JOIN task_processing_duration_ms t ON a.task_id = t.task_id AND a.ts >= t.ts",
  "SELECT first(value ORDER BY ts DESC NULLS LAST), last(value ORDER BY ts) FILTER (WHERE value > 60) FROM http_request_duration_ms",
  "SELECT operation FROM http_request_duration_ms EXCEPT ALL SELECT 'get_task'",
  "(SELECT 1 AS a UNION ALL SELECT 2) ORDER BY a DESC LIMIT 1",
  "SELECT 1 AS a UNION (SELECT 2 INTERSECT SELECT 2) ORDER BY a",
  "SELECT 1 - (2 - 3), -(-1), - -1, 2 ** 3 ** 2, (1 + 2) * 3, NOT (true AND false) OR false, 7 % (3 + 1)",
  "SELECT 'a' || ('b' || 'c'), NOT 'a' LIKE 'b', 'a' NOT LIKE 'b%', 'x' ILIKE 'X', 'a_b' LIKE 'a$_b' ESCAPE '$'",
  "SELECT value > 60 AND status_code = '200' OR operation = 'upload_file' FROM http_request_duration_ms ORDER BY ts",
  'SELECT * FROM (SELECT 1 AS "a b", 2 AS "select", 3 AS "Ümlaut", 4 AS "q""q") AS "t t"',
  'SELECT "t t"."a b" FROM (SELECT 1 AS "a b") AS "t t"',
  "SELECT 'it''s', 'line' || chr(10) || 'b', E'tab\\tx', 'ünï', '😀', '\\n', $$a'b$$, ''",
  "SELECT DATE '2024-01-01', TIMESTAMP '2024-01-01 10:00:00.123456', TIME '10:00', INTERVAL '1 month 2 days', INTERVAL (2) HOUR, '2024-01-01'::TIMESTAMPTZ",
  "SELECT CASE WHEN NULL THEN 1 END, CASE 1 WHEN 1 THEN 'a' ELSE 'b' END, CASE WHEN true THEN NULL ELSE 1 END",
  "SELECT 1 IN (1, 2), 1 NOT IN (2), 1 IN (SELECT 1), (1, 2) = (1, 2), 1 BETWEEN 0 AND 2, 1 NOT BETWEEN 2 AND 3",
  "SELECT x IS NULL, x IS NOT NULL, x IS DISTINCT FROM 1, x IS NOT DISTINCT FROM NULL FROM (SELECT NULL::INT AS x)",
  "SELECT EXISTS (SELECT 1), NOT EXISTS (SELECT 1), (SELECT 1), 1 = ANY (SELECT 1), 2 > ALL (SELECT 1)",
  "SELECT sum(value) OVER w, rank() OVER (w ORDER BY value) FROM http_request_duration_ms WINDOW w AS (PARTITION BY operation) ORDER BY ALL",
  "SELECT avg(value) OVER (ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE TIES), lag(value, 1, -1) OVER (ORDER BY ts DESC) FROM http_request_duration_ms",
  "SELECT count(*) FILTER (WHERE value > 60) OVER (), nth_value(value, 2 IGNORE NULLS) OVER (ORDER BY ts) FROM http_request_duration_ms",
  "SELECT operation, count(*) FROM http_request_duration_ms GROUP BY operation HAVING count(*) > 1 QUALIFY row_number() OVER (ORDER BY count(*)) = 1",
  "SELECT count(*) FROM http_request_duration_ms a JOIN http_request_duration_ms b USING (task_id, method)",
  "SELECT count(*) FROM http_request_duration_ms a LEFT JOIN upload_size_bytes b ON a.task_id = b.task_id AND b.value > 1000",
  "SELECT count(*) FROM http_request_duration_ms a RIGHT JOIN upload_size_bytes b ON a.task_id = b.task_id",
  "SELECT count(*) FROM http_request_duration_ms a, upload_size_bytes b WHERE a.task_id = b.task_id",
  "SELECT [1, NULL, 3], [], [[1], []], {'a': NULL}, MAP {}, MAP {1: [2]}",
  "SELECT a[1], a[1:2], a[:2], a[2:], a[-1], a[1:3:2] FROM (SELECT [1, 2, 3] AS a)",
  "SELECT s.a, s['b'], struct_extract(s, 'a') FROM (SELECT {'a': 1, 'b': 'x'} AS s)",
  "SELECT [x + 1 FOR x IN [1, 2] IF x > 1], list_transform([[1]], x -> x[1]), list_filter([1, 2], (x, i) -> i = 1), list_reduce([1, 2], (a, b, i) -> a + b * i)",
  "SELECT '{\"a\": [1, {\"b\": 2}]}'->'a'->1->>'b', ('{\"a\": 1}'->>'a') = '1', '{\"a\": 1}'->>'a' || 'x'",
  "SELECT * EXCLUDE (url, domain) REPLACE (upper(method) AS method) RENAME (operation AS op) FROM http_request_duration_ms",
  "SELECT COLUMNS('^s') || 'x', COLUMNS(* EXCLUDE (ts, value)) FROM http_request_duration_ms",
  "SELECT t.* EXCLUDE (ts), t.ts FROM upload_size_bytes AS t",
  "SELECT x::DECIMAL(5, 1), x::VARCHAR, x::INT[], TRY_CAST('a' AS INT), CAST('{a: 1}' AS STRUCT(a INT)) FROM (SELECT NULL AS x)",
  "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS t(n, s) WHERE s IS NULL",
  "SELECT * FROM range(3) AS r(i), LATERAL (SELECT i * 2 AS j) AS l",
  "SELECT * FROM unnest([10, 20]) WITH ORDINALITY AS u(x, n)",
  "SELECT DISTINCT ON (operation, method) operation, value FROM http_request_duration_ms ORDER BY operation, method, value DESC",
  "SELECT operation COLLATE NOCASE = 'GET_TASK' COLLATE NOCASE FROM http_request_duration_ms",
  "SELECT ts AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/Berlin' FROM http_request_duration_ms",
  "WITH RECURSIVE a(n, m) AS (SELECT 1, 2 UNION SELECT n + 1, m FROM a WHERE n < 3) SELECT * FROM a ORDER BY n",
  "WITH a AS MATERIALIZED (SELECT 1 AS x), b(y) AS (SELECT x + 1 FROM a) SELECT * FROM a, b",
  "FROM (FROM http_request_duration_ms SELECT operation, value) SELECT max(value) GROUP BY operation",
  "SELECT * FROM (SELECT operation, success, value FROM http_request_duration_ms) PIVOT (sum(value) AS s, count(*) AS n FOR success IN ('true' AS yes, 'false' AS no) GROUP BY operation) ORDER BY 1",
  "UNPIVOT (SELECT 1 AS a, 2 AS b, NULL AS c) ON a, b, c INTO NAME k VALUE v",
  "FROM (SELECT 1 AS a, 2 AS b, NULL AS c) UNPIVOT INCLUDE NULLS (v FOR k IN (a AS 'x', b, c))",
  "SELECT grouping(operation, method), operation, method, count(*) FROM http_request_duration_ms GROUP BY ROLLUP (operation, method) ORDER BY ALL",
  "SELECT quantile_cont(value, [0.1, 0.9]), percentile_disc(0.5) WITHIN GROUP (ORDER BY value DESC), mode() WITHIN GROUP (ORDER BY operation) FROM http_request_duration_ms",
  "SELECT count(DISTINCT value), sum(DISTINCT value) FILTER (WHERE value > 60), string_agg(DISTINCT method, ',' ORDER BY method DESC) FROM http_request_duration_ms",
  "SELECT operation FROM http_request_duration_ms WHERE (operation, method) IN (SELECT operation, method FROM http_request_duration_ms)",
  "SELECT #2, #1 FROM upload_size_bytes ORDER BY #2",
  "SELECT 5 & 3 | 4, ~5, 1 << 2, 'a' ^@ 'a', 5 // 2, @ -5, 4!",
  "SELECT max(value) AS m, m * 2 AS d FROM http_request_duration_ms",
  'SELECT value AS "value 2" FROM http_request_duration_ms ORDER BY "value 2"',
];

describe("returns the same rows if it runs as the engine's text of its tree", () => {
  for (const sql of STATEMENTS)
    test(sql, async () => {
      const text = await textOf(connection, await wholeTreeOf(connection, sql));
      expect(sorted(await asked.rows(text))).toEqual(sorted(await asked.rows(sql)));
    });
});
