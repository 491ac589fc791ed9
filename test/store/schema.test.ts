/**
 * Versions of the schema. test/fixtures/schema-7 is the folder of a gateway that was killed: a version 7 database of
 * before the migrations were merged into one file, and a journal with an event and a push to a group.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { createCounters } from "../../src/model/counters.ts";
import type { DuckDBStore } from "../../src/store/duckdb-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { Database } from "../../src/store/engine/duckdb.ts";
import { migrations } from "../../src/store/statements.ts";
import { StoreMismatch } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const FIXTURE = join(import.meta.dir, "..", "fixtures", "schema-7");

let folder: string;
let path: string;

const options = () => ({
  path,
  memoryLimitBytes: 2 ** 28,
  threads: 1,
  temporaryDirectory: join(folder, "tmp"),
  counters: createCounters(),
});

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, "store.duckdb");
});

afterEach(() => rmSync(folder, { recursive: true }));

function copyFixture(): void {
  writeFileSync(path, zstdDecompressSync(readFileSync(join(FIXTURE, "store.duckdb.zst"))));
  copyFileSync(join(FIXTURE, "store.duckdb.journal"), `${path}.journal`);
}

/** Runs statements on the file, without a store. */
async function change(statements: readonly string[]): Promise<void> {
  const database = await Database.open(path, options());
  const connection = await database.connect();
  for (const statement of statements) await connection.run(statement);
  connection.close();
  database.close();
}

async function all(store: DuckDBStore, sql: string): Promise<unknown[][]> {
  const reader = await store.reader();
  const rows = await reader.all(sql);
  reader.close();
  return rows.map((row) => Object.values(row));
}

/** The tables, views and macros of a store, with the columns of each. Days and the table weir.journal are omitted. */
const objectsOf = (store: DuckDBStore) =>
  all(
    store,
    `SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default
     FROM information_schema.columns
     WHERE table_schema IN ('weir', 'main') AND NOT regexp_matches(table_name, '^samples_[0-9]{8}$|^journal$')
     ORDER BY ALL`,
  );

const OLD_DAY = ["2026-11-25", 1];
const DAY = ["2026-11-26", 17];

