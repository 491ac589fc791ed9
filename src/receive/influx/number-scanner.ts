/**
 * Reads the values of fields that are no strings: floats, integers (`1i`, `1u`) and booleans, as InfluxDB accepts them.
 * Pure.
 */
import { readDecimal } from "../../wire/decimal.ts";

const [COMMA, MINUS, DOT, ZERO, NINE] = [44, 45, 46, 48, 57];
const [LARGE_E, SMALL_E, SMALL_I, SMALL_U] = [69, 101, 105, 117];
const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE] = [9, 10, 13, 32];
/** Integers of at most this many digits are exact doubles. */
const EXACT_DIGITS = 15;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;
/** An integer of 64 bits has 20 digits. A longer text with zeros in front is none that a program writes. */
const INTEGER_CHARACTERS_MAX = 32;

const BOOLEANS: ReadonlyMap<string, number> = new Map([
  ...["t", "T", "true", "True", "TRUE"].map((word) => [word, 1] as const),
  ...["f", "F", "false", "False", "FALSE"].map((word) => [word, 0] as const),
]);
const BOOLEAN_CHARACTERS_MAX = 5;

export class NumberScanner {
  /** The value that was read last: 1 for true, 0 for false, the nearest float for an integer. */
  value = 0;
  /** Whether no 64-bit float holds the integer that was read last. */
  isInexact = false;
  problem = "";

  /** Reads the value at `at`; returns the position after it, or -1 with the reason in `problem`. */
  scan(body: Buffer, at: number, end: number): number {
    this.isInexact = false;
    let to = at;
    while (!endsValue(body, to, end)) to++;
    const first = body[at]!;
    if (to === at) return this.#fail("missing field value");
    if (!((first >= ZERO && first <= NINE) || first === MINUS || first === DOT))
      return this.#boolean(body, at, to);
    const last = body[to - 1]!;
    if (last === SMALL_I || last === SMALL_U) return this.#integer(body, at, to);
    const value = readDecimal(body, at, to);
    if (Number.isFinite(value)) {
      this.value = value;
      return to;
    }
    const isFloat = !Number.isNaN(value) || last === SMALL_E || last === LARGE_E;
    return this.#fail(isFloat ? "invalid float" : "invalid number");
  }

  #boolean(body: Buffer, at: number, to: number): number {
    const word = to - at <= BOOLEAN_CHARACTERS_MAX ? body.toString("latin1", at, to) : "";
    const value = BOOLEANS.get(word);
    if (value === undefined)
      return this.#fail(/^(?:nan|inf|\+)/i.test(word) ? "invalid number" : "invalid boolean");
    this.value = value;
    return to;
  }

  /** Reads an integer, whose last byte says whether it has a sign. */
  #integer(body: Buffer, at: number, to: number): number {
    const isSigned = body[to - 1] === SMALL_I;
    const begin = body[at] === MINUS ? at + 1 : at;
    const digits = to - 1 - begin;
    let magnitude = 0;
    for (let p = begin; p < to - 1; p++) {
      const digit = body[p]! - ZERO;
      if (!(digit >= 0 && digit <= 9)) return this.#fail("invalid number");
      magnitude = magnitude * 10 + digit;
    }
    if (digits === 0 || (begin > at && !isSigned)) return this.#fail("invalid number");
    // `0 - x` and not `-x`: an integer has no negative zero.
    this.value = begin > at ? 0 - magnitude : magnitude;
    return digits <= EXACT_DIGITS ? to : this.#longInteger(body.toString("latin1", at, to - 1), isSigned, to);
  }

  #longInteger(text: string, isSigned: boolean, to: number): number {
    const exact = text.length <= INTEGER_CHARACTERS_MAX ? BigInt(text) : UINT64_MAX + 1n;
    if (isSigned ? exact < INT64_MIN || exact > INT64_MAX : exact > UINT64_MAX)
      return this.#fail(`unable to parse integer ${text.slice(0, 40)}: value out of range`);
    this.value = Number(exact);
    this.isInexact = BigInt(this.value) !== exact;
    return to;
  }

  #fail(problem: string): -1 {
    this.problem = problem;
    return -1;
  }
}

function endsValue(body: Buffer, at: number, end: number): boolean {
  if (at >= end) return true;
  const byte = body[at]!;
  if (byte === COMMA || byte === SPACE || byte === LINE_FEED || byte === TAB) return true;
  return byte === CARRIAGE_RETURN && (at + 1 >= end || body[at + 1] === LINE_FEED);
}
