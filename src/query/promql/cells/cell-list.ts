/**
 * Cells of one series: for each step of a grid that has rows, their number, their sum and their counts by bucket, in
 * ascending order of the steps. Rows can be added in any order of time: what a cell contains does not depend on it,
 * except for the last bits of a sum.
 *
 * Sums are kept as two doubles (Neumaier), like the totals of /metrics.
 */

/** Memory that lists of cells share. */
export interface CellRoom {
  bytes: number;
}

/** Some cells, one after the other. */
export interface CellSlice {
  readonly steps: Float64Array;
  readonly counts: Float64Array;
  readonly highs: Float64Array;
  readonly lows: Float64Array;
  /** For each cell its counts by bucket. */
  readonly buckets: Uint32Array;
}

/** Rows that were added up. */
export class CellSum {
  /** The last step that was added; undefined if none was. */
  lastStep: number | undefined;
  count = 0;
  high = 0;
  low = 0;
  readonly buckets: Float64Array;

  constructor(width: number) {
    this.buckets = new Float64Array(width);
  }

  copy(): CellSum {
    const copied = new CellSum(this.buckets.length);
    copied.buckets.set(this.buckets);
    return Object.assign(copied, {
      lastStep: this.lastStep,
      count: this.count,
      high: this.high,
      low: this.low,
    });
  }

  /** Adds to the sum, not to the count: a value, and what rounding left of it. */
  add(value: number, rest: number): void {
    const sum = this.high + value;
    const part = sum - this.high;
    this.low += this.high - (sum - part) + (value - part) + rest;
    this.high = sum;
  }
}

const CELLS_AT_FIRST = 8;
const NUMBERS_PER_CELL = 4;
const NUMBER_BYTES = 8;
const BUCKET_BYTES = 4;

export class CellList {
  readonly #room: CellRoom;
  /** Buckets of a cell: 0 for series without a histogram. */
  readonly #width: number;
  /** The cells are those from `#begin` up to, not including, `#end`. */
  #begin = 0;
  #end = 0;
  #steps = new Float64Array(0);
  #counts = new Float64Array(0);
  #highs = new Float64Array(0);
  #lows = new Float64Array(0);
  #buckets = new Uint32Array(0);

  constructor(width: number, room: CellRoom) {
    this.#width = width;
    this.#room = room;
  }

  get length(): number {
    return this.#end - this.#begin;
  }

