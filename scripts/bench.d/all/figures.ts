/** The figures of a run: their names, which of them are shown, and how numbers are written. */
import { readFileSync } from "node:fs";

/** What is measured of each run, and what some cases measure beside it. */
export const FIGURES = {
  perSecond: "per second",
  cpuPerMillion: "CPU-s per million",
  cpuToStopPerMillion: "CPU-s per million, with the stop",
  p50Ms: "p50 of a request, ms",
  p99Ms: "p99 of a request, ms",
  maxMs: "longest request, ms",
  residentMb: "resident memory, MB",
  bytesPerUnit: "bytes on disk",
  newPerSecond: "new series per second",
  rateMs: "rate over an hour, ms",
  rateCpuMs: "rate over an hour, CPU-ms",
  allMs: "mean over all that is stored, ms",
  labelValuesMs: "values of a label, ms",
} as const;

export type Figure = keyof typeof FIGURES;
/** `othersCores`: how many cores other programs used meanwhile. */
export type Run = Readonly<Partial<Record<Figure | "othersCores", number>>>;

/** More is better. Of all others less is. */
const RATES: readonly Figure[] = ["perSecond", "newPerSecond"];

export const isRate = (figure: Figure): boolean => RATES.includes(figure);

/** The figures that some of the runs have, in their order. */
export function figuresOf(runs: readonly Run[]): Figure[] {
  return (Object.keys(FIGURES) as Figure[]).filter((figure) => runs.some((run) => run[figure] !== undefined));
}

/** The median of one figure. Undefined if no run has it. */
export function median(runs: readonly Run[], figure: Figure | "othersCores"): number | undefined {
  const values = runs
    .flatMap((run) => (run[figure] === undefined ? [] : [run[figure]]))
    .sort((a, b) => a - b);
  if (values.length === 0) return undefined;
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle] : (values[middle - 1]! + values[middle]!) / 2;
}

/** With five digits, which is more than any figure deserves. */
export function rounded(run: Run): Run {
  return Object.fromEntries(
    Object.entries(run).map(([name, value]) => [name, Number(value.toPrecision(5))]),
  ) as Run;
}

/** Three digits, or all of a large number. Empty if there is none. */
export function numberText(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "";
  return Math.abs(value) >= 100
    ? Math.round(value).toLocaleString("en-US")
    : String(Number(value.toPrecision(3)));
}

// USER_HZ, as in usage.ts.
const TICKS_PER_SECOND = 100;

/** Processor time that all programs of the machine, and others beside it, have used. */
export function busySeconds(): number {
  const [, ...ticks] = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.split(/\s+/);
  const [user, nice, system, , , irq, softirq, steal] = ticks.map(Number);
  return (user! + nice! + system! + irq! + softirq! + steal!) / TICKS_PER_SECOND;
}
