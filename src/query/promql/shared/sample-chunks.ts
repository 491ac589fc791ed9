/**
 * Samples of many series in memory that threads share, so that a Worker evaluates them without a copy. A chunk does not
 * change. What is committed later is in a tail, which only grows. Series that are scraped together have the same times: those
 * are stored once, so most samples take 8 bytes.
 */
import { shareOf } from "./shared-columns.ts";

/** Samples by series. The n-th series has `lengths[n]` samples, in ascending order of time. */
export interface SampleChunk {
  readonly seriesIds: Uint32Array;
  readonly lengths: Uint32Array;
  /** Where the values of a series begin. */
  readonly begins: Uint32Array;
  /** Where its times begin. Several series can have the same. */
  readonly timeBegins: Uint32Array;
  /** Milliseconds since the epoch. */
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** By value: 1 for a stale marker. Absent if there is none. */
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

/** Where the samples of one series are, in arrays that others share. */
export interface SeriesPlace {
  readonly seriesId: number;
  readonly begin: number;
  readonly end: number;
}

/** The arrays that places refer to. */
export interface PlacedSamples {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array | undefined;
}

/** Bytes of memory that a chunk takes. */
export function bytesOfChunk({ seriesIds, timestampsMs, values, stale }: SampleChunk): number {
  return seriesIds.byteLength * 4 + timestampsMs.byteLength + values.byteLength + (stale?.byteLength ?? 0);
}

/** Makes a chunk of the samples at some places. */
export function chunkOf(places: readonly SeriesPlace[], samples: PlacedSamples): SampleChunk {
  const count = places.length;
  const seriesIds = new Uint32Array(shareOf(count * 4));
  const lengths = new Uint32Array(shareOf(count * 4));
  const begins = new Uint32Array(shareOf(count * 4));
  const timeBegins = new Uint32Array(shareOf(count * 4));
  const times = new DistinctTimes(samples.timestampsMs);
  let total = 0;
  for (let at = 0; at < count; at++) {
    const { seriesId, begin, end } = places[at];
    seriesIds[at] = seriesId;
    lengths[at] = end - begin;
    begins[at] = total;
    timeBegins[at] = times.placeOf(begin, end);
    total += end - begin;
  }
  const values = new Float64Array(shareOf(total * 8));
  for (let at = 0; at < count; at++) {
    const { begin, end } = places[at];
    values.set(samples.values.subarray(begin, end), begins[at]);
  }
  return {
    ...{ seriesIds, lengths, begins, timeBegins, values },
    timestampsMs: times.stored(),
    stale: staleOf(places, begins, total, samples.stale),
  };
}

function staleOf(
  places: readonly SeriesPlace[],
  begins: Uint32Array,
  total: number,
  stale: Uint8Array | undefined,
): Uint8Array | undefined {
  if (stale === undefined) return undefined;
  const marks = new Uint8Array(shareOf(total));
  let any = false;
  for (const [at, { begin, end }] of places.entries()) {
    const own = stale.subarray(begin, end);
    any ||= own.includes(1);
    marks.set(own, begins[at]);
  }
  return any ? marks : undefined;
}

/** Finds lists of times that are equal. */
class DistinctTimes {
  readonly #timestampsMs: Float64Array;
  /** The distinct lists: where they are, and where they will be stored. */
  readonly #lists: { readonly begin: number; readonly end: number; readonly place: number }[] = [];
  /** By the first time: indexes of lists. */
  readonly #byFirst = new Map<number, number[]>();
  #last = -1;
  #total = 0;

  constructor(timestampsMs: Float64Array) {
    this.#timestampsMs = timestampsMs;
  }

  placeOf(begin: number, end: number): number {
    // Mostly the series of one scrape follow each other.
    if (this.#last >= 0 && this.#isEqual(this.#last, begin, end)) return this.#lists[this.#last].place;
    const alike = this.#byFirst.getOrInsertComputed(end > begin ? this.#timestampsMs[begin] : 0, () => []);
    for (const index of alike) {
      if (!this.#isEqual(index, begin, end)) continue;
      this.#last = index;
      return this.#lists[index].place;
    }
    const place = this.#total;
    this.#last = this.#lists.length;
    this.#lists.push({ begin, end, place });
    // A search of many lists would take longer than storing one more.
    if (alike.length < ALIKE_MAX) alike.push(this.#last);
    this.#total += end - begin;
    return place;
  }

  stored(): Float64Array {
    const stored = new Float64Array(shareOf(this.#total * 8));
    for (const { begin, end, place } of this.#lists)
      stored.set(this.#timestampsMs.subarray(begin, end), place);
    return stored;
  }

  #isEqual(index: number, begin: number, end: number): boolean {
    const list = this.#lists[index];
    if (list.end - list.begin !== end - begin) return false;
    const times = this.#timestampsMs;
    // The last times differ if one series has a sample more than the other.
    for (let at = end - 1, other = list.end - 1; at >= begin; at--, other--)
      if (times[at] !== times[other]) return false;
    return true;
  }
}

const ALIKE_MAX = 8;
