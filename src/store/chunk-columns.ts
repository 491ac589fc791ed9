/**
 * The columns of a result's chunk as typed arrays, without a copy where the driver's memory lies right: numbers
 * by the million are read so. Not the driver itself: duckdb.ts hands in what it needs of it.
 */

/** What is used of the driver's bindings. */
export interface ChunkBindings<Chunk, Vector> {
  data_chunk_get_vector(chunk: Chunk, index: number): Vector;
  vector_get_data(vector: Vector, byteCount: number): Uint8Array;
  /** null where no row is NULL. */
  vector_get_validity(vector: Vector, byteCount: number): Uint8Array | null;
}

export type NumberType = "double" | "uinteger" | "boolean";

export type NumberColumn = Float64Array | Uint32Array | Uint8Array;

/** What takes a chunk: its columns, which are valid until it returns, and which rows of one of them are NULL. */
export type ColumnVisitor = (
  columns: NumberColumn[],
  rowCount: number,
  isNull: (row: number) => boolean,
) => void;

const NO_ROW = () => false;

export class ChunkColumns<Chunk, Vector> {
  readonly #bindings: ChunkBindings<Chunk, Vector>;
  readonly #types: readonly NumberType[];

  constructor(bindings: ChunkBindings<Chunk, Vector>, types: readonly NumberType[]) {
    this.#bindings = bindings;
    this.#types = types;
  }

  /** Hands a chunk's columns over, with the validity of the column at index `nullable`. */
  visit(chunk: Chunk, rowCount: number, nullable: number, visitor: ColumnVisitor): void {
    const vectors = this.#types.map((_, index) => this.#bindings.data_chunk_get_vector(chunk, index));
    const columns = vectors.map((vector, index) => this.#column(vector, this.#types[index]!, rowCount));
    const bytes = Math.ceil(rowCount / 64) * 8;
    const mask = this.#bindings.vector_get_validity(vectors[nullable]!, bytes);
    const isNull = mask === null ? NO_ROW : (row: number) => (mask[row >> 3]! & (1 << (row & 7))) === 0;
    visitor(columns, rowCount, isNull);
  }

  #column(vector: Vector, type: NumberType, rowCount: number): NumberColumn {
    switch (type) {
      case "double": {
        const data = aligned(this.#bindings.vector_get_data(vector, rowCount * 8), 8);
        return new Float64Array(data.buffer, data.byteOffset, rowCount);
      }
      case "uinteger": {
        const data = aligned(this.#bindings.vector_get_data(vector, rowCount * 4), 4);
        return new Uint32Array(data.buffer, data.byteOffset, rowCount);
      }
      default:
        return this.#bindings.vector_get_data(vector, rowCount);
    }
  }
}

function aligned(data: Uint8Array, bytes: number): Uint8Array {
  return data.byteOffset % bytes === 0 ? data : data.slice();
}
