/**
 * Syntax tree → text: on one line as upstream prints expressions, or on several indented lines if one would be longer
 * than 100 characters.
 */

import { METRIC_NAME } from "../labels.ts";
import { formatMatcher, type Matcher } from "../matchers.ts";
import { formatDuration } from "../../../model/duration.ts";
import { formatDecimal, quoteText } from "../promql-text.ts";
import type {
  AggregateExpr,
  BinaryExpr,
  Expr,
  MatrixSelector,
  Subquery,
  TimeShift,
  VectorSelector,
} from "./ast.ts";
import { printDuration } from "./durations.ts";

const LINE_LENGTH = 100;
const INDENT = "  ";

/** The expression on one line. */
export function printExpr(expr: Expr): string {
  switch (expr.type) {
    case "numberLiteral":
      return expr.duration ? formatDuration(expr.value * 1000) : formatDecimal(expr.value);
    case "stringLiteral":
      return quoteText(expr.value);
    case "vectorSelector":
      return selector(expr) + shift(expr);
    case "matrixSelector":
      return `${selector(expr.selector)}[${range(expr)}]${shift(expr.selector)}`;
    case "subquery":
      return printExpr(expr.expr) + subqueryRange(expr);
    case "unaryExpr":
      return expr.op + printExpr(expr.expr);
    case "parenExpr":
      return `(${printExpr(expr.expr)})`;
    case "binaryExpr":
      return `${printExpr(expr.lhs)} ${operator(expr)} ${printExpr(expr.rhs)}`;
    case "aggregation":
      return `${aggregation(expr)}(${argumentsOf(expr).map(printExpr).join(", ")})`;
    case "call":
      return `${expr.name}(${expr.args.map(printExpr).join(", ")})`;
  }
}

/** The expression on as many lines as it needs to be readable. */
export function formatExpr(expr: Expr, level = 0): string {
  const indent = INDENT.repeat(level);
  const line = printExpr(expr);
  if (line.length <= LINE_LENGTH) return indent + line;
  const inner = (child: Expr) => formatExpr(child, level + 1);
  const list = (head: string, children: readonly Expr[], tail = "") =>
    `${indent}${head}(\n${children.map(inner).join(",\n")}\n${indent})${tail}`;
  switch (expr.type) {
    case "parenExpr":
      return list("", [expr.expr]);
    case "unaryExpr":
      return `${indent}${expr.op}${formatExpr(expr.expr, level).trimStart()}`;
    case "subquery":
      return formatExpr(expr.expr, level) + subqueryRange(expr);
    case "binaryExpr":
      return `${inner(expr.lhs)}\n${indent}${operator(expr)}\n${inner(expr.rhs)}`;
    case "aggregation":
      return list(aggregation(expr), argumentsOf(expr));
    case "call":
      return list(expr.name, expr.args);
    default:
      return indent + line;
  }
}

function selector({ name, matchers }: VectorSelector): string {
  const plain = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
  const isName = (each: Matcher) => name !== "" && each.name === METRIC_NAME;
  const conditions = matchers.filter((each) => !isName(each)).map(formatMatcher);
  if (name !== "" && !plain) conditions.unshift(quoteText(name));
  return (plain ? name : "") + (conditions.length > 0 ? `{${conditions.join(",")}}` : "");
}

function shift({ at, offsetMs, offsetExpr }: TimeShift): string {
  const time = at === undefined ? "" : typeof at === "number" ? ` @ ${(at / 1000).toFixed(3)}` : ` @ ${at}()`;
  if (offsetMs === 0 && offsetExpr === undefined) return time;
  return `${time} offset ${printDuration({ ms: offsetMs, expr: offsetExpr })}`;
}

function range({ rangeMs, rangeExpr }: MatrixSelector | Subquery): string {
  return printDuration({ ms: rangeMs, expr: rangeExpr });
}

function subqueryRange(expr: Subquery): string {
  const step = expr.stepMs === undefined ? "" : printDuration({ ms: expr.stepMs, expr: expr.stepExpr });
  return `[${range(expr)}:${step}]${shift(expr)}`;
}

function labels(names: readonly string[]): string {
  return names.map((name) => (/^[a-zA-Z_]\w*$/.test(name) ? name : quoteText(name))).join(", ");
}

function operator({ op, bool, matching }: BinaryExpr): string {
  let text = op + (bool ? " bool" : "");
  if (matching === undefined) return text;
  const grouped = matching.card === "many-to-one" ? "group_left" : "group_right";
  const isGrouped = matching.card === "many-to-one" || matching.card === "one-to-many";
  if (matching.on || matching.labels.length > 0 || isGrouped) {
    text += ` ${matching.on ? "on" : "ignoring"} (${labels(matching.labels)})`;
  }
  return isGrouped ? `${text} ${grouped} (${labels(matching.include)})` : text;
}

function aggregation({ op, grouping, without }: AggregateExpr): string {
  if (without) return `${op} without (${labels(grouping)}) `;
  return grouping.length > 0 ? `${op} by (${labels(grouping)}) ` : op;
}

function argumentsOf({ param, expr }: AggregateExpr): Expr[] {
  return param === undefined ? [expr] : [param, expr];
}
