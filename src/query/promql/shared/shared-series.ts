/** Reads what is kept of series in shared memory (shared-samples.ts), and makes it again when its tail has become long. */
import type { LabelSet } from "../labels.ts";
import type { SeriesSamples } from "../storage.ts";
import { chunkOf, type SampleChunk, type SampleTail, type SeriesPlace } from "./sample-chunks.ts";
import type { SharedMade, SharedPart } from "./shared-samples.ts";

/** A series that is asked for. */
interface Wanted {
  readonly labels: LabelSet;
  readonly seriesIds: readonly number[];
}

interface Bounds {
  readonly afterMs: number;
  readonly toMs: number;
}

/** A tail of this length is joined with the chunks when it also has this share of their samples. */
const TAIL_MIN = 20_000;
const TAIL_SHARE = 1 / 4;
/** Slots of series are in pages by their ids, as in shared-samples.ts. */
const PAGE_BITS = 12;
const PAGE_IDS = 1 << PAGE_BITS;

/** Numbers by the id of a series. */
class SlotPages {
  readonly #pages: (Int32Array | undefined)[] = [];

  set(seriesId: number, slot: number): void {
    const at = seriesId >>> PAGE_BITS;
    this.#pages[at] ??= new Int32Array(PAGE_IDS).fill(-1);
    this.#pages[at][seriesId & (PAGE_IDS - 1)] = slot;
  }

  /** -1 if there is none. */
  get(seriesId: number): number {
    return this.#pages[seriesId >>> PAGE_BITS]?.[seriesId & (PAGE_IDS - 1)] ?? -1;
  }
}

const NO_NUMBERS = new Float64Array(0);

/** Rows of a tail by slot, in the order of their commits. Those of a slot begin at `begins[slot]`. */
class TailBySlot {
  readonly #begins: Uint32Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array;

  constructor(tail: SampleTail, slots: SlotPages, count: number) {
    const lengths = new Uint32Array(count + 1);
    const slotOf = new Int32Array(tail.length);
    for (let row = 0; row < tail.length; row++) {
      const slot = slots.get(tail.seriesIds[row]);
      slotOf[row] = slot;
      if (slot >= 0) lengths[slot + 1]++;
    }
    for (let slot = 0; slot < count; slot++) lengths[slot + 1] += lengths[slot];
    this.#begins = lengths;
    const next = lengths.slice();
    const total = lengths[count];
    this.timestampsMs = new Float64Array(total);
    this.values = new Float64Array(total);
    this.stale = new Uint8Array(total);
    for (let row = 0; row < tail.length; row++) {
      const slot = slotOf[row];
      if (slot < 0) continue;
      const at = next[slot]++;
      this.timestampsMs[at] = tail.timestampsMs[row];
      this.values[at] = tail.values[row];
      this.stale[at] = tail.stale[row];
    }
  }

  begin(slot: number): number {
    return this.#begins[slot];
  }

  end(slot: number): number {
    return this.#begins[slot + 1];
  }
}

interface Samples {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array | undefined;
}

/** The samples of the series of one part, one after the other. Series with the same times share the array of times. */
class PartReader {
  readonly #part: SharedPart;
  readonly #slots: SlotPages;
  readonly #tail: TailBySlot | undefined;
  /** By slot: the chunk of a series and 1, and its row. */
  readonly #chunkOf: Uint16Array;
  readonly #rowOf: Uint32Array;
  readonly #bounds: Bounds;
  /** The last times of each chunk: where they are stored, and those of the range. */
  readonly #known = new Map<
    SampleChunk,
    Map<number, { from: number; to: number; timestampsMs: Float64Array }>
  >();
  /** The last times that were joined. */
  #joined: { base: Float64Array; timestampsMs: Float64Array } | undefined;

