/**
 * The contract of the store: one DuckDB file, one partition (table) a UTC day.
 *
 * - **One owner.** A file is opened by one process and one `Store`; a second gets `StoreLocked`.
 * - **Durability.** `commit` resolves after the transaction that holds everything of the change is in the
 *   write-ahead log and fsynced. It rejects when nothing of the change is stored. Never in between.
 * - **Order.** Changes commit in the order of the calls; rows of a day keep the order in which they were
 *   given, so that the n-th row ever given to a day has row id n-1. Day tables are append-only.
 * - **Ownership.** A change's buffers belong to the store until its promise settles; callers must not write
 *   to them in between.
 * - **Readers** see whole commits only, and all that were acknowledged before they were asked for; they have their
 *   own connections, and never block a commit. A reader that lives long delays checkpoints, not commits. On a full
 *   disk they may miss the last small changes, until there is room; it is counted.
 * - **A full disk** is no reason to end: pushes are refused before it is full, and what is stored can be read, after a
 *   start too. When there is room again everything goes on.
 * - **close()** waits for commits under way, interrupts readers, checkpoints, and gives the file back.
 */
import type { Labels, Metric, MetricType, Rows } from "../model/sample.ts";
import type { ColumnVisitor, ListVisitor } from "./engine/chunk-columns.ts";
import type { ExemplarRecord } from "./tables/exemplars.ts";

/** Everything that is to be stored in one transaction; every part may be absent. */
export interface Change {
  readonly metrics?: readonly MetricRecord[];
  readonly series?: readonly SeriesRecord[];
  /** Series that have their first sample in a day. */
  readonly seriesDays?: readonly SeriesDay[];
  readonly rows?: readonly Rows[];
  readonly pushes?: readonly PushRecord[];
  readonly imports?: readonly ImportRecord[];
  readonly rejected?: readonly RejectedRecord[];
  /** Those that are stored already are left out. */
  readonly exemplars?: readonly ExemplarRecord[];
  readonly demotions?: readonly DemotionRecord[];
  /** Groups that are others now; of several records of one group the last counts. */
  readonly groups?: readonly GroupRecord[];
  /** Running totals as of the end of the change before this one; the store adds the watermarks. */
  readonly totals?: TotalsSnapshot;
  /** All of them: what was stored before is replaced. */
  readonly lastPushes?: readonly LastPushRecord[];
  /** What each server that scrapes and writes here adds to a sample's labels; what was stored before is replaced. */
  readonly scrapers?: readonly Labels[];
}

/** A metric that is new, or says more of itself than before. */
export type MetricRecord = Omit<Metric, "prometheusName">;

/** A series that is new. */
export interface SeriesRecord {
  readonly seriesId: number;
  readonly metric: Pick<Metric, "name" | "kind">;
  readonly labels: Labels;
  readonly exposed: boolean;
}

export interface SeriesDay {
  readonly seriesId: number;
  readonly day: number;
}

/** An idempotency key and the answer that its push got. */
export interface PushRecord {
  /** Route and token that the key belongs to. */
  readonly scope: string;
  readonly key: string;
  readonly bodyHash: string;
  readonly receivedAtMs: number;
  readonly accepted: number;
  /** The JSON body of the answer. */
  readonly answer: string;
}

/** How far a file was imported. A record replaces the one before of the same file. */
export interface ImportRecord {
  /** The import's own name: the hash of the file's first line, with a number where another file begins so too. */
  readonly file: string;
  readonly firstLineHash: string;
  /** What tells the file from others that begin with the same line: the importer's own text, empty if it gave none. */
  readonly identity: string;
  /** Bytes (uncompressed) up to the end of the last whole line that was read. */
  readonly byteOffset: number;
  /** Hash of the last line before `byteOffset`. */
  readonly lastLineHash: string;
  /** The latest day that holds a row of the file; the record is dropped with it. */
  readonly lastDay?: number;
  readonly updatedAtMs: number;
}

export interface RejectedRecord {
  readonly receivedAtMs: number;
  readonly protocol: string;
  readonly instance: string;
  readonly reason: string;
  readonly payload: string;
}

export interface DemotionRecord {
  readonly metric: string;
  readonly label: string;
  readonly decidedAtMs: number;
}

/** A group of pushed series (src/receive/pushgateway/groups/groups.ts), which may have been deleted. */
export interface GroupRecord {
  readonly key: string;
  /** Which families and series it has; null when it was deleted. */
  readonly definition: string | null;
}

