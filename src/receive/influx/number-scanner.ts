/**
 * Reads the values of fields that are no strings: floats, integers (`1i`, `1u`) and booleans, as InfluxDB accepts them.
 * Pure.
 */
const [PLUS, COMMA, MINUS, DOT, ZERO, NINE] = [43, 44, 45, 46, 48, 57];
const [SMALL_I, SMALL_U] = [105, 117];
const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE] = [9, 10, 13, 32];
/** Digits that a double holds exactly, and the largest power of ten by which its division is exact (Clinger, 1990). */
const EXACT_DIGITS = 15;
const POWERS_OF_TEN = Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => 10 ** power);
const DECIMAL = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
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
    let p = at;
    const isNegative = p < end && body[p] === MINUS;
    if (isNegative) p++;
    const first = p;
    let mantissa = 0;
    let byte = p < end ? body[p]! : 0;
    while (byte >= ZERO && byte <= NINE) {
      mantissa = mantissa * 10 + (byte - ZERO);
      byte = ++p < end ? body[p]! : 0;
    }
    let digits = p - first;
    if (digits > 0 && digits <= EXACT_DIGITS && (byte === SMALL_I || (byte === SMALL_U && !isNegative))) {
      // `0 - x` and not `-x`: an integer has no negative zero.
      this.value = isNegative ? 0 - mantissa : mantissa;
      return endsValue(body, p + 1, end) ? p + 1 : this.#fail("invalid number");
    }
    let scale = 0;
    if (byte === DOT) {
      const fraction = ++p;
      byte = p < end ? body[p]! : 0;
      while (byte >= ZERO && byte <= NINE) {
        mantissa = mantissa * 10 + (byte - ZERO);
        byte = ++p < end ? body[p]! : 0;
      }
      scale = p - fraction;
      digits += scale;
    }
    if (digits === 0 || digits > EXACT_DIGITS || !endsValue(body, p, end))
      return this.#unusual(body, at, end);
    const magnitude = scale === 0 ? mantissa : mantissa / POWERS_OF_TEN[scale]!;
    this.value = isNegative ? -magnitude : magnitude;
    return p;
  }

  /** Reads a boolean, a number with an exponent or with many digits, and finds the reason for anything else. */
  #unusual(body: Buffer, at: number, end: number): number {
    let to = at;
    while (!endsValue(body, to, end)) to++;
    if (to === at) return this.#fail("missing field value");
    const byte = body[at]!;
    const isNumeric = (byte >= ZERO && byte <= NINE) || byte === MINUS || byte === DOT;
    if (!isNumeric) {
      const word = to - at <= BOOLEAN_CHARACTERS_MAX ? body.toString("latin1", at, to) : "";
      const value = BOOLEANS.get(word);
      if (value !== undefined) this.value = value;
      else
        return this.#fail(/^(?:nan|inf)/i.test(word) || byte === PLUS ? "invalid number" : "invalid boolean");
      return to;
    }
    const last = body[to - 1];
    const text = body.toString("latin1", at, to);
    if (last === SMALL_I || last === SMALL_U) return this.#integer(text, to);
    if (!DECIMAL.test(text)) return this.#fail(/[eE]$/.test(text) ? "invalid float" : "invalid number");
    const value = Number(text);
    if (!Number.isFinite(value)) return this.#fail("invalid float");
    this.value = value;
    return to;
  }

  #integer(text: string, to: number): number {
    const isSigned = text.endsWith("i");
    const digits = text.slice(0, -1);
    if (!(isSigned ? /^-?\d+$/ : /^\d+$/).test(digits)) return this.#fail("invalid number");
    const exact = digits.length <= INTEGER_CHARACTERS_MAX ? BigInt(digits) : UINT64_MAX + 1n;
    if (isSigned ? exact < INT64_MIN || exact > INT64_MAX : exact > UINT64_MAX)
      return this.#fail(`unable to parse integer ${digits.slice(0, 40)}: value out of range`);
    const value = Number(exact);
    this.value = value;
    this.isInexact = BigInt(value) !== exact;
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
