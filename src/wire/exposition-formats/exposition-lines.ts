/**
 * The Prometheus text format 0.0.4 and OpenMetrics 1.0, line by line, as a Prometheus server reads a scrape. Pure.
 *
 * Each line is a sample of a series, or metadata of a family. It is not checked whether the samples of a family make
 * sense together, so that a histogram without its sum and a second TYPE are accepted. The decoders beside this one
 * return whole families, and reject such a body. A grammar error rejects the whole body. The accepted grammar is that
 * of Prometheus's own lexers: in the text format blanks and commas between labels are free, and the last line needs no
 * end. In OpenMetrics they are not.
 */
import { BadInput, quote } from "../../model/errors.ts";
import type { MetricType } from "../../model/sample.ts";
import { parseFloatText } from "./decoded-families.ts";

export type LineFormat = "text" | "openmetrics";

/** A label of a series: a name, and a value that can be empty. */
export type LabelPair = readonly [name: string, value: string];

/** What gets the lines of a body, in their order. */
interface LineSink {
  /**
   * @param series the name with its label block, as it was sent. It may be a slice of the whole body. `parseSeries` reads it
   * @param timestampMs undefined if the sample has no time of its own
   */
  sample(series: string, value: number, timestampMs: number | undefined): void;
  /** The exemplar of the sample before. */
  exemplar(labels: readonly LabelPair[], value: number, timestampMs: number | undefined): void;
  type(family: string, type: MetricType): void;
  help(family: string, help: string): void;
  unit(family: string, unit: string): void;
}

const TEXT_TYPES: Readonly<Record<string, MetricType>> = {
  counter: "counter",
  gauge: "gauge",
  histogram: "histogram",
  summary: "summary",
  untyped: "unknown",
};
/** Weir has no type for a gauge histogram. */
const OPEN_METRICS_TYPES: Readonly<Record<string, MetricType>> = {
  counter: "counter",
  gauge: "gauge",
  histogram: "histogram",
  gaugehistogram: "unknown",
  summary: "summary",
  info: "info",
  stateset: "stateset",
  unknown: "unknown",
};

const [TAB, LINE_FEED, SPACE, QUOTE, HASH, BACKSLASH, OPEN, CLOSE] = [9, 10, 32, 34, 35, 92, 123, 125];
const METRIC_NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const DIGITS = /^[0-9]+$/;

/** Reads all lines. Throws `BadInput` that names the line and quotes what is wrong in it. */
export function readExpositionLines(text: string, format: LineFormat, sink: LineSink): void {
  if (format === "text") new TextLines(text.endsWith("\n") ? text : `${text}\n`, sink).read();
  else new OpenMetricsLines(text, sink).read();
}

/** The metric and the labels of a series as it was sent, in their order. Throws `BadInput`. */
export function parseSeries(series: string, format: LineFormat): { metric: string; labels: LabelPair[] } {
  const metric = matchAt(METRIC_NAME, series, 0);
  const open = series.indexOf("{", metric.length);
  return { metric, labels: open < 0 ? [] : parseLabels(series.slice(open), format) };
}

/** Reads a block from `{` to `}`. */
function parseLabels(block: string, format: LineFormat): LabelPair[] {
  const isText = format === "text";
  const labels: LabelPair[] = [];
  let at = 1;
  const skip = () => {
    if (isText) while (isBlank(block.charCodeAt(at))) at++;
  };
  const wrong = (expected: string) =>
    new BadInput(`expected ${expected} in ${quote(block)}, got ${quote(block.slice(at, at + 20))}`, "body");
  for (skip(); block.charCodeAt(at) !== CLOSE; ) {
    const name = matchAt(LABEL_NAME, block, at);
    if (name === "") throw wrong("a label name");
    at += name.length;
    skip();
    if (block[at] !== "=") throw wrong("= after a label name");
    at++;
    skip();
    if (block.charCodeAt(at) !== QUOTE) throw wrong("a label value in double quotes");
    const from = ++at;
    while (at < block.length && block.charCodeAt(at) !== QUOTE)
      at += block.charCodeAt(at) === BACKSLASH ? 2 : 1;
    if (at >= block.length || (!isText && block.slice(from, at).includes("\n")))
      throw wrong("the end of a label value");
    labels.push([name, unescaped(block.slice(from, at), true)]);
    at++;
    skip();
    if (block[at] === "," && (isText || block.charCodeAt(at + 1) !== CLOSE)) {
      at++;
      skip();
    } else if (!isText && block.charCodeAt(at) !== CLOSE) throw wrong(", or }");
  }
  if (at !== block.length - 1) throw wrong("the end of the labels");
  return labels;
}

