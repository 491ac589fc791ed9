/** What a function over a range vector sees of one series in one step, and what such a function is. */

/** One object is used for all steps of a series: functions read it and keep nothing of it. */
export interface Window {
  timestampsMs: Float64Array;
  values: Float64Array;
  /** The samples are those at lo ≤ index < hi; at least one. */
  lo: number;
  hi: number;
  /** The range is (startMs, endMs]. */
  startMs: number;
  endMs: number;
  rangeMs: number;
  /** The time of the step itself, without offset and `@`. */
  evaluationMs: number;
  step: number;
}

/** Gives undefined where there is no result. */
export type RangeFunction = (window: Window) => number | undefined;