test("opens a database of schema 7 that an earlier gateway wrote, with all of its data", async () => {
  copyFixture();
  for (let start = 0; start < 2; start++) {
    const { store, stored } = await openStore(options());
    const labels = (series: number) => ({ ...Object.fromEntries(stored.series.read()[series - 1]!.labels) });
    expect(
      store.days().map(({ day, rows }) => [new Date(day * 86_400_000).toJSON().slice(0, 10), rows]),
    ).toEqual([OLD_DAY, DAY]);
    expect(
      await all(
        store,
        `SELECT metric, epoch_ms(ts), value, live, task_id, run FROM (
           FROM weir.samples_20261125 UNION ALL BY NAME FROM weir.samples_20261126
         ) JOIN weir.series USING (series_id) WHERE series_id IN (1, 2, 3, 7, 8, 9, 12, 13) ORDER BY series_id, ts`,
      ),
    ).toEqual([
      ["http.request.duration_ms", 1795702468000, 12.5, true, "t-1", null],
      ["http.request.duration_ms", 1795702469000, 250, true, "t-2", null],
      ["tasks.done", 1795702470000, 3, true, null, null],
      ["tasks.done", 1795702473000, 4, true, null, null],
      ["queue.length", 1795702471000, 7, true, null, null],
      ["step.ms", 1795702469000, 1, true, null, "r1"],
      ["step.ms", 1795702470000, 2, true, null, "r2"],
      ["step.ms", 1795702471000, 3, true, null, "r3"],
      ["step.ms", 1795702472000, 4, true, null, "r4"],
      ["step.ms", 1795702473000, 5, true, null, "r5"],
      ["backup_seconds", 1795702479345, 41.5, true, null, null],
      ["hits_total", 1795702479345, 5, true, null, null],
      ["old.ms", 1795616068000, 1, false, "t-0", null],
      ["deployments", 1795702480056, 1, true, null, null],
    ]);
    expect(
      stored.metrics
        .read()
        .map(({ name, kind, unit, help }) => [name, kind, unit, help])
        .slice(0, 3),
    ).toEqual([
      ["http.request.duration_ms", "observation", "ms", "How long requests take."],
      ["tasks.done", "delta", "", ""],
      ["queue.length", "gauge", "", ""],
    ]);
    expect([stored.metrics.length, stored.series.length, stored.seriesDays.length]).toEqual([10, 15, 12]);
    expect(labels(1)).toEqual({ instance: "w1", job: "worker", operation: "get_task" });
    expect(labels(8)).toEqual({ disk: "a", host: "h1", job: "backup" });
    expect(stored.demotions).toMatchObject([{ metric: "step.ms", label: "run" }]);
    expect(stored.pushes.read().map(({ scope, key, accepted }) => [scope, key, accepted])).toEqual([
      ["POST /api/v1/push", "first", 4],
      ["POST /api/v1/push", "second", 1],
    ]);
    expect(stored.imports).toMatchObject([{ byteOffset: 87, lastDay: 20_782, updatedAtMs: 1795702479430 }]);
    const [file] = stored.imports;
    expect(file!.file).toBe(file!.firstLineHash);
    expect(stored.lastPushes).toEqual([
      { job: "worker", instance: "w1", pushedAtMs: 1795702479320 },
      { job: "backup", instance: "", pushedAtMs: 1795702479345 },
    ]);
    expect(stored.groups.map(({ key }) => key)).toEqual(['{"host":"h1","job":"backup"}', '{"job":"deploy"}']);
    expect(stored.groups[1]!.definition).toContain('["deployments","untyped","","",[[13]]]');
    // The totals contain the rows up to the snapshot. Replaying adds the four rows of the journal.
    const totals = new Map(stored.totals.read().map((record) => [record.seriesId, record]));
    expect(totals.get(1)).toEqual({
      seriesId: 1,
      count: 2,
      sumHigh: 262.5,
      sumLow: 0,
      value: null,
      createdUs: 1795702468000000,
      lastUs: 1795702469000000,
      arrivedUs: 1795702479287000,
      buckets: Float64Array.of(0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    });
    expect(totals.get(2)).toMatchObject({ count: 1, sumHigh: 3 });
    expect(totals.get(7)).toMatchObject({ count: 5, sumHigh: 15 });
    expect(totals.get(8)).toMatchObject({ count: 1, value: 41.5 });
    const replayed: [number, number][] = [];
    await store.replay(({ length, seriesId, value }) => {
      for (let row = 0; row < length; row++) replayed.push([seriesId[row]!, value[row]!]);
    });
    expect(replayed).toEqual([
      [2, 4],
      [13, 1],
      [14, 1795702480.056],
      [15, 0],
    ]);
    expect(await all(store, "SELECT protocol, instance, reason FROM rejected")).toEqual([
      ["events", "w1", 'value is "seven", expected a finite number'],
    ]);
    expect(await all(store, "SELECT metric, value, exemplar FROM exemplars")).toEqual([
      ["hits_total", 1, { trace_id: "abc" }],
    ]);
    await store.close();
  }
});

test("creates the same tables and views as the earlier gateway", async () => {
  copyFixture();
  const earlier = await openStore(options());
  const want = await objectsOf(earlier.store);
  await earlier.store.close();
  rmSync(path);
  const { store } = await openStore(options());
  expect(await objectsOf(store)).toEqual(want);
  expect(await all(store, "SELECT version FROM weir.migrations")).toEqual(
    migrations().map(({ version }) => [version]),
  );
  await store.close();
});

test("rejects a database that is older than the first release, and does not change it", async () => {
  copyFixture();
  await change(["DELETE FROM weir.migrations WHERE version > 5", "DROP TABLE weir.scrapers"]);
  const error = (await openStore(options()).catch((reason: unknown) => reason)) as Error;
  expect(error).toBeInstanceOf(StoreMismatch);
  expect(error.message).toBe(
    `${options().path} has schema 5, but this version of Weir needs schema 7 or newer; export the samples with the version of ` +
      'Weir that wrote the file ("weir export"), and import them into a new data folder here ("weir import")',
  );
  // As it was, the database opens again.
  await change([
    "CREATE TABLE weir.scrapers (position UBIGINT NOT NULL, added VARCHAR NOT NULL)",
    "INSERT INTO weir.migrations VALUES (7, 'scrapers', now()::TIMESTAMP)",
  ]);
  const { store } = await openStore(options());
  expect(store.days().map(({ rows }) => rows)).toEqual([1, 17]);
  await store.close();
});

test("rejects a database of a newer gateway, with its schema number", async () => {
  copyFixture();
  await change(["INSERT INTO weir.migrations VALUES (900, 'later', now()::TIMESTAMP)"]);
  const opening = openStore(options());
  await expect(opening).rejects.toThrow(StoreMismatch);
  await expect(opening).rejects.toThrow(
    `${options().path} has schema 900, but this version of Weir supports schemas up to ${migrations().at(-1)!.version}; use the newer version`,
  );
});
