/**
 * Changes wait in the journal. They are acknowledged there, and readers of the tables see them. A test
 * simulates a kill by copying the files of an open store, which are all that a kill would leave.
 */
import { snapshotOf } from "../../totals-snapshots.ts";
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Metric, Rows } from "../../../src/model/sample.ts";
import { DiskFull } from "../../../src/store/disk-room.ts";
import type { DuckDBStore } from "../../../src/store/duckdb-store.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { TextBuilder } from "../../../src/store/engine/columns.ts";
import { Database } from "../../../src/store/engine/duckdb.ts";
import { entryOf, payloadOf } from "../../../src/store/journal/entry.ts";
import { Journal } from "../../../src/store/journal/journal.ts";
import type { Change, Stored } from "../../../src/store/store.ts";
import { migrate } from "../../../src/store/tables/migrate.ts";
import { smallDisk } from "../../small-disk.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { plainStored } from "../plain-stored.ts";

const DAY = 20_000; // 2024-10-04
const DAY_US = DAY * 86_400_000_000;

const counters = createCounters();
let folder: string;
let store: DuckDBStore;
const others: DuckDBStore[] = [];

/** Opens a store by its name in the test's folder, or by its path. */
const open = async (name: string): Promise<{ store: DuckDBStore; stored: Stored }> =>
  await openStore({
    counters,
    path: resolve(folder, name),
    memoryLimitBytes: 2 ** 28,
    threads: 2,
    temporaryDirectory: join(folder, "tmp"),
  });

beforeEach(async () => {
  folder = temporaryFolder();
  store = (await open("store.duckdb")).store;
  // The first rows of a day create its table, so this change is not small.
  await store.commit({ rows: [rowsOf([[9, 0, 9]])] });
});
afterEach(async () => {
  for (const each of [store, ...others.splice(0)]) await each.close();
  rmSync(folder, { recursive: true });
});

/** Opens what a kill at this moment would leave. */
async function killed(name: string): Promise<{ store: DuckDBStore; stored: Stored }> {
  for (const end of ["", ".wal", ".journal"]) {
    // Copied by another process, because closing a file here would give up its locks.
    const copied = Bun.spawnSync(["cp", join(folder, `store.duckdb${end}`), join(folder, `${name}${end}`)]);
    expect(copied.exitCode).toBe(0);
  }
  const opened = await open(name);
  others.push(opened.store);
  return opened;
}

/** Series, µs of the day, and value. Null is a stale marker. */
type Sample = [number, number, number | null];

function rowsOf(samples: readonly Sample[], day = DAY): Rows {
  return {
    day,
    length: samples.length,
    seriesId: Uint32Array.from(samples, ([seriesId]) => seriesId),
    timestampUs: Float64Array.from(samples, ([, us]) => DAY_US + us),
    value: Float64Array.from(samples, ([, , value]) => value ?? 0),
    stale: Uint8Array.from(samples, ([, , value]) => (value === null ? 1 : 0)),
    live: Uint8Array.from(samples, ([seriesId]) => seriesId % 2),
    attributes: [],
    text: new Uint8Array(0),
  };
}

async function samplesOf({ store }: { store: DuckDBStore }): Promise<Sample[]> {
  const found: Sample[] = [];
  await store.replay((rows) => {
    for (let row = 0; row < rows.length; row++) {
      const value = rows.stale?.[row] === 1 ? null : rows.value[row]!;
      expect(rows.live[row]).toBe(rows.seriesId[row]! % 2);
      found.push([rows.seriesId[row]!, rows.timestampUs[row]! - DAY_US, value]);
    }
  });
  return found;
}

/** The last moved sequence, as a reader sees it. */
async function moved(of: DuckDBStore): Promise<number> {
  const reader = await of.reader();
  const [last] = await reader.all<{ sequence: number }>("SELECT sequence FROM weir.journal_moved");
  reader.close();
  return last!.sequence;
}

