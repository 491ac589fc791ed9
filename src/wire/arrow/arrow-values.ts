/**
 * The values of Arrow's columns (https://arrow.apache.org/docs/format/Columnar.html#physical-memory-layout): numbers,
 * times and texts as typed arrays. All work is done in steps between which the caller may pause.
 *
 * The buffers are those of a sender: a buffer that is too short for its rows is a BadInput that names the column.
 */
import { isUtf8 } from "node:buffer";
import { BadInput, quote } from "../../model/errors.ts";
import { inRowSteps } from "../../model/tasks/row-steps.ts";
import { microsecondsText, MILLISECONDS_MAX } from "../../model/time.ts";
import type { CodedCells, CodedValue, TextCells } from "../tag-cells.ts";
import type { ArrowColumn } from "./arrow-messages.ts";
import { type ArrowType, bytesOfType } from "./arrow-type.ts";

const WORD = 4_294_967_296;
const MICROSECONDS_MAX = MILLISECONDS_MAX * 1_000;
const INLINE_BYTES_MAX = 12;
const VIEW_BYTES = 16;

type SmallIntegers = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

/** A column whose buffers have enough bytes for its rows. */
export class ArrowValues {
  readonly name: string;
  readonly type: ArrowType;
  readonly rows: number;
  /** One bit per row, 0 if the row has no value. Undefined if all rows have one. */
  readonly #validity: Uint8Array | undefined;
  readonly #buffers: readonly Uint8Array[];
  #small: SmallIntegers | undefined;

  constructor(name: string, { type, rows, nullCount, buffers }: ArrowColumn) {
    this.name = name;
    this.type = type;
    this.rows = rows;
    this.#buffers = buffers.map(({ bytes }) => bytes);
    const bitBytes = Math.ceil(rows / 8);
    if (nullCount !== 0 && type.is !== "null") {
      const validity = this.#buffers[0]!;
      // Unknown, and no row is absent.
      if (validity.length >= bitBytes) this.#validity = validity;
      else if (nullCount > 0) throw this.#short("validity");
    }
    const bytes = type.is === "bool" ? bitBytes : rows * bytesOfType(type);
    if (type.is !== "text" && type.is !== "null" && this.#buffers[1]!.length < bytes)
      throw this.#short("values");
  }

  #short(what: string): BadInput {
    return new BadInput(`the column ${quote(this.name)} has fewer ${what} than rows`, "body");
  }

  isNull(row: number): boolean {
    const validity = this.#validity;
    if (validity === undefined) return this.type.is === "null";
    return (validity[row >> 3]! & (1 << (row & 7))) === 0;
  }

