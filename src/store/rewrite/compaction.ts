/**
 * Rewrites the file of a store without its free blocks. The new file is made in the folder for temporary files, compared with
 * the old one, and renamed to its name. So a kill at any moment leaves one of the two, whole.
 *
 * The old file is locked from before the copy until after the rename: a gateway that opened it in between would write to a
 * file without a name.
 */
import { existsSync, renameSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { Unavailable } from "../../model/errors.ts";
import { openStore } from "../open-store.ts";
import { statement } from "../statements.ts";
import type { StoreOptions } from "../store-options.ts";
import { StoreLocked } from "../store.ts";
import { syncFolder } from "../sync-folder.ts";
import { type SourceTable, TableCopy } from "./table-copy.ts";

export interface Compacted {
  readonly bytesBefore: number;
  /** The same as before if the new file would not have been smaller. Nothing was changed then. */
  readonly bytesAfter: number;
  readonly days: number;
  readonly rows: number;
}

/** The log of the new file while a small table or the beginning of a large one is only there. */
const LOG_BYTES = 64 * 1_048_576;

/**
 * Compacts the store at `options.path`, which no gateway may have open.
 *
 * @param packUntilUs samples of numeric series before this time become blocks first
 * @throws StoreLocked, StoreDamaged, StoreMismatch; Unavailable if the disk has no room for a second file
 */
export async function compactStore(options: StoreOptions, packUntilUs?: number): Promise<Compacted> {
  const { path } = options;
  // Everything moves to the file: the log, and the journal.
  const { store } = await openStore(options);
  try {
    // However few samples: nobody waits for the rows.
    if (packUntilUs !== undefined)
      for (const { day } of store.days()) await store.pack({ day, untilUs: packUntilUs, isForced: true });
  } finally {
    await store.close();
  }
  const making = join(options.temporaryDirectory, "compact");
  const copy = await TableCopy.open(path, options);
  try {
    requireClosed(path);
    const bytesBefore = statSync(path).size;
    const [size] = await copy.connection.all<{ used_bytes: number }>(statement("store/source_size"));
    requireRoom(path, size!.used_bytes + LOG_BYTES);
    const made = join(making, "store.duckdb");
    await copy.create(made, options);
    const tables = await copy.tables();
    let rows = 0;
    for (const table of tables) {
      await copy.prepare(table);
      await copy.copyTable(table);
      rows += await requireEqual(copy, table);
      if (table.table === BLOCKS) rows += await packedSamples(copy);
      if (table.day !== undefined) await copy.checkpoint();
    }
    await copy.finish();
    const days = tables.filter(({ day }) => day !== undefined).length;
    const bytesAfter = statSync(made).size;
    if (bytesAfter >= bytesBefore) return { bytesBefore, bytesAfter: bytesBefore, days, rows };
    renameSync(made, path);
    syncFolder(dirname(path));
    return { bytesBefore, bytesAfter, days, rows };
  } finally {
    copy.close();
    rmSync(making, { recursive: true, force: true });
  }
}

/** The table of blocks. */
const BLOCKS = "blocks";

async function packedSamples(copy: TableCopy): Promise<number> {
  const [counted] = await copy.connection.all<{ samples: number }>(statement("store/target_packed_samples"));
  return counted!.samples;
}

/** A log or a journal belongs to the old file. There is one if a checkpoint had no room, or a gateway ran meanwhile. */
function requireClosed(path: string): void {
  const left = [`${path}.wal`, `${path}.journal`].find(existsSync);
  if (left === undefined) return;
  if (statSync(left).mtimeMs > Date.now() - 1_000)
    throw new StoreLocked(`${left} was written by another process; stop it first`);
  throw new Unavailable(`${left} could not be moved into the file: the disk has too little room`);
}

function requireRoom(path: string, neededBytes: number): void {
  const folder = dirname(path);
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= neededBytes) return;
  throw new Unavailable(
    `disk full: ${bavail * bsize} bytes are free in ${folder}, and ${neededBytes} are needed for the new file`,
  );
}

/** Compares a table with its copy. Returns the number of samples. */
async function requireEqual(copy: TableCopy, { table, day }: SourceTable): Promise<number> {
  interface Comparison extends Record<string, unknown> {
    readonly source_rows: number;
    readonly target_rows: number;
    readonly is_equal?: boolean;
  }
  // Small tables may have other row ids than before: rows are deleted from them, and nothing refers to their ids.
  const sql = statement(
    day !== undefined
      ? "store/compare_table"
      : table === BLOCKS
        ? "store/compare_contents"
        : "store/compare_rows",
    { table },
  );
  const [{ source_rows, target_rows, is_equal = true }] = (await copy.connection.all<Comparison>(sql)) as [
    Comparison,
  ];
  if (source_rows !== target_rows || !is_equal)
    throw new Error(
      `the copy of ${table} differs: ${target_rows} rows instead of ${source_rows}. Nothing was changed`,
    );
  return day === undefined ? 0 : source_rows;
}
