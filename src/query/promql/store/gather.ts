/**
 * Collects samples by series, and sorts them by time. The engine returns them as lists per series that are mostly in
 * this order already, in a few runs, one for each of the engine's threads. The runs are merged.
 *
 * In `scripts/bench promql --samples 8000000`, "max_over_time(m[2h])" takes 50 ms less on the first thread, of 170, than
 * with a sorted array of indexes.
 */

/** Samples by series. */
export interface Gathered {
  /** The samples of the n-th series are those from `begins[n]` up to, not including, `ends[n]`. */
  readonly begins: Uint32Array;
  readonly ends: Uint32Array;
  /** Milliseconds since the epoch, ascending within a series. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array | undefined;
}

/** Samples of some stored series, those of each series consecutive. */
export interface SampleLists {
  readonly seriesIds: Uint32Array;
  readonly begins: Uint32Array;
  readonly lengths: Uint32Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Orders samples of equal times; absent if no series has two of them. */
  readonly arrivals: Float64Array | undefined;
  /** 1 for each sample that is a stale marker; absent if none is. */
  readonly stale: Uint8Array | undefined;
}

const ROWS_AT_FIRST = 4_096;
/** Up to this number of rows the room for them doubles. Past it, more than is needed would be hundreds of megabytes. */
const ROWS_DOUBLED_MAX = 4_200_000;

interface Buffers {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
}

/** Positions of samples: the first, and the one after the last. */
type Place = readonly [begin: number, end: number];

export class Gatherer {
  /** By id. The ids of one query can be years apart. */
  readonly #slotOf = new Map<number, number>();
  /** By group: the slot of its samples, which is that of the first group with the same stored series. */
  readonly #sharedSlot: Int32Array;
  readonly #begins: Uint32Array;
  readonly #ends: Uint32Array;
  /** Series whose samples are in several ranges: the ranges after the first. */
  readonly #more = new Map<number, Place[]>();
  #buffers = buffersFor(ROWS_AT_FIRST);
  /** Room for the samples of one series while its runs are merged. */
  #merged = columnsFor(0);
  #stale: Uint8Array | undefined;
  #arrivals: Float64Array | undefined;
  #rows = 0;

  /**
   * @param groups the stored series of each series of the result; at least one. Two groups have either the same stored
   *   series, as a histogram's sum and count have, or none in common
   */
  constructor(groups: readonly (readonly number[])[]) {
    this.#sharedSlot = Int32Array.from(groups, (ids, slot) => {
      const known = this.#slotOf.get(ids[0]);
      if (known !== undefined) return known;
      for (const id of ids) this.#slotOf.set(id, slot);
      return slot;
    });
    this.#begins = new Uint32Array(groups.length);
    this.#ends = new Uint32Array(groups.length);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds samples, whose arrays belong to this object from now on; every series id is in one of the groups. */
  take({ seriesIds, begins, lengths, timestampsMs, values, arrivals, stale }: SampleLists): void {
    const base = this.#rows;
    // Mostly all samples come at once.
    if (base === 0 && values.length > ROWS_AT_FIRST) this.#buffers = { timestampsMs, values };
    else {
      this.#reserve(values.length);
      this.#buffers.timestampsMs.set(timestampsMs, base);
      this.#buffers.values.set(values, base);
    }
    if (arrivals !== undefined) {
      this.#arrivals ??= new Float64Array(this.#buffers.values.length);
      this.#arrivals.set(arrivals, base);
    }
    if (stale !== undefined) {
      this.#stale ??= new Uint8Array(this.#buffers.values.length);
      this.#stale.set(stale, base);
    }
    for (let row = 0; row < seriesIds.length; row++) {
      const begin = base + begins[row];
      this.#place(this.#slotOf.get(seriesIds[row])!, begin, begin + lengths[row]);
    }
    this.#rows += values.length;
  }

