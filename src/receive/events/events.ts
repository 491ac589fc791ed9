/**
 * JSON events: one object, an array of them, or NDJSON (https://github.com/ndjson/ndjson-spec), as bytes → Batch.
 * Pure but for what it remembers of label blocks.
 *
 * The usual event is read in one pass over its bytes, without an object: numbers and attribute bytes go straight
 * into columns, and the bytes of name, type, unit and labels are looked up among those seen before
 * (label-blocks.ts). Whatever is unusual (escapes, a new series, another order, anything wrong) makes the pass
 * give up, and that one event goes through exact-number.ts and event.ts, which alone decide what is right.
 *
 * A wrong event is rejected by its index and the others are kept, as long as it is clear where it ends; an event with
 * bytes that are not UTF-8 is wrong too. A body that is cut, or whose brackets do not close, is rejected whole; in
 * NDJSON only its line is. What of an accepted event is not stored as it was sent is a warning.
 */
import { isUtf8 } from "node:buffer";
import { BadInput, quote, TooLarge } from "../../model/errors.ts";
import type { Batch } from "../../model/sample.ts";
import { type AttributeRoom, BatchBuilder } from "../../wire/batch-builder.ts";
import { checkEvent, type EventLimits } from "./event.ts";
import { EventScanner } from "./event-scanner.ts";
import { lossOfRepeated } from "./event-losses.ts";
import { repeatedName } from "./repeated-names.ts";
import { parseExactJson } from "../../wire/exact-number.ts";
import { findJsonError, type JsonError } from "../../wire/json-error.ts";
import { endOfLine, endOfValue, skipSpace } from "../../wire/json-extent.ts";
import { LabelBlocks } from "../../wire/label-blocks.ts";
import { describeInvalidByte, firstInvalidByte } from "../../wire/utf8.ts";

export interface EventDecoderOptions extends EventLimits {
  /** Tags of a metric's observations and counters that are columns and not labels. */
  readonly isAttribute: (metric: string, tag: string) => boolean;
  /** All tags that may be such columns for the metric. */
  readonly attributesOf: (metric: string) => readonly string[];
  /** Changes when the answers of the two before do. */
  readonly epoch: () => number;
  /** Events of one body; more are refused. */
  readonly eventsMax?: number;
}

/** How one body is read. */
export interface DecodeOptions {
  /** The sender said that each line is an event; otherwise it is seen from the body. */
  readonly ndjson?: boolean;
  /** Rejects events of which a part would not be stored as it was sent; otherwise that is a warning. */
  readonly strict?: boolean;
}

const EVENTS_MAX = 500_000;
/** Wrong events of one body that are told one by one; of those past it only the number and the causes are kept. */
const TOLD_MAX = 10_000;
const UNTOLD = `the event is wrong, as are more than ${TOLD_MAX} before it`;
const PAYLOAD_BYTES_MAX = 1_000;

