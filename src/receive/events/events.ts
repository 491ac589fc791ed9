/**
 * JSON events: one object, an array of them, or NDJSON (https://github.com/ndjson/ndjson-spec), bytes → Batch.
 * Pure, except for the label blocks that it remembers.
 *
 * A usual event is read in one pass over its bytes, without creating an object: numbers and the bytes of attributes go
 * straight into columns, and the bytes of name, type, unit and labels are looked up among the blocks seen before
 * (label-blocks.ts). The pass gives up on anything unusual: escapes, a new series, another order of fields, an error.
 * That one event then goes through exact-number.ts and event.ts, which alone decide what is valid.
 *
 * An invalid event is rejected by its index, and the others are kept, as long as it is clear where it ends. An event
 * with bytes that are not UTF-8 is invalid too. A body that is cut, or whose brackets do not close, is rejected as
 * a whole; in NDJSON only the line is. A part of an accepted event that is not stored as it was sent is a warning.
 */
import { isUtf8 } from "node:buffer";
import { BadInput, quote, TooLarge } from "../../model/errors.ts";
import type { Batch } from "../../model/sample.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import type { NameLimits } from "../../series/naming.ts";
import { type AttributeBuffer, BatchBuilder } from "../../wire/batch-builder.ts";
import { parseExactJson } from "../../wire/json/exact-number.ts";
import { findJsonError, type JsonError } from "../../wire/json/json-error.ts";
import { endOfLine, endOfValue, skipSpace } from "../../wire/json/json-extent.ts";
import { LabelBlocks } from "../../wire/label-blocks.ts";
import { describeInvalidByte, firstInvalidByte } from "../../wire/utf8.ts";
import { checkEvent } from "./event.ts";
import { EventLoops } from "./event-loops.ts";
import { lossOfRepeated } from "./event-losses.ts";
import { EventScanner } from "./event-scanner.ts";
import { EVENTS } from "./events-protocol.ts";
import { repeatedName } from "./repeated-names.ts";

interface EventDecoderOptions extends NameLimits {
  /** Whether a tag of a metric's observations and counters is a column and not a label. */
  readonly isAttribute: (metric: string, tag: string) => boolean;
  /** All tags that may be such columns of the metric. */
  readonly attributesOf: (metric: string) => readonly string[];
  /** Changes when the results of the two functions above change. */
  readonly epoch: () => number;
  /** The most events per body; a body with more is rejected. */
  readonly eventsMax: number;
  /** The number of series that exist. As many are remembered. */
  readonly seriesCount?: () => number;
  /** False reads all events in JavaScript. For tests, and where the engine has no loops. */
  readonly usesLoops?: boolean;
}

/** How one body is read. */
export interface DecodeOptions {
  /** The sender declared that each line is an event. Otherwise this is detected from the body. */
  readonly ndjson?: boolean;
  /** Rejects an event if a part of it would not be stored as it was sent. Otherwise that is a warning. */
  readonly strict?: boolean;
}

/** As many attributes as a day has columns for. */
const COLUMNS_MAX = 64;
/** The most invalid events of one body that are described. Further ones are counted, with their causes. */
const REASONS_MAX = 10_000;
const REASON_PAST_MAX = `the event is invalid, as are more than ${REASONS_MAX} before it`;
/** Bytes of an event that are kept of its text: of the first ones all that a usual event has, to push them again. */
const PAYLOAD_BYTES_MAX = 1_000;
/** One event is parsed without a pause: within some 10 ms. All tags of an event with the default limits have 0.2 MB. */
const EVENT_BYTES_MAX = 1_048_576;
/** Some 100 µs of work. */
const STEP_BYTES = 16_384;
const LETTER_BYTES_MAX = 4_000;
/** As many as the table of rejected samples gets of one push. */
const LETTERS_MAX = 100;

const [LINE_FEED, CARRIAGE_RETURN, COMMA, OPEN_BRACKET, CLOSE_BRACKET] = [10, 13, 44, 91, 93];
const [OPEN_BRACE, CLOSE_BRACE] = [123, 125];

