/**
 * VictoriaMetrics' JSON lines (https://docs.victoriametrics.com/#how-to-import-data-in-json-line-format), bytes →
 * batches: `{"metric":{"__name__":"a","job":"b"},"values":[1,2],"timestamps":[1000,2000]}`. Pure, except for the heads of
 * series that it remembers.
 *
 * Keys may be in any order, and unknown ones are skipped. Numbers are those of JSON and those of Go (`NaN`, `+Inf`), which
 * VictoriaMetrics before 1.82 and vmctl write. `null` is a stale marker: it is what VictoriaMetrics writes for one, and it
 * stores no other NaN.
 */
import { atOnce } from "../../model/tasks/time-slices.ts";
import { isUtf8 } from "node:buffer";
import { quote } from "../../model/errors.ts";
import type { Batch, SeriesHead } from "../../model/sample.ts";
import { MILLISECONDS_MAX } from "../../model/time.ts";
import { readDecimal } from "../../wire/decimal.ts";
import { endOfLine, endOfValue } from "../../wire/json/json-extent.ts";
import { headOf, LineGatherer, type LineProblem } from "./line-gatherer.ts";

const [TAB, CARRIAGE_RETURN, SPACE, QUOTE, COMMA, COLON] = [9, 13, 32, 34, 44, 58];
const [OPEN_BRACKET, BACKSLASH, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [91, 92, 93, 123, 125];
/** The longest special value, `"-Infinity"`. */
const SPECIAL_CHARACTERS_MAX = 11;
const NO_BYTES = Buffer.alloc(0);
/** Arrays larger than this are freed after their lines. */
const NUMBERS_KEPT_MAX = 1_048_576;

/** The values that JSON has no number for, as VictoriaMetrics and Go write them, in lower case. */
const SPECIAL: ReadonlyMap<string, number> = new Map([
  ["nan", Number.NaN],
  ["inf", Number.POSITIVE_INFINITY],
  ["+inf", Number.POSITIVE_INFINITY],
  ["-inf", Number.NEGATIVE_INFINITY],
  ["infinity", Number.POSITIVE_INFINITY],
  ["+infinity", Number.POSITIVE_INFINITY],
  ["-infinity", Number.NEGATIVE_INFINITY],
]);

/** An array of numbers of one line. */
class Numbers {
  values = new Float64Array(1_024);
  /** 1 where the number is null. Allocated at the first null. */
  nulls: Uint8Array | undefined;
  length = 0;

  clear(): void {
    if (this.values.length > NUMBERS_KEPT_MAX) this.values = new Float64Array(1_024);
    this.nulls = undefined;
    this.length = 0;
  }

  push(value: number): void {
    if (this.length >= this.values.length) {
      const longer = new Float64Array(this.values.length * 2);
      longer.set(this.values);
      this.values = longer;
    }
    this.values[this.length++] = value;
  }

  pushNull(): void {
    this.push(Number.NaN);
    if (this.nulls === undefined || this.nulls.length < this.length) {
      const longer = new Uint8Array(this.values.length);
      if (this.nulls !== undefined) longer.set(this.nulls);
      this.nulls = longer;
    }
    this.nulls[this.length - 1] = 1;
  }
}

/** Some 100 µs of work. */
const STEP_BYTES = 8_192;

export class JsonLinesDecoder {
  readonly #gatherer: LineGatherer;
  readonly #values = new Numbers();
  readonly #timestamps = new Numbers();
  #bytes: Buffer = NO_BYTES;
  /** The end of the line. */
  #end = 0;
  #at = 0;

  /** @param seriesCount the number of series that exist. As many are remembered */
  constructor(seriesCount?: () => number) {
    this.#gatherer = new LineGatherer(seriesCount);
  }

  /** Decodes whole lines. See `LineGatherer.begin` for the parameters. */
  decode(body: Uint8Array, firstLine: number, overridden?: ReadonlySet<string>): readonly Batch[] {
    return atOnce(this.decoding(body, firstLine, overridden));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(
    body: Uint8Array,
    firstLine: number,
    overridden?: ReadonlySet<string>,
  ): Generator<void, readonly Batch[]> {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const gatherer = this.#gatherer;
    gatherer.begin(firstLine, overridden);
    this.#bytes = bytes;
    let pauseAt = 0;
    for (let from = 0; from < bytes.length; gatherer.line++) {
      if (from >= pauseAt) {
        pauseAt = from + STEP_BYTES;
        yield;
      }
      const end = endOfLine(bytes, from);
      this.#at = from;
      this.#end = end;
      this.#skipSpace();
      if (this.#at < end) {
        const problem = this.#line();
        if (problem !== undefined) gatherer.reject(problem, bytes, from, end);
      }
      from = end + 1;
    }
    this.#bytes = NO_BYTES;
    this.#values.clear();
    this.#timestamps.clear();
    return gatherer.take();
  }

  #line(): LineProblem | undefined {
    const bytes = this.#bytes;
    const values = this.#values;
    const timestamps = this.#timestamps;
    values.clear();
    timestamps.clear();
    let [metricFrom, metricTo] = [-1, -1];
    let [hasValues, hasTimestamps] = [false, false];
    if (bytes[this.#at] !== OPEN_BRACE) return this.#expected("an object");
    do {
      this.#at++;
      this.#skipSpace();
      if (bytes[this.#at] !== QUOTE) return this.#expected("a name in quotation marks");
      const keyFrom = this.#at + 1;
      const keyTo = this.#skipString();
      if (keyTo < 0) return this.#expected("the end of a string");
      this.#skipSpace();
      if (bytes[this.#at] !== COLON) return this.#expected("a colon");
      this.#at++;
      this.#skipSpace();
      const key = bytes.toString("latin1", keyFrom, Math.min(keyTo, keyFrom + 16));
      if (key === "values") {
        hasValues = true;
        const problem = this.#numbers(values, "values");
        if (problem !== undefined) return problem;
      } else if (key === "timestamps") {
        hasTimestamps = true;
        const problem = this.#numbers(timestamps, "timestamps");
        if (problem !== undefined) return problem;
      } else {
        if (key === "metric") {
          if (bytes[this.#at] !== OPEN_BRACE) return this.#expected("an object of labels");
          metricFrom = this.#at;
        }
        const valueTo = endOfValue(bytes, this.#at, this.#end);
        if (valueTo < 0) return this.#expected("a complete JSON value");
        this.#at = valueTo;
        if (key === "metric") metricTo = valueTo;
      }
      this.#skipSpace();
    } while (this.#at < this.#end && bytes[this.#at] === COMMA);
    if (bytes[this.#at] !== CLOSE_BRACE || this.#at >= this.#end) return this.#expected("a comma or }");
    this.#at++;
    this.#skipSpace();
    if (this.#at < this.#end) return this.#expected("the end of the line");
    if (metricTo < 0) return syntax("it has no metric");
    if (!hasValues) return syntax("it has no values");
    if (!hasTimestamps) return syntax("it has no timestamps");
    if (values.length !== timestamps.length)
      return syntax(
        `it has ${values.length} values and ${timestamps.length} timestamps; expected as many of each`,
      );
    // The keys are checked first: a line without samples must not be remembered as a series.
    if (values.length === 0) return syntax("its values are empty");
    const series = this.#gatherer.series(bytes, metricFrom, metricTo, () =>
      decideHead(bytes, metricFrom, metricTo),
    );
    if (typeof series === "object") return series;
    this.#add(series);
    return undefined;
  }

  #add(series: number): void {
    const gatherer = this.#gatherer;
    const { values, nulls, length } = this.#values;
    const times = this.#timestamps.values;
    for (let index = 0; index < length; index++) {
      const timestampUs = times[index]! * 1000;
      if (nulls !== undefined && nulls[index] === 1) gatherer.addStale(series, timestampUs);
      else gatherer.add(series, timestampUs, values[index]!);
    }
  }

  /** Reads an array of numbers, and moves behind it. */
  #numbers(into: Numbers, key: "values" | "timestamps"): LineProblem | undefined {
    const bytes = this.#bytes;
    const end = this.#end;
    into.clear();
    if (bytes[this.#at] !== OPEN_BRACKET) return this.#expected(`an array of ${key}`);
    this.#at++;
    this.#skipSpace();
    if (bytes[this.#at] === CLOSE_BRACKET) {
      this.#at++;
      return undefined;
    }
    for (;;) {
      const from = this.#at;
      let at = from;
      for (; at < end; at++) {
        const byte = bytes[at]!;
        if (byte === COMMA || byte === CLOSE_BRACKET || byte <= SPACE) break;
      }
      const number = readDecimal(bytes, from, at);
      if (key === "values") {
        if (Number.isFinite(number)) into.push(number);
        else if (!this.#special(into, from, at))
          return {
            cause: "value",
            reason: `values[${into.length}] is ${this.#shown(from, at)}, expected a number that a 64-bit float can hold, null, "NaN", "Infinity" or "-Infinity"`,
          };
      } else {
        if (!Number.isInteger(number) || Math.abs(number) > MILLISECONDS_MAX)
          return {
            cause: "timestamp",
            reason: `timestamps[${into.length}] is ${this.#shown(from, at)}, expected whole milliseconds since 1970`,
          };
        into.push(number);
      }
      this.#at = at;
      this.#skipSpace();
      const next = this.#at < end ? bytes[this.#at] : -1;
      if (next !== COMMA && next !== CLOSE_BRACKET) return this.#expected(`a comma or ] in ${key}`);
      this.#at++;
      if (next === CLOSE_BRACKET) return undefined;
      this.#skipSpace();
    }
  }

  /** Adds a value that is no JSON number; false if it is no value at all. */
  #special(into: Numbers, from: number, to: number): boolean {
    if (to - from > SPECIAL_CHARACTERS_MAX) return false;
    const text = this.#bytes.toString("latin1", from, to).toLowerCase();
    const bare = /^"(.*)"$/.exec(text)?.[1] ?? text;
    if (bare === "null") {
      into.pushNull();
      return true;
    }
    const value = SPECIAL.get(bare);
    if (value === undefined) return false;
    into.push(value);
    return true;
  }

  /** Moves behind the string that begins here. Returns the position of its closing quotation mark, or -1. */
  #skipString(): number {
    const bytes = this.#bytes;
    for (let at = this.#at + 1; at < this.#end; at++) {
      const byte = bytes[at];
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) {
        this.#at = at + 1;
        return at;
      }
    }
    this.#at = this.#end;
    return -1;
  }

  #skipSpace(): void {
    const bytes = this.#bytes;
    while (this.#at < this.#end) {
      const byte = bytes[this.#at]!;
      if (byte !== SPACE && byte !== TAB && byte !== CARRIAGE_RETURN) return;
      this.#at++;
    }
  }

  #shown(from: number, to: number): string {
    return to === from ? "missing" : quote(this.#bytes.toString("utf8", from, Math.min(to, from + 200)));
  }

  #expected(what: string): LineProblem {
    const at = this.#at;
    const found =
      at >= this.#end
        ? "it ends"
        : `it has ${quote(this.#bytes.toString("utf8", at, Math.min(this.#end, at + 12)).replace(/\ufffd+$/, ""))}`;
    return syntax(`${found} where ${what} was expected`);
  }
}

function syntax(reason: string): LineProblem {
  return { cause: "syntax", reason };
}

function decideHead(bytes: Buffer, from: number, to: number): SeriesHead | LineProblem {
  const object = bytes.subarray(from, to);
  if (!isUtf8(object)) return { cause: "labels", reason: "its metric is not valid UTF-8" };
  let metric: unknown;
  try {
    metric = JSON.parse(object.toString("utf8"));
  } catch {
    return syntax(`its metric ${quote(object.toString("utf8"))} is not JSON`);
  }
  const pairs: [string, string][] = [];
  let name = "";
  for (const [label, value] of Object.entries(metric as Record<string, unknown>)) {
    if (typeof value !== "string")
      return { cause: "labels", reason: `label ${quote(label)} is ${quote(value)}, expected a text` };
    if (!value.isWellFormed() || !label.isWellFormed())
      return { cause: "labels", reason: `label ${quote(label)} has half of a surrogate pair` };
    if (label === "__name__") name = value;
    else pairs.push([label, value]);
  }
  return headOf(name, pairs);
}
