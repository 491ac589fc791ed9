/**
 * Series of Pushgateway groups keep their value until it is replaced or deleted, however long ago it was pushed: a
 * scrape of the gateway would find it each time. So PromQL repeats the value at each instant of the grid. The past
 * values stay when the group is deleted.
 */
import type { SeriesSamples } from "../storage.ts";
import type { Range } from "./day-reader.ts";

/** A sample; without a value if the series ended. */
export interface Latest {
  readonly timestampMs: number;
  readonly value: number | undefined;
}

/**
 * The last sample of a series of a group, without a value if its group is gone or no longer has the series; undefined
 * for any other series.
 */
export type HeldOf = (seriesId: number) => Latest | undefined;

/**
 * How many steps of the grid after a push its value is first repeated. A series that is pushed as often as it would be
 * scraped, or half as often, only has the samples of its pushes. With samples of the grid between them, samples would
 * seem closer together than the pushes are. `rate` extrapolates to the ends of a window by the distance of samples, so
 * rates would be up to a quarter too low.
 */
const STEPS_UNREPEATED = 2;

/**
 * Returns the samples of a series in a range, with its value repeated at the instants between and after them.
 *
 * @param before its last sample before the range
 * @param nowMs nothing is repeated in the future
 */
export function held(
  { labels, timestampsMs, values, stale }: SeriesSamples,
  before: Latest | undefined,
  { afterMs, toMs }: Range,
  stepMs: number,
  nowMs: number,
): SeriesSamples {
  // At most once per instant of the range.
  const room = timestampsMs.length + Math.max(0, Math.ceil((Math.min(toMs, nowMs) - afterMs) / stepMs)) + 1;
  const times = new Float64Array(room);
  const numbers = new Float64Array(room);
  let marks: Uint8Array | undefined;
  let length = 0;
  const add = (timeMs: number, value: number | undefined) => {
    times[length] = timeMs;
    numbers[length] = value ?? Number.NaN;
    if (value === undefined) {
      marks ??= new Uint8Array(room);
      marks[length] = 1;
    }
    length++;
  };
  /** Repeats a value at the instants some steps after its time, up to, not including, another time. */
  const repeat = (value: number | undefined, sinceMs: number, untilMs: number) => {
    if (value === undefined) return;
    const firstMs = Math.max(
      Math.ceil(sinceMs / stepMs + STEPS_UNREPEATED) * stepMs,
      Math.floor(afterMs / stepMs) * stepMs + stepMs,
    );
    // A sample can have a time in the future.
    const endMs = Math.min(untilMs, nowMs + 1e-3);
    for (let timeMs = firstMs; timeMs < endMs; timeMs += stepMs) add(timeMs, value);
  };
  let value = before?.value;
  let sinceMs = before?.timestampMs ?? afterMs;
  for (let at = 0; at < timestampsMs.length; at++) {
    repeat(value, sinceMs, timestampsMs[at]);
    value = stale?.[at] === 1 ? undefined : values[at];
    sinceMs = timestampsMs[at];
    add(sinceMs, value);
  }
  // `repeat` excludes its end, and the range includes its own.
  repeat(value, sinceMs, toMs + 1e-3);
  return {
    labels,
    timestampsMs: times.subarray(0, length),
    values: numbers.subarray(0, length),
    stale: marks?.subarray(0, length),
  };
}
