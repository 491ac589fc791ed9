/**
 * The driver: the only module that opens DuckDB's files. It opens a file for this process alone, reads results chunk by
 * chunk as plain values, and appends columns directly from typed arrays. It calls the C interface of the engine through
 * @duckdb/node-bindings. The library @duckdb/node-api above it takes 30 ms to load, and is loaded for rare values only
 * (driver/rare-cells.ts).
 *
 * Two instances in one process, or in a Worker of it, would both open the file and lose each other's rows. So this
 * module keeps the paths that are open, and rejects a second opening of the same path.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import duckdb, {
  type Connection as EngineConnection,
  type Database as EngineInstance,
  type DataChunk,
  type LogicalType,
  type PreparedStatement,
  type Result,
  type Type,
} from "@duckdb/node-bindings";
import { statement } from "../statements.ts";
import { TimeSlices } from "../../model/tasks/time-slices.ts";
import {
  type Cell,
  type EngineChunk,
  type Parameters,
  type Reader,
  type ResultStream,
  StoreLocked,
} from "../store.ts";
import {
  type BlockVisitor,
  ChunkColumns,
  type ColumnVisitor,
  type ListVisitor,
  type NumberType,
} from "./chunk-columns.ts";
import type { AppendCell, Column } from "./columns.ts";
import { ChunkCells } from "./driver/cell-readers.ts";
import { type CellType, columnTypes, rowsAtOnce } from "./driver/cell-types.ts";
import { appendCell, bind, bindTexts } from "./driver/engine-values.ts";
import { type DatabaseOptions, engineSettings } from "./engine-settings.ts";
import { faultOf } from "./faults.ts";
import { VectorFiller } from "./vector-filler.ts";

/** Rows of a chunk: DuckDB's own vector size. */
const CHUNK_ROWS = 2_048;
/** Rows that are inserted at once at most (some 7 ms). Then the event loop runs other work. */
const STRETCH_ROWS = 8 * CHUNK_ROWS;
/** Rows that are appended cell by cell without a pause (some 4 ms). */
const STRETCH_CELLS_ROWS = 512;
/** Chunks of a whole result that are read without waiting for the pool of threads. */
const CHUNKS_AT_ONCE = 16;

/** The path of a database that has no file. */
const MEMORY = ":memory:";

/** The files that this process has open. The engine would open one twice, and lose rows. */
const opened = new Set<string>();
/** A path that the engine does not misread: a relative `sqlite:x` would name an extension, and `~` a home folder. */
function enginePath(path: string): string {
  return path.startsWith("/") ? path : `./${path}`;
}

/** The same for all paths of a file. Its folder exists. */
const identityOf = (path: string) => join(realpathSync(dirname(path)), path.slice(path.lastIndexOf("/") + 1));

/** Makes a file. It keeps the format that it is made with (sql/store/create_file.sql). */
async function createFile(path: string): Promise<void> {
  const instance = await openInstance(MEMORY, { threads: "1" });
  const connection = await duckdb.connect(instance);
  try {
    await duckdb.query(connection, statement("store/create_file", { path: enginePath(path) }));
  } finally {
    duckdb.disconnect_sync(connection);
    duckdb.close_sync(instance);
  }
}

async function openInstance(
  path: string,
  settings: Readonly<Record<string, string>>,
): Promise<EngineInstance> {
  const config = duckdb.create_config();
  for (const [name, value] of Object.entries(settings)) duckdb.set_config(config, name, value);
  return await duckdb.open(path, config);
}

/** One DuckDB file (or `:memory:`), open for this process alone. */
export class Database {
  readonly #instance: EngineInstance;
  readonly #identity: string;

  private constructor(instance: EngineInstance, identity: string) {
    this.#instance = instance;
    this.#identity = identity;
  }

  /** Opens the file, or creates it. Throws `StoreLocked` if this or another process has it open. */
  static async open(path: string, options: DatabaseOptions): Promise<Database> {
    const identity = path === MEMORY ? "" : identityOf(path);
    if (identity !== "" && opened.has(identity))
      throw new StoreLocked(`${path} is open in this process already`);
    // Before the first await, so that a second opening cannot pass meanwhile.
    if (identity !== "") opened.add(identity);
    try {
      const settings = engineSettings({
        ...options,
        temporaryDirectory: enginePath(options.temporaryDirectory),
      });
      if (path !== MEMORY && options.isReadOnly !== true && !existsSync(path)) await createFile(path);
      const instance = await openInstance(path === MEMORY ? path : enginePath(path), settings);
      return new Database(instance, identity);
    } catch (error) {
      opened.delete(identity);
      if (faultOf(error) === "locked") {
        throw new StoreLocked(`${path} is open in another process; stop it first`);
      }
      throw error;
    }
  }

