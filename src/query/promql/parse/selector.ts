/**
 * Selectors: a metric's name, matchers, or both. A quoted name is inside the braces, without an operator:
 * `{"http.requests", job="x"}`.
 */
import { isLabelName, METRIC_NAME } from "../labels.ts";
import { type Matcher, type MatchOperator, matcher } from "../matchers.ts";
import { quoteText } from "../promql-text.ts";
import type { Span, VectorSelector } from "./ast.ts";
import type { Fail } from "./check-types.ts";
import { stringOf } from "./literals.ts";
import type { TokenReader } from "./token-reader.ts";
import type { Token } from "./tokens.ts";

const CONTEXT = "label matching";
const MATCH_OPERATORS = new Set(["=", "!=", "=~", "!~"]);

/** Reads a selector; `name` is the name before the braces, if it has one. It is already read. */
export function readSelector(reader: TokenReader, name: Token | undefined, source: string): VectorSelector {
  const { fail } = reader;
  const from = name?.from ?? reader.next.from;
  let metric = name === undefined ? "" : source.slice(name.from, name.to);
  const conditions: Matcher[] = [];
  if (name === undefined || reader.is("{")) {
    reader.expect("{");
    while (!reader.is("}")) {
      const found = readMatcher(reader);
      if (typeof found === "string") {
        if (metric !== "") throw fail(spanFrom(reader, from), setTwice(metric, found));
        metric = found;
      } else conditions.push(found);
      if (!reader.is("}")) reader.expect(",", CONTEXT, '"," or "}"');
    }
    reader.take();
  }
  const span = spanFrom(reader, from);
  if (metric !== "") {
    const twice = conditions.find((each) => each.name === METRIC_NAME);
    if (twice !== undefined) throw fail(span, setTwice(metric, twice.value));
    conditions.push(matcher(METRIC_NAME, "=", metric));
  }
  return { type: "vectorSelector", span, name: metric, matchers: conditions, offsetMs: 0 };
}

function setTwice(name: string, other: string): string {
  return `metric name must not be set twice: ${quoteText(name)} or ${quoteText(other)}`;
}

/** Reads a matcher, or a string without an operator, which is the metric's name. */
function readMatcher(reader: TokenReader): Matcher | string {
  const { fail } = reader;
  const label = reader.next;
  const isQuoted = label.type === "string";
  if (!isQuoted && label.type !== "identifier") reader.unexpected(CONTEXT, 'identifier or "}"');
  reader.take();
  const name = isQuoted ? stringOf(label, fail) : label.text;
  const operator = reader.next;
  if (operator.type !== "operator" || !MATCH_OPERATORS.has(operator.text)) {
    if (!isQuoted) reader.unexpected(CONTEXT, "label matching operator");
    if (!isLabelName(name)) throw fail(label, `invalid metric name ${quoteText(name)}`);
    return name;
  }
  if (!isLabelName(name)) throw fail(label, `invalid label name ${quoteText(name)}`);
  reader.take();
  const value = reader.next;
  if (value.type !== "string") reader.unexpected(CONTEXT, "string");
  reader.take();
  return matcherOf(
    name,
    operator.text as MatchOperator,
    stringOf(value, fail),
    spanFrom(reader, label.from),
    fail,
  );
}

function matcherOf(name: string, operator: MatchOperator, value: string, span: Span, fail: Fail): Matcher {
  try {
    return matcher(name, operator, value);
  } catch (error) {
    throw fail(span, error instanceof Error ? error.message : String(error));
  }
}

function spanFrom(reader: TokenReader, from: number): Span {
  return { from, to: reader.end };
}
