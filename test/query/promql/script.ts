/**
 * Reads test scripts in the language of Prometheus's own query tests: `load`, `clear`, `eval instant`,
 * `eval range`, and below an eval the expected series and `expect` lines. Commands begin at the left
 * margin, and the lines that belong to them are indented. Points of native histograms are not loaded; `histograms`
 * lists them.
 */

import { parseDurationMs } from "../../../src/model/duration.ts";
import { LabelSet, METRIC_NAME } from "../../../src/query/promql/labels.ts";
import { parseFloatStrict, unquoteText } from "../../../src/query/promql/promql-text.ts";
import { MemoryStorage, type Point } from "./memory-storage.ts";

/** One expected or loaded point; null if there is none. */
export type Value = number | "stale" | "histogram" | null;

export interface ExpectedSeries {
  readonly labels: LabelSet;
  readonly points: readonly Value[];
}

/** An expectation of an eval: `fail`, `warn`, `no_warn`, `info`, `no_info`, optionally with a text or pattern. */
export interface Expectation {
  readonly what: "fail" | "warn" | "no_warn" | "info" | "no_info";
  readonly message?: string;
  readonly pattern?: RegExp;
}

export interface Case {
  readonly line: number;
  readonly text: string;
  readonly storage: MemoryStorage;
  /** For an instant query `fromMs` and `toMs` are its time. */
  readonly kind: "instant" | "range";
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
  readonly ordered: boolean;
  readonly expectations: readonly Expectation[];
  readonly series: readonly ExpectedSeries[];
  /** A scalar result. */
  readonly scalar?: number;
  readonly string?: string;
  /** The times of the points, if the query returns a range vector. */
  readonly rangeVector?: { readonly fromMs: number; readonly stepMs: number };
}

export function readScript(script: string): Case[] {
  const lines = script.split("\n");
  const cases: Case[] = [];
  let storage = new MemoryStorage();
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    if (line.trim() === "" || line.trim().startsWith("#")) continue;
    const block: string[] = [];
    const first = at;
    while (at + 1 < lines.length && /^\s+\S/.test(lines[at + 1])) {
      at++;
      const inner = lines[at].trim();
      if (!inner.startsWith("#")) block.push(inner);
    }
    const [command] = line.split(/\s/, 1);
    if (command === "clear") storage = new MemoryStorage();
    else if (command.startsWith("load")) storage = storage.with(loadBlock(line, block));
    else if (command.startsWith("eval")) cases.push(readEval(line, first + 1, block, storage));
    else throw new Error(`line ${first + 1}: no such command: ${JSON.stringify(line)}`);
  }
  return cases;
}

function loadBlock(line: string, block: readonly string[]) {
  const intervalMs = durationMs(line.split(/\s+/)[1]);
  const series = new Map<string, { labels: LabelSet; points: Point[] }>();
  for (const definition of block) {
    const { labels, points } = readSeries(definition);
    const loaded = points
      .map((value, at) => ({ timestampMs: at * intervalMs, value }))
      .filter((point): point is Point => point.value !== null && point.value !== "histogram");
    // If a series appears twice in a block, the last one counts.
    series.set(labels.key, { labels, points: loaded });
  }
  return series.values();
}

