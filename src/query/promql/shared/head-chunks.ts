/** Makes chunks of the head (head-samples.ts), in steps of about a millisecond: pushes are accepted between them. */
import { type ChunkPieces, piecesOf, SlotPages } from "./chunk-pieces.ts";
import { ValuePacker } from "./packed-values.ts";
import {
  chunkSteps,
  copyValues,
  NO_ROWS,
  type SampleChunk,
  type SampleTail,
  staleMarks,
} from "./sample-chunks.ts";
import { shareOf } from "./shared-columns.ts";
import { joinedSteps } from "./shared-series.ts";
import { TailBySlot, type TailRoom } from "./tail-by-slot.ts";

type Steps<Result> = Generator<void, Result, undefined>;

/** A step of series that are walked over. */
const SERIES_PER_STEP = 1_024;
/** Makes a chunk of a tail. */
export function* tailChunk(tail: SampleTail, room: TailRoom): Steps<SampleChunk> {
  const seriesIds = idsOf([tail.seriesIds.subarray(0, tail.length)]);
  yield;
  const rows = new TailBySlot(tail, new SlotPages(seriesIds), seriesIds.length, room, shareOf);
  yield;
  const { begins, timestampsMs } = rows;
  for (let slot = 0; slot < seriesIds.length; slot++) {
    for (let at = begins[slot] + 1; at < begins[slot + 1]; at++)
      if (timestampsMs[at] <= timestampsMs[at - 1])
        return yield* joinedSteps({ chunks: [], tail }, Number.NEGATIVE_INFINITY);
  }
  yield;
  return yield* chunkSteps({ seriesIds, begins: begins.subarray(0, -1), ends: begins.subarray(1) }, rows);
}

/** Makes one chunk of several, which follow each other in time. The series of each are in ascending order. */
export function* joinedChunk(chunks: readonly SampleChunk[]): Steps<SampleChunk> {
  const ids = idsOf(chunks.map(({ seriesIds }) => seriesIds));
  yield;
  const pieces = piecesOf(chunks, ids, new SlotPages(ids), true);
  yield;
  const times = new JoinedTimes(chunks, pieces);
  const [seriesIds, lengths, timeBegins] = [0, 1, 2].map(() => new Uint32Array(shareOf(ids.length * 4)));
  seriesIds.set(ids);
  let longest = 0;
  for (let slot = 0; slot < ids.length; slot++) {
    if (slot % SERIES_PER_STEP === SERIES_PER_STEP - 1) yield;
    if (!times.take(slot))
      return yield* joinedSteps({ chunks, tail: NO_ROWS, areSorted: true }, Number.NEGATIVE_INFINITY);
    lengths[slot] = times.length;
    timeBegins[slot] = times.begin;
    longest = Math.max(longest, times.length);
  }
  const packer = new ValuePacker(ids.length);
  const row = new JoinedRow(chunks, pieces, longest);
  for (let slot = 0; slot < ids.length; slot++) {
    if (slot % SERIES_PER_STEP === SERIES_PER_STEP - 1) yield;
    row.take(slot);
    packer.decide(slot, row.values, lengths[slot], row.marks.length > 0);
  }
  packer.begin();
  yield;
  const marked: { readonly begin: number; readonly marks: Uint8Array }[] = [];
  for (let slot = 0; slot < ids.length; slot++) {
    if (slot % SERIES_PER_STEP === SERIES_PER_STEP - 1) yield;
    row.take(slot);
    const begin = packer.store(slot, row.values, lengths[slot]);
    for (const { at, marks } of row.marks) marked.push({ begin: begin + at, marks });
  }
  const { values, packed } = packer.finish();
  const stale = marked.length === 0 ? undefined : new Uint8Array(shareOf(values.length));
  for (const { begin, marks } of marked) stale!.set(marks, begin);
  const { begins } = packer;
  return { seriesIds, lengths, begins, timeBegins, values, packed, stale, timestampsMs: times.stored() };
}

/** The values of one series in several chunks, one after the other. */
class JoinedRow {
  readonly #chunks: readonly SampleChunk[];
  readonly #pieces: ChunkPieces;
  /** From the first on. Those of the series before may follow. */
  readonly values: Float64Array;
  /** Stale markers, and the place of the first value that they belong to. */
  marks: { readonly at: number; readonly marks: Uint8Array }[] = [];

