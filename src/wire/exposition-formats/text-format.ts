/**
 * The Prometheus text format 0.0.4, bytes → families
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format). Pure.
 *
 * It is as strict as Prometheus's own reader, with the same error messages: each line ends in a line feed, and a name
 * has one TYPE, before its samples, and one HELP. A body is accepted or rejected as a whole. Names without a TYPE are
 * untyped.
 */
import { BadInput, quote } from "../../model/errors.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import {
  countOf,
  type DecodedDistribution,
  type DecodedFamily,
  type DecodedMetric,
  type FamilyType,
  isInexact,
  labelsKey,
  LINE_CHARACTERS_MAX,
  PartCount,
  parseFloatText,
  STEP_CHARACTERS,
  textOf,
} from "./decoded-families.ts";

const TYPES: ReadonlySet<string> = new Set<FamilyType>([
  "counter",
  "gauge",
  "histogram",
  "summary",
  "untyped",
]);
const [TAB, LINE_FEED, SPACE, QUOTE, HASH, COMMA, EQUALS, BACKSLASH, OPEN, CLOSE] = [
  9, 10, 32, 34, 35, 44, 61, 92, 123, 125,
];
const METRIC_NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y;

/** Decodes a body; throws `BadInput` that names the line and quotes the text that is invalid, and `TooLarge`. */
export function decodeText(body: Uint8Array): DecodedFamily[] {
  return atOnce(decodingText(body));
}

/** As `decodeText`, in steps between which the caller may pause. */
export function* decodingText(body: Uint8Array): Generator<void, DecodedFamily[]> {
  return yield* new TextReader(textOf(body, "text format")).read();
}

/** A family whose samples are being read. The parts of a histogram or summary are found by their labels. */
interface OpenFamily extends DecodedFamily {
  typed: boolean;
  helped: boolean;
  readonly byLabels: Map<string, DecodedMetric>;
}

type Part = "value" | "sum" | "count" | "edge";

