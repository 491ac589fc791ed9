/**
 * Finds the parts of one line of the Influx line protocol
 * (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/) in the bytes of a body:
 *
 *     measurement,tag=value,tag=value field=1.5,field=2i,field="text" 1465839830100400200
 *
 * Numbers are parsed, everything else stays where it is: the arrays have the positions of fields and identifying tags.
 * A method returns the position after what it read, or -1 with the reason in `problem`, in the words of InfluxDB.
 * Pure, except for the parts of the line that was scanned last.
 */
import type { AttributeBuffer } from "../../wire/batch-builder.ts";
import { NumberScanner } from "./number-scanner.ts";

const [NUL, TAB, LINE_FEED, CARRIAGE_RETURN, SPACE, QUOTE, COMMA] = [0, 9, 10, 13, 32, 34, 44];
const [EQUALS, BACKSLASH] = [61, 92];

/** A hundred times the fields of a Telegraf plugin. What is known of each field takes memory. */
const FIELDS_MAX = 10_000;

/** The bytes that end or escape a part of a measurement, a tag or the name of a field. */
const ENDS_NAME = tableOf(NUL, LINE_FEED, SPACE, COMMA, EQUALS, BACKSLASH);
/** The bytes within quotation marks that are not plain text. */
const ENDS_TEXT = tableOf(NUL, LINE_FEED, QUOTE, BACKSLASH);

/** The names of tags and string fields that identify one event of a measurement, with their columns. */
export class Identifiers {
  readonly names: ReadonlySet<string>;
  readonly #entries: readonly { readonly bytes: Buffer; readonly column: AttributeBuffer }[];
  /** Bit n is set if a name has n bytes. */
  readonly #lengths: number;

  constructor(columns: readonly AttributeBuffer[]) {
    this.names = new Set(columns.map(({ name }) => name));
    this.#entries = columns.map((column) => ({ bytes: Buffer.from(column.name), column }));
    this.#lengths = this.#entries.reduce((bits, { bytes }) => bits | (1 << (bytes.length & 31)), 0);
  }

