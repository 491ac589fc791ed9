/**
 * Fills the vectors of a DuckDB chunk directly from columns, without an object per cell. It uses only the few
 * functions of the driver's bindings that write to a vector, and does not import the driver.
 *
 * `scripts/bench` and `scripts/bench remote-write` measure it with the whole flow.
 */
import { ptr } from "bun:ffi";
import type { Column, ListColumn, StringColumn } from "./columns.ts";
import { StringVector } from "./string-vector.ts";

/** The functions of the driver's bindings that this module uses. */
interface VectorBindings<Vector> {
  copy_data_to_vector(
    target: Vector,
    targetOffset: number,
    source: ArrayBuffer,
    offset: number,
    bytes: number,
  ): void;
  copy_data_to_vector_validity(
    target: Vector,
    targetOffset: number,
    source: ArrayBuffer,
    offset: number,
    bytes: number,
  ): void;
  vector_ensure_validity_writable(vector: Vector): void;
  list_vector_reserve(vector: Vector, capacity: number): void;
  list_vector_set_size(vector: Vector, size: number): void;
  list_vector_get_child(vector: Vector): Vector;
  struct_vector_get_child(vector: Vector, index: number): Vector;
}

const WORD = 4_294_967_296;

export class VectorFiller<Vector> {
  readonly #bindings: VectorBindings<Vector>;
  readonly #halves: Int32Array<ArrayBuffer>;
  readonly #mask: Uint8Array<ArrayBuffer>;
  readonly #strings: StringVector;

  /** @param rowsMax the rows of the largest chunk */
  constructor(bindings: VectorBindings<Vector>, rowsMax: number) {
    this.#bindings = bindings;
    this.#halves = new Int32Array(rowsMax * 2);
    this.#mask = new Uint8Array(rowsMax / 8);
    this.#strings = new StringVector(rowsMax);
  }

  /** Fills `count` rows of a vector that was reset, from a column's row `start` on. */
  fill(vector: Vector, column: Column, start: number, count: number): void {
    switch (column.type) {
      case "uinteger":
      case "date":
      case "integer":
      case "boolean":
        this.#values(vector, column.values, start, count);
        return;
      case "double":
        this.#values(vector, column.values, start, count);
        if (column.nulls !== undefined) this.#nulls(vector, column.nulls, start, count);
        return;
      case "timestamp":
      case "ubigint":
      case "bigint":
        this.#wholes(vector, column.values, start, count);
        return;
      case "varchar":
      case "blob":
        this.#texts(vector, this.#strings, column.strings, column.text, start, count);
        return;
      case "map":
        this.#map(vector, column, start, count);
        return;
      case "integers":
      case "doubles":
        this.#lists(vector, column, start, count);
        return;
      case "absent":
        this.#validity(vector, this.#mask.fill(0));
    }
  }

  #values(
    vector: Vector,
    source: Uint32Array | Int32Array | Float64Array | Uint8Array,
    start: number,
    count: number,
  ): void {
    const width = source.BYTES_PER_ELEMENT;
    const from = source.byteOffset + start * width;
    this.#bindings.copy_data_to_vector(vector, 0, source.buffer as ArrayBuffer, from, count * width);
  }

  /** 64-bit integers, written as two halves. A BigInt per row would cost more than everything else. */
  #wholes(vector: Vector, source: Float64Array, start: number, count: number): void {
    const halves = this.#halves;
    for (let row = 0; row < count; row++) {
      const value = source[start + row]!;
      const high = Math.floor(value / WORD);
      halves[row * 2] = value - high * WORD;
      halves[row * 2 + 1] = high;
    }
    this.#bindings.copy_data_to_vector(vector, 0, halves.buffer, 0, count * 8);
  }

  #validity(vector: Vector, mask: Uint8Array<ArrayBuffer>): void {
    this.#bindings.vector_ensure_validity_writable(vector);
    this.#bindings.copy_data_to_vector_validity(vector, 0, mask.buffer, mask.byteOffset, mask.byteLength);
  }

  #nulls(
    vector: Vector,
    nulls: Uint8Array,
    start: number,
    count: number,
    mask: Uint8Array<ArrayBuffer> = this.#mask,
  ): void {
    mask.fill(0xff);
    for (let row = 0; row < count; row++) {
      if (nulls[start + row] === 1) mask[row >> 3]! &= ~(1 << (row & 7));
    }
    this.#validity(vector, mask);
  }

  #texts(
    vector: Vector,
    room: StringVector,
    strings: StringColumn,
    text: Uint8Array,
    start: number,
    count: number,
  ): void {
    const address = text.length === 0 ? 0 : ptr(text);
    const absent = room.pack(strings, text, address, start, count);
    this.#bindings.copy_data_to_vector(vector, 0, room.strings, 0, count * 16);
    if (absent) this.#validity(vector, new Uint8Array(room.validity));
  }

  #lists(vector: Vector, { first, items, nulls }: ListColumn, start: number, count: number): void {
    const bindings = this.#bindings;
    const from = first[start]!;
    const length = first[start + count]! - from;
    const absent = new Uint8Array(count);
    const ranges = new Uint32Array(count * 4);
    for (let row = 0; row < count; row++) {
      const own = first[start + row + 1]! - first[start + row]!;
      ranges[row * 4] = first[start + row]! - from;
      ranges[row * 4 + 2] = own;
      if (own === 0) absent[row] = 1;
    }
    bindings.list_vector_reserve(vector, length);
    bindings.list_vector_set_size(vector, length);
    bindings.copy_data_to_vector(vector, 0, ranges.buffer, 0, ranges.byteLength);
    this.#nulls(vector, absent, 0, count);
    if (length === 0) return;
    const child = bindings.list_vector_get_child(vector);
    this.#values(child, items, from, length);
    if (nulls !== undefined)
      this.#nulls(child, nulls, from, length, new Uint8Array(Math.ceil(length / 64) * 8));
  }

  /** A MAP is a list of key-value structs: each row has a 64-bit offset and length in the struct's two vectors. */
  #map(vector: Vector, map: Extract<Column, { type: "map" }>, start: number, count: number): void {
    const bindings = this.#bindings;
    const from = map.first[start]!;
    const entries = map.first[start + count]! - from;
    const ranges = new Uint32Array(count * 4);
    for (let row = 0; row < count; row++) {
      ranges[row * 4] = map.first[start + row]! - from;
      ranges[row * 4 + 2] = map.first[start + row + 1]! - map.first[start + row]!;
    }
    bindings.list_vector_reserve(vector, entries);
    bindings.list_vector_set_size(vector, entries);
    bindings.copy_data_to_vector(vector, 0, ranges.buffer, 0, ranges.byteLength);
    if (entries === 0) return;
    const entry = bindings.list_vector_get_child(vector);
    const room = new StringVector(entries);
    this.#texts(bindings.struct_vector_get_child(entry, 0), room, map.keys, map.text, from, entries);
    // Labels are never empty, so no value of the map can be mistaken for an absent one.
    this.#texts(bindings.struct_vector_get_child(entry, 1), room, map.values, map.text, from, entries);
  }
}
