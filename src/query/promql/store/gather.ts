/**
 * Puts rows by series and time: one pass that copies and counts, one that distributes. The rows of a series mostly
 * are in the order of time already, in a few runs, which are merged.
 */

/** Rows by series; to be read until the gatherer's memory is given back. */
export interface Gathered {
  /** The samples of the n-th series are those from `first[n]` to `first[n + 1]`. */
  readonly first: Uint32Array;
  /** Milliseconds since the epoch, ascending within a series; equal ones in the order of arrival. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array | undefined;
}

const ROWS_AT_FIRST = 4_096;
/**
 * Memory for so many rows is kept from one query to the next, 75 MB: made anew for each, it is a quarter of the
 * work, and garbage of hundreds of megabytes before the collector comes to it.
 */
const ROWS_KEPT = 2_100_000;

interface Buffers {
  readonly slots: Uint32Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** What `finish` gives. */
  readonly sortedTimestampsMs: Float64Array;
  readonly sortedValues: Float64Array;
}

/** A dashboard that is looked at asks again before. */
const KEPT_MS = 60_000;

let kept: Buffers | undefined;
let forgetting: Timer | undefined;

export class Gatherer {
  readonly #slotOf: Int32Array;
  readonly #idMin: number;
  readonly #counts: Uint32Array;
  #buffers: Buffers;
  #stale: Uint8Array | undefined;
  #rows = 0;

  /** `groups`: the stored series that make up each series of the result; at least one. */
  constructor(groups: readonly (readonly number[])[]) {
    let idMin = Number.POSITIVE_INFINITY;
    let idMax = 0;
    for (const ids of groups) {
      for (const id of ids) {
        idMin = Math.min(idMin, id);
        idMax = Math.max(idMax, id);
      }
    }
    this.#idMin = idMin;
    this.#slotOf = new Int32Array(idMax - idMin + 1);
    groups.forEach((ids, slot) => {
      for (const id of ids) this.#slotOf[id - idMin] = slot;
    });
    this.#counts = new Uint32Array(groups.length);
    this.#buffers = kept ?? buffersFor(ROWS_AT_FIRST);
    kept = undefined;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Takes a chunk of rows; every series id is one of the groups'. */
  take(
    seriesIds: Uint32Array,
    timestampsUs: Float64Array,
    values: Float64Array,
    length: number,
    isNull: (row: number) => boolean,
  ): void {
    this.#reserve(length);
    const buffers = this.#buffers;
    let at = this.#rows;
    for (let row = 0; row < length; row++, at++) {
      const slot = this.#slotOf[seriesIds[row] - this.#idMin];
      buffers.slots[at] = slot;
      this.#counts[slot]++;
      buffers.timestampsMs[at] = timestampsUs[row] / 1000;
      buffers.values[at] = values[row];
      if (isNull(row)) {
        this.#stale ??= new Uint8Array(buffers.values.length);
        this.#stale[at] = 1;
      }
    }
    this.#rows = at;
  }

  /** All rows by series and time. Nothing can be taken after. */
  finish(): Gathered {
    const first = new Uint32Array(this.#counts.length + 1);
    for (let slot = 0; slot < this.#counts.length; slot++) first[slot + 1] = first[slot] + this.#counts[slot];
    const next = first.slice();
    const buffers = this.#buffers;
    const timestampsMs = buffers.sortedTimestampsMs;
    const values = buffers.sortedValues;
    const stale = this.#stale && new Uint8Array(this.#rows);
    for (let row = 0; row < this.#rows; row++) {
      const to = next[buffers.slots[row]]++;
      timestampsMs[to] = buffers.timestampsMs[row];
      values[to] = buffers.values[row];
      if (stale !== undefined) stale[to] = this.#stale![row];
    }
    const gathered = { first, timestampsMs, values, stale };
    for (let slot = 0; slot < this.#counts.length; slot++) sortSeries(gathered, first[slot], first[slot + 1]);
    return gathered;
  }

  /** Gives the memory back: what `finish` gave must not be read after. */
  release(): void {
    if (this.#buffers.values.length > ROWS_KEPT) return;
    kept = this.#buffers;
    clearTimeout(forgetting);
    forgetting = setTimeout(() => {
      kept = undefined;
    }, KEPT_MS);
    forgetting.unref();
  }

  #reserve(rows: number): void {
    const wanted = this.#rows + rows;
    const before = this.#buffers;
    if (wanted <= before.values.length) return;
    this.#buffers = buffersFor(Math.max(wanted, Math.min(before.values.length * 2, ROWS_KEPT)));
    this.#buffers.slots.set(before.slots);
    this.#buffers.timestampsMs.set(before.timestampsMs);
    this.#buffers.values.set(before.values);
    if (this.#stale === undefined) return;
    const stale = new Uint8Array(this.#buffers.values.length);
    stale.set(this.#stale);
    this.#stale = stale;
  }
}

function buffersFor(rows: number): Buffers {
  return {
    slots: new Uint32Array(rows),
    timestampsMs: new Float64Array(rows),
    values: new Float64Array(rows),
    sortedTimestampsMs: new Float64Array(rows),
    sortedValues: new Float64Array(rows),
  };
}

/**
 * Sorts one series by time, keeping the order of equal times. The engine's threads give rows in portions, each in
 * the order of time: what is sorted already is merged, two runs at a time.
 */
function sortSeries({ timestampsMs, values, stale }: Gathered, from: number, to: number): void {
  let starts = [from];
  for (let at = from + 1; at < to; at++) if (timestampsMs[at] < timestampsMs[at - 1]) starts.push(at);
  if (starts.length === 1) return;
  const length = to - from;
  const order = Uint32Array.from({ length }, (_, at) => from + at);
  const merged = new Uint32Array(length);
  starts = starts.map((start) => start - from);
  while (starts.length > 1) {
    const next: number[] = [];
    for (let run = 0; run < starts.length; run += 2) {
      const middle = starts[run + 1] ?? length;
      mergeRuns(order, merged, timestampsMs, starts[run], middle, starts[run + 2] ?? length);
      next.push(starts[run]);
    }
    order.set(merged);
    starts = next;
  }
  for (const column of stale === undefined ? [timestampsMs, values] : [timestampsMs, values, stale]) {
    const sorted = column.slice(from, to);
    for (let at = 0; at < length; at++) sorted[at] = column[order[at]];
    column.set(sorted, from);
  }
}

/** Merges order[begin..middle) and order[middle..end), each sorted by its times, into `merged`. */
function mergeRuns(
  order: Uint32Array,
  merged: Uint32Array,
  times: Float64Array,
  begin: number,
  middle: number,
  end: number,
): void {
  let left = begin;
  let right = middle;
  for (let at = begin; at < end; at++) {
    const takesLeft = right >= end || (left < middle && times[order[left]] <= times[order[right]]);
    merged[at] = takesLeft ? order[left++] : order[right++];
  }
}
