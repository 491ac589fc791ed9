/**
 * The contract of the store: one DuckDB file, with one table per UTC day.
 *
 * - **One owner.** One process and one `Store` open a file. A second one gets `StoreLocked`.
 * - **Durability.** `commit` resolves after the transaction with the whole change is in the write-ahead log, or its
 *   record is in the journal, and the file is synced. It rejects when nothing of the change is stored. There is no
 *   state in between.
 * - **Order.** Changes commit in the order of the calls, except for those of `commitBeside`. The rows of a day keep the
 *   order of the commits, so the n-th row of a day has row id n-1. Day tables are append-only.
 * - **Ownership.** A change's buffers belong to the store until its promise settles. Callers must not write to them
 *   before that.
 * - **Readers** see whole commits only, and every commit that was acknowledged before the reader was opened. They have
 *   their own connections, and never block a commit. A reader that lives long delays checkpoints, not commits. On a
 *   full disk readers may miss the last changes until there is room. This is counted.
 * - **A full disk** does not end the store. Pushes are rejected before the disk is full. Stored data can be read, also
 *   after a start. Pushes are accepted again once there is room.
 * - **close()** waits for commits in progress, interrupts readers, checkpoints, and closes the file.
 */
import type {
  ArchiveRecord,
  ForwardRecord,
  GroupRecord,
  LastPushRecord,
  NotificationRecord,
  TotalsRecord,
  TotalsSnapshot,
} from "../model/records.ts";
import type { Labels, Metric, MetricType, Rows } from "../model/sample.ts";
import type { PackRequest, RowIdFollower } from "./blocks/packing.ts";
import type { BlockVisitor, ColumnVisitor, ListVisitor } from "./engine/chunk-columns.ts";
import type { StoredList } from "./start-file/stored-list.ts";
import type { ExemplarRecord } from "./tables/exemplar-rows.ts";

/** Everything that one transaction stores. Every part may be absent. */
export interface Change {
  readonly metrics?: readonly MetricRecord[];
  readonly series?: readonly SeriesRecord[];
  /** Series that have their first sample of a day. */
  readonly seriesDays?: readonly SeriesDay[];
  readonly rows?: readonly Rows[];
  readonly pushes?: readonly PushRecord[];
  readonly imports?: readonly ImportRecord[];
  readonly rejected?: readonly RejectedRecord[];
  /** The ids of rejected samples that this change stores after all, or that are given up. They are deleted. */
  readonly replayed?: readonly number[];
  /** Exemplars that are stored already are skipped. */
  readonly exemplars?: readonly ExemplarRecord[];
  readonly demotions?: readonly DemotionRecord[];
  /** Groups that changed. Of several records of one group the last counts. */
  readonly groups?: readonly GroupRecord[];
  /** Alerts, silences and sent notifications that changed. Of several records of one key the last counts. */
  readonly notifications?: readonly NotificationRecord[];
  /** What destinations have received. Of several records of one key the last counts. */
  readonly forwards?: readonly ForwardRecord[];
  /** What the archive has of days. Of several records of one key the last counts. */
  readonly archives?: readonly ArchiveRecord[];
  /** Running totals as of the end of the changes that were committed before this one. The store adds the watermarks. */
  readonly totals?: TotalsSnapshot;
  /** The whole list. It replaces the stored one. */
  readonly lastPushes?: readonly LastPushRecord[];
  /**
   * The labels that each server which scrapes and writes here adds to samples. The list replaces the stored
   * one.
   */
  readonly scrapers?: readonly Labels[];
}

/** A metric that is new, or whose metadata changed. */
export type MetricRecord = Omit<Metric, "prometheusName">;

/** A new series. */
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

/** An idempotency key, with the answer to its push. */
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

/** How far a file was imported. A record replaces the earlier record of the same file. */
export interface ImportRecord {
  /**
   * The import's own name: the hash of the file's first line, with a number if another file has the same first
   * line.
   */
  readonly file: string;
  readonly firstLineHash: string;
  /** A text of the importer that distinguishes files with the same first line. Empty if the importer gave none. */
  readonly identity: string;
  /** Bytes (uncompressed) up to the end of the last whole line that was read. */
  readonly byteOffset: number;
  /** Hash of the last line before `byteOffset`. */
  readonly lastLineHash: string;
  /** The latest day that has a row of the file. The record is dropped with that day. */
  readonly lastDay?: number;
  readonly updatedAtMs: number;
}

