/**
 * The store on DuckDB. store.ts is its contract. One connection writes. All its operations run one after the other
 * (operation-order.ts), so a drop of days and a checkpoint never overlap. Commits that go to the journal do not wait for them. Rows are
 * appended inside a transaction: closing an appender outside one would commit and checkpoint on the event loop.
 */
import type { TotalsSnapshot } from "../model/records.ts";
import type { Rows } from "../model/sample.ts";
import type { Observations } from "../model/metrics/tallies.ts";
import { dateText } from "../model/time.ts";
import { Copying } from "./backup/copying.ts";
import { type PackingHost, type PackRequest, packDay, type RowIdFollower } from "./blocks/packing.ts";
import { CommittedRows } from "./committed-rows.ts";
import { DiskFull, DiskRoom, explainNoRoom, freeBytesInside } from "./disk-room.ts";
import type { Connection, Database } from "./engine/duckdb.ts";
import { isCheckpointRefused, isFatal } from "./engine/faults.ts";
import { closeEngine, type OpenEngine, openEngine } from "./engine/open-engine.ts";
import { entryOf } from "./journal/entry.ts";
import { Journal } from "./journal/journal.ts";
import { fileSizesOf, type LogSize } from "./log-size.ts";
import { OperationOrder } from "./operation-order.ts";
import { readerError, Readers } from "./reading/readers.ts";
import { type Kept, StartFile } from "./start-file/start-file.ts";
import { statement } from "./statements.ts";
import type {
  Change,
  Day,
  Deletion,
  Dropped,
  Ended,
  Reader,
  Room,
  SampleKeys,
  Store,
  Stored,
  StoreFiles,
} from "./store.ts";
import type { StoreOptions } from "./store-options.ts";
import { type DayColumns, haveSameRows, loadDays, scanDay } from "./tables/days.ts";
import { type DeletedRows, deleteRows, deleteSeries } from "./tables/deletion.ts";
import { findSamples, type SampleVisitor } from "./tables/find-samples.ts";
import { type LoadedTables, loadTables } from "./tables/load-tables.ts";
import * as records from "./tables/store-records.ts";
import { StoredTables } from "./tables/stored-tables.ts";
import { type TableWriters, Writing } from "./tables/writing.ts";

/** A store whose database the engine is opening (open-store.ts). */
export interface OpeningStore {
  readonly database: Promise<Database>;
  readonly log: LogSize;
  /** Whether there was no database. A journal beside a new one is that of another store. */
  readonly isNew: boolean;
  /** Whether the log has lost commits, which the options accept. */
  readonly isLogShort: boolean;
}

/** Runs the migrations that the database lacks, and returns the store and its contents. */
export async function openTables(
  options: StoreOptions,
  { database, log, isNew, isLogShort }: OpeningStore,
): Promise<{ store: DuckDBStore; stored: Stored }> {
  const isRepair = options.onRepair !== undefined;
  const startFile = new StartFile(options.path);
  let kept: Kept | undefined;
  const isKnown = (file: number, schema: number) => {
    kept = startFile.found(file, schema);
    return kept !== undefined;
  };
  if (!isRepair) startFile.parse();
  const engine = await openEngine(options.path, { ...options, isKnown }, database).catch((error) =>
    Promise.reject(explainNoRoom(options.path, error)),
  );
  log.opened();
  try {
    const room = new DiskRoom({
      path: options.path,
      reserveBytes: options.reserveBytes ?? 0,
      onChange: options.onRoom,
    });
    const journal = await Journal.open(engine.writer, `${options.path}.journal`, {
      ...options,
      isRepair,
      isLogShort,
      logBytes: () => log.bytes,
      known: kept?.journal,
    });
    if (!journal.isEmpty) kept = undefined;
    if (isNew || isLogShort) journal.forgetLog();
    for (let isFirst = true; ; isFirst = false) {
      const { stored, ...loaded } = kept?.tables ?? (await loadTables(engine.writer));
      const lost = isRepair && isFirst ? journal.losses(stored) : undefined;
      if (lost !== undefined) options.onRepair?.(lost);
      const store = new DuckDBStore(options, { engine, journal, room, log, startFile, ...loaded });
      if (kept === undefined) await store.lookInside();
      else room.noteInside(kept.bytesInside);
      if (journal.isEmpty) return { store, stored };
      // Records that a killed run left. Everything is read again afterwards.
      try {
        await store.moveJournal();
      } catch (error) {
        if (!(error instanceof DiskFull)) throw error;
        return { store, stored: journal.added(stored) };
      }
    }
  } catch (error) {
    await closeEngine(engine);
    throw error;
  }
}

