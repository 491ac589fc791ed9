/**
 * Rule files of Prometheus (https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/): finds the
 * files that match patterns, and reads the rules in their YAML.
 *
 * It checks only the parts that `weir check` needs: that there are groups of rules, that each rule has a name and an
 * expression, and that the expression is PromQL. `promtool check rules` checks the rest.
 */
import { parseDocument, type YAMLParseError } from "yaml";
import { ParseError, QueryError } from "../../query/promql/query-errors.ts";
import type { Expr } from "../../query/promql/parse/ast.ts";
import { parse } from "../../query/promql/parse/parse.ts";
import { type Io, UsageError } from "../command.ts";

/** A rule whose expression is PromQL. */
export interface Rule {
  /** Its place for messages: `FILE: GROUP: NAME`. */
  readonly place: string;
  /** The metric that a recording rule makes. */
  readonly records: string | undefined;
  readonly expression: Expr;
}

interface RuleFile {
  readonly rules: readonly Rule[];
  /** The faults of the files: one sentence each, after its place. */
  readonly problems: readonly string[];
}

/**
 * The rules of the files that match paths and patterns such as `rules/*.yml`. Each file is read once.
 *
 * @throws UsageError if a pattern matches no file, or a file cannot be read
 */
export function readRuleFiles(patterns: readonly string[], io: Pick<Io, "readFile">): RuleFile[] {
  const files = new Map<string, RuleFile>();
  for (const pattern of patterns) {
    // A name with brackets is a path if such a file exists.
    const isPath = !/[*?[{]/.test(pattern) || readText(pattern, io) !== undefined;
    const found = isPath ? [pattern] : filesLike(pattern);
    if (found.length === 0) throw noFile(pattern);
    for (const file of found) {
      const text = readText(file, io);
      if (text === undefined) throw noFile(pattern);
      files.set(file, rulesOf(file, text));
    }
  }
  return [...files.values()];
}

function filesLike(pattern: string): string[] {
  return [...new Bun.Glob(pattern).scanSync({ absolute: pattern.startsWith("/") })].sort();
}

function readText(file: string, io: Pick<Io, "readFile">): string | undefined {
  try {
    return io.readFile(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--rules is ${JSON.stringify(file)}, which cannot be read: ${reason}.`);
  }
}

function noFile(pattern: string): UsageError {
  return new UsageError(`--rules is ${JSON.stringify(pattern)}, which matches no file.`);
}

/** The rules in the text of a file. The file's name is for messages. */
function rulesOf(file: string, text: string): RuleFile {
  const rules: Rule[] = [];
  const problems: string[] = [];
  for (const [at, group] of groupsOf(file, text, problems).entries()) {
    const name = textOf(group, "name");
    const place = `${file}: ${name ?? `group ${at + 1}`}`;
    if (name === undefined) problems.push(`${place}: the group has no name.`);
    const entries = isMapping(group) ? (group.rules ?? []) : undefined;
    if (!Array.isArray(entries)) {
      problems.push(`${place}: expected "rules", a list of rules.`);
      continue;
    }
    for (const [index, entry] of entries.entries()) {
      const rule = ruleOf(entry, place, index, problems);
      if (rule !== undefined) rules.push(rule);
    }
  }
  return { rules, problems };
}

function groupsOf(file: string, text: string, problems: string[]): readonly unknown[] {
  let content: unknown;
  // Not Bun.YAML, whose errors have no position.
  const document = parseDocument(text);
  const [wrong] = document.errors;
  if (wrong !== undefined) {
    problems.push(`${file}: ${describe(wrong)}`);
    return [];
  }
  try {
    content = document.toJS();
  } catch (error) {
    // An alias without an anchor, or too many of them.
    problems.push(
      `${file}: the file is not valid YAML: ${error instanceof Error ? error.message : String(error)}.`,
    );
    return [];
  }
  // Prometheus reads an empty file as a file without rules.
  if (content === null || content === undefined) return [];
  const groups = isMapping(content) ? content.groups : undefined;
  if (Array.isArray(groups)) return groups;
  if (isMapping(content) && groups === null) return [];
  problems.push(`${file}: expected "groups", a list of groups of rules.`);
  return [];
}

/**
 * An error of YAML in one sentence, with its place. The package adds the place and the lines around it to its message.
 */
function describe({ code, message, linePos }: YAMLParseError): string {
  const [start] = linePos ?? [];
  const place = start === undefined ? "" : `line ${start.line}, column ${start.col}: `;
  const [sentence] = message.split(/ at line [0-9]+, column [0-9]+:|\n/);
  const what = code === "MULTIPLE_DOCS" ? "expected one document, found a second one" : sentence;
  return `${place}the file is not valid YAML: ${what}.`;
}

function ruleOf(entry: unknown, groupPlace: string, index: number, problems: string[]): Rule | undefined {
  const alert = textOf(entry, "alert");
  const record = textOf(entry, "record");
  const place = `${groupPlace}: ${alert ?? record ?? `rule ${index + 1}`}`;
  if ((alert === undefined) === (record === undefined)) {
    problems.push(`${place}: expected either "alert" or "record", the rule's name.`);
    return undefined;
  }
  const expression = textOf(entry, "expr");
  if (expression === undefined) {
    problems.push(`${place}: the rule has no "expr".`);
    return undefined;
  }
  try {
    return { place, records: record, expression: parse(expression) };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    // An expression that the gateway does not support may still be valid PromQL.
    const what = error instanceof ParseError ? "is not PromQL" : "is not supported";
    problems.push(`${place}: the expression ${what}: ${error.message}`);
    return undefined;
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A text of a mapping; a number counts as its digits, an empty text as none. */
function textOf(value: unknown, key: string): string | undefined {
  const text = isMapping(value) ? value[key] : undefined;
  if (typeof text === "number") return String(text);
  return typeof text === "string" && text.trim() !== "" ? text : undefined;
}