  /** The column of a name. A name with an escaped character identifies nothing. */
  find(body: Buffer, from: number, to: number): AttributeBuffer | undefined {
    if ((this.#lengths & (1 << ((to - from) & 31))) === 0) return undefined;
    for (const { bytes, column } of this.#entries)
      if (bytes.length === to - from && equals(body, from, bytes)) return column;
    return undefined;
  }
}

export class LineScanner {
  /** Why the line cannot be read. */
  problem = "";
  tagCount = 0;
  /** The identifying tags: their columns, the positions of `,name=value` and of the value, and whether it has escapes. */
  idCount = 0;
  readonly idColumn: AttributeBuffer[] = [];
  readonly idBegin: number[] = [];
  readonly idFrom: number[] = [];
  readonly idTo: number[] = [];
  readonly idIsEscaped: boolean[] = [];
  /**
   * The fields: whether they have their expected names, the positions of the names, whether they are strings, their
   * numbers, or the positions of their texts.
   */
  fieldCount = 0;
  readonly isExpected: boolean[] = [];
  readonly fieldFrom: number[] = [];
  readonly fieldTo: number[] = [];
  readonly isText: boolean[] = [];
  readonly number: number[] = [];
  /** Whether no 64-bit float holds the integer. */
  readonly isInexact: boolean[] = [];
  readonly textFrom: number[] = [];
  readonly textTo: number[] = [];
  readonly textIsEscaped: boolean[] = [];
  /** The position of the timestamp, or -1. */
  timeFrom = -1;
  timeTo = -1;
  /** The line feeds within strings. */
  lineFeeds = 0;
  readonly #numbers = new NumberScanner();
  #isEscaped = false;

  /** Reads the measurement at `at`; returns the position of the comma or space after it. */
  measurement(body: Buffer, at: number, end: number): number {
    let p = at;
    for (;;) {
      p = this.#name(body, p, end);
      if (p >= end || body[p] !== EQUALS) break;
      p++;
    }
    if (p === at) return this.#fail("missing measurement");
    if (p >= end || isLineEnd(body, p, end)) return this.#fail("missing fields");
    return body[p] === NUL ? this.#fail("invalid NUL character") : p;
  }

  /** Reads the tags, from the comma or space after the measurement; returns the position of the space after them. */
  tags(body: Buffer, at: number, end: number, identifiers: Identifiers): number {
    this.tagCount = 0;
    this.idCount = 0;
    let p = at;
    while (body[p] === COMMA) {
      const begin = p;
      const name = p + 1;
      p = this.#name(body, name, end);
      if (p === name) return this.#fail("missing tag key");
      if (p >= end || body[p] !== EQUALS) return this.#fail("missing tag value");
      const nameTo = p;
      const value = p + 1;
      p = this.#name(body, value, end);
      if (p === value && body[p] !== EQUALS) return this.#fail("missing tag value");
      if (p >= end || body[p] === LINE_FEED) return this.#fail("missing fields");
      if (body[p] === EQUALS) return this.#fail("invalid tag format");
      if (body[p] === NUL) return this.#fail("invalid NUL character");
      this.tagCount++;
      const column = identifiers.find(body, name, nameTo);
      if (column === undefined) continue;
      const id = this.idCount++;
      for (let other = 0; other < id; other++)
        if (this.idColumn[other] === column) return this.#fail("duplicate tags");
      this.idColumn[id] = column;
      this.idBegin[id] = begin;
      this.idFrom[id] = value;
      this.idTo[id] = p;
      this.idIsEscaped[id] = this.#isEscaped;
    }
    return p;
  }

  /**
   * Reads the fields, from the space before them; returns the position after the last one.
   *
   * @param expected the probable names, in their order
   */
  fields(body: Buffer, at: number, end: number, expected: readonly { readonly bytes: Buffer }[]): number {
    this.fieldCount = 0;
    this.lineFeeds = 0;
    let p = skipBlanks(body, at, end);
    if (isLineEnd(body, p, end)) return this.#fail("missing fields");
    for (;;) {
      const name = p;
      const field = this.fieldCount++;
      if (field >= FIELDS_MAX) return this.#fail(`the line has more than ${FIELDS_MAX} fields`);
      const bytes = expected[field]?.bytes;
      // No name ends with a backslash, so the equals sign after these bytes is not escaped.
      const isExpected =
        bytes !== undefined && body[name + bytes.length] === EQUALS && equals(body, name, bytes);
      this.isExpected[field] = isExpected;
      p = isExpected ? name + bytes.length : this.#name(body, name, end);
      if (p >= end || body[p] !== EQUALS) return this.#fail("invalid field format");
      if (p === name) return this.#fail("missing field key");
      this.fieldFrom[field] = name;
      this.fieldTo[field] = p;
      p++;
      if (p < end && body[p] === QUOTE) {
        p = this.#text(body, p + 1, end, field);
      } else {
        const numbers = this.#numbers;
        p = numbers.scan(body, p, end);
        if (p < 0) return this.#fail(numbers.problem);
        this.isText[field] = false;
        this.number[field] = numbers.value;
        this.isInexact[field] = numbers.isInexact;
      }
      if (p < 0) return -1;
      if (p >= end || body[p] !== COMMA) break;
      p++;
    }
    if (p < end && body[p] !== SPACE && body[p] !== TAB && !isLineEnd(body, p, end))
      return this.#fail(this.isText[this.fieldCount - 1] ? "unbalanced quotes" : "invalid number");
    return p;
  }

  /** Finds the timestamp after the fields; returns the position after the line. */
  time(body: Buffer, at: number, end: number): number {
    this.timeFrom = -1;
    let p = skipBlanks(body, at, end);
    if (!isLineEnd(body, p, end)) {
      this.timeFrom = p;
      while (p < end && body[p] !== SPACE && body[p] !== TAB && !isLineEnd(body, p, end)) p++;
      this.timeTo = p;
      p = skipBlanks(body, p, end);
      if (!isLineEnd(body, p, end)) return this.#fail("point is invalid");
    }
    if (p < end && body[p] === CARRIAGE_RETURN) p++;
    return p < end ? p + 1 : p;
  }

  /** Reads a name or a tag's value; returns the position of the byte that ends it. */
  #name(body: Buffer, from: number, end: number): number {
    this.#isEscaped = false;
    let p = from;
    for (;;) {
      while (p < end && ENDS_NAME[body[p]!] === 0) p++;
      if (p >= end || body[p] !== BACKSLASH) return p;
      const next = body[p + 1];
      // Before any other character a backslash is text.
      if (next === COMMA || next === EQUALS || next === SPACE) {
        this.#isEscaped = true;
        p += 2;
      } else p++;
    }
  }

  /** Reads the string whose first character is at `from`; returns the position after its closing quotation mark. */
  #text(body: Buffer, from: number, end: number, field: number): number {
    this.isText[field] = true;
    this.textFrom[field] = from;
    this.textIsEscaped[field] = false;
    for (let p = from; ; p++) {
      while (p < end && ENDS_TEXT[body[p]!] === 0) p++;
      if (p >= end) return this.#fail("unbalanced quotes");
      const byte = body[p];
      if (byte === QUOTE) {
        this.textTo[field] = p;
        return p + 1;
      }
      if (byte === LINE_FEED) this.lineFeeds++;
      else if (byte === NUL) return this.#fail("invalid NUL character");
      else if (body[p + 1] === QUOTE || body[p + 1] === BACKSLASH) {
        this.textIsEscaped[field] = true;
        p++;
      }
    }
  }

  #fail(problem: string): -1 {
    this.problem = problem;
    return -1;
  }
}

