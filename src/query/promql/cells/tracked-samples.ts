/**
 * The rows of one gauge or cumulative series as they are, from some time on. A series has at most one row per time, so
 * the order of arrival does not matter.
 */
import type { CellRoom } from "./cell-list.ts";

/** Some samples, one after the other, in order of time. */
export interface SampleSlice {
  readonly timestampsUs: Float64Array;
  readonly values: Float64Array;
  /** 1 for stale markers. */
  readonly stale: Uint8Array;
}

const SAMPLES_AT_FIRST = 8;
const BYTES_PER_SAMPLE = 17;

export class TrackedSamples {
  readonly #room: CellRoom;
  /** Whether all of its rows have been added. Rows that come are added at any time. */
  isComplete = false;
  /** The samples are those from `#begin` up to, not including, `#end`. */
  #begin = 0;
  #end = 0;
  #timestampsUs = new Float64Array(0);
  #values = new Float64Array(0);
  #stale = new Uint8Array(0);
  /** Rows that come late are sorted before the next reading. */
  #isSorted = true;
  #isFree = false;

  constructor(room: CellRoom) {
    this.#room = room;
  }

  add(timestampUs: number, value: number, isStale: boolean): void {
    // The rows of a series that is not kept any more may still be read.
    if (this.#isFree) return;
    if (this.#end === this.#values.length) this.#makeRoom();
    if (this.#end > this.#begin && this.#timestampsUs[this.#end - 1]! > timestampUs) this.#isSorted = false;
    this.#timestampsUs[this.#end] = timestampUs;
    this.#values[this.#end] = value;
    this.#stale[this.#end] = isStale ? 1 : 0;
    this.#end++;
  }

  /** A view of the samples after one time up to and including another. It is valid until rows are added. */
  slice(afterUs: number, toUs: number): SampleSlice {
    this.#sort();
    return this.#view(this.#firstAfter(afterUs), this.#firstAfter(toUs));
  }

  /** The number of samples after one time up to and including another. */
  countWithin(afterUs: number, toUs: number): number {
    this.#sort();
    return this.#firstAfter(toUs) - this.#firstAfter(afterUs);
  }

  /** The last sample up to a time, if it is kept. */
  lastUpTo(timestampUs: number): SampleSlice {
    this.#sort();
    const end = this.#firstAfter(timestampUs);
    return this.#view(Math.max(this.#begin, end - 1), end);
  }

  /** Drops the samples up to a time. */
  dropUpTo(timestampUs: number): void {
    this.#sort();
    this.#begin = this.#firstAfter(timestampUs);
  }

  /** Frees the memory. Nothing is added afterwards. */
  free(): void {
    this.#isFree = true;
    this.#begin = 0;
    this.#end = 0;
    this.#resize(0);
  }

  #view(first: number, end: number): SampleSlice {
    return {
      timestampsUs: this.#timestampsUs.subarray(first, end),
      values: this.#values.subarray(first, end),
      stale: this.#stale.subarray(first, end),
    };
  }

  #sort(): void {
    if (this.#isSorted) return;
    this.#isSorted = true;
    const { timestampsUs, values, stale } = this.#view(this.#begin, this.#end);
    const [times, numbers, marks] = [timestampsUs.slice(), values.slice(), stale.slice()];
    const order = Uint32Array.from(times.keys()).sort((a, b) => times[a]! - times[b]!);
    for (const [place, from] of order.entries()) {
      timestampsUs[place] = times[from]!;
      values[place] = numbers[from]!;
      stale[place] = marks[from]!;
    }
  }

  /** Moves the samples to the beginning of the columns, and makes these longer if they are more than half full. */
  #makeRoom(): void {
    const length = this.#end - this.#begin;
    const capacity = this.#values.length;
    const isFull = length * 2 >= capacity;
    this.#resize(isFull ? Math.max(SAMPLES_AT_FIRST, capacity + (capacity >> 1)) : capacity);
    this.#begin = 0;
    this.#end = length;
  }

  #resize(capacity: number): void {
    const { timestampsUs, values, stale } = this.#view(this.#begin, this.#end);
    this.#room.bytes += (capacity - this.#values.length) * BYTES_PER_SAMPLE;
    this.#timestampsUs = new Float64Array(capacity);
    this.#timestampsUs.set(timestampsUs);
    this.#values = new Float64Array(capacity);
    this.#values.set(values);
    this.#stale = new Uint8Array(capacity);
    this.#stale.set(stale);
  }

  /** The index of the first sample after a time. The samples are sorted. */
  #firstAfter(timestampUs: number): number {
    let from = this.#begin;
    let to = this.#end;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#timestampsUs[middle]! <= timestampUs) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
