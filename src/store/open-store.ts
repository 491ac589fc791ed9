/**
 * Opens a store: looks at its files, and lets the engine open the database on a thread of its own. Meanwhile all other modules of the
 * store are loaded, so this one imports only what an opening needs, and waits for nothing before.
 */
import { existsSync } from "node:fs";
import { findTornBlocks } from "./catalog/torn-blocks.ts";
import { explainDamage, requireWholeLog } from "./damaged-files.ts";
import type { DuckDBStore } from "./duckdb-store.ts";
import { Database } from "./engine/duckdb.ts";
import { missingByNote, shortLog } from "./journal/missing-log.ts";
import { LogSize } from "./log-size.ts";
import type { StoreOptions } from "./store-options.ts";
import type { Stored } from "./store.ts";

/**
 * Opens the file, or creates it, runs the migrations that it lacks, and returns the store and its contents.
 * This works on a full disk too: `Stored` then includes the journal's records, which move to the tables once
 * there is room.
 *
 * @throws StoreLocked, StoreMismatch, StoreDamaged, DiskFull
 */
export async function openStore(options: StoreOptions): Promise<{ store: DuckDBStore; stored: Stored }> {
  const { path } = options;
  const journal = `${path}.journal`;
  try {
    requireWholeLog(path);
    if (existsSync(path) && !Database.isOpen(path) && findTornBlocks(path).length > 0) await recover(options);
    const log = new LogSize(path);
    const isNew = !existsSync(path);
    // Before the engine writes to a new log.
    const missing = isNew ? undefined : missingByNote(journal, log.bytes);
    if (missing !== undefined && options.onRepair === undefined) throw shortLog(journal, missing);
    const database = Database.open(path, options);
    // Awaited by openTables. Until then, a fault of it is not one that nobody handles.
    database.catch(() => undefined);
    const { openTables } = await import("./duckdb-store.ts");
    return await openTables(options, { database, log, isNew, isLogShort: missing !== undefined });
  } catch (error) {
    throw explainDamage(path, error);
  }
}

/** Recovers the database from a kill in the middle of a block of its catalog, and reports that. */
async function recover(options: StoreOptions): Promise<void> {
  const { recoverTornBlocks } = await import("./catalog/torn-recovery.ts");
  const recovered = await recoverTornBlocks(options);
  if (recovered === undefined) return;
  options.counters.blocksRecovered.inc(recovered.blocks.length);
  options.onRecovered?.(recovered);
}
