/**
 * The cells of a chunk of a result, read from the memory of its vectors. A value that JSON has no exact number for is a text:
 * integers beyond 2^53, decimals, infinity. rare-cells.ts reads types that few results have.
 *
 * The layouts are those of duckdb/common/types/vector.hpp. The binding copies the memory of a vector when it is asked for it.
 */
import { CString, type Pointer } from "bun:ffi";
import duckdb, { type DataChunk, type Vector } from "@duckdb/node-bindings";
import { dateText, engineTimeText } from "../../../model/time.ts";
import type { Cell } from "../../store.ts";
import type { CellType } from "./cell-types.ts";
import { rareDateText, rareReader, rareTimeText } from "./rare-cells.ts";

const { Type: TYPE } = duckdb;

const WORD = 4_294_967_296;
/** The days of the years 0001 to 9999, counted from 1970-01-01. */
const DAY_MIN = -719_162;
const DAY_MAX = 2_932_896;
/** A text of at most this many bytes is in the vector itself: see string-vector.ts. */
const INLINE_BYTES_MAX = 12;
const STRING_WORDS = 4;

/** Reads the cell of a row. Valid as long as the chunk. */
type CellReader = (row: number) => Cell;

/** The cells of a chunk. It keeps the chunk's memory. */
export class ChunkCells {
  readonly length: number;
  readonly #chunk: DataChunk;
  readonly #readers: readonly CellReader[];

