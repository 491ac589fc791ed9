/**
 * Columns in the form in which the store appends them: typed arrays, and byte ranges in one UTF-8 text for
 * strings. This module is pure. The driver (duckdb.ts) copies the columns into chunks.
 */

/** A cell of an append to a small table. */
export type AppendCell =
  | { readonly type: "timestampMs" | "date"; readonly value: number | null }
  | { readonly type: "ubigint"; readonly value: number }
  | { readonly type: "varchar"; readonly value: string | null };

/** Byte ranges in a text, one per row. */
export interface StringColumn {
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
}

/** `nulls` holds 1 where the cell is NULL. */
export interface DoubleColumn {
  readonly type: "double";
  readonly values: Float64Array;
  readonly nulls?: Uint8Array;
}

/** Lists of INTEGER or DOUBLE: row r has the items from `first[r]` to `first[r + 1]`. A row without items is NULL. */
export interface ListColumn {
  readonly type: "integers" | "doubles";
  readonly first: Uint32Array;
  readonly items: Int32Array | Float64Array;
  /** 1 where an item is NULL. */
  readonly nulls?: Uint8Array | undefined;
}

export type Column =
  | { readonly type: "uinteger"; readonly values: Uint32Array }
  | { readonly type: "date" | "integer"; readonly values: Int32Array }
  | { readonly type: "boolean"; readonly values: Uint8Array }
  /** Integers. A timestamp is in microseconds since the epoch. */
  | { readonly type: "timestamp" | "ubigint" | "bigint"; readonly values: Float64Array }
  | DoubleColumn
  /** An empty string is NULL. */
  | { readonly type: "varchar" | "blob"; readonly strings: StringColumn; readonly text: Uint8Array }
  /** Every row is NULL. */
  | { readonly type: "absent" }
  | ListColumn
  /** MAP(VARCHAR, VARCHAR): row r has the entries from `first[r]` to `first[r + 1]`. */
  | {
      readonly type: "map";
      readonly first: Uint32Array;
      readonly keys: StringColumn;
      readonly values: StringColumn;
      readonly text: Uint8Array;
    };

/** Collects strings in one text. Its columns point into that text. */
export class TextBuilder {
  readonly #encoder = new TextEncoder();
  #bytes = new Uint8Array(4_096);
  #end = 0;

  /** Appends a string and returns its position. */
  add(text: string): { offset: number; length: number } {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    this.#reserve(text.length * 3);
    const { written } = this.#encoder.encodeInto(text, this.#bytes.subarray(this.#end));
    const place = { offset: this.#end, length: written };
    this.#end += written;
    return place;
  }

  /** Appends each string and returns the column. */
  column(strings: readonly string[]): StringColumn {
    const offset = new Uint32Array(strings.length);
    const length = new Uint32Array(strings.length);
    // If each character is one byte, the strings are appended at once. The labels of 10,000 new series, with which
    // `scripts/bench remote-write` begins, take about 10 ms this way, and 25 to 75 one by one.
    const joined = strings.join("");
    this.#reserve(joined.length);
    const room = this.#bytes.subarray(this.#end, this.#end + joined.length);
    const { read, written } = this.#encoder.encodeInto(joined, room);
    if (read < joined.length || written > read) return this.#columnOf(strings);
    for (let row = 0; row < strings.length; row++) {
      offset[row] = this.#end;
      length[row] = strings[row]!.length;
      this.#end += length[row]!;
    }
    return { offset, length };
  }

  /** As `column`, for strings of any characters. */
  #columnOf(strings: readonly string[]): StringColumn {
    const places = strings.map((string) => this.add(string));
    return {
      offset: Uint32Array.from(places, ({ offset }) => offset),
      length: Uint32Array.from(places, ({ length }) => length),
    };
  }

  /** The text so far. Take it after the last `add`. */
  get text(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#end + bytes));
    grown.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = grown;
  }
}
