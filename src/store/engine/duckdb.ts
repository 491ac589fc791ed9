/**
 * The driver: the only module that imports DuckDB. It opens a file for this process alone, reads results chunk by
 * chunk as plain values, and appends columns directly from typed arrays.
 *
 * Two instances in one process, or in a Worker of it, would both open the file and lose each other's rows. So this
 * module keeps the paths that are open, and rejects a second opening of the same path.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBIntervalValue,
  DuckDBListValue,
  type DuckDBMapType,
  DuckDBMapValue,
  type DuckDBMaterializedResult,
  type DuckDBResult,
  DuckDBListType,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
  type DuckDBValueConverter,
  dateValue,
  decimalValue,
  HUGEINT,
  INTEGER,
  type Json,
  JsonDuckDBValueConverter,
  LIST,
  listValue,
  MAP,
  SQLNULL,
  TIMESTAMP,
  timestampValue,
  UBIGINT,
  UINTEGER,
  VARCHAR,
} from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";
import { statement } from "../statements.ts";
import { TimeSlices } from "../../model/tasks/time-slices.ts";
import { engineTimeText } from "../../model/time.ts";
import {
  type Cell,
  type DecimalParameter,
  type EngineChunk,
  type Parameter,
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
  const instance = await DuckDBInstance.create(MEMORY, { threads: "1" });
  const connection = await instance.connect();
  try {
    await connection.run(statement("store/create_file", { path: enginePath(path) }));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** One DuckDB file (or `:memory:`), open for this process alone. */
export class Database {
  readonly #instance: DuckDBInstance;
  readonly #identity: string;

  private constructor(instance: DuckDBInstance, identity: string) {
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
      const instance = await DuckDBInstance.create(path === MEMORY ? path : enginePath(path), settings);
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
    return new Connection(await this.#instance.connect());
  }

  close(): void {
    this.#instance.closeSync();
    opened.delete(this.#identity);
  }
}

/** A connection. It runs one operation at a time. */
export class Connection implements Reader {
  readonly #connection: DuckDBConnection;
  /** Whether the statement whose rows are being fetched was interrupted. */
  #interrupted = false;
  /** Whether the transaction of a stream is open. */
  #isStreaming = false;

  constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  /** Whether rows are being fetched, or were not fetched to their end. */
  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  async run(sql: string, parameters?: Parameters): Promise<void> {
    await this.#materialise(sql, bound(parameters));
  }

  /** Waits for the driver's threads twice, or once without parameters: 0.1 ms each. The driver's `run` waits once more. */
  async #materialise(sql: string, [values, types]: Bound): Promise<DuckDBMaterializedResult> {
    if (values === undefined) return await this.#connection.run(sql);
    const prepared = await this.#connection.prepare(sql);
    try {
      prepared.bind(values, types);
      return await prepared.run();
    } finally {
      prepared.destroySync();
    }
  }

  /** Runs a statement with one parameter, a list of texts. */
  async runTexts(sql: string, texts: readonly string[]): Promise<void> {
    await this.#materialise(sql, [[listValue(texts)], [LIST(VARCHAR)]]);
  }

  async all<Row extends Record<string, unknown>>(sql: string, parameters?: Parameters): Promise<Row[]> {
    const result = await this.#materialise(sql, bound(parameters));
    const names = result.columnNames();
    const types = result.columnTypes();
    const rowOf = (cells: Cell[]) => Object.fromEntries(names.map((name, index) => [name, cells[index]]));
    // To fetch a chunk waits for another thread once more. To find one takes longer the more there are.
    if (result.chunkCount > CHUNKS_AT_ONCE)
      return (await result.convertRowObjects(toCell)) as unknown as Row[];
    const chunks = Array.from({ length: result.chunkCount }, (_, at) => result.getChunk(at));
    return chunks.flatMap((chunk) => cellsOf(chunk, types, 0, chunk.rowCount).map(rowOf)) as Row[];
  }

  async stream(sql: string, parameters?: Parameters): Promise<ResultStream> {
    const result = await this.#start(sql, parameters);
    const names = result.columnNames();
    const types = result.columnTypes();
    const columns = types.map((type, index) => ({ name: names[index]!, type: type.toString() }));
    return {
      columns,
      chunks: () => this.#cells(result, sql, parameters),
      engineChunks: () => this.#engineChunks(result, sql, parameters),
    };
  }

  async *#engineChunks(
    result: DuckDBResult,
    sql: string,
    parameters: Parameters | undefined,
  ): AsyncIterable<EngineChunk> {
    try {
      for await (const chunk of result) yield new DriverChunk(chunk);
      await this.#finish(sql, parameters);
    } finally {
      await this.#abandon();
    }
  }

