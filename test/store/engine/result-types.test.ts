/** What a value of each type of the engine becomes, with the least and the greatest value of the type, NULL, and nested ones. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Connection, Database } from "../../../src/store/engine/duckdb.ts";
import type { Cell } from "../../../src/store/store.ts";

let database: Database;
let connection: Connection;

beforeAll(async () => {
  database = await Database.open(":memory:", {
    memoryLimitBytes: 268_435_456,
    threads: 1,
    temporaryDirectory: ".",
  });
  connection = await database.connect();
});

afterAll(() => {
  connection.close();
  database.close();
});

/** The types and the rows of a statement. */
async function answerOf(sql: string): Promise<{ types: string[]; rows: (readonly Cell[])[] }> {
  const stream = await connection.stream(sql);
  const rows: (readonly Cell[])[] = [];
  for await (const chunk of stream.chunks()) rows.push(...chunk);
  return { types: stream.columns.map(({ type }) => type), rows };
}

const DUCKS = "🦆🦆🦆🦆🦆🦆";
const members = (names: readonly string[]) => `ENUM(${names.map((name) => `'${name}'`).join(", ")})`;
/** The greatest DOUBLE as an integer, which the least and the greatest BIGNUM are. */
const DOUBLE_MAX = BigInt(Number.MAX_VALUE);
const INTEGERS = [42, 999, null, null, -42];
const TEXTS = [DUCKS, "goose", null, ""];

