/** Reads what is kept of series in shared memory (shared-samples.ts), and makes it again when its tail has become long. */
import type { LabelSet } from "../labels.ts";
import type { SeriesSamples } from "../storage.ts";
import { type ChunkPieces, piecesOf, SlotPages } from "./chunk-pieces.ts";
import { TailBySlot } from "./tail-by-slot.ts";
import {
  ChunkWriter,
  copyValues,
  type SampleChunk,
  samplesOfChunk,
  staleMarks,
  withoutPause,
} from "./sample-chunks.ts";
import type { SharedMade, SharedPart } from "./shared-samples.ts";

/** A series that is asked for. */
interface Wanted {
  readonly labels: LabelSet;
  readonly seriesIds: readonly number[];
}

/** What is read of a part. */
type ReadPart = Pick<SharedPart, "chunks" | "tail" | "areSorted">;

interface Bounds {
  readonly afterMs: number;
  readonly toMs: number;
}

/** A tail of this length is joined with the chunks when it also has this share of their samples. */
const TAIL_MIN = 20_000;
const TAIL_SHARE = 1 / 4;
const NO_NUMBERS = new Float64Array(0);
const NO_SAMPLES: Samples = { timestampsMs: NO_NUMBERS, values: NO_NUMBERS, stale: undefined };

interface Samples {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array | undefined;
}

/** Times that several series have. */
interface JoinedTimes {
  /** By piece: its chunk, and where its times begin there. */
  readonly chunks: Uint32Array;
  readonly begins: Uint32Array;
  readonly timestampsMs: Float64Array;
}

/** The samples of the series of one part, one after the other. Series with the same times share the array of times. */
export class PartReader {
  readonly #part: ReadPart;
  readonly #pieces: ChunkPieces;
  readonly #tail: TailBySlot | undefined;
  readonly #bounds: Bounds;
  /** By chunk: the times that were last found, and which of them are in the range. Mostly the next series has the same. */
  readonly #timeBegins: Int32Array;
  readonly #lengths: Uint32Array;
  readonly #froms: Uint32Array;
  readonly #tos: Uint32Array;
  /** The same times as an array, by chunk and by the place where they are stored. */
  readonly #known: readonly Map<number, Float64Array>[];
  /** The pieces of a series that have samples in the range: their chunks, rows and times. */
  readonly #chunkAt: Uint32Array;
  readonly #rowAt: Uint32Array;
  readonly #fromAt: Uint32Array;
  readonly #toAt: Uint32Array;
  readonly #timeAt: Uint32Array;
  #pieceCount = 0;
  /** The samples of the pieces. */
  #count = 0;
  /** The rows of the tail. */
  #begin = 0;
  #end = 0;
  /** The last times that were joined. */
  #joined: JoinedTimes | undefined;

