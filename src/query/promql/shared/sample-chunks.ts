/**
 * Samples of many series in memory that threads share, so that a Worker evaluates them without a copy. A chunk does not
 * change. What is committed later is in a tail, which only grows. Series that are scraped together have the same times: those
 * are stored once, so most samples take 8 bytes.
 */
import { bytesOfPacked, type PackedValues, unpack } from "./packed-values.ts";
import { shareOf } from "./shared-columns.ts";

/** Samples by series. The n-th series has `lengths[n]` samples, in ascending order of time. */
export interface SampleChunk {
  readonly seriesIds: Uint32Array;
  readonly lengths: Uint32Array;
  /** Where the values of a series begin, among those of its kind if they are packed. */
  readonly begins: Uint32Array;
  /** Where its times begin. Several series can have the same. */
  readonly timeBegins: Uint32Array;
  /** Milliseconds since the epoch. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Absent if all values are doubles. */
  readonly packed?: PackedValues;
  /** By value among the doubles: 1 for a stale marker. Absent if there is none. */
  readonly stale: Uint8Array | undefined;
}

/** Rows in the order of their commits. The first `length` of each column are complete. */
export interface SampleTail {
  readonly length: number;
  readonly seriesIds: Uint32Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array;
}

export const NO_ROWS: SampleTail = {
  length: 0,
  seriesIds: new Uint32Array(0),
  timestampsMs: new Float64Array(0),
  values: new Float64Array(0),
  stale: new Uint8Array(0),
};

/** Where the samples of some series are, in arrays that others share: those of the n-th from `begins[n]` up to `ends[n]`. */
export interface SeriesPlaces {
  readonly seriesIds: Uint32Array;
  readonly begins: Uint32Array;
  readonly ends: Uint32Array;
}

/** The arrays that places refer to. */
export interface PlacedSamples {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array | undefined;
}

/** Bytes of memory that a chunk takes. */
export function bytesOfChunk({ seriesIds, timestampsMs, values, stale, packed }: SampleChunk): number {
  const bytes = seriesIds.byteLength * 4 + timestampsMs.byteLength + values.byteLength;
  return bytes + (stale?.byteLength ?? 0) + (packed === undefined ? 0 : bytesOfPacked(packed));
}

/** The number of samples of a chunk. */
export function samplesOfChunk({ values, packed }: SampleChunk): number {
  return values.length + (packed === undefined ? 0 : packed.shorts.length + packed.longs.length);
}

/** Copies the values of a row of a chunk, from the one at `from` up to `to`, to `into`, from `at` on. */
export function copyValues(
  { begins, values, packed }: SampleChunk,
  row: number,
  from: number,
  to: number,
  into: Float64Array,
  at: number,
): void {
  const begin = begins[row] + from;
  const length = to - from;
  if (packed !== undefined && packed.bytes[row] !== 8) unpack(packed, row, begin, length, into, at);
  // Mostly so few that a view of them would take longer.
  else for (let item = 0; item < length; item++) into[at + item] = values[begin + item];
}

/** The stale markers of a row of a chunk. Undefined if it has none. */
export function staleMarks(
  { begins, stale, packed }: SampleChunk,
  row: number,
  from: number,
  to: number,
): Uint8Array | undefined {
  if (stale === undefined || (packed !== undefined && packed.bytes[row] !== 8)) return undefined;
  const marks = stale.subarray(begins[row] + from, begins[row] + to);
  return marks.includes(1) ? marks : undefined;
}

