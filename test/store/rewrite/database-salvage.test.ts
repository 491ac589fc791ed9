/**
 * Damage at several places of a database file and its log: what the engine can read is in a new folder, every loss is counted,
 * and the damaged files are not changed. The values say which rows they are.
 */
import { snapshotOf } from "../../totals-snapshots.ts";
import { beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Metric, Rows } from "../../../src/model/sample.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { blockChecksum } from "../../../src/store/engine/block-checksum.ts";
import { salvageStore } from "../../../src/store/rewrite/database-salvage.ts";
import { StoreDamaged } from "../../../src/store/store.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const DAY = 20_000; // 2024-10-04
const DAY_US = 86_400_000_000;
const ROWS = 125_000;
/** Rows of the first day that the totals contain. */
const COUNTED = 100_000;
const HEADERS = 3 * 4_096;
const BLOCK = 262_144;
const NOW = Date.UTC(2024, 9, 5, 6, 7, 8);

const optionsOf = (folder: string) => ({
  counters: createCounters(),
  path: join(folder, "store.duckdb"),
  memoryLimitBytes: 2 ** 28,
  threads: 1,
  temporaryDirectory: join(folder, "tmp"),
});

const metric: Metric = {
  name: "m",
  prometheusName: "m",
  kind: "gauge",
  type: "gauge",
  unit: "",
  help: "Some help.",
  buckets: [],
};

const textOf = (day: number, row: number) =>
  new Bun.CryptoHasher("md5").update(`${day} ${row}`).digest("hex").slice(0, 12);

/** Rows of series 1 and 2 in turn. The value is the number of the row, and the attribute a text that is made of it. */
function rowsOf(day: number, from: number, length: number): Rows {
  const texts = Array.from({ length }, (_, row) => textOf(day, from + row));
  return {
    day,
    length,
    seriesId: Uint32Array.from({ length }, (_, row) => 1 + ((from + row) % 2)),
    timestampUs: Float64Array.from({ length }, (_, row) => day * DAY_US + (from + row) * 7),
    value: Float64Array.from({ length }, (_, row) => from + row),
    stale: new Uint8Array(length),
    live: new Uint8Array(length).fill(1),
    attributes: [
      {
        name: "task_id",
        offset: Uint32Array.from({ length }, (_, row) => row * 12),
        length: new Uint32Array(length).fill(12),
      },
    ],
    text: new TextEncoder().encode(texts.join("")),
  };
}

/** A store with 125,000 rows of one day and 10 of the next, of which the totals contain 100,000 and 10. It is closed. */
let whole: string;
beforeAll(async () => {
  whole = temporaryFolder();
  const { store } = await openStore(optionsOf(whole));
  const series = (seriesId: number) => ({
    seriesId,
    metric,
    labels: new Map([["n", `${seriesId}`]]),
    exposed: true,
  });
  await store.commit({
    metrics: [metric],
    series: [series(1), series(2)],
    seriesDays: [1, 2].flatMap((seriesId) => [DAY, DAY + 1].map((day) => ({ seriesId, day }))),
    rows: [rowsOf(DAY, 0, COUNTED), rowsOf(DAY + 1, 0, 10)],
    pushes: [{ scope: "s", key: "k", bodyHash: "h", receivedAtMs: 1, accepted: 1, answer: "{}" }],
    groups: [{ key: "{}", definition: "[]" }],
  });
  const total = {
    count: 50_005,
    sumHigh: 1,
    sumLow: 0,
    value: 7,
    createdUs: 1,
    lastUs: 2,
    arrivedUs: 3,
    buckets: [],
  };
  await store.commit({
    totals: snapshotOf([1, 2].map((seriesId) => ({ seriesId, ...total }))),
  });
  await store.commit({ rows: [rowsOf(DAY, COUNTED, ROWS - COUNTED)] });
  await store.close();
});

/** A copy of the whole store with other bytes at some places of its file. */
function damaged(...places: readonly number[]): string {
  const folder = temporaryFolder();
  const bytes = readFileSync(join(whole, "store.duckdb"));
  for (const at of places) bytes[at]! ^= 0x10;
  writeFileSync(join(folder, "store.duckdb"), bytes);
  return folder;
}