const metric: Metric = {
  name: 'job "rows"',
  prometheusName: "job__rows_",
  kind: "cumulative",
  type: "counter",
  unit: "",
  help: "It's\nünïcode \u0000",
  buckets: [],
};
const labels = new Map([
  ["instance", "ünïcode"],
  ["job", "a"],
]);

/** A new group, with a series and a sample of every kind of number. */
const first: Change = {
  metrics: [metric],
  series: [
    { seriesId: 1, metric, labels, exposed: true },
    { seriesId: 2, metric, labels: new Map(), exposed: false },
  ],
  seriesDays: [
    { seriesId: 1, day: DAY },
    { seriesId: 2, day: DAY },
  ],
  rows: [
    rowsOf([
      [1, 1, 0.1],
      [2, 1, -0],
      [1, 2, null],
      [2, 2, Number.NaN],
    ]),
    rowsOf([
      [1, 3, Number.POSITIVE_INFINITY],
      [2, 3, 1e300],
    ]),
  ],
  groups: [{ key: '{"job":"a"}', definition: '{"families":[]}' }],
  notifications: [{ key: "silence/1", definition: '{"comment":"ü"}' }],
  forwards: [{ key: "hub/samples/2024-10-04", definition: '{"sent":[[0,1]]}' }],
  pushes: [{ scope: "PUT", key: "k", bodyHash: "h", receivedAtMs: 1, accepted: 2, answer: "{}" }],
  rejected: [{ receivedAtMs: 1, protocol: "p", instance: "", reason: "r", payload: "\ud800" }],
};
const samples: Sample[] = [
  [9, 0, 9],
  [1, 1, 0.1],
  [2, 1, -0],
  [1, 2, null],
  [2, 2, Number.NaN],
  [1, 3, Number.POSITIVE_INFINITY],
  [2, 3, 1e300],
];

function expectFirst(stored: Stored): void {
  const { prometheusName: _, ...record } = metric;
  expect(stored.metrics.read()).toEqual([record]);
  expect(plainStored(stored).series).toEqual(
    first.series!.map(({ metric: { name }, ...rest }) => ({ ...rest, metric: name })),
  );
  expect(stored.seriesDays.read()).toEqual([...first.seriesDays!]);
  expect(stored.groups).toEqual([...first.groups!]);
  expect(stored.notifications).toEqual([...first.notifications!]);
  expect(stored.forwards).toEqual([...first.forwards!]);
  expect(stored.pushes.read()).toEqual([...first.pushes!]);
}

test("keeps a change whole after a kill, and after a regular stop", async () => {
  const before = await moved(store);
  await store.commit(first);
  const left = await killed("killed.duckdb");
  expectFirst(left.stored);
  expect(await samplesOf(left)).toEqual(samples);
  expect(left.store.days()).toMatchObject([{ day: DAY, rows: 7 }]);
  const reader = await left.store.reader();
  expect(await reader.all("SELECT reason FROM rejected")).toEqual([{ reason: "r" }]);
  reader.close();
  expect(await moved(left.store)).toBe(before + 1);
  expect(existsSync(join(folder, "store.duckdb.journal"))).toBe(true);

  await store.close();
  // Nothing is left to be moved, and so there is no file.
  expect(existsSync(join(folder, "store.duckdb.journal"))).toBe(false);
  const opened = await open("store.duckdb");
  store = opened.store;
  expectFirst(opened.stored);
  expect(await samplesOf(opened)).toEqual(samples);
});

test("shows acknowledged changes to readers, and after a kill shows them once", async () => {
  await store.commit(first);
  const reader = await store.reader();
  expect(await reader.all("SELECT series_id, metric FROM series ORDER BY ALL")).toEqual([
    { series_id: 1, metric: metric.name },
    { series_id: 2, metric: metric.name },
  ]);
  // An open reader does not keep the next one from seeing newer changes.
  await store.commit({ rows: [rowsOf([[1, 4, 4]])] });
  const later = await store.reader();
  const sql = "SELECT count(*) AS rows FROM weir.samples_20241004";
  expect(await later.all(sql)).toEqual([{ rows: 8 }]);
  reader.close();
  later.close();
  expect(await samplesOf(await killed("killed.duckdb"))).toEqual([...samples, [1, 4, 4]]);
});

