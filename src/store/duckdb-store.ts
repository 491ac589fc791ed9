/**
 * The store on DuckDB: see store.ts for what it promises.
 *
 * One connection writes; everything that it does goes through one queue of promises (`#inTurn`), so that a commit,
 * a drop of days and a checkpoint never meet. Rows are appended inside a transaction: an appender
 * closed outside one would commit and checkpoint on the event loop.
 */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { checkpointSeconds, checkpointsRefused, commitSeconds, engineReopenings } from "../model/counters.ts";
import { Unavailable } from "../model/errors.ts";
import type { Rows } from "../model/sample.ts";
import { statement } from "./statements.ts";
import type { Column } from "./engine/columns.ts";
import { Copying } from "./backup/copying.ts";
import { type DayColumns, loadDays } from "./tables/days.ts";
import { deleteRows, deleteSeries } from "./tables/deletion.ts";
import { DiskFull, DiskRoom, freeBytesOf, isDiskFull, isFatal } from "./disk-room.ts";
import { type Engine, openEngine } from "./engine/engine.ts";
import { ExemplarTable } from "./tables/exemplars.ts";
import { GroupTable } from "./tables/groups.ts";
import { dayTable } from "./tables/identifiers.ts";
import type { Connection } from "./engine/duckdb.ts";
import { entryOf, Journal, type OnFault } from "./journal/journal.ts";
import * as records from "./tables/records.ts";
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
  TotalsSnapshot,
} from "./store.ts";
import { TrackedReader } from "./engine/tracked-reader.ts";
import { type Tables, Writing } from "./tables/writing.ts";

export interface StoreOptions {
  /** The DuckDB file; its folder must exist. */
  readonly path: string;
  readonly memoryLimitBytes: number;
  readonly threads: number;
  /** Where spilled intermediates go; made when needed. */
  readonly temporaryDirectory: string;
  /** Milliseconds that close() gives readers to heed their interrupt. */
  readonly readerCloseMs?: number;
  readonly onFault?: OnFault;
  /** Free bytes of the disk below which `requireRoom` throws; 0 if absent. */
  readonly reserveBytes?: number;
  /** Called when the disk has become full, and when it no longer is. */
  readonly onRoom?: (room: Room) => void;
  /** The engine gave up on the file and could not be opened again: nothing can be stored or read any more. */
  readonly onFatal?: () => void;
}

/**
 * Opens the file, made if absent, runs the migrations that it lacks, and gives the store and what is in it. On a full disk
 * it opens too: what the journal holds is then in `Stored`, and is moved to the tables once there is room.
 */
export async function openStore(options: StoreOptions): Promise<{ store: DuckDBStore; stored: Stored }> {
  const engine = await openEngine(options.path, options).catch((error) => {
    if (!isDiskFull(error)) throw error;
    const folder = dirname(options.path);
    throw new DiskFull(
      `disk full: ${freeBytesOf(folder)} bytes are free in ${folder}, too few to open the store`,
    );
  });
  const { writer } = engine;
  try {
    const room = new DiskRoom({
      path: options.path,
      reserveBytes: options.reserveBytes ?? 0,
      onChange: options.onRoom,
    });
    const journal = await Journal.open(writer, `${options.path}.journal`, options.onFault);
    for (;;) {
      const days = await loadDays(writer);
      const { stored, generation, watermarks } = await records.load(writer);
      const groups = new GroupTable();
      const withGroups = { ...stored, groups: await groups.load(writer) };
      const tables = { ...days, groups, exemplars: new ExemplarTable() };
      const store = new DuckDBStore(options, { engine, journal, tables, generation, watermarks, room });
      await store.lookInside();
      if (journal.isEmpty) return { store, stored: withGroups };
      // What a run that was killed left there; then all is read again.
      try {
        await store.moveJournal();
      } catch (error) {
        if (!(error instanceof DiskFull)) throw error;
        return { store, stored: journal.added(withGroups) };
      }
    }
  } catch (error) {
    engine.database.close();
    throw error;
  }
}

interface Parts {
  readonly engine: Engine;
  readonly journal: Journal;
  readonly tables: Tables;
  readonly generation: number;
  readonly watermarks: ReadonlyMap<number, number>;
  readonly room: DiskRoom;
}

export class DuckDBStore implements Store {
  readonly #options: StoreOptions;
  #engine: Engine;
  readonly #journal: Journal;
  readonly #tables: Tables;
  readonly #days: Map<number, DayColumns>;
  readonly #readers = new Set<TrackedReader>();
  /** Connections that are being made for readers. */
  #connecting = 0;
  readonly #room: DiskRoom;
  #watermarks: ReadonlyMap<number, number>;
  #generation: number;
  readonly #copying = new Copying();
  #last: Promise<unknown> = Promise.resolve();
  /** Resolves when the engine, which gave up on the file, was opened again. */
  #reopening: Promise<void> | undefined;
  #closed = false;