/** How a change is written to its tables. */
interface Whole {
  /** Of the change's snapshot of the totals. */
  readonly watermarks?: ReadonlyMap<number, number> | undefined;
  readonly also?: () => Promise<void>;
  readonly begin?: string;
}

interface Parts extends Omit<LoadedTables, "stored"> {
  readonly engine: OpenEngine;
  readonly journal: Journal;
  readonly room: DiskRoom;
  readonly log: LogSize;
  readonly startFile: StartFile;
}

export class DuckDBStore implements Store {
  readonly #options: StoreOptions;
  #engine: OpenEngine;
  readonly #journal: Journal;
  readonly #tables: TableWriters;
  readonly #days: Map<number, DayColumns>;
  readonly #readers = new Readers(
    (error) => readerError(error, this.#reopening !== undefined),
    () => this.#requireOpen(),
  );
  readonly #room: DiskRoom;
  readonly #log: LogSize;
  readonly #startFile: StartFile;
  #watermarks: ReadonlyMap<number, number>;
  #generation: number;
  readonly #copying = new Copying();
  readonly #order = new OperationOrder(
    (error) => this.#room.explain(error),
    (error) => this.#journal.noteError(error),
  );
  readonly #committed = new CommittedRows();
  readonly #commitSeconds: Observations;
  /** Changes when rows of a day get other ids. */
  numbering = 0;
  incompleteReaders = 0;
  readonly #holders: ((day: number) => boolean)[] = [];
  #follower: RowIdFollower | undefined;
  /** How many changes with rows are being written. */
  #writing = 0;
  /** Resolves when the engine, which gave up on the file, has opened it again. */
  #reopening: Promise<void> | undefined;
  #closed = false;

  constructor(options: StoreOptions, parts: Parts) {
    this.#options = options;
    this.#commitSeconds = options.counters.commitSeconds.of({});
    this.#engine = parts.engine;
    this.#journal = parts.journal;
    this.#tables = parts.tables;
    this.#days = parts.tables.days;
    this.#generation = parts.generation;
    this.#watermarks = parts.watermarks;
    this.#room = parts.room;
    this.#log = parts.log;
    this.#startFile = parts.startFile;
    this.#committed.reset(this.#days.values());
    this.#committed.add(this.#journal.rows());
  }

  get #writer(): Connection {
    return this.#engine.writer;
  }

  room(): Room {
    return this.#room.look();
  }

  requireRoom(before: "push" | "commit" = "push"): void {
    if (before === "push") this.#room.require();
    else this.#room.require(0);
  }

  async commit(change: Change): Promise<void> {
    this.#requireOpen();
    await this.#order.commit(async () => await (await this.#begin(change)).ended);
  }

  async commitBeside(change: Change): Promise<void> {
    this.#requireOpen();
    const { ended } = await this.#order.commit(() => this.#begin(change));
    await ended;
  }

  /** Appends a change to the journal, or begins to write it to its tables. `ended` resolves when it is committed. */
  async #begin(change: Change): Promise<{ readonly ended: Promise<void> }> {
    const beginMs = performance.now();
    const watermarks = this.#watermarksOf(change);
    const isAppended = await this.#append(change);
    if (change.rows !== undefined) this.#writing++;
    const write = async () => {
      // The change follows what was committed before it.
      await this.#moveJournal();
      await this.#commitWhole(change, { watermarks });
    };
    const ended = (isAppended ? Promise.resolve() : this.#inOrder(write))
      .then(() => {
        this.#committed.add(change.rows);
        this.#room.noteWritten();
        this.#commitSeconds.observe((performance.now() - beginMs) / 1_000);
      })
      .finally(() => {
        if (change.rows !== undefined) this.#writing--;
      });
    // An object, because a promise would be awaited.
    return { ended };
  }

  /** The rows that a change's snapshot of the totals contains: those of all commits before it. */
  #watermarksOf({ totals }: Change): ReadonlyMap<number, number> | undefined {
    if (totals === undefined) return undefined;
    // Their place among the rows of other changes is not decided.
    if (this.#writing > 0) throw new Error("a snapshot of the totals was taken while rows were written");
    return this.#committed.from();
  }

  /** Appends a change to the journal. Returns false if it is not for the journal. */
  async #append(change: Change): Promise<boolean> {
    if (!this.#journal.isNoted) await this.#noteJournal();
    if (this.#room.isInsideDue) await this.#inOrder(() => this.lookInside());
    const entry = entryOf(change, (day) => this.#days.has(day));
    if (entry === undefined) return false;
    if (!this.#journal.holds(entry)) await this.#moveDue();
    if (!this.#journal.holds(entry)) await this.moveJournal();
    if (!this.#journal.holds(entry) || !(await this.#journal.append(entry))) return false;
    // Nobody waits for it. If it fails, the next change moves the journal first, and gets the error.
    if (this.#journal.isMoveDue) void this.#moveDue().catch(this.#journal.leave);
    return true;
  }

  /** A full disk may have no room for the journal. The next commit tries again. */
  #noteJournal(): Promise<void> {
    return this.#inOrder(() => this.#journal.note(this.#writer, this.#inTransaction)).catch(() => undefined);
  }

  /** Moves the records that fill a row group, or the limits of the journal. Later ones can go on filling the next. */
  #moveDue(): Promise<void> {
    return this.#inOrder(async () => {
      await this.#moved(this.#journal.moveDue(this.#writer, this.#write));
      await this.#engine.blocks.free(this.#readers.count);
    });
  }

  readonly moveJournal = () => this.#inOrder(() => this.#moveJournal());

  #moveJournal(): Promise<void> {
    return this.#moved(this.#journal.move(this.#writer, this.#write));
  }

  #moved(moving: Promise<void>): Promise<void> {
    return moving.catch((error) => {
      throw this.#room.explain(error);
    });
  }

  readonly #write = (change: Change, also: () => Promise<void>) =>
    this.#commitWhole(change, { also, begin: statement("store/begin_move") });

  /** Counts the free blocks of the file. */
  async lookInside(): Promise<void> {
    this.#room.noteInside(await freeBytesInside(this.#writer));
  }

  /** Writes a change to its tables, and runs `also`, in one transaction. */
  async #commitWhole(change: Change, { watermarks, also = async () => {}, begin }: Whole): Promise<void> {
    const writing = new Writing(this.#tables);
    await this.#transaction(
      async () => {
        if (change.totals !== undefined) await this.#writeTotals(change.totals, watermarks!);
        await writing.write(this.#writer, change);
        await also();
      },
      () => writing.failed(),
      begin,
    );
    writing.committed();
    if (change.totals !== undefined) this.#startFile.noteTotals(change.totals);
  }

  readonly reader = () => this.#reader(false);
  readonly statementReader = () => this.#reader(true);

  async #reader(isKept: boolean): Promise<Reader> {
    this.#requireOpen();
    if (!this.#journal.isEmpty && this.#room.mayTry) {
      // Waits for whichever move comes first. An operation queued before this one may be a checkpoint that
      // takes seconds, and that also begins with a move. On a full disk the tables are read without the move,
      // which is counted.
      await Promise.race([this.moveJournal(), this.#journal.emptied()]).catch((error) => {
        this.incompleteReaders++;
        this.#journal.leave(error);
      });
    } else if (!this.#journal.isEmpty) this.incompleteReaders++;
    while (this.#reopening !== undefined) await this.#reopening;
    return await this.#readers.open(this.#engine, isKept);
  }

  days(): readonly Day[] {
    return [...this.#days.values()].sort((a, b) => a.day - b.day);
  }

  replay(apply: (rows: Rows) => void): Promise<void> {
    return this.#inOrder(async () => {
      await this.#moveJournal().catch((error) => {
        if (!(error instanceof DiskFull)) throw error;
      });
      for (const day of this.days()) await scanDay(this.#writer, day, this.#watermarks.get(day.day), apply);
      for (const rows of this.#journal.rows()) apply(rows);
    });
  }

  freeBlocks(idleReaders: number): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#readers.count <= idleReaders) await this.#engine.blocks.freeAll();
    });
  }

  find(day: number, keys: SampleKeys, visit: SampleVisitor): Promise<void> {
    return this.#exclusive(async () => {
      if (keys.length > 0 && this.#days.has(day))
        await findSamples(this.#writer, this.#inTransaction, day, keys, visit);
    });
  }

  pack(request: PackRequest): Promise<number> {
    if (this.#closed) return Promise.resolve(0);
    const host: PackingHost = {
      reader: () => this.reader(),
      inOrder: (action) => this.#exclusive(() => action(this.#writer)),
      transaction: this.#inTransaction,
      day: (day) => this.#days.get(day),
      isHeld: (day) =>
        this.#closed || this.#copying.isUnderWay || this.#holders.some((isHeld) => isHeld(day)),
      follower: () => this.#follower,
      numbering: () => this.numbering,
      noteRenumbering: this.#noteRenumbering,
    };
    return packDay(host, request);
  }

  holdRows(isHeld: (day: number) => boolean, follower?: RowIdFollower): void {
    this.#holders.push(isHeld);
    this.#follower ??= follower;
  }

  readonly #noteRenumbering = () => {
    this.numbering++;
    this.#copying.noteRewrite();
  };

  dropDaysBefore(firstDay: number, ended: Ended, totals: TotalsSnapshot): Promise<Dropped> {
    return this.#alone(async () => {
      this.#copying.noteRewrite();
      const dropped = this.days().filter(({ day }) => day < firstDay);
      await this.#transaction(async () => {
        const writer = this.#writer;
        for (const { table } of dropped) await writer.run(statement("store/drop_day", { table }));
        await writer.run(statement("store/delete_blocks_before"), [firstDay]);
        await writer.run(statement("store/delete_series_days_before"), [firstDay]);
        await writer.run(statement("store/delete_imports_before"), [firstDay]);
        await this.#tables.exemplars.dropBefore(writer, firstDay);
        await writer.run(statement("store/note_archives_gone"), [dateText(firstDay)]);
        await writer.run(statement("store/delete_archives_before"), [dateText(firstDay)]);
        await deleteSeries(writer, ended);
        await this.#writeTotals(totals, this.#committed.from(firstDay));
      });
      for (const { day } of dropped) this.#days.delete(day);
      this.#committed.reset(this.#days.values());
      // Their blocks are free only after a checkpoint, and pushes wait for that room.
      if (dropped.length > 0 && this.#room.look().isFull) await this.#checkpoint();
      return { days: dropped.map(({ day }) => day), rows: dropped.reduce((sum, { rows }) => sum + rows, 0) };
    });
  }

  deleteSamples(deletion: Deletion, totals: TotalsSnapshot): Promise<number> {
    return this.#alone(async () => {
      this.#noteRenumbering();
      let deleted: ReadonlyMap<number, DeletedRows> = new Map();
      const settle = (sign: number) => {
        for (const [day, { rows, unpacked }] of deleted) {
          this.#days.get(day)!.rows += sign * rows;
          this.#days.get(day)!.packed += sign * unpacked;
        }
        this.#committed.reset(this.#days.values());
      };
      await this.#transaction(
        async () => {
          deleted = await deleteRows(this.#writer, this.days(), deletion);
          settle(-1);
          await this.#writeTotals(totals, this.#committed.from());
        },
        () => settle(1),
      );
      return deleted.values().reduce((sum, { rows }) => sum + rows, 0);
    });
  }

  forget(receivedBeforeMs: number, rejected: Parameters<Store["forget"]>[1]): Promise<void> {
    return this.#exclusive(() =>
      this.#transaction(async () => {
        const writer = this.#writer;
        await writer.run(statement("store/delete_pushes_before"), [receivedBeforeMs * 1000]);
        await writer.run(statement("store/delete_rejected_before"), [rejected.beforeMs * 1000]);
        await writer.run(statement("store/trim_rejected"), [rejected.max, rejected.bytesMax]);
      }),
    );
  }

  isCheckpointDue(logBytes: number): boolean {
    return this.#room.isCheckpointDue(logBytes);
  }

  checkpoint(): Promise<boolean> {
    return this.#inOrder(() => this.#checkpoint());
  }

  whileCopied(copy: (files: StoreFiles) => Promise<void>): Promise<boolean> {
    const { path } = this.#options;
    const files = async () => ({ path, journalKey: this.#journal.notedKey, ...(await this.fileSizes()) });
    return this.#copying.hold(() => this.#exclusive(files), copy);
  }

  async size(): Promise<{ fileBytes: number; logBytes: number; freeBytes: number }> {
    const reader = await this.reader();
    try {
      return { ...(await this.fileSizes()), freeBytes: await freeBytesInside(reader) };
    } finally {
      reader.close();
    }
  }

  async fileSizes(): Promise<{ fileBytes: number; logBytes: number }> {
    return fileSizesOf(this.#options.path);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#readers.interrupt();
    await this.#order.commitsEnded();
    await this.#inOrder(async () => {
      await this.#readers.gone();
      await this.#moveJournal().catch(this.#journal.leave);
      // On a full disk the file stays, and the next start finds what it expects.
      await this.#journal.forget(this.#writer, this.#inTransaction).catch(() => undefined);
      const isNamed = await this.#startFile.nameCheckpoint(this.#engine, this.#inTransaction);
      if ((await this.#checkpoint()) && isNamed)
        await this.#startFile.keep(this.#engine, this.#options, { journal: this.#journal, room: this.#room });
      this.#journal.close((await this.fileSizes()).logBytes > 0);
      await closeEngine(this.#engine, this.#readers.count > 0);
    });
  }

  /**
   * Opens the file again after a checkpoint that the engine did not survive. Nothing else ran on the writer's
   * connection, so the file contains exactly what this store knows to be committed.
   */
  async #reopen(cause: unknown): Promise<void> {
    const { onFault, onFatal } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reopening = promise;
    this.#options.counters.engineReopenings.inc();
    try {
      if (!(await this.#readers.gone())) throw new Error("a query did not end");
      await closeEngine(this.#engine, this.#readers.count > 0);
      this.#engine = await openEngine(this.#options.path, this.#options);
      this.#log.committed();
      const { days } = await loadDays(this.#writer, await StoredTables.read(this.#writer));
      if (!haveSameRows(days, this.#days)) throw new Error("the file has other rows than before");
      onFault?.("the engine gave up on the file at a checkpoint; the file is open again", cause);
    } catch (error) {
      onFault?.(
        "the engine gave up on the file at a checkpoint, and the file could not be opened again",
        error,
      );
      onFatal?.();
    } finally {
      this.#reopening = undefined;
      resolve();
    }
  }

  async #checkpoint(): Promise<boolean> {
    // Changes are appended during the checkpoint. Nothing that they say of the log would be true after it.
    await this.#journal.endLog();
    try {
      return await this.#endLog();
    } finally {
      this.#journal.noteLogEnded();
    }
  }

  async #endLog(): Promise<boolean> {
    // A new reader waits for no more than this move. Records that cannot move now stay for a later move or the
    // next start.
    await this.#moveJournal().catch(this.#journal.leave);
    // The file of the journal has the bytes of some 200,000 rows, also when it is empty.
    if (this.#room.look(0).isFull) await this.#journal.shrink();
    if (this.#copying.isUnderWay) return false;
    await this.lookInside();
    const { logBytes } = await this.fileSizes();
    if (!this.#room.holdsCheckpoint(logBytes) || !this.#journal.forgetLog()) {
      this.#options.counters.checkpointsRefused.inc();
      return false;
    }
    const end = this.#options.counters.checkpointSeconds.startTimer();
    try {
      // A plain checkpoint, never FORCE, which deadlocks with an old reader open.
      this.#startFile.remove();
      this.#engine.catalog.write();
      await this.#writer.run("CHECKPOINT");
      this.#engine.catalog.remove();
      this.#log.committed();
      this.#journal.noteNewLog();
      end();
      await this.lookInside();
      await this.#engine.blocks.free(this.#readers.count);
      return true;
    } catch (error) {
      if (!isCheckpointRefused(error)) throw error;
      this.#options.counters.checkpointsRefused.inc();
      if (isFatal(error) && !this.#closed) await this.#reopen(error);
      return false;
    }
  }

  /** Writes a snapshot of the totals and its watermarks. */
  async #writeTotals(totals: TotalsSnapshot, watermarks: ReadonlyMap<number, number>): Promise<void> {
    this.#startFile.noteTotals(undefined);
    await records.writeTotals(this.#writer, ++this.#generation, totals, watermarks);
    this.#watermarks = watermarks;
  }

  #requireOpen(): void {
    if (this.#closed) throw new Error("the store is closed");
  }

  /** Queues an operation that reads the tables. Changes that were committed before it are in the tables. */
  #exclusive<T>(action: () => Promise<T>): Promise<T> {
    return this.#inOrder(async () => {
      await this.#moveJournal();
      return await action();
    });
  }

  /** Runs an operation when nothing else runs, commits included. It has to be between two commits. */
  #alone<T>(action: () => Promise<T>): Promise<T> {
    return this.#order.commit(() => this.#exclusive(action));
  }

  #inOrder<T>(action: () => Promise<T>): Promise<T> {
    return this.#order.operation(action);
  }

  readonly #inTransaction = (action: () => Promise<void>) => this.#transaction(action);

  async #transaction(action: () => Promise<void>, undo = () => {}, begin = "BEGIN"): Promise<void> {
    try {
      // Inside the `try`: if a failed rollback left a transaction open, this BEGIN fails and the ROLLBACK below
      // ends it.
      await this.#writer.run(begin);
      await action();
      await this.#writer.run("COMMIT");
      this.#log.committed();
      this.#journal.noteCommit();
    } catch (error) {
      undo();
      // A failed COMMIT has already rolled back. The error of the second ROLLBACK does not matter.
      await this.#writer.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }
}
