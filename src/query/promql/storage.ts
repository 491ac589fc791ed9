/**
 * What the engine needs of a storage: for a selector and a range of time the series and their samples.
 */
import type { LabelSet } from "./labels.ts";
import type { Matcher } from "./matchers.ts";

/** What a selector asks for. */
export interface Selection {
  readonly matchers: readonly Matcher[];
  /** Samples after this time … */
  readonly afterMs: number;
  /** … up to and at this one. */
  readonly toMs: number;
  /**
   * The earliest `afterMs` of all selectors of the query whose samples' absolute values count: totals that a
   * storage adds up by itself begin there, so that the selectors of one query agree. Equal to `afterMs` where
   * only differences between samples are looked at.
   */
  readonly totalsAfterMs: number;
}

/** The samples of one series, in ascending order of time. The arrays hold them until the next batch is asked for. */
export interface SeriesSamples {
  readonly labels: LabelSet;
  /** Milliseconds since the epoch, fractions allowed; equal times may stand beside each other. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** 1 where the sample says that the series ended there; absent when none does. */
  readonly stale?: Uint8Array;
}

/** What a storage may use up while it answers; see evaluate/budget.ts. */
export interface ReadBudget {
  readonly signal: AbortSignal;
  /** Counts samples about to be read into memory; throws past the query's limit. */
  countSamples(count: number): void;
  /** Counts series; throws past the query's limit. */
  countSeries(count: number): void;
}

/** What a storage may make of the samples of a series over a range by itself, as `X_over_time` would. */
export type Reduction = "max" | "min" | "sum" | "count";

/** A series' number over a range, and of how many samples it is made. */
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
 * The first and the last sample of each window of a series that is never reset; by step. The arrays hold them until
 * the next batch is asked for.
 */
export interface WindowEnds {
  /** Samples in the window; where there is none the rest has no meaning. */
  readonly counts: Uint32Array;
  readonly firstTimesMs: Float64Array;
  readonly lastTimesMs: Float64Array;
  /** Where among the totals the first and the last are: windows that overlap share them. */
  readonly firstAt: Uint32Array;
  readonly lastAt: Uint32Array;
  readonly totals: Float64Array;
}

export interface Storage {
  /**
   * The series that match, some at a time, in any order, no label set twice; those without a sample in the
   * range may be left out.
   */
  select(selection: Selection, budget: ReadBudget): AsyncIterable<readonly SeriesSamples[]>;
  /**
   * The ends of windows, for functions that look at nothing else of a counter, where the storage can have them
   * without the samples between, and how many series there are at most. Undefined where it cannot.
   */
  ends?(
    selection: Selection,
    windows: Windows,
    budget: ReadBudget,
  ):
    | {
        readonly seriesMax: number;
        readonly batches: AsyncIterable<readonly { readonly labels: LabelSet; readonly ends: WindowEnds }[]>;
      }
    | undefined;
  /**
   * One number for each series that matches and has samples in the range: for long ranges, whose samples need not
   * be read for it. Undefined where the samples themselves are needed.
   */
  reduce?(
    selection: Selection,
    reduction: Reduction,
    budget: ReadBudget,
  ): Promise<readonly ReducedSeries[] | undefined>;
}
