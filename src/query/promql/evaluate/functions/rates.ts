/**
 * rate(), increase(), delta() with extrapolation to the ends of the range; irate(), idelta(); resets() and changes().
 */
import type { WindowEnds, Windows } from "../../storage.ts";
import type { RangeFunction, Window } from "./window.ts";

type Ends = Pick<Window, "startMs" | "endMs">;

/** A range extends to its end if the outermost sample is at most this many average gaps away from the end. */
const REACH_GAPS = 1.1;

/** The resets of a counter: the samples below the one before. Found once per series, because windows overlap. */
function resetsOf(window: Window): readonly number[] {
  if (window.resets !== undefined) return window.resets;
  const { values } = window;
  const found: number[] = [];
  for (let at = 1; at < values.length; at++) if (values[at] < values[at - 1]) found.push(at);
  window.resets = found;
  return found;
}

/** The first of ascending numbers that is greater than another. */
function firstAfter(numbers: readonly number[], than: number): number {
  let from = 0;
  let to = numbers.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (numbers[middle] > than) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** The extrapolated difference between the last and the first sample, with counter resets added back. */
function extrapolated(window: Window, isCounter: boolean): number | undefined {
  const { timestampsMs, values, lo, hi } = window;
  if (hi - lo < 2) return undefined;
  let difference = values[hi - 1] - values[lo];
  if (isCounter) {
    const resets = resetsOf(window);
    for (let reset = firstAfter(resets, lo); reset < resets.length && resets[reset] < hi; reset++) {
      difference += values[resets[reset] - 1];
    }
  }
  // Samples that all have the same time say nothing about the time between samples.
  if (timestampsMs[lo] === timestampsMs[hi - 1]) return undefined;
  return (
    difference *
    extension(window, timestampsMs[lo], timestampsMs[hi - 1], hi - lo, isCounter, values[lo], difference)
  );
}

/**
 * The factor by which the difference between the first and the last sample is extended to reach the ends of the range.
 * Where an end is too far from the samples, half an average gap is added instead. A counter is never extrapolated below
 * zero.
 */
function extension(
  { startMs, endMs }: Ends,
  firstMs: number,
  lastMs: number,
  count: number,
  isCounter: boolean,
  first: number,
  difference: number,
): number {
  const sampled = (lastMs - firstMs) / 1000;
  const gap = sampled / (count - 1);
  const reach = gap * REACH_GAPS;
  let toStart = (firstMs - startMs) / 1000;
  let toEnd = (endMs - lastMs) / 1000;
  if (toStart >= reach) toStart = gap / 2;
  if (isCounter && difference > 0 && first >= 0) {
    // At most back to the time when the counter was zero, at the observed slope.
    toStart = Math.min(toStart, sampled * (first / difference));
  }
  if (toEnd >= reach) toEnd = gap / 2;
  return (sampled + toStart + toEnd) / sampled;
}

/**
 * increase() of counters from the known ends of their windows. The buckets of a histogram have the same windows, so what
 * does not depend on their totals is computed once for all of them.
 *
 * In `scripts/bench promql`, the p95 by domain over a day has two million windows.
 */
export class IncreaseOfEnds {
  readonly #windows: Windows;
  readonly #sampled: Float64Array;
  readonly #toStart: Float64Array;
  readonly #toEnd: Float64Array;
  #counts: Uint32Array | undefined;

  constructor(windows: Windows) {
    this.#windows = windows;
    const steps = windows.lookMs.length;
    this.#sampled = new Float64Array(steps);
    this.#toStart = new Float64Array(steps);
    this.#toEnd = new Float64Array(steps);
  }

  /**
   * Writes increase() divided by a number for each window, from `first` on. Returns whether any window has a result.
   *
   * @param present gets 1 where a window has one
   */
  write(
    ends: WindowEnds,
    divisor: number,
    values: Float64Array,
    present: Uint8Array,
    first: number,
  ): boolean {
    const { counts, firstAt, lastAt, totals } = ends;
    // Series with the same windows share the array.
    if (counts !== this.#counts) this.#prepare(ends);
    const [sampled, toStart, toEnd] = [this.#sampled, this.#toStart, this.#toEnd];
    let any = false;
    for (let step = 0; step < counts.length; step++) {
      if (counts[step] < 2) continue;
      const begin = totals[firstAt[step]];
      const difference = totals[lastAt[step]] - begin;
      let increase = 0;
      // Most buckets of most windows have none.
      if (difference !== 0) {
        let before = toStart[step];
        if (difference > 0 && begin >= 0) before = Math.min(before, sampled[step] * (begin / difference));
        increase = difference * ((sampled[step] + before + toEnd[step]) / sampled[step]);
        // Of totals that are not finite.
        if (Number.isNaN(increase)) continue;
      }
      values[first + step] = increase / divisor;
      present[first + step] = 1;
      any = true;
    }
    return any;
  }

  /** The parts of `extension` that do not depend on totals. */
  #prepare({ counts, firstTimesMs, lastTimesMs }: WindowEnds): void {
    const { lookMs, rangeMs } = this.#windows;
    for (let step = 0; step < counts.length; step++) {
      if (counts[step] < 2) continue;
      const sampled = (lastTimesMs[step] - firstTimesMs[step]) / 1000;
      const gap = sampled / (counts[step] - 1);
      const toStart = (firstTimesMs[step] - (lookMs[step] - rangeMs)) / 1000;
      const toEnd = (lookMs[step] - lastTimesMs[step]) / 1000;
      this.#sampled[step] = sampled;
      this.#toStart[step] = toStart >= gap * REACH_GAPS ? gap / 2 : toStart;
      this.#toEnd[step] = toEnd >= gap * REACH_GAPS ? gap / 2 : toEnd;
    }
    this.#counts = counts;
  }
}

export const increase: RangeFunction = (window) => extrapolated(window, true);

export const delta: RangeFunction = (window) => extrapolated(window, false);

export const rate: RangeFunction = (window) => {
  const total = extrapolated(window, true);
  return total === undefined ? undefined : total / (window.rangeMs / 1000);
};

/** The last two samples: their difference, and the time between them in seconds. */
function lastStep(window: Window, isCounter: boolean): { difference: number; seconds: number } | undefined {
  const { timestampsMs, values, lo, hi } = window;
  if (hi - lo < 2) return undefined;
  const milliseconds = timestampsMs[hi - 1] - timestampsMs[hi - 2];
  if (milliseconds === 0) return undefined;
  const reset = isCounter && values[hi - 1] < values[hi - 2];
  const difference = reset ? values[hi - 1] : values[hi - 1] - values[hi - 2];
  return { difference, seconds: milliseconds / 1000 };
}

export const irate: RangeFunction = (window) => {
  const last = lastStep(window, true);
  return last && last.difference / last.seconds;
};

export const idelta: RangeFunction = (window) => lastStep(window, false)?.difference;

export const resets: RangeFunction = ({ values, lo, hi }) => {
  let count = 0;
  for (let at = lo + 1; at < hi; at++) if (values[at] < values[at - 1]) count++;
  return count;
};

export const changes: RangeFunction = ({ values, lo, hi }) => {
  let count = 0;
  for (let at = lo + 1; at < hi; at++) {
    const [before, now] = [values[at - 1], values[at]];
    if (now !== before && !(Number.isNaN(now) && Number.isNaN(before))) count++;
  }
  return count;
};
