/**
 * Everyday statements of analysts about tables, times, statistics and joins, with their rows. The values are worked out
 * by hand from the events of worker-events.ts, or come from the engine's documentation.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Parameters } from "../../../src/store/store.ts";
import { type Asked, workerEvents } from "./worker-events.ts";

let asked: Asked;
beforeAll(async () => {
  asked = await workerEvents();
});
afterAll(() => asked.close());

/** The statement runs and returns these rows. */
function gives(sql: string, want: unknown[][]): void {
  test(sql, async () => expect(await asked.rows(sql)).toEqual(want as never));
}

describe("lists tables and columns", () => {
  gives("SHOW TABLES", [
    ["exemplars"],
    ["http_request_duration_ms"],
    ["metrics"],
    ["rejected"],
    ["samples"],
    ["series"],
    ["task_processing_duration_ms"],
    ["upload_size_bytes"],
  ]);
  gives("DESCRIBE upload_size_bytes", [
    ["ts", "TIMESTAMP", "YES", null, null, null],
    ["value", "DOUBLE", "YES", null, null, null],
    ["task_id", "VARCHAR", "YES", null, null, null],
    ["upload_type", "VARCHAR", "YES", null, null, null],
  ]);
  gives("DESCRIBE SELECT operation, avg(value) AS mean FROM http_request_duration_ms GROUP BY ALL", [
    ["operation", "VARCHAR", "YES", null, null, null],
    ["mean", "DOUBLE", "YES", null, null, null],
  ]);
  gives(
    "SELECT column_name, min, max, count FROM (SUMMARIZE http_request_duration_ms) WHERE column_name IN ('value', 'method')",
    [
      ["value", "50.0", "300.0", 3],
      ["method", "GET", "PUT", 3],
    ],
  );
  gives("SELECT name, column_names, column_types FROM (SHOW ALL TABLES) WHERE name = 'upload_size_bytes'", [
    [
      "upload_size_bytes",
      ["ts", "value", "task_id", "upload_type"],
      ["TIMESTAMP", "DOUBLE", "VARCHAR", "VARCHAR"],
    ],
  ]);
  gives(
    "SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_name LIKE '%bytes'",
    [["main", "upload_size_bytes", "VIEW"]],
  );
  gives(
    "SELECT column_name, ordinal_position, data_type FROM information_schema.columns WHERE table_name = 'upload_size_bytes' ORDER BY ordinal_position",
    [
      ["ts", 1, "TIMESTAMP"],
      ["value", 2, "DOUBLE"],
      ["task_id", 3, "VARCHAR"],
      ["upload_type", 4, "VARCHAR"],
    ],
  );
  gives(
    "SELECT tables.table_name, count(*) FROM information_schema.tables JOIN information_schema.columns AS c USING (table_name) WHERE table_name LIKE 'task%' GROUP BY ALL",
    [["task_processing_duration_ms", 6]],
  );
  gives("SELECT DISTINCT table_schema FROM information_schema.columns", [["main"]]);
});