/** What a salvaged store has of a day: rows, values of the attribute, rows that are not what they were, the greatest value. */
interface DayContents extends Record<string, unknown> {
  readonly rows: number;
  readonly tasks: number;
  readonly wrong: number;
  /** Rows of the day that the first totals did not contain. */
  readonly later: number;
}

const CONTENTS = (day: number, table: string) => `
  SELECT count(*)::INT AS rows, count(task_id)::INT AS tasks,
    count(*) FILTER (series_id <> 1 + value::INT % 2 OR epoch_us(ts) <> ${day * DAY_US} + value::BIGINT * 7
      OR task_id <> left(md5('${day} ' || value::INT), 12) OR value <= before)::INT AS wrong,
    count(*) FILTER (value >= ${COUNTED})::INT AS later
  FROM (SELECT *, lag(value) OVER (ORDER BY rowid) AS before FROM weir.${table})`;

/** What a salvaged store has. `replayed` are the rows that the totals do not contain. */
async function contentsOf(folder: string) {
  const { store, stored } = await openStore(optionsOf(folder));
  const days: DayContents[] = [];
  const reader = await store.reader();
  for (const { day, table } of store.days())
    days.push(...(await reader.all<DayContents>(CONTENTS(day, table))));
  reader.close();
  let replayed = 0;
  await store.replay(({ length }) => {
    replayed += length;
  });
  await store.close();
  const sum = (of: (day: DayContents) => number) => days.reduce((total, day) => total + of(day), 0);
  return {
    rows: sum(({ rows }) => rows),
    tasks: sum(({ tasks }) => tasks),
    wrong: sum(({ wrong }) => wrong),
    later: sum(({ later }) => later),
    replayed,
    stored,
  };
}

/** Salvages a folder, and checks that its own files stay as they are. */
async function salvage(folder: string) {
  const files = () =>
    readdirSync(folder)
      .filter((name) => name.startsWith("store.duckdb"))
      .map((name) => [name, Bun.hash(readFileSync(join(folder, name)))]);
  const before = files();
  try {
    return await salvageStore(optionsOf(folder), NOW);
  } finally {
    expect(files()).toEqual(before);
    expect(existsSync(join(folder, "tmp", "salvage"))).toBe(false);
  }
}

test("a store that can be read is not salvaged", async () => {
  expect(await salvage(damaged())).toBeUndefined();
});

test("a file without the headers of a database is not salvaged, and the error says so", async () => {
  const folder = damaged();
  writeFileSync(join(folder, "store.duckdb"), "not a database");
  await expect(salvage(folder)).rejects.toThrow("a header of the file is damaged or missing");
});

test("each damaged block of the file costs what is in it, and is counted", async () => {
  const blocks = Math.floor((statSync(join(whole, "store.duckdb")).size - HEADERS) / BLOCK);
  const kinds = new Map<string, number>();
  const note = (kind: string) => void kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  for (let block = 0; block < blocks; block++) {
    // Every other one of the samples. The last ones have the small tables and the catalog.
    if (block % 2 === 1 && block < blocks - 3) continue;
    const folder = damaged(HEADERS + block * BLOCK + 700);
    const salvaged = await salvage(folder).catch((error: unknown) => error);
    if (salvaged === undefined) {
      // A free block.
      note("free");
      continue;
    }
    if (salvaged instanceof StoreDamaged) {
      // The catalog.
      expect(salvaged.message).toMatch(
        /^The engine can read nothing of .*: .*Restore a backup \(weir restore\) or a snapshot/,
      );
      expect(readdirSync(folder).filter((name) => name.startsWith("repaired"))).toEqual([]);
      note("catalog");
      continue;
    }
    if (salvaged instanceof Error) throw salvaged;
    const {
      tables,
      folder: made,
      headers,
      orphans,
    } = salvaged as NonNullable<Awaited<ReturnType<typeof salvageStore>>>;
    const { rows, tasks, wrong, later, replayed, stored } = await contentsOf(made);
    if (headers === "previous checkpoint") continue;
    const days = tables.filter(({ day }) => day !== undefined);
    const lostRows = days.reduce((sum, loss) => sum + loss.lostRows, 0);
    const lostValues = days.reduce((sum, { lostValues: lost }) => sum + (lost.get("task_id") ?? 0), 0);
    if (lostRows > 0) note("rows");
    if (lostValues > 0) note("values");
    expect({ block, rows, wrong }).toEqual({ block, rows: ROWS + 10 - lostRows - orphans, wrong: 0 });
    if (orphans === 0) expect({ block, nulls: rows - tasks }).toEqual({ block, nulls: lostValues });
    // The totals continue from the same row.
    if (stored.totals.length === 2) expect({ block, replayed }).toEqual({ block, replayed: later });
  }
  // Values of the attribute alone, whole rows, and the catalog. The small tables share a block with one of them or not.
  expect([...kinds.keys()]).toEqual(expect.arrayContaining(["values", "rows"]));
  expect(kinds.get("catalog") ?? 0).toBeLessThanOrEqual(2);
});

