/**
 * Snapshots of the real store, copied by the real process: what they contain while commits, checkpoints and
 * deletions continue, that the store's lock survives them, and that a failed one leaves nothing.
 */
import { snapshotOf } from "../../totals-snapshots.ts";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Metric, Rows } from "../../../src/model/sample.ts";
import { Snapshots } from "../../../src/store/backup/snapshots.ts";
import type { DuckDBStore } from "../../../src/store/duckdb-store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { smallDisk } from "../../small-disk.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const DAY = 20_000; // 2024-10-04
const NOW_MS = Date.UTC(2017, 11, 10, 21, 12, 24, 987);

let folder: string;
let store: DuckDBStore;
let snapshots: Snapshots;

const optionsOf = (path: string) => ({
  path: join(path, "store.duckdb"),
  memoryLimitBytes: 2 ** 28,
  threads: 2,
  temporaryDirectory: join(path, "tmp"),
});

const snapshotsOf = (of: Pick<Store, "whileCopied">, nowMs = NOW_MS) =>
  new Snapshots({
    store: of,
    directory: join(folder, "snapshots"),
    temporaryDirectory: join(folder, "tmp"),
    now: () => nowMs,
  });

beforeEach(async () => {
  folder = temporaryFolder();
  mkdirSync(join(folder, "tmp"));
  ({ store } = await openStore({ ...optionsOf(folder), counters: createCounters() }));
  snapshots = snapshotsOf(store);
});
afterEach(async () => {
  await snapshots.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

const metric: Metric = {
  name: "depth",
  prometheusName: "depth",
  kind: "gauge",
  type: "gauge",
  unit: "",
  help: "",
  buckets: [],
};

/** Rows with consecutive values from `first`. */
function rowsFrom(first: number, length: number, day = DAY): Rows {
  return {
    day,
    length,
    seriesId: new Uint32Array(length).fill(1),
    timestampUs: Float64Array.from({ length }, (_, at) => day * 86_400_000_000 + first + at),
    value: Float64Array.from({ length }, (_, at) => first + at),
    live: new Uint8Array(length).fill(1),
    attributes: [],
    text: new Uint8Array(0),
  };
}

const commit = (first: number, length: number, day?: number) =>
  store.commit({ rows: [rowsFrom(first, length, day)] });

interface Content {
  readonly rows: number;
  readonly sum: number;
}

/** The content of a day: the number of rows, and the sum of their values. */
async function contentIn(of: DuckDBStore, day = DAY): Promise<Content> {
  const reader = await of.reader();
  try {
    const table = of.days().find((each) => each.day === day)?.table;
    if (table === undefined) return { rows: 0, sum: 0 };
    const sql = `SELECT count(*)::INTEGER AS rows, coalesce(sum(value), 0) AS sum FROM weir.${table}`;
    return (await reader.all<{ rows: number; sum: number }>(sql))[0]!;
  } finally {
    reader.close();
  }
}

/** The content of a snapshot's folder, opened as a store. */
async function contentOf(name: string, day?: number): Promise<Content> {
  const { store: opened } = await openStore({
    ...optionsOf(join(folder, "snapshots", name)),
    counters: createCounters(),
  });
  try {
    return await contentIn(opened, day);
  } finally {
    await opened.close();
  }
}

/** The content of the values from 0 to rows - 1. */
const first = (rows: number): Content => ({ rows, sum: rows === 0 ? 0 : (rows * (rows - 1)) / 2 });

const isLocked = async () => {
  const program = `
    const { openStore } = await import(${JSON.stringify(join(import.meta.dir, "../../../src/store/open-store.ts"))});
    await openStore(${JSON.stringify(optionsOf(folder))}).then(
      () => process.exit(0),
      (error) => process.exit(error.name === "StoreLocked" ? 7 : 1),
    );`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "ignore", stderr: "ignore" });
  return (await child.exited) === 7;
};

test("copies the file and the log, and names the snapshot by its time", async () => {
  await store.commit({
    metrics: [metric],
    series: [{ seriesId: 1, metric, labels: new Map(), exposed: true }],
  });
  await commit(0, 1_000);
  expect(await store.checkpoint()).toBe(true);
  await commit(1_000, 200);
  const name = await snapshots.take();
  expect(name).toMatch(/^20171210T211224Z-[0-9a-f]{16}$/);
  await commit(1_200, 1);
  expect(await contentOf(name)).toEqual(first(1_200));
  expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  expect(statSync(join(folder, "snapshots", name, "store.duckdb")).mode & 0o777).toBe(0o600);
  // The next snapshot has another name.
  expect(await contentOf(await snapshots.take())).toEqual(first(1_201));
});

test("without the log, copies what the last checkpoint moved into the file", async () => {
  await commit(0, 1_000);
  await store.checkpoint();
  await commit(1_000, 200);
  expect(await contentOf(await snapshots.take({ withLog: false }))).toEqual(first(1_000));
});

test("keeps the store's lock on its file", async () => {
  await commit(0, 10);
  expect(await isLocked()).toBe(true);
  await snapshots.take();
  expect(await isLocked()).toBe(true);
  await commit(10, 10);
  expect(await contentIn(store)).toEqual(first(20));
});

