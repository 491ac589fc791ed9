/**
 * The engine gives up on its file at a checkpoint, on a disk that another program fills meanwhile. The store
 * opens the file again while queries continue. Only root can mount the small disk.
 */
import { expect, test } from "bun:test";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../src/model/counters.ts";
import { Unavailable } from "../../src/model/errors.ts";
import type { Rows } from "../../src/model/sample.ts";
import type { DuckDBStore } from "../../src/store/duckdb-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { smallDisk } from "../small-disk.ts";

const DAY = 20_000; // 2024-10-04
const disk = smallDisk("16m");
const ROUNDS = 12;

function rowsOf(length: number, firstUs: number): Rows {
  return {
    day: DAY,
    length,
    seriesId: new Uint32Array(length).fill(1),
    timestampUs: Float64Array.from({ length }, (_, at) => DAY * 86_400_000_000 + firstUs + at),
    // Different values, so that they do not compress.
    value: Float64Array.from({ length }, (_, at) => Math.sin(firstUs + at)),
    stale: new Uint8Array(length),
    live: new Uint8Array(length).fill(1),
    attributes: [],
    text: new Uint8Array(0),
  };
}

/** Reads until `isOver`. Returns how many queries were answered, and how many were asked to try again. */
async function readOn(store: DuckDBStore, how: "whole" | "bit by bit", isOver: () => boolean) {
  const outcomes = { answered: 0, askedAgain: 0 };
  while (!isOver()) {
    try {
      const reader = await store.reader();
      try {
        if (how === "whole") {
          await reader.all("SELECT count(*), sum(value) FROM weir.samples_20241004");
        } else {
          const { chunks } = await reader.stream("SELECT value FROM weir.samples_20241004");
          // As slowly as a distant client.
          for await (const _ of chunks()) await Bun.sleep(0);
        }
        outcomes.answered++;
      } finally {
        reader.close();
      }
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      outcomes.askedAgain++;
      await Bun.sleep(1);
    }
  }
  return outcomes;
}

test.skipIf(!disk.isMounted)(
  "keeps every row when the file is opened again, and answers queries or asks for a retry (needs root)",
  async () => {
    const faults: string[] = [];
    const counters = createCounters();
    const store = (
      await openStore({
        counters,
        path: join(disk.path, "store.duckdb"),
        memoryLimitBytes: 2 ** 28,
        threads: 2,
        temporaryDirectory: join(disk.path, "tmp"),
        onFault: (message) => faults.push(message),
        onFatal: () => faults.push("fatal"),
      })
    ).store;
    const reopenings = async () => (await counters.engineReopenings.get()).values[0]!.value;
    const before = await reopenings();
    // A checkpoint writes the last rows of a table again: more than the log has.
    await store.commit({ rows: [rowsOf(50_000, 0)] });
    expect(await store.checkpoint()).toBe(true);
    let isOver = false;
    const reading = Promise.all(
      (["whole", "whole", "bit by bit", "bit by bit"] as const).map((how) =>
        readOn(store, how, () => isOver),
      ),
    );
    const ballast = join(disk.path, "ballast");
    for (let round = 1; round <= ROUNDS; round++) {
      await store.commit({ rows: [rowsOf(2_000, round * 1_000_000)] });
      await store.moveJournal();
      const { bavail, bsize } = statfsSync(disk.path);
      const { logBytes } = await store.fileSizes();
      // There is room for the log, so the checkpoint is tried.
      writeFileSync(ballast, new Uint8Array(Math.max(0, bavail * bsize - logBytes - 40_000)));
      await store.checkpoint();
      rmSync(ballast);
    }
    isOver = true;
    const outcomes = await reading;
    expect(outcomes.every(({ answered }) => answered > 0)).toBe(true);
    expect(await reopenings()).toBeGreaterThan(before);
    expect(new Set(faults)).toEqual(
      new Set(["the engine gave up on the file at a checkpoint; the file is open again"]),
    );
    const count = async (of: DuckDBStore) => {
      const reader = await of.reader();
      const [found] = await reader.all<{ rows: number }>(
        "SELECT count(*) AS rows FROM weir.samples_20241004",
      );
      reader.close();
      return found!.rows;
    };
    expect(await count(store)).toBe(50_000 + ROUNDS * 2_000);
    expect(await store.checkpoint()).toBe(true);
    await store.close();
  },
);