  /** Whether this process has the file open. Closing any descriptor of it would then give up its lock. */
  static isOpen(path: string): boolean {
    return opened.has(identityOf(path));
  }

  async connect(): Promise<Connection> {
    return new Connection(await duckdb.connect(this.#instance));
  }

  close(): void {
    duckdb.close_sync(this.#instance);
    opened.delete(this.#identity);
  }
}

/** A connection. It runs one operation at a time. */
export class Connection implements Reader {
  readonly #connection: EngineConnection;
  /** Whether the statement whose rows are being fetched was interrupted. */
  #interrupted = false;
  /** Whether the transaction of a stream is open. */
  #isStreaming = false;

  constructor(connection: EngineConnection) {
    this.#connection = connection;
  }

  /** Whether rows are being fetched, or were not fetched to their end. */
  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  async run(sql: string, parameters?: Parameters): Promise<void> {
    await this.#materialise(sql, parameters);
  }

  /** Waits for the binding's threads twice, or once without parameters: 0.1 ms each. */
  async #materialise(sql: string, parameters: Parameters | undefined): Promise<Result> {
    if (parameters === undefined) return await duckdb.query(this.#connection, sql);
    return await this.#prepared(sql, (prepared) => {
      bind(prepared, parameters);
      return duckdb.execute_prepared(prepared);
    });
  }

  async #prepared(sql: string, execute: (prepared: PreparedStatement) => Promise<Result>): Promise<Result> {
    const prepared = await duckdb.prepare(this.#connection, sql);
    try {
      return await execute(prepared);
    } finally {
      duckdb.destroy_prepare_sync(prepared);
    }
  }

  /** Runs a statement with one parameter, a list of texts. */
  async runTexts(sql: string, texts: readonly string[]): Promise<void> {
    await this.#prepared(sql, (prepared) => {
      bindTexts(prepared, texts);
      return duckdb.execute_prepared(prepared);
    });
  }

  async all<Row extends Record<string, unknown>>(sql: string, parameters?: Parameters): Promise<Row[]> {
    const result = await this.#materialise(sql, parameters);
    const names = columnNames(result);
    const types = columnTypes(result);
    const rows: Row[] = [];
    const add = (chunk: DataChunk) => {
      const cells = new ChunkCells(chunk, types);
      for (const row of cells.rows(0, cells.length))
        rows.push(Object.fromEntries(names.map((name, index) => [name, row[index]])) as Row);
    };
    const count = duckdb.result_chunk_count(result);
    // To fetch a chunk waits for another thread once more. To find one takes longer the more there are.
    if (count > CHUNKS_AT_ONCE) for await (const chunk of chunksOf(result)) add(chunk);
    else for (let at = 0; at < count; at++) add(duckdb.result_get_chunk(result, at));
    return rows;
  }

  async stream(sql: string, parameters?: Parameters): Promise<ResultStream> {
    const result = await this.#start(sql, parameters);
    const names = columnNames(result);
    const types = columnTypes(result);
    return {
      columns: types.map(({ text }, index) => ({ name: names[index]!, type: text })),
      chunks: () => this.#cells(result, types, sql, parameters),
      engineChunks: () => this.#engineChunks(result, sql, parameters),
    };
  }

