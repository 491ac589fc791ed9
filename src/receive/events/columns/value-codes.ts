/**
 * Numbers the different texts of a column: each text is made once, however many rows have it. A text is found by its
 * bytes.
 */
import { isUtf8 } from "node:buffer";
import type { CodedValue } from "../../../wire/tag-cells.ts";
import { blockHash } from "../../../wire/label-blocks.ts";

/** Nobody can choose texts that collide. */
const SEED = crypto.getRandomValues(new Int32Array(1))[0]!;

export class ValueCodes {
  /** By code. The first is that of rows without a value. */
  readonly values: CodedValue[] = [""];
  /** Whether a value cannot be a tag. */
  hasWrong = false;
  #slots = new Int32Array(64);
  #hashes = new Int32Array(32);
  #offsets = new Uint32Array(32);
  #lengths = new Uint32Array(32);
  #bytes: Buffer = Buffer.allocUnsafeSlow(1_024);
  #end = 0;

  get size(): number {
    return this.values.length;
  }

  /** The bytes of all texts. */
  get bytes(): number {
    return this.#end;
  }

  /** The code of a text whose bytes are in `source`. The text must not be empty. */
  of(source: Buffer, from: number, to: number): number {
    const hash = blockHash(source, from, to, SEED);
    const mask = this.#slots.length - 1;
    const length = to - from;
    let slot = hash & mask;
    for (;;) {
      const code = this.#slots[slot]!;
      if (code === 0) break;
      if (this.#hashes[code] === hash && this.#lengths[code] === length && this.has(code, source, from))
        return code;
      slot = (slot + 1) & mask;
    }
    return this.#add(source, from, to, hash, slot);
  }

  /** The code of a value. */
  ofValue(value: CodedValue): number {
    if (typeof value !== "string") {
      this.hasWrong = true;
      return this.#reserve(this.values.push(value) - 1);
    }
    if (value === "") return 0;
    const bytes = Buffer.from(value);
    return this.of(bytes, 0, bytes.length);
  }

  /** Whether a text has the bytes of `source` at `from`. */
  has(code: number, source: Buffer, from: number): boolean {
    const offset = this.#offsets[code]!;
    const length = this.#lengths[code]!;
    const bytes = this.#bytes;
    for (let at = 0; at < length; at++) if (bytes[offset + at] !== source[from + at]) return false;
    return true;
  }

  lengthOf(code: number): number {
    return this.#lengths[code]!;
  }

  #add(source: Buffer, from: number, to: number, hash: number, slot: number): number {
    const bytes = source.subarray(from, to);
    const value: CodedValue = isUtf8(bytes)
      ? source.toString("utf8", from, to)
      : { wrong: "contains bytes that are not UTF-8" };
    if (typeof value !== "string") this.hasWrong = true;
    const code = this.#reserve(this.values.push(value) - 1);
    this.#hashes[code] = hash;
    this.#offsets[code] = this.#end;
    this.#lengths[code] = bytes.length;
    if (this.#end + bytes.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#end + bytes.length));
      larger.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
    this.#slots[slot] = code;
    if (code * 2 > this.#slots.length) this.#grow();
    return code;
  }

  #reserve(code: number): number {
    if (code < this.#hashes.length) return code;
    const length = this.#hashes.length * 2;
    const [hashes, offsets, lengths] = [this.#hashes, this.#offsets, this.#lengths];
    this.#hashes = new Int32Array(length);
    this.#hashes.set(hashes);
    this.#offsets = new Uint32Array(length);
    this.#offsets.set(offsets);
    this.#lengths = new Uint32Array(length);
    this.#lengths.set(lengths);
    return code;
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 4);
    const mask = slots.length - 1;
    for (let code = 1; code < this.values.length; code++) {
      // A value that is no text is in no slot.
      if (this.#lengths[code] === 0) continue;
      let slot = this.#hashes[code]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = code;
    }
    this.#slots = slots;
  }
}
