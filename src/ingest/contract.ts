/**
 * What ingest promises to whoever pushes, and what it wants of the running totals and of its settings.
 *
 * A push that is acknowledged as committed is in the file, whole, for good; one that is refused left nothing
 * behind; one that is queued is admitted, and lost only if the process dies before its commit.
 */
import type { Batch, Labels, Rejection, Rows, Series } from "../model/sample.ts";
import type { GroupRecord, LastPushRecord, TotalsSnapshot } from "../store/store.ts";
import type { Idempotency } from "./idempotency.ts";
import type { ImportChunk } from "./imports.ts";

/** What a push may ask for beside its samples. */
export interface PushOptions {
  /** Added where a sample has no such tag of its own. Equal label sets must be the same object to be fast. */
  readonly extraLabels?: Labels;
  readonly idempotency?: Idempotency;
  /** The samples are lines of a file; they do not count in totals. */
  readonly imported?: ImportChunk;
  /** The samples do not count in totals. */
  readonly historical?: boolean;
  /** `queued` resolves after admission; what then cannot be committed is logged and counted. */
  readonly durability?: "committed" | "queued";
}

/** What became of a push. */
export interface Ack {
  readonly accepted: number;
  readonly duplicates: number;
  /** Exemplars that were taken. */
  readonly exemplars: number;
  /** What was turned away, in the body's order; of an earlier push's only the first, without their payloads. */
  readonly rejected: readonly Rejection[];
  readonly rejectedCount: number;
  /** The answer is that of an earlier push with the same idempotency key. */
  readonly repeated?: boolean;
  readonly durability: "committed" | "queued";
}

/** What timestamps are taken now. */
export interface Times {
  readonly nowUs: number;
  /** Samples before this are refused: the start of retention. */
  readonly firstUs: number;
  /** Samples after this are refused. */
  readonly lastUs: number;
}

/** What a transaction stores: samples, and groups that are others now. */
export interface TransactionDecision {
  readonly batch: Batch;
  readonly groups: readonly GroupRecord[];
}

/**
 * A push whose samples depend on what was pushed before it, all that waits included: they are asked for when its
 * turn to be committed comes.
 */
export interface Transaction {
  readonly protocol: string;
  /** About how many samples it has: counts against the bounds of the queue. */
  readonly samples: number;
  /** Gives what is to be stored; what it throws refuses the push. None is asked before the one before has decided. */
  readonly decide: (times: Times) => TransactionDecision | Promise<TransactionDecision>;
}

/** Who decides transactions: is told what became of all that was decided since the last word. */
export interface GroupsSink {
  committed(): void;
  failed(): void;
  /** Whether a series is to be kept, whatever the age of its samples. */
  holds(seriesId: number): boolean;
}

/** Running totals, as the writer feeds them. */
export interface TotalsSink {
  /** Series that are defined and were not ended. */
  readonly exposedSeries: number;
  define(series: Series): void;
  end(seriesId: number): void;
  forget(seriesId: number): void;
  apply(rows: Rows, arrivedUs: number): void;
  snapshot(whole: boolean): TotalsSnapshot;
  lastUs(seriesId: number): number;
  noteLastPush(job: string, instance: string, ms: number): void;
  lastPushRecords(): LastPushRecord[];
}

export interface IngestOptions {
  readonly retentionDays: number;
  readonly retentionBytes: number;
  readonly futureMs: number;
  readonly totalsLateMs: number;
  readonly queueSamplesMax: number;
  readonly queueBytesMax: number;
  readonly seriesMax: number;
  /** Of the protocols that are not exposed by themselves, those whose series are. */
  readonly exposeProtocols: readonly string[];
  readonly snapshotIntervalMs: number;
  readonly snapshotRows: number;
  readonly idempotencyTtlMs: number;
  readonly rejectedMax: number;
  readonly checkpointLogBytes: number;
  readonly now: () => number;
  /** Told of faults of ours, once each. */
  readonly onFault: (message: string, error: unknown) => void;
}
