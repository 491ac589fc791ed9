/**
 * Which samples of a series are in the window of each step. Series that are scraped together have the same times, so their
 * windows are found once for all of them.
 */

/** The samples of one series, without stale markers. */
interface Sampled {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
}

export class WindowPlan {
  /** The windows: in each step the samples of (lookMs - rangeMs, lookMs]. Times never go back. */
  readonly lookMs: Float64Array;
  readonly rangeMs: number;
  /** By step: the samples are those at lo ≤ index < hi. */
  readonly lo: Uint32Array;
  readonly hi: Uint32Array;
  /** Changes with the windows. */
  version = 0;
  #timestampsMs: Float64Array | undefined;

  constructor(lookMs: Float64Array, rangeMs: number) {
    this.lookMs = lookMs;
    this.rangeMs = rangeMs;
    this.lo = new Uint32Array(lookMs.length);
    this.hi = new Uint32Array(lookMs.length);
  }

  /** Forgets the times of the last series: their array may be used again. */
  forget(): void {
    this.#timestampsMs = undefined;
  }

  /** Finds the windows of a series. */
  find(timestampsMs: Float64Array): void {
    const known = this.#timestampsMs;
    this.#timestampsMs = timestampsMs;
    if (known !== undefined && (known === timestampsMs || areEqual(known, timestampsMs))) return;
    this.version++;
    const { lookMs, rangeMs, lo, hi } = this;
    const { length } = timestampsMs;
    let begin = 0;
    let end = 0;
    for (let step = 0; step < lookMs.length; step++) {
      const untilMs = lookMs[step];
      const sinceMs = untilMs - rangeMs;
      while (end < length && timestampsMs[end] <= untilMs) end++;
      while (begin < end && timestampsMs[begin] <= sinceMs) begin++;
      lo[step] = begin;
      hi[step] = end;
    }
  }
}

function areEqual(one: Float64Array, other: Float64Array): boolean {
  if (one.length !== other.length) return false;
  // The last times differ most often.
  for (let at = one.length - 1; at >= 0; at--) if (one[at] !== other[at]) return false;
  return true;
}

/**
 * A function of the windows of a series: writes one value per step, from `first` on, and 1 into `present` where there is one.
 * Returns whether there is any. The plan has the windows of the series.
 */
export type SeriesFunction = (
  series: Sampled,
  plan: WindowPlan,
  values: Float64Array,
  present: Uint8Array,
  first: number,
) => boolean;
