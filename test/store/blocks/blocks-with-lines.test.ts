/** Blocks that an earlier version stored, as distances from lines, return the same samples after the upgrade. */
import { expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createCounters } from "../../../src/model/counters.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { Database } from "../../../src/store/engine/duckdb.ts";
import { statement } from "../../../src/store/statements.ts";
import { migrate } from "../../../src/store/tables/migrate.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

const START_US = 1_795_737_600_000_000; // 2026-11-27T00:00:00Z
const DAY = 20_784;

/** The columns of a block behind `live`, of which all have some in common. */
const blockOf = (seriesId: number, samples: number, lastUs: number, values: string) =>
  `(${DAY}, ${seriesId}, true, ${samples}, ${START_US}, ${START_US + lastUs}, 0, ${START_US + lastUs}, ${values})`;

// unit_us, step, base, slope, scale, times, wholes, raws
const BLOCKS = [
  // A regular counter: 100 + floor(i * 2.5) + distance.
  blockOf(1, 3, 30_000_000, "1000000, 15, 100, 2.5, 1, NULL, [0, 1, 0], NULL"),
  // On the line, in tenths; times beside their line: 0, floor(1.5) + 1, 3.
  blockOf(2, 3, 3_000_000, "1000000, 1.5, 10, 3, 10, [0, 1, 0], NULL, NULL"),
  // A step of a half, on the line: 0, 0, 1, 1, 2.
  blockOf(3, 5, 2_000, "1000, 0.5, 7, 0, 1, NULL, NULL, NULL"),
  // Further apart than a list of whole numbers can say.
  blockOf(4, 3, 2_000_000, "1000000, 1, 0, 3000000000.5, 1, NULL, [0, -1, NULL], NULL"),
  blockOf(5, 2, 1, "1, 1, 0, 0, 1, NULL, NULL, [0.1, NULL]"),
  // Microseconds over two hours.
  blockOf(6, 3, 7_199_999_999, "1, 3599999999.5, 4, 0, 1, [0, 2, 0], [0, 5, 0], NULL"),
  blockOf(7, 1, 0, "1000000, 0, 3, 0, 1, NULL, NULL, NULL"),
];
const WANTED = [
  [1, 0, 100],
  [1, 15_000_000, 103],
  [1, 30_000_000, 105],
  [2, 0, 1],
  [2, 2_000_000, 1.3],
  [2, 3_000_000, 1.6],
  [3, 0, 7],
  [3, 0, 7],
  [3, 1_000, 7],
  [3, 1_000, 7],
  [3, 2_000, 7],
  [4, 0, 0],
  [4, 1_000_000, 2_999_999_999],
  [4, 2_000_000, null],
  [5, 0, 0.1],
  [5, 1, null],
  [6, 0, 4],
  [6, 3_600_000_001, 9],
  [6, 7_199_999_999, 4],
  [7, 0, 3],
];

test("an upgrade stores blocks without lines, and makes a backup before", async () => {
  const folder = temporaryFolder();
  try {
    const options = {
      path: join(folder, "store.duckdb"),
      memoryLimitBytes: 2 ** 28,
      threads: 1,
      temporaryDirectory: join(folder, "tmp"),
      counters: createCounters(),
    };
    const earlier = await Database.open(options.path, options);
    const connection = await earlier.connect();
    await migrate(connection, { path: options.path, upTo: 13 });
    await connection.run(`INSERT INTO weir.blocks VALUES ${BLOCKS.join(", ")}`);
    connection.close();
    earlier.close();

    const { store } = await openStore(options);
    const reader = await store.reader();
    const found = await reader.all<Record<string, unknown>>(
      `WITH asked_blocks AS (SELECT * FROM weir.blocks) SELECT series_id, epoch_us(ts) - ${START_US} AS us, value
       FROM (${statement("store/unpacked_blocks")}) ORDER BY series_id, ts`,
    );
    expect(found.map((row) => Object.values(row))).toEqual(WANTED);
    reader.close();
    await store.close();
    expect(readdirSync(folder).filter((name) => name.startsWith("before-schema-"))).toHaveLength(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
