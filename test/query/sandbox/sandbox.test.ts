/** Statements that the sandbox accepts and rejects, one line per statement. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RequestError } from "../../../src/model/errors.ts";
import { inspect } from "../../../src/query/sandbox/sandbox.ts";
import { type Connection, Database } from "../../../src/store/engine/duckdb.ts";
import { DEFAULTS } from "../../defaults.ts";

let database: Database;
let reader: Connection;
const columns = (text: string) =>
  text.split(" ").map((name) => ({
    name,
    type:
      name === "ts" || name.endsWith("_at")
        ? "TIMESTAMP"
        : name === "value"
          ? "DOUBLE"
          : name === "labels"
            ? "MAP(VARCHAR, VARCHAR)"
            : "VARCHAR",
  }));
const tables: Readonly<Record<string, ReturnType<typeof columns>>> = {
  samples: columns("ts metric labels value task_id"),
  series: columns("series_id metric kind labels first_day last_day"),
  metrics: columns("metric kind type unit help buckets"),
  rejected: columns("received_at protocol instance reason payload"),
  http_request_duration_ms: columns("ts value domain method operation status_code success task_id url"),
  dated: columns("ts value current_date"),
  task_duration_ms: columns("ts value domain http_status method task_id"),
};
const catalog = { columnsOf: (table: string) => tables[table], names: () => Object.keys(tables) };

beforeAll(async () => {
  database = await Database.open(":memory:", {
    memoryLimitBytes: 256 * 1_048_576,
    threads: 1,
    temporaryDirectory: "",
  });
  reader = await database.connect();
});
afterAll(() => {
  reader.close();
  database.close();
});

const LIMITS = { bytesMax: DEFAULTS.sqlTextBytesMax };
const title = (sql: string): string => JSON.stringify(sql.slice(0, 110));

/** The statement may run, and names these tables. */
function ok(sql: string, ...want: string[]): void {
  test(`may run: ${title(sql)}`, async () => {
    const inspected = await inspect(reader, sql, catalog, LIMITS);
    expect([...inspected.tables].sort()).toEqual(want);
  });
}

/** The statement is rejected with this status and a message that contains `part`. */
function bad(sql: string, status: number, part: string): void {
  test(`is rejected: ${title(sql)}`, async () => {
    const error = await inspect(reader, sql, catalog, LIMITS).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RequestError);
    expect((error as RequestError).message).toContain(part);
    expect((error as RequestError).status).toBe(status);
  });
}