/** The position of the first byte that is no blank. NUL is a blank, as in InfluxDB 1. */
export function skipBlanks(body: Buffer, at: number, end: number): number {
  let p = at;
  while (p < end && (body[p] === SPACE || body[p] === TAB || body[p] === NUL)) p++;
  return p;
}

/**
 * The position after the line that begins at `at`, and whose fields may have strings with line feeds; -1 if a string does
 * not end before the body does. Before the first space that is not escaped, a quotation mark is text.
 */
export function endOfLine(body: Buffer, at: number, end: number): number {
  const first = endOfTextLine(body, at, end);
  let p = at;
  while (p < first && body[p] !== SPACE) p += body[p] === BACKSLASH ? 2 : 1;
  if (p >= first) return first;
  let isQuoted = false;
  for (; p < end; p++) {
    const byte = body[p];
    if (byte === BACKSLASH) p++;
    else if (byte === QUOTE) isQuoted = !isQuoted;
    else if (byte === LINE_FEED && !isQuoted) return p + 1;
  }
  return isQuoted ? -1 : end;
}

/** The position after the next line feed. */
export function endOfTextLine(body: Buffer, at: number, end: number): number {
  const feed = body.indexOf(LINE_FEED, at);
  return feed < 0 || feed >= end ? end : feed + 1;
}

/** The text of a measurement, a tag or the name of a field. */
export function nameText(body: Buffer, from: number, to: number): string {
  const text = body.toString("utf8", from, to);
  return text.includes("\\") ? text.replace(/\\([,= ])/g, "$1") : text;
}

/** The text of a string field. */
export function stringText(body: Buffer, from: number, to: number): string {
  const text = body.toString("utf8", from, to);
  return text.includes("\\") ? text.replace(/\\(["\\])/g, "$1") : text;
}

export function equals(body: Buffer, at: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index++)
    if (body[at + index] !== expected[index]) return false;
  return true;
}

/** Whether the line ends here: with LF, with CR LF, or with the body. */
function isLineEnd(body: Buffer, at: number, end: number): boolean {
  if (at >= end) return true;
  const byte = body[at];
  return byte === LINE_FEED || (byte === CARRIAGE_RETURN && (at + 1 >= end || body[at + 1] === LINE_FEED));
}

function tableOf(...bytes: readonly number[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of bytes) table[byte] = 1;
  return table;
}