  async *#cells(
    result: DuckDBResult,
    sql: string,
    parameters: Parameters | undefined,
  ): AsyncIterable<readonly (readonly Cell[])[]> {
    try {
      const types = result.columnTypes();
      const stretchRows = Math.min(...types.map(rowsAtOnce), CHUNK_ROWS);
      for await (const chunk of result) {
        const { rowCount } = chunk;
        for (let start = 0; start < rowCount; start += stretchRows) {
          yield cellsOf(chunk, types, start, Math.min(rowCount, start + stretchRows));
          // The rows of a chunk may hold millions of values. Requests, deadlines and the guard of memory come between.
          if (start + stretchRows < rowCount) await setImmediate();
        }
      }
      await this.#finish(sql, parameters);
    } finally {
      await this.#abandon();
    }
  }

  /**
   * Starts a statement in a transaction of its own, and fetches its rows in steps. The driver (1.5.6) takes an
   * error between two fetches for the end of the rows. But the error aborts the transaction, and `#finish`
   * detects that.
   */
  async #start(sql: string, parameters: Parameters | undefined): Promise<DuckDBResult> {
    this.#interrupted = false;
    await this.#connection.run("BEGIN TRANSACTION READ ONLY");
    this.#isStreaming = true;
    try {
      return await this.#connection.stream(sql, ...bound(parameters));
    } catch (error) {
      await this.#abandon();
      throw error;
    }
  }

  /** Ends the transaction of a stream that was not read to its end. */
  async #abandon(): Promise<void> {
    if (!this.#isStreaming) return;
    this.#isStreaming = false;
    await this.#connection.run("ROLLBACK").catch(() => undefined);
  }

  /** Ends what `#start` began, after the last row. Throws the error that cut the rows short, if there was one. */
  async #finish(sql: string, parameters: Parameters | undefined): Promise<void> {
    try {
      // As one call. The COMMIT alone would succeed after an error.
      await this.#connection.run("SELECT 1; COMMIT");
    } catch (error) {
      await this.#abandon();
      if (this.#interrupted) throw new Error("INTERRUPT Error: Interrupted!", { cause: error });
      // Only a complete run returns the error itself.
      await this.#connection.run(sql, ...bound(parameters));
      throw error;
    }
    this.#isStreaming = false;
  }

  async countStatements(sql: string): Promise<number> {
    return (await this.#connection.extractStatements(sql)).count;
  }

  interrupt(): void {
    this.#interrupted = true;
    this.#connection.interrupt();
  }

  /**
   * Closes the connection, and calls `onClosed` when nothing runs on it any more. Closing it under an open
   * stream would leave the transaction open forever (driver 1.5.6), and no later checkpoint would succeed.
   */
  close(onClosed: () => void = () => {}): void {
    const close = () => {
      this.#connection.closeSync();
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
    await this.#eachChunk(sql, parameters, ({ chunk, rowCount }, result) => {
      types ??= result.columnTypes().map((type) => NUMBER_TYPES.get(type) ?? "boolean");
      return chunkColumns.visit(chunk, rowCount, types, nullable, visit);
    });
  }

  /** As `scan`, for a statement that returns a UINTEGER column and columns of lists of such numbers. */
  async scanLists(sql: string, parameters: Parameters, visit: ListVisitor): Promise<void> {
    let types: readonly NumberType[] | undefined;
    await this.#eachChunk(sql, parameters, ({ chunk, rowCount }, result) => {
      types ??= result
        .columnTypes()
        .slice(1)
        .map((type) => (type instanceof DuckDBListType && NUMBER_TYPES.get(type.valueType)) || "double");
      return chunkColumns.visitLists(chunk, rowCount, types, visit);
    });
  }

  /** As `scan`, for a statement that returns the columns of `EncodedBlocks`. */
  async scanBlocks(sql: string, parameters: Parameters, visit: BlockVisitor): Promise<void> {
    await this.#eachChunk(sql, parameters, ({ chunk, rowCount, columnCount }) =>
      chunkColumns.visitBlocks(chunk, rowCount, columnCount, visit),
    );
  }

  async #eachChunk(
    sql: string,
    parameters: Parameters,
    visit: (chunk: DuckDBDataChunk, result: DuckDBResult) => void | Promise<void>,
  ): Promise<void> {
    const result = await this.#start(sql, parameters);
    try {
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) break;
        const taken = visit(chunk, result);
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
    const appender = await this.#connection.createAppender(table, schema);
    let appended = 0;
    try {
      for (const row of rows) {
        if (++appended % STRETCH_CELLS_ROWS === 0) await setImmediate();
        for (const cell of row) {
          if (cell.value === null) appender.appendNull();
          else appender.appendValue(driverValue(cell));
        }
        appender.endRow();
      }
    } finally {
      appender.closeSync();
    }
  }

  /**
   * Appends chunks of a result, of any database of this process, to a table of schema main with the same types. Each
   * chunk is copied before the next is read. Only for a database in memory: the append is no part of a transaction.
   */
  async appendChunks(table: string, next: () => Promise<EngineChunk | undefined>): Promise<void> {
    const appender = await this.#connection.createAppender(table, "main");
    try {
      for (let chunk = await next(); chunk !== undefined; chunk = await next()) {
        appender.appendDataChunk((chunk as DriverChunk).chunk);
        // Otherwise the appender collects 204,800 rows, and stores them at once on the event loop.
        appender.flushSync();
      }
    } finally {
      appender.closeSync();
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
    const appender = await this.#connection.createAppender(table, schema);
    const chunk = DuckDBDataChunk.create(
      types.map((type) => DRIVER_TYPES[type]),
      CHUNK_ROWS,
    );
    let appended = 0;
    try {
      for (const { columns, length } of segments) {
        for (let start = 0; start < length; start += CHUNK_ROWS) {
          const count = Math.min(CHUNK_ROWS, length - start);
          chunk.reset();
          chunk.rowCount = count;
          for (let index = 0; index < columns.length; index++) {
            filler.fill(duckdb.data_chunk_get_vector(chunk.chunk, index), columns[index]!, start, count);
          }
          appender.appendDataChunk(chunk);
          appended += count;
          if (appended < STRETCH_ROWS && !slices.isOver) continue;
          // Otherwise closing the appender would insert all rows at once.
          appender.flushSync();
          appended = 0;
          await slices.next();
        }
      }
    } finally {
      appender.closeSync();
    }
  }
}