  constructor(chunks: readonly SampleChunk[], pieces: ChunkPieces, longest: number) {
    this.#chunks = chunks;
    this.#pieces = pieces;
    this.values = new Float64Array(longest);
  }

  take(slot: number): void {
    const { begins, chunks, rows } = this.#pieces;
    if (this.marks.length > 0) this.marks = [];
    let end = 0;
    for (let piece = begins[slot]; piece < begins[slot + 1]; piece++) {
      const chunk = this.#chunks[chunks[piece]];
      const length = chunk.lengths[rows[piece]];
      copyValues(chunk, rows[piece], 0, length, this.values, end);
      const marks = staleMarks(chunk, rows[piece], 0, length);
      if (marks !== undefined) this.marks.push({ at: end, marks });
      end += length;
    }
  }
}

/** All ids of some lists, in ascending order. */
function idsOf(lists: readonly Uint32Array[]): Uint32Array {
  const ids = new Set<number>();
  for (const list of lists) for (let at = 0; at < list.length; at++) ids.add(list[at]);
  return Uint32Array.from(ids).sort();
}

/** The times of series that are in several chunks. Series that have the same in each chunk share them. */
class JoinedTimes {
  readonly #chunks: readonly SampleChunk[];
  readonly #pieces: ChunkPieces;
  /** By the places of the times in the chunks: where they are stored. */
  readonly #known = new Map<string, number>();
  readonly #slots: number[] = [];
  #last = -1;
  #total = 0;
  /** Those of the slot that was taken: how many, and where they are stored. */
  length = 0;
  begin = 0;

  constructor(chunks: readonly SampleChunk[], pieces: ChunkPieces) {
    this.#chunks = chunks;
    this.#pieces = pieces;
  }

  /** Finds the times of a slot. False if they are not in ascending order. */
  take(slot: number): boolean {
    if (this.#last >= 0 && this.#areEqual(this.#last, slot)) return true;
    this.#last = slot;
    const { begins, chunks, rows } = this.#pieces;
    let key = "";
    this.length = 0;
    for (let piece = begins[slot]; piece < begins[slot + 1]; piece++) {
      const { timeBegins, lengths } = this.#chunks[chunks[piece]];
      key += `${chunks[piece]} ${timeBegins[rows[piece]]} `;
      this.length += lengths[rows[piece]];
    }
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.begin = known;
      return true;
    }
    this.begin = this.#total;
    this.#known.set(key, this.#total);
    this.#slots.push(slot);
    this.#total += this.length;
    return this.#isAscending(slot);
  }

  /** All times. */
  stored(): Float64Array {
    const stored = new Float64Array(shareOf(this.#total * 8));
    let end = 0;
    for (const slot of this.#slots) {
      this.#eachPiece(slot, (times, from, to) => {
        stored.set(times.subarray(from, to), end);
        end += to - from;
      });
    }
    return stored;
  }

  #areEqual(one: number, other: number): boolean {
    const { begins, chunks, rows } = this.#pieces;
    const count = begins[one + 1] - begins[one];
    if (begins[other + 1] - begins[other] !== count) return false;
    for (let at = 0; at < count; at++) {
      const [a, b] = [begins[one] + at, begins[other] + at];
      if (chunks[a] !== chunks[b]) return false;
      const { timeBegins } = this.#chunks[chunks[a]];
      if (timeBegins[rows[a]] !== timeBegins[rows[b]]) return false;
    }
    return true;
  }

  #isAscending(slot: number): boolean {
    let isAscending = true;
    let beforeMs = Number.NEGATIVE_INFINITY;
    this.#eachPiece(slot, (times, from, to) => {
      isAscending &&= times[from] > beforeMs;
      beforeMs = times[to - 1];
    });
    return isAscending;
  }

  #eachPiece(slot: number, visit: (times: Float64Array, from: number, to: number) => void): void {
    const { begins, chunks, rows } = this.#pieces;
    for (let piece = begins[slot]; piece < begins[slot + 1]; piece++) {
      const { timestampsMs, timeBegins, lengths } = this.#chunks[chunks[piece]];
      const from = timeBegins[rows[piece]];
      visit(timestampsMs, from, from + lengths[rows[piece]]);
    }
  }
}
