/**
 * One pass over the bytes of a usual event. It accepts only what it is sure of and returns -1 for anything else. It
 * never decides that an event is invalid, and JSON.parse would accept everything that it accepts, with the same result.
 *
 * The key is the bytes that identify the series, as they are in the body: the name, then type, unit, help and what an
 * export adds, then each tag that is not an attribute. Two spellings of one series have two keys, which only costs one more look-up.
 *
 * It exists for speed alone: `scripts/bench` measures it with events.
 */
import type { NameLimits } from "../../series/naming.ts";
import type { AttributeBuffer, BatchBuilder } from "../../wire/batch-builder.ts";
import { isStoredAsSent } from "../../wire/json/exact-number.ts";
import type { EventLoops } from "./event-loops.ts";
import { EventTemplate, EventTemplates, Holes } from "./event-template.ts";

const [SPACE, QUOTE, PLUS, COMMA, MINUS, DOT, ZERO, NINE, COLON] = [32, 34, 43, 44, 45, 46, 48, 57, 58];
const [UPPER_E, BACKSLASH, LOWER_E, OPEN_BRACE, CLOSE_BRACE] = [69, 92, 101, 123, 125];
/** Digits that a double holds exactly, and the largest power of ten by which its division is exact (Clinger, 1990). */
const EXACT_DIGITS = 15;
const POWERS_OF_TEN = Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => 10 ** power);
const MILLISECONDS_MAX = 9_000_000_000_000;

/** The name of a metric, with the tags that are attributes of it. */
interface KnownName {
  readonly bytes: Buffer;
  readonly attributes: readonly { readonly bytes: Buffer; readonly column: AttributeBuffer }[];
  /** Bit n is set if an attribute has a name of n bytes. */
  readonly lengths: number;
}

export class EventScanner {
  /** The key of the event scanned last. */
  readonly key = Buffer.allocUnsafeSlow(16_384);
  keyLength = 0;
  keyHash = 0;
  /** How many events were looked at part by part. For tests: events that repeat others are not. */
  scans = 0;
  /** The block of labels of the event scanned last, if its template says it; else -1, and the event has a key. */
  block = -1;
  timestampUs = Number.NaN;
  value = 0;
  readonly #builder: BatchBuilder;
  readonly #buffersOf: (metric: string) => AttributeBuffer[];
  readonly #limits: NameLimits;
  /** Names by a hash of their bytes. */
  readonly #names = new Map<number, KnownName>();
  #last: KnownName | undefined;
  #known: KnownName | undefined;
  #number = 0;
  #usedAttribute = false;
  readonly #templates = new EventTemplates();
  readonly #holes = new Holes();
  #isNeverNegative = false;
  /** Whether an attribute of the event is a number. Its digits are not a hole. */
  #hasNumberAttribute = false;
  #hasEmptyAttribute = false;

  constructor(builder: BatchBuilder, buffersOf: (metric: string) => AttributeBuffer[], limits: NameLimits) {
    this.#builder = builder;
    this.#buffersOf = buffersOf;
    this.#limits = limits;
  }

