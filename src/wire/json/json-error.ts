/**
 * Finds the byte at which a text stops being JSON (RFC 8259), which the engine's own parser does not report. It is used
 * only for text that did not parse, so it is simple rather than fast.
 *
 * Why not a package: jsonc-parser 3.3 was tried on 46 malformed texts. It reports the beginning of a string instead of
 * the character with the error, and does not find every end of a number (`01`, `0x10`). It recurses without a limit, so
 * that a body of brackets overflows the stack. It reads the whole text, as a copy in UTF-16, although the first error is
 * enough: 1.9 s instead of 0.4 s for 30 MB.
 */

/** The problem, and its byte. */
export interface JsonError {
  readonly position: number;
  readonly message: string;
  /** The number that stands there and that JSON has no text for, as a 64-bit float is written: `NaN`, `-Infinity`. */
  readonly notFinite?: string;
}

/**
 * The first error of the JSON value that begins at `start` (after optional white space), or undefined. Where `end` is
 * the end of a line, and not of the bytes, the message says so.
 */
export function findJsonError(bytes: Uint8Array, start: number, end: number): JsonError | undefined {
  try {
    new Checker(bytes, end).value(start, 0);
    return undefined;
  } catch (error) {
    if (error instanceof Stop) {
      const { position, message, notFinite } = error;
      return notFinite === undefined ? { position, message } : { position, message, notFinite };
    }
    throw error;
  }
}

const DEPTH_MAX = 64;
const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE, QUOTE, BACKSLASH] = [9, 10, 13, 32, 34, 92];
const [COMMA, COLON, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [44, 58, 91, 93, 123, 125];

class Stop extends Error {
  readonly position: number;
  readonly notFinite: string | undefined;

  constructor(position: number, message: string, notFinite?: string) {
    super(message);
    this.position = position;
    this.notFinite = notFinite;
  }
}

class Checker {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  /** What ends there. */
  readonly #ending: string;

  constructor(bytes: Uint8Array, end: number) {
    this.#bytes = bytes;
    this.#end = end;
    const next = bytes[end];
    this.#ending = next === LINE_FEED || next === CARRIAGE_RETURN ? "the end of the line" : "the end";
  }

  /** Checks the value at a position and returns the position after it. */
  value(from: number, depth: number): number {
    const at = this.#space(from);
    if (depth > DEPTH_MAX) throw new Stop(at, `is nested deeper than ${DEPTH_MAX} levels`);
    switch (this.#bytes[at]) {
      case OPEN_BRACE:
        return this.#members(at, CLOSE_BRACE, (member) => {
          const key = this.#space(member);
          if (this.#bytes[key] !== QUOTE) this.#fail(key, "a name in quotation marks");
          const colon = this.#space(this.#string(key));
          if (this.#bytes[colon] !== COLON) this.#fail(colon, "a colon");
          return this.value(colon + 1, depth + 1);
        });
      case OPEN_BRACKET:
        return this.#members(at, CLOSE_BRACKET, (member) => this.value(member, depth + 1));
      case QUOTE:
        return this.#string(at);
      default:
        return this.#literal(at);
    }
  }

  #members(open: number, close: number, member: (from: number) => number): number {
    let at = this.#space(open + 1);
    if (this.#bytes[at] === close) return at + 1;
    for (;;) {
      at = this.#space(member(at));
      if (this.#bytes[at] === close) return at + 1;
      if (this.#bytes[at] !== COMMA) this.#fail(at, `a comma or ${String.fromCharCode(close)}`);
      at++;
    }
  }

  #string(open: number): number {
    for (let at = open + 1; at < this.#end; at++) {
      const byte = this.#bytes[at]!;
      if (byte === QUOTE) return at + 1;
      if (byte < SPACE) throw new Stop(at, "is a raw control character in a string");
      if (byte !== BACKSLASH) continue;
      at++;
      const escaped = this.#text(at, 5);
      if (!/^(["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(escaped))
        this.#fail(at - 1, "an escape such as \\n or \\u00e9");
    }
    throw new Stop(this.#end, `is ${this.#ending}, inside a string`);
  }

  #literal(at: number): number {
    const match = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/.exec(
      this.#text(at, 400),
    );
    if (match === null) {
      const word = /^([+-]?)(nan|inf(?:inity)?)(?![\w.])/i.exec(this.#text(at, 12));
      if (word !== null) {
        const number = /^n/i.test(word[2]!) ? "NaN" : `${word[1] === "-" ? "-" : ""}Infinity`;
        throw new Stop(at, `has ${word[0]}, which is not JSON`, number);
      }
      this.#fail(at, "a JSON value");
    }
    return at + match![0].length;
  }

  #space(from: number): number {
    let at = from;
    for (;;) {
      const byte = this.#bytes[at];
      const space = byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
      if (at >= this.#end || !space) return at;
      at++;
    }
  }

  #text(at: number, length: number): string {
    return Buffer.from(this.#bytes.subarray(at, Math.min(at + length, this.#end))).toString("latin1");
  }

  #fail(at: number, expected: string): never {
    if (at >= this.#end) throw new Stop(this.#end, `is ${this.#ending}, where ${expected} was expected`);
    // The last character may be incomplete, and is left out then.
    const quoted = Buffer.from(this.#text(at, 12), "latin1")
      .toString("utf8")
      .replace(/\ufffd+$/, "");
    const found = JSON.stringify(quoted);
    throw new Stop(at, `has ${found} where ${expected} was expected`);
  }
}
