/**
 * Rows that fill a row group of the engine: they move from the journal while others are appended, straight into the
 * database file. A test simulates a kill by copying the files of an open store, which are all that a kill would leave.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Rows } from "../../../src/model/sample.ts";
import { DiskFull } from "../../../src/store/disk-room.ts";
import type { DuckDBStore } from "../../../src/store/duckdb-store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { TextBuilder } from "../../../src/store/engine/columns.ts";
import { inspectStore } from "../../../src/store/inspection.ts";
import { smallDisk } from "../../small-disk.ts";
import { writeEmptyJournal } from "../../../src/store/journal/journal-file.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const DAY = 20_000; // 2024-10-04
const DAY_US = DAY * 86_400_000_000;

const disk = smallDisk("12m");
let folder: string;
let store: DuckDBStore;
let faults: string[];
let next: number;

async function open(path: string): Promise<DuckDBStore> {
  const opened = await openStore({
    counters: createCounters(),
    path,
    memoryLimitBytes: 2 ** 28,
    threads: 2,
    temporaryDirectory: join(folder, "tmp"),
    onFault: (message, error) => faults.push(`${message}: ${error}`),
  });
  return opened.store;
}

beforeEach(async () => {
  folder = temporaryFolder();
  faults = [];
  next = 0;
  store = await open(join(folder, "store.duckdb"));
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

/** The next rows: the value is the number of the row, and the task_id says the same. */
function rows(length: number): Rows {
  const first = next;
  next += length;
  const builder = new TextBuilder();
  const column = builder.column(Array.from({ length }, (_, at) => `task-${first + at}`));
  return {
    day: DAY,
    length,
    seriesId: new Uint32Array(length).fill(1),
    timestampUs: Float64Array.from({ length }, (_, at) => DAY_US + first + at),
    value: Float64Array.from({ length }, (_, at) => first + at),
    live: new Uint8Array(length).fill(1),
    attributes: [{ name: "task_id", ...column }],
    text: builder.text,
  };
}

const commit = (...lengths: number[]) => store.commit({ rows: lengths.map(rows) });

/** Opens the files that a kill at this moment would leave, and checks that they have these rows, each once and in order. */
async function expectKept(count: number, files = folder): Promise<void> {
  const copy = join(temporaryFolder(), "copy");
  // Copied by another process, because closing a file here would give up its locks.
  expect(Bun.spawnSync(["cp", "-r", files, copy]).exitCode).toBe(0);
  const path = join(copy, "store.duckdb");
  // Without opening it for writing: what doctor and backups do.
  const seen = await inspectStore(copy, async (found) => found);
  expect(seen.rows).toBeLessThanOrEqual(count);
  expect(seen.rows === count).toBe(seen.journalRecords === 0);
  const opened = await open(path);
  await expectRows(opened, count);
  await opened.close();
  rmSync(copy, { recursive: true });
}

async function expectRows(of: DuckDBStore, count: number): Promise<void> {
  const reader = await of.reader();
  const found = await reader.all(
    `SELECT count(*)::INTEGER AS rows, bool_and(value = rowid) AS ordered,
       bool_and(task_id = 'task-' || value::INTEGER) AS tagged FROM weir.samples_20241004`,
  );
  reader.close();
  expect(found).toEqual([{ rows: count, ordered: true, tagged: true }]);
}

const logBytes = () => statSync(join(folder, "store.duckdb.wal")).size;
const fileBytes = () => statSync(join(folder, "store.duckdb")).size;

test("writes a whole row group to the file, not to the log, and keeps the rest of the change in the journal", async () => {
  await commit(10);
  await store.checkpoint();
  await commit(100_000);
  const before = fileBytes();
  await commit(20_000, 2_000, 1_000);
  // The rows up to the row group move by themselves. An operation behind the move sees its end.
  expect(store.days()[0]!.rows).toBe(10);
  await store.find(
    DAY - 1,
    { length: 0, seriesId: new Uint32Array(0), timestampUs: new Float64Array(0) },
    () => {},
  );
  expect(store.days()[0]!.rows).toBe(next);
  expect(logBytes()).toBeLessThan(32_768);
  expect(fileBytes()).toBeGreaterThan(before + 500_000);
  await expectKept(next);
  expect(await store.checkpoint()).toBe(true);
  await expectRows(store, next);
});