class TextReader {
  readonly #text: string;
  readonly #families = new Map<string, OpenFamily>();
  readonly #parts = new PartCount();
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  *read(): Generator<void, DecodedFamily[]> {
    const text = this.#text;
    let pauseAt = 0;
    for (; ; this.#line++) {
      if (this.#at >= pauseAt) {
        pauseAt = this.#at + STEP_CHARACTERS;
        yield;
      }
      if (text.length > LINE_CHARACTERS_MAX) this.#requireShortLine();
      this.#skipBlanks();
      if (this.#at >= text.length) break;
      const code = text.charCodeAt(this.#at);
      if (code === HASH) this.#comment();
      else if (code !== LINE_FEED) this.#sample();
      // This skips the end of the line; the readers above stop before it.
      this.#at++;
    }
    const families = [...this.#families.values()].filter(({ metrics }) => metrics.length > 0);
    return families.map(({ name, type, help, unit, metrics }) => ({ name, type, help, unit, metrics }));
  }

  #requireShortLine(): void {
    const end = this.#text.indexOf("\n", this.#at);
    const length = (end < 0 ? this.#text.length : end) - this.#at;
    if (length > LINE_CHARACTERS_MAX)
      throw this.#error(`the line has ${length} characters, at most ${LINE_CHARACTERS_MAX} are accepted`);
  }

  #comment(): void {
    this.#at++;
    this.#skipBlanks();
    const keyword = this.#word();
    if (keyword !== "HELP" && keyword !== "TYPE") {
      this.#restOfLine();
      return;
    }
    this.#skipBlanks();
    const name = this.#match(METRIC_NAME);
    if (this.#peek() === LINE_FEED) return;
    if (!this.#atBlank()) throw this.#error("invalid metric name in comment");
    const { family } = this.#familyOf(name);
    this.#skipBlanks();
    if (this.#peek() === LINE_FEED) return;
    if (keyword === "HELP") {
      if (family.helped) throw this.#error(`second HELP line for metric name ${quote(family.name)}`);
      family.helped = true;
      family.help = this.#unescapeHelp(this.#restOfLine());
      return;
    }
    if (family.typed) {
      throw this.#error(
        `second TYPE line for metric name ${quote(family.name)}, or TYPE reported after samples`,
      );
    }
    const type = this.#restOfLine();
    if (!TYPES.has(type.toLowerCase())) throw this.#error(`unknown metric type ${quote(type)}`);
    family.type = type.toLowerCase() as FamilyType;
    family.typed = true;
  }

  #sample(): void {
    const name = this.#match(METRIC_NAME);
    if (name === "") throw this.#error("invalid metric name");
    this.#parts.add();
    const { family, part } = this.#familyOf(name);
    family.typed = true;
    this.#skipBlanks();
    const labels = new Map<string, string>();
    let edge: number | undefined;
    if (this.#peek() === OPEN) edge = this.#labels(family, labels);
    const word = this.#word();
    const value = parseFloatText(word);
    if (value === undefined) throw this.#error(`expected float as value, got ${quote(word)}`);
    const metric = this.#metricOf(family, labels, value);
    if (isInexact(word, value)) metric.inexactText = word;
    if (typeof metric.value !== "number") this.#put(metric.value, family, part, edge, value);
    if (this.#peek() !== LINE_FEED) this.#timestamp(metric);
  }

  /** The metric that a sample belongs to, alone or as a part; created if absent. */
  #metricOf(family: OpenFamily, labels: Map<string, string>, value: number): DecodedMetric {
    if (family.type !== "histogram" && family.type !== "summary") {
      const metric: DecodedMetric = { labels, value };
      family.metrics.push(metric);
      return metric;
    }
    const key = labelsKey(labels);
    let metric = family.byLabels.get(key);
    if (metric === undefined) {
      metric = { labels, value: { sum: 0, count: 0, edges: [] } };
      family.byLabels.set(key, metric);
      family.metrics.push(metric);
    }
    return metric;
  }

  #put(
    distribution: DecodedDistribution,
    { type, name }: OpenFamily,
    part: Part,
    edge: number | undefined,
    value: number,
  ): void {
    if (part === "sum") {
      distribution.sum = value;
      return;
    }
    if (part !== "count" && (edge === undefined || type === "summary")) {
      // A sample with the family's own name and no edge only declares the metric.
      if (edge !== undefined) distribution.edges.push({ edge, value });
      return;
    }
    const count = countOf(value);
    if (count === undefined) {
      throw this.#error(`expected a count for ${type} ${quote(name)}, got ${quote(String(value))}`);
    }
    if (part === "count") distribution.count = count;
    else distribution.edges.push({ edge: edge!, value: count });
  }

  /** Reads a label block into `labels`; returns the value of `le` or `quantile` if the family has them. */
  #labels(family: OpenFamily, labels: Map<string, string>): number | undefined {
    const edgeName = family.type === "histogram" ? "le" : family.type === "summary" ? "quantile" : undefined;
    let edge: number | undefined;
    for (;;) {
      this.#at++;
      this.#skipBlanks();
      if (this.#peek() === CLOSE) break;
      const name = this.#match(LABEL_NAME);
      if (name === "") throw this.#error(`invalid label name for metric ${quote(family.name)}`);
      this.#skipBlanks();
      if (this.#peek() !== EQUALS) throw this.#error(`expected '=' after label name, found ${this.#found()}`);
      if (name === "__name__") throw this.#error(`label name ${quote(name)} is reserved`);
      if (labels.has(name)) throw this.#error(`duplicate label names for metric ${quote(family.name)}`);
      this.#at++;
      this.#skipBlanks();
      if (this.#peek() !== QUOTE)
        throw this.#error(`expected '"' at start of label value, found ${this.#found()}`);
      const value = this.#labelValue();
      if (name === edgeName) {
        edge = parseFloatText(value);
        if (edge === undefined) {
          throw this.#error(`expected float as value for '${edgeName}' label, got ${quote(value)}`);
        }
        // NaN has no position in an order.
        if (Number.isNaN(edge)) edge = undefined;
      } else labels.set(name, value);
      this.#skipBlanks();
      const next = this.#peek();
      if (next === CLOSE) break;
      if (next !== COMMA) throw this.#error(`unexpected end of label value ${quote(value)}`);
    }
    this.#at++;
    this.#skipBlanks();
    return edge;
  }

  #timestamp(metric: DecodedMetric): void {
    this.#skipBlanks();
    const word = this.#word();
    if (!/^[+-]?[0-9]+$/.test(word) || !Number.isSafeInteger(Number(word))) {
      throw this.#error(`expected integer as timestamp, got ${quote(word)}`);
    }
    metric.timestampMs = Number(word);
    const rest = this.#restOfLine();
    if (rest !== "") throw this.#error(`spurious string after timestamp: ${quote(rest)}`);
  }

  /** The family that a name belongs to, which may be the one of a histogram or a summary; created if absent. */
  #familyOf(name: string): { family: OpenFamily; part: Part } {
    const own = this.#families.get(name);
    if (own !== undefined) return { family: own, part: isDistribution(own) ? "edge" : "value" };
    const [, base, suffix] = /^(.+)_(count|sum|bucket)$/.exec(name) ?? [];
    const parent = base === undefined ? undefined : this.#families.get(base);
    if (parent?.type === "histogram" || (parent?.type === "summary" && suffix !== "bucket")) {
      return { family: parent, part: suffix === "bucket" ? "edge" : (suffix as "count" | "sum") };
    }
    this.#parts.add();
    const family: OpenFamily = {
      name,
      type: "untyped",
      help: "",
      unit: "",
      metrics: [],
      typed: false,
      helped: false,
      byLabels: new Map(),
    };
    this.#families.set(name, family);
    return { family, part: "value" };
  }

  /** The name at the current position; empty if there is none. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const matched = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += matched.length;
    this.#peek();
    return matched;
  }

  /** The text up to the next blank or line feed. */
  #word(): string {
    const from = this.#at;
    while (!this.#atBlank() && this.#peek() !== LINE_FEED) this.#at++;
    return this.#text.slice(from, this.#at);
  }

  #restOfLine(): string {
    const end = this.#text.indexOf("\n", this.#at);
    if (end < 0) throw this.#cut();
    const rest = this.#text.slice(this.#at, end);
    this.#at = end;
    return rest;
  }

  /** Reads from the opening quotation mark to after the closing one. */
  #labelValue(): string {
    const text = this.#text;
    const from = ++this.#at;
    let plain = from;
    let value = "";
    for (;;) {
      const code = this.#peek();
      if (code === QUOTE) break;
      if (code === LINE_FEED) {
        value += text.slice(plain, this.#at);
        throw this.#error(`label value ${quote(value)} contains unescaped new-line`);
      }
      if (code === BACKSLASH) {
        value += text.slice(plain, this.#at++) + this.#escaped(this.#peek());
        plain = this.#at + 1;
      }
      this.#at++;
    }
    value += text.slice(plain, this.#at++);
    return value;
  }

  #unescapeHelp(help: string): string {
    return help.replace(/\\(.?)/gs, (_, character: string) =>
      this.#escaped(character.codePointAt(0) ?? 10, false),
    );
  }

  #escaped(code: number, quotes = true): string {
    if (code === BACKSLASH) return "\\";
    if (code === 110) return "\n";
    if (code === QUOTE && quotes) return '"';
    throw this.#error(`invalid escape sequence '\\${String.fromCodePoint(code)}'`);
  }

  #skipBlanks(): void {
    const text = this.#text;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code !== SPACE && code !== TAB) return;
      this.#at++;
    }
  }

  #atBlank(): boolean {
    const code = this.#peek();
    return code === SPACE || code === TAB;
  }

  /** The current character. The body cannot end within a line. */
  #peek(): number {
    if (this.#at >= this.#text.length) throw this.#cut();
    return this.#text.charCodeAt(this.#at);
  }

  /** The current character as errors quote it; an invisible one is escaped. */
  #found(): string {
    const character = String.fromCodePoint(this.#text.codePointAt(this.#at)!);
    if (character === "'" || character === '"') return character === '"' ? `'"'` : "'\\''";
    const escaped = JSON.stringify(character).slice(1, -1);
    return `'${escaped.replace(/^\\u00/, "\\x")}'`;
  }

  #cut(): BadInput {
    return this.#error("unexpected end of input stream");
  }

  #error(what: string): BadInput {
    return new BadInput(`text format parsing error in line ${this.#line}: ${what}`, "body");
  }
}

function isDistribution({ type }: DecodedFamily): boolean {
  return type === "histogram" || type === "summary";
}