/** The running totals of one series (src/exposition/totals/totals.ts says what each field means for each kind). */
export interface TotalsRecord {
  readonly seriesId: number;
  readonly count: number;
  readonly sumHigh: number;
  readonly sumLow: number;
  /** Last value of a gauge or cumulative series; null after a stale marker. */
  readonly value: number | null;
  /** When the total began here, µs. */
  readonly createdUs: number;
  /** Timestamp of the newest sample, live or not, µs. */
  readonly lastUs: number;
  /** When the newest live sample arrived, µs; 0 when there was none. */
  readonly arrivedUs: number;
  /** Not cumulative; one more than the metric's bounds. Empty where there is no histogram. */
  readonly buckets: readonly number[];
}

/** Totals of the series that changed since the snapshot before, or of all. */
export interface TotalsSnapshot {
  readonly records: readonly TotalsRecord[];
  /** True when `records` are all that there is: older generations are then dropped. */
  readonly whole: boolean;
}

/** When a job and instance ("" where it has none) last pushed. */
export interface LastPushRecord {
  readonly job: string;
  readonly instance: string;
  readonly pushedAtMs: number;
}

/** What is in the file when it is opened. */
export interface Stored {
  readonly metrics: readonly {
    name: string;
    kind: string;
    type: MetricType;
    unit: string;
    help: string;
    buckets: readonly number[];
  }[];
  readonly series: readonly { seriesId: number; metric: string; labels: Labels; exposed: boolean }[];
  readonly seriesDays: readonly SeriesDay[];
  readonly demotions: readonly DemotionRecord[];
  readonly pushes: readonly PushRecord[];
  readonly imports: readonly ImportRecord[];
  readonly groups: readonly GroupRecord[];
  readonly totals: readonly TotalsRecord[];
  /** The one that pushed longest ago first. */
  readonly lastPushes: readonly LastPushRecord[];
  readonly scrapers: readonly Labels[];
}

/** One partition. */
export interface Day {
  /** Days since 1970-01-01. */
  readonly day: number;
  /** The physical table, in schema weir: `samples_20240101`. */
  readonly table: string;
  /** Rows committed. */
  readonly rows: number;
  /** Its attribute columns: the attributes' names as pushed, and the columns' names. */
  readonly attributes: readonly { readonly name: string; readonly column: string }[];
}

/** A column of a result: its name and its DuckDB type (`TIMESTAMP`, `DOUBLE`, `VARCHAR`, `MAP(VARCHAR, VARCHAR)` …). */
export interface ResultColumn {
  readonly name: string;
  readonly type: string;
}

/** A cell as JSON has it: integers beyond 2^53, decimals and times as strings. */
export type Cell = null | boolean | number | string | readonly Cell[] | { readonly [key: string]: Cell };

/** A decimal fraction with more digits than a DOUBLE has, at most 38: `digits` divided by ten to the power of `scale`. */
export interface DecimalParameter {
  readonly digits: bigint;
  readonly scale: number;
}

/**
 * A value bound to a parameter. Numbers that are whole and safe bind as BIGINT, others as DOUBLE; a bigint binds as
 * BIGINT, or as HUGEINT where it needs more than 64 bits, and must be within that.
 */
export type Parameter =
  | null
  | boolean
  | number
  | bigint
  | string
  | Date
  | DecimalParameter
  | readonly number[];
export type Parameters = readonly Parameter[] | Readonly<Record<string, Parameter>>;

/** A result that is read chunk by chunk (about 2,048 rows each) while the query runs. */
export interface ResultStream {
  readonly columns: readonly ResultColumn[];
  /** Rows of each chunk, as arrays of cells in the columns' order. */
  chunks(): AsyncIterable<readonly (readonly Cell[])[]>;
}

/** Room on the disk of the store. */
export interface Room {
  /** Bytes that may still be written to it. */
  readonly freeBytes: number;
  /** Whether pushes are refused for want of it. */
  readonly isFull: boolean;
}

/** A connection for reading. It is used for one thing at a time, and closed by who asked for it. */
export interface Reader {
  /** Runs one statement and gives all its rows as objects. */
  all<Row extends Record<string, unknown>>(sql: string, parameters?: Parameters): Promise<Row[]>;
  /** Runs one statement and throws its rows away. */
  run(sql: string, parameters?: Parameters): Promise<void>;
  /**
   * Runs one statement, in a read-only transaction of its own, and gives its rows as they come. An error
   * between two chunks is thrown there: rows that end without one are all.
   */
  stream(sql: string, parameters?: Parameters): Promise<ResultStream>;
  /**
   * Runs one statement that gives DOUBLE, UINTEGER and BOOLEAN columns only, in a read-only transaction of its
   * own, and hands each chunk's columns over as typed arrays (valid until `visit` returns), with the validity of
   * the column at index `nullable`. No object exists per row: for millions of them.
   */
  scan(sql: string, parameters: Parameters, nullable: number, visit: ColumnVisitor): Promise<void>;
  /**
   * The same for a statement that gives a UINTEGER column and then lists of DOUBLE, those of a row equally long:
   * millions of rows that the engine has put together by that key.
   */
  scanLists(sql: string, parameters: Parameters, visit: ListVisitor): Promise<void>;
  /** How many statements the text holds; throws the parser's message when it does not parse. */
  countStatements(sql: string): Promise<number>;
  /** Stops what runs; it then rejects. */
  interrupt(): void;
  close(): void;
}

