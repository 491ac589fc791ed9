/**
 * The columns of a result's chunk as typed arrays that belong to the receiver. They are copied once, by the driver: in Bun
 * it cannot pass on its memory. This module does not import the driver: duckdb.ts passes the functions that it needs.
 *
 * The two million samples of "max_over_time(m[2h])" in `scripts/bench promql --samples 8000000` take 170 CPU-ms to group
 * and read. With the driver's own values they take 300.
 */

import type { EncodedBlocks, NumberLists } from "../blocks/decode.ts";

/** The functions of the driver's bindings that this module uses. */
interface ChunkBindings<Chunk, Vector> {
  data_chunk_get_vector(chunk: Chunk, index: number): Vector;
  vector_get_data(vector: Vector, byteCount: number): Uint8Array;
  /** null if no row is NULL. */
  vector_get_validity(vector: Vector, byteCount: number): Uint8Array | null;
  list_vector_get_child(vector: Vector): Vector;
  list_vector_get_size(vector: Vector): number;
}

export type NumberType = "double" | "uinteger" | "boolean";

type NumberColumn = Float64Array | Uint32Array | Uint8Array;

/**
 * Receives a chunk: its columns, and which rows of one column are NULL, which is known until it returns. The next chunk is
 * read when its promise resolves, if it returns one.
 */
export type ColumnVisitor = (
  columns: NumberColumn[],
  rowCount: number,
  isNull: (row: number) => boolean,
) => void | Promise<void>;

/**
 * Receives a chunk of lists: the key of each row, where its lists begin among the items, their length, and the
 * items of all rows by list. `isNull` says until it returns which items of the last list are NULL. It is absent if none
 * is NULL. The next chunk is read when its promise resolves, if it returns one.
 */
export type ListVisitor = (
  keys: Uint32Array,
  begins: Uint32Array,
  lengths: Uint32Array,
  lists: readonly NumberColumn[],
  isNull: ((item: number) => boolean) | undefined,
) => void | Promise<void>;

/**
 * Receives a chunk of a statement over blocks, whose columns are those of `EncodedBlocks` in their order. The arrays are
 * copies. The next chunk is read when its promise resolves, if it returns one.
 */
export type BlockVisitor = (blocks: EncodedBlocks) => void | Promise<void>;

const NO_ROW = () => false;
/** An entry of a list vector: two 64-bit integers, the index of the first item and the number of items. */
const ENTRY_BYTES = 16;
const ENTRY_WORDS = 4;

export class ChunkColumns<Chunk, Vector> {
  readonly #bindings: ChunkBindings<Chunk, Vector>;
  /** Whether the driver copies its memory. Found with the first vector. */
  #isCopied: boolean | undefined;

  constructor(bindings: ChunkBindings<Chunk, Vector>) {
    this.#bindings = bindings;
  }