class DriverChunk implements EngineChunk {
  readonly chunk: DuckDBDataChunk;

  constructor(chunk: DuckDBDataChunk) {
    this.chunk = chunk;
  }

  get length(): number {
    return this.chunk.rowCount;
  }

  truncate(length: number): void {
    this.chunk.rowCount = length;
  }
}

/** Rows that are converted to cells at once. A list may have 16,000 elements, and a text 256 KiB. */
function rowsAtOnce(type: DuckDBType): number {
  switch (type.typeId) {
    case DuckDBTypeId.LIST:
    case DuckDBTypeId.MAP:
    case DuckDBTypeId.STRUCT:
    case DuckDBTypeId.ARRAY:
      return 32;
    case DuckDBTypeId.VARCHAR:
    case DuckDBTypeId.BLOB:
      return 512;
    default:
      return CHUNK_ROWS;
  }
}

/** The cells of the rows from `start` to `end`. Column by column, because the driver looks for its columns again in each row. */
function cellsOf(chunk: DuckDBDataChunk, types: readonly DuckDBType[], start: number, end: number): Cell[][] {
  const rows: Cell[][] = Array.from({ length: end - start }, () => []);
  for (const [index, type] of types.entries()) {
    const vector = chunk.getColumnVector(index);
    const isText = type.typeId === DuckDBTypeId.VARCHAR;
    for (let row = start; row < end; row++) {
      const value = vector.getItem(row);
      rows[row - start]!.push((isText ? value : toCell(value, type, toCell)) as Cell);
    }
  }
  return rows;
}

const NUMBER_TYPES: ReadonlyMap<DuckDBType, NumberType> = new Map<DuckDBType, NumberType>([
  [DOUBLE, "double"],
  [UINTEGER, "uinteger"],
]);