test("keeps the order of the rows of small and large changes", async () => {
  const want = [...samples];
  await store.commit(first);
  for (let at = 10; at < 600; at++) {
    // Every hundredth change is too long for an entry. Waiting entries are moved before it.
    const rows = Array.from(
      { length: at % 100 === 0 ? 1_100 : 2 },
      (_, row): Sample => [1, at * 1_000 + row, at],
    );
    await store.commit({ rows: [rowsOf(rows)] });
    want.push(...rows);
  }
  const left = await killed("killed.duckdb");
  expect(await samplesOf(left)).toEqual(want);
  expect(left.store.days()).toMatchObject([{ day: DAY, rows: want.length }]);
  expect(await samplesOf({ store })).toEqual(want);
});

test("keeps each row's attributes when other rows have different ones", async () => {
  const tagged = (samples: readonly Sample[], attributes: Record<string, readonly string[]>): Rows => {
    const builder = new TextBuilder();
    const columns = Object.entries(attributes).map(([name, values]) => ({ name, ...builder.column(values) }));
    return { ...rowsOf(samples), attributes: columns, text: builder.text };
  };
  const rows = [
    tagged([[1, 1, 1]], { task_id: ["ünïcode 🦆"] }),
    tagged([[1, 2, 2]], {}),
    tagged(
      [
        [1, 3, 3],
        [1, 4, 4],
      ],
      { task_id: ["", "t4"], 'a "b"': ["longer than twelve bytes", ""] },
    ),
  ];
  await store.commit({ rows: [rows[0]!] });
  await store.commit({ rows: rows.slice(1) });
  const want = [
    { value: 9, task_id: null, b: null },
    { value: 1, task_id: "ünïcode 🦆", b: null },
    { value: 2, task_id: null, b: null },
    { value: 3, task_id: null, b: "longer than twelve bytes" },
    { value: 4, task_id: "t4", b: null },
  ];
  const sql = 'SELECT value, task_id, "a ""b""" AS b FROM weir.samples_20241004 ORDER BY rowid';
  for (const each of [(await killed("killed.duckdb")).store, store]) {
    const reader = await each.reader();
    expect(await reader.all("SELECT attribute FROM weir.attributes ORDER BY ALL")).toEqual([
      { attribute: 'a "b"' },
      { attribute: "task_id" },
    ]);
    expect(await reader.all(sql)).toEqual(want);
    reader.close();
  }
});

/** Rows that have all of the attributes. */
function taggedRows(length: number, names: readonly string[]): Rows {
  const builder = new TextBuilder();
  const x = builder.column(new Array(length).fill("x"));
  const rows = rowsOf(Array.from({ length }, (_, us) => [1, us, us]));
  return { ...rows, attributes: names.map((name) => ({ name, ...x })), text: builder.text };
}

test("does not allocate cells in all rows for attributes that few rows have", async () => {
  const changes = Array.from({ length: 8 }, (_, change) => [
    taggedRows(
      1,
      Array.from({ length: 64 }, (_, at) => `n${change}_${at}`),
    ),
    taggedRows(900, []),
  ]).flat();
  const database = await Database.open(join(folder, "other.duckdb"), {
    memoryLimitBytes: 2 ** 28,
    threads: 1,
    temporaryDirectory: folder,
  });
  const connection = await database.connect();
  await migrate(connection, { path: "other.duckdb" });
  const journal = await Journal.open(connection, join(folder, "other.duckdb.journal"), {
    counters,
    logBytes: () => 0,
  });
  const moved: Rows[] = [];
  const move = () => journal.move(connection, async ({ rows = [] }) => void moved.push(...rows));
  for (const rows of changes) {
    const entry = entryOf({ rows: [rows] }, () => true)!;
    if (!journal.holds(entry)) await move();
    expect(await journal.append(entry)).toBe(true);
  }
  await move();
  journal.close(false);
  connection.close();
  database.close();
  // In one segment there would be 512 names of 7,208 rows.
  for (const { length, attributes } of moved)
    expect(length * attributes.length).toBeLessThanOrEqual(2_097_152);
  expect(moved.length).toBe(2);
  expect(moved.flatMap(({ value }) => Array.from(value))).toEqual(
    changes.flatMap(({ value }) => Array.from(value)),
  );
  expect(moved.flatMap(({ attributes }) => attributes.map(({ name }) => name)).toSorted()).toEqual(
    changes.flatMap(({ attributes }) => attributes.map(({ name }) => name)).toSorted(),
  );
});