/** Of each column of test_all_types(): the type, and the cells of its first two rows. The third row is NULL. */
const ALL_TYPES: Readonly<Record<string, readonly [type: string, least: Cell, greatest: Cell]>> = {
  bool: ["BOOLEAN", false, true],
  tinyint: ["TINYINT", -128, 127],
  smallint: ["SMALLINT", -32_768, 32_767],
  int: ["INTEGER", -2_147_483_648, 2_147_483_647],
  bigint: ["BIGINT", "-9223372036854775808", "9223372036854775807"],
  hugeint: ["HUGEINT", "-170141183460469231731687303715884105728", "170141183460469231731687303715884105727"],
  uhugeint: ["UHUGEINT", 0, "340282366920938463463374607431768211455"],
  utinyint: ["UTINYINT", 0, 255],
  usmallint: ["USMALLINT", 0, 65_535],
  uint: ["UINTEGER", 0, 4_294_967_295],
  ubigint: ["UBIGINT", 0, "18446744073709551615"],
  bignum: ["BIGNUM", String(-DOUBLE_MAX), String(DOUBLE_MAX)],
  date: ["DATE", "5877642-06-25 (BC)", "5881580-07-10"],
  time: ["TIME", "00:00:00", "24:00:00"],
  timestamp: ["TIMESTAMP", "290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54.775806"],
  timestamp_s: ["TIMESTAMP_S", "290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54"],
  timestamp_ms: ["TIMESTAMP_MS", "290309-12-22 (BC) 00:00:00", "294247-01-10 04:00:54.775"],
  timestamp_ns: ["TIMESTAMP_NS", "1677-09-22 00:00:00", "2262-04-11 23:47:16.854775806"],
  time_tz: ["TIME WITH TIME ZONE", "00:00:00+15:59:59", "24:00:00-15:59:59"],
  timestamp_tz: [
    "TIMESTAMP WITH TIME ZONE",
    "290309-12-22 (BC) 00:00:00+00",
    "294247-01-10 04:00:54.775806+00",
  ],
  float: ["FLOAT", -3.4028234663852886e38, 3.4028234663852886e38],
  double: ["DOUBLE", -Number.MAX_VALUE, Number.MAX_VALUE],
  dec_4_1: ["DECIMAL(4,1)", "-999.9", "999.9"],
  dec_9_4: ["DECIMAL(9,4)", "-99999.9999", "99999.9999"],
  dec_18_6: ["DECIMAL(18,6)", "-999999999999.999999", "999999999999.999999"],
  dec38_10: [
    "DECIMAL(38,10)",
    "-9999999999999999999999999999.9999999999",
    "9999999999999999999999999999.9999999999",
  ],
  uuid: ["UUID", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
  interval: ["INTERVAL", "00:00:00", "83 years 3 months 999 days 00:16:39.999999"],
  varchar: ["VARCHAR", DUCKS, "goo\0se"],
  blob: ["BLOB", "thisisalongblob\\x00withnullbytes", "\\x00\\x00\\x00a"],
  bit: ["BIT", "0010001001011100010101011010111", "10101"],
  small_enum: [members(["DUCK_DUCK_ENUM", "GOOSE"]), "DUCK_DUCK_ENUM", "GOOSE"],
  medium_enum: [members(Array.from({ length: 300 }, (_, at) => `enum_${at}`)), "enum_0", "enum_299"],
  large_enum: [members(["enum_0", "enum_69999"]), "enum_0", "enum_69999"],
  int_array: ["INTEGER[]", [], INTEGERS],
  double_array: ["DOUBLE[]", [], [42, "NaN", "Infinity", "-Infinity", null, -42]],
  date_array: ["DATE[]", [], ["1970-01-01", "5881580-07-11", "5877642-06-24 (BC)", null, "2022-05-12"]],
  timestamp_array: [
    "TIMESTAMP[]",
    [],
    ["1970-01-01 00:00:00", "infinity", "-infinity", null, "2022-05-12 16:23:45"],
  ],
  timestamptz_array: [
    "TIMESTAMP WITH TIME ZONE[]",
    [],
    ["1970-01-01 00:00:00+00", "infinity", "-infinity", null, "2022-05-12 23:23:45+00"],
  ],
  varchar_array: ["VARCHAR[]", [], TEXTS],
  nested_int_array: ["INTEGER[][]", [], [[], INTEGERS, null, [], INTEGERS]],
  struct: ['STRUCT("a" INTEGER, "b" VARCHAR)', { a: null, b: null }, { a: 42, b: DUCKS }],
  struct_of_arrays: ['STRUCT("a" INTEGER[], "b" VARCHAR[])', { a: null, b: null }, { a: INTEGERS, b: TEXTS }],
  array_of_structs: [
    'STRUCT("a" INTEGER, "b" VARCHAR)[]',
    [],
    [{ a: null, b: null }, { a: 42, b: DUCKS }, null],
  ],
  map: ["MAP(VARCHAR, VARCHAR)", {}, { key1: DUCKS, key2: "goose" }],
  union: ['UNION("name" VARCHAR, "age" SMALLINT)', { tag: "name", value: "Frank" }, { tag: "age", value: 5 }],
  fixed_int_array: ["INTEGER[3]", [null, 2, 3], [4, 5, 6]],
  fixed_varchar_array: ["VARCHAR[3]", ["a", null, "c"], ["d", "e", "f"]],
  fixed_nested_int_array: [
    "INTEGER[3][3]",
    [[null, 2, 3], null, [null, 2, 3]],
    [
      [4, 5, 6],
      [null, 2, 3],
      [4, 5, 6],
    ],
  ],
  fixed_nested_varchar_array: [
    "VARCHAR[3][3]",
    [["a", null, "c"], null, ["a", null, "c"]],
    [
      ["d", "e", "f"],
      ["a", null, "c"],
      ["d", "e", "f"],
    ],
  ],
  fixed_struct_array: [
    'STRUCT("a" INTEGER, "b" VARCHAR)[3]',
    [
      { a: null, b: null },
      { a: 42, b: DUCKS },
      { a: null, b: null },
    ],
    [
      { a: 42, b: DUCKS },
      { a: null, b: null },
      { a: 42, b: DUCKS },
    ],
  ],
  struct_of_fixed_array: [
    'STRUCT("a" INTEGER[3], "b" VARCHAR[3])',
    { a: [null, 2, 3], b: ["a", null, "c"] },
    { a: [4, 5, 6], b: ["d", "e", "f"] },
  ],
  fixed_array_of_int_list: ["INTEGER[][3]", [[], INTEGERS, []], [INTEGERS, [], INTEGERS]],
  list_of_fixed_int_array: [
    "INTEGER[3][]",
    [
      [null, 2, 3],
      [4, 5, 6],
      [null, 2, 3],
    ],
    [
      [4, 5, 6],
      [null, 2, 3],
      [4, 5, 6],
    ],
  ],
  time_ns: ["TIME_NS", "00:00:00", "24:00:00"],
};

test("the least and the greatest value of each type of the engine", async () => {
  const { columns, chunks } = await connection.stream("FROM test_all_types()");
  // A geometry has bytes of a format of its own. Below is one that is read by hand.
  expect(columns.map(({ name }) => name)).toEqual([...Object.keys(ALL_TYPES), "geometry"]);
  expect(await Array.fromAsync(chunks())).toHaveLength(1);
  const { types, rows } = await answerOf("SELECT * EXCLUDE (geometry) FROM test_all_types()");
  const wanted = Object.values(ALL_TYPES);
  expect(types).toEqual(wanted.map(([type]) => type));
  expect(rows[0]).toEqual(wanted.map(([, least]) => least));
  expect(rows[1]).toEqual(wanted.map(([, , greatest]) => greatest));
  expect(rows[2]).toEqual(wanted.map(() => null));
  expect(rows).toHaveLength(3);
});

test("the same in lists, in structs and as values of maps", async () => {
  const names = Object.keys(ALL_TYPES);
  for (const name of names) {
    const [type, least, greatest] = ALL_TYPES[name]!;
    const { types, rows } = await answerOf(
      `SELECT list(c), {'a': first(c), 'b "c"': last(c)}, MAP {'k': last(c), 'l': NULL}, MAP {1: first(c)}, list([c]), list({'c': c})
       FROM (SELECT "${name}" AS c FROM test_all_types() LIMIT 2)`,
    );
    expect(types).toEqual([
      `${type}[]`,
      `STRUCT("a" ${type}, "b ""c""" ${type})`,
      `MAP(VARCHAR, ${type})`,
      `MAP(INTEGER, ${type})`,
      `${type}[][]`,
      `STRUCT("c" ${type})[]`,
    ]);
    expect(rows).toEqual([
      [
        [least, greatest],
        { a: least, 'b "c"': greatest },
        { k: greatest, l: null },
        [{ key: 1, value: least }],
        [[least], [greatest]],
        [{ c: least }, { c: greatest }],
      ],
    ]);
  }
});

const DAYS = "DATE '2024-02-29'";

/** Values that `test_all_types()` does not have: a statement's column, its type and its cell. */
const OTHERS: readonly (readonly [sql: string, type: string, cell: Cell])[] = [
  ["NULL", "INTEGER", null],
  ["[]", "INTEGER[]", []],
  ["[NULL]", "INTEGER[]", [null]],
  ["MAP {}", "MAP(INTEGER, INTEGER)", []],
  ["MAP {[1]: 'x'}", "MAP(INTEGER[], VARCHAR)", [{ key: [1], value: "x" }]],
  ["MAP {'b': 1, 'a': MAP {'c': NULL}['x']}", "MAP(VARCHAR, INTEGER)", { b: 1, a: null }],
  ["9007199254740991::BIGINT", "BIGINT", Number.MAX_SAFE_INTEGER],
  ["9007199254740992::BIGINT", "BIGINT", "9007199254740992"],
  ["(-9007199254740991)::BIGINT", "BIGINT", Number.MIN_SAFE_INTEGER],
  ["(-9007199254740992)::BIGINT", "BIGINT", "-9007199254740992"],
  ["(-4294967296)::BIGINT", "BIGINT", -4_294_967_296],
  ["9007199254740991::UBIGINT", "UBIGINT", Number.MAX_SAFE_INTEGER],
  ["9007199254740992::UBIGINT", "UBIGINT", "9007199254740992"],
  ["9007199254740991::HUGEINT", "HUGEINT", Number.MAX_SAFE_INTEGER],
  ["9007199254740993::HUGEINT", "HUGEINT", "9007199254740993"],
  ["(-1)::HUGEINT", "HUGEINT", -1],
  ["(-9007199254740991)::HUGEINT", "HUGEINT", Number.MIN_SAFE_INTEGER],
  ["(-9007199254740992)::HUGEINT", "HUGEINT", "-9007199254740992"],
  ["18446744073709551616::HUGEINT", "HUGEINT", "18446744073709551616"],
  ["(-18446744073709551616)::HUGEINT", "HUGEINT", "-18446744073709551616"],
  ["-0.0::DECIMAL(4, 3)", "DECIMAL(4,3)", "0.000"],
  ["(-0.005)::DECIMAL(4, 3)", "DECIMAL(4,3)", "-0.005"],
  ["12::DECIMAL(10, 0)", "DECIMAL(10,0)", "12"],
  ["(-12)::DECIMAL(38, 0)", "DECIMAL(38,0)", "-12"],
  ["0::DECIMAL(38, 38)", "DECIMAL(38,38)", `0.${"0".repeat(38)}`],
  ["(-0.00001)::DECIMAL(18, 5)", "DECIMAL(18,5)", "-0.00001"],
  ["DATE '0001-01-01'", "DATE", "0001-01-01"],
  // As in ISO 8601. The engine's own text is 0001-12-31 (BC).
  ["DATE '0001-12-31 (BC)'", "DATE", "0000-12-31"],
  ["DATE '0002-12-31 (BC)'", "DATE", "0002-12-31 (BC)"],
  ["DATE '9999-12-31'", "DATE", "9999-12-31"],
  ["DATE '10000-01-01'", "DATE", "10000-01-01"],
  ["DATE '1969-12-31'", "DATE", "1969-12-31"],
  ["TIMESTAMP '0001-01-01 00:00:00'", "TIMESTAMP", "0001-01-01 00:00:00"],
  ["TIMESTAMP '10000-01-01 00:00:00.5'", "TIMESTAMP", "10000-01-01 00:00:00.5"],
  ["TIMESTAMPTZ '2024-02-29 12:00:00+02'", "TIMESTAMP WITH TIME ZONE", "2024-02-29 10:00:00+00"],
  ["TIME '23:59:59.000001'", "TIME", "23:59:59.000001"],
  ["TIMESTAMP_NS '2024-02-29 12:00:00.123456789'", "TIMESTAMP_NS", "2024-02-29 12:00:00.123456789"],
  ["TIME_NS '12:00:00.000000001'", "TIME_NS", "12:00:00.000000001"],
  [`INTERVAL '-1 month 3 days -00:00:00.5'`, "INTERVAL", "-1 month 3 days -00:00:00.5"],
  [`[${DAYS} - DATE '2024-02-28', NULL]`, "BIGINT[]", [1, null]],
  ["'{\"a\": [1]}'::JSON", "VARCHAR", '{"a": [1]}'],
  ["''::BLOB", "BLOB", ""],
  [`'"a'::BLOB || '\\xFFlonger than twelve'::BLOB`, "BLOB", "\\x22a\\xFFlonger than twelve"],
  ["1::VARIANT", "VARIANT", 1],
  ["[1::VARIANT, 'a'::VARIANT, [1.5]::VARIANT]", "VARIANT[]", [1, "a", ["1.5"]]],
  ["{'a': 1, 'b': 'x'}::VARIANT", "VARIANT", { a: 1, b: "x" }],
  ["union_value(n := NULL::INTEGER)", 'UNION("n" INTEGER)', { tag: "n", value: null }],
  ["'\\x01\\x01'::BLOB::VARCHAR", "VARCHAR", "\\x01\\x01"],
  ["repeat('é', 6)", "VARCHAR", "éééééé"],
  ["repeat('é', 7)", "VARCHAR", "ééééééé"],
  ["'12 bytes....' ", "VARCHAR", "12 bytes...."],
  ["'13 bytes.....'", "VARCHAR", "13 bytes....."],
  ["{'2': 1, '1': 2}", 'STRUCT("2" INTEGER, "1" INTEGER)', { "1": 2, "2": 1 }],
  // A byte order mark is a part of a text.
  ["chr(65279) || 'abc'", "VARCHAR", "\uFEFFabc"],
  ["chr(65279) || 'more than twelve'", "VARCHAR", "\uFEFFmore than twelve"],
  ["MAP {chr(65279): [chr(65279)]}", "MAP(VARCHAR, VARCHAR[])", { "\uFEFF": ["\uFEFF"] }],
  ["row(1, 2)", 'STRUCT("" INTEGER, "" INTEGER)', { "": 2 }],
  [
    "{'l': MAP {'k': [{'x': 'a text of more than twelve bytes'}]}}",
    'STRUCT("l" MAP(VARCHAR, STRUCT("x" VARCHAR)[]))',
    {
      l: { k: [{ x: "a text of more than twelve bytes" }] },
    },
  ],
];

test("values at the edges of a number, of a calendar and of a text", async () => {
  const { types, rows } = await answerOf(`SELECT ${OTHERS.map(([sql]) => sql).join(", ")}`);
  expect(types).toEqual(OTHERS.map(([, type]) => type));
  expect(rows).toEqual([OTHERS.map(([, , cell]) => cell)]);
  // The columns of `all` are named by their expressions.
  for (const [sql, , cell] of OTHERS)
    expect(await connection.all(`SELECT ${sql} AS cell`)).toEqual([{ cell }]);
});

test("each field of a struct and each key of a map is kept, whatever its name", async () => {
  const { rows } = await answerOf("SELECT {'__proto__': 1, 'b': {'__proto__': [2]}}, MAP {'__proto__': 3}");
  expect(JSON.stringify(rows)).toBe('[[{"__proto__":1,"b":{"__proto__":[2]}},{"__proto__":3}]]');
});

test("a point has the bytes of its type", async () => {
  const { types, rows } = await answerOf(
    "SELECT geometry FROM test_all_types() WHERE geometry IS NOT NULL LIMIT 1",
  );
  expect(types).toEqual(["GEOMETRY"]);
  // The order of the bytes, the type and two coordinates that are NaN.
  const nan = "\\x00\\x00\\x00\\x00\\x00\\x00\\xF8\\x7F";
  expect(rows).toEqual([[`\\x01\\x01\\x00\\x00\\x00${nan}${nan}`]]);
});

test("rows of many chunks, with NULL in each and lists of different lengths", async () => {
  const length = 40_000;
  const sql = `SELECT i AS number, IF(i % 5 = 0, NULL, 'row ' || i) AS text, IF(i % 7 = 0, NULL, [i, NULL, i * 10][:1 + i % 3]) AS list,
    MAP {'k': i // 2} AS map, IF(i % 3 = 0, NULL, (i / 4)::DECIMAL(9, 2)) AS part, IF(i % 11 = 0, NULL, to_seconds(i)) AS other
    FROM range(${length}) AS t(i) ORDER BY i`;
  const wanted = Array.from({ length }, (_, i) => ({
    number: i,
    text: i % 5 === 0 ? null : `row ${i}`,
    list: i % 7 === 0 ? null : [i, null, i * 10].slice(0, 1 + (i % 3)),
    map: { k: Math.floor(i / 2) },
    part: i % 3 === 0 ? null : (i / 4).toFixed(2),
    other: i % 11 === 0 ? null : new Date(i * 1_000).toISOString().slice(11, 19),
  }));
  expect(await connection.all(sql)).toEqual(wanted);
  const { rows } = await answerOf(sql);
  expect(rows).toEqual(wanted.map((row) => Object.values(row)));
});

test("a parameter has the type of its value", async () => {
  const values = [
    [null, '"NULL"', null],
    [true, "BOOLEAN", true],
    [1, "BIGINT", 1],
    [1.5, "DOUBLE", 1.5],
    [Number.NaN, "DOUBLE", "NaN"],
    [2 ** 53, "DOUBLE", 2 ** 53],
    [2n ** 63n - 1n, "BIGINT", "9223372036854775807"],
    [2n ** 63n, "HUGEINT", "9223372036854775808"],
    [-(2n ** 127n), "HUGEINT", "-170141183460469231731687303715884105728"],
    ["a text of more than twelve bytes", "VARCHAR", "a text of more than twelve bytes"],
    [new Date(-1), "TIMESTAMP", "1969-12-31 23:59:59.999"],
    [{ digits: -15n, scale: 3 }, "DECIMAL(38,3)", "-0.015"],
    [[1, -2], "BIGINT[]", [1, -2]],
    [[], "BIGINT[]", []],
  ] as const;
  for (const [value, type, cell] of values) {
    const wanted = [{ cell, type }];
    expect(await connection.all("SELECT $1 AS cell, typeof($1) AS type", [value])).toEqual(wanted);
    expect(await connection.all("SELECT $a AS cell, typeof($a) AS type", { a: value })).toEqual(wanted);
    const stream = await connection.stream("SELECT $a, typeof($a)", { a: value });
    expect(await Array.fromAsync(stream.chunks())).toEqual([[[cell, type]]]);
  }
  await connection.runTexts("CREATE TABLE texts AS SELECT unnest($1) AS text", ["a", "longer than twelve"]);
  expect(await connection.all("FROM texts")).toEqual([{ text: "a" }, { text: "longer than twelve" }]);
});

test("a parameter that is wrong is named by the engine's own error", async () => {
  const errors: string[] = [];
  for (const parameters of [[], [1, 2], { b: 1 }, [2n ** 128n]])
    for (const run of [
      () => connection.all("SELECT $1", parameters),
      () => connection.stream("SELECT $1", parameters),
    ])
      errors.push(
        String(
          await run().then(
            () => "none",
            (error: unknown) => error,
          ),
        ),
      );
  expect(errors).toEqual(
    [
      "Error: Invalid Input Error: Values were not provided for the following prepared statement parameters: 1",
      "Error: Failed to bind value: Invalid Input Error: Can not bind to parameter number 2, statement only has 1 parameter(s)",
      "Error: Failed to retrieve bind parameter index",
      "Error: bigint out of hugeint range",
    ].flatMap((text) => [text, text]),
  );
  // The transaction of the last stream has ended.
  expect(await connection.all("SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("cells that are appended to a small table", async () => {
  await connection.run("CREATE TABLE cells (a UBIGINT, b VARCHAR, c TIMESTAMP, d DATE, e INTEGER, f JSON)");
  await connection.run("BEGIN TRANSACTION");
  const greatest = Number.MAX_SAFE_INTEGER;
  await connection.append("main", "cells", [
    [
      { type: "ubigint", value: greatest },
      { type: "varchar", value: "" },
      { type: "timestampMs", value: -0.001 },
      { type: "date", value: -1 },
      { type: "ubigint", value: 7 },
      { type: "varchar", value: "{}" },
    ],
    [
      { type: "ubigint", value: 0 },
      { type: "varchar", value: null },
      { type: "timestampMs", value: null },
      { type: "date", value: null },
      { type: "ubigint", value: 2_147_483_647 },
      { type: "varchar", value: '{"a": "ä, of more than twelve bytes"}' },
    ],
  ]);
  await expect(connection.append("main", "cells", [[{ type: "ubigint", value: 1 }]])).rejects.toThrow(/./);
  await connection.run("COMMIT");
  expect(await connection.all("FROM cells")).toEqual([
    { a: greatest, b: "", c: "1969-12-31 23:59:59.999999", d: "1969-12-31", e: 7, f: "{}" },
    { a: 0, b: null, c: null, d: null, e: 2_147_483_647, f: '{"a": "ä, of more than twelve bytes"}' },
  ]);
});