export class EventDecoder {
  readonly #options: EventDecoderOptions;
  readonly #builder: BatchBuilder;
  readonly #blocks: LabelBlocks;
  readonly #scanner: EventScanner;
  /** By block: the batch that used it last, and its index among the heads of that batch. */
  #usedBy = new Int32Array(1_024);
  #indexIn = new Int32Array(1_024);
  #batchNumber = 0;
  #generation = 0;
  /** Columns of events that no setting names. */
  readonly #columns = new Set<string>();
  #epoch = -1;
  #events = 0;
  #decisions = 0;
  #isUtf8 = true;
  #isStrict = false;
  /** Undefined before the first large body; null where the engine has none. */
  #loops: EventLoops | undefined | null;
  /** Whether the loops read this body. */
  #isLooped = false;
  /** By event that the loops have read: the index of its head. */
  readonly #headsRead = new Uint32Array(2_048);

  constructor(options: EventDecoderOptions) {
    const { seriesCount } = options;
    this.#options = options;
    this.#builder = new BatchBuilder(EVENTS.name, seriesCount);
    this.#blocks = new LabelBlocks(undefined, { seriesCount, keepsHalf: true });
    const buffers = (metric: string): AttributeBuffer[] =>
      options.attributesOf(metric).map((name) => this.#builder.attribute(name));
    this.#scanner = new EventScanner(this.#builder, buffers, options);
  }

  /** How many events were decided about, because their bytes were not found among those of earlier ones. */
  get decisions(): number {
    return this.#decisions;
  }

  /** How many events were looked at part by part since the start. The others repeat the bytes of earlier ones. */
  get scans(): number {
    return this.#scanner.scans;
  }

  /**
   * Decodes a body.
   *
   * @throws BadInput when the body is not JSON, or it is not clear where its events end; TooLarge when it has too many
   */
  decode(body: Uint8Array, options?: DecodeOptions): Batch {
    return atOnce(this.decoding(body, options));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(body: Uint8Array, { ndjson, strict = false }: DecodeOptions = {}): Generator<void, Batch> {
    if (this.#epoch !== this.#options.epoch()) {
      this.#epoch = this.#options.epoch();
      this.#blocks.clear();
      this.#scanner.forget();
      this.#loops?.forget();
    }
    this.#isUtf8 = isUtf8(body);
    this.#isStrict = strict;
    this.#batchNumber++;
    this.#events = 0;
    const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    this.#isLooped = this.#isUtf8 && EventLoops.takes(body.length) && this.#load(buffer);
    try {
      if (isUtf16(buffer)) throw new BadInput("the body is UTF-16, expected UTF-8", "body");
      const start = yield* this.#pastSpace(buffer, markLength(buffer));
      if (start === buffer.length) throw new BadInput("the body is empty, expected an event", "body");
      if (buffer[start] === OPEN_BRACKET) yield* this.#array(buffer, start);
      else if (ndjson ?? looksLikeLines(buffer, start)) yield* this.#lines(buffer, start);
      else yield* this.#single(buffer, start);
    } catch (error) {
      this.#builder.clear();
      throw error;
    }
    return this.#builder.take();
  }

  /** Copies a body to where the loops read it. Returns false if there are no loops. */
  #load(body: Buffer): boolean {
    const { usesLoops = true, tagValueBytesMax } = this.#options;
    if (this.#loops === undefined)
      this.#loops = (usesLoops ? EventLoops.open({ tagValueBytesMax }) : undefined) ?? null;
    this.#loops?.load(body);
    return this.#loops !== null;
  }

  /** Reads the events from `at` on that the loops know; returns the position behind them, or -1 if they know none. */
  #readKnown(at: number, isArray: boolean): number {
    const builder = this.#builder;
    const most = this.#options.eventsMax - this.#events;
    const read = this.#loops!.scan(at, { isArray, most, textBase: builder.textBytes });
    if (read === undefined) return -1;
    const { blocks, length } = read;
    const heads = this.#headsRead;
    for (let row = 0; row < length; row++) heads[row] = this.#headIndex(blocks[row]!);
    builder.addRows(read, heads.subarray(0, length), this.#events);
    this.#events += length;
    return read.end;
  }

  /** The first position from `at` on that is not white space. A body can be full of it. */
  *#pastSpace(body: Buffer, from: number): Generator<void, number> {
    let at = from;
    for (;;) {
      const limit = Math.min(body.length, at + STEP_BYTES);
      at = skipSpace(body, at, limit);
      if (at < limit || at === body.length) return at;
      yield;
    }
  }

  *#array(body: Buffer, open: number): Generator<void> {
    let at = yield* this.#pastSpace(body, open + 1);
    let pauseAt = 0;
    if (body[at] !== CLOSE_BRACKET) {
      for (;;) {
        if (at >= pauseAt) {
          pauseAt = at + STEP_BYTES;
          yield;
        }
        const end = this.#event(body, at);
        if (end < 0) throw this.#malformed(body, open, at);
        const limit = end + STEP_BYTES;
        at = skipSpace(body, end, limit);
        if (at === limit) at = yield* this.#pastSpace(body, at);
        if (body[at] === CLOSE_BRACKET) break;
        if (body[at] !== COMMA) throw this.#malformed(body, open, at);
        const next = at + 1;
        at = skipSpace(body, next, next + STEP_BYTES);
        if (at === next + STEP_BYTES) at = yield* this.#pastSpace(body, at);
      }
    }
    const rest = yield* this.#pastSpace(body, at + 1);
    if (rest < body.length)
      throw new BadInput(`byte ${rest} of the body follows the end of the array`, "body");
  }