/** A rejected sample. The fields that may be absent are those that records of earlier versions lack. */
export interface RejectedRecord {
  readonly receivedAtMs: number;
  readonly protocol: string;
  readonly instance: string;
  readonly reason: string;
  /** The sample as sent, capped. */
  readonly payload: string;
  readonly cause?: string;
  /** Empty if the sample could not be decoded so far. */
  readonly metric?: string;
  /** The labels of the sample, or only those that its push adds. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The text from which the sample can be pushed again. Empty if it cannot be. */
  readonly sample?: string;
}

export interface DemotionRecord {
  readonly metric: string;
  readonly label: string;
  readonly decidedAtMs: number;
}

/** A metric as the file has it. */
export interface StoredMetricRecord {
  readonly name: string;
  readonly kind: string;
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
  readonly buckets: readonly number[];
}

export interface StoredSeries {
  readonly seriesId: number;
  readonly metric: string;
  readonly labels: Labels;
  readonly exposed: boolean;
}

/** The contents of the file when it is opened, without the samples. */
export interface Stored {
  readonly metrics: StoredList<StoredMetricRecord>;
  readonly series: StoredList<StoredSeries>;
  readonly seriesDays: StoredList<SeriesDay>;
  /** Greater than the ids of all series, and of those that have rows and no series. */
  readonly nextSeriesId: number;
  readonly demotions: readonly DemotionRecord[];
  readonly pushes: StoredList<PushRecord>;
  readonly imports: readonly ImportRecord[];
  /** A secret of this store, for the hashes of bodies. It never changes. */
  readonly bodyHashSeed: string;
  readonly groups: readonly GroupRecord[];
  readonly notifications: readonly NotificationRecord[];
  readonly forwards: readonly ForwardRecord[];
  readonly archives: readonly ArchiveRecord[];
  readonly totals: StoredList<TotalsRecord>;
  /** In the order of the last push, the oldest first. */
  readonly lastPushes: readonly LastPushRecord[];
  readonly scrapers: readonly Labels[];
}

/** One day table. */
export interface Day {
  /** Days since 1970-01-01. */
  readonly day: number;
  /** The physical table, in schema weir: `samples_20240101`. */
  readonly table: string;
  /** Samples committed: rows of the table, and samples in blocks, which count as the first rows of the day. */
  readonly rows: number;
  /** How many of them are in blocks. */
  readonly packed: number;
  /** Its attribute columns: the attributes' names as pushed, and the names of the columns. */
  readonly attributes: readonly { readonly name: string; readonly column: string }[];
}

/**
 * A column of a result: its name and its DuckDB type (`TIMESTAMP`, `DOUBLE`, `VARCHAR`, `MAP(VARCHAR, VARCHAR)`
 * …).
 */
export interface ResultColumn {
  readonly name: string;
  readonly type: string;
}

/** A cell as JSON represents it: integers beyond 2^53, decimals and times are strings. */
export type Cell = null | boolean | number | string | readonly Cell[] | { readonly [key: string]: Cell };

/**
 * A decimal fraction with up to 38 digits, more than a DOUBLE has: `digits` divided by ten to the power of
 * `scale`.
 */
export interface DecimalParameter {
  readonly digits: bigint;
  readonly scale: number;
}

/**
 * A value that is bound to a parameter. A number binds as BIGINT if it is a safe integer, and as DOUBLE
 * otherwise. A bigint binds as BIGINT, or as HUGEINT if it needs more than 64 bits. It must fit a HUGEINT.
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
  /** The chunks as the engine has them. Read these or `chunks()`, not both. */
  engineChunks(): AsyncIterable<EngineChunk>;
}

/** Rows in the engine's own memory, which `Connection.appendChunks` appends to a table of another database. */
export interface EngineChunk {
  readonly length: number;
  /** Keeps the first `length` rows only. */
  truncate(length: number): void;
}