function readEval(line: string, number: number, block: readonly string[], storage: MemoryStorage): Case {
  const instant = /^eval(?:_(\w+))?\s+instant\s+at\s+(\S+)\s+(.*)$/.exec(line);
  const range = /^eval(?:_(\w+))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.*)$/.exec(line);
  const expectations: Expectation[] = [];
  const series: ExpectedSeries[] = [];
  let ordered = false;
  let scalar: number | undefined;
  let text: string | undefined;
  let rangeVector: Case["rangeVector"];
  const word = (instant ?? range)?.[1];
  if (word === "ordered") ordered = true;
  else if (word !== undefined) expectations.push({ what: word as Expectation["what"] });
  for (const each of block) {
    const expected = /^expect\s+(\S+)\s*(.*)$/.exec(each);
    if (expected === null) {
      const number = parseFloatStrict(each);
      if (number !== undefined) scalar = number;
      else series.push(readSeries(each));
    } else if (expected[1] === "ordered") ordered = true;
    else if (expected[1] === "string") text = unquoteText(expected[2]);
    else if (expected[1] === "range") {
      const times = /^vector from (\S+) to (\S+) step (\S+)$/.exec(expected[2])!;
      rangeVector = { fromMs: durationMs(times[1]), stepMs: durationMs(times[3]) };
    } else expectations.push(readExpectation(expected[1], expected[2]));
  }
  const common = { line: number, storage, ordered, expectations, series, scalar, string: text, rangeVector };
  if (instant !== null) {
    const atMs = durationMs(instant[2]);
    return { ...common, kind: "instant", text: instant[3], fromMs: atMs, toMs: atMs, stepMs: 1 };
  }
  if (range === null) throw new Error(`line ${number}: not an eval: ${JSON.stringify(line)}`);
  const [fromMs, toMs, stepMs] = range.slice(2, 5).map(durationMs);
  return { ...common, kind: "range", text: range[5], fromMs, toMs, stepMs };
}

function readExpectation(what: string, rest: string): Expectation {
  const known = what as Expectation["what"];
  const [, how, text] = /^(msg|regex):\s*(.*)$/.exec(rest) ?? [];
  if (how === "msg") return { what: known, message: text };
  return { what: known, pattern: how === "regex" ? new RegExp(text) : undefined };
}

function durationMs(text: string): number {
  const ms = parseDurationMs(text) ?? Number(text) * 1000;
  if (!Number.isFinite(ms)) throw new Error(`not a duration: ${text}`);
  return ms;
}

/** Reads `metric{label="value", …} points`. */
export function readSeries(line: string): ExpectedSeries {
  const head = /^([a-zA-Z_:][\w:.]*)?(\{(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'}])*\})?/.exec(line)!;
  const labels: [string, string][] = head[1] === undefined ? [] : [[METRIC_NAME, head[1]]];
  const pair = /("(?:[^"\\]|\\.)*"|[\w:.]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))?/g;
  for (const [, name, value] of (head[2] ?? "").matchAll(pair)) {
    const plain = name.startsWith('"') ? unquoteText(name)! : name;
    labels.push(value === undefined ? [METRIC_NAME, plain] : [plain, unquoteText(value)!]);
  }
  return { labels: LabelSet.from(labels), points: readPoints(line.slice(head[0].length)) };
}

function readPoints(text: string): Value[] {
  const points: Value[] = [];
  // A histogram can contain blanks.
  for (const [word] of text.matchAll(/(?:\{\{.*?\}\}|\S)+/g)) {
    if (word.includes("{{")) {
      const times = Number(/x(\d+)$/.exec(word.replaceAll(/\{\{.*?\}\}/g, "h"))?.[1] ?? 0);
      for (let at = 0; at <= times; at++) points.push("histogram");
      continue;
    }
    const gap = /^_(?:x(\d+))?$/.exec(word);
    if (gap !== null) {
      // `_xN` is N gaps, unlike `axN`, which is N further points.
      for (let at = 0; at < Number(gap[1] ?? 1); at++) points.push(null);
      continue;
    }
    if (word === "stale") {
      points.push("stale");
      continue;
    }
    const run = /^(.+?)(?:([+-])([^+-]+(?:[eE][+-]?\d+)?))?x(\d+)$/.exec(word);
    // `0x10` is eleven zeros here, and not a hexadecimal number.
    if (run === null) {
      points.push(number(word));
      continue;
    }
    const delta = run[3] === undefined ? 0 : number(run[3]) * (run[2] === "-" ? -1 : 1);
    let value = number(run[1]);
    for (let at = 0; at <= Number(run[4]); at++) {
      points.push(value);
      value += delta;
    }
  }
  return points;
}

function number(text: string): number {
  const value = parseFloatStrict(text);
  if (value === undefined) throw new Error(`not a number: ${text}`);
  return value;
}
