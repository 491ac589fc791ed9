/** The blocks of the file in the engine's memory. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { CachedBlocks } from "../../src/store/cached-blocks.ts";
import { closeEngine, openEngine } from "../../src/store/engine/open-engine.ts";
import { statement } from "../../src/store/statements.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const MIB = 1_048_576;

test("are freed when nothing was read for a minute, and the limit is as before", async () => {
  const folder = temporaryFolder();
  const engine = await openEngine(join(folder, "blocks.duckdb"), {
    memoryLimitBytes: 192 * MIB,
    threads: 2,
    temporaryDirectory: join(folder, "tmp"),
  });
  const { writer, settings } = engine;
  const used = async () => (await writer.all<{ bytes: number }>(statement("store/memory_used")))[0]!.bytes;
  const limit = async () =>
    (await writer.all<{ limit: string }>(`SELECT current_setting('memory_limit') AS "limit"`))[0]!.limit;
  let nowMs = 0;
  const blocks = new CachedBlocks(settings, 192 * MIB, () => nowMs);
  try {
    // Four hashes of 8 bytes in each row, which cannot be compressed: 63 MB. Whole row groups are written to the file.
    await writer.run("CREATE TABLE t (a UBIGINT, b UBIGINT, c UBIGINT, d UBIGINT)");
    const hashes = ["a", "b", "c", "d"].map((name) => `hash(range, '${name}')`).join(", ");
    await writer.run(`INSERT INTO t SELECT ${hashes} FROM range(${16 * 122_880})`);
    await writer.run("CHECKPOINT");
    const sums = () => writer.all("SELECT sum(a)::VARCHAR AS a, sum(d)::VARCHAR AS d FROM t");
    const before = await sums();
    expect(await used()).toBeGreaterThan(60_000_000);

    blocks.noteRead();
    nowMs += 59_999;
    await blocks.free(0);
    expect(await used()).toBeGreaterThan(60_000_000);
    nowMs += 1;
    await blocks.free(1);
    expect(await used()).toBeGreaterThan(60_000_000);

    await blocks.free(0);
    expect(await used()).toBeLessThanOrEqual(16 * MIB);
    expect(await limit()).toBe("192.0 MiB");
    expect(await sums()).toEqual(before);

    // After a start, also if there are few.
    const few = await used();
    await blocks.freeAll();
    expect(few).toBeGreaterThan(2 * MIB);
    expect(await used()).toBeLessThanOrEqual(2 * MIB);
    expect(await limit()).toBe("192.0 MiB");
    expect(await sums()).toEqual(before);
  } finally {
    await closeEngine(engine);
  }
});
