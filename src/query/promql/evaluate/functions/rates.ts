/**
 * rate(), increase(), delta() with extrapolation to the ends of the range; irate(), idelta(); resets() and changes().
 */
import type { WindowEnds, Windows } from "../../storage.ts";
import type { RangeFunction, Window } from "./window.ts";
import type { SeriesFunction } from "./window-plan.ts";

/** A range extends to its end if the outermost sample is at most this many average gaps away from the end. */
const REACH_GAPS = 1.1;

/**
 * The extrapolation of differences between the first and the last sample of windows to the ends of their ranges. Where an end
 * is too far from the samples, half an average gap is added instead. What does not depend on values is computed once for all
 * series with the same times.
 */
class Extrapolation {
  /** By step: the time between the first and the last sample in seconds. 0 if there is no result. */
  readonly sampled: Float64Array;
  /** By step: how far the difference is extended. */
  readonly #toStart: Float64Array;
  readonly #toEnd: Float64Array;
  /** By step: by what a difference is multiplied that is not bounded by zero. */
  readonly factors: Float64Array;
  /** By step: 1 if a counter that begins with its increase, or with more, is not bounded by zero. */
  readonly isFree: Uint8Array;

  constructor(steps: number) {
    this.sampled = new Float64Array(steps);
    this.#toStart = new Float64Array(steps);
    this.#toEnd = new Float64Array(steps);
    this.factors = new Float64Array(steps);
    this.isFree = new Uint8Array(steps);
  }

  /** Sets a window that has `count` samples from one time to another. The range is (startMs, endMs]. */
  set(step: number, count: number, firstMs: number, lastMs: number, startMs: number, endMs: number): void {
    // Samples that all have the same time say nothing about the time between samples.
    const sampled = count < 2 ? 0 : (lastMs - firstMs) / 1000;
    this.sampled[step] = sampled;
    if (sampled === 0) return;
    const gap = sampled / (count - 1);
    const reach = gap * REACH_GAPS;
    const toStart = (firstMs - startMs) / 1000;
    const toEnd = (endMs - lastMs) / 1000;
    this.#toStart[step] = toStart >= reach ? gap / 2 : toStart;
    this.#toEnd[step] = toEnd >= reach ? gap / 2 : toEnd;
    this.factors[step] = (sampled + this.#toStart[step] + this.#toEnd[step]) / sampled;
    this.isFree[step] = sampled >= this.#toStart[step] ? 1 : 0;
  }

  /**
   * The extrapolated difference, divided by a number. A counter is never extrapolated below zero. The factor is divided, as in
   * Prometheus: the last digit can differ otherwise.
   */
  extended(step: number, difference: number, first: number, isCounter: boolean, divisor: number): number {
    if (isCounter && difference > 0 && first >= 0) {
      // At most back to the time when the counter was zero, at the observed slope.
      const sampled = this.sampled[step];
      const toZero = sampled * (first / difference);
      // Also if it is NaN.
      if (!(toZero >= this.#toStart[step]))
        return difference * ((sampled + toZero + this.#toEnd[step]) / sampled / divisor);
    }
    return difference * (this.factors[step] / divisor);
  }
}

const NO_RESETS: readonly number[] = [];

/** The resets of a counter: the samples below the one before. Found once per series, because windows overlap. */
function resetsOf(values: Float64Array): readonly number[] {
  let found: number[] | undefined;
  for (let at = 1; at < values.length; at++) {
    if (!(values[at] < values[at - 1])) continue;
    found ??= [];
    found.push(at);
  }
  return found ?? NO_RESETS;
}

/** The extrapolated difference between the last and the first sample, divided by a number. */
function extrapolated(isCounter: boolean, divisorOf: (rangeMs: number) => number): SeriesFunction {
  let extrapolation: Extrapolation | undefined;
  let version = 0;
  return ({ timestampsMs, values }, plan, results, present, out) => {
    const { lookMs, rangeMs, lo, hi } = plan;
    const { length } = lo;
    extrapolation ??= new Extrapolation(length);
    const own = extrapolation;
    if (version !== plan.version) {
      for (let step = 0; step < length; step++) {
        const [first, last] = [timestampsMs[lo[step]], timestampsMs[hi[step] - 1]];
        own.set(step, hi[step] - lo[step], first, last, lookMs[step] - rangeMs, lookMs[step]);
      }
      version = plan.version;
    }
    const { sampled, factors, isFree } = own;
    const divisor = divisorOf(rangeMs);
    // With counter resets added back.
    const resets = isCounter ? resetsOf(values) : NO_RESETS;
    let reset = 0;
    let any = false;
    for (let step = 0; step < length; step++) {
      if (sampled[step] === 0) continue;
      const begin = lo[step];
      const end = hi[step];
      const first = values[begin];
      let difference = values[end - 1] - first;
      while (reset < resets.length && resets[reset] <= begin) reset++;
      for (let at = reset; at < resets.length && resets[at] < end; at++) difference += values[resets[at] - 1];
      // Most counters are far from zero. Without a call and its division a million windows take 6 ms less.
      results[out + step] =
        first >= difference && difference < Infinity && isFree[step] === 1
          ? difference * (factors[step] / divisor)
          : own.extended(step, difference, first, isCounter, divisor);
      present[out + step] = 1;
      any = true;
    }
    return any;
  };
}

export const increase = (): SeriesFunction => extrapolated(true, () => 1);

export const delta = (): SeriesFunction => extrapolated(false, () => 1);

export const rate = (): SeriesFunction => extrapolated(true, (rangeMs) => rangeMs / 1000);

/**
 * increase() of counters from the known ends of their windows. The buckets of a histogram have the same windows.
 *
 * In `scripts/bench promql`, the p95 by domain over a day has two million windows.
 */
export class IncreaseOfEnds {
  readonly #windows: Windows;
  readonly #extrapolation: Extrapolation;
  #counts: Uint32Array | undefined;

  constructor(windows: Windows) {
    this.#windows = windows;
    this.#extrapolation = new Extrapolation(windows.lookMs.length);
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
    const extrapolation = this.#extrapolation;
    let any = false;
    for (let step = 0; step < counts.length; step++) {
      if (counts[step] < 2) continue;
      const begin = totals[firstAt[step]];
      const difference = totals[lastAt[step]] - begin;
      // Most buckets of most windows have none.
      const increase = difference === 0 ? 0 : extrapolation.extended(step, difference, begin, true, divisor);
      // Of totals that are not finite.
      if (Number.isNaN(increase)) continue;
      values[first + step] = increase;
      present[first + step] = 1;
      any = true;
    }
    return any;
  }

  #prepare({ counts, firstTimesMs, lastTimesMs }: WindowEnds): void {
    const { lookMs, rangeMs } = this.#windows;
    for (let step = 0; step < counts.length; step++)
      this.#extrapolation.set(
        step,
        counts[step],
        firstTimesMs[step],
        lastTimesMs[step],
        lookMs[step] - rangeMs,
        lookMs[step],
      );
    this.#counts = counts;
  }
}

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