  constructor(part: ReadPart, seriesIds: ArrayLike<number>, bounds: Bounds) {
    this.#part = part;
    this.#bounds = bounds;
    const { chunks, tail, areSorted = false } = part;
    const slots = new SlotPages(seriesIds);
    this.#pieces = piecesOf(chunks, seriesIds, slots, areSorted);
    const column = () => new Uint32Array(chunks.length);
    this.#timeBegins = new Int32Array(chunks.length).fill(-1);
    [this.#lengths, this.#froms, this.#tos] = [column(), column(), column()];
    this.#known = chunks.map(() => new Map());
    [this.#chunkAt, this.#rowAt, this.#fromAt] = [column(), column(), column()];
    [this.#toAt, this.#timeAt] = [column(), column()];
    this.#tail = tail.length > 0 ? new TailBySlot(tail, slots, seriesIds.length) : undefined;
  }

  /** The samples of a series in the range. A sample can be in a chunk and in the tail, and then it is the same. */
  at(slot: number): Samples {
    if (!this.#find(slot)) return this.#sorted();
    const length = this.#length;
    if (length === 0) return NO_SAMPLES;
    if (this.#begin === this.#end && this.#pieceCount === 1 && this.#isDouble()) return this.#onePiece();
    const values = new Float64Array(length);
    this.#copyValues(values, 0);
    return { timestampsMs: this.#joinedTimes(), values, stale: this.#marks() };
  }

  /** The number of these samples. */
  count(slot: number): number {
    return this.#find(slot) ? this.#length : this.#sorted().values.length;
  }

  /** Copies their values to `into`, from `at` on. Returns the rest of them. */
  copy(slot: number, into: Float64Array, at: number): Omit<Samples, "values"> {
    if (this.#find(slot)) {
      this.#copyValues(into, at);
      return { timestampsMs: this.#joinedTimes(), stale: this.#marks() };
    }
    const { values, ...rest } = this.#sorted();
    into.set(values, at);
    return rest;
  }

  /** Finds the pieces of a series, and its rows in the tail. False if they are not in order. Rows that come late are rare. */
  #find(slot: number): boolean {
    const { chunks } = this.#part;
    const tail = this.#tail;
    const { afterMs, toMs } = this.#bounds;
    let beforeMs = afterMs;
    let isInOrder = true;
    let pieces = 0;
    let count = 0;
    const { begins, chunks: chunkOf, rows } = this.#pieces;
    for (let piece = begins[slot]; piece < begins[slot + 1]; piece++) {
      const at = chunkOf[piece];
      const row = rows[piece];
      const { timeBegins, lengths, timestampsMs } = chunks[at];
      const begin = timeBegins[row];
      if (this.#timeBegins[at] !== begin || this.#lengths[at] !== lengths[row])
        this.#findTimes(at, begin, lengths[row]);
      const from = this.#froms[at];
      const to = this.#tos[at];
      if (from === to) continue;
      isInOrder &&= timestampsMs[begin + from] > beforeMs;
      beforeMs = timestampsMs[begin + to - 1];
      this.#chunkAt[pieces] = at;
      this.#rowAt[pieces] = row;
      this.#fromAt[pieces] = from;
      this.#toAt[pieces] = to;
      this.#timeAt[pieces++] = begin + from;
      count += to - from;
    }
    let end = tail?.begins[slot + 1] ?? 0;
    let begin = tail?.begins[slot] ?? 0;
    while (begin < end && tail!.timestampsMs[begin] <= afterMs) begin++;
    for (let at = begin; at < end && isInOrder; at++) {
      isInOrder = tail!.timestampsMs[at] > beforeMs;
      beforeMs = tail!.timestampsMs[at];
    }
    while (isInOrder && end > begin && tail!.timestampsMs[end - 1] > toMs) end--;
    this.#pieceCount = pieces;
    this.#count = count;
    this.#begin = begin;
    this.#end = end;
    return isInOrder;
  }

  get #length(): number {
    return this.#count + this.#end - this.#begin;
  }

  /** Which of the times of a chunk are in the range. */
  #findTimes(at: number, begin: number, length: number): void {
    const { timestampsMs } = this.#part.chunks[at];
    const { afterMs, toMs } = this.#bounds;
    this.#timeBegins[at] = begin;
    this.#lengths[at] = length;
    this.#froms[at] = firstAfter(timestampsMs, afterMs, begin, begin + length) - begin;
    this.#tos[at] = firstAfter(timestampsMs, toMs, begin, begin + length) - begin;
  }

  #isDouble(): boolean {
    const { packed } = this.#part.chunks[this.#chunkAt[0]];
    return packed === undefined || packed.bytes[this.#rowAt[0]] === 8;
  }

  /** All samples are in one piece, and are used where they are. */
  #onePiece(): Samples {
    const at = this.#chunkAt[0];
    const chunk = this.#part.chunks[at];
    const [row, from, to] = [this.#rowAt[0], this.#fromAt[0], this.#toAt[0]];
    const timeBegin = this.#timeAt[0];
    const begin = chunk.begins[row];
    return {
      timestampsMs: this.#known[at].getOrInsertComputed(timeBegin, () =>
        chunk.timestampsMs.subarray(timeBegin, timeBegin + to - from),
      ),
      values: chunk.values.subarray(begin + from, begin + to),
      stale: staleMarks(chunk, row, from, to),
    };
  }

  /** Copies the values of pieces and of the tail. */
  #copyValues(into: Float64Array, first: number): void {
    let filled = first;
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      const [from, to] = [this.#fromAt[piece], this.#toAt[piece]];
      copyValues(this.#part.chunks[this.#chunkAt[piece]], this.#rowAt[piece], from, to, into, filled);
      filled += to - from;
    }
    for (let at = this.#begin; at < this.#end; at++) into[filled++] = this.#tail!.values[at];
  }

  #times(): Float64Array {
    const joined = new Float64Array(this.#length);
    let filled = 0;
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      const { timestampsMs } = this.#part.chunks[this.#chunkAt[piece]];
      const to = this.#timeAt[piece] + this.#toAt[piece] - this.#fromAt[piece];
      for (let at = this.#timeAt[piece]; at < to; at++) joined[filled++] = timestampsMs[at];
    }
    for (let at = this.#begin; at < this.#end; at++) joined[filled++] = this.#tail!.timestampsMs[at];
    return joined;
  }

  #marks(): Uint8Array | undefined {
    let marks: Uint8Array | undefined;
    let filled = 0;
    for (let piece = 0; piece < this.#pieceCount; piece++) {
      const [from, to] = [this.#fromAt[piece], this.#toAt[piece]];
      const own = staleMarks(this.#part.chunks[this.#chunkAt[piece]], this.#rowAt[piece], from, to);
      if (own !== undefined) {
        marks ??= new Uint8Array(this.#length);
        marks.set(own, filled);
      }
      filled += to - from;
    }
    for (let at = this.#begin; at < this.#end; at++) {
      if (this.#tail!.stale[at] === 0) continue;
      marks ??= new Uint8Array(this.#length);
      marks[filled + at - this.#begin] = 1;
    }
    return marks;
  }

  /** The times of the last series, if they are the same. */
  #joinedTimes(): Float64Array {
    const last = this.#joined;
    const pieces = this.#pieceCount;
    if (last?.timestampsMs.length === this.#length && last.chunks.length === pieces) {
      let isSame = true;
      for (let piece = 0; piece < pieces && isSame; piece++)
        isSame = last.chunks[piece] === this.#chunkAt[piece] && last.begins[piece] === this.#timeAt[piece];
      const first = this.#count - this.#begin;
      for (let at = this.#begin; at < this.#end && isSame; at++)
        isSame = last.timestampsMs[first + at] === this.#tail!.timestampsMs[at];
      if (isSame) return last.timestampsMs;
    }
    const timestampsMs = this.#times();
    const [chunks, begins] = [this.#chunkAt.slice(0, pieces), this.#timeAt.slice(0, pieces)];
    this.#joined = { chunks, begins, timestampsMs };
    return timestampsMs;
  }

  /** The samples that were found in the order of their times, each time once. */
  #sorted(): Samples {
    const count = this.#count;
    const timestampsMs = this.#times();
    const values = new Float64Array(timestampsMs.length);
    this.#copyValues(values, 0);
    const marks = this.#marks();
    const { afterMs, toMs } = this.#bounds;
    const order: number[] = [];
    for (let at = 0; at < timestampsMs.length; at++)
      if (at < count || (timestampsMs[at] > afterMs && timestampsMs[at] <= toMs)) order.push(at);
    order.sort((a, b) => timestampsMs[a] - timestampsMs[b] || a - b);
    // Samples of a chunk are as they are stored: only those of the tail can be there twice.
    const kept = order.filter(
      (at, place) => at < count || place === 0 || timestampsMs[order[place - 1]] !== timestampsMs[at],
    );
    return {
      timestampsMs: Float64Array.from(kept, (at) => timestampsMs[at]),
      values: Float64Array.from(kept, (at) => values[at]),
      stale: marksOf(marks && Uint8Array.from(kept, (at) => marks[at])),
    };
  }
}

function marksOf(stale: Uint8Array | undefined): Uint8Array | undefined {
  return stale?.includes(1) ? stale : undefined;
}

/** The samples of ascending times in a range that is open on the left: from the first up to, not including, the second. */
export function rangeOf(timestampsMs: Float64Array, { afterMs, toMs }: Bounds): readonly [number, number] {
  const { length } = timestampsMs;
  return [firstAfter(timestampsMs, afterMs, 0, length), firstAfter(timestampsMs, toMs, 0, length)];
}

/** The first place from `from` up to `to` with a later time, or `to`. */
function firstAfter(timestampsMs: Float64Array, timeMs: number, from: number, to: number): number {
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

/** Whether the tail of a part should become a part of its chunks. Those of the head are made where it is kept. */
export function isTailLong({ ticket, chunks, tail }: SharedPart): boolean {
  const samples = chunks.reduce((sum, chunk) => sum + samplesOfChunk(chunk), 0);
  return ticket !== undefined && tail.length > Math.max(TAIL_MIN, samples * TAIL_SHARE);
}

/** The samples of a part as one chunk, without those that nobody needs any more. */
export function rewritten(part: SharedPart): SharedMade {
  const { tail, neededAfterMs: afterMs } = part;
  return { chunks: [withoutPause(joinedSteps(part, afterMs))], tailLength: tail.length, afterMs };
}

/** Makes one chunk, whose series are in ascending order, of the samples of a part after a time. */
export function* joinedSteps(
  part: ReadPart,
  afterMs: number,
  ids: Uint32Array = idsOfPart(part),
): Generator<void, SampleChunk, undefined> {
  const seriesIds = ids.toSorted();
  yield;
  const reader = new PartReader(part, seriesIds, { afterMs, toMs: Number.POSITIVE_INFINITY });
  yield;
  const lengths = new Uint32Array(seriesIds.length);
  for (let slot = 0; slot < seriesIds.length; slot++) {
    if (slot % SERIES_PER_STEP === SERIES_PER_STEP - 1) yield;
    lengths[slot] = reader.count(slot);
  }
  const writer = new ChunkWriter(lengths);
  for (let slot = 0; slot < seriesIds.length; slot++) {
    if (slot % SERIES_PER_STEP === SERIES_PER_STEP - 1) yield;
    // A list without items would begin where the next one does.
    if (lengths[slot] > 0)
      writer.add(seriesIds[slot], lengths[slot], (into, at) => reader.copy(slot, into, at));
  }
  return writer.finish();
}

function idsOfPart({ chunks, tail }: ReadPart): Uint32Array {
  const ids = new Set<number>();
  for (const { seriesIds } of chunks) for (const id of seriesIds) ids.add(id);
  for (let row = 0; row < tail.length; row++) ids.add(tail.seriesIds[row]);
  return Uint32Array.from(ids);
}

/** A step of samples that are joined. */
const SERIES_PER_STEP = 512;
