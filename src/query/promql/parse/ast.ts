/**
 * The syntax tree of PromQL. Node types have the names of upstream's parse API. Spans are offsets in the text, so that
 * errors and annotations have positions.
 */
import type { Matcher } from "../matchers.ts";

export interface Span {
  readonly from: number;
  readonly to: number;
}

export type ValueType = "scalar" | "vector" | "matrix" | "string";

/** The time that `@` sets, in milliseconds, or an end of the query's range. */
export type At = number | "start" | "end";

export type DurationOperator = "+" | "-" | "*" | "/" | "%" | "^";

/** Arithmetic in durations; values are seconds. */
export type DurationExpr = { readonly span: Span } & (
  | { readonly type: "number"; readonly value: number; readonly duration?: boolean }
  /** The step or the length of the query. */
  | { readonly type: "step" | "range" }
  | { readonly type: "paren" | "negated"; readonly expr: DurationExpr }
  | { readonly type: "min_of" | "max_of"; readonly lhs: DurationExpr; readonly rhs: DurationExpr }
  | {
      readonly type: "binary";
      readonly op: DurationOperator;
      readonly opSpan: Span;
      readonly lhs: DurationExpr;
      readonly rhs: DurationExpr;
    }
);

/**
 * `offset` and `@` of a selector or subquery. If there is an expression, the milliseconds beside it are 0 until the
 * query is planned, unless it is a literal in parentheses. The same is true of ranges and steps.
 */
export interface TimeShift {
  readonly offsetMs: number;
  readonly offsetExpr?: DurationExpr;
  readonly at?: At;
}

export function hasOffset({ offsetMs, offsetExpr }: TimeShift): boolean {
  return offsetMs !== 0 || offsetExpr !== undefined;
}

/** Whether a selector or subquery has `offset` or `@`. */
export function isShifted(shift: TimeShift): boolean {
  return hasOffset(shift) || shift.at !== undefined;
}

interface NumberLiteral {
  readonly type: "numberLiteral";
  readonly span: Span;
  readonly value: number;
  /** Written as a duration, and therefore printed as one. */
  readonly duration?: boolean;
}

interface StringLiteral {
  readonly type: "stringLiteral";
  readonly span: Span;
  readonly value: string;
}

export interface VectorSelector extends TimeShift {
  readonly type: "vectorSelector";
  readonly span: Span;
  /** The name before the braces or quoted inside them; empty if matchers alone select. */
  readonly name: string;
  /** All conditions, including the one on the name. */
  readonly matchers: readonly Matcher[];
}

export interface MatrixSelector {
  readonly type: "matrixSelector";
  readonly span: Span;
  /** This selector has the offset and `@`. */
  readonly selector: VectorSelector;
  readonly rangeMs: number;
  readonly rangeExpr?: DurationExpr;
}

export interface Subquery extends TimeShift {
  readonly type: "subquery";
  readonly span: Span;
  readonly expr: Expr;
  readonly rangeMs: number;
  readonly rangeExpr?: DurationExpr;
  /** Absent: the default resolution. */
  readonly stepMs?: number;
  readonly stepExpr?: DurationExpr;
}

interface UnaryExpr {
  readonly type: "unaryExpr";
  readonly span: Span;
  readonly op: "+" | "-";
  readonly expr: Expr;
}

type ArithmeticOperator = "+" | "-" | "*" | "/" | "%" | "^" | "atan2";
type ComparisonOperator = "==" | "!=" | "<" | "<=" | ">" | ">=";
export type SetOperator = "and" | "or" | "unless";
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | SetOperator;

export type Cardinality = "one-to-one" | "many-to-one" | "one-to-many" | "many-to-many";

export interface VectorMatching {
  readonly card: Cardinality;
  /** With `on`: the labels that must match; otherwise the labels that are ignored. */
  readonly labels: readonly string[];
  readonly on: boolean;
  /** Labels that are copied from the "one" side. */
  readonly include: readonly string[];
}

export interface BinaryExpr {
  readonly type: "binaryExpr";
  readonly span: Span;
  readonly op: BinaryOperator;
  readonly opSpan: Span;
  readonly lhs: Expr;
  readonly rhs: Expr;
  readonly bool: boolean;
  /** Absent unless both sides are vectors. */
  readonly matching?: VectorMatching;
}

export const AGGREGATIONS = [
  "sum",
  "avg",
  "count",
  "min",
  "max",
  "group",
  "stddev",
  "stdvar",
  "topk",
  "bottomk",
  "count_values",
  "quantile",
  "limitk",
  "limit_ratio",
] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

export interface AggregateExpr {
  readonly type: "aggregation";
  readonly span: Span;
  readonly op: Aggregation;
  readonly expr: Expr;
  readonly param?: Expr;
  readonly grouping: readonly string[];
  readonly without: boolean;
}

export interface Call {
  readonly type: "call";
  readonly span: Span;
  readonly name: string;
  readonly args: readonly Expr[];
}

interface ParenExpr {
  readonly type: "parenExpr";
  readonly span: Span;
  readonly expr: Expr;
}

export type Expr =
  | NumberLiteral
  | StringLiteral
  | VectorSelector
  | MatrixSelector
  | Subquery
  | UnaryExpr
  | BinaryExpr
  | AggregateExpr
  | Call
  | ParenExpr;

/** The node inside any number of parentheses. */
export function withoutParens(expr: Expr): Exclude<Expr, ParenExpr> {
  let inner = expr;
  while (inner.type === "parenExpr") inner = inner.expr;
  return inner;
}

/** The direct children of a node. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.type) {
    case "binaryExpr":
      return [expr.lhs, expr.rhs];
    case "aggregation":
      return expr.param === undefined ? [expr.expr] : [expr.param, expr.expr];
    case "call":
      return expr.args;
    case "unaryExpr":
    case "parenExpr":
    case "subquery":
      return [expr.expr];
    case "matrixSelector":
      return [expr.selector];
    default:
      return [];
  }
}

/** All selectors of an expression. */
export function selectorsIn(expr: Expr): VectorSelector[] {
  return expr.type === "vectorSelector" ? [expr] : childrenOf(expr).flatMap(selectorsIn);
}

export function isComparison(op: BinaryOperator): op is ComparisonOperator {
  return op === "==" || op === "!=" || op === "<" || op === "<=" || op === ">" || op === ">=";
}

export function isSetOperator(op: BinaryOperator): op is SetOperator {
  return op === "and" || op === "or" || op === "unless";
}
