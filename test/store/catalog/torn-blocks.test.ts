/**
 * A kill while the engine writes a block of its catalog in place: the engine is stopped between these blocks and the header, and
 * pages of the block are then those of before the checkpoint, as a write leaves them that a kill or a loss of power has cut.
 */
import { beforeAll, expect, test } from "bun:test";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Metric } from "../../../src/model/sample.ts";
import { CatalogNote } from "../../../src/store/catalog/catalog-note.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { blockChecksum } from "../../../src/store/engine/block-checksum.ts";
import { Database } from "../../../src/store/engine/duckdb.ts";
import { lastCheckpoint } from "../../../src/store/engine/file-headers.ts";
import { salvageStore } from "../../../src/store/rewrite/database-salvage.ts";
import { type RecoveredBlocks, recoverTornBlocks } from "../../../src/store/catalog/torn-recovery.ts";
import { StoreDamaged } from "../../../src/store/store.ts";
import { snapshotOf } from "../../totals-snapshots.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const DAY = 20_000; // 2024-10-04
const DAY_US = 86_400_000_000;
const HEADERS = 3 * 4_096;
const PAGE = 4_096;
const ROUNDS = 6;
const ROWS = 500;
const VALUES = Array.from({ length: ROUNDS * ROWS }, (_, row) => row);

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
  help: "",
  buckets: [],
};

/** Rows of one day. The value is the number of the row. */
function rowsOf(day: number, from: number, length: number) {
  return {
    day,
    length,
    seriesId: new Uint32Array(length).fill(1),
    timestampUs: Float64Array.from({ length }, (_, row) => day * DAY_US + (from + row) * 7),
    value: Float64Array.from({ length }, (_, row) => from + row),
    stale: new Uint8Array(length),
    live: new Uint8Array(length).fill(1),
    attributes: [],
    text: new Uint8Array(0),
  };
}

/** Copied by another process, because closing a file here would give up its locks. */
function copied(from: string): string {
  const to = join(temporaryFolder(), "data");
  expect(Bun.spawnSync(["cp", "-r", from, to]).exitCode).toBe(0);
  return to;
}

/** What a kill leaves before the last checkpoint, and between its blocks and its header. */
let before: string;
let during: string;
/** Of `before`: where its catalog begins, and the block that it is in. */
let part: number;
let at: number;
let blockBytes: number;

beforeAll(async () => {
  const folder = temporaryFolder();
  const { store } = await openStore(optionsOf(folder));
  await store.commit({
    metrics: [metric],
    series: [{ seriesId: 1, metric, labels: new Map(), exposed: true }],
  });
  for (let round = 0; round < ROUNDS; round++) {
    const day = DAY + Math.floor(round / 2);
    await store.commit({
      seriesDays: [{ seriesId: 1, day }],
      rows: [rowsOf(day, round * ROWS, ROWS)],
    });
    await store.moveJournal();
    if (round === 3) {
      const total = {
        count: 2_000,
        sumHigh: 1,
        sumLow: 0,
        value: 1_999,
        createdUs: 1,
        lastUs: 2,
        arrivedUs: 3,
      };
      await store.commit({ totals: snapshotOf([{ seriesId: 1, ...total, buckets: [] }]) });
    }
    // The last round is in the log only.
    if (round < ROUNDS - 1) expect(await store.checkpoint()).toBe(true);
  }
  before = copied(folder);
  await store.close();

  const ended = copied(before);
  const database = await Database.open(optionsOf(ended).path, optionsOf(ended));
  const connection = await database.connect();
  const note = new CatalogNote(optionsOf(ended).path);
  await connection.run("SET debug_checkpoint_abort = 'after_free_list_write'");
  note.write();
  await expect(connection.run("CHECKPOINT")).rejects.toThrow("aborted after free list write");
  during = copied(ended);
  connection.close();
  database.close();
  note.close();

  const file = openSync(optionsOf(before).path, "r");
  const header = lastCheckpoint(file)!;
  closeSync(file);
  part = Number(header.metadata >> 56n);
  blockBytes = header.blockBytes;
  at = HEADERS + Number(header.metadata & 0xffn) * blockBytes;
});

const fileIn = (folder: string) => readFileSync(optionsOf(folder).path);

/** A folder in which some pages of the catalog's block are those of before the checkpoint, and the others those of during it. */
function torn(isOld: (page: number) => boolean): string {
  const folder = copied(during);
  const bytes = fileIn(folder);
  const old = fileIn(before);
  for (let page = 0; page * PAGE < blockBytes; page++)
    if (isOld(page)) old.copy(bytes, at + page * PAGE, at + page * PAGE, at + (page + 1) * PAGE);
  writeFileSync(optionsOf(folder).path, bytes);
  return folder;
}

