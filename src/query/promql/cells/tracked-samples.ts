/**
 * The rows of one gauge or cumulative series as they are, from some time on. A series has at most one row per time, so
 * the order of arrival does not matter.
 */
import type { CellRoom } from "./cell-list.ts";
import type { SampleColumns } from "./sample-columns.ts";

const SAMPLES_AT_FIRST = 8;
const BYTES_PER_SAMPLE = 17;
/** Most series that are made begin with a build, which makes thousands of them at once. */
const NO_NUMBERS = new Float64Array(0);
const NO_MARKS = new Uint8Array(0);

/** Samples that `copy` writes: `stale` has a place for each of them. */
export type SampleTarget = Pick<SampleColumns, "timestampsMs" | "values"> & { readonly stale: Uint8Array };

export class TrackedSamples {
  readonly #room: CellRoom;
  /** Whether all of its rows have been added. Rows that come are added at any time. */
  isComplete = false;
  /** The samples are those from `#begin` up to, not including, `#end`. */
  #begin = 0;
  #end = 0;
  #timestampsUs = NO_NUMBERS;
  #values = NO_NUMBERS;
  #stale = NO_MARKS;
  /** Rows that come late are sorted before the next reading. */
  #isSorted = true;
  #isFree = false;

  constructor(room: CellRoom) {
    this.#room = room;
  }

  /** The number of samples that are kept. */
  get length(): number {
    return this.#end - this.#begin;
  }

  /** Whether a reading finds them in order. Otherwise it has to `sort` them first, some 10 µs per hundred. */
  get isSorted(): boolean {
    return this.#isSorted;
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

  /** The number of samples up to a time. */
  countUpTo(timestampUs: number): number {
    this.sort();
    return this.#firstAfter(timestampUs) - this.#begin;
  }

  /** Copies the samples from one up to, not including, another, which are counted from the first one. */
  copy(from: number, to: number, { timestampsMs, values, stale }: SampleTarget, place: number): void {
    // A view of an array that was never in a view costs more than the few samples that most series have.
    const by = place - this.#begin - from;
    for (let at = this.#begin + from; at < this.#begin + to; at++) {
      timestampsMs[at + by] = this.#timestampsUs[at]! / 1_000;
      values[at + by] = this.#values[at]!;
      stale[at + by] = this.#stale[at]!;
    }
  }

  /** Drops the samples up to a time. It does not sort them: that is called for all series at once. */
  dropUpTo(timestampUs: number): void {
    if (this.#isSorted) {
      this.#begin = this.#firstAfter(timestampUs);
      return;
    }
    let place = this.#begin;
    for (let at = this.#begin; at < this.#end; at++) {
      if (this.#timestampsUs[at]! <= timestampUs) continue;
      this.#timestampsUs[place] = this.#timestampsUs[at]!;
      this.#values[place] = this.#values[at]!;
      this.#stale[place] = this.#stale[at]!;
      place++;
    }
    this.#end = place;
  }

  /** Frees the memory. Nothing is added afterwards. */
  free(): void {
    this.#isFree = true;
    this.#room.bytes -= this.#values.length * BYTES_PER_SAMPLE;
    this.#begin = 0;
    this.#end = 0;
    this.#isSorted = true;
    this.#timestampsUs = NO_NUMBERS;
    this.#values = NO_NUMBERS;
    this.#stale = NO_MARKS;
  }

  /** Puts the samples in the order of their times, if they are not. */
  sort(): void {
    if (this.#isSorted) return;
    this.#isSorted = true;
    const [begin, end] = [this.#begin, this.#end];
    const times = this.#timestampsUs.slice(begin, end);
    const numbers = this.#values.slice(begin, end);
    const marks = this.#stale.slice(begin, end);
    const order = new Uint32Array(end - begin);
    for (let at = 0; at < order.length; at++) order[at] = at;
    order.sort((a, b) => times[a]! - times[b]!);
    for (let place = 0; place < order.length; place++) {
      const from = order[place]!;
      this.#timestampsUs[begin + place] = times[from]!;
      this.#values[begin + place] = numbers[from]!;
      this.#stale[begin + place] = marks[from]!;
    }
  }

  /** Moves the samples to the beginning of the columns, and makes these longer if they are more than half full. */
  #makeRoom(): void {
    const { length } = this;
    const capacity = this.#values.length;
    this.#timestampsUs.copyWithin(0, this.#begin, this.#end);
    this.#values.copyWithin(0, this.#begin, this.#end);
    this.#stale.copyWithin(0, this.#begin, this.#end);
    this.#begin = 0;
    this.#end = length;
    if (length * 2 >= capacity) this.#lengthen(Math.max(SAMPLES_AT_FIRST, capacity + (capacity >> 1)));
  }

  #lengthen(capacity: number): void {
    this.#room.bytes += (capacity - this.#values.length) * BYTES_PER_SAMPLE;
    this.#timestampsUs = longer(this.#timestampsUs, new Float64Array(capacity));
    this.#values = longer(this.#values, new Float64Array(capacity));
    this.#stale = longer(this.#stale, new Uint8Array(capacity));
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

function longer<Column extends Float64Array | Uint8Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
