/** The postfixes of an operand: a range, a subquery, `offset`, `@`. Each checks which operands it can follow. */
import { unsupportedWord } from "../query-errors.ts";
import { formatFloat } from "../promql-text.ts";
import { type Expr, hasOffset, type Span, type TimeShift } from "./ast.ts";
import type { Fail } from "./check-types.ts";
import { type Duration, readOffset, readPositive } from "./durations.ts";
import { numberOf } from "./literals.ts";
import type { TokenReader } from "./token-reader.ts";

/** 31,700 years: within upstream's 64 bits of milliseconds, and exact in a double. */
const AT_SECONDS_MAX = 1e15;

/** Reads one postfix and applies it to the operand; returns undefined if none follows. */
export function readPostfix(reader: TokenReader, expr: Expr): Expr | undefined {
  const bracket = reader.accept("[");
  if (bracket !== undefined) return bracketed(reader, expr, bracket.from);
  if (reader.accept("offset")) return offset(reader, expr);
  if (reader.accept("@")) return at(reader, expr);
  for (const word of ["anchored", "smoothed"])
    if (reader.is(word)) throw unsupportedWord(`the modifier \`${word}\``);
  return undefined;
}

/** @param from the position of the bracket */
function bracketed(reader: TokenReader, expr: Expr, from: number): Expr {
  const range = readPositive(reader);
  const isSubquery = reader.accept(":") !== undefined;
  if (!isSubquery) {
    reader.expect("]", "subquery or range", '":" or "]"');
    return ranged(expr, { from, to: reader.end }, range, reader.fail);
  }
  const step = reader.is("]")
    ? undefined
    : readPositive(reader, 'number, duration, step(), range(), or "]"', "subquery selector");
  reader.expect("]", "subquery selector", '"]"');
  return {
    type: "subquery",
    span: { from: expr.span.from, to: reader.end },
    expr,
    rangeMs: range.ms,
    rangeExpr: range.expr,
    stepMs: step?.ms,
    stepExpr: step?.expr,
    offsetMs: 0,
  };
}

function ranged(expr: Expr, brackets: Span, { ms, expr: rangeExpr }: Duration, fail: Fail): Expr {
  if (expr.type !== "vectorSelector") throw fail(brackets, "ranges only allowed for vector selectors");
  if (hasOffset(expr)) throw fail(brackets, "no offset modifiers allowed before range");
  if (expr.at !== undefined) throw fail(brackets, "no @ modifiers allowed before range");
  const span = { from: expr.span.from, to: brackets.to };
  return { type: "matrixSelector", span, selector: expr, rangeMs: ms, rangeExpr };
}

function offset(reader: TokenReader, expr: Expr): Expr {
  const { ms, expr: offsetExpr } = readOffset(reader);
  return shifted(reader, expr, {
    what: "offset modifier",
    isSet: hasOffset,
    twice: "offset may not be set multiple times",
    change: { offsetMs: ms, offsetExpr },
  });
}

function at(reader: TokenReader, expr: Expr): Expr {
  return shifted(reader, expr, {
    what: "@ modifier",
    isSet: (shift) => shift.at !== undefined,
    twice: "@ <timestamp> may not be set multiple times",
    change: { at: readAt(reader, expr.span) },
  });
}

function readAt(reader: TokenReader, selector: Span): TimeShift["at"] {
  const { fail } = reader;
  for (const end of ["start", "end"] as const) {
    if (reader.accept(end) === undefined) continue;
    reader.expect("(", "@", "timestamp");
    reader.expect(")", "@", "timestamp");
    return end;
  }
  const sign = reader.accept("-") ?? reader.accept("+");
  const token = reader.next;
  if (token.type !== "number" && token.type !== "duration") reader.unexpected("@", "timestamp");
  reader.take();
  const { value } = numberOf(token, fail);
  const seconds = sign?.text === "-" ? -value : value;
  if (!(Math.abs(seconds) <= AT_SECONDS_MAX)) {
    const written = Number.isFinite(seconds) ? seconds.toFixed(6) : formatFloat(seconds);
    throw fail(selector, `timestamp out of bounds for @ modifier: ${written}`);
  }
  return Math.round(seconds * 1000);
}

interface Shift {
  readonly what: string;
  readonly isSet: (shift: TimeShift) => boolean;
  readonly twice: string;
  readonly change: Partial<TimeShift>;
}

function shifted(reader: TokenReader, expr: Expr, { what, isSet, twice, change }: Shift): Expr {
  const { fail } = reader;
  const span = { from: expr.span.from, to: reader.end };
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
