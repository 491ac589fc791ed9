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

/** increase() of counters from the known ends of their windows; NaN where a window has no result. */
export function increaseOfEnds({ lookMs, rangeMs }: Windows, ends: WindowEnds, step: number): number {
  const count = ends.counts[step];
  if (count < 2) return Number.NaN;
  const first = ends.totals[ends.firstAt[step]];
  const difference = ends.totals[ends.lastAt[step]] - first;
  const window = { startMs: lookMs[step] - rangeMs, endMs: lookMs[step] };
  return (
    difference *
    extension(window, ends.firstTimesMs[step], ends.lastTimesMs[step], count, true, first, difference)
  );
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