const hasWrongChecksum = (folder: string) => {
  const block = fileIn(folder).subarray(at, at + blockBytes);
  return blockChecksum(block.subarray(8)) !== block.readBigUInt64LE(0);
};

/** The values of all samples in their order, and what the start recovered. */
async function startedWith(folder: string) {
  const recovered: RecoveredBlocks[] = [];
  const options = { ...optionsOf(folder), onRecovered: (blocks: RecoveredBlocks) => recovered.push(blocks) };
  const { store } = await openStore(options);
  const reader = await store.reader();
  const values: number[] = [];
  for (const { table } of store.days())
    for (const { value } of await reader.all<{ value: number }>(
      `SELECT value FROM weir.${table} ORDER BY rowid`,
    ))
      values.push(value);
  reader.close();
  await store.close();
  const counted = (await options.counters.blocksRecovered.get()).values[0]!.value;
  return { values, recovered, counted };
}

test("the engine cannot open a block of the catalog that a kill has cut, and a start recovers all samples", async () => {
  for (const newPages of [1, 2, 4]) {
    const folder = torn((page) => page >= newPages);
    expect(hasWrongChecksum(folder)).toBe(true);
    const { path } = optionsOf(folder);
    await expect(Database.open(path, { ...optionsOf(folder), isReadOnly: true })).rejects.toThrow("checksum");
    const { values, recovered, counted } = await startedWith(folder);
    expect(values).toEqual(VALUES);
    expect(recovered).toHaveLength(1);
    expect(recovered[0]!.blocks.map((block) => block.at)).toEqual([at]);
    expect(counted).toBe(1);
    expect(existsSync(`${path}.catalog`)).toBe(false);
    expect((await startedWith(folder)).recovered).toEqual([]);
  }
});

test("a start recovers all samples after a loss of power that has stored the later pages of the block only", async () => {
  const folder = torn((page) => page < 2);
  expect(hasWrongChecksum(folder)).toBe(true);
  const { values, counted } = await startedWith(folder);
  expect(values).toEqual(VALUES);
  expect(counted).toBe(1);
});

test("a checkpoint that was killed before its header, with whole blocks, needs no recovery", async () => {
  const { values, counted } = await startedWith(copied(during));
  expect(values).toEqual(VALUES);
  expect(counted).toBe(0);
});

test("without a note, a start reports damage, and weir doctor --repair reads everything and recovers", async () => {
  const folder = torn((page) => page >= 1);
  const { path } = optionsOf(folder);
  rmSync(`${path}.catalog`);
  await expect(openStore(optionsOf(folder))).rejects.toBeInstanceOf(StoreDamaged);
  const recovered = await recoverTornBlocks(optionsOf(folder), true);
  expect(recovered).toMatchObject({ path, blocks: [{ at, bytes: blockBytes }] });
  expect(recovered!.read!.rows).toBeGreaterThan(VALUES.length);
  expect(existsSync(join(folder, "tmp", "recovery"))).toBe(false);
  expect(await salvageStore(optionsOf(folder), Date.UTC(2024, 9, 5))).toBeUndefined();
  expect((await startedWith(folder)).values).toEqual(VALUES);
});

test("a cut block with one other bit in a part in use is reported, and no file is changed", async () => {
  const partBytes = Math.floor((blockBytes - 8) / 64 / 8) * 8;
  for (const place of [8, 100, partBytes - 1]) {
    const folder = torn((page) => page >= 1);
    const bytes = fileIn(folder);
    bytes[at + 8 + part * partBytes + place]! ^= 4;
    writeFileSync(optionsOf(folder).path, bytes);
    const names = readdirSync(folder).sort();
    await expect(openStore(optionsOf(folder))).rejects.toBeInstanceOf(StoreDamaged);
    expect(await recoverTornBlocks(optionsOf(folder), true)).toBeUndefined();
    expect(fileIn(folder).equals(bytes)).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(names);
  }
});

test("a wrong checksum of the catalog without an interrupted checkpoint is damage", async () => {
  const folder = copied(before);
  const bytes = fileIn(folder);
  bytes[at]! ^= 1;
  writeFileSync(optionsOf(folder).path, bytes);
  await expect(openStore(optionsOf(folder))).rejects.toBeInstanceOf(StoreDamaged);
  expect(fileIn(folder).equals(bytes)).toBe(true);
});
