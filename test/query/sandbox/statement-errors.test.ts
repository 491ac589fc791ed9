/** Errors for statements that are almost right: names, types, limits and zones. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RequestError } from "../../../src/model/errors.ts";
import { type Asked, workerEvents } from "./worker-events.ts";

let asked: Asked;
beforeAll(async () => {
  asked = await workerEvents();
});
afterAll(() => asked.close());

const HTTP = "http_request_duration_ms";

/** The statement fails with this status and message. */
function fails(sql: string, status: number, message: string): void {
  test(sql, async () => {
    const error = await asked.rows(sql).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RequestError);
    expect((error as RequestError).message).toBe(message);
    expect((error as RequestError).status).toBe(status);
  });
}

function gives(sql: string, want: unknown[][]): void {
  test(sql, async () => expect(await asked.rows(sql)).toEqual(want as never));
}

describe("a comparison of a tag with a number says that tags are text", () => {
  const text = (column: string, number: number) =>
    `${column} is compared with the number ${number}, but tags are text`;
  const unknown = ' and a value is "unknown"';
  const NULLS = " TRY_CAST returns NULL if the text is not a number.";
  const cast = "TRY_CAST(status_code AS INTEGER)";
  const equals = (sign: string) =>
    `${text("status_code", 200)}${unknown}; write status_code ${sign} '200', or ${cast} ${sign} 200.${NULLS}`;
  fails(`SELECT * FROM ${HTTP} WHERE status_code = 200`, 400, equals("="));
  fails(`SELECT count(*) FROM ${HTTP} WHERE 200 <> status_code`, 400, equals("<>"));
  fails(`SELECT count(*) FILTER (WHERE h.status_code = 200) FROM ${HTTP} h`, 400, equals("="));
  fails(`SELECT CASE status_code WHEN 200 THEN 1 END FROM ${HTTP}`, 400, equals("="));
  fails(
    `SELECT * FROM ${HTTP} WHERE status_code >= 400`,
    400,
    `${text("status_code", 400)}; write ${cast} >= 400.${NULLS}`,
  );
  fails(
    `SELECT * FROM ${HTTP} WHERE status_code BETWEEN 400 AND 499`,
    400,
    `${text("status_code", 400)}; write ${cast} BETWEEN 400 AND ….${NULLS}`,
  );
  fails(
    `SELECT * FROM ${HTTP} WHERE status_code IN (200, 204)`,
    400,
    `${text("status_code", 200)}${unknown}; write ${cast} IN (200, …), or status_code IN ('200', …).${NULLS}`,
  );
  fails(
    `SELECT status_code::INTEGER FROM ${HTTP}`,
    400,
    "Could not convert string 'unknown' to INT32 when casting from source column status_code: tags are text, " +
      'and a value of status_code is "unknown"; TRY_CAST(status_code AS BIGINT) returns NULL for it.',
  );
  for (const [call, name] of [
    ["sum(status_code)", "sum(VARCHAR)"],
    ["status_code + 1", "+(VARCHAR, INTEGER_LITERAL)"],
  ])
    fails(
      `SELECT ${call} FROM ${HTTP}`,
      400,
      `No function matches the given name and argument types '${name}'. You might need to add explicit type casts. ` +
        "Tags are text: TRY_CAST(column AS DOUBLE) converts one to a number, or to NULL if it is not a number.",
    );
  // If every value is a number, the engine's cast succeeds and there is no error.
  gives("SELECT value FROM task_processing_duration_ms WHERE task_id = '1_a' AND http_status = 200", [
    [7234],
  ]);
  // For columns of numbers, and for texts that are not tags, the engine's own message is right.
  fails(
    `SELECT * FROM ${HTTP} WHERE value > 'fast'`,
    400,
    "Conversion Error: Could not convert string 'fast' to DOUBLE",
  );
});

describe("the error for a misspelled name suggests the most similar name", () => {
  const LIST = "GET /api/v1/tables lists the tables";
  const table = (name: string, near: string | undefined) =>
    fails(
      `SELECT * FROM "${name}"`,
      400,
      `there is no table "${name}"; ${near === undefined ? "" : `did you mean ${near}? `}${LIST}`,
    );
  table("http_request_duration", HTTP);
  table("htp_request_duration_ms", HTTP);
  table("HTTP_REQUEST_DURATIONS_MS", HTTP);
  table("http.request.duration_ms", HTTP);
  table("task_duration_ms", "task_processing_duration_ms");
  table("upload", "upload_size_bytes");
  // The beginning of a name is more similar than a short name with two other letters.
  fails(
    "WITH tusks AS (SELECT 1) FROM task",
    400,
    `there is no table "task"; did you mean task_processing_duration_ms? ${LIST}`,
  );
  table("sample", "samples");
  table("entirely_different", undefined);
  fails("WITH daily AS (SELECT 1) FROM dialy", 400, `there is no table "dialy"; did you mean daily? ${LIST}`);
  fails(
    "SELECT * FROM upload.size",
    403,
    '"upload.size" is not allowed: tables are named without a schema; did you mean upload_size_bytes?',
  );
  const FUNCTIONS = "GET /api/v1/sql/functions lists those that are";
  const called = (name: string, near: string) =>
    fails(
      `SELECT ${name}(url) FROM ${HTTP}`,
      403,
      `the function ${name}() is not allowed here, did you mean ${near}? ${FUNCTIONS}`,
    );
  called("lenght", "length");
  called("nvl", "coalesce");
  called("to_char", "strftime");
  fails(`SELECT pg_sleep(1)`, 403, `the function pg_sleep() is not allowed here; ${FUNCTIONS}`);
});

