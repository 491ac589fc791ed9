/**
 * Series of Pushgateway groups keep their value until it is replaced or deleted, however long ago it was pushed:
 * a scrape of the gateway would find it each time. So PromQL sees the value again at each instant of the grid. What
 * stood before stays so when the group is gone.
 */
import type { SeriesSamples } from "../storage.ts";
import type { Range } from "./day-reader.ts";

/** A sample; one without a value says that the series ended. */
export interface Latest {
  readonly timestampMs: number;
  readonly value: number | undefined;
}

/**
 * The last sample of a series of a group, one without a value where its group is gone or has it no more; undefined
 * for any other series.
 */
export type HeldOf = (seriesId: number) => Latest | undefined;

/**
 * How many steps of the grid after a push its value is first repeated. What is pushed as often as it would be scraped, or
 * half as often, has the samples of its pushes alone. With samples of the grid between them, the samples would seem to be
 * closer than the pushes are, and `rate` extrapolates to the ends of a window by how close they are: rates would be up to
 * a quarter low.
 */
const STEPS_UNREPEATED = 2;

/**
 * The samples of a series in a range, with its value repeated at the instants between and after them.
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
  // Each instant of the range once, at most.
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
  /** Repeats a value at the instants some steps after its time, up to another and not at it. */
  const repeat = (value: number | undefined, sinceMs: number, untilMs: number) => {
    if (value === undefined) return;
    const firstMs = Math.max(
      Math.ceil(sinceMs / stepMs + STEPS_UNREPEATED) * stepMs,
      Math.floor(afterMs / stepMs) * stepMs + stepMs,
    );
    // A sample may say that it is of the future.
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
  // `repeat` leaves its end out, and the range holds its own.
  repeat(value, sinceMs, toMs + 1e-3);
  return {
    labels,
    timestampsMs: times.subarray(0, length),
    values: numbers.subarray(0, length),
    stale: marks?.subarray(0, length),
  };
}