  /** The rows without a value are set to `value`. */
  *#setNulls(out: Float64Array | Int32Array, at: number, value: number): Generator<void> {
    const validity = this.#validity;
    if (validity === undefined) return;
    yield* inRowSteps(this.rows, (from, to) => setNulls(out, at, value, validity, from, to));
  }

  #bit(row: number): boolean {
    return (this.#buffers[1]![row >> 3]! & (1 << (row & 7))) !== 0;
  }

  /** The values as 64-bit integers: pairs of 32 bits, the lower first. */
  #words(): Uint32Array {
    const bytes = aligned(this.#buffers[1]!, 4);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, this.rows * 2);
  }

  /** Integers of up to 32 bits. */
  #integers(): SmallIntegers {
    this.#small ??= this.#readIntegers();
    return this.#small;
  }

  #readIntegers(): SmallIntegers {
    const { type } = this;
    if (type.is !== "int" && type.is !== "date") throw new Error(`${type.name} is no small integer`);
    const bits = type.is === "int" ? type.bits : 32;
    const isSigned = type.is === "date" || type.isSigned;
    const { buffer, byteOffset } = aligned(this.#buffers[1]!, bits / 8);
    if (bits === 8) return new (isSigned ? Int8Array : Uint8Array)(buffer, byteOffset, this.rows);
    if (bits === 16) return new (isSigned ? Int16Array : Uint16Array)(buffer, byteOffset, this.rows);
    return new (isSigned ? Int32Array : Uint32Array)(buffer, byteOffset, this.rows);
  }

  /** Whether the type is a number. */
  get isNumber(): boolean {
    const { is } = this.type;
    return is === "int" || is === "float" || is === "decimal" || is === "null";
  }

  /** Whether the type is a time, or a date. */
  get isTime(): boolean {
    return this.type.is === "timestamp" || this.type.is === "date";
  }

  /** Writes the numbers to `out` from `at` on. A row without a value is NaN. */
  *numbers(out: Float64Array, at: number): Generator<void> {
    const { type, rows } = this;
    if (type.is === "null") {
      out.fill(Number.NaN, at, at + rows);
    } else if (type.is === "float") {
      const { buffer, byteOffset } = aligned(this.#buffers[1]!, type.bits / 8);
      out.set(new (type.bits === 64 ? Float64Array : Float32Array)(buffer, byteOffset, rows), at);
    } else if (type.is === "decimal") {
      yield* inRowSteps(
        rows,
        (from, to) => {
          for (let row = from; row < to; row++)
            out[at + row] = this.isNull(row) ? Number.NaN : this.#decimal(row);
        },
        DECIMALS_AT_ONCE,
      );
    } else if (type.is === "int" && type.bits === 64) {
      const words = this.#words();
      const { isSigned } = type;
      yield* inRowSteps(rows, (from, to) => integersOf(words, isSigned, out, at, from, to));
    } else out.set(this.#integers(), at);
    yield* this.#setNulls(out, at, Number.NaN);
  }

  /** Whether the number of a row is a whole number that no 64-bit float represents. */
  isInexact(row: number, value: number): boolean {
    const { type } = this;
    if (type.is !== "int" || type.bits !== 64 || Math.abs(value) <= Number.MAX_SAFE_INTEGER) return false;
    return BigInt(value) !== this.#bigInt(row);
  }

  #bigInt(row: number): bigint {
    const bytes = this.#buffers[1]!;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.type.is === "int" && !this.type.isSigned
      ? view.getBigUint64(row * 8, true)
      : view.getBigInt64(row * 8, true);
  }

  /** The unscaled digits of a decimal. */
  #digits(row: number): bigint {
    const { bytes } = this.type as Extract<ArrowType, { is: "decimal" }>;
    const source = this.#buffers[1]!;
    const view = new DataView(source.buffer, source.byteOffset + row * bytes, bytes);
    if (bytes === 4) return BigInt(view.getInt32(0, true));
    let digits = view.getBigInt64(bytes - 8, true);
    for (let word = bytes - 16; word >= 0; word -= 8)
      digits = (digits << 64n) | view.getBigUint64(word, true);
    return digits;
  }

  #decimal(row: number): number {
    const { scale } = this.type as Extract<ArrowType, { is: "decimal" }>;
    const digits = this.#digits(row);
    const whole = Number(digits);
    // Both are exact, so the quotient is the nearest double.
    if (Math.abs(whole) <= Number.MAX_SAFE_INTEGER && scale >= 0 && scale <= 22) return whole / 10 ** scale;
    return Number(`${digits}e${-scale}`);
  }

  /**
   * Writes the times to `out` from `at` on, in microseconds since the epoch. A row without a value is NaN. Times that
   * are out of every range are infinite. Nanoseconds are cut to microseconds.
   */
  *microseconds(out: Float64Array, at: number): Generator<void> {
    const { type, rows } = this;
    if (type.is === "date" && type.unit === "day") {
      const days = this.#integers();
      yield* inRowSteps(rows, (from, to) => {
        for (let row = from; row < to; row++) out[at + row] = days[row]! * 86_400_000_000;
      });
    } else {
      const words = this.#words();
      const isNanoseconds = type.is === "timestamp" && type.unit === "nanosecond";
      const factor = factorOf(type);
      yield* inRowSteps(rows, (from, to) =>
        isNanoseconds ? nanosecondsOf(words, out, at, from, to) : scaledOf(words, factor, out, at, from, to),
      );
    }
    yield* this.#setNulls(out, at, Number.NaN);
  }

  /** Texts by row: byte ranges. A row without a value has none. */
  *texts(): Generator<void, TextCells> {
    const { type } = this;
    if (type.is !== "text") throw new Error(`${type.name} is no text`);
    return type.offsetBits === 0
      ? yield* this.#views()
      : yield* this.#offsets(type.offsetBits === 64 ? 2 : 1);
  }

  /** @param words 32-bit words of an offset */
  *#offsets(words: 1 | 2): Generator<void, TextCells> {
    const { rows } = this;
    const text = this.#buffers[2]!;
    const length = new Uint32Array(rows);
    const bytes = this.#buffers[1]!;
    if (rows === 0) return { is: "texts", text, offset: new Uint32Array(0), length };
    if (bytes.length < (rows + 1) * 4 * words) throw this.#short("offsets");
    const { buffer, byteOffset } = aligned(bytes, 4);
    const offsets = new Uint32Array(buffer, byteOffset, (rows + 1) * words);
    const offset = words === 1 ? offsets.subarray(0, rows) : new Uint32Array(rows);
    let isInside = true;
    yield* inRowSteps(rows, (from, to) => {
      isInside &&= lengthsOf(offsets, words, text.length, offset, length, from, to);
    });
    if (!isInside) throw this.#outside();
    yield* this.#clearNulls(length);
    return { is: "texts", text, offset, length };
  }

  *#views(): Generator<void, TextCells> {
    const { rows } = this;
    const views = this.#buffers[1]!;
    if (views.length < rows * VIEW_BYTES) throw this.#short("views");
    const view = new DataView(views.buffer, views.byteOffset, views.length);
    const offset = new Uint32Array(rows);
    const length = new Uint32Array(rows);
    let bytes = 0;
    yield* inRowSteps(rows, (from, to) => {
      for (let row = from; row < to; row++) {
        if (this.isNull(row)) continue;
        length[row] = view.getUint32(row * VIEW_BYTES, true);
        bytes += length[row]!;
      }
    });
    // Views may overlap: a few bytes could become any number of texts.
    const most = this.#buffers.reduce((sum, each) => sum + each.length, 0);
    if (bytes > most + rows * INLINE_BYTES_MAX + VIEWED_BYTES_MAX) throw this.#outside();
    const text = new Uint8Array(bytes);
    const end = { at: 0 };
    let isInside = true;
    yield* inRowSteps(
      rows,
      (from, to) => {
        isInside &&= this.#copyViews(view, length, offset, text, end, from, to);
      },
      VIEWS_AT_ONCE,
    );
    if (!isInside) throw this.#outside();
    return { is: "texts", text, offset, length };
  }

  /** Copies texts of rows to the end of `text`. Returns false if one is outside of the buffers. */
  #copyViews(
    view: DataView,
    length: Uint32Array,
    offset: Uint32Array,
    text: Uint8Array,
    end: { at: number },
    first: number,
    last: number,
  ): boolean {
    const views = this.#buffers[1]!;
    let to = end.at;
    for (let row = first; row < last; row++) {
      const count = length[row]!;
      offset[row] = to;
      if (count === 0) continue;
      const at = row * VIEW_BYTES;
      let source = views;
      let from = at + 4;
      if (count > INLINE_BYTES_MAX) {
        const buffer = this.#buffers[2 + view.getUint32(at + 8, true)];
        from = view.getUint32(at + 12, true);
        if (buffer === undefined || from + count > buffer.length) return false;
        source = buffer;
      }
      if (count > 64) text.set(source.subarray(from, from + count), to);
      else for (let byte = 0; byte < count; byte++) text[to + byte] = source[from + byte]!;
      to += count;
    }
    end.at = to;
    return true;
  }

  #outside(): BadInput {
    return new BadInput(`the column ${quote(this.name)} has a text outside of its bytes`, "body");
  }

  *#clearNulls(length: Uint32Array): Generator<void> {
    const validity = this.#validity;
    if (validity === undefined) return;
    yield* inRowSteps(this.rows, (from, to) => setNulls(length, 0, 0, validity, from, to));
  }

  /** Indexes of a dictionary by row, -1 for a row without a value. */
  *indexes(): Generator<void, Int32Array> {
    const { type, rows } = this;
    let found: Int32Array;
    if (type.is === "int" && type.bits === 64) {
      const words = this.#words();
      const indexes = new Int32Array(rows);
      yield* inRowSteps(rows, (from, to) => {
        // An index past 2^31 is past every dictionary.
        for (let row = from; row < to; row++)
          indexes[row] = words[row * 2 + 1] === 0 ? Math.min(words[row * 2]!, 0x7fff_ffff) : 0x7fff_ffff;
      });
      found = indexes;
    } else found = new Int32Array(this.#integers());
    yield* this.#setNulls(found, 0, -1);
    return found;
  }

  /** Values of any type but texts as tags: each different value once. */
  *coded(): Generator<void, CodedCells> {
    const { rows } = this;
    const codes = new Int32Array(rows);
    const values: CodedValue[] = [];
    const known = new Map<unknown, number>();
    yield* inRowSteps(
      rows,
      (from, to) => {
        for (let row = from; row < to; row++)
          codes[row] = this.isNull(row) ? -1 : this.#code(row, known, values);
      },
      CODES_AT_ONCE,
    );
    return { is: "coded", codes, values };
  }

  #code(row: number, known: Map<unknown, number>, values: CodedValue[]): number {
    const key = this.#key(row);
    let code = known.get(key);
    if (code === undefined) {
      code = values.push(this.#tag(row)) - 1;
      known.set(key, code);
    }
    return code;
  }

  /** Equal for equal values only. */
  #key(row: number): unknown {
    const { type } = this;
    switch (type.is) {
      case "bool":
        return this.#bit(row);
      case "decimal":
        return this.#digits(row);
      case "float":
        return this.#float(row);
      case "int":
        if (type.bits < 64) return this.#integers()[row];
        break;
      case "date":
        if (type.unit === "day") return this.#integers()[row];
    }
    const bytes = this.#buffers[1]!;
    const at = row * 8;
    const low = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
    const high = bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24);
    const number = high * WORD + low;
    return Number.isSafeInteger(number) ? number : this.#bigInt(row);
  }

  #float(row: number): number {
    const { bits } = this.type as Extract<ArrowType, { is: "float" }>;
    const bytes = this.#buffers[1]!;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return bits === 64 ? view.getFloat64(row * 8, true) : view.getFloat32(row * 4, true);
  }

  /** The value of a row as the text of a tag. */
  #tag(row: number): CodedValue {
    const { type } = this;
    switch (type.is) {
      case "bool":
        return String(this.#bit(row));
      case "int":
        return String(type.bits === 64 ? this.#bigInt(row) : this.#integers()[row]);
      case "decimal":
        return decimalText(this.#digits(row), type.scale);
      case "float": {
        const value = this.#float(row);
        if (!Number.isFinite(value)) return { wrong: `is ${value}, expected a finite number or a text` };
        return type.bits === 64 ? String(value) : shortestFloat32(value);
      }
      default: {
        const us = this.#timeOf(row);
        if (!(Math.abs(us) <= MICROSECONDS_MAX)) return { wrong: "is a time out of range" };
        const text = microsecondsText(us);
        return type.is === "date" ? text.slice(0, text.indexOf("T")) : text.replace(/\.?0+Z$/, "Z");
      }
    }
  }

  #timeOf(row: number): number {
    const { type } = this;
    if (type.is === "date" && type.unit === "day") return Number(this.#integers()[row]) * 86_400_000_000;
    const value = this.#bigInt(row);
    return type.is === "timestamp" && type.unit === "nanosecond"
      ? Number(value / 1_000n)
      : Number(value) * factorOf(type);
  }

  /** A value for messages: a number, a text, or null. */
  shown(row: number): unknown {
    const { type } = this;
    if (this.isNull(row)) return null;
    if (type.is === "text") {
      const [from, to, source] = this.#textAt(row);
      return Buffer.from(source.subarray(from, Math.min(to, from + 1_000))).toString();
    }
    if (type.is === "float") return this.#float(row);
    if (type.is === "int") {
      const value = type.bits === 64 ? this.#bigInt(row) : this.#integers()[row]!;
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    }
    if (type.is === "bool") return this.#bit(row);
    const tag = this.#tag(row);
    return typeof tag === "string" ? tag : null;
  }

  #textAt(row: number): [from: number, to: number, source: Uint8Array] {
    const { type } = this;
    const bytes = this.#buffers[1]!;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (type.is === "text" && type.offsetBits === 0) {
      const at = row * VIEW_BYTES;
      const length = view.getUint32(at, true);
      if (length <= INLINE_BYTES_MAX) return [at + 4, at + 4 + length, bytes];
      const from = view.getUint32(at + 12, true);
      return [from, from + length, this.#buffers[2 + view.getUint32(at + 8, true)] ?? new Uint8Array(0)];
    }
    const step = type.is === "text" && type.offsetBits === 64 ? 8 : 4;
    return [view.getUint32(row * step, true), view.getUint32((row + 1) * step, true), this.#buffers[2]!];
  }
}

/** Rows without a pause, whose values take longer than those of other columns. */
const DECIMALS_AT_ONCE = 256;
const VIEWS_AT_ONCE = 1_024;
const CODES_AT_ONCE = 512;
const TEXTS_AT_ONCE = 512;

/** Texts that views make of the same bytes, beyond the size of the buffers. */
const VIEWED_BYTES_MAX = 16 * 1_048_576;

function factorOf(type: ArrowType): number {
  if (type.is === "date") return 1_000;
  if (type.is !== "timestamp") return 1;
  return type.unit === "second" ? 1_000_000 : type.unit === "millisecond" ? 1_000 : 1;
}

/** The bytes at a position at which numbers of this size can be. */
function aligned(bytes: Uint8Array, to: number): Uint8Array<ArrayBuffer> {
  return (bytes.byteOffset % to === 0 ? bytes : bytes.slice()) as Uint8Array<ArrayBuffer>;
}

/** A decimal without zeros behind its point: as JSON events spell numbers. */
function decimalText(digits: bigint, scale: number): string {
  if (scale <= 0) return `${digits}${digits === 0n ? "" : "0".repeat(-scale)}`;
  const sign = digits < 0n ? "-" : "";
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, "0");
  const fraction = text.slice(-scale).replace(/0+$/, "");
  return `${sign}${text.slice(0, -scale)}${fraction === "" ? "" : `.${fraction}`}`;
}