describe("the error for a misspelled column suggests the most similar column, or lists all columns", () => {
  fails(`SELECT statuscode FROM ${HTTP}`, 400, 'there is no column "statuscode"; did you mean status_code?');
  fails(
    `SELECT count(*) FROM ${HTTP} h WHERE h.value > 1 AND opration = 'a'`,
    400,
    'there is no column "opration"; did you mean operation?',
  );
  fails(
    "SELECT bytes FROM upload_size_bytes",
    400,
    'there is no column "bytes"; the columns of upload_size_bytes are ts, value, task_id, upload_type.',
  );
  // `samples` has the columns ts, metric, labels, value; the tag "operation" is in the map.
  const inMap = (table: string, tag: string) =>
    `In ${table}, tags are in the map labels: labels['${tag}']. The table of each metric has a column per tag.`;
  fails(
    "SELECT operation FROM samples",
    400,
    `there is no column "operation". ${inMap("samples", "operation")}`,
  );
  fails(
    "SELECT s.operation FROM samples s",
    400,
    `there is no column "operation". ${inMap("samples", "operation")}`,
  );
  fails(
    `SELECT count(*) FROM series WHERE "it's" = 'a'`,
    400,
    `there is no column "it's". ${inMap("series", "it''s")}`,
  );
  fails(
    "SELECT metrik FROM samples",
    400,
    `there is no column "metrik"; did you mean metric? ${inMap("samples", "metrik")}`,
  );
  gives("SELECT count(*) FROM samples WHERE labels['operation'] = 'none such'", [[0]]);
  // For columns of a subquery, the engine's own message has more information.
  fails(
    "SELECT n FROM (SELECT 1 AS m)",
    400,
    'Binder Error: Referenced column "n" not found in FROM clause! Candidate bindings: "m"',
  );
  for (const number of ["1704103200", "1704103200.5"])
    fails(
      `SELECT * FROM ${HTTP} WHERE ts > ${number}`,
      400,
      "a time is compared with a number; write a time as TIMESTAMP '2024-01-01 10:00:00' in UTC, or epoch_ms(1704103200000) for milliseconds since 1970.",
    );
});

describe("the values that an aggregate collects are limited", () => {
  const LESS =
    "; collect fewer rows with WHERE or a finer GROUP BY, or keep some of them with min(x, n) or arg_min(x, ts, n).";
  gives("SELECT len(list(range)), list(range)[4000] FROM range(4000)", [[4000, 3999]]);
  fails("SELECT list(range) FROM range(4001)", 422, `list collected more than 4000 elements${LESS}`);
  fails(
    "SELECT 1 FROM range(4001) HAVING len(list(range)) > 1",
    422,
    `list collected more than 4000 elements${LESS}`,
  );
  fails("SELECT ARRAY(SELECT range FROM range(4001))", 422, `list collected more than 4000 elements${LESS}`);
  fails("SELECT list(repeat('x', 1000)) FROM range(99)", 422, `list collected more than 96 KiB${LESS}`);
  gives("SELECT length(string_agg(repeat('x', 1000), '')) FROM range(98)", [[98000]]);
  fails(
    "SELECT string_agg(repeat('x', 1000), '') FROM range(99)",
    422,
    `string_agg collected a text of more than 96 KiB${LESS}`,
  );
  fails(
    "SELECT histogram(range) FROM range(4001)",
    422,
    "histogram counted more than 4000 different values; count ranges of them, such as histogram(x, [10, 100]).",
  );
  fails(
    "PIVOT (SELECT range AS k FROM range(201)) ON k USING count(*)",
    400,
    "PIVOT would make more than 200 columns of one column's values; list the values that you want: ON column IN ('a', 'b')",
  );
  fails(
    "PIVOT (SELECT repeat('x', 900) || range AS k FROM range(100)) ON k USING count(*)",
    400,
    "the values that PIVOT finds are too long to become columns; list the values that you want: ON column IN ('a', 'b')",
  );
  fails(
    "PIVOT (SELECT NULL AS k) ON k USING count(*)",
    400,
    "PIVOT finds no values that could become columns: no row has one",
  );
  gives("SELECT list_reduce(range(1000), (a, x) -> a + x)", [[499500]]);
  fails(
    "SELECT list_reduce(range(1001), (a, x) -> a + x)",
    422,
    "list_reduce takes lists of at most 1000 elements; list_sum, list_max and the like take more.",
  );
  fails(
    "WITH a AS (SELECT TIMESTAMP '2024-01-01' AS current_timestamp) SELECT current_timestamp FROM a",
    403,
    "a column is named current_timestamp; for the time write now(), for the column another name",
  );
  fails("SELECT 1e400", 400, "a number in the statement is too large for a DOUBLE");
});

