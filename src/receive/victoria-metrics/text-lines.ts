/**
 * Lines of the Prometheus text format and of OpenMetrics, bytes → batches, as VictoriaMetrics imports them
 * (https://docs.victoriametrics.com/#how-to-import-data-in-prometheus-exposition-format). Pure, except for the heads of
 * series and the types of families that it remembers.
 *
 * Unlike a push to a group (src/wire/exposition-formats), each line stands alone: an invalid line is rejected and the
 * others are stored, and the parts of a histogram are series of their own. The decoder needs no family in one piece, so a
 * body can be decoded in parts.
 */
import { atOnce } from "../../model/tasks/time-slices.ts";
import { isUtf8 } from "node:buffer";
import { quote } from "../../model/errors.ts";
import type { Batch, MetricType, SeriesHead } from "../../model/sample.ts";
import { MILLISECONDS_MAX } from "../../model/time.ts";
import { readDecimal } from "../../wire/decimal.ts";
import { parseFloatText } from "../../wire/exposition-formats/decoded-families.ts";
import { FamilyMetadata } from "../../wire/exposition-formats/family-metadata.ts";
import { endOfLine } from "../../wire/json/json-extent.ts";
import { headOf, LineGatherer, type LineProblem } from "./line-gatherer.ts";

const [TAB, CARRIAGE_RETURN, SPACE, QUOTE, HASH, BACKSLASH, OPEN, CLOSE] = [9, 13, 32, 34, 35, 92, 123, 125];
/**
 * Times below this are seconds, as in OpenMetrics. As milliseconds they would be in the first 25 days of 1970.
 */
const SECONDS_MAX = 2 ** 31;

/** What the series of a family are named behind its name. */
const PARTS = ["", "_bucket", "_sum", "_count", "_total", "_info"];
/** More names than the families whose metadata is remembered can have, and the characters of all. */
const DECIDED_MAX = 300_000;
const DECIDED_CHARACTERS_MAX = 16 * 1_048_576;