describe("calculates with times", () => {
  gives(
    "SELECT today() = now()::DATE, current_date = today(), typeof(current_date), typeof(current_timestamp), typeof(localtimestamp)",
    [[true, true, "DATE", "TIMESTAMP", "TIMESTAMP"]],
  );
  gives(
    "SELECT count(*) FROM http_request_duration_ms WHERE ts < current_date - 7 AND ts < current_timestamp - INTERVAL 1 HOUR AND ts < today() AND ts < get_current_timestamp()",
    [[3]],
  );
  gives("SELECT date_trunc('day', ts), count(*) FROM http_request_duration_ms GROUP BY 1 ORDER BY 1", [
    ["2024-01-01 00:00:00", 2],
    ["2024-01-02 00:00:00", 1],
  ]);
  gives(
    "SELECT date_part('hour', ts), extract(dow FROM ts), hour(ts), dayname(ts), isodow(ts), week(ts), monthname(ts), last_day(ts), quarter(ts) FROM http_request_duration_ms WHERE value = 50",
    [[10, 2, 10, "Tuesday", 2, 1, "January", "2024-01-31", 1]],
  );
  gives("SELECT date_part(['year', 'month'], ts) FROM http_request_duration_ms LIMIT 1", [
    [{ year: 2024, month: 1 }],
  ]);
  gives(
    "SELECT time_bucket(INTERVAL '2 hours', ts) AS t, count(*) FROM http_request_duration_ms GROUP BY 1 ORDER BY 1",
    [
      ["2024-01-01 10:00:00", 2],
      ["2024-01-02 10:00:00", 1],
    ],
  );
  gives(
    "SELECT strftime(ts, '%Y-%m-%d %H:%M'), strftime('%d.%m.', ts) FROM http_request_duration_ms WHERE value = 300",
    [["2024-01-01 11:00", "01.01."]],
  );
  gives(
    "SELECT strptime('2024-01-01 10:00', '%Y-%m-%d %H:%M'), try_strptime('x', '%Y') IS NULL, make_timestamp(2024, 1, 2, 3, 4, 5.0)",
    [["2024-01-01 10:00:00", true, "2024-01-02 03:04:05"]],
  );
  gives(
    "SELECT date_diff('minute', min(ts), max(ts)), datediff('day', min(ts), max(ts)), age(max(ts), min(ts)) = INTERVAL 1 DAY FROM http_request_duration_ms",
    [[1440, 1, true]],
  );
  gives(
    "SELECT epoch_ms(ts), epoch(ts), epoch_ms(1704103200000) = ts FROM http_request_duration_ms LIMIT 1",
    [[1704103200000, 1704103200, true]],
  );
  gives(
    "SELECT ts - lag(ts) OVER (ORDER BY ts) > INTERVAL 2 HOUR FROM http_request_duration_ms ORDER BY ts",
    [[null], [false], [true]],
  );
  gives(
    "SELECT h, count(value) FROM generate_series(TIMESTAMP '2024-01-01 09:00:00', TIMESTAMP '2024-01-01 11:00:00', INTERVAL 1 HOUR) g(h) LEFT JOIN http_request_duration_ms ON date_trunc('hour', ts) = h GROUP BY h ORDER BY h",
    [
      ["2024-01-01 09:00:00", 0],
      ["2024-01-01 10:00:00", 1],
      ["2024-01-01 11:00:00", 1],
    ],
  );
  gives(
    "SELECT DATE '2024-01-31' + INTERVAL 1 MONTH, DATE '2024-03-01' - DATE '2024-02-01', date_add(DATE '2024-01-01', INTERVAL 1 DAY), TIME '10:00:00' < ts::TIME FROM http_request_duration_ms WHERE value = 300",
    [["2024-02-29 00:00:00", 29, "2024-01-02 00:00:00", true]],
  );
});

describe("reads the clock in the place of a column or a table", () => {
  gives("SELECT count(*) FROM generate_series(current_date - 3, current_date, INTERVAL 1 DAY)", [[4]]);
  gives("SELECT count(*) FROM range(today() - INTERVAL 2 DAY, current_timestamp, INTERVAL 1 DAY)", [[3]]);
  gives(
    "SELECT count(*) FROM http_request_duration_ms WHERE ts::DATE < current_date AND ts < current_timestamp",
    [[3]],
  );
});

