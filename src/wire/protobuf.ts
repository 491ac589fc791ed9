/**
 * Reads protobuf's wire format (https://protobuf.dev/programming-guides/encoding/) from a buffer, value by value,
 * without an object per message. The decoders of busy protocols are built on it.
 *
 * Every read stays inside the buffer, or throws `BadInput` with the byte's position. A caller that reads a nested
 * message compares `at` with the end that `length()` returned, which detects values that extend past it.
 */
import { isUtf8 } from "node:buffer";
import { BadInput } from "../model/errors.ts";

/** Wire types, the low three bits of a tag. */
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
const FIXED32 = 5;

const WORD = 4_294_967_296;

export class ProtobufReader {
  bytes: Buffer = Buffer.alloc(0);
  /** Position of the next byte to read. */
  at = 0;
  /** The halves of the 64 bits that `fixed64` read last. */
  low = 0;
  high = 0;
  /** Whether all texts were UTF-8 that were read since the caller set this. */
  isText = true;
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** Starts to read a message. */
  open(bytes: Buffer): void {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  /** Reads a text. Bytes that are not UTF-8 are replaced, and `isText` becomes false. */
  text(): string {
    const end = this.length();
    const bytes = this.bytes.subarray(this.at, end);
    this.at = end;
    if (!isUtf8(bytes)) this.isText = false;
    return bytes.toString("utf8");
  }

  /** Reads a tag (field number times 8, plus the wire type), or an unsigned number below 2^32. */
  uint32(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw this.malformed("the message is truncated");
    if (byte < 0x80) {
      this.at += 1;
      return byte;
    }
    const value = this.uint64();
    if (value >= WORD) throw this.malformed("a number has more than 32 bits");
    return value;
  }

  /** Reads an unsigned number; past 2^53 the nearest double. */
  uint64(): number {
    const { bytes } = this;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const byte = bytes[this.at];
      if (byte === undefined) throw this.malformed("the message is truncated");
      this.at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw this.malformed("a number has more than 64 bits");
  }

  /** Reads a signed number in two's complement; past 2^53 the nearest double. */
  int64(): number {
    const { bytes } = this;
    const begin = this.at;
    // Times of this century in ms take six bytes; only negative numbers have a tenth byte.
    let low = 0;
    let high = 0;
    for (let count = 0; count < 10; count++) {
      const byte = bytes[this.at];
      if (byte === undefined) throw this.malformed("the message is truncated");
      this.at += 1;
      if (count < 4) low |= (byte & 0x7f) << (7 * count);
      else if (count === 4) {
        low |= (byte & 0x0f) << 28;
        high = (byte & 0x7f) >>> 4;
      } else high |= (byte & 0x7f) << (7 * count - 32);
      if (byte < 0x80) return (high | 0) * WORD + (low >>> 0);
    }
    this.at = begin;
    throw this.malformed("a number has more than 64 bits");
  }

  /** Reads a signed number below 2^53 in zigzag encoding. */
  sint64(): number {
    const value = this.uint64();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  double(): number {
    if (this.at + 8 > this.bytes.length) throw this.malformed("the message is truncated");
    const value = this.#view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  /** Reads 64 bits into `low` and `high`. */
  fixed64(): void {
    if (this.at + 8 > this.bytes.length) throw this.malformed("the message is truncated");
    this.low = this.#view.getUint32(this.at, true);
    this.high = this.#view.getUint32(this.at + 4, true);
    this.at += 8;
  }

  /** Reads an unsigned number of 64 bits; past 2^53 the nearest double. */
  ufixed64(): number {
    this.fixed64();
    return this.high * WORD + this.low;
  }

  /** Whether the double that was just read is Prometheus's stale marker: a special NaN, 0x7ff0000000000002. */
  isStaleMarker(): boolean {
    const view = this.#view;
    return view.getUint32(this.at - 8, true) === 2 && view.getUint32(this.at - 4, true) === 0x7ff00000;
  }

  /** Reads the length of bytes, text or a message, and returns the position of its end. */
  length(): number {
    const length = this.uint32();
    const end = this.at + length;
    if (end > this.bytes.length) throw this.malformed(`a field of ${length} bytes is truncated`);
    return end;
  }

  /** Skips the value of a field that is unknown or not needed. */
  skip(tag: number): void {
    if (tag < 8) throw this.malformed("a field has number 0");
    switch (tag & 7) {
      case VARINT:
        this.uint64();
        return;
      case FIXED64:
        this.at += 8;
        break;
      case BYTES:
        this.at = this.length();
        return;
      case FIXED32:
        this.at += 4;
        break;
      default:
        throw this.malformed(`a field has wire type ${tag & 7}`);
    }
    if (this.at > this.bytes.length) throw this.malformed("the message is truncated");
  }

  /** Throws unless a nested message ended where its length says. */
  expectEnd(end: number): void {
    if (this.at !== end) throw this.malformed(`a message does not end at byte ${end}`);
  }

  malformed(what: string): BadInput {
    return new BadInput(`the body is not a protobuf message: ${what} (at byte ${this.at})`, "body");
  }
}