test("moves entries of before a checkpoint with the first commit after it, which begins a new log", async () => {
  const database = await Database.open(join(folder, "other.duckdb"), {
    memoryLimitBytes: 2 ** 28,
    threads: 1,
    temporaryDirectory: folder,
  });
  const connection = await database.connect();
  await migrate(connection, { path: "other.duckdb" });
  const path = join(folder, "other.duckdb.journal");
  let logBytes = 5_000;
  const journal = await Journal.open(connection, path, { counters, logBytes: () => logBytes });
  const moved: number[] = [];
  const write = async ({ rows = [] }: Change, also: () => Promise<void>) => {
    await also();
    moved.push(...rows.map(({ length }) => length));
  };
  const append = async (length: number) => {
    const rows = rowsOf(Array.from({ length }, (_, at) => [1, at, at]));
    expect(await journal.append(entryOf({ rows: [rows] }, () => true)!)).toBe(true);
  };
  // During a checkpoint. The second one completes a row group of 122,880 rows, and 220 are left.
  await append(500);
  await append(122_600);
  logBytes = 0;
  journal.noteNewLog();
  await journal.moveDue(connection, write);
  logBytes = 300;
  expect(moved).toEqual([122_880, 220]);
  expect(journal.isEmpty).toBe(true);
  // Otherwise the 220 rows would say that the log had 5,000 bytes, and a start would take it for a damaged one.
  const reopened = await Journal.open(connection, path, { counters, logBytes: () => logBytes });
  expect(reopened.isEmpty).toBe(true);
  reopened.close(false);
  // In the new log, a row group moves alone.
  await append(500);
  await append(122_600);
  await journal.moveDue(connection, write);
  expect(moved).toEqual([122_880, 220, 122_880]);
  await journal.move(connection, write);
  journal.close(false);
  connection.close();
  database.close();
});

test("recognises attributes that are too long for an entry without copying them", () => {
  const offset = new Uint32Array(100);
  const longOf = (bytes: number): Rows => ({
    ...taggedRows(100, []),
    attributes: [{ name: "long", offset, length: new Uint32Array(100).fill(bytes) }],
    get text(): Uint8Array {
      throw new Error("read");
    },
  });
  const payload = (bytes: number) => payloadOf(entryOf({ rows: [longOf(bytes)] }, () => true)!, 0);
  // 100 rows have 2,100 bytes of numbers, and 400 of lengths.
  const most = 16 * 1_048_576 - 2_500;
  expect(payload(Math.floor(most / 100))).toBeDefined();
  expect(payload(Math.floor(most / 100) + 1)).toBeUndefined();
});

test("counts waiting changes in a snapshot of the totals", async () => {
  await store.commit(first);
  await store.commit({ totals: snapshotOf([]), rows: [rowsOf([[1, 5, 5]])] });
  expect(await samplesOf(await killed("killed.duckdb"))).toEqual([[1, 5, 5]]);
});

