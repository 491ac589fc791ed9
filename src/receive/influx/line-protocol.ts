/**
 * The Influx line protocol, bytes → Batch (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/).
 * Pure, except for the heads of lines that it remembers.
 *
 * Each field with a number is a sample. line-scanner.ts finds the parts of a line, and line-heads.ts knows the series.
 * A line that cannot be read is rejected by its number, and the others are kept. `position` in the batch is the number
 * of the line, from 0.
 */
import { isUtf8 } from "node:buffer";
import { quote, TooLarge } from "../../model/errors.ts";
import type { Batch, Labels } from "../../model/sample.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import { unitOfName } from "../../series/buckets.ts";
import type { NameLimits } from "../../series/naming.ts";
import { BatchBuilder } from "../../wire/batch-builder.ts";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";
import { describeInvalidByte, firstInvalidByte } from "../../wire/utf8.ts";
import { INFLUX } from "./influx-protocol.ts";
import { type FieldSlot, LineHead, type SeriesOptions, type SeriesSlot, seriesSlot } from "./line-heads.ts";
import { setIdentifiers, wrongIdentifier } from "./line-identifiers.ts";
import { LineScanner, nameText, skipBlanks } from "./line-scanner.ts";
import { RememberedStrings } from "./line-strings.ts";
import { type Measurement, type MeasurementOptions, Measurements } from "./measurements.ts";
import { type Precision, timeOf } from "./precision.ts";
import { RejectedLines } from "./rejected-lines.ts";

interface LineDecoderOptions extends NameLimits, SeriesOptions, MeasurementOptions {
  /** Changes when the results of the functions change. */
  readonly epoch: () => number;
  /** The most samples per body; a body with more is rejected. */
  readonly samplesMax: number;
  /** The number of series that exist. As many are remembered. */
  readonly seriesCount?: () => number;
}

/** A decoded body. */
export interface DecodedLines {
  readonly batch: Batch;
  /** The lines that are no comment and not empty. */
  readonly lineCount: number;
  /** Whether each line has a time, so that the same body has the same samples when it is sent again. */
  readonly isTimed: boolean;
  readonly hasObservations: boolean;
}

/** More than the tags of a line may have, and small enough for every buffer. */
const HEAD_BYTES_MAX = 512 * 1_024;
/** A line is read without a pause: within some 10 ms. */
const LINE_BYTES_MAX = 1_048_576;
/** Some 100 µs of work. */
const STEP_BYTES = 8_192;
/** Fields of all heads together. They take some 300 bytes each. If many series exist, two per series. */
const FIELDS_MAX = 200_000;
const FIELDS_PER_SERIES = 2;

const [LINE_FEED, CARRIAGE_RETURN, SPACE, HASH] = [10, 13, 32, 35];
/** As many as the builder keeps. The texts of further ones would take more time than all else. */
const WARNINGS_MAX = 1_000;
const NOT_DESCRIBED = { index: 0, field: "", message: "", metric: "" };
const NO_LABELS: Labels = new Map();
const AGAIN = -2;

export class LineDecoder {
  readonly #options: LineDecoderOptions;
  readonly #seriesCount: () => number;
  readonly #builder: BatchBuilder;
  readonly #scanner = new LineScanner();
  readonly #rejected = new RejectedLines();
  readonly #measurements: Measurements;
  readonly #heads: LabelBlocks<LineHead>;
  /** Seeds the hashes, so that a sender cannot choose lines that collide. */
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;
  readonly #strings: RememberedStrings;
  #key = Buffer.allocUnsafeSlow(4_096);
  /** The fields of the line that is read. */
  readonly #fields: FieldSlot[] = [];
  readonly #series: (SeriesSlot | undefined)[] = [];
  /** The fields of all heads. */
  #fieldSlots = 0;
  #nextHead = 0;
  /** The head of the line before, if it has no identifying tags. */
  #last: LineHead | undefined;
  #headLength = 0;
  #batchNumber = 0;
  /** The line that is read: its number in the body, and a number of its own. */
  #line = 0;
  #serial = 0;
  #timestampUs = Number.NaN;
  #isTimed = true;
  #hasObservations = false;
  #isUtf8 = true;
  #epoch = -1;
  #problem = "";
  #warned = 0;
  #cause = "syntax";