describe("an ordinary statement", () => {
  const http = "http_request_duration_ms";
  ok("SELECT 1");
  ok("SELECT b || b FROM (SELECT repeat(metric, 40) AS a, metric AS b FROM samples)", "samples");
  ok("SELECT t.b || t.b FROM (SELECT repeat(metric, 40) AS a, metric AS b FROM samples) t", "samples");
  ok(
    "SELECT string_split(metric, '/') FROM (SELECT metric, list(value) AS l FROM samples GROUP BY ALL)",
    "samples",
  );
  ok("SELECT 1;");
  ok("SELECT d.current_date FROM dated d", "dated");
  ok(
    "SELECT row_to_json(t) FROM (SELECT operation, avg(value) FROM http_request_duration_ms GROUP BY ALL) t",
    "http_request_duration_ms",
  );
  ok("SELECT list(h) FROM http_request_duration_ms h", "http_request_duration_ms");
  ok("SELECT max(h) FROM task_duration_ms h", "task_duration_ms");
  ok(
    "SELECT [x * 2 FOR x IN list(value) IF x > 1], [x || 'ms' FOR x IN list(metric) IF x <> ''] FROM samples",
    "samples",
  );
  ok("VALUES (1, 'a'), (2, 'b')");
  ok("FROM samples", "samples");
  ok(`SELECT operation, avg(value) FROM ${http} WHERE ts > now() - INTERVAL 1 HOUR GROUP BY operation`, http);
  ok(`SELECT * FROM HTTP_Request_Duration_MS`, http);
  ok(
    `SELECT time_bucket(INTERVAL 5 MINUTE, ts) AS t, quantile_cont(value, [0.5, 0.95]) FROM ${http} GROUP BY 1 ORDER BY 1`,
    http,
  );
  ok(`SELECT count(*) FILTER (WHERE status_code >= '500') / count(*) FROM ${http}`, http);
  ok(
    `SELECT a.task_id FROM ${http} a JOIN task_duration_ms b USING (task_id) LIMIT 10 OFFSET $1`,
    http,
    "task_duration_ms",
  );
  ok("SELECT labels['operation'], element_at(labels, 'a')[1] FROM samples WHERE metric = $metric", "samples");
  ok("WITH a AS (FROM samples), b AS (FROM a) SELECT * FROM a NATURAL JOIN b", "samples");
  // A CTE may hide a table. Inside the CTE, the name means the table.
  ok("WITH samples AS (SELECT * FROM samples) SELECT * FROM samples", "samples");
  ok(
    `SELECT *, row_number() OVER (PARTITION BY operation ORDER BY value DESC) AS n FROM ${http} QUALIFY n <= 3`,
    http,
  );
  ok(
    `SELECT lag(value, 1, 0) OVER w FROM ${http} WINDOW w AS (ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)`,
    http,
  );
  ok(`SELECT DISTINCT ON (operation) operation, first(value ORDER BY ts) FROM ${http} GROUP BY ALL`, http);
  ok(
    `SELECT CASE WHEN value > 1 THEN 'slow' ELSE 'fast' END, value::BIGINT, ts::DATE, value BETWEEN 1 AND 2 FROM ${http}`,
    http,
  );
  ok(
    `SELECT * EXCLUDE (url) REPLACE (value / 1000 AS value), COLUMNS('^s') FROM ${http} UNION ALL BY NAME SELECT 1 AS value`,
    http,
  );
  ok(
    "SELECT * FROM samples s SEMI JOIN metrics m ON s.metric = m.metric WHERE EXISTS (FROM rejected)",
    "metrics",
    "rejected",
    "samples",
  );
  ok(
    "SELECT * FROM generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-02', INTERVAL 1 HOUR) AS t(ts)",
  );
  ok("SELECT t.n, s.value FROM range(10) t(n), samples s", "samples");
  ok("SELECT unnest(map_keys(labels)) FROM series", "series");
  ok(`DESCRIBE ${http}`, http);
  ok(`SUMMARIZE ${http}`, http);
  ok(
    `SELECT url LIKE 'https://%/api/%', url ILIKE '%API%', url LIKE 'a_b%', regexp_extract(url, '/([a-z]+)$', 1) FROM ${http}`,
    http,
  );
  ok(`SELECT concat(operation, ' ', method), operation || '-' || domain || '-' || method FROM ${http}`, http);
  // A tag may have the name of a value function if that is harmless.
  ok(`SELECT "user" FROM ${http}`, http);
  ok(
    "SELECT operation, GROUPING(operation) FROM (FROM http_request_duration_ms) GROUP BY CUBE (operation, domain)",
    http,
  );
});

describe("a text that is not exactly one SELECT", () => {
  bad("", 400, "empty");
  bad("SELECT 1; SELECT 2", 400, "2 statements");
  bad("SELEC 1", 400, 'syntax error at or near "SELEC" at line 1, column 1');
  bad("SELECT 1\n  FROM WHERE", 400, "at line 2, column 8");
  for (const sql of [
    "ATTACH 'x.db' AS x",
    "COPY samples TO 'x.csv'",
    "COPY (SELECT 1) TO 'x.parquet'",
    "PRAGMA database_list",
    "SET memory_limit = '1TB'",
    "RESET memory_limit",
    "CREATE TABLE t (i INT)",
    "DROP TABLE weir.series",
    "INSERT INTO samples VALUES (1)",
    "DELETE FROM weir.series",
    "UPDATE weir.series SET metric = ''",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL duckdb_tables()",
    "EXPLAIN DROP TABLE samples",
    "EXPLAIN ANALYZE DELETE FROM weir.series",
    "EXPLAIN EXPLAIN SELECT 1",
    "EXPORT DATABASE 'x'",
    "CHECKPOINT",
    "BEGIN",
    "VACUUM",
    "USE weir",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
  ])
    bad(sql, 403, "only one SELECT");
  bad("EXPLAIN (FORMAT json) SELECT 1", 403, "EXPLAIN takes no options");
  bad("SELECT 1; DROP TABLE weir.series", 403, "only one SELECT");
  bad("WITH a AS (DELETE FROM weir.series RETURNING *) FROM a", 400, "CTE needs a SELECT");
});

