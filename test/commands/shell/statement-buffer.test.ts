/** When a statement that is typed is complete. */
import { expect, test } from "bun:test";
import { StatementBuffer } from "../../../src/commands/shell/statement-buffer.ts";
import { completionsOf } from "../../../src/commands/shell/word-completion.ts";

function statementsOf(...lines: string[]): { statements: string[]; pending: boolean } {
  const buffer = new StatementBuffer();
  return { statements: lines.flatMap((line) => buffer.add(line)), pending: buffer.isPending };
}

test("a semicolon ends a statement only outside of texts, names and comments", () => {
  const complete = (lines: string[], statements: string[]) =>
    expect(statementsOf(...lines)).toEqual({ statements, pending: false });
  complete(["SELECT 1;"], ["SELECT 1"]);
  complete(["SELECT 1", "  + 2;"], ["SELECT 1\n  + 2"]);
  complete(["SELECT 1; SELECT 2;"], ["SELECT 1", "SELECT 2"]);
  complete(["SELECT 'a;b', 'it''s;';"], ["SELECT 'a;b', 'it''s;'"]);
  complete(['SELECT 1 AS "a;""b";'], ['SELECT 1 AS "a;""b"']);
  complete(["SELECT 1 -- not; here", ";"], ["SELECT 1 -- not; here"]);
  complete(["SELECT /* ; */ 1;"], ["SELECT /* ; */ 1"]);
  complete(["SELECT $$a;b$$, $x$;$$;$x$;"], ["SELECT $$a;b$$, $x$;$$;$x$"]);
  complete(["", "  ", ";;", "-- only a comment;"], []);
});

test("a text, a name or a comment that has not ended keeps the statement open", () => {
  for (const line of ["SELECT 1", "SELECT 'a;", 'SELECT "a;', "SELECT /* ;", "SELECT $$;"])
    expect(statementsOf(line)).toEqual({ statements: [], pending: true });
  expect(statementsOf("SELECT 'a;", "b';").statements).toEqual(["SELECT 'a;\nb'"]);
});

test("completion knows tables after FROM, and the columns of the tables that are named", () => {
  const tables = [
    { table: "queue_depth", columns: [{ name: "ts" }, { name: "queue" }] },
    { table: "job_ms", columns: [{ name: "ts" }, { name: "job_id" }] },
  ];
  expect(completionsOf("SELECT * FROM q", "", tables)).toEqual([["queue_depth"], "q"]);
  expect(completionsOf("SELECT job_i", "", tables)).toEqual([["job_id"], "job_i"]);
  // The table of an earlier line counts, and columns of others are not offered.
  expect(completionsOf("WHERE j", "SELECT * FROM queue_depth\n", tables)).toEqual([["join"], "j"]);
  expect(completionsOf("SEL", "", tables)).toEqual([["SELECT"], "SEL"]);
  expect(completionsOf(".ti", "", tables)).toEqual([[".timing"], ".ti"]);
  expect(completionsOf(".schema j", "", tables)).toEqual([["job_ms"], "j"]);
  expect(completionsOf(".mode c", "", tables)).toEqual([["csv"], "c"]);
  expect(completionsOf("\\pr", "", tables)).toEqual([["\\promql"], "\\pr"]);
});
