/**
 * Damage in the files that a kill leaves: a start opens the store up to its last whole commit, or says what is wrong and
 * changes nothing. A repair stores what can be read of a journal.
 */
import { expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../src/model/counters.ts";
import type { Metric, Rows } from "../../src/model/sample.ts";
import type { DuckDBStore } from "../../src/store/duckdb-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { Database } from "../../src/store/engine/duckdb.ts";
import { headerBytes } from "../../src/store/engine/log-check.ts";
import { Journal } from "../../src/store/journal/journal.ts";
import { inspectStore } from "../../src/store/inspection.ts";
import { repairJournal } from "../../src/store/repair.ts";
import { StoreDamaged, StoreMismatch } from "../../src/store/store.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const DAY = 20_000; // 2024-10-04
const DAY_US = DAY * 86_400_000_000;

const optionsOf = (folder: string) => ({
  counters: createCounters(),
  path: join(folder, "store.duckdb"),
  memoryLimitBytes: 2 ** 28,
  threads: 1,
  temporaryDirectory: join(folder, "tmp"),
});

/** Rows of one series, at the given microseconds of the day. The value is the microsecond. */
function rowsOf(seriesId: number, ...times: number[]): Rows {
  return {
    day: DAY,
    length: times.length,
    seriesId: new Uint32Array(times.length).fill(seriesId),
    timestampUs: Float64Array.from(times, (us) => DAY_US + us),
    value: Float64Array.from(times),
    stale: new Uint8Array(times.length),
    live: new Uint8Array(times.length),
    attributes: [],
    text: new Uint8Array(0),
  };
}

const metric: Metric = {
  name: "m",
  prometheusName: "m",
  kind: "gauge",
  type: "gauge",
  unit: "",
  help: "",
  buckets: [],
};

/** A folder with what a kill at this moment would leave of `from`. */
function copied(from: string): string {
  const to = join(temporaryFolder(), "data");
  // Copied by another process, because closing a file here would give up its locks.
  expect(Bun.spawnSync(["cp", "-r", from, to]).exitCode).toBe(0);
  return to;
}

async function valuesOf(store: DuckDBStore): Promise<number[]> {
  const values: number[] = [];
  await store.replay((rows) => void values.push(...rows.value.subarray(0, rows.length)));
  return values;
}

/** Opens the store in a folder: its values, or the error. */
async function opened(folder: string): Promise<number[] | Error> {
  try {
    const { store } = await openStore(optionsOf(folder));
    const values = await valuesOf(store);
    await store.close();
    return values;
  } catch (error) {
    return error as Error;
  }
}

const fileOf = (folder: string, end: string) => join(folder, `store.duckdb${end}`);

/** A store whose journal has four records: series 1 and a row, series 2 and a row, a row of each, a row of series 1. */
async function withJournal(): Promise<{ folder: string; ends: number[] }> {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  await store.commit({ rows: [rowsOf(9, 0)], metrics: [metric], seriesDays: [{ seriesId: 9, day: DAY }] });
  const ends = [0];
  const commit = async (change: Parameters<DuckDBStore["commit"]>[0]) => {
    await store.commit(change);
    ends.push(statSync(fileOf(folder, ".journal")).size);
  };
  for (const seriesId of [1, 2])
    await commit({
      series: [{ seriesId, metric, labels: new Map([["n", `${seriesId}`]]), exposed: true }],
      seriesDays: [{ seriesId, day: DAY }],
      rows: [rowsOf(seriesId, seriesId)],
      pushes: [{ scope: "s", key: `${seriesId}`, bodyHash: "", receivedAtMs: 1, accepted: 1, answer: "{}" }],
    });
  await commit({ rows: [rowsOf(1, 3), rowsOf(2, 4)] });
  await commit({ rows: [rowsOf(1, 5)] });
  const left = copied(folder);
  await store.close();
  return { folder: left, ends };
}

test("a damaged record in the middle of the journal ends the start, and changes no file", async () => {
  const { folder, ends } = await withJournal();
  const journal = fileOf(folder, ".journal");
  const bytes = readFileSync(journal);
  bytes[ends[1]! + 40]! ^= 1;
  writeFileSync(journal, bytes);
  const log = readFileSync(fileOf(folder, ".wal"));
  for (let start = 0; start < 2; start++) {
    const error = await opened(folder);
    expect(error).toBeInstanceOf(StoreDamaged);
    expect((error as Error).message).toBe(
      `${journal} is damaged: record 2 at byte ${ends[1]} cannot be read, but 2 records after it can. Nothing was ` +
        `changed. Put a backup in place of the folder (weir restore), or run "weir doctor --repair --data ${folder}", ` +
        "which stores the records that can be read and keeps the damaged file.",
    );
    expect(readFileSync(journal).equals(bytes)).toBe(true);
    // Closing the file must not move the log.
    expect(readFileSync(fileOf(folder, ".wal")).equals(log)).toBe(true);
  }
});

test("a repair stores what can be read, counts what depends on the lost record, and keeps the file", async () => {
  const { folder, ends } = await withJournal();
  const journal = fileOf(folder, ".journal");
  const bytes = readFileSync(journal);
  bytes.fill(0, ends[1]!, ends[2]!);
  writeFileSync(journal, bytes);
  const copy = `${journal}.damaged-20240102T030405Z`;
  expect(await repairJournal(optionsOf(folder), Date.UTC(2024, 0, 2, 3, 4, 5))).toEqual({
    records: 1,
    // The row with value 4 belongs to series 2, which only the lost record described.
    series: 1,
    rows: 1,
    isLogShort: false,
    lost: undefined,
    copy,
  });
  expect(readFileSync(copy).equals(bytes)).toBe(true);
  expect(existsSync(journal)).toBe(false);
  const { store, stored } = await openStore(optionsOf(folder));
  expect(await valuesOf(store)).toEqual([0, 1, 3, 5]);
  expect(stored.series.read().map(({ seriesId }) => seriesId)).toEqual([1]);
  expect(stored.pushes.read().map(({ key }) => key)).toEqual(["1"]);
  // The id of the lost series stays reserved: a new series with it would get the rows that others know by it.
  expect(stored.seriesDays.read()).toEqual([
    { seriesId: 9, day: DAY },
    { seriesId: 1, day: DAY },
    { seriesId: 2, day: DAY },
  ]);
  await store.close();
  expect(await repairJournal(optionsOf(folder), Date.now())).toBeUndefined();
});

test("a repair of a whole journal changes nothing", async () => {
  const { folder } = await withJournal();
  expect(await repairJournal(optionsOf(folder), Date.now())).toBeUndefined();
  expect(await opened(folder)).toEqual([0, 1, 2, 3, 4, 5]);
});

test("a journal cut or damaged at its end opens with the records before, and the start reports it", async () => {
  const { folder, ends } = await withJournal();
  const bytes = readFileSync(fileOf(folder, ".journal"));
  const cut = bytes.subarray(0, bytes.length - 3);
  const flipped = Buffer.from(bytes);
  flipped[flipped.length - 1]! ^= 4;
  for (const damaged of [cut, flipped]) {
    const data = copied(folder);
    writeFileSync(fileOf(data, ".journal"), damaged);
    const incomplete: unknown[] = [];
    const faults: string[] = [];
    const { store } = await openStore({
      ...optionsOf(data),
      onIncomplete: (path, byte) => incomplete.push([path, byte]),
      onFault: (message) => faults.push(message),
    });
    expect(await valuesOf(store)).toEqual([0, 1, 2, 3, 4]);
    await store.close();
    expect({ incomplete, faults }).toEqual({ incomplete: [[fileOf(data, ".journal"), ends[3]]], faults: [] });
  }
});

/** A store whose log has three commits of 1,100 rows. */
async function withLog(): Promise<{ folder: string; ends: number[] }> {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  await store.checkpoint();
  const ends: number[] = [];
  for (let commit = 0; commit < 3; commit++) {
    const rows = [rowsOf(1, ...Array.from({ length: 1_100 }, (_, row) => row))];
    await store.commit({ rows, lastPushes: [] });
    ends.push(statSync(fileOf(folder, ".wal")).size);
  }
  const left = copied(folder);
  await store.close();
  return { folder: left, ends };
}

/** What opens of a store with this log: the number of rows, or the error. */
async function openedWithLog(folder: string, log: Buffer): Promise<number | Error> {
  const data = copied(folder);
  writeFileSync(fileOf(data, ".wal"), log);
  const result = await opened(data);
  if (!(result instanceof Error)) return result.length;
  // Nothing was changed.
  expect(readFileSync(fileOf(data, ".wal")).equals(log)).toBe(true);
  expect(readdirSync(data).filter((name) => name.includes("damaged"))).toEqual([]);
  return result;
}

/** Removes what the journal has noted of the log, as a loss of power may, or an earlier version of Weir. */
function forgetLog(folder: string): void {
  const journal = fileOf(folder, ".journal");
  const bytes = readFileSync(journal);
  bytes.fill(0, 2_048, 2_060);
  writeFileSync(journal, bytes);
}

test("a log cut at any byte opens with the whole commits before it, if the journal has not noted its size", async () => {
  const { folder, ends } = await withLog();
  forgetLog(folder);
  const log = readFileSync(fileOf(folder, ".wal"));
  const cuts = [
    1,
    7,
    8,
    15,
    24,
    1_000,
    ...ends.flatMap((end) => [end - 22, end - 21, end - 1, end, end + 9]),
  ];
  for (const cut of cuts.filter((each) => each <= log.length)) {
    const whole = ends.filter((end) => end <= cut).length;
    expect({ cut, rows: await openedWithLog(folder, log.subarray(0, cut)) }).toEqual({
      cut,
      rows: 1_100 * whole,
    });
  }
});

test("a flipped bit in the log is reported where whole commits follow, also in its beginning and in lengths", async () => {
  const { folder, ends } = await withLog();
  const log = readFileSync(fileOf(folder, ".wal"));
  // The header, the length, the checksum and the content of the first entry of the log and of the second commit.
  const header = headerBytes(log);
  const places = [
    ...Array.from({ length: header + 20 }, (_, at) => at),
    ...Array.from({ length: 18 }, (_, at) => ends[0]! + at),
  ];
  for (const at of [...places, ends[1]! - 3]) {
    const damaged = Buffer.from(log);
    damaged[at]! ^= 1 << (at % 8);
    const result = await openedWithLog(folder, damaged);
    // Some bits of the header mean nothing. Then all commits are there.
    if (at < header && result === 3_300) continue;
    expect({ at, result }).toEqual({ at, result: expect.any(StoreDamaged) });
    expect((result as Error).message).toContain("store.duckdb is damaged, or is not a store of Weir: ");
  }
});

/** A store whose log has a commit with series 1, and whose journal has a row of it and another of series 9. */
async function withLogAndJournal(): Promise<{ folder: string; begin: number; end: number }> {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  const logBytes = () => statSync(fileOf(folder, ".wal")).size;
  await store.commit({
    metrics: [metric],
    series: [{ seriesId: 9, metric, labels: new Map(), exposed: true }],
    seriesDays: [{ seriesId: 9, day: DAY }],
    rows: [rowsOf(9, 0)],
  });
  const begin = logBytes();
  await store.commit({
    series: [{ seriesId: 1, metric, labels: new Map([["n", "1"]]), exposed: true }],
    seriesDays: [{ seriesId: 1, day: DAY }],
    rows: [rowsOf(1, ...Array.from({ length: 1_100 }, (_, row) => row))],
    // A change with a list that replaces the stored one is never in the journal.
    lastPushes: [],
  });
  const end = logBytes();
  await store.commit({ rows: [rowsOf(1, 7), rowsOf(9, 8)] });
  const left = copied(folder);
  await store.close();
  return { folder: left, begin, end };
}

test("a log that has lost the commits before the journal ends the start; a repair stores the journal without them", async () => {
  const { folder, begin, end } = await withLogAndJournal();
  const log = readFileSync(fileOf(folder, ".wal"));
  expect(log.length).toBe(end);
  for (const cut of [begin, begin + 30, end - 1]) {
    const data = copied(folder);
    writeFileSync(fileOf(data, ".wal"), log.subarray(0, cut));
    const error = await opened(data);
    expect(error).toBeInstanceOf(StoreDamaged);
    expect((error as Error).message).toBe(
      `${fileOf(data, ".wal")} is damaged: its whole commits end at byte ${begin}, but it had ${end} bytes ` +
        `according to ${fileOf(data, ".journal")}: the commits behind are lost. Nothing was changed. Put a backup in place of the folder ` +
        `(weir restore), or run "weir doctor --repair --data ${data}", which opens the store without the commits that ` +
        "are lost.",
    );
    expect(readFileSync(fileOf(data, ".wal")).length).toBe(cut);
    // The row of series 1 belongs to a series that only the lost commit described.
    expect(await repairJournal(optionsOf(data), Date.now())).toMatchObject({
      isLogShort: true,
      records: 0,
      series: 1,
      rows: 1,
    });
    expect(await opened(data)).toEqual([0, 8]);
  }
});

test("a cut or missing log ends the start also if the journal has no later change", async () => {
  const { folder, ends } = await withLog();
  const log = readFileSync(fileOf(folder, ".wal"));
  const had = ends[2]!;
  for (const cut of [undefined, 0, 8, 24, ends[0]!, ends[1]! - 1, had - 1]) {
    const data = copied(folder);
    if (cut === undefined) rmSync(fileOf(data, ".wal"));
    else writeFileSync(fileOf(data, ".wal"), log.subarray(0, cut));
    const fault = cut === undefined ? "is missing" : "is damaged: its whole commits end at byte";
    for (let start = 0; start < 2; start++) {
      const error = await opened(data);
      expect(error).toBeInstanceOf(StoreDamaged);
      expect((error as Error).message).toStartWith(`${fileOf(data, ".wal")} ${fault}`);
      expect((error as Error).message).toContain(`, but it had ${had} bytes according to`);
    }
    // Nothing was written, not even a new log.
    expect(existsSync(fileOf(data, ".wal")) ? statSync(fileOf(data, ".wal")).size : undefined).toBe(cut);
    expect(await inspectStore(data, async ({ rows }) => rows).catch((error) => error)).toBeInstanceOf(
      StoreDamaged,
    );
    const repaired = await repairJournal(optionsOf(data), Date.now());
    expect(repaired).toMatchObject({ isLogShort: true, lost: undefined, records: 0, series: 0, rows: 0 });
    const whole = ends.filter((end) => end <= (cut ?? 0)).length;
    expect(((await opened(data)) as number[]).length).toBe(1_100 * whole);
  }
});

test("a log that a checkpoint ended is not missing, also if the process was killed before its next commit", async () => {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  await store.commit({ rows: [rowsOf(1, 1)], lastPushes: [] });
  expect(await store.checkpoint()).toBe(true);
  const left = copied(folder);
  await store.commit({ rows: [rowsOf(1, 2)], lastPushes: [] });
  const later = copied(folder);
  await store.close();
  expect(await opened(left)).toEqual([1]);
  expect(await opened(later)).toEqual([1, 2]);
  // The journal is not needed after an orderly stop.
  expect(
    readdirSync(later)
      .filter((name) => name.startsWith("store"))
      .sort(),
  ).toEqual(["store.duckdb", "store.duckdb.start"]);
});

test("a journal that is missing, empty or overwritten ends the start, and a repair opens without its changes", async () => {
  const { folder } = await withJournal();
  const journal = (data: string) => fileOf(data, ".journal");
  const faults: readonly [string, (data: string) => void][] = [
    ["is missing", (data) => rmSync(journal(data))],
    ["is empty, or nothing of it can be read", (data) => truncateSync(journal(data), 0)],
    ["is empty, or nothing of it can be read", (data) => writeFileSync(journal(data), new Uint8Array(9_000))],
    ["is empty, or nothing of it can be read", (data) => truncateSync(journal(data), 4_000)],
  ];
  for (const [fault, damage] of faults) {
    const data = copied(folder);
    damage(data);
    const isThere = existsSync(journal(data));
    for (let start = 0; start < 2; start++) {
      const error = await opened(data);
      expect(error).toBeInstanceOf(StoreDamaged);
      expect((error as Error).message).toBe(
        `${journal(data)} ${fault}, although the store beside it was not closed in order: small changes that were ` +
          "acknowledged and not yet moved to the database are lost. Nothing was changed. Put the file back, or a backup in " +
          `place of the folder (weir restore), or run "weir doctor --repair --data ${data}", which opens the store without ` +
          "these changes.",
      );
    }
    expect(await inspectStore(data, async ({ rows }) => rows).catch((error) => error)).toBeInstanceOf(
      StoreDamaged,
    );
    const repaired = await repairJournal(optionsOf(data), Date.now());
    expect(repaired).toMatchObject({ records: 0, isLogShort: false, lost: { key: expect.any(String) } });
    expect(repaired!.copy !== undefined).toBe(isThere);
    // The row of before the journal. The store opens, and is closed in order.
    expect(await opened(data)).toEqual([0]);
    expect(await repairJournal(optionsOf(data), Date.now())).toBeUndefined();
  }
});

test("a journal whose header is damaged opens, goes on, and is known after a kill", async () => {
  const { folder } = await withJournal();
  const journal = fileOf(folder, ".journal");
  const bytes = readFileSync(journal);
  bytes[25]! ^= 1;
  writeFileSync(journal, bytes);
  const { store } = await openStore(optionsOf(folder));
  await store.commit({ rows: [rowsOf(9, 6)] });
  const killed = copied(folder);
  await store.close();
  expect(await opened(killed)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test("a journal of an earlier version keeps its records until they have moved", async () => {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  await store.commit({ rows: [rowsOf(9, 0)], metrics: [metric], seriesDays: [{ seriesId: 9, day: DAY }] });
  await store.close();
  // A record of format 1: length, checksum, sequence, JSON.
  const database = await Database.open(fileOf(folder, ""), optionsOf(folder));
  const connection = await database.connect();
  const [moved] = await connection.all<{ sequence: number }>("SELECT sequence FROM weir.journal_moved");
  const push = { scope: "s", key: "k", bodyHash: "", receivedAtMs: 1, accepted: 1, answer: "{}" };
  const parts = {
    metrics: [],
    series: [],
    seriesDays: [],
    pushes: [push],
    rejected: [],
    groups: [],
    rows: [],
  };
  const text = Buffer.from(JSON.stringify(parts));
  const record = Buffer.alloc(16 + text.length);
  record.writeUInt32LE(text.length, 0);
  record.writeDoubleLE(moved!.sequence + 1, 8);
  text.copy(record, 16);
  record.writeUInt32LE(Bun.hash.crc32(record.subarray(8)), 4);
  const path = fileOf(folder, ".journal");
  writeFileSync(path, record);
  const journal = await Journal.open(connection, path, { counters: createCounters(), logBytes: () => 0 });
  await journal.note(connection, (action) => action());
  expect(readFileSync(path).equals(record)).toBe(true);
  await journal.move(connection, async (change, also) => {
    expect(change.pushes).toEqual([push]);
    await also();
  });
  await journal.note(connection, (action) => action());
  expect(journal.notedKey).toBeDefined();
  expect(readFileSync(path).length).toBe(4_096);
  journal.close(false);
  connection.close();
  database.close();
});

test("a missing journal names the time since which its changes are lost, and a foreign one is refused", async () => {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  await store.commit({ rows: [rowsOf(9, 0)], metrics: [metric], seriesDays: [{ seriesId: 9, day: DAY }] });
  await store.commit({ rows: [rowsOf(9, 1)] });
  const beforeMs = Date.now();
  await store.moveJournal();
  const afterMs = Date.now();
  await store.commit({ rows: [rowsOf(9, 2)] });
  const left = copied(folder);
  await store.close();
  const other = (await withJournal()).folder;
  rmSync(fileOf(left, ".journal"));
  const { message } = (await opened(left)) as Error;
  const since = Date.parse(/acknowledged since (\S+) and not yet/.exec(message)![1]!);
  expect(since).toBeGreaterThanOrEqual(beforeMs);
  expect(since).toBeLessThanOrEqual(afterMs);
  // Its own header, without records: nothing says that it is another file.
  copyFileSync(fileOf(other, ".journal"), fileOf(left, ".journal"));
  forgetLog(left);
  expect(await opened(left)).toBeInstanceOf(StoreMismatch);
});

test("a start that fails closes the file, so that the next one in the same process does not corrupt memory", async () => {
  const { folder, begin } = await withLogAndJournal();
  writeFileSync(fileOf(folder, ".wal"), readFileSync(fileOf(folder, ".wal")).subarray(0, begin));
  expect(await opened(folder)).toBeInstanceOf(StoreDamaged);
  // The engine holds the lock of the file as long as it is open.
  const held = readFileSync("/proc/locks", "utf8")
    .split("\n")
    .filter((line) => line.endsWith(`:${statSync(fileOf(folder, "")).ino} 0 EOF`));
  expect(held).toEqual([]);
});

test("a journal after an incomplete commit, or after a checkpoint without a move, opens", async () => {
  const { folder, end } = await withLogAndJournal();
  // A kill in the middle of a commit leaves a part of it. The next start writes only to the journal.
  const torn = Buffer.concat([readFileSync(fileOf(folder, ".wal")), Buffer.from("0900", "hex")]);
  writeFileSync(fileOf(folder, ".wal"), torn);
  const { store } = await openStore(optionsOf(folder));
  await store.commit({ rows: [rowsOf(9, 9)] });
  const data = copied(folder);
  await store.close();
  expect(((await opened(data)) as number[]).length).toBe(1_104);
  // On a full disk, a checkpoint may come before the move. It begins a new log.
  const { folder: other } = await withLogAndJournal();
  forgetLog(other);
  const log = readFileSync(fileOf(other, ".wal"));
  writeFileSync(fileOf(other, ".wal"), log.subarray(0, headerBytes(log)));
  expect(end).toBeGreaterThan(headerBytes(log));
  expect(await opened(other)).not.toBeInstanceOf(StoreDamaged);
});

test("the log of this engine begins and ends each commit as the check expects", async () => {
  const { folder, ends } = await withLog();
  const log = readFileSync(fileOf(folder, ".wal"));
  // Of a file that an earlier version of Weir made.
  expect(headerBytes(Buffer.from("640062650002ffff3900000000000000", "hex"))).toBe(8);
  expect(headerBytes(Buffer.from("640062650003ffff3900000000000000", "hex"))).toBe(0);
  // Version 2, a key of 16 bytes that are integers of variable length, and the number of the checkpoint.
  expect(log.subarray(0, headerBytes(log)).toString("hex")).toMatch(
    /^640062650002660010(?:(?:[89a-f][0-9a-f])?[0-7][0-9a-f]){16}6700(?:[89a-f][0-9a-f])*[0-7][0-9a-f]ffff$/,
  );
  for (const end of ends)
    expect(log.subarray(end - 21, end).toString("hex")).toBe("0500000000000000e7fe7d722fed3d5e640064ffff");
});
