/**
 * Selectors: a metric's name, matchers, or both. A quoted name stands inside the braces, alone:
 * `{"http.requests", job="x"}`.
 */
import type { SyntaxNode } from "@lezer/common";
import { isLabelName, METRIC_NAME } from "../labels.ts";
import { type Matcher, type MatchOperator, matcher } from "../matchers.ts";
import { quoteText, unquoteText } from "../text.ts";
import type { Span, VectorSelector } from "./ast.ts";
import type { Fail } from "./check.ts";

/** Reads a VectorSelector node. */
export function selectorOf(node: SyntaxNode, text: string, fail: Fail): VectorSelector {
  const span = { from: node.from, to: node.to };
  const slice = (each: SyntaxNode) => text.slice(each.from, each.to);
  const unquote = (each: SyntaxNode) => {
    const value = unquoteText(slice(each));
    if (value === undefined) {
      throw fail(spanOf(each), `invalid or unterminated quoted string ${quoteText(slice(each))}`);
    }
    return value;
  };
  const identifier = node.getChild("Identifier");
  let name = identifier === null ? "" : slice(identifier);
  const conditions: Matcher[] = [];
  for (
    let each = node.getChild("LabelMatchers")?.firstChild ?? null;
    each !== null;
    each = each.nextSibling
  ) {
    if (each.name === "QuotedLabelName") {
      const quoted = unquote(each);
      if (name !== "") {
        throw fail(
          spanOf(each),
          `metric name must not be set twice: ${quoteText(name)} or ${quoteText(quoted)}`,
        );
      }
      if (!isLabelName(quoted)) throw fail(spanOf(each), `invalid metric name ${quoteText(quoted)}`);
      name = quoted;
    } else if (each.name === "UnquotedLabelMatcher" || each.name === "QuotedLabelMatcher") {
      const labelNode = each.getChild("LabelName") ?? each.getChild("QuotedLabelName")!;
      const label = labelNode.name === "LabelName" ? slice(labelNode) : unquote(labelNode);
      if (!isLabelName(label)) throw fail(spanOf(labelNode), `invalid label name ${quoteText(label)}`);
      const operator = slice(each.getChild("MatchOp")!) as MatchOperator;
      conditions.push(
        matcherOf(label, operator, unquote(each.getChild("StringLiteral")!), spanOf(each), fail),
      );
    }
  }
  if (name !== "") {
    const twice = conditions.find((each) => each.name === METRIC_NAME);
    if (twice !== undefined) {
      throw fail(span, `metric name must not be set twice: ${quoteText(name)} or ${quoteText(twice.value)}`);
    }
    conditions.push(matcher(METRIC_NAME, "=", name));
  }
  return { type: "vectorSelector", span, name, matchers: conditions, offsetMs: 0 };
}

function matcherOf(name: string, operator: MatchOperator, value: string, span: Span, fail: Fail): Matcher {
  try {
    return matcher(name, operator, value);
  } catch (error) {
    throw fail(span, error instanceof Error ? error.message : String(error));
  }
}

function spanOf(node: SyntaxNode): Span {
  return { from: node.from, to: node.to };
}
