/** What the engine says about a statement, in parts. Each text is one that DuckDB 1.5 wrote. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Connection, Database } from "../../../src/store/engine/duckdb.ts";
import {
  parseFailureOf,
  type SerializeAnswer,
  statementErrorOf,
} from "../../../src/store/engine/statement-faults.ts";
import { statement } from "../../../src/store/statements.ts";

let database: Database;
let connection: Connection;

beforeAll(async () => {
  database = await Database.open(":memory:", {
    memoryLimitBytes: 2 ** 26,
    threads: 1,
    temporaryDirectory: "/nonexistent",
  });
  connection = await database.connect();
  await connection.run(
    "CREATE TABLE t AS SELECT 'unknown' AS status, TIMESTAMP '2024-01-01' AS ts, MAP {'a': 'b'} AS labels",
  );
});

afterAll(() => {
  connection.close();
  database.close();
});

/** The engine's error for the statement has these parts. */
function says(sql: string, want: Record<string, unknown>): void {
  test(sql, async () => {
    const error = await connection.all(sql).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(statementErrorOf(error!)).toMatchObject(want);
  });
}

describe("the engine's error is recognised for", () => {
  says("SELECT * FROM t WHERE status = 200", {
    kind: "text is not of the type",
    text: "unknown",
    type: "INT32",
    column: "status",
  });
  says("SELECT 'it''s'::DOUBLE", { kind: "text is not of the type", text: "it's", type: "DOUBLE" });
  says("SELECT * FROM t WHERE status > 200", { kind: "text is compared with a number" });
  says("SELECT * FROM t WHERE status BETWEEN 1 AND 2", { kind: "text is compared with a number" });
  says("SELECT * FROM t WHERE ts > 1704103200.5", { kind: "time is compared with a number" });
  says("SELECT sum(status) FROM t", {
    kind: "no such variant of a function",
    types: ["VARCHAR"],
    takesText: false,
    sentence:
      "No function matches the given name and argument types 'sum(VARCHAR)'. You might need to add explicit type casts.",
  });
  says("SELECT status + 1 FROM t", {
    kind: "no such variant of a function",
    types: ["VARCHAR", "INTEGER_LITERAL"],
    takesText: false,
  });
  says("SELECT upper(status, status) FROM t", { kind: "no such variant of a function", takesText: true });
  says("SELECT 1 FROM t WHERE labels AND true", { kind: "map is used as a condition", column: "labels" });
  says("SELECT ts AT TIME ZONE 'Europe/Berln' FROM t", { kind: "no such time zone", zone: "Europe/Berln" });
  says("SELECT stats FROM t", {
    kind: "no such column",
    column: "stats",
    summary:
      'Binder Error: Referenced column "stats" not found in FROM clause! Candidate bindings: "status", "ts", "labels"',
  });
  says("SELECT t.other FROM t", { kind: "no such column", column: "other" });
  says("SELECT error('weir: list collected too much')", {
    kind: "guarded",
    reason: "list collected too much",
  });
  says("SELECT 1 FROM", { kind: "other" });
});

describe("a text of a person that looks like an error is a text", () => {
  says("SELECT 'Binder Error: Referenced column \"a\" not found'::DOUBLE", {
    kind: "text is not of the type",
    text: 'Binder Error: Referenced column "a" not found',
  });
  says("SELECT error('about weir: nothing')", { kind: "other" });
});

describe("the parser's failure is recognised for", () => {
  const fails = (sql: string, want: unknown) =>
    test(sql, async () => {
      const [row] = await connection.all<{ tree: string }>(statement("query/serialize"), [sql]);
      expect(parseFailureOf(JSON.parse(row!.tree) as SerializeAnswer)).toEqual(want as never);
    });
  fails("SELECT 1", undefined);
  fails("DELETE FROM t", {
    kind: "not a select",
    sentence: "Only SELECT statements can be serialized to json!",
    position: undefined,
  });
  fails("SELECT 1 FORM t x", {
    kind: "syntax",
    sentence: 'syntax error at or near "t"',
    position: 14,
  });
  fails("PIVOT (SELECT * FROM t WHERE status = $1) ON status USING count(*)", {
    kind: "open pivot",
    sentence:
      "PIVOT statements with pivot elements extracted from the data cannot have parameters in their source.",
    position: undefined,
  });
});