  #place(slot: number, begin: number, end: number): void {
    const isFirst = this.#begins[slot] === this.#ends[slot];
    const more = this.#more.get(slot);
    if (isFirst) this.#begins[slot] = begin;
    if (isFirst || (more === undefined && this.#ends[slot] === begin)) this.#ends[slot] = end;
    else if (more === undefined) this.#more.set(slot, [[begin, end]]);
    else more.push([begin, end]);
  }

  /** Returns all samples by series and time. Nothing can be added afterwards. */
  finish(): Gathered {
    let split = 0;
    for (const slot of this.#more.keys()) split += length(this.#placesOf(slot));
    this.#reserve(split);
    for (const slot of this.#more.keys()) this.#join(slot);
    const { timestampsMs, values } = this.#buffers;
    const columns = { timestampsMs, values, stale: this.#stale, arrivals: this.#arrivals };
    for (let slot = 0; slot < this.#begins.length; slot++)
      sortSeries(columns, this.#begins[slot], this.#ends[slot], (rows) => this.#mergedFor(rows));
    this.#sharedSlot.forEach((shared, slot) => {
      this.#begins[slot] = this.#begins[shared];
      this.#ends[slot] = this.#ends[shared];
    });
    return { begins: this.#begins, ends: this.#ends, timestampsMs, values, stale: this.#stale };
  }

  #placesOf(slot: number): Place[] {
    return [[this.#begins[slot], this.#ends[slot]], ...(this.#more.get(slot) ?? [])];
  }

  /** Moves the samples of a series together, after all others. */
  #join(slot: number): void {
    const places = this.#placesOf(slot);
    this.#begins[slot] = this.#rows;
    for (const [begin, end] of places) {
      for (const column of [
        this.#buffers.timestampsMs,
        this.#buffers.values,
        ...(this.#stale === undefined ? [] : [this.#stale]),
        ...(this.#arrivals === undefined ? [] : [this.#arrivals]),
      ])
        column.copyWithin(this.#rows, begin, end);
      this.#rows += end - begin;
    }
    this.#ends[slot] = this.#rows;
  }

  #mergedFor(rows: number): MergedColumns {
    if (this.#merged.values.length < rows) this.#merged = columnsFor(rows);
    return this.#merged;
  }

  #reserve(rows: number): void {
    const wanted = this.#rows + rows;
    const before = this.#buffers;
    if (wanted <= before.values.length) return;
    const capacity = Math.max(wanted, Math.min(before.values.length * 2, ROWS_DOUBLED_MAX));
    const moved = (column: Float64Array) => {
      const larger = new Float64Array(capacity);
      larger.set(column.subarray(0, this.#rows));
      return larger;
    };
    this.#buffers = { timestampsMs: moved(before.timestampsMs), values: moved(before.values) };
    this.#arrivals &&= moved(this.#arrivals);
    if (this.#stale === undefined) return;
    const stale = new Uint8Array(capacity);
    stale.set(this.#stale);
    this.#stale = stale;
  }
}

function length(places: readonly Place[]): number {
  return places.reduce((sum, [begin, end]) => sum + end - begin, 0);
}

function buffersFor(rows: number): Buffers {
  return { timestampsMs: new Float64Array(rows), values: new Float64Array(rows) };
}

interface Columns extends Buffers {
  readonly stale: Uint8Array | undefined;
  readonly arrivals: Float64Array | undefined;
}

type MergedColumns = ReturnType<typeof columnsFor>;

function columnsFor(rows: number) {
  return { ...buffersFor(rows), stale: new Uint8Array(rows), arrivals: new Float64Array(rows) };
}

/** Sorts one series by time, and samples of equal times by arrival if that is known, by merging pairs of its runs. */
function sortSeries(
  columns: Columns,
  from: number,
  to: number,
  mergedFor: (rows: number) => MergedColumns,
): void {
  const { timestampsMs, values, stale, arrivals } = columns;
  let runs = [from];
  for (let at = from + 1; at < to; at++) if (!isInOrder(columns, at - 1, at)) runs.push(at);
  if (runs.length === 1) return;
  const length = to - from;
  const merged = mergedFor(length);
  while (runs.length > 1) {
    const next: number[] = [];
    for (let run = 0; run < runs.length; run += 2) {
      merge(columns, runs[run], runs[run + 1] ?? to, runs[run + 2] ?? to, from, merged);
      next.push(runs[run]);
    }
    timestampsMs.set(merged.timestampsMs.subarray(0, length), from);
    values.set(merged.values.subarray(0, length), from);
    stale?.set(merged.stale.subarray(0, length), from);
    arrivals?.set(merged.arrivals.subarray(0, length), from);
    runs = next;
  }
}

/** Merges the samples from `begin` to `middle` with those up to `end` into `merged`, whose first sample is `base`. */
function merge(
  columns: Columns,
  begin: number,
  middle: number,
  end: number,
  base: number,
  merged: MergedColumns,
): void {
  const { timestampsMs, values, stale, arrivals } = columns;
  // Local variables: a million samples are merged in 8 ms this way, and in 30 ms through an array of indexes.
  const { timestampsMs: times, values: numbers } = merged;
  let left = begin;
  let right = middle;
  for (let at = begin - base; at < end - base; at++) {
    const isLeft = left < middle && (right >= end || isInOrder(columns, left, right));
    const next = isLeft ? left++ : right++;
    times[at] = timestampsMs[next];
    numbers[at] = values[next];
    if (stale !== undefined) merged.stale[at] = stale[next];
    if (arrivals !== undefined) merged.arrivals[at] = arrivals[next];
  }
}

function isInOrder({ timestampsMs, arrivals }: Columns, one: number, other: number): boolean {
  const after = timestampsMs[other] - timestampsMs[one];
  return after > 0 || (after === 0 && (arrivals === undefined || arrivals[one] < arrivals[other]));
}
