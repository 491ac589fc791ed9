/**
 * Kills a process that packs. Each sample is stored once afterwards, as a row or in a block, and a start replays what the
 * stored totals lack. `WEIR_TEST_FACTOR` sets more rounds.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { statement } from "../../../src/store/statements.ts";
import { runs } from "../../runs.ts";
import { temporaryFolder } from "../../temporary-folder.ts";
import { expectedSamples, samplesOf } from "./numbered-batches.ts";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs the process until it has printed some lines, and some turns of the event loop more. Returns the stored batches. */
async function killed(
  path: string,
  first: number,
  seed: number,
  lines: number,
  turns: number,
): Promise<number> {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "packing-process.ts"), path, String(first), String(seed)],
    { stdout: "pipe", stderr: "inherit" },
  );
  let stored = first;
  let text = "";
  let seen = 0;
  const take = (more: string) => {
    const all = (text + more).split("\n");
    text = all.pop()!;
    for (const line of all) {
      seen++;
      if (line.startsWith("stored ")) stored = Number(line.slice(7));
    }
    return all;
  };
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let isPacking = false;
  while (seen < lines || !isPacking) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the process ended");
    const own = take(decoder.decode(value));
    isPacking = own.at(-1) === "packing";
  }
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  child.kill("SIGKILL");
  for (let read = await reader.read(); !read.done; read = await reader.read())
    take(decoder.decode(read.value));
  await child.exited;
  return stored;
}

test(
  "a kill while rows become blocks loses no sample, and doubles none",
  async () => {
    const path = join(folder, "store.duckdb");
    const { numRuns, seed } = runs(6);
    let stored = 0;
    let inBlocks = 0;
    for (let round = 0; round < numRuns; round++) {
      const acknowledged = await killed(
        path,
        stored,
        seed * 1_000 + round,
        8 + (round % 5) * 4,
        (round * 37) % 400,
      );
      const { store, stored: contents } = await openStore({
        path,
        counters: createCounters(),
        memoryLimitBytes: 2 ** 27,
        threads: 2,
        temporaryDirectory: join(folder, "tmp"),
      });
      try {
        const [day] = store.days();
        inBlocks = day?.packed ?? 0;
        stored = (day?.rows ?? 0) / samplesOf(1);
        // The batch that was not acknowledged is stored whole or not at all.
        expect([acknowledged, acknowledged + 1]).toContain(stored);
        const reader = await store.reader();
        const found = await reader.all<{ series_id: number; us: number; value: number }>(
          `WITH asked_blocks AS (FROM weir.blocks), stored AS (
             SELECT series_id, ts, value FROM weir.samples_20261127
             UNION ALL SELECT series_id, ts, value FROM (${statement("store/unpacked_blocks")})
           ) SELECT series_id, epoch_us(ts)::DOUBLE AS us, value FROM stored ORDER BY value`,
        );
        reader.close();
        expect(found.map(({ series_id, us, value }) => [series_id, us, value])).toEqual(
          expectedSamples(stored),
        );
        let replayed = 0;
        await store.replay(({ length }) => {
          replayed += length;
        });
        expect((contents.totals.read()[0]?.count ?? 0) + replayed).toBe(samplesOf(stored));
      } finally {
        await store.close();
      }
    }
    expect(inBlocks).toBeGreaterThan(0);
  },
  { timeout: 600_000 },
);
