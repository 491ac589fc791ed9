/**
 * The journal: changes, each a record of a file, until many of them move to their tables together.
 *
 * A transaction of its own takes 0.8 CPU-ms and more, whatever it stores, and rows in the engine's log are written again
 * by a checkpoint. A record takes 0.1 CPU-ms, and is synced like any commit. Records move in one transaction, which also
 * stores the sequence of the last one. They move before anything reads the tables: at a start, for a reader, for a
 * change that is not for the journal. Records and their rows keep their order.
 *
 * Rows also move when those of a day are as many as the engine has in a row group. It then writes them to its file at
 * once, compressed, and not to its log. If they were a few more, the next checkpoint would write them again. So a change
 * that exceeds the row group is divided: it has two records, and those up to the first move.
 *
 * Changes are appended while others move.
 */

import type { Counters } from "../../model/counters.ts";
import { type Rows, slicedRows } from "../../model/sample.ts";
import type { Connection } from "../engine/duckdb.ts";
import { ROW_GROUP_ROWS } from "../engine/engine-settings.ts";
import { isFatal } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import type { LostRecords } from "../store-options.ts";
import type { Change, Stored, StoredMetricRecord } from "../store.ts";
import { idAfter, storedList } from "../start-file/stored-list.ts";
import { readEarlierEntry } from "./earlier-entries.ts";
import {
  type Entry,
  type EntryParts,
  entryOfRows,
  payloadOf,
  type ReadEntry,
  readEntry,
  UNKNOWN_LOG,
} from "./entry.ts";
import {
  type ExpectedJournal,
  isJournalLost,
  JournalFile,
  keyText,
  lostJournal,
  type Mark,
} from "./journal-file.ts";
import { gapText, type JournalGap, type JournalReading } from "./journal-records.ts";
import { GatheredRows } from "./journal-rows.ts";
import { expectedJournal, type InTransaction, type JournalState, noteMoved } from "./journal-state.ts";
import { missingByEntries, shortLog } from "./missing-log.ts";
import { type Orphans, withoutOrphans } from "./salvage.ts";

/**
 * Limits of the entries that gather. A move of many entries with metadata then takes some 50 ms, and one of many rows
 * 100.
 */
const ENTRIES_MAX = 2_048;
const TEXT_LENGTH_MAX = 1_048_576;
/** Of all days, and of the values of all attributes. */
const ROWS_MAX = 2 * ROW_GROUP_ROWS;
const VALUES_BYTES_MAX = 16 * 1_048_576;
/** Each attribute name has a cell of 8 bytes in each row of its day, although few rows may have it. */
const ATTRIBUTE_CELLS_MAX = 2_097_152;
const UNCOUNTED_ROWS_MAX = 2_048;

/** Receives errors that no caller gets. */
export type OnFault = (message: string, error: unknown) => void;

/**
 * Receives the position of a last record that is incomplete and was skipped. A kill or a loss of power during its write
 * leaves one. A push with such a record was not acknowledged.
 */
export type OnIncomplete = (path: string, byte: number) => void;

interface JournalOptions {
  readonly counters: Counters;
  /** Receives errors that no caller gets. */
  readonly onFault?: OnFault;
  readonly onIncomplete?: OnIncomplete;
  /** Skips damaged records in front of others, and opens without commits that the log has lost. Both are errors without it. */
  readonly isRepair?: boolean;
  /** Whether the header of the journal says that the log has lost commits. */
  readonly isLogShort?: boolean;
  /** Bytes of the log's whole commits at the time of the call. */
  readonly logBytes: () => number;
  /** What the store knows of its journal, if that need not be asked for. */
  readonly known?: JournalState | undefined;
}

/** Columns that are used again. There are two while a row group moves and the next one fills. */
const SPARE_MAX = 2;

/** Entries that move together. */
class Gathered {
  /** Columns that can be used again. */
  readonly #spare: GatheredRows[];
  readonly parts: EntryParts[] = [];
  readonly days = new Map<number, GatheredRows>();
  textLength = 0;
  rowCount = 0;

  constructor(spare: GatheredRows[]) {
    this.#spare = spare;
  }

  /** Whether the entries must move before others are added. */
  get isFull(): boolean {
    return (
      this.parts.length >= ENTRIES_MAX || this.textLength >= TEXT_LENGTH_MAX || this.rowCount >= ROWS_MAX
    );
  }