  *#single(body: Buffer, start: number): Generator<void> {
    const end = this.#event(body, start);
    if (end < 0) throw this.#malformed(body, start, start);
    const rest = yield* this.#pastSpace(body, end);
    if (rest < body.length) {
      // Objects that follow each other on one line are read as NDJSON too.
      if (body[rest] !== OPEN_BRACE) {
        if (findJsonError(body, start, Math.min(body.length, end + EVENT_BYTES_MAX)) !== undefined)
          throw this.#malformed(body, start, rest);
        throw new BadInput(`byte ${rest} of the body follows the end of the event`, "body");
      }
      yield* this.#lines(body, rest);
    }
  }

  *#lines(body: Buffer, start: number): Generator<void> {
    let at = start;
    // An event can span several lines. That ends once one event has no end: searching the rest of the body for the end
    // of each further event could take hours.
    let isCut = false;
    let pauseAt = 0;
    while (at < body.length) {
      if (at >= pauseAt) {
        pauseAt = at + STEP_BYTES;
        yield;
      }
      const limit = isCut ? endOfLine(body, at) : body.length;
      const end = body[at] === OPEN_BRACE ? this.#event(body, at, limit, true) : -1;
      if (end >= 0) {
        // A generator for each event would take a third of its time.
        at = skipSpace(body, end, end + STEP_BYTES);
        if (at === end + STEP_BYTES) at = yield* this.#pastSpace(body, at);
        continue;
      }
      this.#requireRoom();
      isCut ||= body[at] === OPEN_BRACE;
      const line = endOfLine(body, at);
      const isListed = this.#builder.rejected.length < REASONS_MAX && line - at <= EVENT_BYTES_MAX;
      const problem = isListed ? this.#problem(body, at, line) : undefined;
      const reason = !isListed
        ? REASON_PAST_MAX
        : problem === undefined
          ? `expected an event as a JSON object, got ${quote(body.toString("utf8", at, Math.min(line, at + 40)))}`
          : `byte ${problem.position} of the body ${problem.message}`;
      this.#reject("syntax", reason, body, at, line);
      this.#events++;
      at = yield* this.#pastSpace(body, line);
    }
  }

  #requireRoom(): void {
    const { eventsMax } = this.#options;
    if (this.#events >= eventsMax)
      throw new TooLarge(`the body has more than ${eventsMax} events (eventsMax), send it in parts`, "body");
  }

  /**
   * Reads the event at a position, also if it is rejected; returns the position after it, or -1 if it has no end.
   *
   * @param inLines whether invalid JSON ends with its line: a line that is truncated within a string seems to continue
   */
  #event(body: Buffer, at: number, limit = body.length, inLines = false): number {
    this.#requireRoom();
    const scanner = this.#scanner;
    const builder = this.#builder;
    if (this.#isLooped) {
      // A line that is invalid ends the search for events that span lines.
      const known = limit === body.length ? this.#readKnown(at, !inLines) : -1;
      if (known >= 0) return known;
    } else if (this.#isUtf8) {
      const expected = scanner.scanExpected(body, at);
      if (expected >= 0) {
        builder.add(this.#headIndex(scanner.block), scanner.timestampUs, scanner.value, this.#events++);
        return expected;
      }
    }
    const scanned = scanner.scan(body, at);
    if (scanned >= 0 && this.#isUtf8) {
      const block = this.#blocks.find(scanner.key, scanner.keyLength, scanner.keyHash);
      if (block >= 0) {
        if (this.#isLooped) scanner.followIn(this.#loops!, block, at, scanned);
        else scanner.follow(block, body, at, scanned);
        builder.add(this.#headIndex(block), scanner.timestampUs, scanner.value, this.#events++);
        return scanned;
      }
    }
    scanner.interrupt();
    this.#loops?.interrupt();
    builder.dropAttributes();
    const end = endOfValue(body, at, limit);
    if (end < 0) return -1;
    if (end - at > EVENT_BYTES_MAX) {
      const reason = `the event has ${end - at} bytes, at most ${EVENT_BYTES_MAX} are accepted`;
      this.#reject("syntax", reason, body, at, end);
    } else if (!this.#parse(body, at, end, scanned >= 0, inLines)) return -1;
    this.#events++;
    return end;
  }

  /**
   * Reads an unusual event. `keyed` means that the scanner's key identifies the event's labels. Returns false if
   * `inLines` is set and invalid JSON has several lines, because then the lines are not one event.
   */
  #parse(body: Buffer, at: number, end: number, keyed: boolean, inLines: boolean): boolean {
    let json: unknown;
    try {
      // Bytes that are not UTF-8 would be replaced, and two different texts would become equal.
      if (!this.#isUtf8 && firstInvalidByte(body, at, end) >= 0) throw new SyntaxError();
      json = parseExactJson(body.toString("utf8", at, end));
    } catch {
      if (inLines && endOfLine(body, at) < end) return false;
      const problem = this.#problem(body, at, end);
      const reason = `byte ${problem?.position ?? at} of the body ${problem?.message ?? "is not JSON"}`;
      this.#reject("syntax", reason, body, at, end);
      return true;
    }
    this.#decisions++;
    const event = checkEvent(json, this.#options, this.#options.isAttribute);
    if ("reason" in event) {
      this.#reject(event.cause, event.reason, body, at, end);
      return true;
    }
    // A value that is not an object was rejected above.
    const repeated = repeatedName(body, at, end, json as Record<string, unknown>);
    const losses = repeated === undefined ? event.losses : [lossOfRepeated(repeated), ...event.losses];
    const [loss] = losses;
    if (loss !== undefined && this.#isStrict) {
      this.#reject(loss.cause, loss.reason, body, at, end);
      return true;
    }
    const { metric } = event.head;
    const builder = this.#builder;
    for (const { field, label, warning, unknown } of losses) {
      // The message quotes the field: one warning for each field, whatever the metrics are.
      builder.warn(label, { index: this.#events, field, message: warning, metric }, warning);
      if (unknown !== undefined) builder.countUnknownField(field, unknown);
    }
    const extra = event.attributes.find(([name]) => !this.#isKnownColumn(metric, name))?.[0];
    if (extra !== undefined) {
      const reason = `columns.${extra} would exceed the limit of ${COLUMNS_MAX} columns that no setting names`;
      this.#reject("labels", reason, body, at, end);
      return true;
    }
    for (const [name, value] of event.attributes) {
      const bytes = Buffer.from(value);
      builder.setAttribute(builder.attribute(name), bytes, 0, bytes.length);
    }
    const { key, keyLength, keyHash } = this.#scanner;
    // A block with a warning is not remembered: the fast path would not warn again.
    const head =
      keyed && loss === undefined
        ? this.#headIndex(this.#blocks.add(key, keyLength, keyHash, event.head))
        : builder.addHead(event.head);
    this.#scanner.remember(event.head.metric);
    builder.add(head, event.timestampUs, event.value, this.#events);
    if (event.stale) builder.markStale();
    return true;
  }

  /** Whether a name is an attribute, or one of the first columns that no setting names. Each takes memory for good. */
  #isKnownColumn(metric: string, name: string): boolean {
    if (this.#columns.has(name) || this.#options.isAttribute(metric, name)) return true;
    if (this.#columns.size >= COLUMNS_MAX) return false;
    this.#columns.add(name);
    return true;
  }

  /** The index of a block's head in this batch. */
  #headIndex(block: number): number {
    if (this.#generation !== this.#blocks.generation) {
      // The blocks were cleared, maybe within this body: what is kept by block number belongs to other blocks.
      this.#generation = this.#blocks.generation;
      this.#scanner.forgetBlocks();
      this.#loops?.forget();
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

  /** Finds the first byte of a range that is not UTF-8, or not JSON. */
  #problem(body: Buffer, start: number, end: number): JsonError | undefined {
    // A carriage return before the end of a line belongs to that end.
    const to =
      end < body.length && body[end] === LINE_FEED && body[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
    const problem = withHint(findJsonError(body, start, to));
    const position = this.#isUtf8 ? -1 : firstInvalidByte(body, start, end);
    if (position < 0 || (problem !== undefined && problem.position < position)) return problem;
    return { position, message: describeInvalidByte(body[position]!) };
  }

  /**
   * The error of a body whose events begin at `start`, and whose structure is broken at `at`. In a large body the problem
   * is only searched for in the part from `at` on.
   */
  #malformed(body: Buffer, start: number, at: number): BadInput {
    if (body.length > EVENT_BYTES_MAX && at > start) {
      const problem = this.#problem(body, at, Math.min(body.length, at + EVENT_BYTES_MAX));
      const found = quote(body.toString("utf8", at, Math.min(body.length, at + 12)));
      const what = problem?.message ?? `has ${found} where a comma or ] was expected`;
      return new BadInput(`the body is not JSON: byte ${problem?.position ?? at} ${what}`, "body");
    }
    const problem = this.#problem(body, start, Math.min(body.length, start + EVENT_BYTES_MAX));
    if (problem === undefined)
      return new BadInput(`byte ${start} of the body does not begin an event`, "body");
    return new BadInput(`the body is not JSON: byte ${problem.position} ${problem.message}`, "body");
  }

  #reject(cause: string, reason: string, body: Buffer, at: number, end: number): void {
    const { rejected } = this.#builder;
    if (rejected.length >= REASONS_MAX) {
      rejected.push({ index: this.#events, cause, reason: REASON_PAST_MAX, payload: "" });
      return;
    }
    const isLetter = rejected.length < LETTERS_MAX;
    const bytesMax = isLetter ? LETTER_BYTES_MAX : PAYLOAD_BYTES_MAX;
    const payload = body.toString("utf8", at, Math.min(end, at + bytesMax));
    rejected.push({
      index: this.#events,
      cause,
      reason,
      payload,
      metric: isLetter ? metricOf(payload) : undefined,
    });
  }
}

/** The metric of an event that was rejected, as far as it is one. */
function metricOf(payload: string): string | undefined {
  try {
    const { metric_name } = JSON.parse(payload) as { metric_name?: unknown };
    return typeof metric_name === "string" ? metric_name : undefined;
  } catch {
    return undefined;
  }
}

/** Adds how an event says a value that is not finite, which some encoders write as a bare word (`json.dumps` of Python). */
function withHint(problem: JsonError | undefined): JsonError | undefined {
  if (problem?.notFinite === undefined) return problem;
  const { position, message, notFinite } = problem;
  return {
    position,
    message: `${message}; a gauge takes "${notFinite}" in quotation marks as its value, and other types need a finite number`,
  };
}

/** The length of the byte order mark that some editors and shells write first (RFC 8259, section 8.1), or 0. */
function markLength(body: Buffer): number {
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
}

/** Whether the first line is a whole object. Then each line is an event, and an invalid one does not affect others. */
function looksLikeLines(body: Buffer, start: number): boolean {
  const feed = body.indexOf(LINE_FEED, start);
  if (feed < 0) return false;
  let last = feed - 1;
  while (last > start && body[last]! <= 32) last--;
  return body[last] === CLOSE_BRACE && endOfValue(body, start) === last + 1;
}

/** Detects what some shells and editors write: it begins with a byte order mark, or every second byte is NUL. */
function isUtf16(body: Buffer): boolean {
  const [first, second] = body;
  return (
    (first === 0xff && second === 0xfe) ||
    (first === 0xfe && second === 0xff) ||
    ((first === OPEN_BRACE || first === OPEN_BRACKET) && second === 0)
  );
}