describe("a statement that reads files, settings or the engine's own tables", () => {
  bad("SELECT * FROM 'x.csv'", 400, "no table");
  bad("SELECT * FROM '/etc/passwd'", 400, "no table");
  bad("SELECT * FROM read_csv('/etc/passwd')", 403, "read_csv");
  bad("SELECT * FROM read_text('/etc/passwd')", 403, "read_text");
  bad("SELECT * FROM glob('*')", 403, "glob");
  bad("SELECT * FROM parquet_scan('x')", 403, "parquet_scan");
  bad("SELECT getenv('HOME')", 403, "getenv");
  bad("SELECT current_setting('memory_limit')", 403, "current_setting");
  bad("SELECT * FROM duckdb_settings()", 403, "duckdb_settings");
  bad("SELECT * FROM duckdb_tables()", 403, "duckdb_tables");
  bad("SELECT * FROM duckdb_tables", 400, "no table");
  bad("SELECT * FROM sqlite_master", 400, "no table");
  bad("SELECT * FROM information_schema.schemata", 403, "without a schema");
  bad("SELECT * FROM weir.information_schema.tables", 403, "without a schema");
  bad("SELECT * FROM pg_catalog.pg_class", 403, "without a schema");
  bad("SELECT * FROM weir.series", 403, "without a schema");
  bad("SELECT * FROM main.samples", 403, "without a schema");
  bad("SELECT * FROM memory.main.samples", 403, "without a schema");
  bad('SELECT * FROM "weir.series"', 400, "no table");
  bad(
    "SELECT * FROM http.request.duration_ms",
    403,
    "without a schema; did you mean http_request_duration_ms?",
  );
  bad('SELECT * FROM "http.request.duration_ms"', 400, "did you mean http_request_duration_ms?");
  bad("SELECT * FROM samples_20240101", 400, "no table");
  bad("SELECT * FROM query('DROP TABLE x')", 403, "query");
  bad("SELECT * FROM query_table('samples')", 403, "query_table");
  bad("SELECT * FROM json_execute_serialized_sql('{}')", 403, "json_execute_serialized_sql");
  bad("SHOW DATABASES", 403, "only SHOW TABLES");
  bad("SHOW SCHEMAS", 403, "only SHOW TABLES");
  bad("SHOW memory_limit", 400, "no table");
  bad("DESCRIBE weir.series", 403, "without a schema");
  bad("SUMMARIZE weir.series", 403, "without a schema");
  bad("EXPLAIN SELECT * FROM weir.series", 403, "without a schema");
  bad("PIVOT weir.series ON kind IN ('gauge') USING count(*)", 403, "without a schema");
  bad("PIVOT weir.series ON kind USING count(*)", 403, "PIVOT without a list");
  bad("UNPIVOT weir.series ON kind INTO NAME n VALUE v", 403, "without a schema");
  bad("SELECT * FROM (SHOW DATABASES)", 403, "SHOW");
  bad("SELECT * FROM samples AT (VERSION => 1)", 403, "at_clause");
  bad("SELECT nextval('s')", 403, "nextval");
  // Internal names, which only a rewritten text may contain.
  bad("SELECT weir_list([1]), list(1)", 403, "weir_list");
  bad("SELECT weir_text('a')", 403, "weir_text");
  bad('SELECT * FROM "weir tables"', 400, "no table");
  bad('SELECT * FROM "weir names", (SHOW TABLES)', 400, "no table");
  bad("SELECT weir.getenv('A')", 403, "getenv");
  bad("SELECT pg_catalog.current_setting('a')", 403, "current_setting");
  bad("SELECT metric.repeat(1000000) FROM samples", 403, "at most 1000");
  bad("SELECT write_log('x')", 403, "write_log");
  bad("SELECT current_database()", 403, "current_database");
  bad("SELECT current_schema", 403, "current_schema");
  bad("SELECT error('x')", 403, "error");
  // A CTE is a table in its own query only.
  bad(`SELECT * FROM (WITH "x.csv" AS (SELECT 1) FROM "x.csv") AS a, "x.csv"`, 400, 'no table "x.csv"');
  bad(`WITH "x.csv" AS (FROM "x.csv") FROM "x.csv"`, 400, 'no table "x.csv"');
  // In every clause of a statement.
  for (const corner of [
    "SELECT 1 ORDER BY getenv('A')",
    "SELECT 1 LIMIT getenv('A')::INT",
    "SELECT DISTINCT ON (getenv('A')) 1",
    "SELECT sum(1) FILTER (WHERE getenv('A') = '')",
    "SELECT sum(1 ORDER BY getenv('A'))",
    "SELECT sum(1) OVER (PARTITION BY getenv('A'))",
    "SELECT sum(1) OVER (ORDER BY getenv('A'))",
    "SELECT lag(1, getenv('A')::INT) OVER ()",
    "SELECT lag(1, 1, getenv('A')) OVER ()",
    "SELECT sum(1) OVER (ROWS BETWEEN getenv('A')::INT PRECEDING AND CURRENT ROW)",
    "SELECT 1 FROM samples a JOIN samples b ON getenv('A') = ''",
    "SELECT 1 WHERE 1 IN (SELECT getenv('A'))",
    "SELECT * REPLACE (getenv('A') AS ts) FROM samples",
    "SELECT CASE WHEN true THEN 1 ELSE getenv('A') END",
    "SELECT CASE getenv('A') WHEN 1 THEN 2 END",
    "VALUES (getenv('A'))",
    "WITH a AS (SELECT getenv('A')) SELECT 1",
    "SELECT 1 GROUP BY getenv('A')",
    "SELECT 1 GROUP BY ALL HAVING getenv('A') = ''",
    "SELECT 1 QUALIFY getenv('A') = ''",
    "SELECT {'a': getenv('A')}",
    "SELECT [getenv('A')]",
    "SELECT 1 UNION SELECT getenv('A')",
    "SELECT 1 FROM range(1), unnest([getenv('A')])",
    "SELECT 'a' COLLATE NOCASE = getenv('A')",
    "SELECT TRY_CAST(getenv('A') AS INT)",
    "SELECT 1 BETWEEN 0 AND getenv('A')::INT",
    "SELECT list_transform([1], x -> getenv('A'))",
    "SELECT [getenv('A') FOR x IN [1]]",
    "SELECT [x FOR x IN [1] IF getenv('A') = '']",
    "SELECT list_reduce([1], (a, x) -> getenv('A'))",
    "SELECT list_reduce([1], (a, x) -> a, getenv('A'))",
    "SELECT list(getenv('A'))",
    "SELECT string_agg('a', getenv('A'))",
    "SELECT list(1 ORDER BY getenv('A'))",
    "SELECT list(1) FILTER (getenv('A') = '')",
    "SELECT getenv('A')->'a'",
    "SELECT COLUMNS(c -> getenv('A') = c) FROM samples",
    "FROM samples PIVOT (max(getenv('A')) FOR metric IN ('a'))",
    "PIVOT (SELECT getenv('A') AS a) ON a IN ('a') USING count(*)",
    "FROM (SELECT getenv('A') AS a) UNPIVOT (v FOR n IN (a))",
    "WITH RECURSIVE a AS (SELECT getenv('A') AS n UNION ALL SELECT n FROM a) FROM a",
    "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n FROM a WHERE getenv('A') = '') FROM a",
    "EXPLAIN SELECT getenv('A')",
    "DESCRIBE SELECT getenv('A')",
  ])
    bad(corner, 403, "getenv");
});