/** An error that has the number of its line. */
class LineError extends BadInput {}

/** What both formats share: a position in the text. */
abstract class Lines {
  protected readonly text: string;
  protected readonly sink: LineSink;
  protected at = 0;
  /** Counted from 1. */
  protected line = 1;

  constructor(text: string, sink: LineSink) {
    this.text = text;
    this.sink = sink;
  }

  /** Reads all lines. An error of the sink gets the number of the line, too. */
  read(): void {
    try {
      this.readLines();
    } catch (error) {
      if (error instanceof BadInput && !(error instanceof LineError)) throw this.error(error.message);
      throw error;
    }
  }

  protected abstract readLines(): void;

  /** Moves from `{` to after the `}` that ends the block. */
  protected skipBlock(): void {
    const { text } = this;
    for (let at = this.at + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        for (at++; at < text.length && text.charCodeAt(at) !== QUOTE; at++)
          if (text.charCodeAt(at) === BACKSLASH) at++;
      } else if (code === CLOSE) {
        this.at = at + 1;
        return;
      } else if (code === LINE_FEED) break;
    }
    throw this.error(`the labels have no end: ${this.rest()}`);
  }

  protected value(word: string): number {
    const value = parseFloatText(word);
    if (value === undefined) throw this.error(`expected a number as the value, got ${quote(word)}`);
    return value;
  }

  /** The rest of the line, quoted. */
  protected rest(from = this.at): string {
    const end = this.text.indexOf("\n", from);
    return quote(this.text.slice(from, end < 0 ? undefined : end));
  }

  protected error(what: string): LineError {
    return new LineError(`line ${this.line}: ${what}`, "body");
  }
}

class TextLines extends Lines {
  protected readLines(): void {
    const { text } = this;
    for (; this.at < text.length; this.at++, this.line++) {
      const from = this.at;
      this.#skipBlanks();
      const code = text.charCodeAt(this.at);
      if (code === LINE_FEED) continue;
      if (code === HASH) this.#comment();
      else if (this.at > from) throw this.error(`expected a metric name, got ${this.rest(from)}`);
      else this.#sample();
    }
  }

  #sample(): void {
    const { text } = this;
    const from = this.at;
    const name = matchAt(METRIC_NAME, text, from);
    if (name === "") throw this.error(`expected a metric name, got ${this.rest()}`);
    this.at += name.length;
    let end = this.at;
    this.#skipBlanks();
    if (text.charCodeAt(this.at) === OPEN) {
      this.skipBlock();
      end = this.at;
      this.#skipBlanks();
    }
    const value = this.value(this.#word());
    this.#skipBlanks();
    let timestampMs: number | undefined;
    if (text.charCodeAt(this.at) !== LINE_FEED) {
      const word = this.#word();
      timestampMs = Number(word);
      if (!DIGITS.test(word) || !Number.isSafeInteger(timestampMs))
        throw this.error(`expected milliseconds as the timestamp, got ${quote(word)}`);
      this.#skipBlanks();
    }
    if (text.charCodeAt(this.at) !== LINE_FEED)
      throw this.error(`expected the end of the line, got ${this.rest()}`);
    this.sink.sample(text.slice(from, end), value, timestampMs);
  }

  #comment(): void {
    const { text } = this;
    const keyword = /#[ \t]+(HELP|TYPE)[ \t]+/y;
    keyword.lastIndex = this.at;
    const [whole, what] = keyword.exec(text) ?? [];
    if (whole === undefined) {
      this.at = endOfLine(text, this.at);
      return;
    }
    this.at += whole.length;
    const name = matchAt(METRIC_NAME, text, this.at);
    if (name === "") throw this.error(`expected a metric name after ${what}, got ${this.rest()}`);
    this.at += name.length;
    const end = endOfLine(text, this.at);
    const rest = text.slice(this.at + 1, end);
    this.at = end;
    if (what === "HELP") {
      this.sink.help(name, unescaped(rest, false));
      return;
    }
    if (!Object.hasOwn(TEXT_TYPES, rest)) throw this.error(`unknown metric type ${quote(rest)}`);
    this.sink.type(name, TEXT_TYPES[rest]!);
  }

  /** The text up to the next blank, brace or line feed. */
  #word(): string {
    const { text } = this;
    const from = this.at;
    for (; this.at < text.length; this.at++) {
      const code = text.charCodeAt(this.at);
      if (isBlank(code) || code === LINE_FEED || code === OPEN) break;
    }
    return text.slice(from, this.at);
  }

  #skipBlanks(): void {
    while (isBlank(this.text.charCodeAt(this.at))) this.at++;
  }
}

