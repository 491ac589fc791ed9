/**
 * The contract of ingest: what it promises to senders, and what it needs of the running totals and of the settings.
 *
 * - A push that is acknowledged as committed is in the file, completely and durably.
 * - A push that is rejected leaves nothing behind.
 * - A push that is acknowledged as queued is admitted. It is lost only if the process ends before its commit, or if
 *   that commit fails.
 */
import type { Counters } from "../model/counters.ts";
import type { GroupRecord, LastPushRecord, TotalsSnapshot } from "../model/records.ts";
import type { Batch, Labels, Rejection, Rows, Series } from "../model/sample.ts";

/** A key as a request carries it. */
export interface Idempotency {
  /** The route and the token that the key belongs to. */
  readonly scope: string;
  readonly key: string;
  /** The hash of the body, by which a repeat with another body is recognised. */
  readonly bodyHash: string;
}

/** A part of a file that a push contains. */
export interface ImportChunk {
  /** The name of the import. */
  readonly file: string;
  /** `file` if absent. */
  readonly firstLineHash?: string;
  /** What distinguishes the file from others that begin with the same line, as the importer wrote it. */
  readonly identity?: string;
  /** Bytes (uncompressed) before the chunk. */
  readonly fromOffset: number;
  /** Bytes up to the end of the chunk, which is the end of a line. */
  readonly toOffset: number;
  readonly lastLineHash: string;
}

/** The options of a push. */
export interface PushOptions {
  /** Added to samples that have no such tag of their own. Pass the same object for equal label sets: that is fast. */
  readonly extraLabels?: Labels;
  /**
   * Added to all samples. A sample that has another value of such a tag is rejected. Pass the same object for equal
   * label sets.
   */
  readonly boundLabels?: Labels;
  readonly idempotency?: Idempotency;
  /** Set if the samples are lines of an imported file. */
  readonly imported?: ImportChunk;
  /** Whether the samples do not count in totals. By default only those of imported files do not. */
  readonly historical?: boolean;
  /**
   * Set if rejected samples are pushed again: by position, the id of each. Those that are not rejected again leave the
   * table of rejected samples with the same commit, and the others stay there as they were.
   */
  readonly replayed?: readonly number[];
  /** `queued` resolves after admission. If the commit then fails, the loss is logged and counted. */
  readonly durability?: "committed" | "queued";
}

/** The result of a push. */
export interface Ack {
  readonly accepted: number;
  readonly duplicates: number;
  /** Exemplars that were accepted. */
  readonly exemplars: number;
  /**
   * Rejected samples, in the order of the body. For a repeated push these are only the first ones of the earlier
   * push, without their payloads.
   */
  readonly rejected: readonly Rejection[];
  readonly rejectedCount: number;
  /** True if this is the answer of an earlier push with the same idempotency key. */
  readonly repeated?: boolean;
  readonly durability: "committed" | "queued";
}

/** The cause of a rejection: the same request has another value for this series and time before it. */
export const REPEATED = "repeated";

/** Which timestamps are accepted now. */
export interface Times {
  readonly nowUs: number;
  /** Samples before this are rejected: the start of retention. */
  readonly firstUs: number;
  /** Samples after this are rejected. */
  readonly lastUs: number;
  /**
   * The newest time of a gauge's or cumulative series that was admitted, also by a push that is not committed yet.
   * -Infinity if there is none.
   */
  readonly newestUs: (seriesId: number) => number;
}

/** What a transaction stores: samples, and the groups that it changes. */
interface TransactionDecision {
  readonly batch: Batch;
  /** By head of the batch: its series, which is registered. */
  readonly seriesIds: readonly number[];
  readonly groups: readonly GroupRecord[];
}

/**
 * A push whose samples depend on all pushes before it, including those that wait in the queue. It is decided when the
 * writer takes it from the queue.
 */
export interface Transaction {
  readonly protocol: string;
  /** Its approximate number of samples, which counts against the limits of the queue. */
  readonly samples: number;
  /** Returns what is to be stored. If it throws, the push is rejected. Transactions are decided one after the other. */
  readonly decide: (times: Times) => TransactionDecision | Promise<TransactionDecision>;
}

/**
 * A receiver that has series of its own, which its transactions change. It learns the outcome of all that it decided
 * since the last call.
 */
export interface SeriesOwner {
  /** Whether it has a series. Retention keeps such a series, however old its samples are. */
  holds(seriesId: number): boolean;
  /** Whether it has any series. */
  readonly holdsAny: boolean;
  /** The decided changes are stored, and their samples are in the running totals. */
  committed(): void;
  /** None of the decided changes is stored. */
  failed(): void;
}

/** The running totals, as the writer uses them. */
export interface TotalsSink {
  /** The number of series that are defined and were not ended. */
  readonly exposedSeries: number;
  /** The number of series that changed since the last snapshot. */
  readonly changedSeries: number;
  /** @param isHeld whether an owner exposes it, so that the totals do not */
  define(series: Series, isHeld?: boolean): void;
  end(seriesId: number): void;
  forget(seriesId: number): void;
  apply(rows: Rows, arrivedUs: number): void;
  snapshot(whole: boolean): TotalsSnapshot;
  lastUs(seriesId: number): number;
  noteLastPush(job: string, instance: string, ms: number): void;
  lastPushRecords(): LastPushRecord[];
}

/** Learns which rows are stored, before the pushes that sent them are answered. */
export interface RowsFollower {
  add(rows: Rows): void;
  /** Rows will be deleted. `forget` follows, also if none was. */
  expectDeletion?(): void;
  /** Rows were deleted, or committed without `add`. */
  forget(): void;
  /** The days before `firstDay` were dropped. */
  dropBefore(firstDay: number): void;
}

export interface IngestOptions {
  readonly counters: Counters;
  readonly retentionDays: number;
  readonly retentionBytes: number;
  readonly futureMs: number;
  readonly totalsLateMs: number;
  readonly queueSamplesMax: number;
  readonly queueBytesMax: number;
  readonly seriesMax: number;
  /** Protocols whose series are exposed although they are not by default. */
  readonly exposeProtocols: readonly string[];
  readonly snapshotIntervalMs: number;
  readonly snapshotRows: number;
  readonly idempotencyTtlMs: number;
  readonly rejectedMax: number;
  readonly rejectedBytesMax: number;
  readonly checkpointLogBytes: number;
  readonly now: () => number;
  /** Called for each push with rejected samples that was answered. */
  readonly onRejected?: (push: {
    readonly protocol: string;
    readonly instance: string;
    readonly rejected: readonly Rejection[];
  }) => void;
  readonly follower?: RowsFollower;
  /**
   * The first day that is kept, given the first day that retention keeps: days before it may be held, because a destination
   * has not received them.
   */
  readonly heldFrom?: (firstDay: number) => Promise<number>;
  /** Called once for each internal fault. */
  readonly onFault: (message: string, error: unknown) => void;
}