test("keeps the newest state of a group, of a metric and of what notifications keep", async () => {
  await store.commit(first);
  await store.commit({
    metrics: [{ ...metric, help: "later" }],
    groups: [{ key: '{"job":"b"}', definition: "1" }],
  });
  await store.commit({
    groups: [
      { key: '{"job":"b"}', definition: "2" },
      { key: '{"job":"a"}', definition: null },
    ],
    notifications: [
      { key: "silence/2", definition: "3" },
      { key: "silence/1", definition: null },
    ],
  });
  const { stored } = await killed("killed.duckdb");
  expect(stored.metrics.read().map(({ help }) => help)).toEqual(["later"]);
  expect(stored.groups).toEqual([{ key: '{"job":"b"}', definition: "2" }]);
  expect(stored.notifications).toEqual([{ key: "silence/2", definition: "3" }]);
});

test("keeps waiting changes when another change fails", async () => {
  await store.commit(first);
  const broken = { rows: [{ ...rowsOf([[1, 9, 9]]), value: undefined } as unknown as Rows] };
  await expect(store.commit(broken)).rejects.toThrow();
  await expect(store.commit({ ...broken, lastPushes: [] })).rejects.toThrow();
  await store.commit({ rows: [rowsOf([[1, 10, 10]])] });
  expect(await samplesOf(await killed("killed.duckdb"))).toEqual([...samples, [1, 10, 10]]);
});

test("opens a reader in bounded time while others push", async () => {
  let isOver = false;
  let acknowledged = 0;
  const pushing = (async () => {
    for (let at = 10; !isOver; at++) {
      await store.commit({ rows: [rowsOf([[1, at, at]])] });
      acknowledged++;
    }
  })();
  for (let round = 0; round < 20; round++) {
    const before = acknowledged;
    expect(await moved(store)).toBeGreaterThanOrEqual(before);
  }
  isOver = true;
  await pushing;
});

/** A disk of two pages, of which the header of a journal takes one, and a disk that can store a database. */
const disk = smallDisk("8k");
const largerDisk = smallDisk("6m");
/** A text that does not fit in the rest of a file's last page. */
const PAGES = "0123456789abcdef".repeat(1_000);

test.skipIf(!largerDisk.isMounted)(
  "loses nothing when the engine does not survive a checkpoint, and opens the file again",
  async () => {
    const full = (await open(join(largerDisk.path, "store"))).store;
    others.push(full);
    const many = Array.from({ length: 20_000 }, (_, at): Sample => [1, at, Math.sin(at)]);
    await full.commit({ rows: [rowsOf(many)] });
    expect(await full.checkpoint()).toBe(true);
    const reopenings = async () => (await counters.engineReopenings.get()).values[0]!.value;
    const before = await reopenings();
    // The log is short, but a checkpoint writes all of the day's last rows again. So a disk with room for the
    // log is too small.
    await full.commit({ rows: [rowsOf([[3, 1, 1]])] });
    await full.moveJournal();
    await full.commit({ rows: [rowsOf([[3, 2, 2]])] });
    const { bavail, bsize } = statfsSync(largerDisk.path);
    const ballast = join(largerDisk.path, "ballast");
    writeFileSync(ballast, new Uint8Array(bavail * bsize - 16_384));
    expect(await full.checkpoint()).toBe(false);
    expect(await reopenings()).toBe(before + 1);
    expect(await samplesOf({ store: full })).toEqual([...many, [3, 1, 1], [3, 2, 2]]);

    rmSync(ballast);
    await full.commit({ rows: [rowsOf([[3, 3, 3]])] });
    const all: Sample[] = [...many, [3, 1, 1], [3, 2, 2], [3, 3, 3]];
    expect(await samplesOf({ store: full })).toEqual(all);
    expect(await full.checkpoint()).toBe(true);
    for (const end of ["", ".wal", ".journal"])
      Bun.spawnSync(["cp", join(largerDisk.path, `store${end}`), join(folder, `left.duckdb${end}`)]);
    const left = await open("left.duckdb");
    others.push(left.store);
    expect(await samplesOf(left)).toEqual(all);
  },
);

