/**
 * Reads files of unit tests for rules, in the format of `promtool test rules`
 * (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/). All errors of a file are found, each
 * with its line. Unknown fields are errors. Pure.
 */
import { parseDurationMs } from "../../model/duration.ts";
import { quote } from "../../model/errors.ts";
import { rfc3339Us } from "../../model/time.ts";
import type { LabelSet } from "../../query/promql/labels.ts";
import { parseFloatStrict } from "../../query/promql/promql-text.ts";
import {
  type PlacedProblem,
  TooManyAliases,
  type YamlField,
  type YamlNode,
  YamlTree,
} from "../files/yaml-tree.ts";
import type { LabelValues } from "../label-values.ts";
import { NotationError, type NotedValue, readSeriesLabels, readSeriesValues } from "./series-notation.ts";

export interface ExpectedAlert {
  /** Without `alertname`. */
  readonly labels: LabelValues;
  readonly annotations: LabelValues;
}

/** The alerts of one name that fire at a time. */
export interface AlertExpectation {
  readonly line: number;
  readonly timeMs: number;
  readonly alert: string;
  readonly alerts: readonly ExpectedAlert[];
}

/** The answer to an expression at a time. */
export interface ExprExpectation {
  readonly line: number;
  readonly timeMs: number;
  readonly expr: string;
  readonly samples: readonly { readonly labels: LabelSet; readonly value: number }[];
}

/** One entry of `tests`. Times are relative to its start. */
export interface UnitTest {
  readonly line: number;
  readonly name: string;
  readonly startMs: number;
  readonly intervalMs: number;
  readonly series: readonly { readonly labels: LabelSet; readonly values: readonly NotedValue[] }[];
  readonly alerts: readonly AlertExpectation[];
  readonly exprs: readonly ExprExpectation[];
  readonly externalLabels: LabelValues;
  readonly externalURL: string;
}

export interface UnitTestFile {
  /** Paths and patterns as they are in the file. */
  readonly ruleFiles: readonly string[];
  readonly evaluationIntervalMs: number;
  readonly groupOrder: readonly string[];
  /** Whether a number may differ from the expected one by its last bit. */
  readonly isFuzzy: boolean;
  readonly tests: readonly UnitTest[];
}

const FILE_FIELDS = ["rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"];
const TEST_FIELDS = [
  ...["name", "interval", "input_series", "alert_rule_test", "promql_expr_test"],
  ...["external_labels", "external_url", "start_timestamp"],
];
const DEFAULT_INTERVAL_MS = 60_000;

/** The file is complete only if there are no errors. */
export function readUnitTestFile(text: string): {
  readonly file: UnitTestFile;
  readonly errors: readonly PlacedProblem[];
} {
  const reader = new UnitTestReader(text);
  return { file: reader.read(), errors: reader.errors };
}

type Fields = ReadonlyMap<string, YamlField>;

class UnitTestReader {
  readonly #tree: YamlTree;

  constructor(text: string) {
    this.#tree = new YamlTree(text);
  }

