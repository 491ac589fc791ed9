/** Explains a query to people: its plan as an indented tree, and what each selector reads and how. */
import { childrenOf, type Expr } from "./parse/ast.ts";
import { printExpr } from "./parse/print.ts";
import type { Plan, PlannedRead } from "./plan.ts";

/** What one selector reads, as its storage reports it. */
export interface ReadExplanation {
  readonly selector: string;
  readonly after: string;
  readonly to: string;
  /** PromQL series, and the stored series that they consist of. */
  readonly series: number;
  readonly storedSeries: number;
  readonly days: readonly string[];
  readonly statements: readonly string[];
}

export interface Explanation {
  readonly plan: readonly string[];
  readonly reads: readonly ReadExplanation[];
}

export async function explainPlan(
  plan: Plan,
  explainRead: (read: PlannedRead) => Promise<Omit<ReadExplanation, "selector" | "after" | "to">>,
): Promise<Explanation> {
  const lines: string[] = [];
  const walk = (expr: Expr, level: number) => {
    const once = plan.stepInvariant.has(expr) ? "  (once for all steps)" : "";
    lines.push(`${"  ".repeat(level)}${expr.type}: ${printExpr(expr)}${once}`);
    for (const child of childrenOf(expr)) walk(child, level + 1);
  };
  walk(plan.expr, 0);
  const reads: ReadExplanation[] = [];
  for (const read of plan.reads) {
    reads.push({
      selector: printExpr(read.selector),
      after: new Date(read.afterMs).toISOString(),
      to: new Date(read.toMs).toISOString(),
      ...(await explainRead(read)),
    });
  }
  return { plan: lines, reads };
}