  /** Whether rows have room beside those that are here. */
  holds(rows: readonly Rows[]): boolean {
    let bytes = 0;
    for (const day of this.days.values()) bytes += day.textBytes;
    if (bytes >= VALUES_BYTES_MAX) return false;
    // So few rows have no million cells, and most changes are of one row.
    if (this.rowCount + rows.reduce((sum, { length }) => sum + length, 0) <= UNCOUNTED_ROWS_MAX) return true;
    for (const [day, { length, attributeNames }] of this.days) {
      const names = new Set(attributeNames);
      let after = length;
      for (const each of rows) {
        if (each.day !== day) continue;
        after += each.length;
        for (const { name } of each.attributes) names.add(name);
      }
      if (after > length && after * names.size > ATTRIBUTE_CELLS_MAX) return false;
    }
    return true;
  }

  add({ parts, rows }: Pick<ReadEntry, "parts" | "rows">, textLength: number): void {
    this.parts.push(parts);
    this.textLength += textLength;
    for (const each of rows) {
      const { day } = each;
      this.days
        .getOrInsertComputed(day, () => this.#spare.pop()?.reuse(day) ?? new GatheredRows(day))
        .add(each);
      this.rowCount += each.length;
    }
  }

  /** Gives the columns of whole row groups back. The entries are not needed any more. */
  recycle(): void {
    for (const rows of this.days.values())
      if (rows.length >= ROW_GROUP_ROWS && this.#spare.length < SPARE_MAX) this.#spare.push(rows);
  }
}

export class Journal {
  readonly #file: JournalFile;
  readonly #counters: Counters;
  readonly #onFault: OnFault;
  /** Entries that move next, up to a record. Undefined if none are due. */
  #due: { readonly entries: readonly Gathered[]; readonly mark: Mark } | undefined;
  readonly #spare: GatheredRows[] = [];
  #gathering = new Gathered(this.#spare);
  /** Entries as they were read, for a repair. */
  #read: readonly ReadEntry[] = [];
  /**
   * True if all entries must move before the next append. After a failed record, nothing may follow what is left of it.
   * After a start, the file is written from its beginning.
   */
  #isBroken = false;
  /** The append in progress. No entries become due meanwhile, because its place among them is not decided. */
  #appending: Promise<unknown> | undefined;
  /**
   * Whether the engine has begun a new log since the entries were appended. They say how large the earlier one was. So all of
   * them move with the first commit of the new log.
   */
  #isLogNew = false;
  /** Whether the engine is ending its log. Entries then say nothing of it. */
  #isLogEnding = false;
  /** Whether a failed move was logged already. */
  #isLeft = false;
  /** The sequence up to which all records were moved. */
  #moved: number;
  #waiting: { readonly sequence: number; readonly resolve: () => void }[] = [];
  readonly #logBytes: () => number;
  /** Damaged records that were skipped. */
  readonly gaps: readonly JournalGap[];
  /** Whether the log has lost commits that were made before the entries. Only a repair opens such a journal. */
  readonly isLogShort: boolean;
  /** The file that the store expects, if it is not there, or not readable. Only a repair opens such a journal. */
  readonly lost: ExpectedJournal | undefined;
  /** Whether the store has noted the file, so that a start notices if it is lost. */
  #isNoted = false;
  /** Whether the store has noted a file, this one or a lost one. */
  #hasRow = false;

  /**
   * Opens the journal of a store, and reads the entries that an earlier run left.
   *
   * @param path of the journal's file
   */
  static async open(connection: Connection, path: string, options: JournalOptions): Promise<Journal> {
    const { sequence, expected } = options.known ?? (await expectedJournal(connection));
    const { isRepair, isLogShort = false } = options;
    const { file, reading } = JournalFile.open(path, sequence, isRepair, isLogShort);
    const { incompleteAt, gaps } = reading;
    if (incompleteAt !== undefined) options.onIncomplete?.(path, incompleteAt);
    if (gaps.length > 0) {
      options.onFault?.("damaged records of the journal were skipped", `${gapText(gaps)} of ${path}`);
    }
    const entries = entriesOf(reading);
    const missing = missingByEntries(entries, options.logBytes());
    let isLost = false;
    try {
      isLost = isJournalLost(path, expected, reading);
      if (isRepair !== true) {
        if (isLost) throw lostJournal(path, expected!);
        if (missing !== undefined) throw shortLog(path, missing);
      }
    } catch (error) {
      file.close(false);
      throw error;
    }
    const state = {
      gaps,
      isLogShort: isLogShort || missing !== undefined,
      lost: isLost ? expected : undefined,
    };
    const journal = new Journal(file, sequence, state, options);
    journal.#hasRow = expected !== undefined;
    journal.#isNoted = expected !== undefined && !isLost;
    journal.#restore(entries);
    if (options.isRepair === true) journal.#read = entries;
    return journal;
  }

  private constructor(
    file: JournalFile,
    moved: number,
    { gaps, isLogShort, lost }: Pick<Journal, "gaps" | "isLogShort" | "lost">,
    { counters, onFault = () => {}, logBytes }: JournalOptions,
  ) {
    this.isLogShort = isLogShort;
    this.lost = lost;
    this.#logBytes = logBytes;
    this.#file = file;
    this.#moved = moved;
    this.gaps = gaps;
    this.#counters = counters;
    this.#onFault = onFault;
  }

  /** Takes the entries of an earlier run. */
  #restore(entries: readonly ReadEntry[]): void {
    this.#gathering = new Gathered(this.#spare);
    for (const entry of entries) this.#gathering.add(entry, 0);
    this.#isBroken = entries.length > 0;
  }

  /** What the store knows once it has forgotten the file. */
  get forgotten(): JournalState | undefined {
    return this.#hasRow || !this.isEmpty ? undefined : { sequence: this.#moved };
  }

  get isNoted(): boolean {
    return this.#isNoted;
  }

  /** The key of the file, if the store has noted it. A copy of the store then needs a journal too. */
  get notedKey(): Uint8Array | undefined {
    return this.#isNoted ? this.#file.key : undefined;
  }

  /**
   * Makes the store note the file, so that a start notices if it is lost. The file is on the disk before, so that a kill in
   * between does not leave a store that expects more.
   *
   * @param inTransaction runs a function in a transaction on the writer's connection
   */
  async note(connection: Connection, inTransaction: InTransaction): Promise<void> {
    // Records of an earlier version may be where the header will be. They move first.
    if (this.#isNoted || this.#isBroken) return;
    await this.#file.prepare();
    await inTransaction(async () => {
      await connection.run(statement("store/forget_journal_file"));
      await connection.run(statement("store/note_journal_file"), [keyText(this.#file.key)]);
    });
    this.#hasRow = true;
    this.#isNoted = true;
  }

  /** Makes the store forget the file, which is about to be removed, unless it has entries that were not moved. */
  async forget(connection: Connection, inTransaction: InTransaction): Promise<void> {
    if (!this.#hasRow || !this.isEmpty) return;
    await inTransaction(() => connection.run(statement("store/forget_journal_file")));
    this.#hasRow = false;
    this.#isNoted = false;
  }

  /** A commit to the tables has ended. Notes the size of the log, so that a start notices if the log has lost it. */
  noteCommit(): void {
    try {
      this.#file.noteLog(this.#logBytes());
    } catch {
      // The disk fails. The commit is stored, and the next one reports what the disk says.
    }
  }

  /** Call it before a checkpoint, and `noteLogEnded` after it. Entries that are appended in between say nothing of the log. */
  async endLog(): Promise<void> {
    this.#isLogEnding = true;
    await this.#appending;
  }

  /** The checkpoint has ended, or was not made. */
  noteLogEnded(): void {
    this.#isLogEnding = false;
  }

  /** Call it before a checkpoint, which ends the log. Returns false if the disk does not accept that. */
  forgetLog(): boolean {
    try {
      this.#file.forgetLog();
      return true;
    } catch {
      return false;
    }
  }

  get isEmpty(): boolean {
    return this.#due === undefined && this.#gathering.parts.length === 0 && !this.#isBroken;
  }

  /** Whether entries should move now, although no reader waits. */
  get isMoveDue(): boolean {
    return this.#due !== undefined || this.#gathering.isFull;
  }

  /** Whether an entry can be appended before others have moved. */
  holds({ rows }: Entry): boolean {
    if (this.#isBroken || this.#gathering.isFull || !this.#gathering.holds(rows)) return false;
    return this.#due === undefined || this.#rowsToRowGroup(rows) === undefined;
  }

  /**
   * Appends a change. Resolves when it is on the disk. Call it once at a time, and only if `holds` returns true. Returns
   * false, and counts it, if the record could not be written. The caller then has to empty the journal and store the
   * change without it. It also returns false if the change has too many bytes for a record.
   */
  async append(entry: Entry): Promise<boolean> {
    const appending = this.#appendNow(entry);
    this.#appending = appending;
    return await appending.finally(() => {
      this.#appending = undefined;
    });
  }

  async #appendNow(entry: Entry): Promise<boolean> {
    const first = this.#rowsToRowGroup(entry.rows);
    const entries = first === undefined ? [entry] : dividedAt(entry, first);
    const payloads = entries
      .map((each) => payloadOf(each, this.#isLogEnding ? UNKNOWN_LOG : this.#logBytes()))
      .filter((payload) => payload !== undefined);
    if (payloads.length < entries.length) return false;
    let marks: Mark[];
    try {
      marks = await this.#file.append(...payloads);
    } catch (error) {
      this.#counters.journalWriteFailures.inc();
      this.#onFault("a record of the journal could not be written", error);
      this.#isBroken = true;
      return false;
    }
    this.#gathering.add(entries[0]!, entries[0]!.text.length);
    if (first === undefined) return true;
    this.#due = { entries: [this.#gathering], mark: marks[0]! };
    this.#gathering = new Gathered(this.#spare);
    if (entries.length > 1) this.#gathering.add(entries[1]!, 0);
    return true;
  }

  /**
   * How many of the rows complete a row group of their day. Undefined if they are fewer, or of several days: a change of
   * several days is rare.
   */
  #rowsToRowGroup(rows: readonly Rows[]): number | undefined {
    const day = rows[0]?.day;
    if (day === undefined) return undefined;
    let length = 0;
    for (const each of rows) {
      if (each.day !== day) return undefined;
      length += each.length;
    }
    const missing = ROW_GROUP_ROWS - (this.#gathering.days.get(day)?.length ?? 0);
    return missing > 0 && length >= missing ? missing : undefined;
  }

  /**
   * Moves all entries that were appended before the call. A failed move is counted. The entries then stay for the next
   * move. One move runs at a time.
   *
   * @param write stores a change, and runs the given function, in one transaction
   */
  async move(connection: Connection, write: WriteChange): Promise<void> {
    const { sequence } = this.#file.mark;
    while (this.#moved < sequence || this.#isBroken) {
      if (this.isEmpty) return;
      await this.#moveNext(connection, write);
    }
  }

  /** Moves the entries that are due. */
  async moveDue(connection: Connection, write: WriteChange): Promise<void> {
    if (this.isMoveDue) await this.#moveNext(connection, write);
  }

  async #moveNext(connection: Connection, write: WriteChange): Promise<void> {
    if (this.#due === undefined || this.#isLogNew) await this.#appending;
    if (this.#due === undefined || this.#isLogNew) {
      this.#due = { entries: this.#all(), mark: this.#file.mark };
      this.#gathering = new Gathered(this.#spare);
      this.#isLogNew = false;
    }
    const { entries, mark } = this.#due;
    try {
      await write(changeOf(entries), () => noteMoved(connection, mark.sequence));
    } catch (error) {
      this.#counters.journalMoveFailures.inc();
      throw error;
    }
    this.#due = undefined;
    for (const each of entries) each.recycle();
    this.#moved = mark.sequence;
    this.#isLeft = false;
    if (this.#isBroken && mark.sequence === this.#file.mark.sequence) {
      this.#file.restart();
      this.#isBroken = false;
    } else {
      await this.#file.release(mark).catch((error) => {
        // The records stay where they are, and are released later.
        this.#onFault("records of the journal could not be copied to its beginning", error);
      });
    }
    this.#waiting = this.#waiting.filter(({ sequence, resolve }) => {
      if (sequence > mark.sequence) return true;
      resolve();
      return false;
    });
  }

  /** A checkpoint has ended. The log that the entries know is gone. */
  noteNewLog(): void {
    this.#isLogNew = true;
  }

  /** Gives the room of the file back to the disk, if all entries have been moved. */
  async shrink(): Promise<void> {
    if (this.isEmpty) await this.#file.shrink();
  }

  /** Resolves when the current entries have been moved. */
  emptied(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ sequence: this.#file.mark.sequence, resolve });
    return promise;
  }

  /**
   * What a repair has lost. Undefined if nothing. Drops what refers to a metric or series that only a skipped record defined.
   */
  losses(stored: Pick<Stored, "metrics" | "series">): LostRecords | undefined {
    const { isLogShort, lost } = this;
    const records = this.gaps.reduce((sum, gap) => sum + gap.records, 0);
    const orphans = this.isEmpty ? { series: 0, rows: 0 } : this.#dropOrphans(stored);
    if (records + orphans.rows === 0 && !isLogShort && lost === undefined) return undefined;
    return { records, isLogShort, lost, ...orphans };
  }

  #dropOrphans(stored: Pick<Stored, "metrics" | "series">): Orphans {
    const { entries, orphans } = withoutOrphans(this.#read, stored);
    this.#restore(entries);
    return orphans;
  }

  /**
   * Leaves the entries for the next move, although a reader is about to open. Logged once until a move
   * succeeds.
   */
  readonly leave = (error: unknown): void => {
    if (!this.#isLeft) {
      this.#onFault(
        "changes could not be moved from the journal to their tables; queries miss them until a later move succeeds",
        error,
      );
    }
    this.#isLeft = true;
  };

  /** Rows of all entries. */
  rows(): readonly Rows[] {
    return changeOf(this.#all()).rows ?? [];
  }

  /** `stored` with the entries added: what the tables would contain after a move. */
  added(stored: Stored): Stored {
    const { metrics = [], series = [], seriesDays = [], pushes = [], ...states } = changeOf(this.#all());
    const known = new Map<string, StoredMetricRecord>(
      stored.metrics.read().map((metric) => [metric.name, metric]),
    );
    for (const metric of metrics) known.set(metric.name, metric);
    const added = series.map(({ metric, ...each }) => ({ ...each, metric: metric.name }));
    return {
      ...stored,
      metrics: storedList([...known.values()]),
      series: storedList([...stored.series.read(), ...added]),
      seriesDays: storedList([...stored.seriesDays.read(), ...seriesDays]),
      nextSeriesId: Math.max(stored.nextSeriesId, idAfter(added, seriesDays)),
      pushes: storedList([...stored.pushes.read(), ...pushes]),
      groups: newestStates(stored.groups, states.groups),
      notifications: newestStates(stored.notifications, states.notifications),
      forwards: newestStates(stored.forwards, states.forwards),
    };
  }

  #all(): Gathered[] {
    return [...(this.#due?.entries ?? []), this.#gathering];
  }

  /**
   * Records an error of the tables. An engine that gave up on its file cannot move entries any more. Then
   * nothing more is appended, so that the next commit fails, and a new process can read all entries.
   */
  noteError(error: unknown): void {
    if (isFatal(error)) this.#isBroken = true;
  }

  /**
   * Closes the file. It is removed if nothing needs it: the entries were moved, the store has forgotten it, and there is no log
   * of which it knows the size.
   */
  close(hasLog: boolean): void {
    this.#file.close(this.isEmpty && !this.#hasRow && !hasLog);
  }
}

/** The entries that a journal file has. */
export function entriesOf({ payloads, format }: JournalReading): ReadEntry[] {
  return payloads.map(format === 1 ? readEarlierEntry : readEntry);
}

/** Stores a change, and runs the given function, in one transaction that begins with sql/store/begin_move.sql. */
type WriteChange = (change: Change, also: () => Promise<void>) => Promise<void>;

/** The entries as one change. Each part keeps its order. */
function changeOf(all: readonly Gathered[]): Change {
  return {
    metrics: gathered(all, ({ metrics }) => metrics),
    series: gathered(all, ({ series }) => series),
    seriesDays: gathered(all, ({ seriesDays }) => seriesDays),
    rows: all.flatMap(({ days }) => Array.from(days.values(), (day) => day.rows())),
    pushes: gathered(all, ({ pushes }) => pushes),
    rejected: gathered(all, ({ rejected }) => rejected),
    groups: gathered(all, ({ groups }) => groups),
    notifications: gathered(all, ({ notifications }) => notifications),
    forwards: gathered(all, ({ forwards }) => forwards),
  };
}

/** The newest state of each key, in the order in which the keys were first seen, without deleted ones. */
function newestStates<State extends { readonly key: string; readonly definition: string | null }>(
  stored: readonly State[],
  added: readonly State[] = [],
): readonly State[] {
  const newest = new Map(stored.map((state) => [state.key, state]));
  for (const state of added) newest.set(state.key, state);
  return [...newest.values()].filter(({ definition }) => definition !== null);
}

function gathered<Part>(
  all: readonly Gathered[],
  of: (parts: EntryParts) => readonly Part[],
): readonly Part[] {
  const found: Part[] = [];
  for (const { parts } of all) for (const each of parts) for (const part of of(each)) found.push(part);
  return found;
}

/** The entry in two, of which the first has this number of rows. One, if it has no more. */
function dividedAt(entry: Entry, first: number): Entry[] {
  const before: Rows[] = [];
  const behind: Rows[] = [];
  let left = first;
  for (const rows of entry.rows) {
    const length = Math.min(left, rows.length);
    if (length > 0) before.push(slicedRows(rows, 0, length));
    if (length < rows.length) behind.push(slicedRows(rows, length, rows.length));
    left -= length;
  }
  if (behind.length === 0) return [entry];
  return [{ ...entry, rows: before }, entryOfRows(behind)];
}
