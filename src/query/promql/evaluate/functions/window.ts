/** The window of one series in one step that a function over a range vector sees, and the type of such a function. */

/** One object is reused for all steps of a series: functions read it and must not keep it. */
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
  /** The resets of the series, once a function has looked for them. */
  resets: readonly number[] | undefined;
}

/** Returns undefined if there is no result. */
export type RangeFunction = (window: Window) => number | undefined;