  constructor(options: StoreOptions, parts: Parts) {
    this.#options = options;
    this.#engine = parts.engine;
    this.#journal = parts.journal;
    this.#tables = parts.tables;
    this.#days = parts.tables.days;
    this.#generation = parts.generation;
    this.#watermarks = parts.watermarks;
    this.#room = parts.room;
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
    return await this.#inTurn(async () => {
      const end = commitSeconds.startTimer();
      if (this.#room.isInsideDue) await this.lookInside();
      if (this.#journal.isFull) await this.#moveJournal();
      const entry = entryOf(change, (day) => this.#days.has(day));
      if (entry === undefined || !(await this.#journal.append(entry))) {
        await this.#moveJournal();
        await this.#commitWhole(change);
      }
      this.#room.noteWritten();
      end();
    });
  }

  /** Moves what is in the journal to its tables. */
  moveJournal(): Promise<void> {
    return this.#inTurn(() => this.#moveJournal());
  }

  #moveJournal(): Promise<void> {
    return this.#journal
      .move(this.#writer, (change, also) => this.#commitWhole(change, also))
      .catch((error) => {
        throw this.#room.explain(error);
      });
  }

  /** Counts the free blocks of the file. */
  async lookInside(): Promise<void> {
    const [size] = await this.#writer.all<{ block_size: number; free_blocks: number }>(
      statement("store/database_size"),
    );
    this.#room.noteInside(size!.block_size * size!.free_blocks);
  }

  /** Writes a change to its tables, and what else is asked, in one transaction. */
  async #commitWhole(change: Change, also: () => Promise<void> = async () => {}): Promise<void> {
    const writing = new Writing(this.#tables);
    await this.#transaction(
      async () => {
        if (change.totals !== undefined) await this.#writeTotals(change.totals);
        await writing.write(this.#writer, change);
        await also();
      },
      () => writing.failed(),
    );
    writing.committed();
  }

  async reader(): Promise<Reader> {
    this.#requireOpen();
    if (!this.#journal.isEmpty && this.#room.mayTry) {
      // Whoever moves it first: before this turn may be one of seconds, which begins with that too. Where the disk is full
      // the tables are read as they are, which is counted.
      await Promise.race([this.moveJournal(), this.#journal.emptied]).catch(this.#journal.leave);
    }
    while (this.#reopening !== undefined) await this.#reopening;
    this.#requireOpen();
    const { database, workers } = this.#engine;
    this.#connecting++;
    const connection = await database
      .connect()
      .catch((error) => {
        throw this.#explainToReader(error);
      })
      .finally(() => {
        this.#connecting--;
      });
    // Closing interrupts the readers that it finds, and this one came later.
    if (this.#closed) connection.close();
    this.#requireOpen();
    const onClose = (closed: TrackedReader) => {
      this.#readers.delete(closed);
      workers.end();
    };
    const reader = new TrackedReader(connection, onClose, (error) => this.#explainToReader(error));
    this.#readers.add(reader);
    workers.begin();
    return reader;
  }

  /** What a reader is to throw: that the file is opened again, and that a query's own files found no room. */
  #explainToReader(error: unknown): unknown {
    if (this.#reopening !== undefined || isFatal(error))
      return new Unavailable(
        "the store is being opened again after an error of its engine; try again in a moment",
      );
    if (!isDiskFull(error)) return error;
    return new DiskFull("disk full: the query needs more room for intermediate results than the disk has");
  }

  days(): readonly Day[] {
    return [...this.#days.values()].sort((a, b) => a.day - b.day);
  }

  replay(apply: (rows: Rows) => void): Promise<void> {
    return this.#inTurn(async () => {
      await this.#moveJournal().catch((error) => {
        if (!(error instanceof DiskFull)) throw error;
      });
      const nothingElse = { attributes: [], text: new Uint8Array(0) };
      for (const { day, table, rows } of this.days()) {
        const from = this.#watermarks.get(day) ?? 0;
        if (from >= rows) continue;
        await this.#writer.scan(
          statement("store/replay_day", { table }),
          [from],
          2,
          (columns, length, isNull) => {
            const [seriesId, timestampUs, value, live] = columns as [
              Uint32Array,
              Float64Array,
              Float64Array,
              Uint8Array,
            ];
            const stale = new Uint8Array(length);
            for (let row = 0; row < length; row++) if (isNull(row)) stale[row] = 1;
            apply({ day, length, seriesId, timestampUs, value, live, stale, ...nothingElse });
          },
        );
      }
      for (const rows of this.#journal.rows()) apply(rows);
    });
  }

  find(
    day: number,
    { length, seriesId, timestampUs }: SampleKeys,
    visit: (seriesId: number, timestampUs: number, value: number | null) => void,
  ): Promise<void> {
    return this.#exclusive(async () => {
      if (length === 0 || !this.#days.has(day)) return;
      const writer = this.#writer;
      const columns: Column[] = [
        { type: "uinteger", values: seriesId },
        { type: "timestamp", values: timestampUs },
      ];
      await this.#transaction(async () => {
        await writer.run(statement("store/create_wanted_samples"));
        await writer.appendColumns(
          "main",
          "wanted_samples",
          ["uinteger", "timestamp"],
          [{ columns, length }],
        );
      });
      const found = statement("store/find_samples", { table: dayTable(day) });
      await writer.scan(found, [], 2, (read, rows, isNull) => {
        const [ids, times, values] = read as [Uint32Array, Float64Array, Float64Array];
        for (let row = 0; row < rows; row++) visit(ids[row]!, times[row]!, isNull(row) ? null : values[row]!);
      });
    });
  }