test.skipIf(!largerDisk.isMounted)(
  "reads the journal at a start on a full disk, and moves it once there is room",
  async () => {
    const begun = (await open(join(largerDisk.path, "begun"))).store;
    await begun.commit({ rows: [rowsOf([[9, 0, 9]])] });
    const metric = {
      name: "m",
      kind: "gauge",
      type: "gauge",
      unit: "s",
      help: "first",
      buckets: [],
    } as const;
    const labels = new Map([["a", "b"]]);
    const push = { scope: "s", key: "k", bodyHash: "h", receivedAtMs: 1, accepted: 1, answer: PAGES };
    await begun.commit({
      groups: [{ key: "gone", definition: "x" }],
      metrics: [metric],
      rows: [rowsOf([[9, 1, 1]])],
    });
    await begun.moveJournal();
    await begun.commit({
      metrics: [{ ...metric, help: "second" }],
      series: [{ seriesId: 3, metric, labels, exposed: true }],
      seriesDays: [{ seriesId: 3, day: DAY }],
      rows: [rowsOf([[3, 2, 2]])],
      pushes: [push],
      groups: [
        { key: "gone", definition: null },
        { key: "here", definition: "y" },
      ],
    });
    // As a kill leaves them, except that this process keeps its file open.
    for (const end of ["", ".wal", ".journal"])
      Bun.spawnSync(["cp", join(largerDisk.path, `begun${end}`), join(largerDisk.path, `left${end}`)]);
    await begun.close();
    const ballast = join(largerDisk.path, "ballast");
    const { bavail, bsize } = statfsSync(largerDisk.path);
    writeFileSync(ballast, new Uint8Array(bavail * bsize));

    const { store: full, stored } = await open(join(largerDisk.path, "left"));
    others.push(full);
    expect(stored.metrics.read()).toEqual([{ ...metric, help: "second" }]);
    expect(plainStored(stored).series).toEqual([{ seriesId: 3, metric: "m", labels, exposed: true }]);
    expect(stored.seriesDays.read()).toEqual([{ seriesId: 3, day: DAY }]);
    expect(stored.pushes.read()).toEqual([push]);
    expect(stored.groups).toEqual([{ key: "here", definition: "y" }]);
    const replayed: number[] = [];
    await full.replay(({ value }) => replayed.push(...value));
    expect(replayed).toEqual([9, 1, 2]);
    expect(full.room().isFull).toBe(true);
    expect(() => full.requireRoom()).toThrow("disk full: 0 bytes are free");
    // Readers miss entries that could not be moved, until there is room.
    const counted = async () => {
      const reader = await full.reader();
      const [count] = await reader.all<{ rows: number }>(
        "SELECT count(*) AS rows FROM weir.samples_20241004",
      );
      reader.close();
      return count!.rows;
    };
    expect(await counted()).toBe(2);
    const many = Array.from({ length: 2_000 }, (_, at): Sample => [9, at, at]);
    await expect(full.commit({ rows: [rowsOf(many)] })).rejects.toBeInstanceOf(DiskFull);

    rmSync(ballast);
    await full.commit({ rows: [rowsOf([[9, 3, 3]])] });
    expect(full.room().isFull).toBe(false);
    expect(await counted()).toBe(4);
    const all: Sample[] = [
      [9, 0, 9],
      [9, 1, 1],
      [3, 2, 2],
      [9, 3, 3],
    ];
    expect(await samplesOf({ store: full })).toEqual(all);
    await full.close();
    const again = await open(join(largerDisk.path, "left"));
    others.push(again.store);
    expect(plainStored(again.stored).series).toEqual([{ seriesId: 3, metric: "m", labels, exposed: true }]);
    expect(await samplesOf(again)).toEqual(all);
  },
);

