/**
 * The storage interface of the engine: for a selector and a range of time, the series and their samples.
 */
import type { LabelSet } from "./labels.ts";
import type { Matcher } from "./matchers.ts";

/** What a selector reads. */
export interface Selection {
  readonly matchers: readonly Matcher[];
  /** Samples after this time … */
  readonly afterMs: number;
  /** … up to and including this one. */
  readonly toMs: number;
  /**
   * The earliest `afterMs` of all selectors of the query that use the absolute values of samples. Totals that a storage
   * adds up itself begin there, so that the selectors of one query agree. Equal to `afterMs` if only differences
   * between samples are used.
   */
  readonly totalsAfterMs: number;
}

/** The samples of one series, in ascending order of time. The arrays are valid until the next batch is read. */
export interface SeriesSamples {
  readonly labels: LabelSet;
  /** Milliseconds since the epoch, fractions allowed; several samples can have the same time. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** 1 where the sample is a stale marker; absent if none is. */
  readonly stale?: Uint8Array;
}

/** What a storage may use while it answers; see evaluate/budget.ts. */
export interface ReadBudget {
  readonly signal: AbortSignal;
  /** Counts samples that will be read into memory; throws past the query's limit. */
  countSamples(count: number): void;
  /** Counts series; throws past the query's limit. */
  countSeries(count: number): void;
}

/** What a storage can compute itself from the samples of a series in a range, as `X_over_time` would. */
export type Reduction = "max" | "min" | "sum" | "count";

/** The number of a series over a range, and the number of its samples. */
export interface ReducedSeries {
  readonly labels: LabelSet;
  readonly count: number;
  readonly value: number;
}

/** The windows of a range vector: in each step the samples of (lookMs - rangeMs, lookMs]. */
export interface Windows {
  readonly lookMs: Float64Array;
  readonly rangeMs: number;
}

/**
 * The first and the last sample of each window of a series that is never reset, by step. The arrays are valid until the
 * next batch is read.
 */
export interface WindowEnds {
  /** The number of samples in the window; if it is 0, the other values have no meaning. */
  readonly counts: Uint32Array;
  readonly firstTimesMs: Float64Array;
  readonly lastTimesMs: Float64Array;
  /** The indexes of the first and the last among the totals: windows that overlap share them. */
  readonly firstAt: Uint32Array;
  readonly lastAt: Uint32Array;
  readonly totals: Float64Array;
}

export interface Storage {
  /**
   * Returns the series that match, in batches, in any order, each label set once. Series without a sample in the range
   * can be left out.
   */
  select(selection: Selection, budget: ReadBudget): AsyncIterable<readonly SeriesSamples[]>;
  /**
   * Returns the ends of windows, for functions that use nothing else of a counter, and the largest possible number of
   * series. Undefined if the storage cannot find them without the samples between.
   */
  ends?(
    selection: Selection,
    windows: Windows,
    budget: ReadBudget,
  ): Promise<
    | {
        readonly seriesMax: number;
        readonly batches: AsyncIterable<readonly { readonly labels: LabelSet; readonly ends: WindowEnds }[]>;
      }
    | undefined
  >;
  /**
   * Returns one number for each series that matches and has samples in the range, so that the samples of long ranges
   * need not be read. Undefined if the samples themselves are needed.
   */
  reduce?(
    selection: Selection,
    reduction: Reduction,
    budget: ReadBudget,
  ): Promise<readonly ReducedSeries[] | undefined>;
}