  async *#engineChunks(
    result: Result,
    sql: string,
    parameters: Parameters | undefined,
  ): AsyncIterable<EngineChunk> {
    try {
      for await (const chunk of chunksOf(result)) yield new DriverChunk(chunk);
      await this.#finish(sql, parameters);
    } finally {
      await this.#abandon();
    }
  }

  async *#cells(
    result: Result,
    types: readonly CellType[],
    sql: string,
    parameters: Parameters | undefined,
  ): AsyncIterable<readonly (readonly Cell[])[]> {
    try {
      const stretchRows = Math.min(...types.map(rowsAtOnce), CHUNK_ROWS);
      for await (const chunk of chunksOf(result)) {
        const cells = new ChunkCells(chunk, types);
        for (let start = 0; start < cells.length; start += stretchRows) {
          yield cells.rows(start, Math.min(cells.length, start + stretchRows));
          // The rows of a chunk may hold millions of values. Requests, deadlines and the guard of memory come between.
          if (start + stretchRows < cells.length) await setImmediate();
        }
      }
      await this.#finish(sql, parameters);
    } finally {
      await this.#abandon();
    }
  }

  /**
   * Starts a statement in a transaction of its own, and fetches its rows in steps. The binding (1.5.6) takes an
   * error between two fetches for the end of the rows. But the error aborts the transaction, and `#finish`
   * detects that.
   */
  async #start(sql: string, parameters: Parameters | undefined): Promise<Result> {
    this.#interrupted = false;
    await duckdb.query(this.#connection, "BEGIN TRANSACTION READ ONLY");
    this.#isStreaming = true;
    try {
      return await this.#prepared(sql, (prepared) => {
        if (parameters !== undefined) bind(prepared, parameters);
        return duckdb.execute_prepared_streaming(prepared);
      });
    } catch (error) {
      await this.#abandon();
      throw error;
    }
  }

  /** Ends the transaction of a stream that was not read to its end. */
  async #abandon(): Promise<void> {
    if (!this.#isStreaming) return;
    this.#isStreaming = false;
    await duckdb.query(this.#connection, "ROLLBACK").catch(() => undefined);
  }

  /** Ends what `#start` began, after the last row. Throws the error that cut the rows short, if there was one. */
  async #finish(sql: string, parameters: Parameters | undefined): Promise<void> {
    try {
      // As one call. The COMMIT alone would succeed after an error.
      await duckdb.query(this.#connection, "SELECT 1; COMMIT");
    } catch (error) {
      await this.#abandon();
      if (this.#interrupted) throw new Error("INTERRUPT Error: Interrupted!", { cause: error });
      // Only a complete run returns the error itself.
      await this.#materialise(sql, parameters);
      throw error;
    }
    this.#isStreaming = false;
  }

  interrupt(): void {
    this.#interrupted = true;
    duckdb.interrupt(this.#connection);
  }

  /**
   * Closes the connection, and calls `onClosed` when nothing runs on it any more. Closing it under an open
   * stream would leave the transaction open forever (1.5.6), and no later checkpoint would succeed.
   */
  close(onClosed: () => void = () => {}): void {
    const close = () => {
      duckdb.disconnect_sync(this.#connection);
      onClosed();
    };
    if (this.#isStreaming) void this.#abandon().then(close);
    else close();
  }

  /**
   * Runs a statement that returns DOUBLE, UINTEGER and BOOLEAN columns only, and passes each chunk's columns to
   * `visit` as typed arrays. Materialising the whole result first (`run`) is no faster, and its memory is freed
   * only by the garbage collector.
   */
  async scan(sql: string, parameters: Parameters, nullable: number, visit: ColumnVisitor): Promise<void> {
    let types: readonly NumberType[] | undefined;
    await this.#eachChunk(sql, parameters, (chunk, rowCount, result) => {
      types ??= Array.from(
        { length: duckdb.column_count(result) },
        (_, column) => NUMBER_TYPES.get(duckdb.column_type(result, column)) ?? "boolean",
      );
      return chunkColumns.visit(chunk, rowCount, types, nullable, visit);
    });
  }

  /** As `scan`, for a statement that returns a UINTEGER column and columns of lists of such numbers. */
  async scanLists(sql: string, parameters: Parameters, visit: ListVisitor): Promise<void> {
    let types: readonly NumberType[] | undefined;
    await this.#eachChunk(sql, parameters, (chunk, rowCount, result) => {
      types ??= Array.from({ length: duckdb.column_count(result) - 1 }, (_, list) => {
        const type = duckdb.column_logical_type(result, list + 1);
        return NUMBER_TYPES.get(duckdb.get_type_id(duckdb.list_type_child_type(type))) ?? "double";
      });
      return chunkColumns.visitLists(chunk, rowCount, types, visit);
    });
  }

  /** As `scan`, for a statement that returns the columns of `EncodedBlocks`. */
  async scanBlocks(sql: string, parameters: Parameters, visit: BlockVisitor): Promise<void> {
    await this.#eachChunk(sql, parameters, (chunk, rowCount, result) =>
      chunkColumns.visitBlocks(chunk, rowCount, duckdb.column_count(result), visit),
    );
  }

  async #eachChunk(
    sql: string,
    parameters: Parameters,
    visit: (chunk: DataChunk, rowCount: number, result: Result) => void | Promise<void>,
  ): Promise<void> {
    const result = await this.#start(sql, parameters);
    try {
      for (;;) {
        const chunk = await duckdb.fetch_chunk(result);
        const rowCount = chunk === null ? 0 : duckdb.data_chunk_get_size(chunk);
        if (rowCount === 0) break;
        const taken = visit(chunk!, rowCount, result);
        if (taken !== undefined) await taken;
      }
      await this.#finish(sql, parameters);
    } finally {
      // Reached early when `visit` throws.
      await this.#abandon();
    }
  }

  /** Appends rows to a small table, cell by cell. Call it inside a transaction: outside one it would checkpoint. */
  async append(schema: string, table: string, rows: Iterable<readonly AppendCell[]>): Promise<void> {
    const appender = duckdb.appender_create_ext(this.#connection, null, schema, table);
    let appended = 0;
    try {
      for (const row of rows) {
        if (++appended % STRETCH_CELLS_ROWS === 0) await setImmediate();
        for (const cell of row) appendCell(appender, cell);
        duckdb.appender_end_row(appender);
      }
    } finally {
      duckdb.appender_close_sync(appender);
    }
  }

  /**
   * Appends chunks of a result, of any database of this process, to a table of schema main with the same types. Each
   * chunk is copied before the next is read. Only for a database in memory: the append is no part of a transaction.
   */
  async appendChunks(table: string, next: () => Promise<EngineChunk | undefined>): Promise<void> {
    const appender = duckdb.appender_create_ext(this.#connection, null, "main", table);
    try {
      for (let chunk = await next(); chunk !== undefined; chunk = await next()) {
        duckdb.append_data_chunk(appender, (chunk as DriverChunk).chunk);
        // Otherwise the appender collects 204,800 rows, and stores them at once on the event loop.
        duckdb.appender_flush_sync(appender);
      }
    } finally {
      duckdb.appender_close_sync(appender);
    }
  }

  /**
   * Appends columns to a table with the same columns: `length` rows of each segment, in order, in slices. Call it inside a transaction.
   *
   * @param segments may be made one after the other, while others are appended
   */
  async appendColumns(
    schema: string,
    table: string,
    types: readonly ColumnType[],
    segments: Iterable<{ readonly columns: readonly Column[]; readonly length: number }>,
  ): Promise<void> {
    const slices = new TimeSlices();
    const appender = duckdb.appender_create_ext(this.#connection, null, schema, table);
    const chunk = duckdb.create_data_chunk(types.map(logicalTypeOf));
    let appended = 0;
    try {
      for (const { columns, length } of segments) {
        for (let start = 0; start < length; start += CHUNK_ROWS) {
          const count = Math.min(CHUNK_ROWS, length - start);
          duckdb.data_chunk_reset(chunk);
          duckdb.data_chunk_set_size(chunk, count);
          for (let index = 0; index < columns.length; index++) {
            filler.fill(duckdb.data_chunk_get_vector(chunk, index), columns[index]!, start, count);
          }
          duckdb.append_data_chunk(appender, chunk);
          appended += count;
          if (appended < STRETCH_ROWS && !slices.isOver) continue;
          // Otherwise closing the appender would insert all rows at once.
          duckdb.appender_flush_sync(appender);
          appended = 0;
          await slices.next();
        }
      }
    } finally {
      duckdb.appender_close_sync(appender);
    }
  }
}

class DriverChunk implements EngineChunk {
  readonly chunk: DataChunk;

  constructor(chunk: DataChunk) {
    this.chunk = chunk;
  }

  get length(): number {
    return duckdb.data_chunk_get_size(this.chunk);
  }

  truncate(length: number): void {
    duckdb.data_chunk_set_size(this.chunk, length);
  }
}

function columnNames(result: Result): string[] {
  return Array.from({ length: duckdb.column_count(result) }, (_, column) =>
    duckdb.column_name(result, column),
  );
}

/** The chunks of a result, from the first one that was not fetched yet. */
async function* chunksOf(result: Result): AsyncIterable<DataChunk> {
  for (;;) {
    const chunk = await duckdb.fetch_chunk(result);
    if (chunk === null || duckdb.data_chunk_get_size(chunk) === 0) return;
    yield chunk;
  }
}

const { Type: TYPE } = duckdb;

const NUMBER_TYPES: ReadonlyMap<Type, NumberType> = new Map([
  [TYPE.DOUBLE, "double"],
  [TYPE.UINTEGER, "uinteger"],
]);

/** All stores share its buffers: each is filled and copied without waiting in between. */
const filler = new VectorFiller(duckdb, CHUNK_ROWS);
const chunkColumns = new ChunkColumns(duckdb);

export type ColumnType = Exclude<Column["type"], "absent">;

const PLAIN_TYPES = {
  uinteger: TYPE.UINTEGER,
  date: TYPE.DATE,
  integer: TYPE.INTEGER,
  boolean: TYPE.BOOLEAN,
  timestamp: TYPE.TIMESTAMP,
  ubigint: TYPE.UBIGINT,
  bigint: TYPE.BIGINT,
  double: TYPE.DOUBLE,
  varchar: TYPE.VARCHAR,
  blob: TYPE.BLOB,
} as const satisfies Partial<Record<ColumnType, Type>>;

function logicalTypeOf(type: ColumnType): LogicalType {
  switch (type) {
    case "integers":
      return duckdb.create_list_type(logicalTypeOf("integer"));
    case "doubles":
      return duckdb.create_list_type(logicalTypeOf("double"));
    case "map":
      return duckdb.create_map_type(logicalTypeOf("varchar"), logicalTypeOf("varchar"));
    default:
      return duckdb.create_logical_type(PLAIN_TYPES[type]);
  }
}
