/**
 * StatsD and DogStatsD: datagrams → Batch. Each line is `NAME:VALUE[:VALUE…]|TYPE[|SECTION…]`. Pure, except for the
 * lines that it remembers.
 *
 * A usual line is read in one pass over its bytes. Everything except for its values is looked up among the lines seen
 * before (label-blocks.ts). Other lines go through statsd-lines.ts, which alone decides what is valid: new lines, and
 * those with a time or a tag that is a column.
 *
 * An invalid line is rejected, and the other lines of its datagram are kept. Events and service checks are skipped.
 */
import { quote } from "../../model/errors.ts";
import type { SeriesHead } from "../../model/sample.ts";
import type { NameLimits } from "../../series/naming.ts";
import { readDecimal } from "../../wire/decimal.ts";
import { LabelBlocks } from "../../wire/label-blocks.ts";
import { TextLineDecoder } from "../text-line-decoder.ts";
import type { DecodedText } from "../text-intake.ts";
import { STATSD } from "./statsd-protocol.ts";
import { MEMBER, readStatsdLine, type StatsdType } from "./statsd-lines.ts";

interface StatsdDecoderOptions extends NameLimits {
  /** Whether a tag of a metric's observations and counters is a column and not a label. */
  readonly isAttribute: (metric: string, tag: string) => boolean;
  /** Changes when the result of `isAttribute` changes. */
  readonly epoch: () => number;
  /** The number of series that exist. As many are remembered. */
  readonly seriesCount?: () => number;
  /** The stored value of a gauge, or undefined if it has none. */
  readonly level: (head: SeriesHead) => number | undefined;
}

/** A series, as the lines of all its spellings share it. */
interface SeriesState {
  readonly head: SeriesHead;
  /** The batch that used it last, and its index among the heads of that batch. */
  batch: number;
  index: number;
  /** The batch that set its level last, and that level. */
  levelBatch: number;
  level: number;
  /** What the weights of its samples leave when they are rounded down to copies. */
  rest: number;
}

/** What lines have in common that differ only in their values. */
interface KnownLine {
  readonly series: SeriesState;
  readonly type: StatsdType;
  readonly weight: number;
}

/** A line ends there: a datagram of 64 KiB could have 33 million samples, with a thousand copies of each value. */
const SAMPLES_PER_DATAGRAM_MAX = 65_536;
/**
 * Series that are remembered, and the bytes of their first lines, of which their labels are parts. If many series exist, as many
 * are remembered: a sender repeats its series, and with a lower bound each would be forgotten before it is seen again.
 */
const SERIES_MAX = 65_536;
const SERIES_BYTES_MAX = 32 * 1_048_576;
/** Per series that exists: it has ended, or another sender writes its labels in another form. */
const REMEMBERED_PER_SERIES = 2;
const BYTES_PER_SERIES_MAX = 2_048;
/** The part of a line that is compared. A longer one is read as new. */
const KEY_BYTES_MAX = 8_192;

const [COLON, BAR, UNDERSCORE, PLUS, MINUS] = [58, 124, 95, 43, 45];
/** Random per process, so that a sender cannot choose lines that collide. FNV-1a, as in the decoder of events. */
const HASH_SEED = crypto.getRandomValues(new Int32Array(1))[0]!;
const HASH_PRIME = 0x01000193;

export class StatsdDecoder extends TextLineDecoder {
  readonly #options: StatsdDecoderOptions;
  readonly #seriesCount: () => number;
  readonly #lines: LabelBlocks<KnownLine>;
  readonly #series = new Map<string, SeriesState>();
  /** The bytes of their first lines. */
  #seriesBytes = 0;
  readonly #key = Buffer.allocUnsafeSlow(KEY_BYTES_MAX);
  #epoch = -1;
  /** The time of the last gauge without one of its own. */
  #lastLevelUs = 0;
  #skipped = new Map<string, number>();

  constructor(options: StatsdDecoderOptions) {
    const { seriesCount = () => 0 } = options;
    super(STATSD.name, seriesCount);
    this.#options = options;
    this.#seriesCount = seriesCount;
    this.#lines = new LabelBlocks<KnownLine>(undefined, { seriesCount, keepsHalf: true });
  }

  protected override beginSlice(): void {
    if (this.#epoch === this.#options.epoch()) return;
    this.#epoch = this.#options.epoch();
    this.#forget();
  }

  #forget(): void {
    // The lines refer to the series.
    this.#lines.clear();
    this.#series.clear();
    this.#seriesBytes = 0;
  }

