/**
 * Checks the types of expressions, and where each is allowed. Errors have upstream's wording where people know it by
 * heart.
 */
import { ParseError } from "../query-errors.ts";
import { quoteText } from "../promql-text.ts";
import {
  type AggregateExpr,
  type BinaryExpr,
  type Call,
  type Expr,
  isComparison,
  isSetOperator,
  type Span,
  type ValueType,
} from "./ast.ts";
import { signatureOf } from "./functions.ts";

/** The types' names in messages. */
export const TYPE_NAMES: Record<ValueType, string> = {
  scalar: "scalar",
  vector: "instant vector",
  matrix: "range vector",
  string: "string",
};

/** The type of an expression's value. */
export function typeOf(expr: Expr): ValueType {
  switch (expr.type) {
    case "numberLiteral":
      return "scalar";
    case "stringLiteral":
      return "string";
    case "vectorSelector":
    case "aggregation":
      return "vector";
    case "matrixSelector":
    case "subquery":
      return "matrix";
    case "unaryExpr":
    case "parenExpr":
      return typeOf(expr.expr);
    case "binaryExpr":
      return typeOf(expr.lhs) === "scalar" && typeOf(expr.rhs) === "scalar" ? "scalar" : "vector";
    case "call":
      return signatureOf(expr.name)?.returns ?? "vector";
  }
}

export type Fail = (span: Span, message: string) => ParseError;

/** Creates parse errors with line and column. */
export function failIn(text: string): Fail {
  return (span, message) =>
    new ParseError(`${positionIn(text, span.from)}: parse error: ${message}`, "query");
}

/** Line and column, from 1; columns count bytes of UTF-8, as upstream's do. */
export function positionIn(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  const line = before.split("\n").length;
  return `${line}:${Buffer.byteLength(before.slice(lineStart)) + 1}`;
}

function expectType(fail: Fail, expr: Expr, wanted: ValueType, where: string): void {
  const got = typeOf(expr);
  if (got !== wanted) {
    throw fail(expr.span, `expected type ${TYPE_NAMES[wanted]} in ${where}, got ${TYPE_NAMES[got]}`);
  }
}

/** Checks one node whose children are valid; throws its error. */
export function checkNode(expr: Expr, fail: Fail): void {
  switch (expr.type) {
    case "unaryExpr": {
      const type = typeOf(expr.expr);
      if (type !== "scalar" && type !== "vector") {
        throw fail(
          expr.span,
          `unary expression only allowed on expressions of type scalar or instant vector, got ${quoteText(TYPE_NAMES[type])}`,
        );
      }
      return;
    }
    case "subquery": {
      const type = typeOf(expr.expr);
      if (type !== "vector") {
        throw fail(expr.span, `subquery is only allowed on instant vector, got ${type} instead`);
      }
      return;
    }
    case "vectorSelector":
      // `x!="y"` alone would select everything: an absent label must fail at least one condition.
      if (!expr.matchers.some((each) => !each.matches(""))) {
        throw fail(expr.span, "vector selector must contain at least one non-empty matcher");
      }
      return;
    case "binaryExpr":
      checkBinary(expr, fail);
      return;
    case "aggregation":
      checkAggregation(expr, fail);
      return;
    case "call":
      checkCall(expr, fail);
      return;
  }
}

function checkBinary({ op, opSpan, lhs, rhs, bool, matching, span }: BinaryExpr, fail: Fail): void {
  const types = [typeOf(lhs), typeOf(rhs)];
  for (const [at, type] of types.entries()) {
    if (type !== "scalar" && type !== "vector") {
      const side = at === 0 ? lhs : rhs;
      throw fail(side.span, "binary expression must contain only scalar and instant vector types");
    }
  }
  const scalars = types.filter((type) => type === "scalar").length;
  if (bool && !isComparison(op)) {
    throw fail(opSpan, "bool modifier can only be used on comparison operators");
  }
  if (isComparison(op) && !bool && scalars === 2) {
    throw fail(opSpan, "comparisons between scalars must use BOOL modifier");
  }
  if (isSetOperator(op) && scalars > 0) {
    throw fail(span, `set operator ${quoteText(op)} not allowed in binary scalar expression`);
  }
  if (matching === undefined) return;
  if (scalars > 0 && matching.labels.length > 0) {
    throw fail(span, "vector matching only allowed between instant vectors");
  }
  if (matching.on) {
    const twice = matching.include.find((label) => matching.labels.includes(label));
    if (twice !== undefined) {
      throw fail(opSpan, `label ${quoteText(twice)} must not occur in ON and GROUP clause at once`);
    }
  }
}

function checkAggregation({ op, expr, param }: AggregateExpr, fail: Fail): void {
  expectType(fail, expr, "vector", "aggregation expression");
  if (param === undefined) return;
  expectType(fail, param, op === "count_values" ? "string" : "scalar", "aggregation parameter");
}

function checkCall({ name, args, span }: Call, fail: Fail): void {
  const signature = signatureOf(name)!;
  const most = signature.args.length;
  const least =
    signature.optional === 0 ? most : signature.optional < 0 ? most - 1 : most - signature.optional;
  const got = `in call to ${quoteText(name)}, got ${args.length}`;
  if (signature.optional === 0 && args.length !== most) {
    throw fail(span, `expected ${most} argument(s) ${got}`);
  }
  if (args.length < least) throw fail(span, `expected at least ${least} argument(s) ${got}`);
  if (signature.optional > 0 && args.length > most) {
    throw fail(span, `expected at most ${most} argument(s) ${got}`);
  }
  for (const [at, arg] of args.entries()) {
    expectType(fail, arg, signature.args[Math.min(at, most - 1)], `call to function ${quoteText(name)}`);
  }
}
