/** What PromQL needs of an archive (src/archive/README.md): its days, and their files on this machine. */
import type { RequestError } from "../../../model/errors.ts";
import type { Kind, MetricType } from "../../../model/sample.ts";
import { QueryError } from "../query-errors.ts";

/** A file of the archive, by its path below it. */
export interface ArchiveFile {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  /** Numbers of series are those of the day's files of series with the same value. */
  readonly drops?: number;
}

/** Samples of one metric, ordered by series, time and arrival: the columns `ts`, `value` and `series`, and others. */
export interface PromqlPart extends ArchiveFile {
  /** The labels that are behind its columns. */
  readonly labels: readonly string[];
}

/** A metric of a day. */
export interface PromqlArchivedMetric {
  readonly name: string;
  readonly kind: Kind;
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
  readonly buckets: readonly number[];
  /** In the order of arrival, if samples of one series and time are in several. */
  readonly parts: readonly PromqlPart[];
}

/** A day that is in the archive and not here, or what of a day is only in the archive. */
export interface PromqlArchivedDay {
  readonly day: number;
  readonly rows: number;
  readonly metrics: readonly PromqlArchivedMetric[];
  /** Files with the number, the metric and the labels of each series. */
  readonly series: readonly ArchiveFile[];
}

export interface PromqlArchive {
  /** The most bytes that a query reads. */
  readonly bytesMax: number;
  /** Resolves when the archive was read, or could not be. If it was read long ago, that begins again, and nothing waits. */
  ready(stop: AbortSignal): Promise<void>;
  /** Why days of the archive may be missing in `days`. Undefined if none is. */
  readonly missing: RequestError | undefined;
  /** The days from `firstDay` to `lastDay`, in ascending order. */
  days(firstDay: number, lastDay: number): readonly PromqlArchivedDay[];
  /** Whether a day is here, and some of its samples are only in the archive. */
  isPartial(day: number): boolean;
  /** Fetches files, which stay until they are released. When `stop` aborts, nothing waits for them any more. */
  hold(
    files: readonly ArchiveFile[],
    stop: AbortSignal,
  ): Promise<{ readonly path: (file: ArchiveFile) => string; readonly release: () => void }>;
}

/** The archive cannot be read. The query is answered without it. */
export class ArchiveAway extends QueryError {
  override readonly errorType = "unavailable";
  override readonly status = 503;
  override readonly code = "unavailable";
}
