/**
 * The journal: small changes, each a record of a file, until many of them are moved to the tables where they belong.
 *
 * A transaction that appends a new series, its day, its sample and its group, each to its table, takes 3 CPU-ms, of
 * which most is the same for a hundred of them; one INSERT that commits by itself takes 0.4, and a record of a file 0.1
 * (measured). A record is synced like any commit. Records are moved, in one transaction that notes the last of them,
 * before anything reads the tables: a start, a reader, a change that is not small. They are kept in their order, and so
 * are their rows.
 */

import { journalMoveFailures, journalWriteFailures } from "../../model/counters.ts";
import type { Kind, Rows } from "../../model/sample.ts";
import { statement } from "../statements.ts";
import type { Connection } from "../engine/duckdb.ts";
import { JournalFile } from "./journal-file.ts";
import {
  type EntryRows,
  type HeldRows,
  heldRows,
  rowsOf,
  rowsOfText,
  textLengthMin,
  textOfRows,
} from "./journal-rows.ts";
import type {
  Change,
  GroupRecord,
  MetricRecord,
  PushRecord,
  RejectedRecord,
  SeriesDay,
  SeriesRecord,
  Stored,
} from "../store.ts";

/** Of one change: past these a transaction of its own costs little more. */
const ROWS_MAX = 1_024;
const SERIES_MAX = 256;
const ENTRY_LENGTH_MAX = 160_000;
/** Of all: what moving them takes stays some 20 ms, and what they hold in memory 4 MB. */
const ENTRIES_MAX = 384;
const LENGTH_MAX = 1_048_576;

/** The parts of a change that an entry can hold. */
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

/** What an entry holds, and keeps until it is moved: its rows are copies. */
interface Held {
  readonly metrics: readonly MetricRecord[];
  readonly series: readonly SeriesRecord[];
  readonly seriesDays: readonly SeriesDay[];
  readonly rows: readonly HeldRows[];
  readonly pushes: readonly PushRecord[];
  readonly rejected: readonly RejectedRecord[];
  readonly groups: readonly GroupRecord[];
}

/** A small change, and the text that says all of it. */
export interface Entry {
  readonly held: Held;
  readonly text: string;
}

/** What a text says, in JSON. */
type EntryText = Omit<Held, "series" | "rows"> & {
  readonly series: readonly EntrySeries[];
  readonly rows: readonly EntryRows[];
};

/** Id, metric's name and kind, labels, whether it is exposed. */
type EntrySeries = readonly [number, string, Kind, readonly (readonly [string, string])[], boolean];

/** What goes wrong and is told to nobody who asked for something. */
export type OnFault = (message: string, error: unknown) => void;

export class Journal {
  readonly #file: JournalFile;
  /** What a gateway of before the file left in its table. */
  readonly #hasTable: boolean;
  readonly #onFault: OnFault;
  #entries: Held[] = [];
  #length = 0;
  /** Nothing may be appended before all was moved: what is left of a record that failed must not be followed by another. */
  #isBroken = false;
  /** Whether the log says that the entries could not be moved. */
  #isLeft = false;
  #emptied = Promise.withResolvers<void>();

  /**
   * Opens the journal of a store, and reads what a run before left.
   *
   * @param path of its file
   * @param onFault told of what nobody else is told of
   */
  static async open(connection: Connection, path: string, onFault: OnFault = () => {}): Promise<Journal> {
    const [moved] = await connection.all<{ sequence: number }>(statement("store/load_journal_moved"));
    const inTable = await connection.all<{ entry: string }>(statement("store/load_journal"));
    const { file, texts } = JournalFile.open(path, moved!.sequence);
    const journal = new Journal(file, inTable.length > 0, onFault);
    for (const text of [...inTable.map(({ entry }) => entry), ...texts]) {
      journal.#note({ held: heldOf(text), text });
    }
    return journal;
  }

  private constructor(file: JournalFile, hasTable: boolean, onFault: OnFault) {
    this.#file = file;
    this.#hasTable = hasTable;
    this.#onFault = onFault;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0 && !this.#isBroken;
  }

