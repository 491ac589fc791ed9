/** Compares the list of allowed functions with the engine and with its document. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { allowedFunctions, KNOWN_ELSEWHERE } from "../../../src/query/sandbox/allowed-functions.ts";
import { type Connection, Database } from "../../../src/store/engine/duckdb.ts";

let database: Database;
let connection: Connection;
beforeAll(async () => {
  database = await Database.open(":memory:", {
    memoryLimitBytes: 256 * 1_048_576,
    threads: 1,
    temporaryDirectory: "",
  });
  connection = await database.connect();
});
afterAll(() => {
  connection.close();
  database.close();
});

describe("every function of the list", () => {
  test("exists in the engine or is one of our macros", async () => {
    const known = await connection.all<{ name: string }>(
      "SELECT DISTINCT lower(function_name) AS name FROM duckdb_functions()",
    );
    const names = new Set(known.map(({ name }) => name));
    // Functions that the parser makes of syntax, and the macros of sql/query/.
    for (const name of ["coalesce", "ifnull", "local_time", "utc_time"]) names.add(name);
    expect(allowedFunctions().filter(({ name }) => !names.has(name.toLowerCase()))).toEqual([]);
  });

  test("is documented with its bounds, and the document lists no other function", () => {
    const document = readFileSync(join(import.meta.dir, "../../../src/query/README.md"), "utf8");
    const lists = document.slice(document.indexOf("### Aggregates"), document.indexOf("Types for casts"));
    const documented = [...lists.matchAll(/`(\w+)`/g)].map(([, name]) => name);
    expect(documented.sort()).toEqual(
      allowedFunctions()
        .map(({ name }) => name)
        .sort(),
    );
    const flat = lists.replaceAll(/\s+/g, " ");
    for (const { name, bounds } of allowedFunctions())
      if (bounds !== undefined)
        expect({ name, found: flat.includes(`- ${bounds}: `) }).toEqual({ name, found: true });
  });

  test("is the target of each known name of another database", () => {
    const names = new Set(allowedFunctions().map(({ name }) => name));
    const wrong = [...KNOWN_ELSEWHERE].filter(
      ([other, name]) => names.has(other) || (!names.has(name) && name !== "CASE WHEN"),
    );
    expect(wrong).toEqual([]);
  });
});