  constructor(part: SharedPart, seriesIds: readonly number[], bounds: Bounds) {
    this.#part = part;
    this.#bounds = bounds;
    this.#slots = new SlotPages();
    const count = seriesIds.length;
    for (let slot = 0; slot < count; slot++) this.#slots.set(seriesIds[slot], slot);
    this.#chunkOf = new Uint16Array(count);
    this.#rowOf = new Uint32Array(count);
    for (const [index, { seriesIds: ids }] of part.chunks.entries()) {
      for (let row = 0; row < ids.length; row++) {
        const slot = this.#slots.get(ids[row]);
        if (slot < 0) continue;
        this.#chunkOf[slot] = index + 1;
        this.#rowOf[slot] = row;
      }
    }
    this.#tail = part.tail.length > 0 ? new TailBySlot(part.tail, this.#slots, count) : undefined;
  }

  /** The samples of a series in the range. */
  at(slot: number): Samples {
    const base = this.#base(slot);
    const tail = this.#tail;
    if (tail === undefined || tail.begin(slot) === tail.end(slot)) return base;
    return this.#join(base, tail, slot);
  }

  #base(slot: number): Samples {
    const index = this.#chunkOf[slot];
    if (index === 0) return { timestampsMs: NO_NUMBERS, values: NO_NUMBERS, stale: undefined };
    const chunk = this.#part.chunks[index - 1];
    const row = this.#rowOf[slot];
    const { from, to, timestampsMs } = this.#timesOf(chunk, chunk.timeBegins[row], chunk.lengths[row]);
    const begin = chunk.begins[row];
    return {
      timestampsMs,
      values: chunk.values.subarray(begin + from, begin + to),
      stale: marksOf(chunk.stale?.subarray(begin + from, begin + to)),
    };
  }

  #timesOf(chunk: SampleChunk, begin: number, length: number) {
    const ofChunk = this.#known.getOrInsertComputed(chunk, () => new Map());
    return ofChunk.getOrInsertComputed(begin, () => {
      const all = chunk.timestampsMs.subarray(begin, begin + length);
      const [from, to] = rangeOf(all, this.#bounds);
      return { from, to, timestampsMs: all.subarray(from, to) };
    });
  }

  /** The samples of a chunk and those of the tail. A sample can be in both, and then it is the same. */
  #join(base: Samples, tail: TailBySlot, slot: number): Samples {
    const { afterMs, toMs } = this.#bounds;
    const end = tail.end(slot);
    let begin = tail.begin(slot);
    while (begin < end && tail.timestampsMs[begin] <= afterMs) begin++;
    let before = base.timestampsMs.at(-1) ?? afterMs;
    for (let at = begin; at < end; at++) {
      // Rows that come late are rare.
      if (tail.timestampsMs[at] <= before) return sorted(base, tail, begin, end, this.#bounds);
      before = tail.timestampsMs[at];
    }
    let until = end;
    while (until > begin && tail.timestampsMs[until - 1] > toMs) until--;
    if (until === begin) return base;
    const count = base.values.length;
    const timestampsMs = this.#joinedTimes(base.timestampsMs, tail.timestampsMs, begin, until);
    const values = new Float64Array(count + until - begin);
    values.set(base.values);
    for (let at = begin; at < until; at++) values[count + at - begin] = tail.values[at];
    return { timestampsMs, values, stale: joinedMarks(base, tail.stale.subarray(begin, until)) };
  }

  #joinedTimes(base: Float64Array, times: Float64Array, begin: number, end: number): Float64Array {
    const last = this.#joined;
    const length = base.length + end - begin;
    if (last?.base === base && last.timestampsMs.length === length) {
      let at = begin;
      while (at < end && last.timestampsMs[base.length + at - begin] === times[at]) at++;
      if (at === end) return last.timestampsMs;
    }
    const timestampsMs = new Float64Array(length);
    timestampsMs.set(base);
    for (let at = begin; at < end; at++) timestampsMs[base.length + at - begin] = times[at];
    this.#joined = { base, timestampsMs };
    return timestampsMs;
  }
}

function marksOf(stale: Uint8Array | undefined): Uint8Array | undefined {
  return stale?.includes(1) ? stale : undefined;
}

function joinedMarks({ values, stale }: Samples, more: Uint8Array): Uint8Array | undefined {
  if (stale === undefined && !more.includes(1)) return undefined;
  const marks = new Uint8Array(values.length + more.length);
  if (stale !== undefined) marks.set(stale);
  marks.set(more, values.length);
  return marks;
}