test("copies every earlier commit in each of many snapshots, while commits and checkpoints continue", async () => {
  let committed = 0;
  let isDone = false;
  const committing = (async () => {
    // Large enough that rows are written to the file before their commit.
    for (let round = 0; !isDone; round++) {
      const length = round % 4 === 0 ? 300_000 : 100;
      await commit(committed, length);
      committed += length;
      if (round % 3 === 0) await store.checkpoint();
    }
  })();
  const taken: { name: string; before: number }[] = [];
  for (let round = 0; round < 6; round++) {
    const before = committed;
    taken.push({ name: await snapshots.take(), before });
  }
  isDone = true;
  await committing;
  for (const { name, before } of taken) {
    const { rows, sum } = await contentOf(name);
    expect(rows).toBeGreaterThanOrEqual(before);
    // Whole commits, from the first one.
    expect({ rows, sum }).toEqual(first(rows));
  }
  expect(await contentIn(store)).toEqual(first(committed));
});

test("copies the moment between two commits, also if commits follow before the first byte is copied", async () => {
  await commit(0, 300_000);
  await store.checkpoint();
  await commit(300_000, 1_000);
  const late: Pick<Store, "whileCopied"> = {
    whileCopied: (copy) =>
      store.whileCopied(async (files) => {
        await commit(301_000, 300_000);
        expect(await store.checkpoint()).toBe(false);
        await commit(601_000, 1_000);
        await copy(files);
      }),
  };
  expect(await contentOf(await snapshotsOf(late).take())).toEqual(first(301_000));
  expect(await store.checkpoint()).toBe(true);
  expect(await contentIn(store)).toEqual(first(602_000));
});

test("runs no checkpoint during a copy, and runs the next one", async () => {
  await commit(0, 10);
  const refused = await new Promise<boolean>((resolve) => {
    void store.whileCopied(async () => resolve(await store.checkpoint()));
  });
  expect(refused).toBe(false);
  await commit(10, 10);
  expect(await store.checkpoint()).toBe(true);
});

test("copies again when days are dropped meanwhile, and gives up after repeated drops", async () => {
  await commit(0, 10, DAY - 1);
  await commit(0, 10);
  const drop = (day: number) => store.dropDaysBefore(day, { seriesIds: [], metrics: [] }, snapshotOf([]));
  const dropping = (times: number): Pick<Store, "whileCopied"> => ({
    whileCopied: (copy) =>
      store.whileCopied(async (files) => {
        await copy(files);
        if (times-- > 0) await drop(DAY);
      }),
  });
  const name = await snapshotsOf(dropping(1)).take();
  expect(await contentOf(name, DAY - 1)).toEqual(first(0));
  expect(await contentOf(name)).toEqual(first(10));
  await expect(snapshotsOf(dropping(9)).take()).rejects.toThrow(
    "samples were deleted while a snapshot was made",
  );
  expect(readdirSync(join(folder, "snapshots"))).toEqual([name]);
});

test("makes one snapshot at a time, and leaves nothing of it at a stop", async () => {
  await commit(0, 10);
  const slow: Pick<Store, "whileCopied"> = {
    whileCopied: (copy) =>
      store.whileCopied(async (files) => {
        await copy({ ...files, fileBytes: Number.MAX_SAFE_INTEGER });
      }),
  };
  const own = snapshotsOf(slow);
  const taking = own.take();
  await expect(own.take()).rejects.toThrow(
    "another snapshot is in progress, and only one can be made at a time",
  );
  const closing = own.close();
  await expect(taking).rejects.toThrow("the gateway is stopping");
  await closing;
  await expect(own.take()).rejects.toThrow("the gateway is stopping");
  expect(readdirSync(join(folder, "tmp"))).toEqual([]);
  expect(existsSync(join(folder, "snapshots"))).toBe(false);
});

const { path: disk, isMounted } = smallDisk("100m");

test.skipIf(!isMounted)("reports a full disk, and leaves nothing", async () => {
  await commit(0, 10);
  await store.checkpoint();
  const options = { store, directory: join(disk, "snapshots"), temporaryDirectory: join(disk, "tmp") };
  const own = new Snapshots({ ...options, now: () => NOW_MS });
  mkdirSync(join(disk, "tmp"));
  writeFileSync(join(disk, "filler"), new Uint8Array(60 * 2 ** 20));
  await expect(own.take()).rejects.toThrow(
    /^the copy could not be written: disk full: \d+ bytes are free, and \d+ are needed$/,
  );
  await own.close();
  expect(readdirSync(disk).sort()).toEqual(["filler", "tmp"]);
  expect(readdirSync(join(disk, "tmp"))).toEqual([]);
  rmSync(join(disk, "filler"));
  const again = new Snapshots({ ...options, now: () => NOW_MS });
  expect(readdirSync(join(disk, "snapshots", await again.take()))).toEqual([
    "store.duckdb",
    "store.duckdb.journal",
  ]);
});

test("the snapshot of a killed backup is removed after an hour, by a start or by the next backup, and no other is", async () => {
  const kept = await snapshots.take();
  const left = await snapshots.take({ isForBackup: true });
  const names = () => readdirSync(join(folder, "snapshots")).sort();
  const inMinutes = (minutes: number) => snapshotsOf(store, NOW_MS + minutes * 60_000);
  // A backup may be copying it.
  inMinutes(59).removeAbandoned();
  expect(names()).toEqual([kept, left].sort());
  const next = await inMinutes(61).take({ isForBackup: true });
  expect(names()).toEqual([kept, next].sort());
  inMinutes(122).removeAbandoned();
  expect(names()).toEqual([kept]);
});