  constructor(options: LineDecoderOptions) {
    const { seriesCount = () => 0 } = options;
    this.#options = options;
    this.#seriesCount = seriesCount;
    this.#builder = new BatchBuilder(INFLUX.name, seriesCount);
    this.#heads = new LabelBlocks(undefined, { seriesCount });
    this.#strings = new RememberedStrings(this.#seed, seriesCount);
    this.#measurements = new Measurements(options, this.#builder);
  }

  /** How many heads of lines were made since the start. The others repeat the bytes of earlier ones. */
  get headsMade(): number {
    return this.#nextHead;
  }

  /** Forgets what it remembers of lines, because the kind of a metric may have changed. */
  forget(): void {
    this.#measurements.forget();
    this.#forgetHeads();
  }

  /**
   * Decodes a body.
   *
   * @throws TooLarge when it has too many samples
   */
  decode(body: Uint8Array, precision: Precision): DecodedLines {
    return atOnce(this.decoding(body, precision));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(body: Uint8Array, precision: Precision): Generator<void, DecodedLines> {
    if (this.#epoch !== this.#options.epoch() || this.#measurements.isFull) {
      this.#epoch = this.#options.epoch();
      this.forget();
    }
    const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const end = buffer.length;
    this.#isUtf8 = isUtf8(body);
    this.#batchNumber++;
    this.#isTimed = true;
    this.#rejected.begin();
    this.#warned = 0;
    this.#hasObservations = false;
    let lineCount = 0;
    let line = 0;
    try {
      let pauseAt = 0;
      for (let at = 0; at < end; ) {
        if (at >= pauseAt) {
          pauseAt = at + STEP_BYTES;
          yield;
        }
        const blankTo = Math.min(end, at + LINE_BYTES_MAX);
        at = skipBlanks(buffer, at, blankTo);
        if (at === blankTo && at < end) continue;
        const byte = buffer[at];
        if (byte === LINE_FEED) {
          at++;
          line++;
        } else if (byte === HASH) {
          const feed = buffer.indexOf(LINE_FEED, at);
          at = feed < 0 ? end : feed;
        } else if (byte === CARRIAGE_RETURN && (at + 1 >= end || buffer[at + 1] === LINE_FEED)) at++;
        else if (at < end) {
          lineCount++;
          this.#line = line;
          const limit = Math.min(end, at + LINE_BYTES_MAX);
          let after = this.#read(buffer, at, limit, precision);
          const isLong = limit < end && (after === limit || (after < 0 && this.#isLong(buffer, at, limit)));
          if (isLong) after = this.#refuse("syntax", `the line has more than ${LINE_BYTES_MAX} bytes`);
          if (after >= 0) {
            line += 1 + this.#scanner.lineFeeds;
            at = after;
          } else {
            this.#builder.dropAttributes();
            if (this.#builder.rejected.length >= this.#options.samplesMax)
              throw this.#tooMany("invalid lines");
            at = this.#rejected.add(
              this.#builder.rejected,
              buffer,
              at,
              { index: line, cause: this.#cause, reason: this.#problem },
              isLong,
            );
            line += this.#rejected.lineFeeds;
          }
        }
      }
    } catch (error) {
      this.#builder.clear();
      throw error;
    }
    const batch = this.#builder.take();
    return { batch, lineCount, isTimed: this.#isTimed, hasObservations: this.#hasObservations };
  }

  /** Whether an invalid line has no end up to a limit. */
  #isLong(body: Buffer, at: number, limit: number): boolean {
    const feed = body.indexOf(LINE_FEED, at);
    return feed < 0 || feed >= limit;
  }

  /** Reads the line at `at`; returns the position after it, or -1 with the reason in `#problem`. */
  #read(body: Buffer, at: number, end: number, precision: Precision): number {
    this.#cause = "syntax";
    for (;;) {
      const after = this.#scan(body, at, end, precision);
      // Each repetition takes identifiers of the measurement away, except for the first.
      if (after !== AGAIN) return after;
      this.#forgetHeads();
    }
  }

  #scan(body: Buffer, at: number, end: number, precision: Precision): number {
    const scanner = this.#scanner;
    let head = this.#expectedHead(body, at);
    let behind = at;
    if (head !== undefined) behind += this.#headLength;
    else {
      const tags = scanner.measurement(body, at, end);
      if (tags < 0) return this.#fail(scanner.problem);
      if (this.#isNoName(tags - at)) return -1;
      const measurement = this.#measurements.find(body, at, tags);
      behind = scanner.tags(body, tags, end, measurement.identifiers);
      if (behind < 0) return this.#fail(scanner.problem);
      // It is added although the fields may be invalid: that costs nothing but its place.
      head = this.#head(body, at, behind, measurement, tags);
      if (head === undefined) return -1;
      if (this.#last !== undefined) this.#last.next = head;
    }
    this.#last = scanner.idCount === 0 ? head : undefined;
    const fields = scanner.fields(body, behind, end, head.fields);
    if (fields < 0) return this.#fail(scanner.problem);
    const after = scanner.time(body, fields, end);
    if (after < 0) return this.#fail(scanner.problem);
    this.#timestampUs = Number.NaN;
    if (scanner.timeFrom < 0) this.#isTimed = false;
    else {
      const time = timeOf(body, scanner.timeFrom, scanner.timeTo, precision);
      if (typeof time === "string") return this.#fail(time);
      this.#timestampUs = time;
    }
    if (!this.#isUtf8) {
      const invalid = firstInvalidByte(body, at, after);
      if (invalid >= 0) return this.#fail(`byte ${invalid - at} ${describeInvalidByte(body[invalid]!)}`);
    }
    const done = this.#resolve(body, head);
    if (done !== 0) return done;
    this.#add(body);
    return after;
  }

  /** The head that followed the last one before, if the line at `at` begins with its bytes. Sets `#headLength`. */
  #expectedHead(body: Buffer, at: number): LineHead | undefined {
    const expected = this.#last?.next;
    if (expected === undefined) return undefined;
    const length = this.#heads.lengthAt(expected.block, body, at);
    if (length < 0 || body[at + length] !== SPACE) return undefined;
    this.#headLength = length;
    this.#scanner.idCount = 0;
    return expected;
  }

  /** The head with the bytes from `from` up to `to`, without its identifying tags. Undefined if it is invalid. */
  #head(
    body: Buffer,
    from: number,
    to: number,
    measurement: Measurement,
    tags: number,
  ): LineHead | undefined {
    const scanner = this.#scanner;
    let key = body;
    let start = from;
    let length = to - from;
    if (scanner.idCount > 0) {
      key = this.#reserve(length);
      start = 0;
      length = 0;
      let copied = from;
      for (let id = 0; id < scanner.idCount; id++) {
        length += body.copy(key, length, copied, scanner.idBegin[id]);
        copied = scanner.idTo[id]!;
      }
      length += body.copy(key, length, copied, to);
    }
    const hash = blockHash(key, start, start + length, this.#seed);
    const block = this.#heads.find(key, length, hash, start);
    if (block >= 0) return this.#heads.head(block);
    const labels = this.#tags(body, tags, to, measurement);
    if (labels === undefined) return undefined;
    const head = new LineHead(this.#nextHead++, measurement, labels);
    // Adding may drop all heads, which have other blocks then.
    const { generation } = this.#heads;
    head.block = this.#heads.add(key, length, hash, head, start);
    if (this.#heads.generation !== generation) this.#last = undefined;
    return head;
  }

  /** The tags that identify no event, sorted by name. Undefined if they are invalid. */
  #tags(body: Buffer, from: number, to: number, { identifiers }: Measurement): Labels | undefined {
    const { tagsMax } = this.#options;
    if (to - from > HEAD_BYTES_MAX) return this.#reasonOf("labels", `the tags have ${to - from} bytes`);
    if (this.#scanner.tagCount > tagsMax) {
      const reason = `the line has ${this.#scanner.tagCount} tags, at most ${tagsMax} are accepted (tagsMax)`;
      return this.#reasonOf("labels", reason);
    }
    const labels = new Map<string, string>();
    // Commas and equals signs that are not escaped separate, as the scanner has checked.
    for (const tag of body.toString("latin1", from, to).match(/(?:\\[,= ]|[^,])+/g) ?? []) {
      const bytes = Buffer.from(tag, "latin1");
      const equal = /^(?:\\[,= ]|[^=])+/.exec(tag)![0].length;
      const name = nameText(bytes, 0, equal);
      if (identifiers.names.has(name) && identifiers.find(bytes, 0, equal) !== undefined) continue;
      if (labels.has(name)) return this.#reasonOf("labels", "duplicate tags");
      labels.set(name, nameText(bytes, equal + 1, bytes.length));
    }
    return new Map([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Finds the series of the line's numbers. Returns 0, -1 if the line is invalid, or AGAIN. */
  #resolve(body: Buffer, head: LineHead): number {
    const scanner = this.#scanner;
    const { fieldCount } = scanner;
    const serial = ++this.#serial;
    let { isEvent } = head.measurement;
    for (let id = 0; id < scanner.idCount && !isEvent; id++)
      isEvent = this.#measurements.makesEvent(scanner.idColumn[id]!.name);
    let numbers = 0;
    let strings = 0;
    for (let field = 0; field < fieldCount; field++) {
      const from = scanner.fieldFrom[field]!;
      const to = scanner.fieldTo[field]!;
      let slot = scanner.isExpected[field] ? head.fields[field]! : head.find(body, from, to);
      if (slot === undefined) {
        if (this.#isNoName(to - from)) return -1;
        slot = this.#addField(body, head, from, to);
      }
      if (slot.line === serial) return this.#fail(`multiple instances of ${quote(slot.name)} field found`);
      slot.line = serial;
      this.#fields[field] = slot;
      if (!scanner.isText[field]) {
        numbers++;
        if (slot.isLearned) continue;
        slot.isLearned = true;
        if (this.#measurements.learn(head.measurement, slot.metric)) return AGAIN;
      } else if (scanner.textTo[field]! > scanner.textFrom[field]!) {
        if (slot.column === undefined) strings++;
        else isEvent ||= slot.makesEvent;
      }
    }
    if (numbers === 0)
      return this.#refuse("value", "the line has only string fields, expected a number or a boolean");
    let kinds = 0;
    for (let field = 0; field < fieldCount; field++) {
      if (scanner.isText[field]) continue;
      const slot = this.#fields[field]!;
      const series = this.#seriesOf(slot, head, isEvent);
      this.#series[field] = series;
      kinds |= series.head.kind === "gauge" ? 1 : 2;
    }
    if ((kinds & 2) !== 0) {
      const wrong = wrongIdentifier(scanner, this.#fields, this.#options.tagValueBytesMax);
      if (wrong !== undefined) return this.#refuse("labels", wrong);
      this.#hasObservations = true;
    }
    if (strings === 0) return 0;
    if ((kinds & 2) !== 0 && !this.#useStrings(body, head, isEvent)) return -1;
    if ((kinds & 1) !== 0) this.#warnOfStrings();
    return 0;
  }

  /** Whether a name is too long, also if each of its characters is escaped. It would be remembered. */
  #isNoName(bytes: number): boolean {
    const { nameBytesMax } = this.#options;
    if (bytes <= 2 * nameBytesMax) return false;
    this.#refuse("name", `a name has ${bytes} bytes, at most ${nameBytesMax} are accepted (nameBytesMax)`);
    return true;
  }

  #seriesOf(slot: FieldSlot, head: LineHead, isEvent: boolean): SeriesSlot {
    const known = isEvent ? slot.event : slot.other;
    if (known !== undefined) return known;
    const series = seriesSlot(slot, head.tags, NO_LABELS, isEvent, this.#builder, this.#options);
    if (isEvent) slot.event = series;
    else slot.other = series;
    return series;
  }

  #addField(body: Buffer, head: LineHead, from: number, to: number): FieldSlot {
    if (this.#fieldSlots >= FIELDS_MAX && this.#fieldSlots >= FIELDS_PER_SERIES * this.#seriesCount())
      this.#forgetHeads();
    this.#fieldSlots++;
    const { measurement } = head;
    const name = nameText(body, from, to);
    const slot: FieldSlot = {
      bytes: Buffer.from(body.subarray(from, to)),
      name,
      metric: this.#measurements.metricOf(measurement, name),
      unit: name === "value" ? unitOfName(measurement.name) : undefined,
      column: measurement.identifiers.find(body, from, to),
      makesEvent: this.#measurements.makesEvent(name),
      place: head.fields.length,
      isLearned: false,
      line: 0,
      event: undefined,
      other: undefined,
    };
    head.add(slot);
    return slot;
  }

  /** Makes the strings of the line labels of its observations. Returns false if that is not possible. */
  #useStrings(body: Buffer, head: LineHead, isEvent: boolean): boolean {
    const scanner = this.#scanner;
    const strings = this.#strings.find(scanner, this.#fields, body, head);
    if (typeof strings === "string") {
      this.#refuse("labels", strings);
      return false;
    }
    const known = isEvent ? strings.events : strings.others;
    for (let field = 0; field < scanner.fieldCount; field++) {
      if (scanner.isText[field]) continue;
      const slot = this.#fields[field]!;
      let series = known[slot.place];
      if (series === undefined) {
        series = seriesSlot(slot, head.tags, strings.labels, isEvent, this.#builder, this.#options);
        known[slot.place] = series;
      }
      this.#series[field] = series;
    }
    return true;
  }

  #warnOfStrings(): void {
    const scanner = this.#scanner;
    const number = this.#series.findIndex(
      (series, field) =>
        field < scanner.fieldCount && !scanner.isText[field] && series?.head.kind === "gauge",
    );
    const { metric } = this.#series[number]!.head;
    for (let field = 0; field < scanner.fieldCount; field++) {
      const { name, column } = this.#fields[field]!;
      if (!scanner.isText[field] || column !== undefined) continue;
      if (this.#warned++ >= WARNINGS_MAX) {
        this.#builder.warn("string", NOT_DESCRIBED);
        continue;
      }
      const message =
        `the string field ${quote(name)} was not stored, because ${quote(metric)} is a gauge: send it as a tag, or add ` +
        "the measurement to influxEvents";
      this.#builder.warn("string", { index: this.#line, field: name, message, metric });
    }
  }

  /** Adds the samples of the line. */
  #add(body: Buffer): void {
    const scanner = this.#scanner;
    const builder = this.#builder;
    const { samplesMax } = this.#options;
    for (let field = 0; field < scanner.fieldCount; field++) {
      if (scanner.isText[field]) continue;
      const series = this.#series[field]!;
      if (builder.length >= samplesMax) throw this.#tooMany("fields with numbers");
      if (series.head.kind === "observation") setIdentifiers(builder, scanner, this.#fields, body, series);
      if (series.usedBy !== this.#batchNumber) {
        series.usedBy = this.#batchNumber;
        series.index = builder.addHead(series.head);
      }
      if (scanner.isInexact[field]) this.#warnOfDigits(body, field, series);
      builder.add(series.index, this.#timestampUs, scanner.number[field]!, this.#line);
    }
  }

  #warnOfDigits(body: Buffer, field: number, { head: { metric } }: SeriesSlot): void {
    const scanner = this.#scanner;
    const from = scanner.fieldTo[field]! + 1;
    const sent = /^-?\d+/.exec(body.toString("latin1", from, Math.min(body.length, from + 40)))![0];
    const message = `${quote(this.#fields[field]!.name)} is ${sent} and was stored as ${BigInt(scanner.number[field]!)}, the nearest 64-bit float`;
    this.#builder.warn("value", { index: this.#line, field: "value", message, metric });
  }

  #tooMany(what: string): TooLarge {
    const { samplesMax } = this.#options;
    return new TooLarge(`the body has more than ${samplesMax} ${what} (eventsMax), send it in parts`, "body");
  }

  #forgetHeads(): void {
    this.#heads.clear();
    this.#last = undefined;
    this.#strings.clear();
    this.#fieldSlots = 0;
  }

  #reserve(bytes: number): Buffer {
    if (bytes > this.#key.length) this.#key = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#key.length));
    return this.#key;
  }

  #fail(problem: string): -1 {
    this.#problem = problem;
    return -1;
  }

  #refuse(cause: string, problem: string): -1 {
    this.#cause = cause;
    return this.#fail(problem);
  }

  #reasonOf(cause: string, problem: string): undefined {
    this.#refuse(cause, problem);
  }
}
