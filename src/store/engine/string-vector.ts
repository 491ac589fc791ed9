/**
 * Fills the memory of a DuckDB VARCHAR vector without a call per string.
 *
 * A VARCHAR vector is an array of 16-byte `string_t` (duckdb/common/types/string_type.hpp). It begins with a
 * 32-bit length. A string of up to 12 bytes follows directly, padded with zeros. A longer string has its first
 * 4 bytes there and a 64-bit pointer. These pointers point into the batch's own `text`. The caller keeps it
 * alive until the chunk was appended, because appending copies. Measured: 8 million strings per second, where
 * one call of the driver per string reaches 0.5 million.
 *
 * The bytes must be valid UTF-8. The decoders check that.
 *
 * `scripts/bench` and `scripts/bench remote-write` measure it with the whole flow.
 */
import type { StringColumn } from "./columns.ts";

const STRING_BYTES = 16;
const INLINE_BYTES_MAX = 12;
const WORD = 4_294_967_296;

/** Memory for one vector of strings and its validity mask. It is used again for each chunk. */
export class StringVector {
  readonly strings: ArrayBuffer;
  readonly validity: ArrayBuffer;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: Uint8Array;

  constructor(rowsMax: number) {
    this.strings = new ArrayBuffer(rowsMax * STRING_BYTES);
    this.validity = new ArrayBuffer(Math.ceil(rowsMax / 64) * 8);
    this.#words = new Uint32Array(this.strings);
    this.#bytes = new Uint8Array(this.strings);
    this.#mask = new Uint8Array(this.validity);
  }

  /**
   * Packs `count` strings of a column, from row `start` on.
   *
   * @param address the memory address of `text`
   * @returns whether any of them is absent, so that the validity mask is needed
   */
  pack(column: StringColumn, text: Uint8Array, address: number, start: number, count: number): boolean {
    const words = this.#words;
    const bytes = this.#bytes;
    const mask = this.#mask;
    const { offset: offsets, length: lengths } = column;
    mask.fill(0xff);
    let absent = false;
    for (let row = 0; row < count; row++) {
      const length = lengths[start + row]!;
      const word = row * 4;
      if (length === 0) {
        absent = true;
        mask[row >> 3]! &= ~(1 << (row & 7));
        words[word] = words[word + 1] = words[word + 2] = words[word + 3] = 0;
        continue;
      }
      const from = offsets[start + row]!;
      words[word] = length;
      if (length <= INLINE_BYTES_MAX) {
        words[word + 1] = words[word + 2] = words[word + 3] = 0;
        const to = row * STRING_BYTES + 4;
        for (let i = 0; i < length; i++) bytes[to + i] = text[from + i]!;
      } else {
        words[word + 1] =
          text[from]! | (text[from + 1]! << 8) | (text[from + 2]! << 16) | (text[from + 3]! << 24);
        const pointer = address + from;
        words[word + 2] = pointer % WORD;
        words[word + 3] = pointer / WORD;
      }
    }
    return absent;
  }
}