/** The shortest text that is the same 32-bit float: 0.1, and not 0.10000000149011612. */
function shortestFloat32(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return String(shorter);
  }
  return String(Number(value.toPrecision(9)));
}

/** The texts of cells, for a dictionary. */
export function* valuesOfCells({ text, offset, length }: TextCells): Generator<void, CodedValue[]> {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  const values: CodedValue[] = [];
  yield* inRowSteps(
    length.length,
    (first, last) => {
      for (let row = first; row < last; row++) {
        const from = offset[row]!;
        const to = from + length[row]!;
        const isText = isUtf8(bytes.subarray(from, to));
        values.push(
          isText ? bytes.toString("utf8", from, to) : { wrong: "contains bytes that are not UTF-8" },
        );
      }
    },
    TEXTS_AT_ONCE,
  );
  return values;
}

/** Sets the rows that have no bit in `validity`. */
function setNulls(
  out: Float64Array | Int32Array | Uint32Array,
  at: number,
  value: number,
  validity: Uint8Array,
  first: number,
  last: number,
): void {
  for (let row = first; row < last; row++) {
    const bits = validity[row >> 3]!;
    // Most bytes have all bits.
    if (bits === 0xff && (row & 7) === 0) row += 7;
    else if ((bits & (1 << (row & 7))) === 0) out[at + row] = value;
  }
}

