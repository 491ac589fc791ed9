/**
 * Lines of CSV, bytes → batches, in the columns that the parameter `format` names
 * (https://docs.victoriametrics.com/#how-to-import-csv-data). Pure, except for the heads of series that it remembers.
 *
 * A line is a sample of each of its metrics. A field in quotation marks can contain commas, and a doubled quotation mark;
 * it cannot contain a line feed. An empty field is no value. The first line is skipped as a header if none of its metrics is
 * a number and it has no time.
 */
import { atOnce } from "../../model/tasks/time-slices.ts";
import { isUtf8 } from "node:buffer";
import { quote } from "../../model/errors.ts";
import type { Batch, SeriesHead } from "../../model/sample.ts";
import { readDecimal } from "../../wire/decimal.ts";
import { parseFloatText } from "../../wire/exposition-formats/decoded-families.ts";
import { endOfLine } from "../../wire/json/json-extent.ts";
import type { CsvFormat } from "./csv-format.ts";
import { headOf, LineGatherer, type LineProblem } from "./line-gatherer.ts";

const [CARRIAGE_RETURN, QUOTE, COMMA, LINE_FEED] = [13, 34, 44, 10];
const QUOTE_PAIR = /""/g;
const [PLAIN, ESCAPED] = [Buffer.from("p"), Buffer.from("e")];

/** Some 100 µs of work. */
const STEP_BYTES = 8_192;

export class CsvLinesDecoder {
  readonly #gatherer: LineGatherer;
  /** By column: where its field begins and ends, without its quotation marks, and whether it has a doubled one. */
  #from = new Int32Array(16);
  #to = new Int32Array(16);
  #isDoubled = new Uint8Array(16);
  /** The names and values of labels of a series, by which its head is found. */
  #key = Buffer.alloc(256);

  /** @param seriesCount the number of series that exist. As many are remembered */
  constructor(seriesCount?: () => number) {
    this.#gatherer = new LineGatherer(seriesCount);
  }