export interface Store {
  /** Rejects with `DiskFull` when the disk has no room for it. */
  commit(change: Change): Promise<void>;
  /**
   * Throws `DiskFull` where a push is not to be tried, see disk-room.ts. What makes room may be tried all the same. A
   * push may go by what was free a tenth of a second ago, and its commit then asks again.
   */
  requireRoom(before?: "push" | "commit"): void;
  /** The room of this moment, or of a tenth of a second ago. */
  room(): Room;
  reader(): Promise<Reader>;
  /** The partitions, in ascending order of days. */
  days(): readonly Day[];
  /**
   * Rows of live samples that the totals of the last snapshot do not hold, in row order: what a start replays.
   * Resolves when `apply` has had all.
   */
  replay(apply: (rows: Rows) => void): Promise<void>;
  /**
   * Looks for the samples stored of given series and times of one day. Resolves when `visit` has had each, in row
   * order; null is a stale marker. A series and time that is given twice is found twice.
   */
  find(
    day: number,
    keys: SampleKeys,
    visit: (seriesId: number, timestampUs: number, value: number | null) => void,
  ): Promise<void>;
  /**
   * Drops the days before `firstDay`, the import records that end there, and the series and metrics that the
   * caller knows to have ended with them, in one transaction with a whole snapshot of the totals.
   */
  dropDaysBefore(firstDay: number, ended: Ended, totals: TotalsSnapshot): Promise<Dropped>;
  /**
   * Deletes samples, in one transaction with a whole snapshot of the totals; gives how many. Days stay, empty too,
   * and so do series: both go with time.
   */
  deleteSamples(deletion: Deletion, totals: TotalsSnapshot): Promise<number>;
  /** Deletes idempotency keys received before `receivedBeforeMs`, and the oldest dead letters past `rejectedMax`. */
  forget(receivedBeforeMs: number, rejectedMax: number): Promise<void>;
  /** Whether a log of such a size should be moved now, since later the disk may have no room for that. */
  isCheckpointDue(logBytes: number): boolean;
  /**
   * Moves the write-ahead log into the file; false when a reader or a copy stood in the way, or the disk has no room
   * (it is tried again).
   */
  checkpoint(): Promise<boolean>;
  /**
   * Lets `copy` have the file and its log copied, up to the bytes that are named: they hold every commit made before,
   * and stay as they are until it resolves, though commits go on. Only by another process: see copy-process.ts. False
   * when days were dropped or rewritten meanwhile, so that the copy is worth nothing.
   */
  whileCopied(copy: (files: StoreFiles) => Promise<void>): Promise<boolean>;
  /** Bytes of the file and of its write-ahead log, without asking the engine. */
  fileSizes(): Promise<{ readonly fileBytes: number; readonly logBytes: number }>;
  /** The same, and the bytes in the file that are free to be used again. */
  size(): Promise<{ readonly fileBytes: number; readonly logBytes: number; readonly freeBytes: number }>;
  close(): Promise<void>;
}

/** The file, whose log is beside it at `PATH.wal`. */
export interface StoreFiles {
  readonly path: string;
  readonly fileBytes: number;
  readonly logBytes: number;
}

/** Series and metrics without a row in any day. */
export interface Ended {
  readonly seriesIds: readonly number[];
  readonly metrics: readonly string[];
}

/** Samples of some series in a range of time, both ends included, µs; the ends may be infinite. */
export interface Deletion {
  readonly seriesIds: readonly number[];
  readonly fromUs: number;
  readonly toUs: number;
}

export interface Dropped {
  readonly days: readonly number[];
  readonly rows: number;
}

/** Series and times of samples; gauges and cumulative series have one value at each. */
export interface SampleKeys {
  readonly length: number;
  readonly seriesId: Uint32Array;
  /** Microseconds since the epoch. */
  readonly timestampUs: Float64Array;
}

/** Another process has the file open. */
export class StoreLocked extends Error {
  override readonly name = "StoreLocked";
}

/** The files do not belong together, or are those of a newer gateway: what to do about it is for a person to say. */
export class StoreMismatch extends Error {
  override readonly name = "StoreMismatch";
}
