/**
 * What the first thread and a thread that decodes bodies send each other. Bodies and columns are transferred, not copied.
 * Series are sent once, and have a number in later batches.
 */
import type { Batch, SeriesHead } from "../../model/sample.ts";
import type { NameLimits } from "../../series/naming.ts";
import type { ColumnForm } from "../events/columns/column-form.ts";
import type { ColumnParameters } from "../events/columns/column-parameters.ts";

export interface EventsTask {
  readonly kind: "events";
  readonly ndjson?: boolean;
  readonly strict: boolean;
}

export interface ColumnsTask {
  readonly kind: "columns";
  readonly form: ColumnForm;
  readonly parameters: ColumnParameters;
}

export interface WrittenTask {
  readonly kind: "remote_write_1" | "remote_write_2";
  /** Of the message. The body is a snappy block of it. */
  readonly bytes: number;
}

/** What is decoded, and how. */
export type DecodeTask = EventsTask | ColumnsTask | WrittenTask;

export type DecodeKind = DecodeTask["kind"];

export interface DecodeLimits extends NameLimits {
  readonly eventsMax: number;
  readonly inflatedBytesMax: number;
}

/** Which tags are attributes. */
export interface AttributeRules {
  /** Another number if the rules have changed. */
  readonly epoch: number;
  /** Of all metrics. */
  readonly names: readonly string[];
  /** The labels of each metric that were demoted. */
  readonly demoted: readonly (readonly [metric: string, labels: readonly string[]])[];
}

/** Series of one kind of task that are sent the first time: they have the numbers behind those before. */
export interface FreshHeads {
  /** Another number if all series and lists were forgotten, and numbers begin at 0 again. */
  readonly generation: number;
  readonly heads: readonly SeriesHead[];
}

/** A batch without its series. */
export interface SentBatch {
  readonly fresh: FreshHeads;
  /** The number of its list of series, or -1 if the list is not remembered. */
  readonly list: number;
  /** The numbers of its series. Absent if the list was sent before. */
  readonly numbers?: Uint32Array<ArrayBuffer>;
  readonly columns: Omit<Batch, "heads">;
  /** Of remote_write: the samples of the request, with the rejected ones. */
  readonly samples: number;
}

export type ToDecoder =
  | { readonly type: "open"; readonly limits: DecodeLimits }
  | { readonly type: "rules"; readonly rules: AttributeRules }
  /** What is known of series of this kind has changed. They have to be sent again. */
  | { readonly type: "forget"; readonly kind: DecodeKind }
  | {
      readonly type: "decode";
      readonly id: number;
      readonly task: DecodeTask;
      readonly body: Uint8Array;
      /** The number of series that exist. As many are remembered. */
      readonly seriesCount: number;
    };

export type FromDecoder =
  | { readonly type: "decoded"; readonly id: number; readonly batch: SentBatch }
  /** The first thread has to decode the body, because it is invalid or unusual. */
  | {
      readonly type: "left";
      readonly id: number;
      readonly body: Uint8Array;
      readonly fresh: FreshHeads | undefined;
    };
