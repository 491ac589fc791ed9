/**
 * Columns as the store appends them: typed arrays, and for strings byte ranges in one UTF-8 text. Pure; the
 * driver (duckdb.ts) copies them into chunks.
 */

/** What an append takes for a cell of a small table. */
export type AppendCell =
  | { readonly type: "timestampMs" | "date"; readonly value: number | null }
  | { readonly type: "ubigint"; readonly value: number }
  | { readonly type: "varchar"; readonly value: string | null };

/** Byte ranges in a text, by row. */
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

export type Column =
  | { readonly type: "uinteger"; readonly values: Uint32Array }
  | { readonly type: "date"; readonly values: Int32Array }
  | { readonly type: "boolean"; readonly values: Uint8Array }
  /** Whole; of timestamps microseconds since the epoch. */
  | { readonly type: "timestamp" | "ubigint"; readonly values: Float64Array }
  | DoubleColumn
  /** An empty string is NULL. */
  | { readonly type: "varchar" | "blob"; readonly strings: StringColumn; readonly text: Uint8Array }
  /** All NULL. */
  | { readonly type: "absent" }
  /** MAP(VARCHAR, VARCHAR): row r holds the entries from `first[r]` to `first[r + 1]`. */
  | {
      readonly type: "map";
      readonly first: Uint32Array;
      readonly keys: StringColumn;
      readonly values: StringColumn;
      readonly text: Uint8Array;
    };

/** Gathers strings into one text; its columns point into it. */
export class TextBuilder {
  readonly #encoder = new TextEncoder();
  #bytes = new Uint8Array(4_096);
  #end = 0;

  /** Appends a string and gives where it lies. */
  add(text: string): { offset: number; length: number } {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    this.#reserve(text.length * 3);
    const { written } = this.#encoder.encodeInto(text, this.#bytes.subarray(this.#end));
    const place = { offset: this.#end, length: written };
    this.#end += written;
    return place;
  }

  /** Appends bytes and gives where they lie. */
  addBytes(bytes: Uint8Array): { offset: number; length: number } {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#end);
    const place = { offset: this.#end, length: bytes.length };
    this.#end += bytes.length;
    return place;
  }

  /** Appends each string and gives the column. */
  column(strings: readonly string[]): StringColumn {
    const offset = new Uint32Array(strings.length);
    const length = new Uint32Array(strings.length);
    // Put in at once, which is several times as fast, where each character is one byte.
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

  /** The same for strings of any characters. */
  #columnOf(strings: readonly string[]): StringColumn {
    const places = strings.map((string) => this.add(string));
    return {
      offset: Uint32Array.from(places, ({ offset }) => offset),
      length: Uint32Array.from(places, ({ length }) => length),
    };
  }

  /** Appends each list of doubles, little-endian as in memory, and gives the column. */
  doubles(lists: readonly (readonly number[])[]): StringColumn {
    const offset = new Uint32Array(lists.length);
    const length = new Uint32Array(lists.length);
    lists.forEach((list, row) => {
      if (list.length === 0) return;
      const place = this.addBytes(new Uint8Array(Float64Array.from(list).buffer));
      offset[row] = place.offset;
      length[row] = place.length;
    });
    return { offset, length };
  }

  /** The text so far; take it after the last `add`. */
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