test.skipIf(!disk.isMounted)("stores a change once when the journal cannot take it", async () => {
  await store.close();
  symlinkSync(join(disk.path, "journal"), join(folder, "store.duckdb.journal"));
  store = (await open("store.duckdb")).store;
  const failures = async () => (await counters.journalWriteFailures.get()).values[0]!.value;
  const before = await failures();
  await store.commit(first);
  const want = [...samples];
  for (let at = 10; at < 110; at++) {
    await store.commit({ rows: [rowsOf([[1, at, at]])] });
    want.push([1, at, at]);
  }
  // A page has room for some records. After each failure the journal is emptied, and has room again.
  expect(await failures()).toBeGreaterThan(before + 1);
  expect(await failures()).toBeLessThan(before + 20);
  expect(await samplesOf(await killed("killed.duckdb"))).toEqual(want);
});

test("keeps all metadata of hundreds of new metrics, and the newest record of each", async () => {
  const metrics = Array.from({ length: 600 }, (_, at) => ({
    name: `it's "${at}"`,
    kind: "observation" as const,
    type: "histogram" as const,
    unit: "s",
    help: "h",
    buckets: [0.1, 2.5, 1e300, at + 0.5],
  }));
  for (let at = 0; at < 600; at += 100) await store.commit({ metrics: metrics.slice(at, at + 100) });
  const refined = metrics.slice(50, 80).map((each) => ({ ...each, help: "later" }));
  await store.commit({ metrics: refined });
  const want = metrics.toSpliced(50, 30, ...refined);
  const left = await killed("killed.duckdb");
  expect(left.stored.metrics.read().toSorted((a, b) => a.buckets[3]! - b.buckets[3]!)).toEqual(want);
  // Records that were moved are replaced too.
  await left.store.commit({ metrics: metrics.slice(50, 80) });
  const reader = await left.store.reader();
  const sql = "SELECT help, count(*) AS metrics FROM metrics GROUP BY ALL";
  expect(await reader.all(sql)).toEqual([{ help: "h", metrics: 600 }]);
  reader.close();
});

test("opens a reader during a checkpoint without waiting for it", async () => {
  const order: string[] = [];
  const day = Array.from({ length: 400_000 }, (_, at): Sample => [1, at, Math.sin(at)]);
  await store.commit({ rows: [rowsOf(day)] });
  await store.commit(first);
  const checkpoint = store.checkpoint().then((isTaken) => order.push(`checkpoint ${isTaken}`));
  const reader = await store.reader();
  order.push("reader");
  reader.close();
  await checkpoint;
  expect(order).toEqual(["reader", "checkpoint true"]);
});

test("does not move the records of a removed store into the next store in its place", async () => {
  await store.commit(first);
  copyFileSync(join(folder, "store.duckdb.journal"), join(folder, "next.duckdb.journal"));
  const next = await open("next.duckdb");
  others.push(next.store);
  expect(next.stored.series.read()).toEqual([]);
  expect(await samplesOf(next)).toEqual([]);
  await next.store.commit({ rows: [rowsOf([[1, 5, 5]])] });
  await next.store.commit({ rows: [rowsOf([[1, 6, 6]])] });
  expect(await samplesOf(next)).toEqual([
    [1, 5, 5],
    [1, 6, 6],
  ]);
});

test("rejects a change after close, and writes it into no other file", async () => {
  await store.commit(first);
  await store.close();
  // One of these files has the descriptor that the journal had.
  const paths = Array.from({ length: 8 }, (_, at) => join(folder, `other${at}`));
  const descriptors = paths.map((path) => openSync(path, "w"));
  await expect(store.commit({ rows: [rowsOf([[1, 4, 4]])] })).rejects.toThrow("the store is closed");
  for (const each of descriptors) closeSync(each);
  for (const path of paths) expect(readFileSync(path, "utf8")).toBe("");
  store = (await open("store.duckdb")).store;
  expect(await samplesOf({ store })).toEqual(samples);
});

test("rejects a reader while the store closes, and leaves no connection open", async () => {
  await store.commit(first);
  const asked = store.reader();
  const closed = store.close();
  await expect(asked).rejects.toThrow("the store is closed");
  await closed;
  store = (await open("store.duckdb")).store;
  expect(await samplesOf({ store })).toEqual(samples);
});
