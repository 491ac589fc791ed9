/**
 * Salvages what the engine can read of a damaged store into a new data folder, table by table. No file of the damaged store is
 * changed: a header or a log that the engine does not read is repaired or cut in a copy.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Unavailable } from "../../model/errors.ts";
import { dateText } from "../../model/time.ts";
import { openStore } from "../open-store.ts";
import { faultOf, reasonOf } from "../engine/faults.ts";
import { hasDamagedHeader, type HeaderRepair, repairHeaders } from "../engine/file-headers.ts";
import { readableLog } from "../engine/log-check.ts";
import { readRecords } from "../journal/journal-records.ts";
import { statement } from "../statements.ts";
import type { LostRecords, StoreOptions } from "../store-options.ts";
import { StoreDamaged, StoreLocked } from "../store.ts";
import { syncFolder } from "../sync-folder.ts";
import { type SourceTable, TableCopy } from "./table-copy.ts";
import { countRows, requireDamage, salvageTable, type TableLoss } from "./table-salvage.ts";

export interface Salvaged {
  /** The new data folder. */
  readonly folder: string;
  /** What is wrong with the damaged file, in the engine's words. */
  readonly reason: string;
  readonly headers: HeaderRepair;
  /** Commits of the log that cannot be read. */
  readonly lostCommits: number;
  /** Whether the whole log was left out, because it does not belong to what could be read of the file. */
  readonly isLogLeftOut: boolean;
  readonly tables: readonly TableLoss[];
  /** Samples of series that could not be read. They are not in the new store. */
  readonly orphans: number;
  /** Whether the totals of /metrics are computed again, from the samples that are left. */
  readonly areTotalsNew: boolean;
  /** What the journal lost. Undefined if it lost nothing. */
  readonly journal: LostRecords | undefined;
  /** Whether the journal was left out, because nothing says which of its changes are in the tables. */
  readonly isJournalLeftOut: boolean;
}

type Options = Omit<StoreOptions, "onRepair">;

/** How a damaged file is opened: what is done with its headers, and whether its log is used. */
interface Attempt {
  readonly headers: HeaderRepair;
  readonly log: "as it is" | "readable part" | "none";
}

const ATTEMPTS: readonly Attempt[] = [
  { headers: "none", log: "as it is" },
  { headers: "none", log: "readable part" },
  { headers: "new checksum", log: "readable part" },
  { headers: "new checksum", log: "none" },
  // A log continues from the last checkpoint.
  { headers: "previous checkpoint", log: "none" },
];

/**
 * Salvages the store at `options.path` into a new folder beside it, if its database or its log is damaged. Undefined if
 * everything in them can be read.
 *
 * @throws StoreLocked, StoreMismatch; StoreDamaged if the engine can read nothing; Unavailable if the disk has no room
 */