  #isFull(): boolean {
    const exist = this.#seriesCount();
    return (
      this.#series.size >= Math.max(SERIES_MAX, REMEMBERED_PER_SERIES * exist) ||
      this.#seriesBytes >= Math.max(SERIES_BYTES_MAX, BYTES_PER_SERIES_MAX * exist)
    );
  }

  override take(): DecodedText {
    const skipped = this.#skipped;
    this.#skipped = new Map();
    return { ...super.take(), skipped };
  }

  protected override line(from: number, to: number): void {
    const bytes = this.bytes;
    if (bytes[from] === UNDERSCORE && this.#isSkipped(from, to)) return;
    const key = this.#key;
    let hash = HASH_SEED;
    let length = 0;
    let at = from;
    for (; at < to; at++) {
      const byte = bytes[at]!;
      if (length < KEY_BYTES_MAX) key[length++] = byte;
      hash = Math.imul(hash ^ byte, HASH_PRIME);
      if (byte === COLON) break;
    }
    const colon = at;
    while (at < to && bytes[at] !== BAR) at++;
    const bar = at;
    for (; at < to; at++) {
      const byte = bytes[at]!;
      if (length < KEY_BYTES_MAX) key[length++] = byte;
      hash = Math.imul(hash ^ byte, HASH_PRIME);
    }
    const isWhole = length < KEY_BYTES_MAX;
    const entry = isWhole ? this.#lines.find(key, length, hash) : -1;
    if (entry >= 0) this.#values(this.#lines.head(entry), from, colon, bar, to);
    else this.#newLine(from, colon, bar, to, isWhole ? length : 0, hash);
  }

  /** @param keyLength the length of the line's key, or 0 if it is too long to be remembered */
  #newLine(from: number, colon: number, bar: number, to: number, keyLength: number, hash: number): void {
    const bytes = this.bytes;
    if (this.isRejectedAsText(from, to, from, to)) return;
    if (bar === to) {
      const line = quote(this.text(from, to));
      this.reject("syntax", `the line is ${line}, expected NAME:VALUE|TYPE`, from, to);
      return;
    }
    const line = readStatsdLine(
      bytes.toString("utf8", from, colon),
      bytes.toString("utf8", bar + 1, to),
      this.#options.isAttribute,
    );
    if ("reason" in line) {
      this.reject(line.cause, line.reason, from, to);
      return;
    }
    const { metric, kind, metricType: type, unit, labels, attributes, timestampUs } = line;
    const problem = this.#attributesProblem(attributes, labels.size);
    if (problem !== undefined) {
      this.reject("labels", problem, from, to);
      return;
    }
    let identity = `${kind}\u0000${unit ?? ""}\u0000${metric}`;
    for (const [name, value] of labels) identity += `\u0000${name}\u0000${value}`;
    if (this.#isFull()) this.#forget();
    const series = this.#series.getOrInsertComputed(identity, () => {
      this.#seriesBytes += to - from;
      return {
        head: { metric, kind, type, unit, labels },
        batch: -1,
        index: 0,
        levelBatch: -1,
        level: 0,
        rest: 0,
      };
    });
    const known: KnownLine = { series, type: line.type, weight: line.weight };
    if (attributes.length === 0 && timestampUs === undefined && keyLength > 0)
      this.#lines.add(this.#key, keyLength, hash, known);
    this.#values(known, from, colon, bar, to, attributes, timestampUs);
  }

  /** Labels are checked at admission, once per series. Attributes belong to each sample. */
  #attributesProblem(attributes: readonly (readonly [string, string])[], labels: number): string | undefined {
    const { tagsMax, tagValueBytesMax } = this.#options;
    const count = attributes.length + labels;
    if (attributes.length > 0 && count > tagsMax)
      return `the sample has ${count} tags, at most ${tagsMax} are accepted (tagsMax)`;
    for (const [name, value] of attributes) {
      const bytes = Buffer.byteLength(value);
      if (bytes > tagValueBytesMax) {
        return `the value of tag ${quote(name)} is ${bytes} bytes long, at most ${tagValueBytesMax} are accepted (tagValueBytesMax)`;
      }
      if (value.includes("\u0000")) return `the value of tag ${quote(name)} contains a NUL character`;
    }
    return undefined;
  }

  /** Adds the values of a line, which are between `colon` and `bar`. */
  #values(
    { series, type, weight }: KnownLine,
    from: number,
    colon: number,
    bar: number,
    to: number,
    attributes: readonly (readonly [string, string])[] = [],
    timestampUs?: number,
  ): void {
    if (type === "s") {
      this.#member(series, from, colon, bar, to, attributes, timestampUs);
      return;
    }
    const bytes = this.bytes;
    for (let at = colon + 1; at <= bar; ) {
      let end = at;
      while (end < bar && bytes[end] !== COLON) end++;
      const value = readDecimal(bytes, at, end);
      if (value - value !== 0) {
        const text = quote(this.text(at, end));
        this.reject("value", `the value is ${text}, expected a finite number`, from, to);
      } else if (type === "c") {
        if (value < 0) {
          this.reject(
            "value",
            `the value is ${value}, expected no less than 0: a counter cannot decrease`,
            from,
            to,
          );
        } else {
          this.#add(series, timestampUs ?? this.arrivedUs, value * weight, attributes);
        }
      } else if (type === "g") {
        const sign = bytes[at];
        this.#gauge(series, value, sign === PLUS || sign === MINUS, timestampUs);
      } else if (!this.#observation(series, value, weight, attributes, timestampUs)) {
        const reason = `the datagram has more than ${SAMPLES_PER_DATAGRAM_MAX} samples, counting those of its sample rates`;
        this.reject("samples", reason, from, to);
        return;
      }
      at = end + 1;
    }
  }

  /** Gauges have one value per time, so each gets a time of its own: a microsecond after the one before it. */
  #gauge(series: SeriesState, value: number, isRelative: boolean, timestampUs: number | undefined): void {
    if (timestampUs === undefined) this.#lastLevelUs = Math.max(this.arrivedUs, this.#lastLevelUs + 1);
    let level = value;
    if (isRelative) {
      const last =
        series.levelBatch === this.batchNumber ? series.level : (this.#options.level(series.head) ?? 0);
      level = (Number.isFinite(last) ? last : 0) + value;
    }
    series.level = level;
    series.levelBatch = this.batchNumber;
    this.#add(series, timestampUs ?? this.#lastLevelUs, level, []);
  }

  /** Adds as many equal samples as the value stands for. Returns false if the datagram has too many. */
  #observation(
    series: SeriesState,
    value: number,
    weight: number,
    attributes: readonly (readonly [string, string])[],
    timestampUs: number | undefined,
  ): boolean {
    let copies = 1;
    if (weight !== 1) {
      // 1 / 0.3 is 3.33…: of three values, two are stored three times and one four times.
      const exact = weight + series.rest;
      copies = Math.max(1, Math.floor(exact + 1e-9));
      series.rest = exact - copies;
    }
    if (this.builder.length + copies > this.lengthBefore + SAMPLES_PER_DATAGRAM_MAX) return false;
    for (let copy = 0; copy < copies; copy++)
      this.#add(series, timestampUs ?? this.arrivedUs, value, attributes);
    return true;
  }

  #member(
    series: SeriesState,
    from: number,
    colon: number,
    bar: number,
    to: number,
    attributes: readonly (readonly [string, string])[],
    timestampUs: number | undefined,
  ): void {
    const { tagValueBytesMax } = this.#options;
    const length = bar - colon - 1;
    const bytes = this.bytes;
    if (length <= 0 || length > tagValueBytesMax || bytes.subarray(colon + 1, bar).includes(0)) {
      const text = quote(this.text(colon + 1, bar));
      const reason = `the member is ${text}, expected 1 to ${tagValueBytesMax} bytes without NUL (tagValueBytesMax)`;
      this.reject("value", reason, from, to);
      return;
    }
    if (this.isRejectedAsText(colon + 1, bar, from, to)) return;
    this.builder.setAttribute(this.builder.attribute(MEMBER), bytes, colon + 1, bar);
    this.#add(series, timestampUs ?? this.arrivedUs, 1, attributes);
  }

  #add(
    series: SeriesState,
    timestampUs: number,
    value: number,
    attributes: readonly (readonly [string, string])[],
  ): void {
    const builder = this.builder;
    if (series.batch !== this.batchNumber) {
      series.batch = this.batchNumber;
      series.index = builder.addHead(series.head);
    }
    for (const [name, text] of attributes) {
      const bytes = Buffer.from(text);
      builder.setAttribute(builder.attribute(name), bytes, 0, bytes.length);
    }
    this.addSample(series.index, timestampUs, value);
  }

  /** Whether a line is an event or a service check of DogStatsD, which have no sample. */
  #isSkipped(from: number, to: number): boolean {
    const start = this.bytes.toString("latin1", from, Math.min(to, from + 4));
    const type = start.startsWith("_e{") ? "event" : start === "_sc|" ? "service_check" : undefined;
    if (type === undefined) return false;
    this.#skipped.set(type, (this.#skipped.get(type) ?? 0) + 1);
    return true;
  }
}
