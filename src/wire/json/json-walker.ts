/**
 * Reads a large JSON body value by value, so that the reader may pause in between, and so that no object exists for the
 * whole body. Objects and lists are entered, and the small values in them are parsed by the engine.
 *
 * The accepted bodies are those of `JSON.parse`, with two differences: the values that are parsed at once and the white
 * space between values are bounded in size, and the caller decides about a name that appears twice.
 */
import { BadInput, quote } from "../../model/errors.ts";
import { parseExactJson } from "./exact-number.ts";
import { findJsonError } from "./json-error.ts";
import { endOfValue, skipSpace } from "./json-extent.ts";

/** The largest value that is parsed at once: within some 10 ms. */
export const VALUE_BYTES_MAX = 1_048_576;

const [QUOTE, COMMA, COLON] = [34, 44, 58];
const BRACKETS = { "{": [123, 125], "[": [91, 93] } as const;
const SHOWN_BYTES = 12;

export class JsonWalker {
  readonly bytes: Buffer;
  /** The position of the next byte to read. */
  at = 0;

  /** @param bytes valid UTF-8 */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.#skip();
  }

  /** Whether the value that begins here is an object or a list that is too large to be parsed at once. */
  isLarge(bytesMax: number): boolean {
    const { bytes, at } = this;
    if (bytes.length - at <= bytesMax) return false;
    return endOfValue(bytes, at, at + bytesMax) < 0;
  }

  /** Moves into the object or list that begins here. Returns false, and moves behind it, if it is empty. */
  enter(bracket: "{" | "["): boolean {
    const [open, close] = BRACKETS[bracket];
    if (this.bytes[this.at] !== open) throw this.#expected(bracket);
    this.at++;
    this.#skip();
    if (this.bytes[this.at] !== close) return true;
    this.at++;
    this.#skip();
    return false;
  }

  /** Moves from behind a value of an object or a list to the next one. Returns false, and moves behind it, at its end. */
  next(bracket: "{" | "["): boolean {
    const byte = this.bytes[this.at];
    const [, close] = BRACKETS[bracket];
    if (byte !== COMMA && byte !== close) throw this.#expected(`a comma or ${bracket === "{" ? "}" : "]"}`);
    this.at++;
    this.#skip();
    return byte === COMMA;
  }

  /** Reads the name of a member of an object, and moves to its value. */
  name(): string {
    if (this.bytes[this.at] !== QUOTE) throw this.#expected("a name in quotation marks");
    const name = this.value() as string;
    if (this.bytes[this.at] !== COLON) throw this.#expected("a colon");
    this.at++;
    this.#skip();
    return name;
  }

  /** Parses the value that begins here, and moves behind it. */
  value(): unknown {
    const { bytes, at } = this;
    const limit = Math.min(bytes.length, at + VALUE_BYTES_MAX);
    const end = endOfValue(bytes, at, limit);
    if (end < 0 && limit < bytes.length)
      throw new BadInput(
        `the value at byte ${at} of the body has more than ${VALUE_BYTES_MAX} bytes, or is nested too deeply`,
        "body",
      );
    try {
      if (end < 0) throw new SyntaxError();
      const value = parseExactJson(bytes.toString("utf8", at, end));
      this.at = end;
      this.#skip();
      return value;
    } catch {
      const problem = findJsonError(bytes, at, limit);
      throw problem === undefined
        ? this.#expected("a JSON value")
        : new BadInput(`the body is not JSON: byte ${problem.position} ${problem.message}`, "body");
    }
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.at < this.bytes.length) throw this.#expected("the end of the body");
  }

  #skip(): void {
    const limit = this.at + VALUE_BYTES_MAX;
    this.at = skipSpace(this.bytes, this.at, limit);
    if (this.at === limit)
      throw new BadInput(
        `the body has more than ${VALUE_BYTES_MAX} bytes of white space in one place`,
        "body",
      );
  }

  #expected(what: string): BadInput {
    const { bytes, at } = this;
    if (at >= bytes.length)
      return new BadInput(`the body is not JSON: it ends where ${what} was expected`, "body");
    const found = bytes
      .toString("utf8", at, Math.min(bytes.length, at + SHOWN_BYTES))
      .replace(/\ufffd+$/, "");
    return new BadInput(
      `the body is not JSON: byte ${at} has ${quote(found)} where ${what} was expected`,
      "body",
    );
  }
}