  /** Passes a chunk's columns to the visitor, with the validity of the column at index `nullable`. */
  visit(
    chunk: Chunk,
    rowCount: number,
    types: readonly NumberType[],
    nullable: number,
    visitor: ColumnVisitor,
  ): void | Promise<void> {
    const vectors = types.map((_, index) => this.#bindings.data_chunk_get_vector(chunk, index));
    const columns = vectors.map((vector, index) => this.#column(vector, types[index]!, rowCount));
    return visitor(columns, rowCount, this.#nullsOf(vectors[nullable]!, rowCount) ?? NO_ROW);
  }

  /** Passes on a chunk of one UINTEGER column and columns of lists, whose items have the types `lists`. */
  visitLists(
    chunk: Chunk,
    rowCount: number,
    lists: readonly NumberType[],
    visitor: ListVisitor,
  ): void | Promise<void> {
    const vectorAt = (index: number) => this.#bindings.data_chunk_get_vector(chunk, index);
    const keys = this.#column(vectorAt(0), "uinteger", rowCount) as Uint32Array;
    const vectors = lists.map((_, list) => vectorAt(list + 1));
    const entries = vectors.map((vector) => {
      const data = this.#data(vector, rowCount * ENTRY_BYTES);
      return new Uint32Array(data.buffer, data.byteOffset, rowCount * ENTRY_WORDS);
    });
    const begins = new Uint32Array(rowCount);
    const lengths = new Uint32Array(rowCount);
    for (let row = 0; row < rowCount; row++) {
      const at = row * ENTRY_WORDS;
      begins[row] = entries[0]![at]!;
      lengths[row] = entries[0]![at + 2]!;
      for (const entry of entries) {
        if (entry[at] !== begins[row] || entry[at + 2] !== lengths[row])
          throw new Error("the lists of a row are not equally long");
      }
    }
    const items = vectors.map((vector) => this.#bindings.list_vector_get_size(vector));
    const children = vectors.map((vector) => this.#bindings.list_vector_get_child(vector));
    const values = children.map((child, list) => this.#column(child, lists[list]!, items[list]!));
    return visitor(keys, begins, lengths, values, this.#nullsOf(children.at(-1)!, items.at(-1)!));
  }

  /** Passes on a chunk of the columns of `EncodedBlocks`. */
  visitBlocks(chunk: Chunk, rowCount: number, columns: number, visitor: BlockVisitor): void | Promise<void> {
    const vectorAt = (index: number) => this.#bindings.data_chunk_get_vector(chunk, index);
    const wholeAt = (index: number) => this.#column(vectorAt(index), "uinteger", rowCount) as Uint32Array;
    const doubleAt = (index: number) => this.#column(vectorAt(index), "double", rowCount) as Float64Array;
    return visitor({
      seriesIds: wholeAt(0),
      samples: wholeAt(1),
      firstUs: doubleAt(2),
      unitUs: doubleAt(3),
      step: doubleAt(4),
      base: doubleAt(5),
      scale: doubleAt(6),
      times: this.#lists(vectorAt(7), rowCount, doublesOf),
      wholes: this.#lists(vectorAt(8), rowCount, integersOf),
      raws: this.#lists(vectorAt(9), rowCount, doublesOf),
      rowTimes: this.#lists(vectorAt(10), rowCount, doublesOf),
      ...(columns > 11 ? { arrivals: this.#lists(vectorAt(11), rowCount, doublesOf) } : {}),
    });
  }

  /** Copies the lists of a vector, without items of its child that no row refers to. */
  #lists<Items extends Int32Array | Float64Array>(
    vector: Vector,
    rowCount: number,
    make: (items: number | Uint8Array) => Items,
  ): NumberLists<Items> {
    const data = this.#data(vector, rowCount * ENTRY_BYTES);
    const entries = new Uint32Array(data.buffer, data.byteOffset, rowCount * ENTRY_WORDS);
    const isNull = this.#nullsOf(vector, rowCount) ?? NO_ROW;
    const begins = new Uint32Array(rowCount);
    const lengths = new Uint32Array(rowCount);
    let count = 0;
    let isConsecutive = true;
    for (let row = 0; row < rowCount; row++) {
      begins[row] = count;
      if (isNull(row)) continue;
      lengths[row] = entries[row * ENTRY_WORDS + 2]!;
      isConsecutive &&= lengths[row] === 0 || entries[row * ENTRY_WORDS] === count;
      count += lengths[row];
    }
    if (count === 0) return { begins, lengths, items: make(0) };
    const size = this.#bindings.list_vector_get_size(vector);
    const child = this.#bindings.list_vector_get_child(vector);
    const isItemNull = this.#nullsOf(child, size);
    const bytes = this.#data(child, size * make(0).BYTES_PER_ELEMENT);
    const stored = make(bytes);
    if (isConsecutive && count === size && isItemNull === undefined)
      return { begins, lengths, items: stored };
    const items = make(count);
    let nulls: Uint8Array | undefined;
    for (let row = 0; row < rowCount; row++) {
      const length = lengths[row]!;
      if (length === 0) continue;
      const from = entries[row * ENTRY_WORDS]!;
      items.set(stored.subarray(from, from + length), begins[row]!);
      if (isItemNull === undefined) continue;
      for (let place = 0; place < length; place++) {
        if (!isItemNull(from + place)) continue;
        nulls ??= new Uint8Array(count);
        nulls[begins[row]! + place] = 1;
      }
    }
    return { begins, lengths, items, nulls };
  }

  /** Which rows of a vector are NULL. Undefined if none is. */
  #nullsOf(vector: Vector, rowCount: number): ((row: number) => boolean) | undefined {
    const mask = this.#bindings.vector_get_validity(vector, Math.ceil(rowCount / 64) * 8);
    return mask === null ? undefined : (row) => (mask[row >> 3]! & (1 << (row & 7))) === 0;
  }

  #column(vector: Vector, type: NumberType, rowCount: number): NumberColumn {
    switch (type) {
      case "double": {
        const data = this.#data(vector, rowCount * 8);
        return new Float64Array(data.buffer, data.byteOffset, rowCount);
      }
      case "uinteger": {
        const data = this.#data(vector, rowCount * 4);
        return new Uint32Array(data.buffer, data.byteOffset, rowCount);
      }
      default:
        return this.#data(vector, rowCount);
    }
  }

  /** A copy of the memory of a vector. */
  #data(vector: Vector, byteCount: number): Uint8Array {
    const data = this.#bindings.vector_get_data(vector, byteCount);
    if (byteCount === 0) return data;
    this.#isCopied ??= this.#areCopies(vector);
    // A copy in a shared buffer could not be transferred to another thread.
    return this.#isCopied && data.byteLength === data.buffer.byteLength ? data : data.slice();
  }

  /** Whether a change of what the driver returns does not change its memory. */
  #areCopies(vector: Vector): boolean {
    const [one, other] = [
      this.#bindings.vector_get_data(vector, 1),
      this.#bindings.vector_get_data(vector, 1),
    ];
    one[0]! ^= 1;
    const areCopies = one[0] !== other[0];
    one[0]! ^= 1;
    return areCopies;
  }
}

function integersOf(items: number | Uint8Array): Int32Array {
  return typeof items === "number" ? new Int32Array(items) : new Int32Array(items.buffer, items.byteOffset);
}

function doublesOf(items: number | Uint8Array): Float64Array {
  return typeof items === "number"
    ? new Float64Array(items)
    : new Float64Array(items.buffer, items.byteOffset);
}
