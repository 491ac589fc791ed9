/** Records that several rooms share: made by one, stored by the store, and restored at a start. */

/** A group of pushed series (src/receive/pushgateway/groups/groups.ts), or the deletion of one. */
export interface GroupRecord {
  readonly key: string;
  /** The group's families and series, as JSON. Null when the group was deleted. */
  readonly definition: string | null;
}

/** Something that notifications keep (src/rules/notifications/notification-records.ts), or its deletion. */
export interface NotificationRecord {
  readonly key: string;
  /** JSON. Null when it was deleted. */
  readonly definition: string | null;
}

/** The running totals of one series. */
export interface TotalsRecord {
  readonly seriesId: number;
  /** The number of live samples. */
  readonly count: number;
  /**
   * Observations and deltas: the sum, as two doubles. Gauges and cumulative series: the timestamp of `value`
   * (µs), and 0.
   */
  readonly sumHigh: number;
  readonly sumLow: number;
  /** Gauges and cumulative series: the exposed value. Null after a stale marker, and for other kinds. */
  readonly value: number | null;
  /** Timestamp of the first live sample, µs. */
  readonly createdUs: number;
  /** Timestamp of the newest sample, live or not, µs. */
  readonly lastUs: number;
  /** When the newest live sample arrived, µs. 0 if there was none. */
  readonly arrivedUs: number;
  /** Observations: counts by bucket, not cumulative. One more than the metric's bounds; else empty. */
  readonly buckets: ArrayLike<number>;
}

/**
 * Totals of the series that changed since the previous snapshot, or of all series: the fields of TotalsRecord as columns.
 * There may be a million series, and pushes wait while a snapshot is taken.
 */
export interface TotalsSnapshot {
  /** The number of series. */
  readonly length: number;
  readonly seriesId: Readonly<Uint32Array>;
  readonly count: Readonly<Float64Array>;
  readonly sumHigh: Readonly<Float64Array>;
  readonly sumLow: Readonly<Float64Array>;
  readonly value: Readonly<Float64Array>;
  /** 1 where `value` is null. */
  readonly noValue: Readonly<Uint8Array>;
  readonly createdUs: Readonly<Float64Array>;
  readonly lastUs: Readonly<Float64Array>;
  readonly arrivedUs: Readonly<Float64Array>;
  /** By series: where its buckets begin in `buckets`. The last one is their end. */
  readonly firstBucket: Readonly<Uint32Array>;
  readonly buckets: Readonly<Float64Array>;
  /** True if it has all series. Older generations are then dropped. */
  readonly whole: boolean;
}

/** When a job and instance ("" if it has none) last pushed. */
export interface LastPushRecord {
  readonly job: string;
  readonly instance: string;
  readonly pushedAtMs: number;
}

/** Something that forwarding keeps (src/forward/outbox/outbox.ts), or its deletion. */
export interface ForwardRecord {
  /** `NAME/STREAM/DAY`, the day as 2026-11-25. */
  readonly key: string;
  /** `ForwardedRows` as JSON. Null when it was deleted. */
  readonly definition: string | null;
}

/** What the archive has of a day (src/archive/README.md), or its deletion. */
export interface ArchiveRecord {
  /** The day: 2026-11-25. */
  readonly key: string;
  /** `ArchivedRows` as JSON. Null when it was deleted. */
  readonly definition: string | null;
}

/** What the archive has of a day: its samples in blocks, and the rows of its table before a row id. */
export interface ArchivedRows {
  /** Where the archive is, without secrets. */
  readonly target: string;
  /** The row id behind the last row that the archive has. Absent until the first manifest of the day is written. */
  readonly archivedEnd?: number;
  /** The row id behind the last row of the files that are being written. Absent if none are. */
  readonly writingEnd?: number;
  /** Identifies what is being written. A manifest has the one of the writing that made it. */
  readonly writing?: string;
  /** Whether the files that are being written replace those of the manifest. */
  readonly replaces?: boolean;
  /** Samples, files and their bytes in the manifest. */
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
  readonly archivedAtMs?: number;
  /** Whether samples were deleted since it was written: all files of the day are written again. */
  readonly changed?: boolean;
  /** Whether the day was dropped since. Samples of the day that are here came later, and the archive does not have them. */
  readonly gone?: boolean;
  /** How often the day had been dropped when its rows were archived last. */
  readonly drops?: number;
}

/** Ids of rows of one day: from the first, up to and without the second. */
export type RowRange = readonly [from: number, to: number];

/** What a destination has received of one day. A deletion of samples changes the ids, and this with it. */
export interface ForwardedRows {
  /** Ascending, without gaps of length 0 between them. */
  readonly sent: readonly RowRange[];
  /** Requests whose answer is not known. A start sends the same rows again, with the same keys. */
  readonly open?: readonly OpenRange[];
  /** Counters of events: the newest instant that was sent, in milliseconds. */
  readonly lastMs?: number;
}

/** Rows of a request that has a key. */
export type OpenRange = readonly [from: number, to: number, key: string];