  /** Adds a metric's name with its attributes. Events with other names are not scanned. */
  remember(metric: string): void {
    const bytes = Buffer.from(metric);
    const hash = hashOf(bytes, 0, bytes.length);
    if (this.#names.has(hash)) return;
    if (this.#names.size >= NAMES_MAX) this.#names.clear();
    const attributes = this.#buffersOf(metric).map((column) => ({ bytes: Buffer.from(column.name), column }));
    const lengths = attributes.reduce((bits, attribute) => bits | (1 << (attribute.bytes.length & 31)), 0);
    this.#names.set(hash, { bytes, attributes, lengths });
  }

  /** Drops the names, because their attributes may have changed. */
  forget(): void {
    this.#names.clear();
    this.#last = undefined;
    this.#templates.clear();
  }

  /** Drops the templates, because the blocks have other numbers. */
  forgetBlocks(): void {
    this.#templates.clear();
  }

  /** Notes the block of the event from `at` up to `end`, which was scanned last and had a key. */
  follow(block: number, body: Buffer, at: number, end: number): void {
    this.#templates.follow(block, () => {
      if (this.#hasNumberAttribute) return undefined;
      const template = new EventTemplate(block, body, at, end, this.#holes, this.#isNeverNegative);
      this.#templates.addLayout(template, body, at, end, this.#holes);
      return template;
    });
  }

  /** As `follow`, for a body that loops read. */
  followIn(loops: EventLoops, block: number, at: number, end: number): void {
    if (this.#hasNumberAttribute) loops.interrupt();
    else loops.follow(block, at, end, this.#holes, this.#isNeverNegative);
  }

  /** Whether the event has a text of this attribute already. */
  #hasHole(column: AttributeBuffer): boolean {
    const { count, what } = this.#holes;
    for (let hole = 0; hole < count; hole++) if (what[hole] === column) return true;
    return false;
  }

  /** Notes that the event scanned last has no block. */
  interrupt(): void {
    this.#templates.interrupt();
  }

  /**
   * As `scan`, for an event with the expected template, or with one that differs in the values of labels; returns -1 if it
   * has another one. Sets `block`.
   */
  scanExpected(body: Buffer, at: number): number {
    const { expected } = this.#templates;
    const end = expected === undefined ? -1 : this.#scanAs(expected, body, at);
    if (end >= 0) return end;
    const other = this.#templates.alternative(body, at);
    return other === undefined ? -1 : this.#scanAs(other, body, at);
  }

  #scanAs(template: EventTemplate, body: Buffer, at: number): number {
    const words = this.#templates.wordsOf(body);
    const { holes } = template;
    const { from, to } = this.#holes;
    let p = template.after(0, body, words, at);
    this.timestampUs = Number.NaN;
    for (let hole = 0; hole < holes.length; hole++) {
      if (p < 0) return -1;
      const what = holes[hole]!;
      from[hole] = p;
      if (what === "time") {
        p = this.#scanNumber(body, p);
        if (!(Math.abs(this.#number) <= MILLISECONDS_MAX)) return -1;
        this.timestampUs = Math.round(this.#number * 1000);
      } else if (what === "value") {
        p = this.#scanNumber(body, p);
        this.value = this.#number;
        if (template.isNeverNegative && this.value < 0) return -1;
      } else {
        p = endOfPlainString(body, p);
        if (p - from[hole]! > this.#limits.tagValueBytesMax) return -1;
      }
      if (p < 0) return -1;
      to[hole] = p;
      p = template.after(hole + 1, body, words, p);
    }
    if (p < 0) return -1;
    for (let hole = 0; hole < holes.length; hole++) {
      const what = holes[hole]!;
      if (typeof what !== "string") this.#builder.setAttribute(what, body, from[hole]!, to[hole]!);
    }
    this.block = template.block;
    this.#templates.confirm(template);
    return p;
  }

  /**
   * Reads the event whose opening brace is at `at`. Then its key, time and value are in the fields, and its attributes
   * are in the builder.
   *
   * @returns the position after the event, or -1 for an event that is not usual
   */
  scan(body: Buffer, at: number): number {
    this.scans++;
    if (body[at] !== OPEN_BRACE) return -1;
    this.timestampUs = Number.NaN;
    this.keyLength = 0;
    this.keyHash = HASH_SEED;
    this.#known = undefined;
    this.#usedAttribute = false;
    this.block = -1;
    this.#holes.count = 0;
    this.#hasNumberAttribute = false;
    this.#hasEmptyAttribute = false;
    let hasValue = false;
    let hasTags = false;
    let typed = false;
    let mergeable = true;
    let p = at + 1;
    for (;;) {
      while (body[p] === SPACE) p++;
      if (body[p] !== QUOTE) return -1;
      const field = p + 1;
      p = endOfPlainString(body, field);
      if (p < 0) return -1;
      const length = p - field;
      p++;
      while (body[p] === SPACE) p++;
      if (body[p] !== COLON) return -1;
      p++;
      while (body[p] === SPACE) p++;
      if (length === 4 && equals(body, field, TAGS)) {
        if (hasTags || this.#known === undefined) return -1;
        hasTags = true;
        p = this.#tags(body, p, this.#known);
      } else if (length === 5 && equals(body, field, VALUE)) {
        if (hasValue) return -1;
        const from = p;
        p = this.#scanNumber(body, p);
        this.#holes.add("value", from, p);
        this.value = this.#number;
        hasValue = true;
      } else if (
        (length === 10 && equals(body, field, AT_TIMESTAMP)) ||
        (length === 9 && equals(body, field, TIMESTAMP))
      ) {
        if (!Number.isNaN(this.timestampUs)) return -1;
        const from = p;
        p = this.#scanNumber(body, p);
        this.#holes.add("time", from, p);
        if (!(Math.abs(this.#number) <= MILLISECONDS_MAX)) return -1;
        this.timestampUs = Math.round(this.#number * 1000);
      } else if (
        (length === 11 && equals(body, field, METRIC_NAME)) ||
        (length === 4 && equals(body, field, NAME))
      ) {
        if (this.#known !== undefined || body[p] !== QUOTE) return -1;
        p = this.#name(body, p + 1);
      } else if (
        length === 4 &&
        (equals(body, field, TYPE) || equals(body, field, UNIT) || equals(body, field, HELP))
      ) {
        if (body[p] !== QUOTE) return -1;
        if (body[field] === TYPE[0]) {
          typed = true;
          mergeable = equals(body, p + 1, OBSERVATION) || equals(body, p + 1, COUNTER);
        }
        p = this.#append(body, field, field + length) ? this.#appendString(body, p) : -1;
      } else if (length === 13 && equals(body, field, METADATA_TYPE)) {
        if (body[p] !== QUOTE) return -1;
        p = this.#append(body, field, field + length) ? this.#appendString(body, p) : -1;
      } else if (
        (length === 7 && equals(body, field, EXPOSED)) ||
        (length === 12 && equals(body, field, KEEPS_BOUNDS))
      ) {
        p = this.#append(body, field, field + length) ? this.#appendLiteral(body, p) : -1;
      } else {
        return -1;
      }
      if (p < 0) return -1;
      while (body[p] === SPACE) p++;
      if (body[p] === COMMA) {
        p++;
        continue;
      }
      if (body[p] !== CLOSE_BRACE) return -1;
      // Only mergeable kinds have attributes, and a counter has no negative increment: event.ts handles other events.
      if (!hasValue || this.#known === undefined || (!mergeable && this.#usedAttribute)) return -1;
      this.#isNeverNegative = typed && mergeable;
      if (this.#isNeverNegative && this.value < 0) return -1;
      return p + 1;
    }
  }

  /** Looks up the name whose first byte is at `from`; returns the position after its closing quotation mark. */
  #name(body: Buffer, from: number): number {
    const end = endOfPlainString(body, from);
    if (end < 0) return -1;
    let known = this.#last;
    if (known === undefined || known.bytes.length !== end - from || !equals(body, from, known.bytes)) {
      known = this.#names.get(hashOf(body, from, end));
      if (known === undefined || known.bytes.length !== end - from || !equals(body, from, known.bytes))
        return -1;
      this.#last = known;
    }
    this.#known = known;
    return this.#append(body, from - 1, end + 1) ? end + 1 : -1;
  }

  #tags(body: Buffer, at: number, known: KnownName): number {
    let p = at;
    if (body[p] !== OPEN_BRACE) return -1;
    p++;
    while (body[p] === SPACE) p++;
    if (body[p] === CLOSE_BRACE) return p + 1;
    for (let count = 1; ; count++) {
      if (count > this.#limits.tagsMax) return -1;
      while (body[p] === SPACE) p++;
      if (body[p] !== QUOTE) return -1;
      const tag = p + 1;
      const tagEnd = endOfPlainString(body, tag);
      if (tagEnd < 0) return -1;
      p = tagEnd + 1;
      while (body[p] === SPACE) p++;
      if (body[p] !== COLON) return -1;
      p++;
      while (body[p] === SPACE) p++;
      const column = attributeBuffer(known, body, tag, tagEnd - tag);
      if (column !== undefined) {
        // The second of two is left to the slow path, which warns about it, also if the first one is empty.
        if (column.length[this.#builder.length]! > 0 || (this.#hasEmptyAttribute && this.#hasHole(column)))
          return -1;
        const isText = body[p] === QUOTE;
        const from = isText ? p + 1 : p;
        p = isText ? endOfPlainString(body, from) : endOfWholeNumber(body, from);
        if (p < 0 || p - from > this.#limits.tagValueBytesMax) return -1;
        this.#builder.setAttribute(column, body, from, p);
        this.#usedAttribute = true;
        if (isText) {
          this.#holes.add(column, from, p);
          if (p === from) this.#hasEmptyAttribute = true;
          p++;
        } else this.#hasNumberAttribute = true;
      } else {
        if (!this.#append(body, tag - 1, tagEnd + 1)) return -1;
        const from = p;
        const isText = body[p] === QUOTE;
        p = isText ? this.#appendString(body, p) : this.#appendLiteral(body, p);
        if (p < 0) return -1;
        if (isText) this.#holes.add("label", from + 1, p - 1);
      }
      while (body[p] === SPACE) p++;
      if (body[p] === COMMA) p++;
      else if (body[p] === CLOSE_BRACE) return p + 1;
      else return -1;
    }
  }

  /** Appends bytes to the key; returns false when the key is full. */
  #append(body: Buffer, from: number, to: number): boolean {
    const { key } = this;
    let end = this.keyLength;
    if (end + to - from > key.length) return false;
    let hash = this.keyHash;
    for (let at = from; at < to; at++) {
      const byte = body[at]!;
      key[end++] = byte;
      hash = Math.imul(hash ^ byte, HASH_PRIME);
    }
    this.keyLength = end;
    this.keyHash = hash;
    return true;
  }

  /** Appends the string whose opening quotation mark is at `open`; returns the position after it, or -1. */
  #appendString(body: Buffer, open: number): number {
    const end = endOfPlainString(body, open + 1);
    return end >= 0 && this.#append(body, open, end + 1) ? end + 1 : -1;
  }

  /**
   * Appends a number, true, false or null. Whether a number is valid is checked when its key is first parsed. Other letters
   * could be read as the field that follows in the key of another event.
   */
  #appendLiteral(body: Buffer, at: number): number {
    const word = WORDS.find((each) => equals(body, at, each));
    let end = at + (word?.length ?? 0);
    if (word === undefined) while (isOfNumber(body[end]!)) end++;
    return end > at && !isLiteral(body[end]!) && this.#append(body, at, end) ? end : -1;
  }

  /** Reads a JSON number into `#number`; returns the position after it, or -1 if it is not a number. */
  #scanNumber(body: Buffer, at: number): number {
    let p = at;
    const negative = body[p] === MINUS;
    if (negative) p++;
    const first = p;
    let mantissa = 0;
    let byte = body[p]!;
    while (byte >= ZERO && byte <= NINE) {
      mantissa = mantissa * 10 + (byte - ZERO);
      byte = body[++p]!;
    }
    let digits = p - first;
    if (digits === 0 || (digits > 1 && body[first] === ZERO)) return -1;
    let scale = 0;
    if (byte === DOT) {
      const fraction = ++p;
      byte = body[p]!;
      while (byte >= ZERO && byte <= NINE) {
        mantissa = mantissa * 10 + (byte - ZERO);
        byte = body[++p]!;
      }
      scale = p - fraction;
      if (scale === 0) return -1;
      digits += scale;
    }
    if (digits > EXACT_DIGITS || byte === LOWER_E || byte === UPPER_E) return this.#scanLongNumber(body, at);
    const magnitude = scale === 0 ? mantissa : mantissa / POWERS_OF_TEN[scale]!;
    this.#number = negative ? -magnitude : magnitude;
    return p;
  }

  #scanLongNumber(body: Buffer, at: number): number {
    let end = at;
    for (let byte = body[end]!; isLiteral(byte); byte = body[end]!) end++;
    const text = body.toString("latin1", at, end);
    if (!JSON_NUMBER.test(text)) return -1;
    this.#number = Number(text);
    return Number.isFinite(this.#number) && isStoredAsSent(text, this.#number) ? end : -1;
  }
}

const NAMES_MAX = 10_000;
/** Floats with more digits are printed with an exponent. */
const WHOLE_DIGITS_MAX = 20;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/**
 * FNV-1a, 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/), with an offset basis that is random per process. With
 * the usual basis anybody could send thousands of keys with one hash, and each would be compared with all others.
 */
const HASH_SEED = crypto.getRandomValues(new Int32Array(1))[0]!;
const HASH_PRIME = 0x01000193;
const bytesOf = (text: string): Buffer => Buffer.from(text);
const TAGS = bytesOf("tags");
const VALUE = bytesOf("value");
const AT_TIMESTAMP = bytesOf("@timestamp");
const TIMESTAMP = bytesOf("timestamp");
const METRIC_NAME = bytesOf("metric_name");
const NAME = bytesOf("name");
const TYPE = bytesOf("type");
const UNIT = bytesOf("unit");
const HELP = bytesOf("help");
const METADATA_TYPE = bytesOf("metadata_type");
const EXPOSED = bytesOf("exposed");
const KEEPS_BOUNDS = bytesOf("keeps_bounds");
const OBSERVATION = bytesOf('observation"');
const COUNTER = bytesOf('counter"');
const WORDS = ["true", "false", "null"].map(bytesOf);

function hashOf(bytes: Buffer, from: number, to: number): number {
  let hash = HASH_SEED;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, HASH_PRIME);
  return hash;
}

function equals(body: Buffer, at: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index++)
    if (body[at + index] !== expected[index]) return false;
  return true;
}

/** The position of the closing quotation mark of a string without escapes; -1 if it has one, or is truncated. */
function endOfPlainString(body: Buffer, from: number): number {
  let p = from;
  for (let byte = body[p]!; byte !== QUOTE; byte = body[++p]!) {
    // Past the end a byte is undefined, and any comparison with undefined is false.
    if (!(byte >= SPACE) || byte === BACKSLASH) return -1;
  }
  return p;
}

/** The position after a whole number whose text as a tag is its digits; -1 for any other value. */
function endOfWholeNumber(body: Buffer, from: number): number {
  let p = from;
  // 0, and numbers that begin with 0, which JSON does not allow.
  if (body[p] === ZERO) return -1;
  while (body[p]! >= ZERO && body[p]! <= NINE) p++;
  return p > from && p - from <= WHOLE_DIGITS_MAX && !isLiteral(body[p]!) ? p : -1;
}

function isLiteral(byte: number): boolean {
  return (byte >= 97 && byte <= 122) || isOfNumber(byte);
}

function isOfNumber(byte: number): boolean {
  return (
    (byte >= ZERO && byte <= NINE) ||
    byte === MINUS ||
    byte === PLUS ||
    byte === DOT ||
    byte === LOWER_E ||
    byte === UPPER_E
  );
}

function attributeBuffer(
  known: KnownName,
  body: Buffer,
  at: number,
  length: number,
): AttributeBuffer | undefined {
  if ((known.lengths & (1 << (length & 31))) === 0) return undefined;
  for (const { bytes, column } of known.attributes) {
    if (bytes.length === length && equals(body, at, bytes)) return column;
  }
  return undefined;
}
