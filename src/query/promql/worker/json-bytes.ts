/**
 * Writes JSON as UTF-8 bytes, in pieces. Numbers and ASCII are written without a string for each: 241 points of each of
 * 1,000 series take a third of the time of joined strings that are encoded afterwards.
 */
import { formatFloat } from "../promql-text.ts";

/** Length of a piece, from which on it is taken. Small answers are one piece. */
const PIECE_BYTES = 256 * 1024;
/** A UTF-16 unit takes at most three bytes of UTF-8. */
const BYTES_PER_UNIT = 3;
/** The longest number has 24 characters. */
const NUMBER_BYTES = 32;
/** Texts up to this length are copied by character, if they are ASCII. */
const SHORT = 256;
const POWERS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6];
/** Below this, a number with six decimals has at most 15 digits, which every double keeps. */
const SHORT_DECIMAL_MAX = 1e9;
const BILLION = 1e9;
const BILLION_DIGITS = 9;

const ZERO = 48;
const MINUS = 45;
const POINT = 46;
const QUOTE = 34;
const BACKSLASH = 92;
const SPACE = 32;
const ASCII_MAX = 127;

export class JsonBytes {
  readonly #encoder = new TextEncoder();
  #bytes = new Uint8Array(4_096);
  #end = 0;

  /** Whether there is enough for a piece. */
  get isPiece(): boolean {
    return this.#end >= PIECE_BYTES;
  }

  /** Everything since the last piece, in a buffer of its own. */
  take(): Uint8Array<ArrayBuffer> {
    const piece = this.#bytes.slice(0, this.#end);
    this.#end = 0;
    return piece;
  }

  /** Appends a text as it is. */
  text(text: string): void {
    this.#reserve(text.length * BYTES_PER_UNIT);
    if (text.length <= SHORT && this.#ascii(text, false)) return;
    this.#end += this.#encoder.encodeInto(text, this.#bytes.subarray(this.#end)).written;
  }

  /** Appends bytes, which are few. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    for (let at = 0; at < bytes.length; at++) this.#bytes[this.#end + at] = bytes[at];
    this.#end += bytes.length;
  }

  /** Appends a JSON string. */
  quoted(text: string): void {
    this.#reserve(text.length + 2);
    const begin = this.#end;
    this.#bytes[this.#end++] = QUOTE;
    if (this.#ascii(text, true)) {
      this.#bytes[this.#end++] = QUOTE;
      return;
    }
    this.#end = begin;
    this.text(JSON.stringify(text));
  }

  /** Appends a number as `formatFloat` writes it. */
  number(value: number): void {
    this.#reserve(NUMBER_BYTES);
    const size = Math.abs(value);
    if (size <= Number.MAX_SAFE_INTEGER && !Object.is(value, -0)) {
      const whole = Math.floor(size);
      if (whole === size) {
        if (value < 0) this.#bytes[this.#end++] = MINUS;
        this.#integer(whole);
        return;
      }
      if (size < SHORT_DECIMAL_MAX && this.#decimal(value, size, whole)) return;
    }
    this.#ascii(formatFloat(value), false);
  }

  /**
   * Writes a number with at most six decimals. The quotient of two integers below 2^53 is the double that is nearest to
   * the decimal, so a decimal with that quotient reads back as the number, and the one with the fewest digits is the
   * shortest.
   */
  #decimal(value: number, size: number, whole: number): boolean {
    for (let digits = 1; digits < POWERS.length; digits++) {
      const power = POWERS[digits];
      const scaled = Math.round(size * power);
      if (scaled / power !== size) continue;
      if (value < 0) this.#bytes[this.#end++] = MINUS;
      this.#integer(whole);
      this.#bytes[this.#end++] = POINT;
      this.#padded(scaled - whole * power, digits);
      return true;
    }
    return false;
  }

  #integer(value: number): void {
    if (value >= BILLION) {
      const high = Math.floor(value / BILLION);
      this.#small(high);
      this.#padded(value - high * BILLION, BILLION_DIGITS);
    } else this.#small(value);
  }

  #small(value: number): void {
    let digits = 1;
    for (let power = 10; value >= power; power *= 10) digits++;
    this.#padded(value, digits);
  }

  /** Writes an integer below 2^31 with a number of digits. */
  #padded(value: number, digits: number): void {
    const bytes = this.#bytes;
    let rest = value | 0;
    let at = this.#end + digits;
    this.#end = at;
    for (let digit = 0; digit < digits; digit++) {
      const tenth = (rest / 10) | 0;
      bytes[--at] = ZERO + (rest - tenth * 10);
      rest = tenth;
    }
  }

  /** Appends an ASCII text without what JSON escapes, if `isQuoted`. Returns false, and appends nothing, for any other. */
  #ascii(text: string, isQuoted: boolean): boolean {
    const bytes = this.#bytes;
    const begin = this.#end;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > ASCII_MAX) return false;
      if (isQuoted && (code < SPACE || code === QUOTE || code === BACKSLASH)) return false;
      bytes[begin + at] = code;
    }
    this.#end = begin + text.length;
    return true;
  }

  #reserve(bytes: number): void {
    const wanted = this.#end + bytes;
    if (wanted <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, wanted));
    grown.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = grown;
  }
}
