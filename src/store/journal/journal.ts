/**
 * The journal: small changes, each a record of a file, until many of them move to their tables together.
 *
 * A transaction that appends a new series, its day, its sample and its group, each to its table, takes 3
 * CPU-ms. Most of that is the same for a hundred of them. One INSERT that commits by itself takes 0.4 CPU-ms,
 * and a record of a file 0.1 (measured). A record is synced like any commit. Records move in one transaction,
 * which also stores the sequence of the last one. They move before anything reads the tables: at a start, for a
 * reader, for a change that is not small. Records and their rows keep their order.
 */

import { dirname } from "node:path";
import type { Counters } from "../../model/counters.ts";
import type { GroupRecord } from "../../model/records.ts";
import type { Kind, Rows } from "../../model/sample.ts";
import type { Connection } from "../engine/duckdb.ts";
import { isFatal } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import {
  type Change,
  type MetricRecord,
  type PushRecord,
  type RejectedRecord,
  type SeriesDay,
  type SeriesRecord,
  StoreDamaged,
  type Stored,
} from "../store.ts";
import { JournalFile } from "./journal-file.ts";
import { gapText, type JournalGap } from "./journal-records.ts";
import {
  type CopiedRows,
  copyRows,
  type EntryRows,
  rowsOf,
  rowsOfText,
  textLengthMin,
  textOfRows,
} from "./journal-rows.ts";
import { type Orphans, withoutOrphans } from "./salvage.ts";

/** Limits of one change. A transaction of its own costs little more beyond them. */
const ROWS_MAX = 1_024;
const SERIES_MAX = 256;
const ENTRY_LENGTH_MAX = 160_000;
/** Limits of all entries. A move then takes some 20 ms, and the entries take 4 MB of memory. */
const ENTRIES_MAX = 384;
const LENGTH_MAX = 1_048_576;

/** The parts of a change that an entry supports. */
const PARTS: ReadonlySet<string> = new Set([
  "metrics",
  "series",
  "seriesDays",
  "rows",
  "pushes",
  "rejected",
  "groups",
] satisfies (keyof Change)[]);
/** Parts of a change that replace what was stored before. */
const REPLACING: ReadonlySet<string> = new Set(["lastPushes", "scrapers"]);

/** The parts of an entry, kept until it is moved. Its rows are copies. */
export interface EntryParts {
  readonly metrics: readonly MetricRecord[];
  readonly series: readonly SeriesRecord[];
  readonly seriesDays: readonly SeriesDay[];
  readonly rows: readonly CopiedRows[];
  readonly pushes: readonly PushRecord[];
  readonly rejected: readonly RejectedRecord[];
  readonly groups: readonly GroupRecord[];
}

/** A small change, and its whole content as text. */
interface Entry {
  readonly parts: EntryParts;
  readonly text: string;
}

/** The JSON of an entry. */
type EntryText = Omit<EntryParts, "series" | "rows"> & {
  /** Bytes of the log when the first entry was made. Absent in others, and in entries of earlier versions. */
  readonly logBytes?: number;
  readonly series: readonly EntrySeries[];
  readonly rows: readonly EntryRows[];
};

/** Id, name and kind of the metric, labels, whether it is exposed. */
type EntrySeries = readonly [number, string, Kind, readonly (readonly [string, string])[], boolean];

/** Receives errors that no caller gets. */
export type OnFault = (message: string, error: unknown) => void;

interface JournalOptions {
  readonly counters: Counters;
  /** Receives errors that no caller gets. */
  readonly onFault?: OnFault;
  /** Skips damaged records in front of others, and opens without commits that the log has lost. Both are errors without it. */
  readonly isRepair?: boolean;
  /** Bytes of the log's whole commits at the time of the call. */
  readonly logBytes: () => number;
}

export class Journal {
  readonly #file: JournalFile;
  readonly #counters: Counters;
  readonly #onFault: OnFault;
  #entries: EntryParts[] = [];
  #length = 0;
  /**
   * True after a failed record: nothing may follow what is left of it. So all entries must move before the next
   * append.
   */
  #isBroken = false;
  /** Whether a failed move was logged already. */
  #isLeft = false;
  #emptied = Promise.withResolvers<void>();
  readonly #logBytes: () => number;
  /** Damaged records that were skipped. */
  readonly gaps: readonly JournalGap[];
  /** Whether the log has lost commits that were made before the entries. Only a repair opens such a journal. */
  readonly isLogShort: boolean;

