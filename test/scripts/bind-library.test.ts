/** The library of DuckDB in the one file: its references to itself are bound, and it answers as before. */
import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { bindOwnSymbols } from "../../scripts/build.d/bind-library.ts";

const LIBRARY = dirname(
  Bun.resolveSync(`@duckdb/node-bindings-linux-${process.arch}/duckdb.node`, import.meta.dir),
);

/** Loads the binding of a folder and runs a statement that needs exceptions, virtual functions and another thread. */
const CHILD = `
  const module = { exports: {} };
  process.dlopen(module, process.argv[1]);
  const duckdb = module.exports;
  const database = await duckdb.open(":memory:");
  const connection = await duckdb.connect(database);
  const failed = await duckdb.query(connection, "SELECT error('expected')").catch((error) => error.message);
  const result = await duckdb.query(connection, "SELECT sum(i)::INTEGER FROM range(1000) t(i)");
  const chunk = await duckdb.fetch_chunk(result);
  const vector = duckdb.data_chunk_get_vector(chunk, 0);
  console.log(failed, new DataView(duckdb.vector_get_data(vector, 4).buffer).getInt32(0, true));
`;

test.skipIf(process.platform !== "linux")("a bound library answers, and is not changed a second time", () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-bind-"));
  try {
    for (const name of readdirSync(LIBRARY)) cpSync(join(LIBRARY, name), join(folder, name));
    const path = join(folder, "libduckdb.so");
    const library = readFileSync(path);
    const bytes = library.length;
    const { data, calls } = bindOwnSymbols(library);
    expect(data).toBeGreaterThan(30_000);
    expect(calls).toBeGreaterThan(20_000);
    expect(library.length).toBe(bytes);
    expect(bindOwnSymbols(Buffer.from(library))).toEqual({ data: 0, calls: 0 });
    writeFileSync(path, library);
    const { stdout, stderr } = Bun.spawnSync([
      process.execPath,
      "--no-env-file",
      "-e",
      CHILD,
      join(folder, "duckdb.node"),
    ]);
    expect(`${stdout}${stderr}`).toBe("Invalid Input Error: expected 499500\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a file that is no library is rejected", () => {
  expect(() => bindOwnSymbols(Buffer.from("#!/bin/sh\n"))).toThrow("not an ELF file");
});