  /** Whether it takes no more before it is moved. */
  get isFull(): boolean {
    return this.#isBroken || this.#entries.length >= ENTRIES_MAX || this.#length >= LENGTH_MAX;
  }

  /** Resolves when the entries of this moment have been moved. */
  get emptied(): Promise<void> {
    return this.#emptied.promise;
  }

  /**
   * Appends a change; resolves when it is on the disk. One at a time. False when it could not be written, which is
   * counted: it is then to be stored without the journal, once that was emptied.
   */
  async append(entry: Entry): Promise<boolean> {
    try {
      await this.#file.append(entry.text);
    } catch (error) {
      journalWriteFailures.inc();
      this.#onFault("the journal could not be written", error);
      this.#isBroken = true;
      return false;
    }
    this.#note(entry);
    return true;
  }

  /**
   * Moves all entries, if there are any. One that fails is counted; the entries then stay, and are moved with the next.
   *
   * @param write stores a change, and what else it is given, in one transaction
   */
  async move(
    connection: Connection,
    write: (change: Change, also: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    if (this.isEmpty) return;
    try {
      await write(this.#change(), () => this.#noteMoved(connection));
    } catch (error) {
      journalMoveFailures.inc();
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

  /** What could not be moved waits for its next time, though somebody is about to read. Logged once until then. */
  readonly leave = (error: unknown): void => {
    if (!this.#isLeft) {
      this.#onFault(
        "small changes could not be moved to their tables; queries miss them until they are",
        error,
      );
    }
    this.#isLeft = true;
  };

  /** Rows of all entries. */
  rows(): Rows[] {
    return rowsOf(gathered(this.#entries, ({ rows }) => rows));
  }

  /** What is in the tables, and what the entries add to it: what would be there had they been moved. */
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

  /** All entries as one change, each part in their order. */
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
    if (this.#hasTable) await connection.run(statement("store/empty_journal"));
  }

  /**
   * Heeds what went wrong with the tables. An engine that gave up on its file moves nothing any more: then nothing is
   * appended, so that the next who commits is told, and a process can be started that reads all of it again.
   */
  heed(error: unknown): void {
    if (String(error).includes("FATAL Error")) this.#isBroken = true;
  }

  /** Gives the file back; what was not moved stays in it. */
  close(): void {
    this.#file.close(this.isEmpty);
  }

  #note({ held, text }: Entry): void {
    this.#entries.push(held);
    this.#length += text.length;
  }
}

/**
 * The entry of a change; undefined for one that is not small, or holds what no entry does.
 *
 * @param isOpen whether a day has its table: rows of another make it, which is no small change
 */
export function entryOf(change: Change, isOpen: (day: number) => boolean): Entry | undefined {
  let isAnything = false;
  for (const [part, value] of Object.entries(change)) {
    if (value === undefined) continue;
    // A list that replaces the one before says something where it is empty, too.
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
  const held: Held = {
    // As they are now: they may be refined before the entry is moved.
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
    rows: rows.map(heldRows),
    pushes,
    rejected,
    groups,
  };
  const text = textOf(held);
  return text.length > ENTRY_LENGTH_MAX ? undefined : { held, text };
}

function textOf(held: Held): string {
  const entry: EntryText = {
    ...held,
    series: held.series.map(({ seriesId, metric, labels, exposed }) => [
      seriesId,
      metric.name,
      metric.kind,
      [...labels],
      exposed,
    ]),
    rows: held.rows.map(textOfRows),
  };
  return JSON.stringify(entry);
}

function heldOf(text: string): Held {
  const entry = JSON.parse(text) as EntryText;
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

/** A part of all entries, in their order. */
function gathered<Part>(entries: readonly Held[], of: (entry: Held) => readonly Part[]): Part[] {
  const parts: Part[] = [];
  for (const entry of entries) for (const part of of(entry)) parts.push(part);
  return parts;
}