/** Runs steps without a pause between them. */
export function withoutPause<Result>(steps: Generator<void, Result, undefined>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Makes a chunk of the samples at some places. */
export function chunkOf(places: SeriesPlaces, samples: PlacedSamples): SampleChunk {
  return withoutPause(chunkSteps(places, samples));
}

/** As `chunkOf`, in steps of a millisecond at most. */
export function* chunkSteps(
  places: SeriesPlaces,
  samples: PlacedSamples,
): Generator<void, SampleChunk, undefined> {
  const count = places.seriesIds.length;
  const seriesIds = new Uint32Array(shareOf(count * 4));
  const lengths = new Uint32Array(shareOf(count * 4));
  const begins = new Uint32Array(shareOf(count * 4));
  const timeBegins = new Uint32Array(shareOf(count * 4));
  const times = new DistinctTimes();
  seriesIds.set(places.seriesIds);
  let total = 0;
  let step = 0;
  for (let at = 0; at < count; at++) {
    const [begin, end] = [places.begins[at], places.ends[at]];
    lengths[at] = end - begin;
    begins[at] = total;
    timeBegins[at] = times.placeOf(samples.timestampsMs, begin, end);
    total += end - begin;
    if (total - step < SAMPLES_PER_STEP) continue;
    step = total;
    yield;
  }
  const values = isOneRun(places, samples.values, total)
    ? samples.values
    : new Float64Array(shareOf(total * 8));
  for (let at = 0; at < count && values !== samples.values; at++)
    values.set(samples.values.subarray(places.begins[at], places.ends[at]), begins[at]);
  yield;
  return {
    ...{ seriesIds, lengths, begins, timeBegins, values },
    timestampsMs: times.stored(),
    stale: staleOf(places, begins, total, samples.stale),
  };
}

/** Whether values are in shared memory, and in the order of the chunk, so that it can have them as they are. */
function isOneRun({ begins, ends }: SeriesPlaces, values: Float64Array, total: number): boolean {
  if (values.length !== total || !(values.buffer instanceof SharedArrayBuffer)) return false;
  return begins.every((begin, at) => begin === (at === 0 ? 0 : ends[at - 1]));
}

function staleOf(
  places: SeriesPlaces,
  begins: Uint32Array,
  total: number,
  stale: Uint8Array | undefined,
): Uint8Array | undefined {
  if (stale?.includes(1) !== true) return undefined;
  const marks = new Uint8Array(shareOf(total));
  let any = false;
  for (let at = 0; at < begins.length; at++) {
    const own = stale.subarray(places.begins[at], places.ends[at]);
    any ||= own.includes(1);
    marks.set(own, begins[at]);
  }
  return any ? marks : undefined;
}

/** A step of a chunk that is made. */
const SAMPLES_PER_STEP = 100_000;

/** Makes a chunk of series that write their values where they will be. */
export class ChunkWriter {
  readonly #seriesIds: Uint32Array;
  readonly #lengths: Uint32Array;
  readonly #begins: Uint32Array;
  readonly #timeBegins: Uint32Array;
  readonly #values: Float64Array;
  readonly #times = new DistinctTimes();
  #stale: Uint8Array | undefined;
  #count = 0;
  #end = 0;

  /** @param lengths the number of samples of each series; those without any are not added */
  constructor(lengths: Uint32Array) {
    let count = 0;
    let total = 0;
    for (let at = 0; at < lengths.length; at++) {
      if (lengths[at] > 0) count++;
      total += lengths[at];
    }
    const column = () => new Uint32Array(shareOf(count * 4));
    [this.#seriesIds, this.#lengths, this.#begins, this.#timeBegins] = [
      column(),
      column(),
      column(),
      column(),
    ];
    this.#values = new Float64Array(shareOf(total * 8));
  }

  /** @param write writes the values of a series, and returns the rest of its samples */
  add(
    seriesId: number,
    length: number,
    write: (values: Float64Array, at: number) => Omit<PlacedSamples, "values">,
  ): void {
    const { timestampsMs, stale } = write(this.#values, this.#end);
    this.#seriesIds[this.#count] = seriesId;
    this.#lengths[this.#count] = length;
    this.#begins[this.#count] = this.#end;
    this.#timeBegins[this.#count++] = this.#times.placeOf(timestampsMs, 0, length);
    if (stale !== undefined) {
      this.#stale ??= new Uint8Array(shareOf(this.#values.length));
      this.#stale.set(stale, this.#end);
    }
    this.#end += length;
  }

  finish(): SampleChunk {
    return {
      seriesIds: this.#seriesIds,
      lengths: this.#lengths,
      begins: this.#begins,
      timeBegins: this.#timeBegins,
      values: this.#values,
      stale: this.#stale,
      timestampsMs: this.#times.stored(),
    };
  }
}

/** Finds lists of times that are equal. */
class DistinctTimes {
  /** The distinct lists: where they are, and where they will be stored. */
  readonly #lists: {
    readonly times: Float64Array;
    readonly begin: number;
    readonly end: number;
    readonly place: number;
  }[] = [];
  /** By the first time: indexes of lists. */
  readonly #byFirst = new Map<number, number[]>();
  #last = -1;
  #total = 0;

  placeOf(times: Float64Array, begin: number, end: number): number {
    // Mostly the series of one scrape follow each other.
    if (this.#last >= 0 && this.#isEqual(this.#last, times, begin, end)) return this.#lists[this.#last].place;
    const alike = this.#byFirst.getOrInsertComputed(end > begin ? times[begin] : 0, () => []);
    for (const index of alike) {
      if (!this.#isEqual(index, times, begin, end)) continue;
      this.#last = index;
      return this.#lists[index].place;
    }
    const place = this.#total;
    this.#last = this.#lists.length;
    this.#lists.push({ times, begin, end, place });
    // A search of many lists would take longer than storing one more.
    if (alike.length < ALIKE_MAX) alike.push(this.#last);
    this.#total += end - begin;
    return place;
  }

  stored(): Float64Array {
    const stored = new Float64Array(shareOf(this.#total * 8));
    for (const { times, begin, end, place } of this.#lists) stored.set(times.subarray(begin, end), place);
    return stored;
  }

  #isEqual(index: number, times: Float64Array, begin: number, end: number): boolean {
    const list = this.#lists[index];
    if (list.end - list.begin !== end - begin) return false;
    const others = list.times;
    if (others === times && list.begin === begin) return true;
    // The last times differ if one series has a sample more than the other.
    for (let at = end - 1, other = list.end - 1; at >= begin; at--, other--)
      if (times[at] !== others[other]) return false;
    return true;
  }
}

const ALIKE_MAX = 8;