const [LINE_FEED, COMMA, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [10, 44, 91, 93, 123, 125];

export class EventDecoder {
  readonly #options: EventDecoderOptions;
  readonly #builder = new BatchBuilder("events");
  readonly #blocks = new LabelBlocks();
  readonly #scanner: EventScanner;
  /** By block: the batch that used it last, and its index among that batch's heads. */
  #usedBy = new Int32Array(1_024);
  #indexIn = new Int32Array(1_024);
  #batchNumber = 0;
  #generation = 0;
  #epoch = -1;
  #events = 0;
  #isUtf8 = true;
  #isStrict = false;

  constructor(options: EventDecoderOptions) {
    this.#options = options;
    const rooms = (metric: string): AttributeRoom[] =>
      options.attributesOf(metric).map((name) => this.#builder.attribute(name));
    this.#scanner = new EventScanner(this.#builder, rooms, options);
  }

  /**
   * Decodes a body.
   *
   * @throws BadInput when the body is not JSON, or it is not clear where its events end; TooLarge when it has too many
   */
  decode(body: Uint8Array, { ndjson, strict = false }: DecodeOptions = {}): Batch {
    if (this.#epoch !== this.#options.epoch()) {
      this.#epoch = this.#options.epoch();
      this.#blocks.clear();
      this.#scanner.forget();
    }
    this.#isUtf8 = isUtf8(body);
    this.#isStrict = strict;
    this.#batchNumber++;
    this.#events = 0;
    const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    try {
      if (isUtf16(buffer)) throw new BadInput("the body is UTF-16, expected UTF-8", "body");
      const start = skipSpace(buffer, markLength(buffer));
      if (start === buffer.length) throw new BadInput("the body is empty, expected an event", "body");
      if (buffer[start] === OPEN_BRACKET) this.#array(buffer, start);
      else if (ndjson ?? looksLikeLines(buffer, start)) this.#lines(buffer, start);
      else this.#single(buffer, start);
    } catch (error) {
      this.#builder.clear();
      throw error;
    }
    return this.#builder.take();
  }

  #array(body: Buffer, open: number): void {
    let at = skipSpace(body, open + 1);
    if (body[at] !== CLOSE_BRACKET) {
      for (;;) {
        const end = this.#event(body, at);
        if (end < 0) throw this.#malformed(body, open);
        at = skipSpace(body, end);
        if (body[at] === CLOSE_BRACKET) break;
        if (body[at] !== COMMA) throw this.#malformed(body, open);
        at = skipSpace(body, at + 1);
      }
    }
    const rest = skipSpace(body, at + 1);
    if (rest < body.length)
      throw new BadInput(`byte ${rest} of the body follows the end of the array`, "body");
  }

  #single(body: Buffer, start: number): void {
    const end = this.#event(body, start);
    if (end < 0) throw this.#malformed(body, start);
    const rest = skipSpace(body, end);
    if (rest < body.length) {
      // One object behind another without a line between them is NDJSON all the same.
      if (body[rest] !== OPEN_BRACE) {
        if (findJsonError(body, start, body.length) !== undefined) throw this.#malformed(body, start);
        throw new BadInput(`byte ${rest} of the body follows the end of the event`, "body");
      }
      this.#lines(body, rest);
    }
  }

  #lines(body: Buffer, start: number): void {
    let at = start;
    // An event may have more lines than one, until one has no end: to look through the rest of the body for the
    // end of each further one could take hours.
    let isCut = false;
    while (at < body.length) {
      const limit = isCut ? endOfLine(body, at) : body.length;
      const end = body[at] === OPEN_BRACE ? this.#event(body, at, limit, true) : -1;
      if (end >= 0) {
        at = skipSpace(body, end);
        continue;
      }
      isCut ||= body[at] === OPEN_BRACE;
      const line = endOfLine(body, at);
      const problem = this.#problem(body, at, line);
      const reason =
        problem === undefined
          ? `an event is an object, this is ${quote(body.toString("utf8", at, Math.min(line, at + 40)))}`
          : `byte ${problem.position} of the body ${problem.message}`;
      this.#reject("syntax", reason, body, at, line);
      this.#events++;
      at = skipSpace(body, line);
    }
  }

  /**
   * Reads the event at a position, rejected ones too; gives the position after it, or -1 if it has no end.
   *
   * @param inLines whether what is no JSON ends with its line: a line that is cut in a text seems to go on into others
   */
  #event(body: Buffer, at: number, limit = body.length, inLines = false): number {
    const eventsMax = this.#options.eventsMax ?? EVENTS_MAX;
    if (this.#events >= eventsMax)
      throw new TooLarge(`the body has more than ${eventsMax} events (eventsMax), send it in parts`, "body");
    const scanner = this.#scanner;
    const builder = this.#builder;
    const scanned = scanner.scan(body, at);
    if (scanned >= 0 && this.#isUtf8) {
      const block = this.#blocks.find(scanner.key, scanner.keyLength, scanner.keyHash);
      if (block >= 0) {
        builder.add(this.#headIndex(block), scanner.timestampUs, scanner.value, this.#events++);
        return scanned;
      }
    }
    builder.dropAttributes();
    const end = endOfValue(body, at, limit);
    if (end < 0) return -1;
    if (!this.#parse(body, at, end, scanned >= 0, inLines)) return -1;
    this.#events++;
    return end;
  }

  /**
   * The way of unusual events. `keyed` says that the scanner's key stands for the event's labels. False where `inLines`
   * and what is no JSON has several lines: then they are not one event.
   */
  #parse(body: Buffer, at: number, end: number, keyed: boolean, inLines: boolean): boolean {
    let json: unknown;
    try {
      // Bytes that are not UTF-8 would be replaced, and two texts be one.
      if (!this.#isUtf8 && firstInvalidByte(body, at, end) >= 0) throw new SyntaxError();
      json = parseExactJson(body.toString("utf8", at, end));
    } catch {
      if (inLines && endOfLine(body, at) < end) return false;
      const problem = this.#problem(body, at, end);
      const reason = `byte ${problem?.position ?? at} of the body ${problem?.message ?? "is no JSON"}`;
      this.#reject("syntax", reason, body, at, end);
      return true;
    }
    const event = checkEvent(json, this.#options, this.#options.isAttribute);
    if ("reason" in event) {
      this.#reject(event.cause, event.reason, body, at, end);
      return true;
    }
    // What is no object was rejected.
    const repeated = repeatedName(body, at, end, json as Record<string, unknown>);
    const losses = repeated === undefined ? event.losses : [lossOfRepeated(repeated), ...event.losses];
    const [loss] = losses;
    if (loss !== undefined && this.#isStrict) {
      this.#reject(loss.cause, loss.reason, body, at, end);
      return true;
    }
    const { metric } = event.head;
    for (const { field, label, warning } of losses)
      this.#builder.warn(label, { index: this.#events, field, message: warning, metric });
    const builder = this.#builder;
    for (const [name, value] of event.attributes) {
      const bytes = Buffer.from(value);
      builder.setAttribute(builder.attribute(name), bytes, 0, bytes.length);
    }
    const { key, keyLength, keyHash } = this.#scanner;
    // A block with a warning is not remembered: the quick pass would be silent about it.
    const head =
      keyed && loss === undefined
        ? this.#headIndex(this.#blocks.add(key, keyLength, keyHash, event.head))
        : builder.addHead(event.head);
    this.#scanner.remember(event.head.metric);
    builder.add(head, event.timestampUs, event.value, this.#events);
    if (event.stale) builder.markStale();
    return true;
  }

  /** The index of a block's head in this batch. */
  #headIndex(block: number): number {
    if (this.#generation !== this.#blocks.generation) {
      // The blocks began anew, maybe within this body: what is noted of their numbers is of others.
      this.#generation = this.#blocks.generation;
      this.#batchNumber++;
    }
    if (block >= this.#usedBy.length) {
      const usedBy = new Int32Array(Math.max(this.#usedBy.length * 2, block + 1));
      const indexIn = new Int32Array(usedBy.length);
      usedBy.set(this.#usedBy);
      indexIn.set(this.#indexIn);
      this.#usedBy = usedBy;
      this.#indexIn = indexIn;
    }
    if (this.#usedBy[block] !== this.#batchNumber) {
      this.#usedBy[block] = this.#batchNumber;
      this.#indexIn[block] = this.#builder.addHead(this.#blocks.head(block));
    }
    return this.#indexIn[block]!;
  }

  /** The first byte of a range that is not UTF-8, or not JSON. */
  #problem(body: Buffer, start: number, end: number): JsonError | undefined {
    const problem = findJsonError(body, start, end);
    const position = this.#isUtf8 ? -1 : firstInvalidByte(body, start, end);
    if (position < 0 || (problem !== undefined && problem.position < position)) return problem;
    return { position, message: describeInvalidByte(body[position]!) };
  }

  #malformed(body: Buffer, start: number): BadInput {
    const problem = this.#problem(body, start, body.length);
    if (problem === undefined)
      return new BadInput(`byte ${start} of the body does not begin an event`, "body");
    return new BadInput(`the body is no JSON: byte ${problem.position} ${problem.message}`, "body");
  }

  #reject(cause: string, reason: string, body: Buffer, at: number, end: number): void {
    const { rejected } = this.#builder;
    if (rejected.length >= TOLD_MAX) {
      rejected.push({ index: this.#events, cause, reason: UNTOLD, payload: "" });
      return;
    }
    const payload = body.toString("utf8", at, Math.min(end, at + PAYLOAD_BYTES_MAX));
    rejected.push({ index: this.#events, cause, reason, payload });
  }
}

/** The length of the byte order mark that some editors and shells put first (RFC 8259, section 8.1), or 0. */
function markLength(body: Buffer): number {
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
}

/** Whether the first line is a whole object: then the lines are events, and one that is wrong spoils no other. */
function looksLikeLines(body: Buffer, start: number): boolean {
  const feed = body.indexOf(LINE_FEED, start);
  if (feed < 0) return false;
  let last = feed - 1;
  while (last > start && body[last]! <= 32) last--;
  return body[last] === CLOSE_BRACE && endOfValue(body, start) === last + 1;
}

/** What some shells and editors write: it begins with a byte order mark, or has a NUL for each second character. */
function isUtf16(body: Buffer): boolean {
  const [first, second] = body;
  return (
    (first === 0xff && second === 0xfe) ||
    (first === 0xfe && second === 0xff) ||
    ((first === OPEN_BRACE || first === OPEN_BRACKET) && second === 0)
  );
}
