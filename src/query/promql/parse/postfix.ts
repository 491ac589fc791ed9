/**
 * What follows an operand: a range, a subquery, `offset` or `@`. It belongs to the operand just before it, so
 * in `a + b offset 5m` to b; the grammar gives it the whole sum, and this puts it where it belongs.
 */
import type { At, Expr, Span, TimeShift } from "./ast.ts";
import { checkNode, type Fail } from "./check.ts";

export type Postfix =
  | { readonly kind: "range"; readonly span: Span; readonly rangeMs: number }
  | { readonly kind: "subquery"; readonly span: Span; readonly rangeMs: number; readonly stepMs?: number }
  | { readonly kind: "offset"; readonly span: Span; readonly offsetMs: number }
  | { readonly kind: "at"; readonly span: Span; readonly at: At };

/** Puts a postfix on the last operand of an expression. */
export function attach(expr: Expr, postfix: Postfix, fail: Fail): Expr {
  const { to } = postfix.span;
  if (expr.type === "unaryExpr") {
    return checked({ ...expr, span: { ...expr.span, to }, expr: attach(expr.expr, postfix, fail) }, fail);
  }
  if (expr.type === "binaryExpr") {
    return checked({ ...expr, span: { ...expr.span, to }, rhs: attach(expr.rhs, postfix, fail) }, fail);
  }
  const span = { from: expr.span.from, to };
  switch (postfix.kind) {
    case "range":
      return ranged(expr, span, postfix.rangeMs, fail);
    case "subquery": {
      const { rangeMs, stepMs } = postfix;
      return checked({ type: "subquery", span, expr, rangeMs, stepMs, offsetMs: 0 }, fail);
    }
    case "offset":
      return shifted(expr, span, fail, {
        what: "offset modifier",
        isSet: (shift) => shift.offsetMs !== 0,
        twice: "offset may not be set multiple times",
        change: { offsetMs: postfix.offsetMs },
      });
    case "at":
      return shifted(expr, span, fail, {
        what: "@ modifier",
        isSet: (shift) => shift.at !== undefined,
        twice: "@ <timestamp> may not be set multiple times",
        change: { at: postfix.at },
      });
  }
}

function checked<Node extends Expr>(expr: Node, fail: Fail): Node {
  checkNode(expr, fail);
  return expr;
}

function ranged(expr: Expr, span: Span, rangeMs: number, fail: Fail): Expr {
  if (expr.type !== "vectorSelector") throw fail(span, "ranges only allowed for vector selectors");
  if (expr.offsetMs !== 0) throw fail(span, "no offset modifiers allowed before range");
  if (expr.at !== undefined) throw fail(span, "no @ modifiers allowed before range");
  return { type: "matrixSelector", span, selector: expr, rangeMs };
}

interface Shift {
  readonly what: string;
  readonly isSet: (shift: TimeShift) => boolean;
  readonly twice: string;
  readonly change: Partial<TimeShift>;
}

function shifted(expr: Expr, span: Span, fail: Fail, { what, isSet, twice, change }: Shift): Expr {
  switch (expr.type) {
    case "vectorSelector":
    case "subquery":
      if (isSet(expr)) throw fail(span, twice);
      return { ...expr, span, ...change };
    case "matrixSelector":
      if (isSet(expr.selector)) throw fail(span, twice);
      return { ...expr, span, selector: { ...expr.selector, ...change } };
    default:
      throw fail(
        span,
        `${what} must be preceded by an instant vector selector or range vector selector or a subquery`,
      );
  }
}