  /** Adds a row. `bucket` is ignored if the cells have no buckets. */
  add(step: number, value: number, bucket: number): void {
    const at = this.#cellOf(step);
    this.#counts[at]! += 1;
    this.#addSum(at, value, 0);
    if (this.#width > 0) this.#buckets[at * this.#width + bucket]! += 1;
  }

  /** Moves the cells before a step to the cells of a coarser list. Returns the last step of them. */
  moveBefore(step: number, coarser: CellList, coarseStepOf: (step: number) => number): number | undefined {
    const [begin, until] = [this.#begin, this.#firstFrom(step)];
    for (let at = begin; at < until; at++) coarser.#addCell(coarseStepOf(this.#steps[at]!), this, at);
    this.#begin = until;
    return until > begin ? this.#steps[until - 1] : undefined;
  }

  dropBefore(step: number): void {
    this.#begin = this.#firstFrom(step);
  }

  /** Adds the cells from `from` up to and including `to` to a sum. Returns the last step of them. */
  addTo(sum: CellSum, from: number, to: number): number | undefined {
    const first = this.#firstFrom(from);
    const end = this.#firstFrom(to + 1);
    for (let at = first; at < end; at++) {
      sum.count += this.#counts[at]!;
      sum.add(this.#highs[at]!, this.#lows[at]!);
      for (let bucket = 0; bucket < this.#width; bucket++)
        sum.buckets[bucket]! += this.#buckets[at * this.#width + bucket]!;
    }
    return end > first ? this.#steps[end - 1] : undefined;
  }

  /** A view of the cells from `from` up to and including `to`. It is valid until rows are added. */
  slice(from: number, to: number): CellSlice {
    const [first, end] = [this.#firstFrom(from), this.#firstFrom(to + 1)];
    return {
      steps: this.#steps.subarray(first, end),
      counts: this.#counts.subarray(first, end),
      highs: this.#highs.subarray(first, end),
      lows: this.#lows.subarray(first, end),
      buckets: this.#buckets.subarray(first * this.#width, end * this.#width),
    };
  }

  /** Frees the memory of the list. */
  free(): void {
    this.#begin = 0;
    this.#end = 0;
    this.#resize(0);
  }

  #addCell(step: number, from: CellList, cell: number): void {
    const at = this.#cellOf(step);
    this.#counts[at]! += from.#counts[cell]!;
    this.#addSum(at, from.#highs[cell]!, from.#lows[cell]!);
    for (let bucket = 0; bucket < this.#width; bucket++)
      this.#buckets[at * this.#width + bucket]! += from.#buckets[cell * this.#width + bucket]!;
  }

  #addSum(at: number, value: number, rest: number): void {
    const high = this.#highs[at]!;
    const sum = high + value;
    const part = sum - high;
    this.#lows[at]! += high - (sum - part) + (value - part) + rest;
    this.#highs[at] = sum;
  }

  /** The index of the cell of a step, which is made if there is none. */
  #cellOf(step: number): number {
    const last = this.#end - 1;
    if (last >= this.#begin && this.#steps[last] === step) return last;
    const at = this.#firstFrom(step);
    if (at < this.#end && this.#steps[at] === step) return at;
    return this.#insert(at, step);
  }

  #insert(place: number, step: number): number {
    let at = place;
    if (this.#end === this.#steps.length) {
      at -= this.#begin;
      this.#makeRoom();
    }
    if (at < this.#end) {
      for (const column of [this.#steps, this.#counts, this.#highs, this.#lows])
        column.copyWithin(at + 1, at, this.#end);
      const width = this.#width;
      this.#buckets.copyWithin((at + 1) * width, at * width, this.#end * width);
    }
    this.#steps[at] = step;
    this.#counts[at] = 0;
    this.#highs[at] = 0;
    this.#lows[at] = 0;
    this.#buckets.fill(0, at * this.#width, (at + 1) * this.#width);
    this.#end++;
    return at;
  }

  /** Moves the cells to the beginning of the columns, and makes these longer if they are more than half full. */
  #makeRoom(): void {
    const length = this.length;
    const capacity = this.#steps.length;
    this.#resize(length * 2 >= capacity ? Math.max(CELLS_AT_FIRST, capacity + (capacity >> 1)) : capacity);
    this.#begin = 0;
    this.#end = length;
  }

  #resize(capacity: number): void {
    const [begin, end] = [this.#begin, this.#end];
    const width = this.#width;
    const cellBytes = NUMBERS_PER_CELL * NUMBER_BYTES + width * BUCKET_BYTES;
    this.#room.bytes += (capacity - this.#steps.length) * cellBytes;
    const moved = (column: Float64Array) => {
      const next = new Float64Array(capacity);
      next.set(column.subarray(begin, end));
      return next;
    };
    this.#steps = moved(this.#steps);
    this.#counts = moved(this.#counts);
    this.#highs = moved(this.#highs);
    this.#lows = moved(this.#lows);
    const buckets = new Uint32Array(capacity * width);
    buckets.set(this.#buckets.subarray(begin * width, end * width));
    this.#buckets = buckets;
  }

  /** The index of the first cell whose step is not below another one. */
  #firstFrom(step: number): number {
    let from = this.#begin;
    let to = this.#end;
    // Most rows belong to the last cell, or come after it.
    if (to > from && this.#steps[to - 1]! < step) return to;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#steps[middle]! < step) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
