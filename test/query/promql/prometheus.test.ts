/**
 * The engine compared with a real Prometheus (2.42, Debian's package `prometheus`): random expressions from
 * the grammar, over the same remote-written data. Skipped if it is not installed. scripts/promql-compare
 * runs more of them.
 */
import { expect, test } from "bun:test";
import { canRun } from "../../real-servers.ts";
import { runs } from "../../runs.ts";
import { compareEngines } from "./compare/compare.ts";

const EXPRESSIONS = runs(700).numRuns;

test.if(canRun("prometheus"))(
  `${EXPRESSIONS} expressions give what Prometheus gives`,
  async () => {
    const report = await compareEngines(EXPRESSIONS, 20_240_101);
    // Rounding can reverse a comparison, and Prometheus does not always add in the same order.
    if (report.differences.length > 2) expect(report.differences).toEqual([]);
    expect(report.asked).toBe(EXPRESSIONS);
    // Expressions with an empty result test little.
    expect(report.refused + report.empty).toBeLessThan(EXPRESSIONS / 2);
  },
  // Thousands of requests, one after the other: on a machine with other work they take minutes.
  { timeout: 900_000 },
);