/** 64-bit integers as the nearest doubles. */
function integersOf(
  words: Uint32Array,
  isSigned: boolean,
  out: Float64Array,
  at: number,
  first: number,
  last: number,
): void {
  for (let row = first; row < last; row++) {
    const high = words[row * 2 + 1]!;
    out[at + row] = (isSigned ? high | 0 : high) * WORD + words[row * 2]!;
  }
}

/** Times in another unit than nanoseconds. */
function scaledOf(
  words: Uint32Array,
  factor: number,
  out: Float64Array,
  at: number,
  first: number,
  last: number,
): void {
  for (let row = first; row < last; row++) {
    const us = ((words[row * 2 + 1]! | 0) * WORD + words[row * 2]!) * factor;
    out[at + row] = Math.abs(us) <= MICROSECONDS_MAX ? us : Number.POSITIVE_INFINITY;
  }
}

/** Times in nanoseconds, which are cut to microseconds. */
function nanosecondsOf(words: Uint32Array, out: Float64Array, at: number, first: number, last: number): void {
  for (let row = first; row < last; row++) {
    const high = words[row * 2 + 1]! | 0;
    // 2^32 is 4,294,967 thousands and 296: each part stays below 2^53.
    out[at + row] = high * 4_294_967 + Math.floor((high * 296 + words[row * 2]!) / 1_000);
  }
}

/** By row where its text begins, and its length. Returns false if one is outside of the bytes. */
function lengthsOf(
  offsets: Uint32Array,
  words: 1 | 2,
  textBytes: number,
  offset: Uint32Array,
  length: Uint32Array,
  first: number,
  last: number,
): boolean {
  let from = offsets[first * words]!;
  for (let row = first; row < last; row++) {
    const next = (row + 1) * words;
    const to = offsets[next]!;
    if (to < from || to > textBytes || (words === 2 && offsets[next + 1] !== 0)) return false;
    if (words === 2) offset[row] = from;
    length[row] = to - from;
    from = to;
  }
  return true;
}
