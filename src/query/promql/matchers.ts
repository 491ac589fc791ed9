/**
 * Label matchers: the conditions between the braces of a selector. An absent label has an empty value. Regular
 * expressions have RE2's semantics and match the whole value; they run in time linear in its length.
 */
import { RE2JS } from "re2js";
import { quoteText } from "./promql-text.ts";

export type MatchOperator = "=" | "!=" | "=~" | "!~";

export interface Matcher {
  readonly name: string;
  readonly operator: MatchOperator;
  readonly value: string;
  matches(value: string): boolean;
}

/** Compiles an expression that must match a whole text, with `.` matching any character; throws RE2's own message. */
export function compileAnchored(expression: string): RE2JS {
  return RE2JS.compile(`^(?s:${expression})$`);
}

/** One expression is matched against few different values, which repeat series by series. */
const REMEMBERED_MAX = 10_000;

/** Creates a matcher; throws if a regular expression is invalid. */
export function matcher(name: string, operator: MatchOperator, value: string): Matcher {
  if (operator === "=") return { name, operator, value, matches: (other) => other === value };
  if (operator === "!=") return { name, operator, value, matches: (other) => other !== value };
  const wanted = operator === "=~";
  const test = expressionTest(value);
  return { name, operator, value, matches: (other) => test(other) === wanted };
}

function expressionTest(expression: string): (text: string) => boolean {
  const compiled = compileAnchored(expression);
  // An alternation of plain words, as dashboards create it from their variables, needs no regular expression engine.
  if (/^[\w:\-/ ]*(\|[\w:\-/ ]*)*$/.test(expression)) {
    const words = new Set(expression.split("|"));
    return (text) => words.has(text);
  }
  if (expression === ".*") return () => true;
  if (expression === ".+") return (text) => text !== "";
  const remembered = new Map<string, boolean>();
  return (text) => {
    let result = remembered.get(text);
    if (result === undefined) {
      result = compiled.test(text);
      if (remembered.size < REMEMBERED_MAX) remembered.set(text, result);
    }
    return result;
  };
}

/** Formats a matcher as PromQL does: `job=~"a.*"`. */
export function formatMatcher({ name, operator, value }: Matcher): string {
  const plain = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
  return `${plain ? name : quoteText(name)}${operator}${quoteText(value)}`;
}
