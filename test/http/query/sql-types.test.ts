/** The answers of POST /api/v1/sql with each type that the sandbox allows, byte for byte, in each format that is text. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { openTestGateway, type TestGateway } from "../../gateway.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await openTestGateway("--decode-workers=0");
});
afterAll(() => gateway.close());

/** A column: its SQL, its type, and its cell in JSON and in CSV. */
const COLUMNS = [
  ["true", "BOOLEAN", "true", "true"],
  ["(-128)::TINYINT", "TINYINT", "-128", "-128"],
  ["65535::USMALLINT", "USMALLINT", "65535", "65535"],
  ["4294967295::UINTEGER", "UINTEGER", "4294967295", "4294967295"],
  ["9007199254740991", "BIGINT", "9007199254740991", "9007199254740991"],
  ["9007199254740992", "BIGINT", '"9007199254740992"', "9007199254740992"],
  ["18446744073709551615::UBIGINT", "UBIGINT", '"18446744073709551615"', "18446744073709551615"],
  ["sum(3)", "HUGEINT", "3", "3"],
  [
    "340282366920938463463374607431768211455::UHUGEINT",
    "UHUGEINT",
    '"340282366920938463463374607431768211455"',
    "340282366920938463463374607431768211455",
  ],
  ["0.1::FLOAT", "FLOAT", "0.10000000149011612", "0.10000000149011612"],
  ["1e22::DOUBLE", "DOUBLE", "1e+22", "1e+22"],
  ["'-Infinity'::DOUBLE", "DOUBLE", '"-Infinity"', "-Infinity"],
  ["1.50", "DECIMAL(3,2)", '"1.50"', "1.50"],
  ["(-0.05)::DECIMAL(38, 10)", "DECIMAL(38,10)", '"-0.0500000000"', "-0.0500000000"],
  ["DATE '2024-02-29'", "DATE", '"2024-02-29"', "2024-02-29"],
  ["DATE 'infinity'", "DATE", '"5881580-07-11"', "5881580-07-11"],
  ["TIME '23:59:59.5'", "TIME", '"23:59:59.5"', "23:59:59.5"],
  [
    "TIMESTAMP '1969-12-31 23:59:59.999999'",
    "TIMESTAMP",
    '"1969-12-31 23:59:59.999999"',
    "1969-12-31 23:59:59.999999",
  ],
  ["TIMESTAMP 'infinity'", "TIMESTAMP", '"infinity"', "infinity"],
  ["TIMESTAMP_S '2024-02-29 12:00:00'", "TIMESTAMP_S", '"2024-02-29 12:00:00"', "2024-02-29 12:00:00"],
  [
    "TIMESTAMP_NS '2024-02-29 12:00:00.123456789'",
    "TIMESTAMP_NS",
    '"2024-02-29 12:00:00.123456789"',
    "2024-02-29 12:00:00.123456789",
  ],
  [
    "TIMESTAMPTZ '2024-02-29 12:00:00+02'",
    "TIMESTAMP WITH TIME ZONE",
    '"2024-02-29 10:00:00+00"',
    "2024-02-29 10:00:00+00",
  ],
  [
    "'5b2c1e1a-0000-4000-8000-00000000abcd'::UUID",
    "UUID",
    '"5b2c1e1a-0000-4000-8000-00000000abcd"',
    "5b2c1e1a-0000-4000-8000-00000000abcd",
  ],
  [
    "INTERVAL '1 month 3 days 2.5 seconds'",
    "INTERVAL",
    '"1 month 3 days 00:00:02.5"',
    "1 month 3 days 00:00:02.5",
  ],
  [
    "'ä, \"b\", longer than twelve bytes'",
    "VARCHAR",
    '"ä, \\"b\\", longer than twelve bytes"',
    '"ä, ""b"", longer than twelve bytes"',
  ],
  ["''", "VARCHAR", '""', '""'],
  ["NULL", "INTEGER", "null", ""],
  ["[1.5, NULL]", "DECIMAL(2,1)[]", '["1.5",null]', '"[""1.5"",null]"'],
  ["[[], NULL, ['x']]", "VARCHAR[][]", '[[],null,["x"]]', '"[[],null,[""x""]]"'],
  ["[INTERVAL '-5' MINUTE]", "INTERVAL[]", '["-00:05:00"]', '"[""-00:05:00""]"'],
  [
    "{'a': 1, 'b c': DATE '2024-02-29'}",
    'STRUCT("a" INTEGER, "b c" DATE)',
    '{"a":1,"b c":"2024-02-29"}',
    '"{""a"":1,""b c"":""2024-02-29""}"',
  ],
  ["MAP {'k': 1, 'l': NULL}", "MAP(VARCHAR, INTEGER)", '{"k":1,"l":null}', '"{""k"":1,""l"":null}"'],
  ["MAP {1: 'x'}", "MAP(INTEGER, VARCHAR)", '[{"key":1,"value":"x"}]', '"[{""key"":1,""value"":""x""}]"'],
  ["'{\"a\": 1}'::JSON", "VARCHAR", '"{\\"a\\": 1}"', '"{""a"": 1}"'],
] as const;

const SQL = `SELECT ${COLUMNS.map(([sql], at) => `${sql} AS c${at}`).join(", ")}`;
const body = JSON.stringify({ sql: SQL });

test("JSON", async () => {
  const columns = COLUMNS.map(([, type], at) => ({ name: `c${at}`, type }));
  const row = COLUMNS.map(([, , json], at) => `"c${at}":${json}`).join(",");
  expect(await gateway.send("POST /api/v1/sql", body)).toEqual([
    200,
    `{"columns":${JSON.stringify(columns)},"rows":[\n{${row}}\n],"truncated":false}`,
  ]);
  expect(await gateway.send("POST /api/v1/sql?format=ndjson", body)).toEqual([200, `{${row}}`]);
});

test("CSV", async () => {
  const header = COLUMNS.map((_, at) => `c${at}`).join(",");
  const row = COLUMNS.map(([, , , csv]) => csv).join(",");
  expect(await gateway.send("POST /api/v1/sql?format=csv", body)).toEqual([200, `${header}\n${row}`]);
});