/** All stores share its buffers: each is filled and copied without waiting in between. */
const filler = new VectorFiller(duckdb, CHUNK_ROWS);
const chunkColumns = new ChunkColumns(duckdb);

export type ColumnType = Exclude<Column["type"], "absent">;

const DRIVER_TYPES: Record<ColumnType, DuckDBType> = {
  uinteger: UINTEGER,
  date: DATE,
  integer: INTEGER,
  boolean: BOOLEAN,
  timestamp: TIMESTAMP,
  ubigint: UBIGINT,
  bigint: BIGINT,
  integers: LIST(INTEGER),
  doubles: LIST(DOUBLE),
  double: DOUBLE,
  varchar: VARCHAR,
  blob: BLOB,
  map: MAP(VARCHAR, VARCHAR),
};

/**
 * Converts as the driver's JSON converter does, with three differences: safe integers are numbers, maps with
 * text keys are objects, and intervals are text as the engine writes it: `1 day 02:03:04.5`. Texts of
 * times are as the driver's, which computes them with BigInt.
 */
const toCell: DuckDBValueConverter<Json> = (value, type, converter) => {
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (value instanceof DuckDBTimestampValue) {
    const us = Number(value.micros);
    return Number.isSafeInteger(us) ? engineTimeText(us) : value.toString();
  }
  if (value instanceof DuckDBIntervalValue) return value.toString();
  if (typeof value === "bigint" && value >= SAFE_MIN && value <= SAFE_MAX) return Number(value);
  if (type.typeId === DuckDBTypeId.MAP && value instanceof DuckDBMapValue) {
    const { keyType, valueType } = type as DuckDBMapType;
    if (keyType.typeId === DuckDBTypeId.VARCHAR) {
      return Object.fromEntries(
        value.entries.map((entry) => [String(entry.key), converter(entry.value, valueType, converter)]),
      );
    }
  }
  return JsonDuckDBValueConverter(value, type, converter);
};

const SAFE_MIN = BigInt(Number.MIN_SAFE_INTEGER);
const DECIMAL_WIDTH_MAX = 38;
const SAFE_MAX = BigInt(Number.MAX_SAFE_INTEGER);

type Bound = readonly [
  values?: DuckDBValue[] | Record<string, DuckDBValue>,
  types?: DuckDBType[] | Record<string, DuckDBType>,
];

/** Values with their types. Without types the driver binds integers as HUGEINT, which few functions accept. */
function bound(parameters: Parameters | undefined): Bound {
  if (parameters === undefined) return [];
  if (Array.isArray(parameters)) {
    const values = (parameters as readonly Parameter[]).map(driverParameter);
    return [values, values.map(typeOf)];
  }
  const entries = Object.entries(parameters).map(([name, value]) => [name, driverParameter(value)] as const);
  return [
    Object.fromEntries(entries),
    Object.fromEntries(entries.map(([name, value]) => [name, typeOf(value)])),
  ];
}

function typeOf(value: DuckDBValue): DuckDBType {
  if (value === null) return SQLNULL;
  if (typeof value === "bigint") return BigInt.asIntN(64, value) === value ? BIGINT : HUGEINT;
  if (typeof value === "number") return DOUBLE;
  if (typeof value === "boolean") return BOOLEAN;
  if (typeof value === "string") return VARCHAR;
  if (value instanceof DuckDBDecimalValue) return DECIMAL(value.width, value.scale);
  return value instanceof DuckDBListValue ? LIST(BIGINT) : TIMESTAMP;
}

function driverParameter(value: Parameter): DuckDBValue {
  if (value instanceof Date) return timestampValue(BigInt(value.getTime()) * 1000n);
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  if (isDecimal(value)) return decimalValue(value.digits, DECIMAL_WIDTH_MAX, value.scale);
  if (Array.isArray(value)) return listValue(value.map(BigInt));
  return value as Exclude<Parameter, Date | DecimalParameter | readonly number[]>;
}

function isDecimal(value: Parameter): value is DecimalParameter {
  return typeof value === "object" && value !== null && "scale" in value;
}

function driverValue(cell: AppendCell): DuckDBValue {
  switch (cell.type) {
    case "varchar":
      return cell.value!;
    case "ubigint":
      return BigInt(cell.value);
    case "timestampMs":
      return timestampValue(BigInt(Math.round(cell.value! * 1000)));
    case "date":
      return dateValue(cell.value!);
  }
}
