/** Connections that one reader after the other uses. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { DuckDBStore } from "../../../src/store/duckdb-store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

let folder: string;
let store: DuckDBStore;

const open = async () => {
  const { store: opened } = await openStore({
    path: join(folder, "store.duckdb"),
    memoryLimitBytes: 2 ** 28,
    threads: 2,
    counters: createCounters(),
    temporaryDirectory: join(folder, "tmp"),
  });
  store = opened;
};
beforeEach(async () => {
  folder = temporaryFolder();
  await open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const view = (name: string, value: number) => `CREATE OR REPLACE TEMP VIEW "${name}" AS SELECT ${value} AS x`;
const FOUND = `SELECT view_name AS name FROM duckdb_views() WHERE temporary AND NOT internal ORDER BY 1`;

/** The temporary views that a reader finds, after which it makes one. */
async function found(make?: string): Promise<unknown[]> {
  const reader = await store.statementReader();
  const views = await reader.all(FOUND);
  if (make !== undefined) await reader.run(make);
  reader.close();
  return views.map(({ name }) => name);
}

test("a later reader finds the views of an earlier one, and a plain reader none", async () => {
  expect(await found(view("a", 1))).toEqual([]);
  expect(await found(view("b", 2))).toEqual(["a"]);
  expect(await found()).toEqual(["a", "b"]);
  const plain = await store.reader();
  expect(await plain.all(FOUND)).toEqual([]);
  plain.close();
});

test("a view is made again only if it differs, in any case of its name", async () => {
  const value = async (name: string, sql: string) => {
    const reader = await store.statementReader();
    await reader.run(sql);
    const [row] = await reader.all(`SELECT x FROM "${name}"`);
    reader.close();
    return row!.x;
  };
  expect(await value("a", view("a", 1))).toBe(1);
  expect(await value("a", view("a", 1))).toBe(1);
  expect(await value("A", view("A", 2))).toBe(2);
  expect(await value("a", view("a", 1))).toBe(1);
  expect(await value("a", `-- A comment.\n${view("a", 3)}`)).toBe(3);
});

test("two readers at once have connections of their own", async () => {
  const readers = await Promise.all([store.statementReader(), store.statementReader()]);
  await readers[0].run(view("a", 1));
  expect(await readers[1].all(FOUND)).toEqual([]);
  for (const reader of readers) reader.close();
});

test("a connection with a temporary table is not used again", async () => {
  const reader = await store.statementReader();
  await reader.run(view("a", 1));
  await reader.run("CREATE TEMP TABLE t AS SELECT 1 AS x");
  reader.close();
  expect(await found()).toEqual([]);
});

test("a connection is not used again after an error, an interrupt, or rows that nobody read", async () => {
  const after = async (
    use: (reader: Awaited<ReturnType<typeof store.statementReader>>) => Promise<unknown>,
  ) => {
    const reader = await store.statementReader();
    await reader.run(view("a", 1));
    await use(reader);
    reader.close();
    const views = await found();
    return views;
  };
  expect(await after(async () => {})).toEqual(["a"]);
  expect(await after((reader) => reader.all("SELECT error('no')").catch(() => {}))).toEqual([]);
  expect(await after(async (reader) => reader.interrupt())).toEqual([]);
  // Its transaction has ended.
  expect(
    await after(async (reader) => {
      for await (const _ of (await reader.stream("SELECT * FROM range(100000)")).chunks()) break;
    }),
  ).toEqual(["a"]);
  const unread = await store.statementReader();
  await unread.run(view("b", 1));
  await unread.stream("SELECT * FROM range(100000)");
  unread.close();
  expect(await found()).not.toContain("b");
});

test("the store closes with idle connections, and opens again", async () => {
  await found(view("a", 1));
  const late = await store.statementReader();
  const closing = store.close();
  late.close();
  await closing;
  await open();
  expect(await found()).toEqual([]);
});

test("an idle connection keeps no checkpoint from the log", async () => {
  await found(view("a", 1));
  expect(await store.checkpoint()).toBe(true);
  expect(await found()).toEqual(["a"]);
});