export async function salvageStore(options: Options, nowMs: number): Promise<Salvaged | undefined> {
  const reason = await findDamage(options);
  if (reason === undefined) return undefined;
  const folder = join(
    dirname(options.path),
    `repaired-${new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "")}`,
  );
  const work = join(options.temporaryDirectory, "salvage");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true, mode: 0o700 });
  const refused: string[] = [];
  try {
    for (const attempt of ATTEMPTS) {
      const source = await openSource(options, attempt, join(work, "source"));
      if (source === undefined) continue;
      if (source instanceof Error) {
        refused.push(reasonOf(source));
        continue;
      }
      try {
        const made = join(work, "made", "store.duckdb");
        const salvaged = await salvage(source, made, options);
        renameSync(dirname(made), folder);
        syncFolder(dirname(folder));
        return { ...salvaged, folder, reason, headers: attempt.headers, ...logLoss(options.path, attempt) };
      } finally {
        source.close();
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  throw new StoreDamaged(
    `The engine can read nothing of ${options.path}: ${[...new Set(refused)].join("; ")}. Nothing was changed. Restore a ` +
      "backup (weir restore) or a snapshot (snapshots/NAME in the data folder).",
  );
}

/** Reads everything in the database and its log. Undefined if that succeeds, and otherwise what is wrong. */
async function findDamage(options: Options): Promise<string | undefined> {
  const log = readableLog(`${options.path}.wal`);
  if (log?.damagedAt !== undefined) return `its log is damaged at byte ${log.damagedAt}`;
  let copy: TableCopy | undefined;
  try {
    copy = await TableCopy.open(options.path, options);
    for (const { table, columns } of await copy.allTables())
      for (const column of columns)
        await copy.connection.all(statement("store/read_column", { table, column }), [
          0,
          Number.MAX_SAFE_INTEGER,
        ]);
    return undefined;
  } catch (error) {
    if (error instanceof StoreLocked || faultOf(error) !== "damaged") throw error;
    return reasonOf(error as Error);
  } finally {
    copy?.close();
  }
}

/** Opens the damaged file, or a copy of it. An error if the engine cannot read that; undefined if the attempt changes nothing. */
async function openSource(
  options: Options,
  { headers, log }: Attempt,
  into: string,
): Promise<TableCopy | Error | undefined> {
  const { path } = options;
  let source = path;
  if (headers !== "none" || log !== "as it is") {
    const readable = readableLog(`${path}.wal`);
    if (headers === "none" && readable?.damagedAt === undefined) return undefined;
    source = copySource(path, into);
    if (log === "readable part" && readable !== undefined) {
      copyFileSync(`${path}.wal`, `${source}.wal`);
      truncateSync(`${source}.wal`, readable.bytes);
    }
    if (headers !== "none") {
      const template = join(into, "template.duckdb");
      await TableCopy.makeStore(template, options);
      if (!repairHeaders(source, headers, template)) return undefined;
    }
  } else if (hasDamagedHeader(path)) {
    // The engine says so too. This leaves no instance behind that failed to open.
    return new Error("a header of the file is damaged or missing");
  }
  let copy: TableCopy | undefined;
  try {
    copy = await TableCopy.open(source, options);
    if ((await copy.allTables()).length > 0) return copy;
    copy.close();
    return new Error("the file has no tables of a store");
  } catch (error) {
    copy?.close();
    if (error instanceof StoreLocked || !(error instanceof Error)) throw error;
    return error;
  }
}

function copySource(path: string, into: string): string {
  const { size } = statSync(path);
  const { bavail, bsize } = statfsSync(dirname(path));
  // The copy, and a new file that is as large.
  if (bavail * bsize < 2 * size)
    throw new Unavailable(
      `disk full: ${bavail * bsize} bytes are free in ${dirname(path)}, and ${2 * size} are needed to salvage ${path}`,
    );
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true, mode: 0o700 });
  const copy = join(into, "store.duckdb");
  copyFileSync(path, copy);
  return copy;
}

function logLoss(path: string, { log }: Attempt): Pick<Salvaged, "lostCommits" | "isLogLeftOut"> {
  const readable = readableLog(`${path}.wal`);
  const isLogLeftOut = log === "none" && (readable?.bytes ?? 0) > 0;
  return { lostCommits: readable?.lostCommits ?? 0, isLogLeftOut };
}

type Copied = Pick<Salvaged, "tables" | "orphans" | "areTotalsNew" | "journal" | "isJournalLeftOut">;

/** Copies all tables of an open source to a new store, and opens it with the journal. */
async function salvage(copy: TableCopy, made: string, options: Options): Promise<Copied> {
  const schema = await copy.sourceSchema().catch((error) => {
    requireDamage(error);
    return undefined;
  });
  await copy.create(made, options, schema);
  const tables = await copy.tables();
  const others = tables.filter(({ day }) => day === undefined);
  const losses: TableLoss[] = [];
  for (const table of others) {
    // The new store has run its migrations already.
    if (table.table !== "migrations") losses.push(await salvageTable(copy, table));
  }
  const isLost = (...names: string[]) =>
    losses.some(({ table, rows, lostRows }) => names.includes(table) && (rows === undefined || lostRows > 0));
  const days = tables.filter(({ day }) => day !== undefined);
  const packed = await salvagedBlocks(
    copy,
    tables.some(({ table }) => table === BLOCKS),
    isLost("series"),
  );
  const orphans = await salvageDays(copy, days, losses, isLost("series"), packed);
  if (isLost("metrics")) await copy.connection.run(statement("store/add_lost_metrics"));
  if (isLost("series_days"))
    for (const { table, day } of days)
      await copy.connection.run(statement("store/add_lost_series_days", { table }), [day!]);
  if (isLost("series_days") && packed.target.size > 0)
    await copy.connection.run(statement("store/add_lost_series_days_of_blocks"));
  const areTotalsNew =
    isLost("totals", "watermarks", "metrics", "series") || (packed.source === undefined && isLost(BLOCKS));
  if (areTotalsNew)
    for (const table of ["totals", "watermarks"])
      await copy.connection.run(statement("store/empty_target", { table }));
  const isJournalLeftOut = !(await placeJournal(copy, options.path, made));
  await copy.finish();
  copy.close();
  let journal: LostRecords | undefined;
  const temporaryDirectory = join(dirname(made), "tmp");
  const { store } = await openStore({
    ...options,
    path: made,
    temporaryDirectory,
    onRepair: (lost) => {
      journal = lost;
    },
  });
  await store.close();
  rmSync(temporaryDirectory, { recursive: true, force: true });
  return { tables: losses, orphans, areTotalsNew, journal, isJournalLeftOut };
}

