/** The figures of the PromQL benchmark as a table of Markdown: each server's, and as multiples of those of the others. */

import { numberText } from "./all/figures.ts";
import { nameOf, OWN } from "./all/report.ts";
import { tableOf } from "./all/report-markdown.ts";
import type { Timing } from "./promql-questions.ts";

/** By question. */
export type Timings = ReadonlyMap<string, Timing>;

/**
 * The table. A server that did not answer a question has an empty cell.
 *
 * @param timings by server
 */
export function promqlTable(timings: ReadonlyMap<string, Timings>): string {
  const own = timings.get(OWN);
  const others = [...timings].filter(([name]) => name !== OWN);
  const head = [
    "median, CPU per run (first run)",
    ...[...timings.keys()].map(nameOf),
    ...others.map(([name]) => `Weir's time × ${nameOf(name)}'s`),
  ];
  const questions = [...new Set([...timings.values()].flatMap((each) => [...each.keys()]))];
  const rows = questions.map((question) => [
    `\`${question}\``,
    ...[...timings.values()].map((each) => timingText(each.get(question))),
    ...others.map(([, theirs]) => {
      const [mine, other] = [own?.get(question), theirs.get(question)];
      return mine === undefined || other === undefined ? "" : (mine.medianMs / other.medianMs).toFixed(2);
    }),
  ]);
  return `${tableOf([head, ...rows]).join("\n")}\n`;
}

function timingText(timing: Timing | undefined): string {
  if (timing === undefined) return "";
  const { medianMs, cpuMs, firstMs } = timing;
  return `${numberText(medianMs)} ms, ${numberText(cpuMs)} CPU-ms (${numberText(firstMs)} ms)`;
}
