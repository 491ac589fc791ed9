/**
 * Syntax tree → plan: `@ start()` and `@ end()` become times, what does not depend on the step is marked, and
 * the time that the selectors look at is known before anything is read.
 */
import { NotSupported } from "./errors.ts";
import { type At, childrenOf, type Expr, type TimeShift } from "./parse/ast.ts";
import { signatureOf } from "./parse/functions.ts";

export interface PlanOptions {
  readonly startMs: number;
  readonly endMs: number;
  readonly lookbackMs: number;
  readonly subqueryStepMs: number;
  /** Whether functions and aggregations that upstream calls experimental may be used. */
  readonly experimental: boolean;
}

export interface Plan {
  readonly expr: Expr;
  /** Nodes whose value is the same in all steps. */
  readonly stepInvariant: ReadonlySet<Expr>;
  /** What each selector looks at: samples after `afterMs`, up to and at `toMs`. */
  readonly reads: readonly PlannedRead[];
  /** The earliest `afterMs`. */
  readonly afterMs: number;
}

export interface PlannedRead {
  readonly selector: Expr & { type: "vectorSelector" };
  readonly afterMs: number;
  readonly toMs: number;
}

/** Functions whose value depends on the step though none of their arguments does. */
const STEP_DEPENDENT = new Set(
  "time timestamp predict_linear days_in_month day_of_month day_of_week day_of_year hour minute month year".split(
    " ",
  ),
);
const EXPERIMENTAL_AGGREGATIONS = new Set(["limitk", "limit_ratio"]);

export function planQuery(parsed: Expr, options: PlanOptions): Plan {
  if (!options.experimental) refuseExperimental(parsed);
  const expr = fixTimes(parsed, options);
  const stepInvariant = new Set<Expr>();
  markInvariant(expr, stepInvariant);
  const reads: PlannedRead[] = [];
  collectReads(expr, options.startMs, options.endMs, options, reads);
  return { expr, stepInvariant, reads, afterMs: Math.min(...reads.map((read) => read.afterMs)) };
}

function refuseExperimental(expr: Expr): void {
  const name = expr.type === "call" ? expr.name : expr.type === "aggregation" ? expr.op : "";
  if (EXPERIMENTAL_AGGREGATIONS.has(name) || (expr.type === "call" && signatureOf(name)?.experimental)) {
    throw new NotSupported(`${name}() is experimental in PromQL and is not supported here`, "query");
  }
  for (const child of childrenOf(expr)) refuseExperimental(child);
}

/** The same tree with times in the place of `start()` and `end()`. */
function fixTimes(expr: Expr, options: PlanOptions): Expr {
  const fixed = (at: At | undefined) =>
    at === "start" ? options.startMs : at === "end" ? options.endMs : at;
  const down = (child: Expr) => fixTimes(child, options);
  switch (expr.type) {
    case "vectorSelector":
      return { ...expr, at: fixed(expr.at) };
    case "matrixSelector":
      return { ...expr, selector: { ...expr.selector, at: fixed(expr.selector.at) } };
    case "subquery":
      return { ...expr, at: fixed(expr.at), expr: down(expr.expr) };
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
  // Numbers and strings are cheaper made than spread.
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
