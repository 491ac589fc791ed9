/**
 * Durations in brackets and after `offset`: literals, and arithmetic on them with `step()`, `range()`, `min_of()`
 * and `max_of()` (https://prometheus.io/docs/prometheus/latest/querying/basics/#duration-expressions). A duration of
 * literals alone is checked at once, any other when the query's times are known.
 */
import { formatDuration } from "../../../model/duration.ts";
import { formatDecimal } from "../promql-text.ts";
import type { DurationExpr, DurationOperator, Span } from "./ast.ts";
import type { Fail } from "./check-types.ts";
import { numberOf } from "./literals.ts";
import type { TokenReader } from "./token-reader.ts";

/** A duration in the tree: its milliseconds if it is a literal, else 0 and the expression that computes them. */
export interface Duration {
  readonly ms: number;
  readonly expr?: DurationExpr;
}

/** About 292 years: the limit of upstream's 64 bits of nanoseconds. */
const SECONDS_MAX = 2 ** 63 / 1e9;
const DEPTH_MAX = 100;
const PRECEDENCES: Readonly<Record<string, number>> = { "+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3 };
const UNARY_PRECEDENCE = 2;
const EXPECTED = "number, duration, step(), or range()";

/** Reads a range or a step, which must be greater than zero. */
export function readPositive(reader: TokenReader, expected = EXPECTED, context?: string): Duration {
  return durationOf(
    readSum(reader, 1, 0, context ?? "subquery or range selector", expected),
    reader.fail,
    true,
  );
}

/** Reads the duration after `offset`. Arithmetic must be in parentheses: `offset 1m + 1m` adds to the selector. */
export function readOffset(reader: TokenReader): Duration {
  return durationOf(readOperand(reader, 0, "offset", EXPECTED, false), reader.fail, false);
}

function durationOf(expr: DurationExpr, fail: Fail, isPositive: boolean): Duration {
  const seconds = literalOf(expr);
  if (seconds === undefined) return { ms: 0, expr };
  const ms = Math.round(seconds * 1000);
  if (isPositive && !(ms > 0)) throw fail(expr.span, "duration must be greater than 0");
  return expr.type === "number" ? { ms } : { ms, expr };
}

/** The seconds of a literal, with or without parentheses. */
function literalOf(expr: DurationExpr): number | undefined {
  return expr.type === "number" ? expr.value : expr.type === "paren" ? literalOf(expr.expr) : undefined;
}

function readSum(
  reader: TokenReader,
  precedenceMin: number,
  depth: number,
  context: string,
  expected: string,
): DurationExpr {
  let lhs = readOperand(reader, depth, context, expected, true);
  for (let count = 0; ; count++) {
    const { next } = reader;
    const precedence = next.type === "operator" ? (PRECEDENCES[next.text] ?? 0) : 0;
    if (precedence < precedenceMin) return lhs;
    checkDepth(reader, depth + count);
    reader.take();
    const op = next.text as DurationOperator;
    const rhs = readSum(reader, op === "^" ? precedence : precedence + 1, depth + 1, context, expected);
    if ((op === "/" || op === "%") && literalOf(rhs) === 0) throw reader.fail(next, zeroDivision(op));
    lhs = { type: "binary", span: { from: lhs.span.from, to: rhs.span.to }, op, opSpan: next, lhs, rhs };
  }
}

function zeroDivision(op: "/" | "%"): string {
  return op === "/" ? "division by zero" : "modulo by zero";
}

function checkDepth(reader: TokenReader, depth: number): void {
  if (depth > DEPTH_MAX) throw reader.fail(reader.next, `durations may be nested ${DEPTH_MAX} deep at most`);
}

/** Reads one operand with its signs; within arithmetic a sign applies to a power as a whole. */
function readOperand(
  reader: TokenReader,
  depth: number,
  context: string,
  expected: string,
  isArithmetic: boolean,
): DurationExpr {
  checkDepth(reader, depth);
  const token = reader.next;
  if (reader.is("+") || reader.is("-")) {
    reader.take();
    const operand = isArithmetic
      ? readSum(reader, UNARY_PRECEDENCE + 1, depth + 1, context, expected)
      : readPrimary(reader, depth + 1, context, expected);
    const span = { from: token.from, to: operand.span.to };
    if (token.text === "+") return { ...operand, span };
    if (operand.type === "number") return { ...operand, span, value: -operand.value };
    return { type: "negated", span, expr: operand };
  }
  return readPrimary(reader, depth, context, expected);
}

function readPrimary(reader: TokenReader, depth: number, context: string, expected: string): DurationExpr {
  const token = reader.next;
  const { from } = token;
  if (token.type === "number" || token.type === "duration") {
    reader.take();
    const { value, duration } = numberOf(token, reader.fail);
    if (!(Math.abs(value) <= SECONDS_MAX)) throw reader.fail(token, "duration out of range");
    return { type: "number", span: { from, to: token.to }, value, duration };
  }
  if (reader.accept("(")) {
    const expr = readSum(reader, 1, depth + 1, context, expected);
    return { type: "paren", span: { from, to: reader.expect(")", context).to }, expr };
  }
  const type = token.text;
  if (token.type !== "keyword") reader.unexpected(context, expected);
  if (type === "step" || type === "range") {
    reader.take();
    reader.expect("(", context);
    return { type, span: { from, to: reader.expect(")", context).to } };
  }
  if (type !== "min_of" && type !== "max_of") reader.unexpected(context, expected);
  reader.take();
  reader.expect("(", context);
  const lhs = readSum(reader, 1, depth + 1, context, expected);
  reader.expect(",", context);
  const rhs = readSum(reader, 1, depth + 1, context, expected);
  return { type, span: { from, to: reader.expect(")", context).to }, lhs, rhs };
}

/** The query's own times, which durations can refer to: both 0 for an instant query. */
interface QueryTimes {
  readonly stepMs: number;
  readonly rangeMs: number;
}

/** The milliseconds of an expression; throws if it is out of range, or if a range or step is not positive. */
export function durationMsOf(expr: DurationExpr, times: QueryTimes, fail: Fail, isPositive: boolean): number {
  const seconds = secondsOf(expr, times, fail);
  if (!(Math.abs(seconds) <= SECONDS_MAX)) throw fail(expr.span, "duration is out of range");
  const ms = Math.round(seconds * 1000);
  if (isPositive && ms <= 0) throw fail(expr.span, "duration must be greater than 0");
  return ms;
}

function secondsOf(expr: DurationExpr, times: QueryTimes, fail: Fail): number {
  const inner = (each: DurationExpr) => secondsOf(each, times, fail);
  switch (expr.type) {
    case "number":
      return expr.value;
    case "step":
      return times.stepMs / 1000;
    case "range":
      return times.rangeMs / 1000;
    case "paren":
      return inner(expr.expr);
    case "negated":
      return -inner(expr.expr);
    case "min_of":
      return Math.min(inner(expr.lhs), inner(expr.rhs));
    case "max_of":
      return Math.max(inner(expr.lhs), inner(expr.rhs));
    case "binary":
      return calculated(expr.op, inner(expr.lhs), inner(expr.rhs), expr.opSpan, fail);
  }
}

function calculated(op: DurationOperator, a: number, b: number, span: Span, fail: Fail): number {
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "^":
      return a ** b;
    default:
      if (b === 0) throw fail(span, zeroDivision(op));
      return op === "/" ? a / b : a % b;
  }
}

/** Formats a duration as upstream does. */
export function printDuration({ ms, expr }: Duration): string {
  return expr === undefined ? formatDuration(ms) : printDurationExpr(expr);
}

function printDurationExpr(expr: DurationExpr): string {
  switch (expr.type) {
    case "number":
      return expr.duration ? formatDuration(expr.value * 1000) : formatDecimal(expr.value);
    case "step":
    case "range":
      return `${expr.type}()`;
    case "paren":
      return `(${printDurationExpr(expr.expr)})`;
    case "negated":
      return `-${printDurationExpr(expr.expr)}`;
    case "binary":
      return `${printDurationExpr(expr.lhs)} ${expr.op} ${printDurationExpr(expr.rhs)}`;
    default:
      return `${expr.type}(${printDurationExpr(expr.lhs)}, ${printDurationExpr(expr.rhs)})`;
  }
}
