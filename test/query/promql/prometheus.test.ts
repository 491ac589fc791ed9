/**
 * The engine beside a real Prometheus (2.42, Debian's package `prometheus`): expressions made at random from
 * the grammar, over the same remote-written data. Skipped where it is not installed. scripts/promql-compare
 * asks more of them.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { compareEngines } from "./compare/compare.ts";
import { isInstalled } from "./compare/prometheus.ts";

setDefaultTimeout(120_000);

test.if(isInstalled)("2,000 expressions give what Prometheus gives", async () => {
  const report = await compareEngines(2_000, 20_240_101);
  // Rounding may turn a comparison over; the order in which Prometheus adds is not always the same.
  if (report.differences.length > 2) expect(report.differences).toEqual([]);
  expect(report.asked).toBe(2_000);
  // Expressions that have no answer compare little.
  expect(report.refused + report.empty).toBeLessThan(1_000);
});
