/**
 * What the thread that owns the store and a Worker tell each other. The owner gives a Worker one task at a time. The
 * Worker asks the owner for series and rows while it works, and then sends the answer in pieces. Columns and pieces are
 * transferred, not copied.
 */
import type { EncodedBlocks } from "../../../store/blocks/decode.ts";
import type { EngineOptions, PromqlQueryOptions } from "../engine.ts";
import type { MillisecondRange } from "../../series-export.ts";
import type { MatchOperator } from "../matchers.ts";
import type { CellsAsked } from "../cells/cell-columns.ts";
import type { CodesAsked } from "../cells/event-codes.ts";
import type { SamplesAsked } from "../cells/sample-columns.ts";
import type { NumberedSources } from "../catalog/found-series.ts";
import type { SharedAsked, SharedMade, Ticket } from "../shared/shared-samples.ts";
import type { DayStatement, RowColumns, RowLists, StoredDay } from "../store/table-reader.ts";
import type { UpstreamAsked, UpstreamRules } from "../../upstream/upstream-messages.ts";
import type { PlainError } from "./plain-error.ts";

/** How an answer to a query is written. */
export interface Shown {
  /** The most series. */
  readonly limit: number;
  readonly stats?: boolean;
  readonly explain?: boolean;
  /** Whether a query fails that needs the upstream and has no answer of it. Otherwise it is answered without. */
  readonly needsUpstream?: boolean;
}

type QueryOptions = Omit<PromqlQueryOptions, "signal">;

/** A task of a Worker. The answer is the text of an answer of Prometheus's API. */
export type Task =
  | {
      readonly kind: "instant";
      readonly text: string;
      readonly timeMs: number;
      readonly options: QueryOptions;
      readonly shown: Shown;
    }
  | {
      readonly kind: "range";
      readonly text: string;
      readonly startMs: number;
      readonly endMs: number;
      readonly stepMs: number;
      readonly options: QueryOptions;
      readonly shown: Shown;
    }
  | BatchTask
  | { readonly kind: "format"; readonly text: string }
  | { readonly kind: "tree"; readonly text: string }
  | ExportTask
  | SelectorsTask;

/**
 * Expressions that are evaluated at one time, and whose reads are merged. Each piece of the answer has lines of JSON with
 * the results of some of them, in the order in which they are ready: `{"at", "answer"}` or `{"at", "error"}`.
 */
export interface BatchTask {
  readonly kind: "batch";
  readonly texts: readonly string[];
  readonly timeMs: number;
  readonly options: QueryOptions;
  readonly shown: Shown;
}

/** The Worker writes the samples of selected series. */
export interface ExportTask {
  readonly kind: "export";
  readonly texts: readonly string[];
  readonly range: MillisecondRange;
  readonly format: ExportFormat;
}

/** See src/query/series-lines.ts. */
export type ExportFormat =
  | { readonly as: "json"; readonly rowsMax?: number }
  | { readonly as: "text" }
  | { readonly as: "csv"; readonly columns: string };

/** The Worker parses selectors, and evaluates their regular expressions until the owner gives it another task. */
export interface SelectorsTask {
  readonly kind: "selectors";
  /** Selectors, or one expression whose selectors are meant. */
  readonly texts: readonly string[];
  readonly isExpression?: boolean;
  /** Whether `{}` and the like are accepted. */
  readonly mayFindAll?: boolean;
}

/** What a Worker needs to know of the gateway. */
export interface TaskSettings extends EngineOptions {
  readonly observationStepMs: number;
  readonly seriesIdleMs: number;
  readonly nowMs: number;
  readonly days: readonly StoredDay[];
  /** Set if samples of the upstream count too. */
  readonly upstream?: UpstreamRules;
  /** Whether archived days can be read. */
  readonly hasArchive: boolean;
  /** Whether samples of gauges and cumulative series are kept in shared memory for the task. */
  readonly hasShared: boolean;
}

export interface PlainMatcher {
  readonly name: string;
  readonly operator: MatchOperator;
  readonly value: string;
}