test("keeps changes that are appended while a row group moves, whatever the moment of a kill", async () => {
  await commit(10);
  await commit(122_000);
  for (let change = 0; change < 2; change++) {
    // The first change completes the row group.
    await commit(900 + change);
    await expectKept(next);
  }
  await expectRows(store, next);
  expect(faults).toEqual([]);
});

test("moves several row groups in turn, and reuses the journal's file", async () => {
  await commit(1);
  for (let change = 0; change < 85; change++) await commit(3_000);
  const journal = join(folder, "store.duckdb.journal");
  // 255,000 rows of 36 bytes and their task_id would be 12 MB.
  expect(statSync(journal).size).toBeLessThan(11_000_000);
  expect(logBytes()).toBeLessThan(65_536);
  await expectKept(next);
  await expectRows(store, next);
});

test.skipIf(!disk.isMounted)("loses nothing when the disk is full while a row group is written", async () => {
  await store.close();
  const path = join(disk.path, "store.duckdb");
  store = await open(path);
  await commit(10);
  expect(await store.checkpoint()).toBe(true);
  await commit(122_000);
  const ballast = join(disk.path, "ballast");
  const { bavail, bsize } = statfsSync(disk.path);
  writeFileSync(ballast, new Uint8Array(bavail * bsize - 300_000));
  await commit(1_000);
  const kept = next;
  // The journal has room, but the row group does not.
  await expect(store.moveJournal()).rejects.toBeInstanceOf(DiskFull);
  await expect(store.commit({ rows: [rows(1_000)] })).rejects.toBeInstanceOf(DiskFull);
  next = kept;
  rmSync(ballast);
  await commit(1_000);
  await store.moveJournal();
  await expectRows(store, next);
  expect(await store.checkpoint()).toBe(true);
  await expectRows(store, next);
});

/** Rows that the writer acknowledged, and the rows of the store that it leaves, after a kill. */
async function killWriter(path: string, afterMs: number): Promise<number> {
  const program = join(import.meta.dir, "endless-writer.ts");
  const writer = Bun.spawn([process.execPath, program, path], { stdout: "pipe", stderr: "inherit" });
  let said = "";
  const decoder = new TextDecoder();
  for await (const bytes of writer.stdout) {
    if (said === "") setTimeout(() => writer.kill("SIGKILL"), afterMs);
    said += decoder.decode(bytes, { stream: true });
  }
  await writer.exited;
  // The last line may be cut.
  return Number(said.slice(0, said.lastIndexOf("\n")).split("\n").at(-1));
}

test("kills at drawn moments leave every acknowledged row once", async () => {
  let state = 20_241_126;
  const path = join(folder, "killed.duckdb");
  for (let kill = 0; kill < 2; kill++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const acknowledged = await killWriter(path, (1_000 * state) / 2 ** 32);
    const left = await open(path);
    const kept = left.days().reduce((sum, day) => sum + day.rows, 0);
    expect(kept).toBeGreaterThanOrEqual(acknowledged);
    await expectRows(left, kept);
    await left.close();
  }
  expect(faults).toEqual([]);
});

test("a snapshot has the row groups that only the log refers to", async () => {
  await commit(10);
  await commit(122_000);
  await commit(1_000);
  const to = join(folder, "copy.duckdb");
  const isWhole = await store.whileCopied(async ({ path, fileBytes, logBytes, journalKey }) => {
    for (const [end, bytes] of [
      ["", fileBytes],
      [".wal", logBytes],
    ] as const)
      expect(Bun.spawnSync(["sh", "-c", `head -c ${bytes} ${path}${end} > ${to}${end}`]).exitCode).toBe(0);
    writeEmptyJournal(`${to}.journal`, journalKey!);
  });
  expect(isWhole).toBe(true);
  const kept = next;
  await commit(122_880 - 130);
  const opened = await open(to);
  await expectRows(opened, kept);
  await opened.close();
});