describe("a statement that would hang the engine or fill its memory", () => {
  bad("SELECT repeat('a', 2000000000)", 403, "at most 1000");
  bad("SELECT repeat('a', value::INT) FROM samples", 403, "not a constant");
  bad("SELECT repeat('a', 1000 * 1000)", 403, "not a constant");
  bad("SELECT repeat(repeat('a', 1000), 1000)", 403, "repeat() may make a value of 977 KiB");
  bad("SELECT repeat(metric, 100) FROM samples", 403, "repeat() may make a value of 400 KiB");
  bad("SELECT lpad('a', 2000000000, 'b')", 403, "at most 1000");
  bad("SELECT rpad('a', -1, 'b')", 403, "at most 1000");
  bad("SELECT lpad('a', $1, 'b')", 403, "not a constant");
  bad("SELECT bar(value, 0, 1, 2000000000) FROM samples", 403, "at most 1000");
  bad("SELECT range(300000000)", 403, "more than 4000");
  bad("SELECT range(0, 1, 0.0000001)", 403, "more than 4000");
  bad("SELECT list_sort(range(300000000))", 403, "more than 4000");
  bad("SELECT unnest(generate_series(1, 300000000))", 403, "more than 4000");
  bad(
    "SELECT unnest(generate_series(TIMESTAMP '2024-01-01', now(), INTERVAL 1 MICROSECOND))",
    403,
    "for times write FROM",
  );
  bad("SELECT * FROM unnest(range(300000000))", 403, "more than 4000");
  bad("SELECT * FROM samples, range(value::BIGINT)", 403, "constants only");
  bad("SELECT * FROM repeat('a', 2000000000)", 403, "repeat");
  bad("SELECT format('{:1000000000}', 1)", 403, "3 digits");
  bad("SELECT format('{:>{}}', 'a', 1000000000)", 403, "takes a width from an argument");
  bad("SELECT format(metric, 1) FROM samples", 403, "not a constant");
  bad("SELECT printf('%1000000000d', 1)", 403, "3 digits");
  bad("SELECT printf('%*d', 1000000000, 1)", 403, "takes a width from an argument");
  bad("SELECT replace(metric, 'a', metric) FROM samples", 403, "replacement of replace is not a constant");
  bad(`SELECT replace(metric, 'a', '${"b".repeat(100)}') FROM samples`, 403, "replace() may make");
  bad(
    "SELECT replace(replace(replace(metric, 'a', 'aaaaaa'), 'a', 'aaaaaa'), 'a', 'aaaaaa') FROM samples",
    403,
    "replace() may make",
  );
  bad(
    `SELECT regexp_replace(metric, '', '${"b".repeat(100)}', 'g') FROM samples`,
    403,
    "regexp_replace() may make",
  );
  bad("SELECT regexp_replace(metric, metric, 'a') FROM samples", 403, "not a constant");
  bad(
    "SELECT regexp_replace(metric, '(.*)', '\\1\\1\\1\\1\\1\\1\\1\\1\\1' || metric) FROM samples",
    403,
    "not a constant",
  );
  bad(`SELECT regexp_matches(metric, '${"(a+)+".repeat(30)}') FROM samples`, 400, "128 are allowed");
  bad("SELECT list(value) OVER () FROM samples", 403, "needs a frame");
  bad("SELECT list(value) OVER (ORDER BY ts) FROM samples", 403, "needs a frame");
  bad(
    "SELECT list(value) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM samples",
    403,
    "needs a frame",
  );
  bad(
    "SELECT list(value) OVER (ROWS BETWEEN value::INT PRECEDING AND CURRENT ROW) FROM samples",
    403,
    "needs a frame",
  );
  bad(
    "SELECT string_agg(metric) OVER (ROWS 999 PRECEDING) FROM samples",
    403,
    "string_agg() over 1000 rows may make",
  );
  bad("SELECT max(value, 1000000) FROM samples", 403, "at most 40");
  bad("SELECT arg_max(ts, value, value::INT) FROM samples", 403, "not a constant");
  bad("SELECT approx_top_k(metric, 1000000) FROM samples", 403, "at most 40");
  bad("SELECT list_aggregate(list(metric), 'string_agg') FROM samples", 403, "returns one value");
  bad("SELECT list_resize([1], 2000000000)", 403, "list_resize");
  bad("SELECT list_select([1], [1])", 403, "list_select");
  bad("SELECT bitstring('1', 2000000000)", 403, "bitstring");
  bad("SELECT 1::BIGNUM", 403, "BIGNUM");
  bad("SELECT levenshtein(metric, metric) FROM samples", 403, "levenshtein");
  bad("SELECT json_extract(metric, '$.*') FROM samples", 403, "contains a *");
  bad("SELECT '{}'->getenv('A')", 403, "pattern of -> is not a constant");
  bad("SELECT json_structure(metric) FROM samples", 403, "json_structure");
  // Lambdas: only one level, and their values count for each element.
  bad("SELECT list_transform([1], x -> list_transform([1], y -> x))", 403, "cannot contain a second lambda");
  bad("SELECT [[y FOR y IN [x]] FOR x IN [1]]", 403, "cannot contain a second lambda");
  bad("SELECT list_transform([1], x -> (SELECT 1))", 403, "cannot contain a subquery");
  bad("SELECT list_transform(list(metric), x -> repeat(x, 100)) FROM samples", 403, "repeat() may make");
  bad("SELECT list_transform(list(value), x -> rpad('', 1000, 'x')) FROM samples", 403, "rpad() may make");
  bad("SELECT list_transform(string_split(metric, ''), x -> metric || x) FROM samples", 403, "may make");
  bad("SELECT list_transform(range(4000), x -> metric) FROM samples", 403, "may make");
  bad(
    "SELECT list_transform(list(value), x -> list(value)) FROM samples",
    403,
    "a lambda cannot contain list()",
  );
  bad(
    `SELECT ${Array(4).fill("list_sum(list_transform(list(value), x -> sin(cos(tan(sqrt(ln(exp(sin(cos(tan(sqrt(ln(exp(x))))))))))))))").join(", ")} FROM samples`,
    403,
    "too many functions",
  );
  bad("SELECT list_reduce(list(metric), (a, x) -> a || x) FROM samples", 403, "must not join");
  bad("SELECT list_reduce([1, 2], (a, x) -> concat(a, a))", 403, "must not join");
  bad("SELECT list_reduce([[1], [2]], (a, x) -> list_concat(a, x))", 403, "must not join");
  bad("SELECT list_reduce([[1], [2]], (a, x) -> [a, x])", 403, "must not join");
  bad("SELECT COLUMNS(c -> repeat(c, 1000) = 'a') FROM samples", 403, "repeat() may make");
  // An alias counts as its whole expression, also through other aliases.
  const aliases = (count: number, base: string, next: (name: string) => string) =>
    [`${base} AS a0`, ...Array.from({ length: count }, (_, n) => `${next(`a${n}`)} AS a${n + 1}`)].join(", ");
  bad(
    `SELECT ${aliases(40, "value", (a) => `${a} + ${a}`)} FROM samples`,
    403,
    "more than 10000 expressions",
  );
  bad(`SELECT ${aliases(12, "metric", (a) => `${a} || ${a}`)} FROM samples`, 403, "1536 KiB for each row");
  bad(`SELECT ${aliases(40, "value", (a) => `${a} + ${a}`)} FROM samples WHERE a40 > 1`, 403, "expressions");
  bad(
    `SELECT 1 FROM samples WHERE (SELECT ${aliases(40, "value", (a) => `${a} + ${a}`)}) > 1`,
    403,
    "1536 KiB for each row",
  );
  bad("SELECT repeat(metric, 40) AS a, (SELECT a || a) FROM samples", 403, "|| may make");
  // A small column does not hide a large one.
  bad("SELECT a || a FROM (SELECT repeat(metric, 40) AS a, 1 AS b FROM samples)", 403, "|| may make");
  bad("SELECT x || x FROM (SELECT repeat(metric, 40), 1 AS b FROM samples) AS t(x, b)", 403, "|| may make");
  bad("WITH t(x) AS (SELECT repeat(metric, 40) AS y FROM samples) SELECT x || x FROM t", 403, "|| may make");
  bad(
    "SELECT t.b || t.b FROM (SELECT repeat(metric, 40) AS b FROM samples) t, (SELECT 1 AS b) u",
    403,
    "|| may make",
  );
  bad(
    "SELECT t.x || t.x FROM (SELECT repeat(metric, 40) FROM samples) t(x), (SELECT 1 AS x) u",
    403,
    "|| may make",
  );
  bad(
    "SELECT t.b || t.b FROM (SELECT {'b': repeat(metric, 40)} AS t, 1 AS b FROM samples)",
    403,
    "|| may make",
  );
  bad(
    "SELECT b || b FROM (SELECT * REPLACE (repeat(metric, 40) AS b) FROM (SELECT metric, 1 AS b FROM samples))",
    403,
    "|| may make",
  );
  bad(
    "SELECT c || c FROM (SELECT * RENAME (a AS c) FROM (SELECT repeat(metric, 40) AS a, 1 AS c FROM samples))",
    403,
    "|| may make",
  );
  bad(
    "SELECT b || b FROM (SELECT 1 AS b UNION ALL SELECT repeat(metric, 40) FROM samples)",
    403,
    "|| may make",
  );
  bad("SELECT #1 || #1 FROM (SELECT repeat(metric, 40) AS a, 1 AS b FROM samples)", 403, "|| may make");
  bad(
    "SELECT concat(COLUMNS(*), COLUMNS(*)) FROM (SELECT repeat(metric, 40) AS a, 1 AS b FROM samples)",
    403,
    "concat() may make",
  );
  // `+` joins lists, and a value that may be a list does not count as a number.
  const large = "SELECT list(metric) AS l FROM samples";
  for (const nothing of [
    "[]",
    "NULL",
    "'[]'",
    "(SELECT [])",
    "CASE WHEN true THEN [] END",
    "{'a': []}.a",
    "$1",
    "[[]][1]",
    "range(0)",
    "repeat([1], 0)",
    "equi_width_bins(0, 1, 0, true)",
  ])
    bad(`SELECT repeat((l + ${nothing})::VARCHAR, 2) FROM (${large})`, 403, "may make a value of");
  bad(`SELECT list_transform([[], []], x -> x + l) FROM (${large})`, 403, "may make a value of");
  bad(
    "WITH RECURSIVE a AS (SELECT [1] AS l UNION ALL SELECT l + l + [] FROM a) FROM a",
    403,
    "larger values in each round",
  );
  // A table's name stands for a whole row, and text and JSON contain the names of fields.
  const long = "n".repeat(2_000);
  bad(
    `SELECT t::VARCHAR || '' FROM (SELECT ${Array.from({ length: 40 }, (_, n) => `metric || '' AS c${n}`).join(", ")} FROM samples) t`,
    403,
    "may make a value of",
  );
  bad(
    `SELECT to_json(t) FROM (SELECT ${Array.from({ length: 40 }, (_, n) => `metric || '' AS c${n}`).join(", ")} FROM samples) t`,
    403,
    "may make a value of",
  );
  bad(`SELECT to_json(list_transform(range(1000), x -> {'${long}': x}))`, 403, "may make a value of");
  bad(`SELECT list_transform(range(1000), x -> {'${long}': x})::VARCHAR`, 403, "may make a value of");
  bad(
    `SELECT list_transform(range(1000), x -> struct_insert({'a': x}, ${long} := x))::VARCHAR`,
    403,
    "may make a value of",
  );
  bad(`SELECT to_json(metric::STRUCT("${long}" INT)[]) FROM samples`, 403, "may make a value of");
  bad(
    `SELECT to_json(list_transform(range(1000), x -> t)) FROM range(1) t(${long})`,
    403,
    "may make a value of",
  );
  bad(
    `SELECT to_json(list_transform(range(1000), x -> t)) FROM (SELECT 1 AS ${long}) t`,
    403,
    "may make a value of",
  );
  // date_add is a macro over +, and a median of lists is a list.
  bad(
    "WITH RECURSIVE a AS (SELECT [1] AS l UNION ALL SELECT date_add(l, l) FROM a) FROM a",
    403,
    "larger values in each round",
  );
  bad(`SELECT repeat(list_median([l])::VARCHAR, 2) FROM (${large})`, 403, "may make a value of");
  // Recursion: an interrupt stops it between rounds, and values must not grow.
  bad(
    "WITH RECURSIVE a AS (SELECT 'a' AS s UNION ALL SELECT s || s FROM a) FROM a",
    403,
    "larger values in each round",
  );
  bad(
    "WITH RECURSIVE a AS (SELECT 'a' AS s UNION ALL SELECT s || 'b' FROM a) FROM a",
    403,
    "larger values in each round",
  );
  bad(
    "WITH RECURSIVE a AS (SELECT [1] AS s UNION ALL SELECT s + s FROM a) FROM a",
    403,
    "larger values in each round",
  );
  bad(
    "WITH RECURSIVE a AS (SELECT [1] AS s UNION ALL SELECT list_append(s, 1) FROM a) FROM a",
    403,
    "larger values in each round",
  );
  bad(
    "WITH RECURSIVE a AS (SELECT 'a' AS s UNION ALL SELECT replace(s, 'a', 'aa') FROM a) FROM a",
    403,
    "larger values in each round",
  );
  bad(
    "WITH RECURSIVE a AS (SELECT 'a' AS s UNION ALL SELECT {'a': s, 'b': s}::VARCHAR FROM a) FROM a",
    403,
    "larger values in each round",
  );
  // The values that a statement makes for a row count together.
  bad(
    `SELECT ${Array(200).fill("upper(metric) || 'a'").join(", ")} FROM samples`,
    403,
    "1536 KiB for each row",
  );
  bad(
    `SELECT ${Array(60).fill("concat(COLUMNS(*), 'a')").join(", ")} FROM samples`,
    403,
    "1536 KiB for each row",
  );
  bad(
    `WITH a AS (SELECT repeat(metric, 60) AS s FROM samples) SELECT 1 FROM ${Array(8)
      .fill("a")
      .map((name, n) => `${name} AS a${n}`)
      .join(", ")}`,
    403,
    "1536 KiB for each row",
  );
  bad(
    `PIVOT samples ON metric IN (${Array(400).fill("'a'").join(", ")}) USING max(upper(metric))`,
    403,
    "1536 KiB for each row",
  );
  bad(
    `PIVOT samples ON metric IN (${Array(60).fill("'a'").join(", ")}), value IN (${Array(60).fill("1").join(", ")}) USING sum(value)`,
    403,
    "2000 columns",
  );
  bad("PIVOT samples ON metric IN ('a') USING list(value)", 403, "not allowed in PIVOT");
  bad("SELECT sleep_ms(1000000)", 403, "sleep_ms");
  bad("SELECT 1::INTEGER[100000]", 403, "type");
  bad("SELECT equi_width_bins(0, value, 1000000, true) FROM samples", 403, "at most 1000");
  bad(
    "SELECT * FROM (SELECT 1000000000 AS current_date), range(current_date)",
    403,
    "a column is named current_date",
  );
  bad("SELECT 1::INTEGER[3][]", 403, "type");
  bad("SELECT 1::foo", 403, "type");
  bad("SELECT 'a' COLLATE de", 403, "collation");
  bad("SELECT 'aaa' LIKE '%a_%a%a%b'", 403, "LIKE");
  bad("SELECT 'aaa' ILIKE '%a%a%b'", 403, "LIKE");
  bad("SELECT 'aaa' LIKE metric FROM samples", 403, "LIKE");
  bad("SELECT 'aaa' GLOB '*a*a*b'", 403, "~~~");
  bad("SELECT 'aaa' LIKE $1", 403, "LIKE");
  bad("SELECT * FROM samples TABLESAMPLE reservoir(200000000 ROWS)", 403, "TABLESAMPLE");
  bad(`SELECT ${"a, ".repeat(20)} 1 GROUP BY CUBE (a, b, c, d, e, f, g)`, 403, "grouping sets");
  const nested = (times: number, inner: string, outer: (inner: string) => string): string =>
    times === 0 ? inner : outer(nested(times - 1, inner, outer));
  bad(
    nested(12, "SELECT 1 AS a", (inner) => `SELECT *, * FROM (${inner})`),
    403,
    "columns",
  );
  bad(
    nested(7, "SELECT metric AS s FROM samples", (inner) => `SELECT s || s AS s FROM (${inner})`),
    403,
    "|| may make",
  );
  bad(
    nested(7, "SELECT metric AS s FROM samples", (inner) => `SELECT [s, s] AS s FROM (${inner})`),
    403,
    "list_value() may make",
  );
  bad(
    nested(7, "SELECT metric AS s FROM samples", (inner) => `SELECT {'a': s, 'b': s} AS s FROM (${inner})`),
    403,
    "struct_pack() may make",
  );
  bad(`SELECT ${Array(70).fill("metric").join(" || ")} FROM samples`, 403, "1536 KiB for each row");
  bad(`SELECT 1 FROM ${Array(40).fill("samples").join(", ")}`, 403, "32 tables");
  bad(`SELECT ${Array(40).fill("(SELECT max(value) FROM samples)").join(" + ")}`, 403, "32 tables");
  bad(
    `WITH a0 AS (FROM samples)${[1, 2, 3, 4, 5, 6].map((n) => `, a${n} AS (SELECT 1 FROM a${n - 1}, a${n - 1} AS b)`).join("")} FROM a6`,
    403,
    "32 tables",
  );
  bad(`SELECT ${"(SELECT ".repeat(200)}1${")".repeat(200)}`, 403, "nested deeper");
  bad(`SELECT 1${" + 1".repeat(400)}`, 403, "nested deeper");
  bad(`SELECT '${"a".repeat(5_000)}'`, 403, "4096 characters");
  bad(`SELECT '${"a".repeat(20_000)}'`, 413, "16384 are allowed");
  bad("SELECT '\0'", 400, "NUL");
});

describe("the name of a clock", () => {
  bad("SELECT current_time", 403, "now()::TIME");
  bad("SELECT system.main.now()", 403, "catalog");
  bad("SELECT lag(metric).upper() OVER () FROM samples", 400, "");
});
