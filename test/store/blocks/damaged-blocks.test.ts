/**
 * Damage in each part of a file whose samples are in blocks: a repair stores what can be read, counts what it lost, and no sample
 * that is left has another value or time.
 */
import { expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import type { Metric, Rows } from "../../../src/model/sample.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { salvageStore } from "../../../src/store/rewrite/database-salvage.ts";
import { statement } from "../../../src/store/statements.ts";
import { StoreDamaged } from "../../../src/store/store.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { snapshotOf } from "../../totals-snapshots.ts";

const DAY = 20_000;
const DAY_US = 86_400_000_000;
/** Two vectors of the engine, which are read apart, and some of a third one. */
const SERIES = 4_200;
const SAMPLES = 30;
const HEADERS = 3 * 4_096;
const BLOCK = 131_072;
const NOW = Date.UTC(2024, 9, 5);

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

/** The n-th sample of a series: every third series has whole numbers, every third any numbers, and the others one number. */
const sampleOf = (series: number, at: number) =>
  series % 3 === 0
    ? series * 1_000 + ((at * 7_919) % 977)
    : series % 3 === 1
      ? Math.sqrt(series + at / 64)
      : series;
/** Every second series has times to the microsecond, and the others regular ones. */
const timeOf = (series: number, at: number) =>
  DAY * DAY_US + at * 15_000_000 + (series % 2 === 0 ? 0 : (at * 104_729) % 9_973);

function rows(): Rows {
  const length = SERIES * SAMPLES;
  const seriesAt = (row: number) => 1 + (row % SERIES);
  const sampleAt = (row: number) => Math.floor(row / SERIES);
  return {
    day: DAY,
    length,
    seriesId: Uint32Array.from({ length }, (_, row) => seriesAt(row)),
    timestampUs: Float64Array.from({ length }, (_, row) => timeOf(seriesAt(row), sampleAt(row))),
    value: Float64Array.from({ length }, (_, row) => sampleOf(seriesAt(row), sampleAt(row))),
    stale: new Uint8Array(length),
    live: new Uint8Array(length).fill(1),
    attributes: [],
    text: new Uint8Array(),
  };
}

interface StoredSample extends Record<string, unknown> {
  readonly series_id: number;
  readonly us: number;
  readonly value: number;
}

test("a repair keeps the blocks that can be read, and counts the others", async () => {
  const whole = temporaryFolder();
  const made = await openStore(optionsOf(whole));
  const ids = Array.from({ length: SERIES }, (_, at) => at + 1);
  await made.store.commit({
    metrics: [metric],
    series: ids.map((seriesId) => ({
      seriesId,
      metric,
      labels: new Map([["n", `${seriesId}`]]),
      exposed: true,
    })),
    seriesDays: ids.map((seriesId) => ({ seriesId, day: DAY })),
    rows: [rows()],
  });
  await made.store.commit({ totals: snapshotOf([]) });
  expect(await made.store.pack({ day: DAY, untilUs: (DAY + 1) * DAY_US, isForced: true })).toBe(
    SERIES * SAMPLES,
  );
  await made.store.close();

  const bytes = readFileSync(join(whole, "store.duckdb"));
  const blocks = Math.floor((statSync(join(whole, "store.duckdb")).size - HEADERS) / BLOCK);
  let lost = 0;
  let parts = 0;
  let repaired = 0;
  for (let block = 0; block < blocks; block++) {
    const folder = temporaryFolder();
    const damaged = Buffer.from(bytes);
    damaged[HEADERS + block * BLOCK + 700]! ^= 0x10;
    writeFileSync(join(folder, "store.duckdb"), damaged);
    const salvaged = await salvageStore(optionsOf(folder), NOW).catch((error: unknown) => error);
    // A free block, or the catalog.
    if (salvaged === undefined || salvaged instanceof StoreDamaged) continue;
    if (salvaged instanceof Error) throw salvaged;
    const {
      tables,
      folder: into,
      headers,
    } = salvaged as NonNullable<Awaited<ReturnType<typeof salvageStore>>>;
    if (headers === "previous checkpoint") continue;
    repaired++;
    const { store } = await openStore(optionsOf(into));
    const reader = await store.reader();
    const samples = await reader.all<StoredSample>(
      `WITH asked_blocks AS (FROM weir.blocks) SELECT series_id, epoch_us(ts)::DOUBLE AS us, value
       FROM (${statement("store/unpacked_blocks")}) ORDER BY ALL`,
    );
    reader.close();
    const inBlocks = store.days().reduce((sum, { packed }) => sum + packed, 0);
    await store.close();
    const found = [...Map.groupBy(samples, ({ series_id }) => series_id).values()];
    expect([inBlocks, samples.length]).toEqual([found.length * SAMPLES, found.length * SAMPLES]);
    const isWrong = ({ series_id, us, value }: StoredSample, at: number) =>
      us !== timeOf(series_id, at) || value !== sampleOf(series_id, at);
    expect(found.flatMap((series) => series.filter(isWrong))).toEqual([]);
    const lostBlocks = tables.find(({ table }) => table === "blocks")!.lostRows;
    const isSeriesLost = tables.some(({ table, lostRows }) => table === "series" && lostRows > 0);
    if (!isSeriesLost) expect({ block, lostBlocks }).toEqual({ block, lostBlocks: SERIES - found.length });
    if (lostBlocks > 0) lost++;
    if (lostBlocks > 0 && lostBlocks < SERIES) parts++;
  }
  expect(repaired).toBeGreaterThan(3);
  expect(lost).toBeGreaterThan(2);
  // A list that cannot be read costs the vectors that it is in. The other columns of all blocks share a part of the file.
  expect(parts).toBeGreaterThan(0);
}, 120_000);