const TYPES: ReadonlyMap<string, MetricType> = new Map([
  ["counter", "counter"],
  ["gauge", "gauge"],
  ["histogram", "histogram"],
  ["summary", "summary"],
  ["info", "info"],
  ["stateset", "stateset"],
  ["untyped", "unknown"],
  ["unknown", "unknown"],
]);
const COMMENT = /^#[ \t]*(HELP|TYPE|UNIT)[ \t]+("[^"\\]*(?:\\.[^"\\]*)*"|[^ \t]+)(?:[ \t]+(.*))?$/s;
const BARE_NAME = /[^"{}=,\s]+/y;
/** A text in quotation marks. It has one way to match, so the time is linear. */
const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"/sy;
const BLANKS = /[ \t]*/y;

interface TextLinesOptions {
  /** The time of samples without one, µs. NaN is the time of arrival. */
  readonly defaultUs?: number;
}

/** Some 100 µs of work. */
const STEP_BYTES = 8_192;

export class TextLinesDecoder {
  readonly #gatherer: LineGatherer;
  readonly #metadata = new FamilyMetadata();
  /** The metrics whose heads are remembered. New metadata of other families changes no head. */
  readonly #decided = new Set<string>();
  #decidedCharacters = 0;
  /** Exemplars of the last call, which are not stored. */
  exemplarsDropped = 0;

  /** @param seriesCount the number of series that exist. As many are remembered */
  constructor(seriesCount?: () => number) {
    this.#gatherer = new LineGatherer(seriesCount);
  }

  /** Decodes whole lines. See `LineGatherer.begin` for the parameters. */
  decode(
    body: Uint8Array,
    firstLine: number,
    overridden?: ReadonlySet<string>,
    options?: TextLinesOptions,
  ): readonly Batch[] {
    return atOnce(this.decoding(body, firstLine, overridden, options));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(
    body: Uint8Array,
    firstLine: number,
    overridden?: ReadonlySet<string>,
    { defaultUs = Number.NaN }: TextLinesOptions = {},
  ): Generator<void, readonly Batch[]> {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const gatherer = this.#gatherer;
    gatherer.begin(firstLine, overridden);
    this.exemplarsDropped = 0;
    let pauseAt = 0;
    for (let from = 0; from < bytes.length; gatherer.line++) {
      if (from >= pauseAt) {
        pauseAt = from + STEP_BYTES;
        yield;
      }
      const feed = endOfLine(bytes, from);
      const end = feed > from && bytes[feed - 1] === CARRIAGE_RETURN ? feed - 1 : feed;
      const at = skipBlanks(bytes, from, end);
      if (at < end) {
        const problem =
          bytes[at] === HASH ? this.#comment(bytes, at, end) : this.#sample(bytes, at, end, defaultUs);
        if (problem !== undefined) gatherer.reject(problem, bytes, from, end);
      }
      from = feed + 1;
    }
    return gatherer.take();
  }

  /** Notes a type, a help or a unit. Any other comment is skipped, and so is one that cannot be read. */
  #comment(bytes: Buffer, from: number, end: number): undefined {
    const third = bytes[skipBlanks(bytes, from + 1, end)];
    // HELP, TYPE and UNIT begin with these. Most other comments are not decoded.
    if (third !== 72 && third !== 84 && third !== 85) return;
    const [, keyword, spelled, rest = ""] = COMMENT.exec(bytes.toString("utf8", from, end)) ?? [];
    if (keyword === undefined || spelled === undefined) return;
    const name = spelled.startsWith('"') ? unescaped(spelled.slice(1, -1)) : spelled;
    const type = keyword === "TYPE" ? TYPES.get(rest.trim().toLowerCase()) : undefined;
    const said = {
      type: type ?? ("unknown" as const),
      help: keyword === "HELP" ? unescaped(rest) : "",
      unit: keyword === "UNIT" ? rest.trim() : "",
    };
    if (this.#metadata.note(name, said) === "new") this.#refine(name);
  }

  /** Forgets all heads if one of them is of this family. */
  #refine(family: string): void {
    if (!PARTS.some((part) => this.#decided.has(family + part))) return;
    this.#forget();
  }

  #forget(): void {
    this.#decided.clear();
    this.#decidedCharacters = 0;
    this.#gatherer.forget();
  }

  #sample(bytes: Buffer, from: number, end: number, defaultUs: number): LineProblem | undefined {
    let at = from;
    while (at < end && bytes[at] !== OPEN && bytes[at] !== SPACE && bytes[at] !== TAB) at++;
    const nameTo = at;
    let labelsFrom = -1;
    const afterBlanks = skipBlanks(bytes, at, end);
    if (bytes[afterBlanks] === OPEN && afterBlanks < end) {
      labelsFrom = afterBlanks + 1;
      at = endOfLabels(bytes, labelsFrom, end);
      if (at < 0) return { cause: "syntax", reason: "its labels have no closing brace" };
      at++;
    }
    const seriesTo = at;
    at = skipBlanks(bytes, at, end);
    const valueFrom = at;
    at = endOfWord(bytes, at, end);
    const value = numberOf(bytes, valueFrom, at);
    if (value === undefined) {
      const is = at === valueFrom ? "missing" : quote(bytes.toString("utf8", valueFrom, at));
      return { cause: "value", reason: `its value is ${is}, expected a number that a 64-bit float can hold` };
    }
    at = skipBlanks(bytes, at, end);
    let timestampUs = defaultUs;
    if (at < end && bytes[at] !== HASH) {
      const timeFrom = at;
      at = endOfWord(bytes, at, end);
      const time = readDecimal(bytes, timeFrom, at);
      if (!(Math.abs(time) <= MILLISECONDS_MAX))
        return {
          cause: "timestamp",
          reason: `its time is ${quote(bytes.toString("utf8", timeFrom, at))}, expected milliseconds since 1970, or seconds as in OpenMetrics`,
        };
      timestampUs = Math.round(time * (Math.abs(time) < SECONDS_MAX ? 1e6 : 1e3));
      at = skipBlanks(bytes, at, end);
    }
    if (at < end) {
      if (bytes[at] !== HASH)
        return {
          cause: "syntax",
          reason: `it has ${quote(bytes.toString("utf8", at, end))} after its time`,
        };
      this.exemplarsDropped += 1;
    }
    const series = this.#gatherer.series(bytes, from, seriesTo, () =>
      this.#decideHead(bytes, [from, nameTo], labelsFrom < 0 ? undefined : [labelsFrom, seriesTo - 1]),
    );
    if (typeof series === "object") return series;
    this.#gatherer.add(series, timestampUs, value);
    return undefined;
  }

  #noteDecided(metric: string): void {
    if (this.#decided.has(metric)) return;
    // Later metadata could not refine the heads of names that are not in the set.
    if (this.#decided.size >= DECIDED_MAX || this.#decidedCharacters >= DECIDED_CHARACTERS_MAX)
      this.#forget();
    // A copy, because the name may be a part of a long line.
    this.#decided.add(Buffer.from(metric).toString());
    this.#decidedCharacters += metric.length;
  }

  #decideHead(
    bytes: Buffer,
    name: readonly [number, number],
    labels: readonly [number, number] | undefined,
  ): SeriesHead | LineProblem {
    if (!isUtf8(bytes.subarray(name[0], labels?.[1] ?? name[1])))
      return { cause: "labels", reason: "its series is not valid UTF-8" };
    let metric = bytes.toString("utf8", ...name);
    const pairs: [string, string][] = [];
    const labelled = new LabelScanner(labels === undefined ? "" : bytes.toString("utf8", ...labels));
    while (!labelled.isAtEnd) {
      const found = labelled.next();
      if (typeof found === "string")
        return { cause: "syntax", reason: `it has ${quote(found)} where a label was expected` };
      const { name: label, isQuoted, value } = found;
      if (value !== undefined) pairs.push([label, value]);
      else if (isQuoted && metric === "") metric = label;
      else return { cause: "syntax", reason: `its label ${quote(label)} has no value` };
    }
    const named = pairs.filter(([label]) => label === "__name__").at(-1)?.[1] ?? metric;
    const others = pairs.filter(([label]) => label !== "__name__");
    this.#noteDecided(named);
    return headOf(named, others, this.#metadata.of(named));
  }
}

/** A label as it was sent. The name of the metric has no value. */
interface SentLabel {
  readonly name: string;
  readonly isQuoted: boolean;
  readonly value: string | undefined;
}

/** Reads the labels between two braces: `NAME="VALUE"`, separated by commas. Names may be in quotation marks. */
class LabelScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#match(BLANKS);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Reads the next label and the comma after it. Returns the text where it begins if it is not one. */
  next(): SentLabel | string {
    const text = this.#text;
    const from = this.#at;
    const bare = this.#match(BARE_NAME)?.[0];
    const quoted = bare === undefined ? this.#match(QUOTED)?.[1] : undefined;
    const name = bare ?? quoted;
    if (name === undefined) return text.slice(from);
    this.#match(BLANKS);
    let value: string | undefined;
    if (text[this.#at] === "=") {
      this.#at++;
      this.#match(BLANKS);
      value = this.#match(QUOTED)?.[1];
      if (value === undefined) return text.slice(from);
      this.#match(BLANKS);
    }
    if (text[this.#at] === ",") this.#at++;
    else if (!this.isAtEnd) return text.slice(from);
    this.#match(BLANKS);
    return {
      name: bare ?? unescaped(name),
      isQuoted: bare === undefined,
      value: value === undefined ? undefined : unescaped(value),
    };
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }
}

function numberOf(bytes: Buffer, from: number, to: number): number | undefined {
  const number = readDecimal(bytes, from, to);
  return Number.isFinite(number)
    ? number
    : parseFloatText(bytes.toString("latin1", from, Math.min(to, from + 400)));
}

function skipBlanks(bytes: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
  return at;
}

function endOfWord(bytes: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== SPACE && bytes[at] !== TAB) at++;
  return at;
}

/** The position of the closing brace, or -1. */
function endOfLabels(bytes: Buffer, from: number, end: number): number {
  let isQuoted = false;
  for (let at = from; at < end; at++) {
    const byte = bytes[at];
    if (isQuoted && byte === BACKSLASH) at++;
    else if (byte === QUOTE) isQuoted = !isQuoted;
    else if (byte === CLOSE && !isQuoted) return at;
  }
  return -1;
}

/** As VictoriaMetrics: a backslash before any other character stays. */
function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\(["\\n])/g, (_, character: string) => (character === "n" ? "\n" : character));
}