/** Room on the disk of the store. */
export interface Room {
  /** Bytes that can still be written to it. */
  readonly freeBytes: number;
  /** Whether pushes are rejected because the disk is full. */
  readonly isFull: boolean;
}

/** A connection for reading. It runs one operation at a time. The caller that opened it closes it. */
export interface Reader {
  /** Runs one statement and returns all its rows as objects. */
  all<Row extends Record<string, unknown>>(sql: string, parameters?: Parameters): Promise<Row[]>;
  /** Runs one statement and discards its rows. */
  run(sql: string, parameters?: Parameters): Promise<void>;
  /**
   * Runs one statement, in a read-only transaction of its own, and returns its rows while it runs. An error
   * between two chunks is thrown. Rows that end without an error are complete.
   */
  stream(sql: string, parameters?: Parameters): Promise<ResultStream>;
  /**
   * Runs one statement that returns DOUBLE, UINTEGER and BOOLEAN columns only, in a read-only transaction of
   * its own. `visit` gets each chunk's columns as typed arrays, valid until it returns, and the validity of the
   * column at index `nullable`. No object exists per row, because there can be millions.
   */
  scan(sql: string, parameters: Parameters, nullable: number, visit: ColumnVisitor): Promise<void>;
  /**
   * As `scan`, for a statement that returns a UINTEGER column and then columns of lists of numbers. The lists of
   * a row have the same length. It reads millions of rows that the engine has grouped by the UINTEGER.
   */
  scanLists(sql: string, parameters: Parameters, visit: ListVisitor): Promise<void>;
  /** As `scan`, for a statement over blocks and rows. It returns the columns of `EncodedBlocks` (blocks/decode.ts). */
  scanBlocks(sql: string, parameters: Parameters, visit: BlockVisitor): Promise<void>;
  /** Stops the running statement, which then rejects. */
  interrupt(): void;
  close(): void;
}