describe("computes statistics", () => {
  gives(
    "SELECT count(*), avg(value), sum(value), min(value), max(value), median(value), quantile_cont(value, 0.95), quantile_disc(value, [0.5, 0.9]) FROM http_request_duration_ms",
    [[3, 150, 450, 50, 300, 100, 280, [100, 300]]],
  );
  gives(
    "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY value), percentile_disc(0.5) WITHIN GROUP (ORDER BY value) FROM http_request_duration_ms",
    [[280, 100]],
  );
  gives(
    "SELECT round(stddev(value), 3), var_pop(value) = 35000 / 3, mad(value), product(value), approx_quantile(value, 0.5) FROM http_request_duration_ms",
    [[132.288, true, 50, 1500000, 100]],
  );
  gives(
    "SELECT count(*) FILTER (WHERE success = 'false') * 100.0 / count(*) FROM http_request_duration_ms WHERE operation = 'get_task'",
    [[50]],
  );
  gives(
    "SELECT operation, round(100 * avg((success = 'false')::INT), 1) || '%' FROM http_request_duration_ms GROUP BY ALL ORDER BY ALL",
    [
      ["get_task", "50.0%"],
      ["upload_file", "100.0%"],
    ],
  );
  gives(
    "SELECT sum(CASE WHEN status_code LIKE '5%' THEN 1 ELSE 0 END), count_if(status_code = '200'), bool_or(value > 100), bool_and(value > 100) FROM http_request_duration_ms",
    [[1, 1, true, false]],
  );
  gives(
    "SELECT floor(value / 100) * 100 AS bucket, count(*) FROM http_request_duration_ms GROUP BY 1 ORDER BY 1",
    [
      [0, 1],
      [100, 1],
      [300, 1],
    ],
  );
  gives("SELECT sum(value) / 1024 / 1024 AS mb, count(*) FROM upload_size_bytes", [[1.477254867553711, 2]]);
  gives(
    "SELECT greatest(1, 2), least(1, 2), 7 // 2, 7 % 2, 2 ** 3, pow(2, 3), log(100), sqrt(16), abs(-1), sign(-2), mod(7, 3), round(2.567, 1), ceil(1.2), factorial(5)",
    [[2, 1, 3, 1, 8, 8, 2, 4, 1, -1, 1, "2.6", "2", 120]],
  );
  gives("SELECT status_code, TRY_CAST(status_code AS INTEGER) FROM http_request_duration_ms ORDER BY ts", [
    ["200", 200],
    ["500", 500],
    ["unknown", null],
  ]);
  gives(
    "SELECT count(*) FROM http_request_duration_ms WHERE TRY_CAST(status_code AS INT) >= 400 OR status_code = 'unknown'",
    [[2]],
  );
  gives(
    "SELECT value::INT, value::DECIMAL(10, 1), ts::DATE, CAST(value AS VARCHAR), '[1, 2]'::INT[], ('{a: 1}'::STRUCT(a INT)).a FROM http_request_duration_ms WHERE value = 300",
    [[300, "300.0", "2024-01-01", "300.0", [1, 2], 1]],
  );
  gives(
    "SELECT if(value > 100, 'slow', 'fast'), ifnull(NULL, 'x'), nullif(task_id, '1_a'), coalesce(NULL, task_id) FROM http_request_duration_ms ORDER BY ts",
    [
      ["fast", "x", null, "1_a"],
      ["slow", "x", "2_b", "2_b"],
      ["fast", "x", null, "1_a"],
    ],
  );
  gives(
    "SELECT 738529527931269425 + 1, list(9007199254740993), string_agg(170141183460469231731687303715884105727::VARCHAR) FROM range(1)",
    [["738529527931269426", ["9007199254740993"], "170141183460469231731687303715884105727"]],
  );
});