  /** Decodes whole lines. See `LineGatherer.begin` for the parameters. */
  decode(
    body: Uint8Array,
    firstLine: number,
    overridden: ReadonlySet<string> | undefined,
    format: CsvFormat,
  ): readonly Batch[] {
    return atOnce(this.decoding(body, firstLine, overridden, format));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(
    body: Uint8Array,
    firstLine: number,
    overridden: ReadonlySet<string> | undefined,
    format: CsvFormat,
  ): Generator<void, readonly Batch[]> {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const gatherer = this.#gatherer;
    gatherer.begin(firstLine, overridden);
    let pauseAt = 0;
    for (let from = 0; from < bytes.length; gatherer.line++) {
      if (from >= pauseAt) {
        pauseAt = from + STEP_BYTES;
        yield;
      }
      const feed = endOfLine(bytes, from);
      const end = feed > from && bytes[feed - 1] === CARRIAGE_RETURN ? feed - 1 : feed;
      if (end > from) {
        const problem = this.#line(bytes, from, end, format);
        if (problem !== undefined) gatherer.reject(problem, bytes, from, end);
      }
      from = feed + 1;
    }
    return gatherer.take();
  }

  #line(bytes: Buffer, from: number, end: number, format: CsvFormat): LineProblem | undefined {
    const found = this.#fields(bytes, from, end, format.columns);
    if (typeof found === "object") return found;
    if (found < format.columns)
      return { cause: "syntax", reason: `it has ${found} columns, expected at least ${format.columns}` };
    if (this.#gatherer.line === 0 && this.#isHeader(bytes, format)) return undefined;
    let timestampUs = Number.NaN;
    if (format.time !== undefined) {
      const { column, format: name, read } = format.time;
      const us = read(bytes, this.#from[column]!, this.#to[column]!);
      if (us === undefined)
        return {
          cause: "timestamp",
          reason: `column ${column + 1} is ${quote(this.#text(bytes, column))}, expected a time as ${name}`,
        };
      timestampUs = us;
    }
    // All values are read before one is added, so that a line is stored or rejected as a whole.
    for (const { column } of format.metrics) {
      if (this.#from[column] !== this.#to[column] && this.#number(bytes, column) === undefined)
        return {
          cause: "value",
          reason: `column ${column + 1} is ${quote(this.#text(bytes, column))}, expected a number that a 64-bit float can hold`,
        };
    }
    const labelsTo = this.#labelKey(bytes, format);
    for (const { column, name, bytes: nameBytes } of format.metrics) {
      if (this.#from[column] === this.#to[column]) continue;
      const to = this.#append(nameBytes, labelsTo);
      const series = this.#gatherer.series(this.#key, 0, to, () => this.#head(bytes, name, format));
      if (typeof series === "object") return series;
      this.#gatherer.add(series, timestampUs, this.#number(bytes, column)!);
    }
    return undefined;
  }

  /** Finds the fields of the first `columns` columns. Returns how many there are, at most that many. */
  #fields(bytes: Buffer, from: number, end: number, columns: number): number | LineProblem {
    if (columns > this.#from.length) {
      this.#from = new Int32Array(columns);
      this.#to = new Int32Array(columns);
      this.#isDoubled = new Uint8Array(columns);
    }
    let at = from;
    for (let column = 0; column < columns; column++) {
      this.#isDoubled[column] = 0;
      if (bytes[at] === QUOTE && at < end) {
        const begin = ++at;
        for (;;) {
          while (at < end && bytes[at] !== QUOTE) at++;
          if (at >= end)
            return { cause: "syntax", reason: `column ${column + 1} has no closing quotation mark` };
          if (bytes[at + 1] !== QUOTE || at + 1 >= end) break;
          this.#isDoubled[column] = 1;
          at += 2;
        }
        this.#from[column] = begin;
        this.#to[column] = at++;
        if (at < end && bytes[at] !== COMMA)
          return {
            cause: "syntax",
            reason: `column ${column + 1} has ${quote(bytes.toString("utf8", at, Math.min(end, at + 12)))} after its closing quotation mark`,
          };
      } else {
        this.#from[column] = at;
        while (at < end && bytes[at] !== COMMA) at++;
        this.#to[column] = at;
      }
      if (at >= end) return column + 1;
      at++;
    }
    return columns;
  }

  #isHeader(bytes: Buffer, { metrics, time }: CsvFormat): boolean {
    const isNamed = metrics.every(
      ({ column }) => this.#from[column] !== this.#to[column] && this.#number(bytes, column) === undefined,
    );
    // A line with a time is a sample whose values are wrong, such as the only line of a script without its number.
    return isNamed && time?.read(bytes, this.#from[time.column]!, this.#to[time.column]!) === undefined;
  }

  #number(bytes: Buffer, column: number): number | undefined {
    const [from, to] = [this.#from[column]!, this.#to[column]!];
    const number = readDecimal(bytes, from, to);
    return Number.isFinite(number)
      ? number
      : parseFloatText(bytes.toString("latin1", from, Math.min(to, from + 400)));
  }

  /** Writes the labels to `#key`, each with a mark if its field is escaped, and returns where they end. */
  #labelKey(bytes: Buffer, { labels, labelNames }: CsvFormat): number {
    let end = this.#append(labelNames, 0);
    for (const { column } of labels) {
      end = this.#append(this.#isDoubled[column] === 1 ? ESCAPED : PLAIN, end);
      end = this.#append(bytes.subarray(this.#from[column], this.#to[column]), end);
    }
    return end;
  }

  /** Appends a part and a line feed, which no part contains. Returns where it ends. */
  #append(part: Uint8Array, at: number): number {
    const end = at + part.length + 1;
    if (end > this.#key.length) {
      const longer = Buffer.alloc(end * 2);
      longer.set(this.#key);
      this.#key = longer;
    }
    this.#key.set(part, at);
    this.#key[end - 1] = LINE_FEED;
    return end;
  }

  #head(bytes: Buffer, metric: string, { labels }: CsvFormat): SeriesHead | LineProblem {
    const pairs: [string, string][] = [];
    for (const { column, name } of labels) {
      if (!isUtf8(bytes.subarray(this.#from[column], this.#to[column])))
        return { cause: "labels", reason: `column ${column + 1} is not valid UTF-8` };
      pairs.push([name, this.#text(bytes, column)]);
    }
    return headOf(metric, pairs);
  }

  #text(bytes: Buffer, column: number): string {
    const text = bytes.toString("utf8", this.#from[column], this.#to[column]);
    return this.#isDoubled[column] === 1 ? text.replace(QUOTE_PAIR, '"') : text;
  }
}
