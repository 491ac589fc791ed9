/**
 * Recovers the database file from a kill that ended the engine in the middle of writing a block of its catalog (torn-blocks.ts).
 * Only the checksums of such blocks are corrected, in place, and only if the note of the catalog (catalog-note.ts) proves that all
 * parts in use are those that the last checkpoint wrote. Otherwise no file is changed.
 */
import { constants, copyFileSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DiskFull, freeBytesOf } from "../disk-room.ts";
import { Database } from "../engine/duckdb.ts";
import { faultOf } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import { StoreLocked } from "../store.ts";
import { type CopyOptions, TableCopy } from "../rewrite/table-copy.ts";
import { correctChecksums, findTornBlocks, type TornBlock } from "./torn-blocks.ts";

/** Blocks that a recovery has corrected. */
export interface RecoveredBlocks {
  readonly path: string;
  readonly blocks: readonly TornBlock[];
  /** What was read in a copy, because there was no note. */
  readonly read?: { readonly tables: number; readonly rows: number };
}

interface RecoveryOptions extends CopyOptions {
  readonly path: string;
}

/** What a copy of the file needs besides its bytes. */
const SPARE_BYTES = 16 * 1_048_576;

/**
 * Corrects the checksums of blocks of the catalog that a kill has left half written. Undefined, with no file changed, if there are
 * none, or if they are damaged: opening the file then says so.
 *
 * @param isRepair also recovers without a note, if everything in a copy can be read and no row is missing. That proves less: a
 *   wrong text in the catalog, or a wrong range of values, would not be noticed
 * @throws StoreLocked, DiskFull
 */
export async function recoverTornBlocks(
  options: RecoveryOptions,
  isRepair = false,
): Promise<RecoveredBlocks | undefined> {
  const { path } = options;
  if (!existsSync(path) || Database.isOpen(path)) return undefined;
  const blocks = findTornBlocks(path);
  if (blocks.length === 0 || blocks.some(({ isCatalogWhole }) => isCatalogWhole === false)) return undefined;
  const isProven = blocks.every(({ isCatalogWhole }) => isCatalogWhole === true);
  if (!isProven && !isRepair) return undefined;
  await requireUnused(options);
  const read = isProven ? undefined : await readCopy(options, blocks);
  if ((!isProven && read === undefined) || !correctChecksums(path, blocks)) return undefined;
  return { path, blocks, ...(read === undefined ? {} : { read }) };
}

/** Corrects the checksums in a copy, and reads all of it. Undefined if that fails. */
async function readCopy(
  options: RecoveryOptions,
  blocks: readonly TornBlock[],
): Promise<RecoveredBlocks["read"]> {
  const work = join(options.temporaryDirectory, "recovery");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true, mode: 0o700 });
  try {
    const copy = copyOf(options.path, work);
    return correctChecksums(copy, blocks) ? await readAll(copy, options) : undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Throws `StoreLocked` if another process has the file open: it may be writing the blocks at this moment. */
async function requireUnused(options: RecoveryOptions): Promise<void> {
  try {
    (await TableCopy.open(options.path, options)).close();
  } catch (error) {
    if (error instanceof StoreLocked || faultOf(error) !== "damaged") throw error;
  }
}

/** Copies the file and its log. Shares the blocks of the disk where the file system can. */
function copyOf(path: string, folder: string): string {
  const copy = join(folder, "store.duckdb");
  const needed = statSync(path).size + statSync(`${path}.wal`).size + SPARE_BYTES;
  const free = freeBytesOf(dirname(path));
  if (free < needed)
    throw new DiskFull(
      `disk full: ${free} bytes are free in ${dirname(path)}, and ${needed} are needed to recover ${path}, of whose catalog a ` +
        "kill has left a block half written",
    );
  copyFileSync(path, copy, constants.COPYFILE_FICLONE);
  copyFileSync(`${path}.wal`, `${copy}.wal`, constants.COPYFILE_FICLONE);
  return copy;
}

/**
 * Reads every column of every table, and compares the rows with what the store itself noted. Undefined if something cannot be
 * read or is missing.
 */
async function readAll(path: string, options: CopyOptions): Promise<RecoveredBlocks["read"]> {
  let copy: TableCopy | undefined;
  try {
    copy = await TableCopy.open(path, options);
    const { connection } = copy;
    const tables = await copy.allTables();
    const days = new Map<number, number>();
    let rows = 0;
    for (const { table, columns, day } of tables) {
      const [extent] = await connection.all<{ rows: number }>(statement("store/source_extent", { table }));
      for (const column of columns) {
        const [read] = await connection.all<{ rows: number }>(
          statement("store/source_column_rows", { table, column }),
        );
        if (read!.rows !== extent!.rows) return undefined;
      }
      if (day !== undefined) days.set(day, extent!.rows);
      rows += extent!.rows;
    }
    const names = tables.map(({ table }) => table);
    if (names.includes("blocks"))
      for (const { day, samples } of await connection.all<{ day: number; samples: number }>(
        statement("store/source_packed"),
      ))
        days.set(day, (days.get(day) ?? 0) + samples);
    if (names.includes("watermarks"))
      for (const { day, rows: counted } of await connection.all<{ day: number; rows: number }>(
        statement("store/source_counted_samples"),
      ))
        if ((days.get(day) ?? counted) < counted) return undefined;
    return tables.length === 0 ? undefined : { tables: tables.length, rows };
  } catch (error) {
    // Any error of a statement here says that the catalog is not that of a store.
    if (error instanceof StoreLocked || faultOf(error) === "disk full") throw error;
    return undefined;
  } finally {
    copy?.close();
  }
}
