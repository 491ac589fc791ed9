/**
 * The store on DuckDB: see store.ts for what it promises.
 *
 * One connection writes; everything that it does goes through one queue of promises (`#exclusive`), so that a
 * commit, a drop of days and a checkpoint never meet. Rows are appended inside a transaction: an appender
 * closed outside one would commit and checkpoint on the event loop.
 */
import { stat } from "node:fs/promises";
import { checkpointSeconds, checkpointsRefused, commitSeconds } from "../counters.ts";
import type { Rows } from "../sample.ts";
import { statement } from "../statements.ts";
import type { Column } from "./columns.ts";
import { type DayColumns, dayTypes, loadDays, openDay, placeAttributes } from "./days.ts";
import { deleteRows, deleteSeries } from "./deletion.ts";
import { type Connection, Database } from "./duckdb.ts";
import { ExemplarTable } from "./exemplars.ts";
import { fewRowsOf, insertFewRows } from "./few-rows.ts";
import { GroupTable } from "./groups.ts";
import { dayTable } from "./identifiers.ts";
import { migrate } from "./migrate.ts";
import * as records from "./records.ts";
import type {
  Change,
  Day,
  Deletion,
  Dropped,
  Ended,
  Reader,
  SampleKeys,
  Store,
  Stored,
  TotalsSnapshot,
} from "./store.ts";
import { TrackedReader } from "./tracked-reader.ts";
import { Workers } from "./workers.ts";

export interface StoreOptions {
  /** The DuckDB file; its folder must exist. */
  readonly path: string;
  readonly memoryLimitBytes: number;
  readonly threads: number;
  /** Where spilled intermediates go; made when needed. */
  readonly temporaryDirectory: string;
  /** Milliseconds that close() gives readers to heed their interrupt. */
  readonly readerCloseMs?: number;
}

/** Opens the file, made if absent, runs the migrations that it lacks, and gives the store and what is in it. */
export async function openStore(options: StoreOptions): Promise<{ store: DuckDBStore; stored: Stored }> {
  const database = await Database.open(options.path, options);
  try {
    const writer = await database.connect();
    await migrate(writer);
    await writer.run(statement("store/use_utc"));
    await writer.run(statement("store/close_to_strangers"));
    await writer.run(statement("store/allow_external_threads"));
    await writer.run(statement("store/lock_configuration"));
    await writer.run(statement("store/create_ended_series"));
    const days = await loadDays(writer);
    const { stored, generation, watermarks } = await records.load(writer);
    const groups = new GroupTable();
    const withGroups = { ...stored, groups: await groups.load(writer) };
    const settings = await database.connect();
    const workers = new Workers(options.threads, (count) =>
      settings.run(statement("store/set_external_threads", { count: String(count) })),
    );
    const store = new DuckDBStore(options, database, writer, groups, days, generation, watermarks, workers);
    return { store, stored: withGroups };
  } catch (error) {
    database.close();
    throw error;
  }
}

