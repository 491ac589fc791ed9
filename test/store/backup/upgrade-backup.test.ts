/**
 * The backup before a migration that rewrites data. test/fixtures/schema-7 is the folder of an earlier gateway, and the
 * migrations after it are of these tests.
 */
import { beforeEach, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statfsSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { createCounters } from "../../../src/model/counters.ts";
import { removeOldUpgradeBackups } from "../../../src/store/backup/upgrade-backup.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { type Migration, migrations } from "../../../src/store/statements.ts";
import { StoreMismatch } from "../../../src/store/store.ts";
import { smallDisk } from "../../small-disk.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const FIXTURE = join(import.meta.dir, "..", "..", "fixtures", "schema-7");
const disk = smallDisk("24m");

let folder: string;
let made: string[];
beforeEach(() => {
  folder = temporaryFolder();
  made = [];
});

const options = (data = folder) => ({
  path: join(data, "store.duckdb"),
  memoryLimitBytes: 2 ** 28,
  threads: 1,
  temporaryDirectory: join(data, "tmp"),
  counters: createCounters(),
  onUpgradeBackup: (backup: string) => void made.push(backup),
});

function copyFixture(to = folder): void {
  writeFileSync(
    join(to, "store.duckdb"),
    zstdDecompressSync(readFileSync(join(FIXTURE, "store.duckdb.zst"))),
  );
  copyFileSync(join(FIXTURE, "store.duckdb.journal"), join(to, "store.duckdb.journal"));
}

const hashes = (data: string) =>
  readdirSync(data)
    .filter((name) => name.startsWith("store.duckdb"))
    .map((name) => [name, Bun.hash(readFileSync(join(data, name)))]);

/** A migration of these tests, which makes every help text longer. */
const rewriting = (version: number, sql = "UPDATE weir.metrics SET help = help || '!'"): Migration => ({
  version,
  name: "longer_help",
  sql: `-- rewrites data\n${sql};`,
  rewritesData: true,
});

/** Opens the store, and closes it. Returns the first help text and the rows of the days. */
async function opened(
  known?: readonly Migration[],
  data = folder,
): Promise<{ help: string; rows: number[] }> {
  const { store, stored } = await openStore({ ...options(data), migrations: known });
  const days = store.days().map(({ rows }) => rows);
  await store.close();
  return { help: stored.metrics.read()[0]!.help, rows: days };
}

test("copies log, database and journal before a migration that rewrites data, and the earlier version opens the copy", async () => {
  copyFixture();
  const before = hashes(folder);
  const known = [...migrations(), rewriting(900)];
  expect(await opened(known)).toEqual({ help: "How long requests take.!", rows: [1, 17] });
  const backup = join(folder, "before-schema-900");
  expect(made).toEqual([backup]);
  expect(hashes(backup)).toEqual(before);
  expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  // The second start changes nothing, and makes no backup.
  expect(await opened(known)).toEqual({ help: "How long requests take.!", rows: [1, 17] });
  expect(made).toHaveLength(1);
  // This version knows schema 7 only.
  const error = await opened().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StoreMismatch);
  expect(await opened(undefined, backup)).toEqual({ help: "How long requests take.", rows: [1, 17] });
});

test("makes no backup of a new store, or before a migration that only adds", async () => {
  const adding: Migration = {
    version: 900,
    name: "more",
    sql: "CREATE TABLE weir.more (n INTEGER);",
    rewritesData: false,
  };
  const { store } = await openStore({ ...options(), migrations: [...migrations(), rewriting(901)] });
  await store.close();
  expect(made).toEqual([]);
  const other = temporaryFolder();
  copyFixture(other);
  // Some of the real migrations since the fixture rewrite data.
  await opened(migrations(), other);
  made.length = 0;
  await opened([...migrations(), adding], other);
  expect(made).toEqual([]);
});

test("a migration that fails leaves the store and the backup, and the next start replaces the backup", async () => {
  copyFixture();
  const failing = [
    ...migrations(),
    rewriting(900, "UPDATE weir.metrics SET help = help || '!'; SELECT error('no')"),
  ];
  for (let start = 0; start < 2; start++) {
    const error = (await opened(failing).catch((reason: unknown) => reason)) as Error;
    expect(error.message).toStartWith("migration 900 (longer_help) failed: ");
  }
  const backup = join(folder, "before-schema-900");
  writeFileSync(join(backup, "old"), "");
  expect(await opened([...migrations(), rewriting(900)])).toEqual({
    help: "How long requests take.!",
    rows: [1, 17],
  });
  expect(existsSync(join(backup, "old"))).toBe(false);
  expect((await opened(undefined, backup)).help).toBe("How long requests take.");
});

test.skipIf(!disk.isMounted)(
  "changes nothing if the disk has no room for the backup (needs root)",
  async () => {
    copyFixture(disk.path);
    const before = hashes(disk.path);
    const { bavail, bsize } = statfsSync(disk.path);
    expect(bavail * bsize).toBeLessThan(64 * 2 ** 20);
    const error = (await opened([...migrations(), rewriting(900)], disk.path).catch(
      (reason: unknown) => reason,
    )) as Error;
    expect(error.message).toMatch(
      /^schema 7 of .*store\.duckdb was not changed to 900, which rewrites data, because the backup before it failed: .*disk full: \d+ bytes are free, and \d+ are needed$/,
    );
    expect(hashes(disk.path)).toEqual(before);
    expect(readdirSync(disk.path).filter((name) => name.startsWith("before"))).toEqual([]);
  },
);

test("removes a backup when retention has passed, and no other folder", async () => {
  copyFixture();
  await opened([...migrations(), rewriting(900)]);
  const backup = join(folder, "before-schema-900");
  const now = Date.UTC(2026, 0, 20);
  utimesSync(backup, new Date(Date.UTC(2026, 0, 13)), new Date(Date.UTC(2026, 0, 13)));
  const removed: string[] = [];
  for (const nowMs of [now, now + 1])
    removeOldUpgradeBackups(folder, 7, nowMs, (name) => void removed.push(`${nowMs - now} ${name}`));
  expect(removed).toEqual([`1 ${backup}`]);
  expect(existsSync(backup)).toBe(false);
  expect(existsSync(join(folder, "store.duckdb"))).toBe(true);
});

test("a migration declares on its first line that it rewrites data", () => {
  const schemas = temporaryFolder();
  writeFileSync(join(schemas, "008_a.sql"), "-- rewrites data: the labels move\nSELECT 1;");
  writeFileSync(join(schemas, "009_b.sql"), "-- Adds a table. It rewrites data of nobody.\nSELECT 1;");
  writeFileSync(join(schemas, "notes.txt"), "");
  expect(migrations(schemas).map(({ version, name, rewritesData }) => [version, name, rewritesData])).toEqual(
    [
      [8, "a", true],
      [9, "b", false],
    ],
  );
});