describe("groups, windows and joins", () => {
  gives("SELECT operation, status_code, count(*) FROM http_request_duration_ms GROUP BY ALL ORDER BY ALL", [
    ["get_task", "200", 1],
    ["get_task", "500", 1],
    ["upload_file", "unknown", 1],
  ]);
  gives(
    "SELECT operation, domain, count(*) FROM http_request_duration_ms GROUP BY GROUPING SETS ((operation), (domain), ()) ORDER BY ALL",
    [
      ["get_task", null, 2],
      ["upload_file", null, 1],
      [null, "a.com", 2],
      [null, "b.com", 1],
      [null, null, 3],
    ],
  );
  gives(
    "SELECT operation, method, sum(value), grouping(method) FROM http_request_duration_ms GROUP BY ROLLUP (operation, method) ORDER BY ALL",
    [
      ["get_task", "GET", 400, 0],
      ["get_task", null, 400, 1],
      ["upload_file", "PUT", 50, 0],
      ["upload_file", null, 50, 1],
      [null, null, 450, 1],
    ],
  );
  gives(
    "SELECT operation, count(*) AS n, n * 2 AS twice FROM http_request_duration_ms GROUP BY operation HAVING n > 1",
    [["get_task", 2, 4]],
  );
  gives(
    "SELECT task_id, value FROM http_request_duration_ms QUALIFY row_number() OVER (PARTITION BY operation ORDER BY value DESC) = 1 ORDER BY value",
    [
      ["1_a", 50],
      ["2_b", 300],
    ],
  );
  gives(
    "SELECT value, sum(value) OVER (ORDER BY ts), avg(value) OVER (ORDER BY ts RANGE BETWEEN INTERVAL 2 HOUR PRECEDING AND CURRENT ROW) FROM http_request_duration_ms ORDER BY ts",
    [
      [100, 100, 100],
      [300, 400, 200],
      [50, 450, 50],
    ],
  );
  gives(
    "SELECT lag(value) OVER w, lead(value) OVER w, ntile(3) OVER w, percent_rank() OVER w, first_value(value) OVER w, nth_value(value, 2) OVER w, rank() OVER w FROM http_request_duration_ms WINDOW w AS (ORDER BY ts) ORDER BY ts",
    [
      [null, 300, 1, 0, 100, null, 1],
      [100, 50, 2, 0.5, 100, 300, 2],
      [300, null, 3, 1, 100, 300, 3],
    ],
  );
  gives(
    "SELECT h.task_id, t.value FROM http_request_duration_ms h ASOF JOIN task_processing_duration_ms t ON h.task_id = t.task_id AND h.ts <= t.ts ORDER BY ALL",
    [
      ["1_a", 7234],
      ["2_b", 900],
    ],
  );
  gives(
    "SELECT h.task_id, n FROM http_request_duration_ms h, LATERAL (SELECT count(*) AS n FROM task_processing_duration_ms t WHERE t.task_id = h.task_id) ORDER BY ALL",
    [
      ["1_a", 1],
      ["1_a", 1],
      ["2_b", 1],
    ],
  );
  gives(
    "SELECT task_id FROM http_request_duration_ms h WHERE value > (SELECT avg(value) FROM http_request_duration_ms WHERE operation = h.operation)",
    [["2_b"]],
  );
  gives(
    "SELECT DISTINCT ON (operation) operation, value FROM http_request_duration_ms ORDER BY operation, value DESC",
    [
      ["get_task", 300],
      ["upload_file", 50],
    ],
  );
  gives(
    "SELECT operation FROM http_request_duration_ms WHERE task_id IN (SELECT task_id FROM upload_size_bytes WHERE upload_type = 'direct')",
    [["get_task"]],
  );
  gives(
    "SELECT count(*) FROM http_request_duration_ms ANTI JOIN upload_size_bytes u ON http_request_duration_ms.task_id = u.task_id AND u.upload_type = 'direct'",
    [[2]],
  );
  gives("SELECT operation FROM http_request_duration_ms INTERSECT SELECT 'get_task'", [["get_task"]]);
  gives("SELECT 1 AS n UNION SELECT 2 EXCEPT SELECT 1", [[2]]);
  gives(
    "SELECT operation, value FROM http_request_duration_ms UNION ALL BY NAME SELECT domain, value FROM task_processing_duration_ms ORDER BY ALL",
    [
      ["get_task", 100, null],
      ["get_task", 300, null],
      ["upload_file", 50, null],
      [null, 900, "b.com"],
      [null, 7234, "a.com"],
    ],
  );
  gives("VALUES (1, 'a'), (2, 'b')", [
    [1, "a"],
    [2, "b"],
  ]);
  gives("FROM http_request_duration_ms SELECT operation, value WHERE value > 60 ORDER BY value LIMIT 1", [
    ["get_task", 100],
  ]);
  gives("SELECT count(*) FROM (SELECT * FROM http_request_duration_ms USING SAMPLE 2)", [[2]]);
  gives(
    "SELECT count(*) FROM (FROM http_request_duration_ms TABLESAMPLE reservoir(2 ROWS) REPEATABLE (42))",
    [[2]],
  );
  gives("SELECT value FROM http_request_duration_ms ORDER BY value DESC NULLS LAST LIMIT 34%", [[300]]);
  gives("SELECT min(COLUMNS('^(ts|value)$')) FROM http_request_duration_ms", [["2024-01-01 10:00:00", 50]]);
  gives("SELECT COLUMNS(c -> c LIKE '%_id'), COLUMNS(['value']) FROM http_request_duration_ms ORDER BY ts", [
    ["1_a", 100],
    ["2_b", 300],
    ["1_a", 50],
  ]);
  gives(
    "SELECT * EXCLUDE (ts, url) REPLACE (value / 1000 AS value) FROM http_request_duration_ms WHERE value = 50",
    [[0.05, "b.com", "PUT", "upload_file", "unknown", "false", "1_a"]],
  );
});