/** A question of a Worker. */
export type Ask =
  /** In parts: texts of sources-text.ts. The answer is a FoundAnswer, or nothing if the result has no number. */
  | {
      readonly what: "find";
      readonly matchers: readonly PlainMatcher[];
      readonly firstDay: number;
      readonly lastDay: number;
      /** Whether the parts are needed, although they were sent before. */
      readonly isAgain?: boolean;
      readonly withArchived?: boolean;
    }
  /** The answer is a Uint32Array of ids. */
  | {
      readonly what: "withSamplesIn";
      readonly seriesIds: Uint32Array;
      readonly firstDay: number;
      readonly lastDay: number;
      readonly withArchived?: boolean;
    }
  /** The answer is an ArchiveOpened. */
  | { readonly what: "archive"; readonly firstDay: number; readonly lastDay: number }
  /** The answer is a CellColumns, or nothing if the rows have to be read. */
  | { readonly what: "cells"; readonly seriesIds: Uint32Array; readonly asked: CellsAsked }
  /** The answer is a SampleColumns, or nothing if the rows have to be read. */
  | { readonly what: "samples"; readonly seriesIds: Uint32Array; readonly asked: SamplesAsked }
  /** The answer is a CodeColumns, or nothing if the rows have to be read. */
  | { readonly what: "codes"; readonly seriesIds: Uint32Array; readonly asked: CodesAsked }
  /** The answer is a SharedAnswer. */
  | { readonly what: "shared"; readonly seriesIds: Uint32Array; readonly asked: SharedAsked }
  /** In parts: RowColumns. A reader runs one statement at a time. */
  | {
      readonly what: "scan";
      readonly reader: number;
      readonly statement: DayStatement;
      readonly nullable: number;
    }
  /** In parts: RowLists. */
  | { readonly what: "scanLists"; readonly reader: number; readonly statement: DayStatement }
  /** In parts: EncodedBlocks. */
  | { readonly what: "scanBlocks"; readonly reader: number; readonly statement: DayStatement }
  /** The answer is a UpstreamAnswer. */
  | { readonly what: "upstream"; readonly asked: UpstreamAsked }
  /** Answered when no other large read runs; see `largeDone`. */
  | { readonly what: "large" }
  /** Of an export. Answered when it may compute; see `turnDone`. */
  | { readonly what: "turn" };

export interface FoundAnswer extends NumberedSources {
  /** Whether the parts were sent before, and not again. */
  readonly isKnown: boolean;
}

export type AskPart = string | RowColumns | RowLists | EncodedBlocks;

export type ToWorker =
  /** Asks which texts a regular expression matches. A Worker answers at any time of its task. */
  | {
      readonly type: "test";
      readonly test: number;
      readonly expression: string;
      readonly texts: readonly string[];
    }
  | { readonly type: "run"; readonly task: Task; readonly settings: TaskSettings }
  /** Nobody waits for the answer any more. The Worker fails the task. */
  | { readonly type: "abort" }
  | { readonly type: "part"; readonly ask: number; readonly part: AskPart }
  | { readonly type: "answered"; readonly ask: number; readonly value?: unknown }
  | { readonly type: "refused"; readonly ask: number; readonly error: PlainError }
  /** A piece of the answer was read by its client: another can be sent. */
  | { readonly type: "read" };

export type FromWorker =
  | { readonly type: "selectors"; readonly selectors: readonly (readonly PlainMatcher[])[] }
  /** 1 for each text that matches. */
  | { readonly type: "tested"; readonly test: number; readonly marks: Uint8Array<ArrayBuffer> }
  | { readonly type: "ask"; readonly ask: number; readonly request: Ask }
  /** A part was used: another can be sent. */
  | { readonly type: "taken"; readonly ask: number }
  /** No further parts are wanted. The question is still answered or refused. */
  | { readonly type: "enough"; readonly ask: number }
  | { readonly type: "closeReader"; readonly reader: number }
  | { readonly type: "largeDone" }
  /** What was made for a group of series, or why nothing was: see SharedSamples. */
  | {
      readonly type: "settle";
      readonly ticket: Ticket;
      readonly result: SharedMade | "too large" | "failed";
    }
  /** An export waits for its client, or has ended. */
  | { readonly type: "turnDone" }
  | {
      readonly type: "piece";
      readonly piece: Uint8Array<ArrayBuffer>;
      readonly isLast: boolean;
      /** After the last piece: the thread frees memory before it takes another task, and then says `ready`. */
      readonly isFreeing: boolean;
    }
  | { readonly type: "failed"; readonly error: PlainError; readonly isFreeing: boolean }
  | { readonly type: "ready" };

/** Parts of an answer that are sent before the first of them was used. A part can have 48 MB. */
export const PARTS_AHEAD = 2;
/** Pieces of an answer that are sent before the first of them was read: 8 MB. */
export const PIECES_AHEAD = 32;