  dropDaysBefore(firstDay: number, ended: Ended, totals: TotalsSnapshot): Promise<Dropped> {
    return this.#exclusive(async () => {
      this.#copying.noteRewrite();
      const dropped = this.days().filter(({ day }) => day < firstDay);
      await this.#transaction(async () => {
        const writer = this.#writer;
        for (const { table } of dropped) await writer.run(statement("store/drop_day", { table }));
        await writer.run(statement("store/delete_series_days_before"), [firstDay]);
        await writer.run(statement("store/delete_imports_before"), [firstDay]);
        await this.#tables.exemplars.dropBefore(writer, firstDay);
        await deleteSeries(writer, ended);
        await this.#writeTotals(totals, firstDay);
      });
      for (const { day } of dropped) this.#days.delete(day);
      // Only then are their blocks free, for pushes that wait for room.
      if (dropped.length > 0 && this.#room.look().isFull) await this.#checkpoint();
      return { days: dropped.map(({ day }) => day), rows: dropped.reduce((sum, { rows }) => sum + rows, 0) };
    });
  }

  deleteSamples(deletion: Deletion, totals: TotalsSnapshot): Promise<number> {
    return this.#exclusive(async () => {
      this.#copying.noteRewrite();
      let gone: ReadonlyMap<number, number> = new Map();
      const settle = (sign: number) => {
        for (const [day, rows] of gone) this.#days.get(day)!.rows += sign * rows;
      };
      await this.#transaction(
        async () => {
          gone = await deleteRows(this.#writer, this.days(), deletion);
          settle(-1);
          await this.#writeTotals(totals);
        },
        () => settle(1),
      );
      return gone.values().reduce((sum, rows) => sum + rows, 0);
    });
  }

  forget(receivedBeforeMs: number, rejectedMax: number): Promise<void> {
    return this.#exclusive(() =>
      this.#transaction(async () => {
        await this.#writer.run(statement("store/delete_pushes_before"), [receivedBeforeMs * 1000]);
        const [count] = await this.#writer.all<{ rows: number }>(statement("store/count_rejected"));
        if (count!.rows > rejectedMax)
          await this.#writer.run(statement("store/trim_rejected"), [rejectedMax]);
      }),
    );
  }

  isCheckpointDue(logBytes: number): boolean {
    return this.#room.isCheckpointDue(logBytes);
  }

  checkpoint(): Promise<boolean> {
    return this.#inTurn(() => this.#checkpoint());
  }

  whileCopied(copy: (files: StoreFiles) => Promise<void>): Promise<boolean> {
    const files = async () => ({ path: this.#options.path, ...(await this.fileSizes()) });
    return this.#copying.hold(() => this.#exclusive(files), copy);
  }

  async size(): Promise<{ fileBytes: number; logBytes: number; freeBytes: number }> {
    const { fileBytes, logBytes } = await this.fileSizes();
    const reader = await this.reader();
    try {
      const [size] = await reader.all<{ block_size: number; free_blocks: number }>(
        statement("store/database_size"),
      );
      return { fileBytes, logBytes, freeBytes: size!.block_size * size!.free_blocks };
    } finally {
      reader.close();
    }
  }

  /** Bytes of the file and of its log, without asking the engine. */
  async fileSizes(): Promise<{ fileBytes: number; logBytes: number }> {
    // Not by a promise: for files that are open this is a look into memory, at a tenth of what a thread for it takes.
    const bytes = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    const { path } = this.#options;
    return { fileBytes: bytes(path), logBytes: bytes(`${path}.wal`) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const reader of this.#readers) reader.interrupt();
    await this.#inTurn(async () => {
      await this.#readersGone();
      await this.#checkpoint();
      this.#journal.close();
      await this.#closeEngine();
    });
  }

  /** Interrupts the readers and waits until they have ended; false where some have not in time. */
  async #readersGone(): Promise<boolean> {
    for (const reader of this.#readers) reader.interrupt();
    const deadline = Date.now() + (this.#options.readerCloseMs ?? 2_000);
    while (this.#readers.size + this.#connecting > 0 && Date.now() < deadline) await Bun.sleep(5);
    return this.#readers.size + this.#connecting === 0;
  }

  async #closeEngine(): Promise<void> {
    const { database, writer, settings, workers } = this.#engine;
    await workers.close();
    // A connection that is left open would keep the file open.
    settings.close();
    writer.close();
    // An instance closed under a reader that still runs would abort the process; it ends with the process.
    if (this.#readers.size === 0) database.close();
  }

  /**
   * Opens the file again after a checkpoint that the engine did not survive. Nothing else was under way on the writer's
   * connection, so that the file holds just what this store knows to be committed.
   */
  async #reopen(cause: unknown): Promise<void> {
    const { onFault, onFatal } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#reopening = promise;
    engineReopenings.inc();
    try {
      if (!(await this.#readersGone())) throw new Error("a query did not end");
      await this.#closeEngine();
      this.#engine = await openEngine(this.#options.path, this.#options);
      const { days } = await loadDays(this.#writer);
      const rows = (of: ReadonlyMap<number, Day>) =>
        [...of].map(([day, each]) => `${day}:${each.rows}`).sort();
      if (!Bun.deepEquals(rows(days), rows(this.#days))) throw new Error("it holds other rows than before");
      onFault?.("the engine gave up on the file at a checkpoint, and has opened it again", cause);
    } catch (error) {
      onFault?.("the engine gave up on the file at a checkpoint, and could not open it again", error);
      onFatal?.();
    } finally {
      this.#reopening = undefined;
      resolve();
    }
  }

  async #checkpoint(): Promise<boolean> {
    // Whoever begins to read need not wait for more than this. What cannot be moved now is so later, or at the next start.
    await this.#moveJournal().catch(this.#journal.leave);
    if (this.#copying.isUnderWay) return false;
    await this.lookInside();
    const { logBytes } = await this.fileSizes();
    if (!this.#room.holdsCheckpoint(logBytes)) {
      checkpointsRefused.inc();
      return false;
    }
    const end = checkpointSeconds.startTimer();
    try {
      // Plain, never FORCE: with an old reader open that would deadlock.
      await this.#writer.run("CHECKPOINT");
      end();
      await this.lookInside();
      return true;
    } catch (error) {
      if (!/checkpoint/i.test(String(error))) throw error;
      checkpointsRefused.inc();
      if (isFatal(error) && !this.#closed) await this.#reopen(error);
      return false;
    }
  }

  /** Writes a snapshot and its watermarks: the rows of each day as of the commit before. */
  async #writeTotals(totals: TotalsSnapshot, firstDay = Number.NEGATIVE_INFINITY): Promise<void> {
    const generation = ++this.#generation;
    const watermarks = new Map<number, number>();
    for (const { day, rows } of this.#days.values()) if (day >= firstDay) watermarks.set(day, rows);
    await records.writeTotals(this.#writer, generation, totals, watermarks);
    this.#watermarks = watermarks;
  }

  #requireOpen(): void {
    if (this.#closed) throw new Error("the store is closed");
  }

  /** Runs what looks at the tables, in its turn, with nothing in the journal. */
  #exclusive<T>(action: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      await this.#moveJournal();
      return await action();
    });
  }

  /** Runs one thing at a time on the writer's connection, in the order of the calls. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = async () => {
      try {
        return await action();
      } catch (error) {
        throw this.#room.explain(error);
      }
    };
    const result = this.#last.then(turn, turn);
    this.#last = result.catch((error) => this.#journal.heed(error));
    return result;
  }

  async #transaction(action: () => Promise<void>, undo: () => void = () => {}): Promise<void> {
    try {
      // Here too, so that a transaction left open by a rollback that failed is not in the way for good.
      await this.#writer.run("BEGIN");
      await action();
      await this.#writer.run("COMMIT");
    } catch (error) {
      undo();
      // A failed COMMIT has rolled back by itself; a second ROLLBACK then says so and is of no interest.
      await this.#writer.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }
}