describe("runs recursive statements", () => {
  gives("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r", [
    [1],
    [2],
    [3],
    [4],
    [5],
  ]);
  gives(
    "WITH RECURSIVE hours AS (SELECT TIMESTAMP '2024-01-01' AS h UNION ALL SELECT h + INTERVAL 1 HOUR FROM hours WHERE h < TIMESTAMP '2024-01-01 02:00:00') SELECT * FROM hours",
    [["2024-01-01 00:00:00"], ["2024-01-01 01:00:00"], ["2024-01-01 02:00:00"]],
  );
  gives(
    "WITH RECURSIVE t(n) AS (VALUES (1) UNION SELECT n * 2 FROM t WHERE n < 100) SELECT max(n), sum(n) FROM t",
    [[128, 255]],
  );
  gives(
    "WITH RECURSIVE r(task_id, n) AS (SELECT task_id, 1 FROM http_request_duration_ms UNION SELECT http_request_duration_ms.task_id, n + 1 FROM http_request_duration_ms, r WHERE http_request_duration_ms.task_id > r.task_id AND n < 5) SELECT * FROM r ORDER BY ALL",
    [
      ["1_a", 1],
      ["2_b", 1],
      ["2_b", 2],
    ],
  );
});

describe("binds parameters in a rewritten statement", () => {
  const takes = (sql: string, parameters: Parameters, want: unknown[][]) =>
    test(`${sql} ${JSON.stringify(parameters)}`, async () =>
      expect(await asked.rows(sql, { parameters })).toEqual(want as never));
  takes(
    "SELECT list(value ORDER BY ts), $who FROM http_request_duration_ms WHERE operation = $op",
    { op: "get_task", who: "me" },
    [[[100, 300], "me"]],
  );
  takes(
    "SELECT ?, string_agg(method, '+') FROM http_request_duration_ms WHERE operation = ?",
    ["me", "get_task"],
    [["me", "GET+GET"]],
  );
  takes("SELECT list_reduce(list(value), (a, x) -> a + x, $1) FROM http_request_duration_ms", [5], [[455]]);
  // The values of a PIVOT are those of the rows of its source.
  takes(
    "PIVOT (SELECT * FROM http_request_duration_ms WHERE value > ? OR operation = ?) ON status_code USING sum(value) GROUP BY operation",
    [250, "none"],
    [["get_task", 300]],
  );
  takes(
    "WITH h AS (SELECT operation, status_code, value * $factor AS v FROM http_request_duration_ms WHERE operation = $op) PIVOT h ON status_code USING sum(v)",
    { op: "get_task", factor: 2 },
    [["get_task", 200, 600]],
  );
});

describe("EXPLAIN", () => {
  test("returns the plan line by line", async () => {
    const plan = await asked.rows("EXPLAIN SELECT avg(value) FROM http_request_duration_ms WHERE ts > now()");
    expect(plan.every((row) => row.length === 1 && !String(row[0]).includes("\n"))).toBe(true);
    expect(plan.flat().join("\n")).toContain("UNGROUPED_AGGREGATE");
    const analyzed = await asked.rows("EXPLAIN ANALYZE SELECT avg(value) FROM http_request_duration_ms");
    expect(analyzed.flat().join("\n")).toContain("Total Time");
  });
});