  /**
   * Opens the journal of a store, and reads the entries that an earlier run left.
   *
   * @param path of the journal's file
   */
  static async open(connection: Connection, path: string, options: JournalOptions): Promise<Journal> {
    const [moved] = await connection.all<{ sequence: number }>(statement("store/load_journal_moved"));
    const { file, reading } = JournalFile.open(path, moved!.sequence, options.isRepair);
    const { incompleteAt, gaps } = reading;
    if (incompleteAt !== undefined) {
      options.onFault?.(
        "the last record of the journal is incomplete and was skipped; a push whose record was interrupted by a loss of power was not acknowledged",
        `${path} at byte ${incompleteAt}`,
      );
    }
    if (gaps.length > 0) {
      options.onFault?.("damaged records of the journal were skipped", `${gapText(gaps)} of ${path}`);
    }
    const missing = missingLog(reading.texts, options.logBytes());
    if (missing !== undefined && options.isRepair !== true) {
      file.close(false);
      throw shortLog(path, missing);
    }
    const journal = new Journal(file, gaps, missing !== undefined, options);
    for (const text of reading.texts) journal.#note({ parts: partsOf(text), text });
    return journal;
  }

  private constructor(
    file: JournalFile,
    gaps: readonly JournalGap[],
    isLogShort: boolean,
    { counters, onFault = () => {}, logBytes }: JournalOptions,
  ) {
    this.#file = file;
    this.gaps = gaps;
    this.isLogShort = isLogShort;
    this.#logBytes = logBytes;
    this.#counters = counters;
    this.#onFault = onFault;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0 && !this.#isBroken;
  }

  /** Whether the entries must move before the next append. */
  get isFull(): boolean {
    return this.#isBroken || this.#entries.length >= ENTRIES_MAX || this.#length >= LENGTH_MAX;
  }

  /** Resolves when the current entries have been moved. */
  get emptied(): Promise<void> {
    return this.#emptied.promise;
  }

  /**
   * Appends a change. Resolves when it is on the disk. Call it once at a time. Returns false, and counts it, if
   * the record could not be written. The caller then has to empty the journal and store the change without it.
   */
  async append(entry: Entry): Promise<boolean> {
    // Every commit to the tables moves the entries first. So the log is the same for all entries.
    const isFirst = this.#entries.length === 0;
    const text = isFirst ? `{"logBytes":${this.#logBytes()},${entry.text.slice(1)}` : entry.text;
    try {
      await this.#file.append(text);
    } catch (error) {
      this.#counters.journalWriteFailures.inc();
      this.#onFault("a record of the journal could not be written", error);
      this.#isBroken = true;
      return false;
    }
    this.#note(entry);
    return true;
  }