  get errors(): readonly PlacedProblem[] {
    return this.#tree.problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  }

  read(): UnitTestFile {
    try {
      return this.#file();
    } catch (error) {
      if (!(error instanceof TooManyAliases)) throw error;
      return EMPTY_FILE;
    }
  }

  #file(): UnitTestFile {
    const tree = this.#tree;
    const fields = tree.root && tree.fields(tree.root, "the file as a mapping with tests", FILE_FIELDS);
    if (fields === undefined) return EMPTY_FILE;
    const interval = this.#duration(fields, "evaluation_interval");
    const evaluationIntervalMs = interval === undefined || interval === 0 ? DEFAULT_INTERVAL_MS : interval;
    const groupOrder = this.#texts(fields, "group_eval_order");
    const twice = groupOrder.find((name, at) => groupOrder.indexOf(name) !== at);
    if (twice !== undefined) {
      tree.note(fields.get("group_eval_order")!.key, `group name repeated in evaluation order: ${twice}`);
    }
    return {
      ruleFiles: this.#texts(fields, "rule_files"),
      evaluationIntervalMs,
      groupOrder,
      isFuzzy: this.#boolean(fields, "fuzzy_compare"),
      tests: this.#each(fields, "tests", "a test", TEST_FIELDS, (test, node) =>
        this.#test(test, node, evaluationIntervalMs),
      ),
    };
  }

  #test(fields: Fields, node: YamlNode, evaluationIntervalMs: number): UnitTest {
    const interval = this.#duration(fields, "interval");
    return {
      line: this.#tree.place(node).line,
      name: this.#text(fields, "name"),
      startMs: this.#start(fields),
      intervalMs: interval === undefined || interval === 0 ? evaluationIntervalMs : interval,
      series: this.#each(fields, "input_series", "a series", ["series", "values"], (series, at) => ({
        labels: this.#noted(series, "series", at, readSeriesLabels),
        values: this.#noted(series, "values", at, readSeriesValues),
      })).flatMap(({ labels, values }) => (labels && values ? [{ labels, values }] : [])),
      alerts: this.#each(fields, "alert_rule_test", "a test of an alert", ALERT_FIELDS, (alert, at) =>
        this.#alert(alert, at),
      ),
      exprs: this.#each(fields, "promql_expr_test", "a test of an expression", EXPR_FIELDS, (expr, at) =>
        this.#expr(expr, at),
      ),
      externalLabels: this.#labels(fields, "external_labels"),
      externalURL: this.#text(fields, "external_url"),
    };
  }

  #alert(fields: Fields, node: YamlNode): AlertExpectation {
    const alert = this.#text(fields, "alertname");
    if (alert === "") this.#tree.note(node, `the test of an alert needs the field "alertname"`);
    return {
      line: this.#tree.place(node).line,
      timeMs: this.#duration(fields, "eval_time") ?? 0,
      alert,
      alerts: this.#each(fields, "exp_alerts", "an alert", ["exp_labels", "exp_annotations"], (expected) => ({
        labels: this.#labels(expected, "exp_labels"),
        annotations: this.#labels(expected, "exp_annotations"),
      })),
    };
  }

  #expr(fields: Fields, node: YamlNode): ExprExpectation {
    const samples = this.#each(fields, "exp_samples", "a sample", SAMPLE_FIELDS, (sample, at) => {
      const histogram = sample.get("histogram");
      if (histogram !== undefined) {
        this.#tree.note(histogram.key, "native histograms are not supported in tests");
      }
      const labels = this.#noted(sample, "labels", at, readSeriesLabels);
      return labels === undefined ? undefined : { labels, value: this.#number(sample, "value") };
    });
    return {
      line: this.#tree.place(node).line,
      timeMs: this.#duration(fields, "eval_time") ?? 0,
      expr: this.#text(fields, "expr"),
      samples: samples.filter((each) => each !== undefined),
    };
  }

  /** The items of a list of mappings. */
  #each<Item>(
    fields: Fields,
    name: string,
    what: string,
    known: readonly string[],
    read: (fields: Fields, node: YamlNode) => Item,
  ): Item[] {
    const list = fields.get(name);
    if (list === undefined) return [];
    return (this.#tree.items(list.value, quote(name), list.key) ?? []).flatMap((item) => {
      const node = item ?? list.key;
      const own = this.#tree.fields(item, what, known, node);
      return own === undefined ? [] : [read(own, node)];
    });
  }

  #text(fields: Fields, name: string): string {
    const found = fields.get(name);
    return found === undefined ? "" : (this.#tree.text(found.value, name, found.key) ?? "");
  }

  #texts(fields: Fields, name: string): string[] {
    const list = fields.get(name);
    if (list === undefined) return [];
    const items = this.#tree.items(list.value, quote(name), list.key) ?? [];
    return items.map((item) => this.#tree.text(item, name, list.key) ?? "");
  }

  #labels(fields: Fields, name: string): LabelValues {
    const found = fields.get(name);
    if (found === undefined) return {};
    const own = this.#tree.fields(found.value, quote(name), undefined, found.key) ?? new Map();
    return Object.fromEntries([...own.keys()].map((label) => [label, this.#text(own, label)]));
  }

  #boolean(fields: Fields, name: string): boolean {
    const text = this.#text(fields, name);
    if (text !== "" && text !== "true" && text !== "false") {
      this.#tree.note(fields.get(name)!.key, `${name} is ${quote(text)}, expected true or false`);
    }
    return text === "true";
  }

  /** Milliseconds; undefined if the field is missing, or wrong and noted. */
  #duration(fields: Fields, name: string): number | undefined {
    if (!fields.has(name)) return undefined;
    const text = this.#text(fields, name);
    const ms = text === "0" ? 0 : parseDurationMs(text);
    if (ms === undefined) {
      this.#tree.note(fields.get(name)!.key, `${name} is ${quote(text)}, expected a duration such as 1h30m`);
    }
    return ms;
  }

  #number(fields: Fields, name: string): number {
    const text = this.#text(fields, name);
    const number = text === "" ? 0 : yamlNumber(text);
    if (number === undefined) {
      const expected = "expected a number such as 1.5, .nan, .inf or -.inf";
      this.#tree.note(fields.get(name)!.key, `${name} is ${quote(text)}, ${expected}`);
    }
    return number ?? 0;
  }

  /** Seconds since 1970, or RFC 3339. */
  #start(fields: Fields): number {
    const text = this.#text(fields, "start_timestamp");
    if (text === "") return 0;
    const seconds = yamlNumber(text);
    const ms = seconds === undefined ? (rfc3339Us(text) ?? Number.NaN) / 1000 : seconds * 1000;
    if (Number.isFinite(ms)) return Math.round(ms);
    const expected = "expected seconds since 1970, or a time such as 2024-01-15T08:30:00Z";
    this.#tree.note(fields.get("start_timestamp")!.key, `start_timestamp is ${quote(text)}, ${expected}`);
    return 0;
  }

  /** A field in the notation of series. Undefined, and noted, if it is wrong. */
  #noted<Result>(
    fields: Fields,
    name: string,
    at: YamlNode,
    read: (text: string) => Result,
  ): Result | undefined {
    const found = fields.get(name);
    try {
      return read(this.#text(fields, name));
    } catch (error) {
      if (!(error instanceof NotationError)) throw error;
      this.#tree.note(found?.key ?? at, `${name}: ${error.message}`);
      return undefined;
    }
  }
}

const ALERT_FIELDS = ["eval_time", "alertname", "exp_alerts"];
const EXPR_FIELDS = ["expr", "eval_time", "exp_samples"];
const SAMPLE_FIELDS = ["labels", "value", "histogram"];

const EMPTY_FILE: UnitTestFile = {
  ruleFiles: [],
  evaluationIntervalMs: DEFAULT_INTERVAL_MS,
  groupOrder: [],
  isFuzzy: false,
  tests: [],
};

/** A number as YAML writes it: `.inf` and `.nan` begin with a dot. */
function yamlNumber(text: string): number | undefined {
  const special = /^([+-]?)\.(inf|nan)$/i.exec(text);
  if (special !== null) return parseFloatStrict(`${special[1]}${special[2]}`);
  return /[a-z]/i.test(text.replace(/e[+-]?\d+$/i, "")) ? undefined : parseFloatStrict(text);
}
