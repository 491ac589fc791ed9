/**
 * What PromQL's storage reads: series that match, and rows of day tables. The thread that owns the store answers from
 * its registry and its tables ([own-rows.ts](own-rows.ts)). A Worker asks that thread (../worker/remote-rows.ts).
 */
import type { Source } from "../catalog/catalog.ts";
import type { CellColumns, CellsAsked } from "../cells/cell-columns.ts";
import type { SampleColumns, SamplesAsked } from "../cells/sample-columns.ts";
import type { CodeColumns } from "../cells/code-chunks.ts";
import type { CodesAsked } from "../cells/event-codes.ts";
import type { Matcher } from "../matchers.ts";
import type { SharedAnswer, SharedAsked, SharedMade, Ticket } from "../shared/shared-samples.ts";
import type { NumberedSources } from "../catalog/found-series.ts";
import type { UpstreamAnswer, UpstreamAsked } from "../../upstream/upstream-messages.ts";
import type { StoredDay, TableReader } from "./table-reader.ts";

/** Only one query at a time reads a large portion: see portions.ts. */
export interface LargeReads {
  /** Runs a read when no other large one runs. Throws the reason of `signal` if that aborts before. */
  run<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /**
   * Frees the memory of earlier portions. The collector alone leaves it for so long that four queries at once over 10 million
   * samples need 1.3 GB. Absent on the thread that accepts pushes, which must not pause.
   */
  readonly free?: () => void;
}

/** Reads archived days as days of the store. After `open`, their tables can be read as those of days. */
export interface ArchivedReads extends Pick<StoredRows, "withSamplesIn"> {
  /** The archived days of a range of days. Once per query. */
  open(firstDay: number, lastDay: number): Promise<ArchiveOpened>;
  /** As `find` of StoredRows, here and in the archive. */
  find(
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    signal?: AbortSignal,
  ): Promise<readonly Source[]>;
}

/** The archived days of a range, or why they cannot be read. */
export type ArchiveOpened = { readonly days: readonly StoredDay[] } | { readonly failure: string };

/** See ../shared/shared-samples.ts. */
export interface SharedReads {
  read(seriesIds: Uint32Array, asked: SharedAsked): Promise<SharedAnswer>;
  settle(ticket: Ticket, result: SharedMade | "too large" | "failed"): void;
}

export interface StoredRows {
  /** In ascending order. */
  days(): readonly StoredDay[];
  /** The series that match and may have samples in the days from `firstDay` to `lastDay`. */
  find(
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    signal?: AbortSignal,
  ): Promise<readonly Source[]>;
  /** The number of a result of `find` that is remembered. Without the function, none is. */
  readonly numberOf?: (sources: readonly Source[]) => NumberedSources | undefined;
  /** Those of some stored series that have samples in the days. */
  withSamplesIn(
    seriesIds: readonly number[],
    firstDay: number,
    lastDay: number,
  ): Promise<ReadonlySet<number>>;
  readonly large: LargeReads;
  /**
   * The rows of some series as cells of the grid, if they are kept (../cells/grid-cells.ts). Undefined if the rows have
   * to be read. Without the function, no cells are kept.
   */
  readonly cells?: (seriesIds: Uint32Array, asked: CellsAsked) => Promise<CellColumns | undefined>;
  /**
   * The recent samples of those of some gauges and cumulative series that are kept. Undefined if all rows have to be
   * read. Without the function, no samples are kept.
   */
  readonly samples?: (seriesIds: Uint32Array, asked: SamplesAsked) => Promise<SampleColumns | undefined>;
  /**
   * The rows of some series of observations as codes, if they are kept (../cells/event-codes.ts). Undefined if the rows
   * have to be read. Without the function, no codes are kept.
   */
  readonly codes?: (seriesIds: Uint32Array, asked: CodesAsked) => Promise<CodeColumns | undefined>;
  /** Samples of the upstream (src/query/upstream/README.md). Without the function, there is none. */
  readonly upstream?: (asked: UpstreamAsked, signal: AbortSignal) => Promise<UpstreamAnswer>;
  /** The days of an archive that are not here (src/archive/README.md). Without it, there are none. */
  readonly archive?: ArchivedReads;
  /** What is kept of gauges and cumulative series. Without it, all samples have to be read. */
  readonly shared?: SharedReads;
  /** For one query; `signal` stops what it runs. */
  tables(signal: AbortSignal): TableReader;
}
