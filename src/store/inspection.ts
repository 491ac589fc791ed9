/**
 * Looks into the store of a folder that no gateway has open, without changing a file: whether it opens, its schema, its
 * journal, and what it contains.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { explainDamage, requireWholeLog } from "./damaged-files.ts";
import { type Connection, Database } from "./engine/duckdb.ts";
import { faultOf } from "./engine/faults.ts";
import { wholeCommitBytes } from "./engine/log-check.ts";
import { entriesOf } from "./journal/journal.ts";
import { isJournalLost, lostJournal, readJournal, requireWholeJournal } from "./journal/journal-file.ts";
import { expectedJournal } from "./journal/journal-state.ts";
import { missingByEntries, missingByNote, shortLog } from "./journal/missing-log.ts";
import { statement } from "./statements.ts";
import { StoreDamaged } from "./store.ts";
import { loadDays } from "./tables/days.ts";
import { StoredTables } from "./tables/stored-tables.ts";
import { supportedSchema } from "./tables/migrate.ts";

/** The name of the database file in a data folder. The names of its log and its journal begin with it. */
export const STORE_FILE = "store.duckdb";

export interface Inspection {
  readonly schema: number;
  /** The newest schema that this gateway knows. */
  readonly newestSchema: number;
  /** Days with samples. */
  readonly days: number;
  /** Samples in the tables. Changes that are in the journal only are not counted. */
  readonly rows: number;
  /** Of the samples in the tables, milliseconds since 1970. Undefined if there are none. */
  readonly newestMs: number | undefined;
  /** Bytes of database, log and journal. */
  readonly bytes: number;
  /** Changes that are in the journal only. */
  readonly journalRecords: number;
}

/** Memory of the engine, which replays the log in it. */
const MEMORY_BYTES = 512 * 1_048_576;

/**
 * Opens the store of a folder for reading, and keeps it open while `use` runs, so that no gateway can open it.
 *
 * @throws StoreLocked if a gateway has it open; StoreDamaged; StoreMismatch if its files do not belong together, or
 *   another version of Weir wrote them
 */
export async function inspectStore<Result>(
  folder: string,
  use: (inspection: Inspection) => Promise<Result>,
): Promise<Result> {
  const path = join(folder, STORE_FILE);
  if (!existsSync(path)) throw new NoStore(`There is no store in ${folder}: it has no file ${STORE_FILE}.`);
  requireWholeLog(path);
  const options = { memoryLimitBytes: MEMORY_BYTES, threads: 1, temporaryDirectory: join(folder, "tmp") };
  try {
    const database = await Database.open(path, { ...options, isReadOnly: true });
    try {
      const connection = await database.connect();
      try {
        return await use(await inspected(connection, path));
      } finally {
        connection.close();
      }
    } finally {
      database.close();
    }
  } catch (error) {
    throw explainDamage(path, error);
  }
}

/** The folder has no store. */
export class NoStore extends Error {
  override readonly name = "NoStore";
}

/** Checks the journal of a store and the size of its log. Returns the number of records that were not moved. */
async function countJournal(connection: Connection, path: string): Promise<number> {
  const journal = `${path}.journal`;
  const hasTable = (await connection.all(statement("store/has_journal_file"))).length > 0;
  const { sequence, expected } = await (hasTable ? expectedJournal(connection) : earlierJournal(connection));
  if (!existsSync(journal)) {
    if (expected !== undefined) throw lostJournal(journal, expected);
    return 0;
  }
  const logBytes = wholeCommitBytes(`${path}.wal`);
  const missing = missingByNote(journal, logBytes);
  if (missing !== undefined) throw shortLog(journal, missing);
  const reading = readJournal(journal, sequence, false);
  if (isJournalLost(journal, expected, reading)) throw lostJournal(journal, expected!);
  requireWholeJournal(journal, reading);
  const missingBefore = missingByEntries(entriesOf(reading), logBytes);
  if (missingBefore !== undefined) throw shortLog(journal, missingBefore);
  return reading.payloads.length;
}

/** Of a store of a schema before 11, which knows no file. */
async function earlierJournal(connection: Connection) {
  const [moved] = await connection.all<{ sequence: number }>(statement("store/load_journal_moved"));
  return { ...moved!, expected: undefined };
}

async function inspected(connection: Connection, path: string): Promise<Inspection> {
  const { found, newest } = await supportedSchema(connection, path).catch((error) => {
    if (faultOf(error) !== "statement") throw error;
    throw new StoreDamaged(`${path} is a database of something else, and not a store of Weir`);
  });
  await connection.run(statement("store/use_utc"));
  const days = [...(await loadDays(connection, await StoredTables.read(connection))).days.values()].sort(
    (a, b) => a.day - b.day,
  );
  const last = days.findLast(({ rows }) => rows > 0);
  const [sample] =
    last === undefined
      ? []
      : await connection.all<{ newest_ms: number }>(
          statement(last.packed > 0 ? "store/newest_of_packed_day" : "store/newest_sample", {
            table: last.table,
          }),
          last.packed > 0 ? { day: last.day } : [],
        );
  const journalRecords = await countJournal(connection, path);
  const sizes = ["", ".wal", ".journal"].map(
    (end) => statSync(path + end, { throwIfNoEntry: false })?.size ?? 0,
  );
  return {
    schema: found,
    newestSchema: newest,
    days: days.filter(({ rows }) => rows > 0).length,
    rows: days.reduce((sum, { rows }) => sum + rows, 0),
    newestMs: sample?.newest_ms,
    bytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    journalRecords,
  };
}
