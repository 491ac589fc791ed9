/**
 * Matchers of alerts, as Alertmanager has them (https://prometheus.io/docs/alerting/latest/configuration/#matcher):
 * `severity="critical"`, `job!=a`, `host=~"db.*"`, `host!~"db.*"`. An absent label has an empty value. A regular
 * expression has the syntax of RE2 and matches a whole value, in time linear in its length. Pure.
 */
import type { RE2JS } from "re2js";
import { re2 } from "../../program/deferred-libraries.ts";
import { quote } from "../errors.ts";

/** One condition on a label, in the form of Alertmanager's API. */
export interface AlertMatcher {
  readonly name: string;
  readonly value: string;
  readonly isRegex: boolean;
  readonly isEqual: boolean;
}

/** Whether all matchers match some labels. */
export type AlertTest = (labels: Readonly<Record<string, string>>) => boolean;

/** The text of matchers is invalid. The message has no full stop. */
export class MatcherFault extends Error {
  override readonly name = "MatcherFault";
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const MATCHER = /^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*$/s;
/** A longer expression would take seconds to compile. */
const EXPRESSION_LENGTH_MAX = 4_096;

/**
 * The matchers of a text: one, or several with commas between them, with braces around them or without.
 *
 * @throws MatcherFault
 */
export function parseAlertMatchers(text: string): AlertMatcher[] {
  const trimmed = text.trim();
  const isBraced = trimmed.startsWith("{");
  if (isBraced !== trimmed.endsWith("}") && (isBraced || !trimmed.endsWith('"}')))
    throw new MatcherFault(`${quote(text)} has an opening or a closing brace without the other`);
  const inner = isBraced ? trimmed.slice(1, -1) : trimmed;
  if (inner.trim() === "") return [];
  const parts = partsOf(inner);
  // A comma may follow the last matcher.
  if (parts.length > 1 && parts.at(-1)!.trim() === "") parts.pop();
  return parts.map(parseOne);
}

/** Splits at commas that are not between quotation marks. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  let part = "";
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === "\\" && isQuoted && at + 1 < text.length) {
      part += character + text[++at];
      continue;
    }
    if (character === '"') isQuoted = !isQuoted;
    if (character === "," && !isQuoted) {
      parts.push(part);
      part = "";
    } else {
      part += character;
    }
  }
  if (isQuoted) throw new MatcherFault(`${quote(text)} has a quotation mark without the other`);
  return [...parts, part];
}

function parseOne(text: string): AlertMatcher {
  const [, name, operator, raw] = MATCHER.exec(text) ?? [];
  if (name === undefined || operator === undefined || raw === undefined)
    throw new MatcherFault(
      `${quote(text.trim())} is not a matcher, such as severity="critical" or host=~"db.*"`,
    );
  return checked({
    name,
    value: matcherValue(raw, text),
    isRegex: operator.endsWith("~"),
    isEqual: operator.startsWith("="),
  });
}

function matcherValue(raw: string, text: string): string {
  const isQuoted = raw.length > 1 && raw.startsWith('"') && raw.endsWith('"');
  const inner = isQuoted ? raw.slice(1, -1) : raw;
  if (/(?<!\\)(?:\\\\)*"/.test(inner))
    throw new MatcherFault(`the value of ${quote(text.trim())} has a quotation mark without a backslash`);
  // As in Alertmanager, other characters after a backslash keep it: expressions have many.
  return inner.replace(/\\(["\\n])/g, (_, character: string) => (character === "n" ? "\n" : character));
}

/**
 * The matcher, if its name and its expression are valid.
 *
 * @throws MatcherFault
 */
export function checked(matcher: AlertMatcher): AlertMatcher {
  const { name, value, isRegex } = matcher;
  if (!NAME.test(name))
    throw new MatcherFault(
      `the name ${quote(name)} is not the name of a label, expected letters, digits and _`,
    );
  if (isRegex) compile(value);
  return matcher;
}

function compile(expression: string): RE2JS {
  if (expression.length > EXPRESSION_LENGTH_MAX)
    throw new MatcherFault(
      `a regular expression has ${expression.length} characters, expected at most ${EXPRESSION_LENGTH_MAX}`,
    );
  try {
    return re2().RE2JS.compile(`^(?:${expression})$`);
  } catch (error) {
    throw new MatcherFault(`${quote(expression)} is not a regular expression: ${(error as Error).message}`);
  }
}

/** Values that one expression remembers: few labels have more. */
const REMEMBERED_MAX = 1_000;

/** A test of valid matchers. No matchers match everything. */
export function alertTest(matchers: readonly AlertMatcher[]): AlertTest {
  const tests = matchers.map((matcher): AlertTest => {
    const { name, value, isRegex, isEqual } = matcher;
    const of = (labels: Readonly<Record<string, string>>) =>
      Object.hasOwn(labels, name) ? labels[name]! : "";
    if (!isRegex) return (labels) => (of(labels) === value) === isEqual;
    const expression = compile(value);
    const remembered = new Map<string, boolean>();
    return (labels) => {
      const text = of(labels);
      let found = remembered.get(text);
      if (found === undefined) {
        found = expression.test(text);
        if (remembered.size < REMEMBERED_MAX) remembered.set(text, found);
      }
      return found === isEqual;
    };
  });
  return (labels) => tests.every((test) => test(labels));
}

/** Whether a matcher matches a label that is absent. */
export function matchesEmpty(matcher: AlertMatcher): boolean {
  return alertTest([matcher])({});
}

/** The matcher as text: `severity="critical"`. */
export function formatAlertMatcher({ name, value, isRegex, isEqual }: AlertMatcher): string {
  const operator = isRegex ? (isEqual ? "=~" : "!~") : isEqual ? "=" : "!=";
  return `${name}${operator}"${value.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}
