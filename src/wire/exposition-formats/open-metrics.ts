/**
 * OpenMetrics 1.0 text, bytes → families
 * (https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md). Pure.
 *
 * A body is accepted or rejected as a whole. Families are returned as text 0.0.4 has them, so that a consumer of one
 * format can read the other: a counter's name with `_total`; `info`, `stateset` and the parts of a gauge histogram as
 * gauges; `unknown` as untyped. `_created` is checked and dropped.
 */
import { BadInput, quote } from "../../model/errors.ts";
import { EXEMPLAR_CHARACTERS_MAX, exemplarCharacters } from "../../model/sample.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import {
  countOf,
  type DecodedDistribution,
  type DecodedExemplar,
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

type Role = "value" | "edge" | "gauged edge" | "sum" | "count" | "created";

/** The suffixes that may follow a family's name in its samples, by type, and the meaning of each. */
const SUFFIXES = {
  unknown: { "": "value" },
  gauge: { "": "value" },
  counter: { _total: "value", _created: "created" },
  histogram: { _bucket: "edge", _sum: "sum", _count: "count", _created: "created" },
  summary: { "": "edge", _sum: "sum", _count: "count", _created: "created" },
  gaugehistogram: { _bucket: "gauged edge", _gsum: "value", _gcount: "value" },
  info: { _info: "value" },
  stateset: { "": "value" },
} as const satisfies Record<string, Readonly<Record<string, Role>>>;

type OpenMetricsType = keyof typeof SUFFIXES;

