/**
 * Opens a store: looks at its files, and lets the engine open the database on a thread of its own. Meanwhile all other modules of the
 * store are loaded, so this one imports only what an opening needs, and waits for nothing before.
 */
import { existsSync } from "node:fs";
import { findTornBlocks } from "./catalog/torn-blocks.ts";
import { explainDamage, requireWholeLog } from "./damaged-files.ts";
import type { DuckDBStore, OpeningStore } from "./duckdb-store.ts";
import { Database } from "./engine/duckdb.ts";
import { missingByNote, shortLog } from "./journal/missing-log.ts";
import { LogSize } from "./log-size.ts";
import type { StoreOptions } from "./store-options.ts";
import type { Stored } from "./store.ts";

type BeginOptions = Pick<
  StoreOptions,
  "path" | "memoryLimitBytes" | "threads" | "temporaryDirectory" | "onRepair"
>;

/**
 * Lets the engine begin to open the database, for `openStore`. Undefined if a kill has left a block of its catalog half written,
 * which has to be recovered first.
 *
 * @throws StoreDamaged
 */
export function beginStore(options: BeginOptions): OpeningStore | undefined {
  const { path } = options;
  requireWholeLog(path);
  if (existsSync(path) && !Database.isOpen(path) && findTornBlocks(path).length > 0) return undefined;
  return begun(options);
}

/**
 * Opens the file, or creates it, runs the migrations that it lacks, and returns the store and its contents.
 * This works on a full disk too: `Stored` then includes the journal's records, which move to the tables once
 * there is room.
 *
 * @param opening what `beginStore` has begun for the same path
 * @throws StoreLocked, StoreMismatch, StoreDamaged, DiskFull
 */
export async function openStore(
  options: StoreOptions,
  opening?: OpeningStore,
): Promise<{ store: DuckDBStore; stored: Stored }> {
  try {
    let open = opening ?? beginStore(options);
    if (open === undefined) {
      await recover(options);
      open = begun(options);
    }
    const { openTables } = await import("./duckdb-store.ts");
    return await openTables(options, open);
  } catch (error) {
    throw explainDamage(options.path, error);
  }
}

function begun(options: BeginOptions): OpeningStore {
  const { path } = options;
  const journal = `${path}.journal`;
  const log = new LogSize(path);
  const isNew = !existsSync(path);
  // Before the engine writes to a new log.
  const missing = isNew ? undefined : missingByNote(journal, log.bytes);
  if (missing !== undefined && options.onRepair === undefined) throw shortLog(journal, missing);
  const database = Database.open(path, options);
  // Awaited by openTables. Until then, a fault of it is not one that nobody handles.
  database.catch(() => undefined);
  return { database, log, isNew, isLogShort: missing !== undefined };
}

/** Recovers the database from a kill in the middle of a block of its catalog, and reports that. */
async function recover(options: StoreOptions): Promise<void> {
  const { recoverTornBlocks } = await import("./catalog/torn-recovery.ts");
  const recovered = await recoverTornBlocks(options);
  if (recovered === undefined) return;
  options.counters.blocksRecovered.inc(recovered.blocks.length);
  options.onRecovered?.(recovered);
}
