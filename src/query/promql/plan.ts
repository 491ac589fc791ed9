/**
 * Syntax tree → plan: `@ start()` and `@ end()` become times, nodes that do not depend on the step are marked, and the
 * range of time that the selectors read is computed before anything is read.
 */
import { checkSelectors } from "./evaluate/bounds.ts";
import { NotSupported } from "./query-errors.ts";
import { type At, childrenOf, type DurationExpr, type Expr, type TimeShift } from "./parse/ast.ts";
import type { Fail } from "./parse/check-types.ts";
import { durationMsOf } from "./parse/durations.ts";
import { signatureOf } from "./parse/functions.ts";

interface PlanOptions {
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for an instant query. */
  readonly stepMs: number;
  readonly lookbackMs: number;
}

export interface Plan {
  readonly expr: Expr;
  /** Nodes whose value is the same in all steps. */
  readonly stepInvariant: ReadonlySet<Expr>;
  /** What each selector reads: samples after `afterMs`, up to and including `toMs`. */
  readonly reads: readonly PlannedRead[];
  /** The earliest `afterMs`. */
  readonly afterMs: number;
}

export interface PlannedRead {
  readonly selector: Expr & { type: "vectorSelector" };
  readonly afterMs: number;
  readonly toMs: number;
}

/** Functions whose value depends on the step even if none of their arguments does. */
const STEP_DEPENDENT = new Set(
  "time timestamp predict_linear days_in_month day_of_month day_of_week day_of_year hour minute month year".split(
    " ",
  ),
);
const EXPERIMENTAL_AGGREGATIONS = new Set(["limitk", "limit_ratio"]);

/** @param fail for durations that are found to be invalid once the query's times are known */
export function planQuery(parsed: Expr, options: PlanOptions, fail: Fail): Plan {
  rejectExperimental(parsed);
  const expr = fixTimes(parsed, options, fail);
  const stepInvariant = new Set<Expr>();
  markInvariant(expr, stepInvariant);
  const reads: PlannedRead[] = [];
  collectReads(expr, options.startMs, options.endMs, options, reads);
  checkSelectors(reads.map(({ selector }) => selector));
  return { expr, stepInvariant, reads, afterMs: Math.min(...reads.map((read) => read.afterMs)) };
}

function rejectExperimental(expr: Expr): void {
  const name = expr.type === "call" ? expr.name : expr.type === "aggregation" ? expr.op : "";
  if (EXPERIMENTAL_AGGREGATIONS.has(name) || (expr.type === "call" && signatureOf(name)?.experimental)) {
    throw new NotSupported(`${name}() is experimental in PromQL and is not supported`, "query");
  }
  for (const child of childrenOf(expr)) rejectExperimental(child);
}

/** Returns the tree with times and durations in place of the expressions for them: `start()`, `step()`, `5m * 2`. */
function fixTimes(expr: Expr, options: PlanOptions, fail: Fail): Expr {
  const { startMs, endMs, stepMs } = options;
  const times = { stepMs, rangeMs: endMs - startMs };
  const at = (each: At | undefined) => (each === "start" ? startMs : each === "end" ? endMs : each);
  const positive = (duration: DurationExpr | undefined, ms: number) =>
    duration === undefined ? ms : durationMsOf(duration, times, fail, true);
  const shift = ({ at: time, offsetExpr, offsetMs }: TimeShift) => ({
    at: at(time),
    offsetMs: offsetExpr === undefined ? offsetMs : durationMsOf(offsetExpr, times, fail, false),
  });
  const down = (child: Expr) => fixTimes(child, options, fail);
  switch (expr.type) {
    case "vectorSelector":
      return { ...expr, ...shift(expr) };
    case "matrixSelector": {
      const rangeMs = positive(expr.rangeExpr, expr.rangeMs);
      return { ...expr, rangeMs, selector: { ...expr.selector, ...shift(expr.selector) } };
    }
    case "subquery": {
      const rangeMs = positive(expr.rangeExpr, expr.rangeMs);
      const ownStepMs = expr.stepExpr === undefined ? expr.stepMs : positive(expr.stepExpr, 0);
      return { ...expr, ...shift(expr), rangeMs, stepMs: ownStepMs, expr: down(expr.expr) };
    }
    case "unaryExpr":
    case "parenExpr":
      return { ...expr, expr: down(expr.expr) };
    case "binaryExpr":
      return { ...expr, lhs: down(expr.lhs), rhs: down(expr.rhs) };
    case "aggregation":
      return { ...expr, expr: down(expr.expr), param: expr.param && down(expr.param) };
    case "call":
      return { ...expr, args: expr.args.map(down) };
    default:
      return expr;
  }
}

function markInvariant(expr: Expr, marked: Set<Expr>): boolean {
  const children = childrenOf(expr).map((child) => markInvariant(child, marked));
  const invariant = isInvariant(expr, children);
  // Creating numbers and strings is cheaper than copying them to all steps.
  if (invariant && expr.type !== "numberLiteral" && expr.type !== "stringLiteral") marked.add(expr);
  return invariant;
}

function isInvariant(expr: Expr, children: readonly boolean[]): boolean {
  switch (expr.type) {
    case "vectorSelector":
    case "subquery":
      return expr.at !== undefined;
    case "call":
      return !STEP_DEPENDENT.has(expr.name) && children.every(Boolean);
    default:
      return children.every(Boolean);
  }
}

function collectReads(
  expr: Expr,
  firstMs: number,
  lastMs: number,
  options: PlanOptions,
  reads: PlannedRead[],
): void {
  const shifted = (shift: TimeShift) => {
    const at = typeof shift.at === "number" ? shift.at : undefined;
    return [(at ?? firstMs) - shift.offsetMs, (at ?? lastMs) - shift.offsetMs];
  };
  switch (expr.type) {
    case "vectorSelector": {
      const [from, toMs] = shifted(expr);
      reads.push({ selector: expr, afterMs: from - options.lookbackMs, toMs });
      return;
    }
    case "matrixSelector": {
      const [from, toMs] = shifted(expr.selector);
      reads.push({ selector: expr.selector, afterMs: from - expr.rangeMs, toMs });
      return;
    }
    case "subquery": {
      const [from, to] = shifted(expr);
      collectReads(expr.expr, from - expr.rangeMs, to, options, reads);
      return;
    }
    default:
      for (const child of childrenOf(expr)) collectReads(child, firstMs, lastMs, options, reads);
  }
}