export class DuckDBStore implements Store {
  readonly #options: StoreOptions;
  readonly #database: Database;
  readonly #writer: Connection;
  readonly #groups: GroupTable;
  readonly #days: Map<number, DayColumns>;
  readonly #exemplars = new ExemplarTable();
  readonly #readers = new Set<TrackedReader>();
  /** Column names by attribute, the same in every day. */
  readonly #columns: Map<string, string>;
  #watermarks: ReadonlyMap<number, number>;
  #generation: number;
  readonly #workers: Workers;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(
    options: StoreOptions,
    database: Database,
    writer: Connection,
    groups: GroupTable,
    days: { days: Map<number, DayColumns>; columns: Map<string, string> },
    generation: number,
    watermarks: ReadonlyMap<number, number>,
    workers: Workers,
  ) {
    this.#options = options;
    this.#database = database;
    this.#writer = writer;
    this.#groups = groups;
    this.#days = days.days;
    this.#columns = days.columns;
    this.#generation = generation;
    this.#watermarks = watermarks;
    this.#workers = workers;
  }

  commit(change: Change): Promise<void> {
    return this.#exclusive(async () => {
      const end = commitSeconds.startTimer();
      const few = fewRowsOf(change);
      const knownDay = few === undefined ? undefined : this.#days.get(few.day);
      if (few !== undefined && knownDay !== undefined) {
        await insertFewRows(this.#writer, knownDay.table, few.segments);
        knownDay.rows += few.rows;
        end();
        return;
      }
      const touched: { day: DayColumns; rows: number; attributes: DayColumns["attributes"] }[] = [];
      const newColumns: { attribute: string; column: string }[] = [];
      await this.#transaction(
        async () => {
          const writer = this.#writer;
          if (change.totals !== undefined) await this.#writeTotals(change.totals);
          await records.write(writer, change);
          await this.#groups.write(writer, change.groups ?? []);
          await this.#exemplars.write(writer, change.exemplars ?? []);
          for (const segments of byDay(change.rows ?? [])) {
            const date = segments[0]!.day;
            const day = this.#days.get(date) ?? (await openDay(writer, date));
            const placed = await placeAttributes(writer, day, this.#columns, segments, newColumns);
            await writer.appendColumns(
              "weir",
              day.table,
              dayTypes(placed.attributes.length),
              placed.segments,
            );
            const rows = segments.reduce((sum, segment) => sum + segment.length, 0);
            touched.push({ day, rows, attributes: placed.attributes });
          }
          if (newColumns.length > 0) await records.writeAttributes(writer, newColumns);
        },
        () => {
          for (const { attribute } of newColumns) this.#columns.delete(attribute);
        },
      );
      for (const { day, rows, attributes } of touched) {
        day.rows += rows;
        day.attributes = attributes;
        this.#days.set(day.day, day);
      }
      end();
    });
  }

  async reader(): Promise<Reader> {
    if (this.#closed) throw new Error("the store is closed");
    const reader = new TrackedReader(await this.#database.connect(), (closed) => {
      this.#readers.delete(closed);
      this.#workers.end();
    });
    this.#readers.add(reader);
    this.#workers.begin();
    return reader;
  }

  days(): readonly Day[] {
    return [...this.#days.values()].sort((a, b) => a.day - b.day);
  }

  replay(apply: (rows: Rows) => void): Promise<void> {
    return this.#exclusive(async () => {
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
            apply({
              day,
              length,
              seriesId,
              timestampUs,
              value,
              live,
              stale,
              attributes: [],
              text: new Uint8Array(0),
            });
          },
        );
      }
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
      const dropped = this.days().filter(({ day }) => day < firstDay);
      await this.#transaction(async () => {
        const writer = this.#writer;
        for (const { table } of dropped) await writer.run(statement("store/drop_day", { table }));
        await writer.run(statement("store/delete_series_days_before"), [firstDay]);
        await writer.run(statement("store/delete_imports_before"), [firstDay]);
        await this.#exemplars.dropBefore(writer, firstDay);
        await deleteSeries(writer, ended);
        await this.#writeTotals(totals, firstDay);
      });
      for (const { day } of dropped) this.#days.delete(day);
      return { days: dropped.map(({ day }) => day), rows: dropped.reduce((sum, { rows }) => sum + rows, 0) };
    });
  }

  deleteSamples(deletion: Deletion, totals: TotalsSnapshot): Promise<number> {
    return this.#exclusive(async () => {
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

  checkpoint(): Promise<boolean> {
    return this.#exclusive(() => this.#checkpoint());
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
    const bytes = (path: string) =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      );
    const { path } = this.#options;
    return { fileBytes: await bytes(path), logBytes: await bytes(`${path}.wal`) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const reader of this.#readers) reader.interrupt();
    await this.#exclusive(async () => {
      const deadline = Date.now() + (this.#options.readerCloseMs ?? 2_000);
      while (this.#readers.size > 0 && Date.now() < deadline) await Bun.sleep(5);
      await this.#workers.close();
      await this.#checkpoint();
      this.#writer.close();
      // An instance closed under a reader that still runs would abort the process; it ends with the process.
      if (this.#readers.size === 0) this.#database.close();
    });
  }

  async #checkpoint(): Promise<boolean> {
    const end = checkpointSeconds.startTimer();
    try {
      // Plain, never FORCE: with an old reader open that would deadlock.
      await this.#writer.run("CHECKPOINT");
      end();
      return true;
    } catch (error) {
      if (!/checkpoint/i.test(String(error))) throw error;
      checkpointsRefused.inc();
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

  /** Runs one thing at a time on the writer's connection, in the order of the calls. */
  #exclusive<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action, action);
    this.#last = result.catch(() => undefined);
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

/** Groups rows by day, each group in the order given. */
function byDay(rows: readonly Rows[]): Rows[][] {
  const groups = new Map<number, Rows[]>();
  for (const segment of rows) {
    if (segment.length === 0) continue;
    const group = groups.get(segment.day);
    if (group === undefined) groups.set(segment.day, [segment]);
    else group.push(segment);
  }
  return [...groups.values()];
}
