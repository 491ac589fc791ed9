/**
 * Label matchers: the conditions between the braces of a selector. An absent label has an empty value. Regular
 * expressions have RE2's semantics and match the whole value; they run in time linear in its length.
 */
import type { RE2JS } from "re2js";
import { re2 } from "../../program/deferred-libraries.ts";
import { quoteText } from "./promql-text.ts";

export type MatchOperator = "=" | "!=" | "=~" | "!~";

export interface Matcher {
  readonly name: string;
  readonly operator: MatchOperator;
  readonly value: string;
  matches(value: string): boolean;
  /** Set if another thread evaluates the expression. */
  readonly deferred?: Deferred;
}

/** Texts that a matcher was asked for, and whose answers it does not know yet. */
export interface Deferred {
  /** From now on the matcher notes texts that it does not know, and matches them. */
  collect(): void;
  /** Resolves when the noted texts are known. From then on the matcher does not match a text that it does not know. */
  settle(): Promise<void>;
}

/** Tests texts against a regular expression: 1 for each that matches as a whole. */
export type TestTexts = (expression: string, texts: readonly string[]) => Promise<Uint8Array>;

/** Compiles an expression that must match a whole text, with `.` matching any character; throws RE2's own message. */
export function compileAnchored(expression: string): RE2JS {
  return re2().RE2JS.compile(`^(?s:${expression})$`);
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

/**
 * Creates a matcher of a valid selector whose regular expression is evaluated by `test`, unless it is so simple that no
 * engine is needed.
 */
export function deferredMatcher(
  name: string,
  operator: MatchOperator,
  value: string,
  test: TestTexts,
): Matcher {
  if (operator === "=" || operator === "!=") return matcher(name, operator, value);
  const wanted = operator === "=~";
  const simple = simpleTest(value);
  if (simple !== undefined) return { name, operator, value, matches: (other) => simple(other) === wanted };
  const known = new Map<string, boolean>();
  const unknown = new Set<string>();
  let isCollecting = false;
  return {
    name,
    operator,
    value,
    matches: (other) => {
      const result = known.get(other);
      if (result !== undefined) return result === wanted;
      if (isCollecting) unknown.add(other);
      return isCollecting;
    },
    deferred: {
      collect: () => {
        isCollecting = true;
      },
      settle: async () => {
        isCollecting = false;
        const texts = [...unknown];
        unknown.clear();
        for (let from = 0; from < texts.length; from += TESTED_AT_ONCE) {
          const some = texts.slice(from, from + TESTED_AT_ONCE);
          const marks = await test(value, some);
          some.forEach((text, at) => {
            known.set(text, marks[at] === 1);
          });
        }
      },
    },
  };
}

/** Texts that are sent to another thread at once: a millisecond. */
const TESTED_AT_ONCE = 2_000;

function expressionTest(expression: string): (text: string) => boolean {
  const compiled = compileAnchored(expression);
  const simple = simpleTest(expression);
  if (simple !== undefined) return simple;
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

/** A text, perhaps with escaped punctuation, between two wildcards, perhaps. */
const SIMPLE = /^(\.[*+])?((?:[\w:\-/ ,;@%&=#~!<>"']|\\[.\-+*?()[\]{}|$^/\\])*)(\.[*+])?$/;
/** Each of them is compared with each text. */
const SIMPLE_WITH_WILDCARDS_MAX = 16;

/**
 * A test for an expression that needs no regular expression engine: an alternation of plain texts, as dashboards create
 * it from their variables, some with `.*` or `.+` at their ends. Undefined for all others.
 */
function simpleTest(expression: string): ((text: string) => boolean) | undefined {
  const words = new Set<string>();
  const tests: ((text: string) => boolean)[] = [];
  for (const alternative of expression.split(/(?<!\\)\|/)) {
    const found = SIMPLE.exec(alternative);
    if (found === null) return undefined;
    const [, before, escaped, after] = found;
    const literal = escaped.replace(/\\(.)/g, "$1");
    if (before === undefined && after === undefined) words.add(literal);
    else tests.push(wildcardTest(before, literal, after));
  }
  if (tests.length > SIMPLE_WITH_WILDCARDS_MAX) return undefined;
  return (text) => words.has(text) || tests.some((test) => test(text));
}

/** Whether a text is a literal with anything before it, after it, or both; `.+` is one character at least. */
function wildcardTest(
  before: string | undefined,
  literal: string,
  after: string | undefined,
): (text: string) => boolean {
  const head = before === ".+" ? 1 : 0;
  const tail = after === ".+" ? 1 : 0;
  const length = head + literal.length + tail;
  if (before === undefined) return (text) => text.length >= length && text.startsWith(literal);
  if (after === undefined) return (text) => text.length >= length && text.endsWith(literal);
  // A character outside the basic plane is two units of a text, and one character for each `.+`.
  if (literal === "" && length === 2)
    return (text) => text.length > 2 || (text.length === 2 && !isOnePair(text));
  return (text) => {
    const at = text.indexOf(literal, head);
    // An empty literal is found before `head` in a shorter text.
    return at >= head && at + literal.length + tail <= text.length;
  };
}

function isOnePair(text: string): boolean {
  return (text.codePointAt(0) ?? 0) > 0xffff;
}

/** Formats a matcher as PromQL does: `job=~"a.*"`. */
export function formatMatcher({ name, operator, value }: Matcher): string {
  const plain = /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
  return `${plain ? name : quoteText(name)}${operator}${quoteText(value)}`;
}