test("a damaged header costs nothing, if its fields are possible or another header is newer", async () => {
  const bytes = readFileSync(join(whole, "store.duckdb"));
  const iterationOf = (at: number) => bytes.readBigUInt64LE(at + 8);
  const newer = iterationOf(4_096) > iterationOf(8_192) ? 4_096 : 8_192;
  // The magic bytes, the version of the engine, unused bytes of both headers, and the older header's metadata.
  for (const at of [9, 60, newer + 3_000, 12_288 - newer + 3_000]) {
    const salvaged = (await salvage(damaged(at)))!;
    expect(salvaged).toMatchObject({ headers: "new checksum", orphans: 0, areTotalsNew: false });
    expect(
      salvaged.tables.every(
        ({ rows, lostRows, lostValues }) => rows !== undefined && lostRows === 0 && lostValues.size === 0,
      ),
    ).toBe(true);
    expect(await contentsOf(salvaged.folder)).toMatchObject({ rows: ROWS + 10, tasks: ROWS + 10, wrong: 0 });
  }
});

test("a damaged log costs the commits from the damage on, and the journal continues from there", async () => {
  const folder = temporaryFolder();
  const from = temporaryFolder();
  expect(Bun.spawnSync(["cp", join(whole, "store.duckdb"), from]).exitCode).toBe(0);
  const { store } = await openStore(optionsOf(from));
  const ends = [0];
  for (const first of [10, 2_010, 4_010]) {
    // A snapshot of the totals is not for the journal.
    await store.commit({ rows: [rowsOf(DAY + 1, first, 2_000)], totals: snapshotOf([], false) });
    ends.push(statSync(join(from, "store.duckdb.wal")).size);
  }
  await store.commit({ rows: [rowsOf(DAY + 1, 6_010, 3)] });
  expect(Bun.spawnSync(["cp", "-r", `${from}/.`, folder]).exitCode).toBe(0);
  await store.close();
  const log = readFileSync(join(folder, "store.duckdb.wal"));
  log[ends[1]! + 100]! ^= 1;
  writeFileSync(join(folder, "store.duckdb.wal"), log);
  const salvaged = (await salvage(folder))!;
  expect(salvaged).toMatchObject({
    headers: "none",
    lostCommits: 2,
    isLogLeftOut: false,
    isJournalLeftOut: false,
  });
  expect(salvaged.reason).toMatch(/^its log is damaged at byte \d+$/);
  // 10 rows, the first commit and the journal.
  expect(await contentsOf(salvaged.folder)).toMatchObject({ rows: ROWS + 10 + 2_000 + 3, wrong: 0 });
});

test("the checksum is the engine's", () => {
  const bytes = readFileSync(join(whole, "store.duckdb"));
  for (const at of [0, 4_096, 8_192])
    expect(blockChecksum(bytes.subarray(at + 8, at + 4_096))).toBe(bytes.readBigUInt64LE(at));
  // The entry of the log that ends each commit.
  expect(blockChecksum(Buffer.from("640064ffff", "hex"))).toBe(
    Buffer.from("e7fe7d722fed3d5e", "hex").readBigUInt64LE(0),
  );
});
