/**
 * Values of series in few bytes: whole numbers and decimals as distances from the least of a series, in two or four bytes. Others
 * are doubles. Each value returns bit for bit. It is the formula of blocks (../../../store/blocks/encode.ts), for memory.
 */
import { shareOf } from "./shared-columns.ts";

/** How the values of the rows of a chunk are stored. */
export interface PackedValues {
  /** By row: 2 or 4 bytes per value, or 8 if they are among the doubles of the chunk. */
  readonly bytes: Uint8Array;
  /** A value is (base + its item) / scale. */
  readonly bases: Float64Array;
  readonly scales: Float64Array;
  readonly shorts: Uint16Array;
  readonly longs: Uint32Array;
}

/** Values with more digits are mostly not decimals, but results. */
const SCALE_MAX = 1_000_000;
/** Whole numbers up to this are exact in all steps of the formula. */
const WHOLE_MAX = 2 ** 51;
const SHORT_MAX = 0xffff;
const LONG_MAX = 0xffff_ffff;

/** Decides how the values of each row are stored, and then stores them. */
export class ValuePacker {
  readonly #bytes: Uint8Array;
  readonly #bases: Float64Array;
  readonly #scales: Float64Array;
  /** By row: where its values begin among those of their kind. */
  readonly begins: Uint32Array;
  #shortCount = 0;
  #longCount = 0;
  #doubleCount = 0;
  #shorts: Uint16Array = new Uint16Array(0);
  #longs: Uint32Array = new Uint32Array(0);
  #doubles: Float64Array = new Float64Array(0);

  constructor(rows: number) {
    this.#bytes = new Uint8Array(shareOf(rows));
    this.#bases = new Float64Array(shareOf(rows * 8));
    this.#scales = new Float64Array(shareOf(rows * 8));
    this.begins = new Uint32Array(shareOf(rows * 4));
  }

  /** Decides about the first `length` values, which are those of a row. With stale markers they are doubles. */
  decide(row: number, values: Float64Array, length: number, hasStale: boolean): void {
    const scale = hasStale ? 0 : scaleOf(values, length);
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let at = 0; at < length && scale > 0; at++) {
      const whole = Math.round(values[at] * scale);
      if (whole < least) least = whole;
      if (whole > most) most = whole;
    }
    const bytes = scale === 0 || !areEqual(values, length, least, scale) ? 8 : bytesFor(most - least);
    this.#bytes[row] = bytes;
    this.#bases[row] = least;
    this.#scales[row] = scale;
    if (bytes === 2) {
      this.begins[row] = this.#shortCount;
      this.#shortCount += length;
    } else if (bytes === 4) {
      this.begins[row] = this.#longCount;
      this.#longCount += length;
    } else {
      this.begins[row] = this.#doubleCount;
      this.#doubleCount += length;
    }
  }

  /** Everything is decided. */
  begin(): void {
    this.#shorts = new Uint16Array(shareOf(this.#shortCount * 2));
    this.#longs = new Uint32Array(shareOf(this.#longCount * 4));
    this.#doubles = new Float64Array(shareOf(this.#doubleCount * 8));
  }

  /** Stores the values of a row. Returns where they are among the doubles, or -1. */
  store(row: number, values: Float64Array, length: number): number {
    const bytes = this.#bytes[row];
    const begin = this.begins[row];
    if (bytes === 8) {
      for (let at = 0; at < length; at++) this.#doubles[begin + at] = values[at];
      return begin;
    }
    const items = bytes === 2 ? this.#shorts : this.#longs;
    const base = this.#bases[row];
    const scale = this.#scales[row];
    for (let at = 0; at < length; at++) items[begin + at] = Math.round(values[at] * scale) - base;
    return -1;
  }

  finish(): { readonly values: Float64Array; readonly packed: PackedValues } {
    return {
      values: this.#doubles,
      packed: {
        ...{ bytes: this.#bytes, bases: this.#bases, scales: this.#scales },
        ...{ shorts: this.#shorts, longs: this.#longs },
      },
    };
  }
}

/** Copies values of a row that are no doubles to `into`, from `at` on. `begin` is the place of the first one. */
export function unpack(
  { bytes, bases, scales, shorts, longs }: PackedValues,
  row: number,
  begin: number,
  length: number,
  into: Float64Array,
  at: number,
): void {
  const items = bytes[row] === 2 ? shorts : longs;
  const base = bases[row];
  const scale = scales[row];
  if (scale === 1) for (let item = 0; item < length; item++) into[at + item] = base + items[begin + item];
  else for (let item = 0; item < length; item++) into[at + item] = (base + items[begin + item]) / scale;
}

export function bytesOfPacked({ bytes, bases, scales, shorts, longs }: PackedValues): number {
  return bytes.byteLength + bases.byteLength + scales.byteLength + shorts.byteLength + longs.byteLength;
}

function bytesFor(range: number): number {
  if (range <= SHORT_MAX) return 2;
  return range <= LONG_MAX ? 4 : 8;
}

/** The least power of ten that makes all values whole numbers. 0 if there is none. */
function scaleOf(values: Float64Array, length: number): number {
  let scale = 1;
  for (let at = 0; at < length; at++) {
    const value = values[at];
    for (;;) {
      const whole = Math.round(value * scale);
      if (whole / scale === value && Math.abs(whole) <= WHOLE_MAX) break;
      scale *= 10;
      // NaN is not equal to itself.
      if (scale > SCALE_MAX) return 0;
    }
  }
  return scale;
}

/** Whether all values return from the scale of all, bit for bit. The negative zero does not. */
function areEqual(values: Float64Array, length: number, base: number, scale: number): boolean {
  for (let at = 0; at < length; at++) {
    const value = values[at];
    const returned = (base + (Math.round(value * scale) - base)) / scale;
    if (returned !== value || (value === 0 && Object.is(value, -0))) return false;
  }
  return true;
}