const DESCRIPTOR = /^# (TYPE|HELP|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: (.*))?$/;
const METRIC_NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*(?:\\.[^"\\]*)*)"/y;
/** Value, timestamp and exemplar, each after one space. */
const NUMBERS = /^ ([^ ]+)(?: ([^ #]+))?(?: # (\{.*))?$/;

/** A family whose lines are being read. */
interface OpenFamily {
  readonly name: string;
  type: OpenMetricsType;
  readonly described: Set<string>;
  help: string;
  unit: string;
  sampled: boolean;
  /** The decoded families by name: one, except for gauge histograms. */
  readonly out: Map<string, DecodedFamily>;
  readonly byLabels: Map<string, DecodedMetric>;
}

/** Decodes a body; throws `BadInput` that names the line and quotes the text that is invalid, and `TooLarge`. */
export function decodeOpenMetrics(body: Uint8Array): DecodedFamily[] {
  return atOnce(decodingOpenMetrics(body));
}

/** As `decodeOpenMetrics`, in steps between which the caller may pause. */
export function* decodingOpenMetrics(body: Uint8Array): Generator<void, DecodedFamily[]> {
  return yield* new OpenMetricsReader().read(textOf(body, "OpenMetrics"));
}

class OpenMetricsReader {
  readonly #closed = new Set<string>();
  /** The names of the decoded families, each of which must be unique. */
  readonly #names = new Set<string>();
  readonly #families: DecodedFamily[] = [];
  #current: OpenFamily | undefined;
  readonly #parts = new PartCount();
  #line = 0;

  *read(text: string): Generator<void, DecodedFamily[]> {
    const length = text.endsWith("\n") ? text.length - 1 : text.length;
    let pauseAt = 0;
    for (let at = 0; at <= length; ) {
      if (at >= pauseAt) {
        pauseAt = at + STEP_CHARACTERS;
        yield;
      }
      const feed = text.indexOf("\n", at);
      const end = feed < 0 ? length : feed;
      const line = text.slice(at, end);
      at = end + 1;
      this.#line++;
      if (line.length > LINE_CHARACTERS_MAX)
        throw this.#error(
          `the line has ${line.length} characters, at most ${LINE_CHARACTERS_MAX} are accepted`,
        );
      if (line === "# EOF") {
        if (at <= length) throw this.#error("unexpected text after # EOF");
        this.#close();
        return this.#families;
      }
      if (line.startsWith("#")) this.#descriptor(line);
      else this.#sample(line);
    }
    throw this.#error("the body does not end with # EOF");
  }

  #descriptor(line: string): void {
    const [, keyword, name, rest = ""] = DESCRIPTOR.exec(line) ?? [];
    if (keyword === undefined || name === undefined) {
      throw this.#error(`expected # TYPE, # HELP, # UNIT or # EOF, got ${quote(line)}`);
    }
    const family = this.#open(name);
    if (family.sampled) throw this.#error(`${keyword} of ${quote(name)} comes after its samples`);
    if (family.described.has(keyword)) throw this.#error(`second ${keyword} of ${quote(name)}`);
    family.described.add(keyword);
    if (keyword === "HELP") family.help = unescaped(rest);
    else if (keyword === "TYPE") {
      if (!Object.hasOwn(SUFFIXES, rest)) throw this.#error(`unknown metric type ${quote(rest)}`);
      family.type = rest as OpenMetricsType;
    } else {
      if (rest !== "" && !name.endsWith(`_${rest}`)) {
        throw this.#error(`unit ${quote(rest)} is not the end of the name ${quote(name)}`);
      }
      family.unit = rest;
    }
  }

  #sample(line: string): void {
    const name = matchAt(METRIC_NAME, line, 0)?.[0];
    if (name === undefined) throw this.#error(`expected a metric name, got ${quote(line)}`);
    this.#parts.add();
    const { family, suffix } = this.#familyOf(name);
    const roles: Readonly<Record<string, Role>> = SUFFIXES[family.type];
    const role = roles[suffix];
    if (role === undefined) throw this.#error(`${quote(name)} is not a sample of a ${family.type}`);
    const labels = new Map<string, string>();
    const end = line[name.length] === "{" ? this.#labels(line, name.length, labels) : name.length;
    const [, number, timestamp, exemplar] = NUMBERS.exec(line.slice(end)) ?? [];
    if (number === undefined) throw this.#error(`expected a value after ${quote(line.slice(0, end))}`);
    const value = parseFloatText(number);
    if (value === undefined) throw this.#error(`expected float as value, got ${quote(number)}`);
    const decoded = exemplar === undefined ? undefined : this.#exemplar(exemplar, family, suffix);
    family.sampled = true;
    if (role === "created") return;
    const bound = family.type === "histogram" ? labels.get("le") : undefined;
    const metric = this.#metricOf(family, name, role, labels, value);
    if (isInexact(number, value)) metric.inexactText = number;
    if (decoded !== undefined) {
      const edge = bound === undefined ? undefined : parseFloatText(bound);
      metric.exemplars ??= [];
      metric.exemplars.push({ ...decoded, edge });
    }
    if (timestamp !== undefined) metric.timestampMs = this.#timestamp(timestamp);
  }

  /** The family of a sample: the open one, or a new one without a TYPE. */
  #familyOf(name: string): { family: OpenFamily; suffix: string } {
    const current = this.#current;
    if (current !== undefined && name.startsWith(current.name)) {
      const suffix = name.slice(current.name.length);
      if (Object.hasOwn(SUFFIXES[current.type], suffix)) return { family: current, suffix };
    }
    return { family: this.#open(name), suffix: "" };
  }

  #metricOf(
    family: OpenFamily,
    name: string,
    role: Exclude<Role, "created">,
    labels: Map<string, string>,
    value: number,
  ): DecodedMetric {
    if (family.type === "counter" && !(value >= 0)) {
      throw this.#error(`counter ${quote(name)} is ${value}, expected no less than 0`);
    }
    if (role === "value" || role === "gauged edge") {
      if (role === "gauged edge") this.#edge(labels, "le");
      const metric: DecodedMetric = { labels, value };
      this.#outOf(family, name).metrics.push(metric);
      return metric;
    }
    const edgeName = family.type === "histogram" ? "le" : "quantile";
    const edge = role === "edge" ? this.#edge(labels, edgeName) : undefined;
    if (role === "edge") labels.delete(edgeName);
    const key = labelsKey(labels);
    let metric = family.byLabels.get(key);
    if (metric === undefined) {
      metric = { labels, value: { sum: 0, count: 0, edges: [] } };
      family.byLabels.set(key, metric);
      this.#outOf(family, family.name).metrics.push(metric);
    }
    const distribution = metric.value as DecodedDistribution;
    if (role === "sum") distribution.sum = value;
    else if (role === "edge" && family.type === "summary") distribution.edges.push({ edge: edge!, value });
    else {
      const count = countOf(value);
      if (count === undefined) throw this.#error(`expected a count for ${quote(name)}, got ${value}`);
      if (role === "count") distribution.count = count;
      else distribution.edges.push({ edge: edge!, value: count });
      // The last bucket is the count; _count may be left out, together with _sum.
      if (edge === Number.POSITIVE_INFINITY && distribution.count === 0) distribution.count = count;
    }
    return metric;
  }

  /** The number in the label that distinguishes the parts of a distribution. */
  #edge(labels: Map<string, string>, name: "le" | "quantile"): number {
    const text = labels.get(name) ?? "";
    const edge = parseFloatText(text);
    if (edge === undefined || Number.isNaN(edge))
      throw this.#error(`expected float as value for '${name}' label, got ${quote(text)}`);
    return edge;
  }

  /** Reads a label block from its opening brace; returns the position after it. */
  #labels(line: string, open: number, labels: Map<string, string>): number {
    let at = open + 1;
    while (line[at] !== "}") {
      const [pair, name, value] = matchAt(LABEL, line, at) ?? [];
      if (pair === undefined || name === undefined || value === undefined) {
        throw this.#error(`expected a label or }, got ${quote(line.slice(at))}`);
      }
      if (labels.has(name)) throw this.#error(`label ${quote(name)} appears twice`);
      if (name === "__name__") throw this.#error(`label name ${quote(name)} is reserved`);
      labels.set(name, unescaped(value));
      at += pair.length;
      if (line[at] === "," && line[at + 1] !== "}") at++;
      else if (line[at] !== "}") throw this.#error(`expected , or }, got ${quote(line.slice(at))}`);
    }
    return at + 1;
  }

  #exemplar(text: string, family: OpenFamily, suffix: string): DecodedExemplar {
    const allowed = family.type === "counter" ? suffix === "_total" : suffix === "_bucket";
    if (!allowed) throw this.#error(`a ${family.type} cannot have an exemplar here: ${quote(text)}`);
    const labels = new Map<string, string>();
    const [, number = "", timestamp] = NUMBERS.exec(text.slice(this.#labels(text, 0, labels))) ?? [];
    const value = parseFloatText(number);
    if (value === undefined) throw this.#error(`expected float as value, got ${quote(number)}`);
    const timestampMs = timestamp === undefined ? undefined : this.#timestamp(timestamp);
    const characters = exemplarCharacters(labels);
    if (characters > EXEMPLAR_CHARACTERS_MAX) {
      throw this.#error(
        `an exemplar's labels have ${characters} characters, at most ${EXEMPLAR_CHARACTERS_MAX} are accepted`,
      );
    }
    return { value, labels, timestampMs };
  }

  #timestamp(text: string): number {
    const seconds = parseFloatText(text);
    if (seconds === undefined || !Number.isFinite(seconds)) {
      throw this.#error(`expected seconds as timestamp, got ${quote(text)}`);
    }
    return seconds * 1_000;
  }

  #open(name: string): OpenFamily {
    if (this.#current?.name === name) return this.#current;
    this.#close();
    if (this.#closed.has(name)) throw this.#error(`the lines of ${quote(name)} are not consecutive`);
    this.#parts.add();
    this.#current = {
      name,
      type: "unknown",
      described: new Set(),
      help: "",
      unit: "",
      sampled: false,
      out: new Map(),
      byLabels: new Map(),
    };
    return this.#current;
  }

  #close(): void {
    if (this.#current === undefined) return;
    this.#closed.add(this.#current.name);
    this.#families.push(...this.#current.out.values());
    this.#current = undefined;
  }

  #outOf(family: OpenFamily, name: string): DecodedFamily {
    let out = family.out.get(name);
    if (out === undefined) {
      if (this.#names.has(name)) throw this.#error(`samples ${quote(name)} belong to two families`);
      this.#names.add(name);
      out = { name, type: outType(family.type), help: family.help, unit: family.unit, metrics: [] };
      family.out.set(name, out);
    }
    return out;
  }

  #error(what: string): BadInput {
    return new BadInput(`OpenMetrics parsing error in line ${this.#line}: ${what}`, "body");
  }
}

function outType(type: OpenMetricsType): FamilyType {
  if (type === "unknown") return "untyped";
  return type === "gaugehistogram" || type === "info" || type === "stateset" ? "gauge" : type;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** Decodes `\\`, `\"` and `\n`; a backslash before any other character is kept. */
function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\([\\"n])/g, (_, character: string) => (character === "n" ? "\n" : character));
}