class OpenMetricsLines extends Lines {
  protected readLines(): void {
    const { text } = this;
    for (; this.at < text.length; this.at++, this.line++) {
      if (text.charCodeAt(this.at) !== HASH) this.#sample();
      else if (this.#comment()) return;
      if (text.charCodeAt(this.at) !== LINE_FEED)
        throw this.error(
          `expected the end of the line, got ${this.at < text.length ? this.rest() : "the end of the body"}`,
        );
    }
    throw this.error("the body does not end with # EOF");
  }

  /** Returns whether it is the end. */
  #comment(): boolean {
    const { text } = this;
    if (text.startsWith("# EOF", this.at)) {
      const end = text[this.at + 5] === "\n" ? this.at + 6 : this.at + 5;
      if (end < text.length) throw this.error("unexpected text after # EOF");
      return true;
    }
    const descriptor = /# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) ([^\n]*)/y;
    descriptor.lastIndex = this.at;
    const [whole, what, name, rest] = descriptor.exec(text) ?? [];
    if (whole === undefined || name === undefined || rest === undefined)
      throw this.error(`expected # HELP, # TYPE, # UNIT or # EOF, got ${this.rest()}`);
    this.at += whole.length;
    if (what === "HELP") this.sink.help(name, unescaped(rest, true));
    else if (what === "TYPE") {
      if (!Object.hasOwn(OPEN_METRICS_TYPES, rest)) throw this.error(`unknown metric type ${quote(rest)}`);
      this.sink.type(name, OPEN_METRICS_TYPES[rest]!);
    } else {
      if (rest !== "" && !name.endsWith(`_${rest}`))
        throw this.error(`unit ${quote(rest)} is not the end of the name ${quote(name)}`);
      this.sink.unit(name, rest);
    }
    return false;
  }

  #sample(): void {
    const { text } = this;
    const from = this.at;
    const name = matchAt(METRIC_NAME, text, from);
    if (name === "") throw this.error(`expected a metric name, got ${this.rest()}`);
    this.at += name.length;
    if (text.charCodeAt(this.at) === OPEN) this.skipBlock();
    const series = text.slice(from, this.at);
    const value = this.value(this.#word());
    const timestampMs = this.#timestamp();
    this.sink.sample(series, value, timestampMs);
    if (!text.startsWith(" # {", this.at)) return;
    if (!/_(?:total|bucket)$/.test(name)) throw this.error(`metric ${quote(name)} cannot have an exemplar`);
    this.#exemplar();
  }

  #exemplar(): void {
    this.at += 3;
    const from = this.at;
    this.skipBlock();
    const block = this.text.slice(from, this.at);
    const labels = parseLabels(block, "openmetrics");
    const value = this.value(this.#word());
    this.sink.exemplar(labels, value, this.#timestamp());
  }

  #timestamp(): number | undefined {
    const { text } = this;
    if (text.charCodeAt(this.at) !== SPACE || text.startsWith(" # {", this.at)) return undefined;
    const word = this.#word();
    const seconds = parseFloatText(word);
    if (seconds === undefined || !Number.isFinite(seconds))
      throw this.error(`expected seconds as the timestamp, got ${quote(word)}`);
    return Math.trunc(seconds * 1_000);
  }

  /** The word after one space. */
  #word(): string {
    const { text } = this;
    if (text.charCodeAt(this.at) !== SPACE) throw this.error(`expected a space, got ${this.rest()}`);
    const from = ++this.at;
    for (; this.at < text.length; this.at++) {
      const code = text.charCodeAt(this.at);
      if (code === SPACE || code === LINE_FEED) break;
    }
    return text.slice(from, this.at);
  }
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

/** Decodes `\\` and `\n`, and `\"` in quotes. A backslash before any other character is kept. */
function unescaped(text: string, isQuoted: boolean): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\([\\"n])/g, (whole, character: string) =>
    character === "n" ? "\n" : character === '"' && !isQuoted ? whole : character,
  );
}