describe("a UTC time is converted to a zone", () => {
  const berlin = (utc: string) => `local_time(TIMESTAMP '${utc}', 'Europe/Berlin')`;
  // Clocks go from 02:00 to 03:00 on 31 March 2024, and from 03:00 to 02:00 on 27 October, at 01:00 UTC.
  gives(`SELECT ${berlin("2024-03-31 00:59:59")}, ${berlin("2024-03-31 01:00:00")}`, [
    ["2024-03-31 01:59:59", "2024-03-31 03:00:00"],
  ]);
  gives(`SELECT ${berlin("2024-10-27 00:30:00")}, ${berlin("2024-10-27 01:30:00")}`, [
    ["2024-10-27 02:30:00", "2024-10-27 02:30:00"],
  ]);
  gives(
    "SELECT utc_time(TIMESTAMP '2024-03-31 01:59:59', 'Europe/Berlin'), utc_time(TIMESTAMP '2024-03-31 03:00:00', 'Europe/Berlin')",
    [["2024-03-31 00:59:59", "2024-03-31 01:00:00"]],
  );
  // India's offset has half an hour, and New York is behind UTC.
  gives(
    `SELECT local_time(ts, 'Asia/Kolkata'), local_time(ts, 'America/New_York') FROM ${HTTP} WHERE value = 50`,
    [["2024-01-02 15:30:00", "2024-01-02 05:00:00"]],
  );
  // Days of a zone are not those of UTC.
  gives(
    `SELECT date_trunc('day', local_time(ts, 'Pacific/Auckland')) AS day, count(*) FROM ${HTTP} GROUP BY day ORDER BY day`,
    [
      ["2024-01-01 00:00:00", 1],
      ["2024-01-02 00:00:00", 2],
    ],
  );
  gives(
    `SELECT count(*) FROM ${HTTP} WHERE ts >= utc_time(TIMESTAMP '2024-01-02 11:00:00', 'Europe/Berlin') AND ts < utc_time(DATE '2024-01-03', 'Europe/Berlin')`,
    [[1]],
  );
  // A trap: AT TIME ZONE reads a TIMESTAMP as a time of the zone, and returns the instant.
  gives(`SELECT (ts AT TIME ZONE 'Europe/Berlin') AT TIME ZONE 'UTC' FROM ${HTTP} WHERE value = 50`, [
    ["2024-01-02 09:00:00"],
  ]);
});

describe("the error for a frequent mistake says what to write instead", () => {
  const near = 'there is no column "statuscode"; did you mean status_code?';
  fails(`SELECT h.statuscode FROM ${HTTP} h`, 400, near);
  fails(`SELECT h.value FROM ${HTTP} h JOIN ${HTTP} k ON h.ts = k.ts WHERE k.statuscode = '200'`, 400, near);
  const zone = (name: string, more: string) => `there is no time zone "${name}"; ${more}`;
  fails(
    `SELECT local_time(ts, 'Europe/Berln') FROM ${HTTP}`,
    400,
    zone("Europe/Berln", "did you mean Europe/Berlin?"),
  );
  fails(
    `SELECT ts AT TIME ZONE 'Mars/Olympus Mons' FROM ${HTTP}`,
    400,
    zone("Mars/Olympus Mons", "a name such as Europe/Berlin or UTC was expected"),
  );
  const precedence =
    "labels is a map, not a condition: AND and = bind more tightly than ->>, so write (labels->>'name') = 'value', or labels['name'] = 'value'";
  fails(
    "SELECT count(*) FROM samples WHERE metric = 'http.request.duration_ms' AND labels->>'operation' = 'get_task'",
    400,
    precedence,
  );
  gives(
    "SELECT count(*) FROM samples WHERE metric = 'http.request.duration_ms' AND (labels->>'operation') = 'get_task'",
    [[2]],
  );
  gives(
    "SELECT count(*) FROM samples WHERE metric = 'http.request.duration_ms' AND labels['operation'] = 'get_task'",
    [[2]],
  );
  test("a parameter that is a number, beside a tag", async () => {
    const sql = `SELECT count(*) FROM ${HTTP} WHERE task_id = ?`;
    const error = await asked
      .rows(sql, { parameters: [738529527931269425n] })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      status: 400,
      message:
        'task_id is compared with a number, but tags are text and a value is "1_a"; send the parameter as text, in quotation marks',
    });
    expect(await asked.rows(sql, { parameters: ["1_a"] })).toEqual([[2]]);
  });
});