export interface Store {
  /** Rejects with `DiskFull` when the disk has no room for the change. */
  commit(change: Change): Promise<void>;
  /**
   * As `commit`, for a change that takes long to write. Commits that follow do not wait for it. They may be stored before it,
   * and their rows before its rows. They must not need anything that it stores, such as its series. No snapshot of the totals
   * may be passed to a commit while rows are written so.
   */
  commitBeside(change: Change): Promise<void>;
  /**
   * Throws `DiskFull` if the disk has no room for a push, see disk-room.ts. Operations that free space may run
   * all the same. For a push the measurement may be a tenth of a second old. Its commit then measures again.
   */
  requireRoom(before?: "push" | "commit"): void;
  /** The room on the disk, at most a tenth of a second old. */
  room(): Room;
  reader(): Promise<Reader>;
  /**
   * As `reader`, on a connection that a reader of this kind may have used before. It has the temporary views and macros that
   * were made on it with `run`, and `run` leaves out a statement that would only make one of them again. Only for callers that
   * may read everything, and that make each view and macro that their statement names.
   */
  statementReader(): Promise<Reader>;
  /** Moves the rows of the journal to their tables. Rejects with `DiskFull` if the disk has no room for that. */
  moveJournal(): Promise<void>;
  /** The days, in ascending order. */
  days(): readonly Day[];
  /**
   * Passes `apply` the rows that the last snapshot of the totals does not contain, in row order. A start
   * replays them. Resolves after the last call of `apply`.
   */
  replay(apply: (rows: Rows) => void): Promise<void>;
  /**
   * Finds the stored samples with the given series and times in one day. Resolves after `visit` was called for
   * each, in row order. A null value is a stale marker. A key that is given twice is found twice.
   */
  find(
    day: number,
    keys: SampleKeys,
    visit: (seriesId: number, timestampUs: number, value: number | null) => void,
  ): Promise<void>;
  /**
   * Drops the days before `firstDay`, the import records that end there, and the series and metrics that the
   * caller knows to end with them. One transaction does this and stores a whole snapshot of the totals.
   */
  dropDaysBefore(firstDay: number, ended: Ended, totals: TotalsSnapshot): Promise<Dropped>;
  /**
   * Deletes samples, in one transaction with a whole snapshot of the totals, and returns their number. Empty
   * days and series stay until retention drops them.
   */
  deleteSamples(deletion: Deletion, totals: TotalsSnapshot): Promise<number>;
  /**
   * Makes blocks of the rows of a day's gauges and cumulative series before a time (blocks/packing.ts). Returns the number of
   * samples that are in blocks now and were rows before: 0 if there are too few, too many other rows, or a copy is made.
   */
  pack(request: PackRequest): Promise<number>;
  /**
   * Holds days: while a consumer reads ranges of ids, the rows of the days that it holds keep their ids. A day is held if any
   * consumer holds it. A follower has records of forwarding (`Change.forwards`): rows are packed when it has received them. While
   * there are records and no follower, nothing is packed.
   */
  holdRows(isHeld: (day: number) => boolean, follower?: RowIdFollower): void;
  /** A number that changes when rows of a day get other ids. Who notes ids compares it after reading. */
  readonly numbering: number;
  /**
   * How many readers were opened that miss what is in the journal, as on a full disk. Who keeps what it reads compares it after
   * reading.
   */
  readonly incompleteReaders: number;
  /**
   * Deletes idempotency keys received before `receivedBeforeMs`, rejected samples that arrived before
   * `rejected.beforeMs`, and the oldest ones past `rejected.max` rows or `rejected.bytesMax` bytes.
   */
  forget(
    receivedBeforeMs: number,
    rejected: { readonly beforeMs: number; readonly max: number; readonly bytesMax: number },
  ): Promise<void>;
  /** Whether a log of this size should be moved now, because later the disk may have no room for a checkpoint. */
  isCheckpointDue(logBytes: number): boolean;
  /**
   * Moves the write-ahead log into the file. Returns false if a reader or a copy prevents it, or if the disk
   * has no room. The checkpoint is then tried again later.
   */
  checkpoint(): Promise<boolean>;
  /**
   * Calls `copy` with the file and its log, and the number of bytes of each to copy. Those bytes contain every
   * earlier commit, and do not change until `copy` resolves, although commits continue. Only another process
   * may copy them: see copy-process.ts. Returns false if days were dropped or rewritten meanwhile. The copy is
   * then unusable.
   */
  whileCopied(copy: (files: StoreFiles) => Promise<void>): Promise<boolean>;
  /**
   * Frees the blocks of the file that the engine keeps in memory, as far as possible, if no more readers are open than
   * `idleReaders`. These must run no statement meanwhile. Readers that are opened meanwhile wait, some milliseconds.
   */
  freeBlocks(idleReaders: number): Promise<void>;
  /** Bytes of the file and of its write-ahead log, without asking the engine. */
  fileSizes(): Promise<{ readonly fileBytes: number; readonly logBytes: number }>;
  /** As `fileSizes`, with the free bytes inside the file, which the engine uses again. */
  size(): Promise<{ readonly fileBytes: number; readonly logBytes: number; readonly freeBytes: number }>;
  close(): Promise<void>;
}

/** The file. Its log is beside it, at `PATH.wal`. */
export interface StoreFiles {
  readonly path: string;
  readonly fileBytes: number;
  readonly logBytes: number;
  /** The key of the journal beside it. A copy needs a journal with this key. Undefined if there is none. */
  readonly journalKey: Uint8Array | undefined;
}

/** Series and metrics without a row in any day. */
export interface Ended {
  readonly seriesIds: readonly number[];
  readonly metrics: readonly string[];
}

/** Samples of some series in a range of time, both ends included, µs. The ends may be infinite. */
export interface Deletion {
  readonly seriesIds: readonly number[];
  readonly fromUs: number;
  readonly toUs: number;
}

export interface Dropped {
  readonly days: readonly number[];
  readonly rows: number;
}

/** Series and times of samples. A gauge or cumulative series has one value per time. */
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

/** The file is damaged, or is not a store. It was not changed. A person has to put another one in its place. */
export class StoreDamaged extends Error {
  override readonly name = "StoreDamaged";
}

/** The files do not belong together, or a newer gateway wrote them. A person has to decide what to do. */
export class StoreMismatch extends Error {
  override readonly name = "StoreMismatch";
}

/** The file has a schema that this version of Weir does not support. */
export class SchemaMismatch extends StoreMismatch {}
