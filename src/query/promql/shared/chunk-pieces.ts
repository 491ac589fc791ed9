/** Finds series in chunks. The samples of one series can be in several chunks, one piece in each. */
import type { SampleChunk } from "./sample-chunks.ts";

/** Slots of series are in pages by their ids, as in shared-samples.ts. */
const PAGE_BITS = 12;
const PAGE_IDS = 1 << PAGE_BITS;
/** A search for one series takes as long as a pass over this many series of a chunk. */
const PASSED_PER_SEARCH = 16;

/** Numbers by the id of a series. */
export class SlotPages {
  readonly #pages: (Int32Array | undefined)[] = [];

  constructor(seriesIds: ArrayLike<number>) {
    for (let slot = 0; slot < seriesIds.length; slot++) {
      const at = seriesIds[slot] >>> PAGE_BITS;
      this.#pages[at] ??= new Int32Array(PAGE_IDS).fill(-1);
      this.#pages[at][seriesIds[slot] & (PAGE_IDS - 1)] = slot;
    }
  }

  /** -1 if there is none. */
  get(seriesId: number): number {
    return this.#pages[seriesId >>> PAGE_BITS]?.[seriesId & (PAGE_IDS - 1)] ?? -1;
  }
}

/** The pieces of some series, by slot: those of a slot are from `begins[slot]` up to `begins[slot + 1]`. */
export interface ChunkPieces {
  readonly begins: Uint32Array;
  /** By piece: the index of its chunk, and its row there. */
  readonly chunks: Uint32Array;
  readonly rows: Uint32Array;
}

/**
 * The pieces of series in chunks, in the order of the chunks.
 *
 * @param areSorted whether the series of each chunk are in ascending order of their ids
 */
export function piecesOf(
  chunks: readonly SampleChunk[],
  seriesIds: ArrayLike<number>,
  slots: SlotPages,
  areSorted: boolean,
): ChunkPieces {
  const count = seriesIds.length;
  const found = chunks.map(({ seriesIds: ids }) =>
    areSorted && count * PASSED_PER_SEARCH < ids.length
      ? searched(ids, seriesIds)
      : passed(ids, slots, count),
  );
  const begins = new Uint32Array(count + 1);
  for (const rowOf of found)
    for (let slot = 0; slot < count; slot++) if (rowOf[slot] >= 0) begins[slot + 1]++;
  for (let slot = 0; slot < count; slot++) begins[slot + 1] += begins[slot];
  const next = begins.slice();
  const chunkOf = new Uint32Array(begins[count]);
  const rows = new Uint32Array(begins[count]);
  for (const [index, rowOf] of found.entries()) {
    for (let slot = 0; slot < count; slot++) {
      if (rowOf[slot] < 0) continue;
      chunkOf[next[slot]] = index;
      rows[next[slot]++] = rowOf[slot];
    }
  }
  return { begins, chunks: chunkOf, rows };
}

/** The row of each series, or -1. */
function passed(ids: Uint32Array, slots: SlotPages, count: number): Int32Array {
  const rowOf = new Int32Array(count).fill(-1);
  for (let row = 0; row < ids.length; row++) {
    const slot = slots.get(ids[row]);
    if (slot >= 0) rowOf[slot] = row;
  }
  return rowOf;
}

/** As `passed`, for ascending ids. */
function searched(ids: Uint32Array, wanted: ArrayLike<number>): Int32Array {
  return Int32Array.from(wanted, (id) => {
    let from = 0;
    let to = ids.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (ids[middle] < id) from = middle + 1;
      else to = middle;
    }
    return ids[from] === id ? from : -1;
  });
}
