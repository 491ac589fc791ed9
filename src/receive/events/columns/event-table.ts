/**
 * Events as columns: what the decoders of Arrow streams and of JSON columns pass on. A table has the rows of one record
 * batch, or of one JSON object.
 */
import type { TagCells } from "../../../wire/tag-cells.ts";
import type { Loss } from "../event-losses.ts";

export interface EventTable {
  readonly rows: number;
  /** The name of all rows, or a column of names. */
  readonly metric: string | TagCells;
  /** `observation`, `counter`, `gauge` or `cumulative`. */
  readonly type: string;
  readonly unit?: string;
  readonly help?: string;
  /**
   * Microseconds since the epoch by row: NaN if the row has no time, infinite if its time is not valid. Absent if no row
   * has one.
   */
  readonly timestampUs?: Float64Array;
  /** By row, NaN also if there is no value. */
  readonly value: Float64Array;
  /** By row: 1 if it is a stale marker. Absent if there is none. */
  readonly stale?: Uint8Array;
  /** Tags that all rows have. No name is also that of a column. */
  readonly constants: readonly (readonly [name: string, value: string])[];
  readonly tags: readonly { readonly name: string; readonly cells: TagCells }[];
  /** Rows whose value no 64-bit float represents. */
  readonly inexact: readonly number[];
  /** Rows with a cell that cannot be a tag. */
  readonly wrongCells?: readonly { readonly row: number; readonly reason: string }[];

  /** Whether a row whose value is NaN was sent so, and does not lack a value. */
  isNaN(row: number): boolean;
  /** Why the value of a row is none. */
  whyNoValue(row: number): string;
  /** Why the time of a row is none. */
  whyNoTime(row: number): string;
  /** What is lost of the value of one of the rows of `inexact`. */
  lossOf(row: number): Loss;
  /** The row as an event, for the table of rejected samples. */
  eventText(row: number): string;
}