  constructor(chunk: DataChunk, types: readonly CellType[]) {
    this.#chunk = chunk;
    this.length = duckdb.data_chunk_get_size(chunk);
    this.#readers = types.map((type, column) =>
      readerOf(type, duckdb.data_chunk_get_vector(chunk, column), this.length),
    );
  }

  /** The rows from `start` to `end`. */
  rows(start: number, end: number): Cell[][] {
    const rows: Cell[][] = Array.from({ length: end - start }, () => []);
    for (const read of this.#readers)
      for (let row = start; row < end; row++) rows[row - start]!.push(read(row));
    // The chunk is used behind the last text, whose memory it owns: the collector must not free it before.
    if (duckdb.data_chunk_get_size(this.#chunk) < end) throw new Error("a chunk has become shorter");
    return rows;
  }
}

function readerOf(type: CellType, vector: Vector, count: number): CellReader {
  if (type.kind === "rare") return rareReader(vector, count, type.type);
  const read = valueReaderOf(type, vector, count);
  const mask = duckdb.vector_get_validity(vector, Math.ceil(count / 64) * 8) as Uint8Array | null;
  return mask === null ? read : (row) => ((mask[row >> 3]! & (1 << (row & 7))) === 0 ? null : read(row));
}

/** As `readerOf`, for rows that are not NULL. */
function valueReaderOf(type: Exclude<CellType, { kind: "rare" }>, vector: Vector, count: number): CellReader {
  switch (type.kind) {
    case "plain":
      return plainReader(type, vector, count);
    case "decimal":
      return decimalReader(type.width, type.scale, vector, count);
    case "list": {
      const items = duckdb.list_vector_get_size(vector);
      const item = readerOf(type.item, duckdb.list_vector_get_child(vector), items);
      return listReader(vector, count, (from, length) => Array.from({ length }, (_, at) => item(from + at)));
    }
    case "map":
      return mapReader(type, vector, count);
    case "struct": {
      const { names } = type;
      const entries = type.entries.map((entry, index) =>
        readerOf(entry, duckdb.struct_vector_get_child(vector, index), count),
      );
      return (row) => Object.fromEntries(names.map((name, index) => [name, entries[index]!(row)]));
    }
  }
}

function plainReader({ id, text }: CellType, vector: Vector, count: number): CellReader {
  switch (id) {
    case TYPE.BOOLEAN: {
      const values = arrayOf(Uint8Array, vector, count);
      return (row) => values[row] !== 0;
    }
    case TYPE.TINYINT:
      return numberReader(arrayOf(Int8Array, vector, count));
    case TYPE.SMALLINT:
      return numberReader(arrayOf(Int16Array, vector, count));
    case TYPE.INTEGER:
      return numberReader(arrayOf(Int32Array, vector, count));
    case TYPE.UTINYINT:
      return numberReader(arrayOf(Uint8Array, vector, count));
    case TYPE.USMALLINT:
      return numberReader(arrayOf(Uint16Array, vector, count));
    case TYPE.UINTEGER:
      return numberReader(arrayOf(Uint32Array, vector, count));
    case TYPE.FLOAT:
      return fractionReader(arrayOf(Float32Array, vector, count));
    case TYPE.DOUBLE:
      return fractionReader(arrayOf(Float64Array, vector, count));
    case TYPE.BIGINT: {
      const values = new Integers(arrayOf(BigInt64Array, vector, count));
      return (row) => {
        const value = values.numberAt(row);
        return Number.isSafeInteger(value) ? value : String(values.exactAt(row));
      };
    }
    case TYPE.UBIGINT: {
      const values = arrayOf(BigUint64Array, vector, count);
      return (row) => integerCell(values[row]!);
    }
    case TYPE.HUGEINT: {
      const values = arrayOf(BigInt64Array, vector, count * 2);
      return (row) => integerCell(hugeintAt(values, row));
    }
    case TYPE.TIMESTAMP: {
      const values = new Integers(arrayOf(BigInt64Array, vector, count));
      return (row) => {
        const us = values.numberAt(row);
        return Number.isSafeInteger(us) ? engineTimeText(us) : rareTimeText(values.exactAt(row));
      };
    }
    case TYPE.DATE: {
      const values = arrayOf(Int32Array, vector, count);
      return (row) => {
        const day = values[row]!;
        return day >= DAY_MIN && day <= DAY_MAX ? dateText(day) : rareDateText(day);
      };
    }
    case TYPE.VARCHAR:
      return textReader(vector, count);
    default:
      throw new Error(`no reader of ${text}`);
  }
}

/** The memory of a vector, as an array of `length` elements. */
function arrayOf<Elements>(
  elements: {
    readonly BYTES_PER_ELEMENT: number;
    new (buffer: ArrayBufferLike, offset: number, length: number): Elements;
  },
  vector: Vector,
  length: number,
): Elements {
  const { buffer, byteOffset } = duckdb.vector_get_data(vector, length * elements.BYTES_PER_ELEMENT);
  return new elements(buffer, byteOffset, length);
}

function numberReader(values: { readonly [row: number]: number }): CellReader {
  return (row) => values[row]!;
}

function fractionReader(values: Float32Array | Float64Array): CellReader {
  return (row) => {
    const value = values[row]!;
    return Number.isFinite(value) ? value : String(value);
  };
}

/** 64-bit integers, which are read as numbers where they are: a BigInt takes ten times as long. */
class Integers {
  readonly #exact: BigInt64Array;
  readonly #words: Uint32Array;
  readonly #highs: Int32Array;

  constructor(exact: BigInt64Array) {
    this.#exact = exact;
    this.#words = new Uint32Array(exact.buffer, exact.byteOffset, exact.length * 2);
    this.#highs = new Int32Array(exact.buffer, exact.byteOffset, exact.length * 2);
  }

  /** The nearest number. It is the value itself if it is a safe integer. */
  numberAt(row: number): number {
    return this.#highs[row * 2 + 1]! * WORD + this.#words[row * 2]!;
  }

  exactAt(row: number): bigint {
    return this.#exact[row]!;
  }
}

function integerCell(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** A 128-bit integer: the lower half without a sign, and the upper one with it. */
function hugeintAt(halves: BigInt64Array, row: number): bigint {
  return (halves[row * 2 + 1]! << 64n) + BigInt.asUintN(64, halves[row * 2]!);
}

function decimalReader(width: number, scale: number, vector: Vector, count: number): CellReader {
  if (width <= 4) {
    const values = arrayOf(Int16Array, vector, count);
    return (row) => decimalText(String(values[row]!), scale);
  }
  if (width <= 9) {
    const values = arrayOf(Int32Array, vector, count);
    return (row) => decimalText(String(values[row]!), scale);
  }
  if (width <= 18) {
    const values = arrayOf(BigInt64Array, vector, count);
    return (row) => decimalText(String(values[row]!), scale);
  }
  const values = arrayOf(BigInt64Array, vector, count * 2);
  return (row) => decimalText(String(hugeintAt(values, row)), scale);
}

/** `-5` with a scale of 3 is `-0.005`. */
function decimalText(integer: string, scale: number): string {
  if (scale === 0) return integer;
  const sign = integer.startsWith("-") ? "-" : "";
  const digits = integer.slice(sign.length).padStart(scale + 1, "0");
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Memory is read without the binding, which copies each long text first and takes twice as long. */
function textReader(vector: Vector, count: number): (row: number) => string {
  const words = arrayOf(Uint32Array, vector, count * STRING_WORDS);
  const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
  return (row) => {
    const word = row * STRING_WORDS;
    const length = words[word]!;
    if (length <= INLINE_BYTES_MAX) return bytes.toString("utf8", word * 4 + 4, word * 4 + 4 + length);
    const address = words[word + 3]! * WORD + words[word + 2]!;
    return String(new CString(address as Pointer, 0, length));
  };
}

/** An entry of a list vector is the index of the first item and the number of items, of 64 bits each. */
function listReader(
  vector: Vector,
  count: number,
  cellOf: (from: number, length: number) => Cell,
): CellReader {
  const entries = arrayOf(Uint32Array, vector, count * 4);
  return (row) => cellOf(entries[row * 4]!, entries[row * 4 + 2]!);
}

/** A map is a list of structs. One with text keys becomes an object, any other one a list of its entries. */
function mapReader(type: Extract<CellType, { kind: "map" }>, vector: Vector, count: number): CellReader {
  const size = duckdb.list_vector_get_size(vector);
  const pairs = duckdb.list_vector_get_child(vector);
  const key = readerOf(type.key, duckdb.struct_vector_get_child(pairs, 0), size);
  const value = readerOf(type.value, duckdb.struct_vector_get_child(pairs, 1), size);
  if (type.key.id === TYPE.VARCHAR) {
    return listReader(vector, count, (from, length) =>
      Object.fromEntries(Array.from({ length }, (_, at) => [key(from + at), value(from + at)])),
    );
  }
  return listReader(vector, count, (from, length) =>
    Array.from({ length }, (_, at) => ({ key: key(from + at), value: value(from + at) })),
  );
}
