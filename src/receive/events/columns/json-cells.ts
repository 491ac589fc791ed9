/** Reads the tags of a column of JSON: texts, numbers and booleans, which stay where they are in the body. */
import { quote } from "../../../model/errors.ts";
import { inRowSteps } from "../../../model/tasks/row-steps.ts";
import { ByteParts } from "../../../wire/byte-parts.ts";
import { InexactNumber } from "../../../wire/json/exact-number.ts";
import type { TextCells } from "../../../wire/tag-cells.ts";
import { HALF } from "../event.ts";

const [SPACE, QUOTE, COMMA, ZERO, NINE, BACKSLASH, CLOSE_BRACKET] = [32, 34, 44, 48, 57, 92, 93];
/** Whole numbers with more digits may have another spelling. */
const EXACT_DIGITS = 15;
const LITERALS = ["true", "false", "null"].map((text) => Buffer.from(text));

export class TextCellsReader {
  readonly name: string;
  readonly #body: Buffer;
  #offset = new Uint32Array(0);
  #length = new Uint32Array(0);
  /** By row: texts that are spelled otherwise in the body. */
  readonly #others = new Map<number, string>();
  /** Rows whose cell cannot be a tag. */
  readonly wrong: { readonly row: number; readonly reason: string }[] = [];

  constructor(body: Buffer, name: string) {
    this.#body = body;
    this.name = name;
  }

  reserve(rows: number): void {
    if (this.#offset.length >= rows) return;
    const length = Math.max(this.#offset.length * 2, rows);
    const [offset, lengths] = [this.#offset, this.#length];
    this.#offset = new Uint32Array(length);
    this.#offset.set(offset);
    this.#length = new Uint32Array(length);
    this.#length.set(lengths);
  }

  /** Reads a usual cell that begins at `at`; returns the position after it, or -1 if it is not usual. */
  read(bytes: Buffer, at: number, row: number): number {
    let p = at;
    let byte = bytes[p]!;
    if (byte === QUOTE) {
      byte = bytes[++p]!;
      while (byte !== QUOTE) {
        // Past the end a byte is undefined, and any comparison with undefined is false.
        if (!(byte >= SPACE) || byte === BACKSLASH) return -1;
        byte = bytes[++p]!;
      }
      this.#offset[row] = at + 1;
      this.#length[row] = p - at - 1;
      return p + 1;
    }
    if (byte > ZERO && byte <= NINE) {
      while (byte >= ZERO && byte <= NINE) byte = bytes[++p]!;
      if (p - at > EXACT_DIGITS || !isEnd(byte)) return -1;
      this.#offset[row] = at;
      this.#length[row] = p - at;
      return p;
    }
    for (const literal of LITERALS) {
      if (byte !== literal[0]) continue;
      for (let index = 1; index < literal.length; index++)
        if (bytes[at + index] !== literal[index]) return -1;
      p = at + literal.length;
      if (!isEnd(bytes[p]!)) return -1;
      this.#offset[row] = at;
      this.#length[row] = byte === NULL ? 0 : literal.length;
      return p;
    }
    return -1;
  }

  /** Reads any other cell, which was parsed. */
  readUnusual(value: unknown, row: number): void {
    this.#length[row] = 0;
    if (value === null || value === "") return;
    if (typeof value === "string") {
      if (value.isWellFormed()) this.#others.set(row, value);
      else this.wrong.push({ row, reason: `tags.${this.name} ${HALF}` });
    } else if (typeof value === "number" || typeof value === "boolean") this.#others.set(row, String(value));
    else if (value instanceof InexactNumber) this.#others.set(row, value.text);
    else {
      const reason = `tags.${this.name} is ${quote(value)}, expected a string, a number or a boolean`;
      this.wrong.push({ row, reason });
    }
  }

  textAt(row: number): string {
    const from = this.#offset[row]!;
    return this.#others.get(row) ?? this.#body.toString("utf8", from, from + this.#length[row]!);
  }

  /** The cells of all rows, in steps between which the caller may pause. */
  *taking(rows: number): Generator<void, TextCells> {
    const offset = this.#offset.subarray(0, rows);
    const length = this.#length.subarray(0, rows);
    if (this.#others.size === 0) return { is: "texts", text: this.#body, offset, length };
    // All of them in a text of their own.
    const text = new ByteParts();
    const cells = { offset: new Uint32Array(rows), length: new Uint32Array(rows) };
    const copy = (row: number): void => {
      const other = this.#others.get(row);
      const from = offset[row]!;
      const bytes = other === undefined ? this.#body.subarray(from, from + length[row]!) : Buffer.from(other);
      cells.offset[row] = text.length;
      cells.length[row] = bytes.length;
      if (bytes.length > 0) text.add(bytes);
    };
    yield* inRowSteps(
      rows,
      (from, to) => {
        for (let row = from; row < to; row++) copy(row);
      },
      TEXTS_AT_ONCE,
    );
    return { is: "texts", text: text.take(), ...cells };
  }
}

/** Texts that are copied without a pause: some 100 µs. */
const TEXTS_AT_ONCE = 512;
const NULL = 110;

function isEnd(byte: number): boolean {
  return byte === COMMA || byte === CLOSE_BRACKET || byte <= SPACE;
}