/** The samples of a chunk and of a tail in the order of their times, each time once. */
function sorted(
  base: Samples,
  tail: TailBySlot,
  begin: number,
  end: number,
  { afterMs, toMs }: Bounds,
): Samples {
  const count = base.values.length;
  const timeAt = (at: number) => (at < count ? base.timestampsMs[at] : tail.timestampsMs[begin + at - count]);
  const order: number[] = [];
  for (let at = 0; at < count + end - begin; at++)
    if (at < count || (timeAt(at) > afterMs && timeAt(at) <= toMs)) order.push(at);
  order.sort((a, b) => timeAt(a) - timeAt(b) || a - b);
  // Samples of a chunk are as they are stored: only those of the tail can be there twice.
  const kept = order.filter(
    (at, place) => at < count || place === 0 || timeAt(order[place - 1]) !== timeAt(at),
  );
  const stale = Uint8Array.from(kept, (at) =>
    at < count ? (base.stale?.[at] ?? 0) : tail.stale[begin + at - count],
  );
  return {
    timestampsMs: Float64Array.from(kept, timeAt),
    values: Float64Array.from(kept, (at) => (at < count ? base.values[at] : tail.values[begin + at - count])),
    stale: marksOf(stale),
  };
}

/** The samples of ascending times in a range that is open on the left: from the first up to, not including, the second. */
export function rangeOf(timestampsMs: Float64Array, { afterMs, toMs }: Bounds): readonly [number, number] {
  return [firstAfter(timestampsMs, afterMs), firstAfter(timestampsMs, toMs)];
}

function firstAfter(timestampsMs: Float64Array, timeMs: number): number {
  let from = 0;
  let to = timestampsMs.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (timestampsMs[middle] <= timeMs) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The samples of some series of a part in a range. Series without any are left out. */
export function* seriesOfPart(
  part: SharedPart,
  wanted: readonly Wanted[],
  bounds: Bounds,
): Generator<SeriesSamples, void, undefined> {
  const reader = new PartReader(
    part,
    wanted.map(({ seriesIds }) => seriesIds[0]),
    bounds,
  );
  for (let slot = 0; slot < wanted.length; slot++) {
    const samples = reader.at(slot);
    if (samples.values.length > 0) yield { labels: wanted[slot].labels, ...samples };
  }
}

/** Whether the tail of a part should become a part of its chunks. */
export function isTailLong({ chunks, tail }: SharedPart): boolean {
  const samples = chunks.reduce((sum, { values }) => sum + values.length, 0);
  return tail.length > Math.max(TAIL_MIN, samples * TAIL_SHARE);
}

/** The samples of a part as one chunk, without those that nobody needs any more. */
export function rewritten(part: SharedPart): SharedMade {
  const { chunks, tail, neededAfterMs: afterMs } = part;
  const ids = new Set<number>();
  for (const { seriesIds } of chunks) for (const id of seriesIds) ids.add(id);
  for (let row = 0; row < tail.length; row++) ids.add(tail.seriesIds[row]);
  const seriesIds = [...ids].sort((a, b) => a - b);
  const reader = new PartReader(part, seriesIds, { afterMs, toMs: Number.POSITIVE_INFINITY });
  const places: SeriesPlace[] = [];
  let total = 0;
  const all = seriesIds.map((_, slot) => reader.at(slot));
  for (const { values } of all) total += values.length;
  const timestampsMs = new Float64Array(total);
  const values = new Float64Array(total);
  const stale = new Uint8Array(total);
  let end = 0;
  for (const [slot, own] of all.entries()) {
    // A list without items would begin where the next one does.
    if (own.values.length === 0) continue;
    const begin = end;
    timestampsMs.set(own.timestampsMs, begin);
    values.set(own.values, begin);
    if (own.stale !== undefined) stale.set(own.stale, begin);
    end += own.values.length;
    places.push({ seriesId: seriesIds[slot], begin, end });
  }
  return { chunks: [chunkOf(places, { timestampsMs, values, stale })], tailLength: tail.length, afterMs };
}