const BLOCKS = "blocks";

/** How many samples of each day are in blocks: of the damaged store, if that can be read, and of the new one. */
interface PackedSamples {
  readonly source: ReadonlyMap<number, number> | undefined;
  readonly target: ReadonlyMap<number, number>;
}

/** Counts the samples in blocks that were copied. Deletes those of unknown series first. */
async function salvagedBlocks(
  copy: TableCopy,
  hasBlocks: boolean,
  hasOrphans: boolean,
): Promise<PackedSamples> {
  if (!hasBlocks) return { source: new Map(), target: new Map() };
  if (hasOrphans) await copy.connection.run(statement("store/delete_rows_without_series", { table: BLOCKS }));
  const counted = async (name: string) => {
    const rows = await copy.connection.all<{ day: number; samples: number }>(statement(name));
    return new Map(rows.map(({ day, samples }) => [day, samples]));
  };
  const source = await counted("store/source_packed").catch((error) => {
    requireDamage(error);
    return undefined;
  });
  return { source, target: await counted("store/target_packed") };
}

/** Copies the day tables, and corrects how many of their rows the totals contain. Returns the rows of unknown series. */
async function salvageDays(
  copy: TableCopy,
  days: readonly SourceTable[],
  losses: TableLoss[],
  hasOrphans: boolean,
  packed: PackedSamples,
): Promise<number> {
  const watermarks = new Map(
    (await copy.connection.all<{ day: number; rows: number }>(statement("store/source_watermarks"))).map(
      ({ day, rows }) => [day, rows],
    ),
  );
  let orphans = 0;
  for (const source of days) {
    const { table } = source;
    const inBlocks = packed.source?.get(source.day!) ?? 0;
    const rowsBefore = Math.max(0, (watermarks.get(source.day!) ?? 0) - inBlocks);
    const { watermark, ...loss } = await salvageTable(copy, source, rowsBefore);
    losses.push(loss);
    const orphansBefore = orphans;
    if (hasOrphans) {
      const before = await countRows(copy, table);
      await copy.connection.run(statement("store/delete_rows_without_series", { table }));
      orphans += before - (await countRows(copy, table));
    }
    // The ids of the other rows have changed. Destinations get the whole day again, rather than miss rows. The archive keeps
    // what it has, and says that the day differs.
    if (loss.lostRows > 0 || orphans > orphansBefore) {
      await copy.connection.run(statement("store/delete_forwards_of_day"), [dateText(source.day!)]);
      await copy.connection.run(statement("store/delete_archives_of_day"), [dateText(source.day!)]);
    }
    if (watermarks.has(source.day!))
      await copy.connection.run(statement("store/set_watermark"), [
        source.day!,
        watermark + (packed.target.get(source.day!) ?? 0),
      ]);
    await copy.checkpoint();
  }
  return orphans;
}

/**
 * Copies the journal to the new store, and makes the store expect it. Returns false if nothing says which of its changes are
 * in the tables.
 */
async function placeJournal(copy: TableCopy, path: string, made: string): Promise<boolean> {
  const journal = `${path}.journal`;
  const [moved] = await copy.connection.all<{ sequence: number }>(statement("store/target_journal_moved"));
  if (!existsSync(journal)) {
    if (moved === undefined) await copy.connection.run(statement("store/note_time_as_moved"));
    return true;
  }
  if (moved === undefined) {
    await copy.connection.run(statement("store/note_time_as_moved"));
    return false;
  }
  const { foreign } = readRecords(readFileSync(journal), moved.sequence);
  // Commits of the log that are lost had moved the changes before.
  if (foreign !== undefined) await copy.connection.run(statement("store/set_journal_moved"), [foreign - 1]);
  copyFileSync(journal, `${made}.journal`);
  return true;
}