  /**
   * Moves all entries, if there are any. A failed move is counted. The entries then stay for the next move.
   *
   * @param write stores a change, and runs the given function, in one transaction
   */
  async move(
    connection: Connection,
    write: (change: Change, also: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    if (this.isEmpty) return;
    try {
      await write(this.#change(), () => this.#noteMoved(connection));
    } catch (error) {
      this.#counters.journalMoveFailures.inc();
      throw error;
    }
    this.#file.restart();
    this.#entries = [];
    this.#length = 0;
    this.#isBroken = false;
    this.#isLeft = false;
    this.#emptied.resolve();
    this.#emptied = Promise.withResolvers();
  }

  /** Drops what refers to a metric or series that only a skipped record defined. */
  dropOrphans(stored: Pick<Stored, "metrics" | "series">): Orphans {
    const { entries, orphans } = withoutOrphans(this.#entries, stored);
    this.#entries = entries;
    return orphans;
  }

  /**
   * Leaves the entries for the next move, although a reader is about to open. Logged once until a move
   * succeeds.
   */
  readonly leave = (error: unknown): void => {
    if (!this.#isLeft) {
      this.#onFault(
        "small changes could not be moved to their tables; queries miss them until a later move succeeds",
        error,
      );
    }
    this.#isLeft = true;
  };

  /** Rows of all entries. */
  rows(): Rows[] {
    return rowsOf(gathered(this.#entries, ({ rows }) => rows));
  }

  /** `stored` with the entries added: what the tables would contain after a move. */
  added(stored: Stored): Stored {
    const { metrics = [], series = [], seriesDays = [], pushes = [], groups = [] } = this.#change();
    const newest = new Map(stored.groups.map((group) => [group.key, group]));
    for (const group of groups) newest.set(group.key, group);
    const known = new Map(stored.metrics.map((metric) => [metric.name, metric]));
    for (const metric of metrics) known.set(metric.name, metric);
    return {
      ...stored,
      metrics: [...known.values()],
      series: [...stored.series, ...series.map(({ metric, ...each }) => ({ ...each, metric: metric.name }))],
      seriesDays: [...stored.seriesDays, ...seriesDays],
      pushes: [...stored.pushes, ...pushes],
      groups: [...newest.values()].filter(({ definition }) => definition !== null),
    };
  }

  /** All entries as one change. Each part keeps its order. */
  #change(): Change {
    const all = this.#entries;
    return {
      metrics: gathered(all, ({ metrics }) => metrics),
      series: gathered(all, ({ series }) => series),
      seriesDays: gathered(all, ({ seriesDays }) => seriesDays),
      rows: rowsOf(gathered(all, ({ rows }) => rows)),
      pushes: gathered(all, ({ pushes }) => pushes),
      rejected: gathered(all, ({ rejected }) => rejected),
      groups: gathered(all, ({ groups }) => groups),
    };
  }

  async #noteMoved(connection: Connection): Promise<void> {
    await connection.run(statement("store/note_journal_moved"), [this.#file.sequence]);
  }

  /**
   * Records an error of the tables. An engine that gave up on its file cannot move entries any more. Then
   * nothing more is appended, so that the next commit fails, and a new process can read all entries.
   */
  noteError(error: unknown): void {
    if (isFatal(error)) this.#isBroken = true;
  }

  /** Closes the file. Entries that were not moved stay in it. */
  close(): void {
    this.#file.close(this.isEmpty);
  }

  #note({ parts, text }: Entry): void {
    this.#entries.push(parts);
    this.#length += text.length;
  }
}

/**
 * The entry of a change. Undefined if the change is not small, or has a part that entries do not support.
 *
 * @param isOpen whether a day has its table. A change that creates a table is not small
 */
export function entryOf(change: Change, isOpen: (day: number) => boolean): Entry | undefined {
  let isAnything = false;
  for (const [part, value] of Object.entries(change)) {
    if (value === undefined) continue;
    // A list that replaces the stored one matters even if it is empty.
    if (Array.isArray(value) && value.length === 0 && !REPLACING.has(part)) continue;
    if (!PARTS.has(part)) return undefined;
    isAnything = true;
  }
  const { metrics = [], series = [], seriesDays = [], pushes = [], rejected = [], groups = [] } = change;
  const rows = (change.rows ?? []).filter(({ length }) => length > 0);
  if (!isAnything || series.length > SERIES_MAX || seriesDays.length > SERIES_MAX) return undefined;
  let length = 0;
  let textLength = 0;
  for (const segment of rows) {
    length += segment.length;
    textLength += textLengthMin(segment);
    if (length > ROWS_MAX || textLength > ENTRY_LENGTH_MAX || !isOpen(segment.day)) return undefined;
  }
  const parts: EntryParts = {
    // A copy: the records may change before the entry is moved.
    metrics: metrics.map(({ name, kind, type, unit, help, buckets }) => ({
      name,
      kind,
      type,
      unit,
      help,
      buckets,
    })),
    series,
    seriesDays,
    rows: rows.map(copyRows),
    pushes,
    rejected,
    groups,
  };
  const text = textOf(parts);
  return text.length > ENTRY_LENGTH_MAX ? undefined : { parts, text };
}

function textOf(parts: EntryParts): string {
  const entry: EntryText = {
    ...parts,
    series: parts.series.map(({ seriesId, metric, labels, exposed }) => [
      seriesId,
      metric.name,
      metric.kind,
      [...labels],
      exposed,
    ]),
    rows: parts.rows.map(textOfRows),
  };
  return JSON.stringify(entry);
}

/** A log that ends before the entries of the journal began: the bytes of its commits, and how many there were. */
interface MissingLog {
  readonly has: number;
  readonly had: number;
}

/**
 * Whether commits in front of the entries are missing in the log. A log without a commit is not: it may be a new one,
 * because a full disk can delay the move of the entries past a checkpoint.
 */
export function missingLog(texts: readonly string[], logBytes: number): MissingLog | undefined {
  const [first] = texts;
  if (first === undefined || logBytes === 0) return undefined;
  const { logBytes: had = 0 } = JSON.parse(first) as EntryText;
  return logBytes < had ? { has: logBytes, had } : undefined;
}

/** The error for a missing log of the journal at `path`. */
export function shortLog(path: string, { has, had }: MissingLog): StoreDamaged {
  const folder = dirname(path);
  const log = path.replace(/\.journal$/, ".wal");
  return new StoreDamaged(
    `${log} is damaged: its whole commits end at byte ${has}, but it had ${had} bytes when the changes in ${path} were made. ` +
      `Nothing was changed. Put a backup in place of the folder (weir restore), or run "weir doctor --repair --data ${folder}", ` +
      "which stores the changes without the commits that are lost.",
  );
}

function partsOf(text: string): EntryParts {
  const { logBytes: _, ...entry } = JSON.parse(text) as EntryText;
  return {
    ...entry,
    series: entry.series.map(([seriesId, name, kind, labels, exposed]) => ({
      seriesId,
      metric: { name, kind },
      labels: new Map(labels),
      exposed,
    })),
    rows: entry.rows.map(rowsOfText),
  };
}

/** One part of all entries, in their order. */
function gathered<Part>(entries: readonly EntryParts[], of: (entry: EntryParts) => readonly Part[]): Part[] {
  const parts: Part[] = [];
  for (const entry of entries) for (const part of of(entry)) parts.push(part);
  return parts;
}
