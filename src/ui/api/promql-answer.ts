/** Answers of PromQL as lines, rows and cells of a heat map. Pure. */
import type { ChartLine } from "../parts/chart-lines.ts";

export interface PromSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [seconds: number, value: string];
  readonly values?: readonly (readonly [seconds: number, value: string])[];
  readonly histogram?: readonly [seconds: number, histogram: unknown];
}

export interface PromAnswer {
  readonly resultType: "vector" | "matrix" | "scalar" | "string";
  readonly result: readonly PromSeries[] | readonly [seconds: number, value: string];
}

/** `name{a="b"}`, or the labels alone; `value` for a series without any. */
export function seriesName(labels: Readonly<Record<string, string>>): string {
  const { __name__: name = "", ...others } = labels;
  const pairs = Object.entries(others).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  if (pairs.length === 0) return name === "" ? "value" : name;
  return `${name}{${pairs.join(", ")}}`;
}

/** The labels that all series have with one value are left out, if there are several series. */
export function shortNames(series: readonly PromSeries[]): string[] {
  if (series.length < 2) return series.map(({ metric }) => seriesName(metric));
  const [first] = series;
  const common = Object.entries(first!.metric)
    .filter(([label, value]) => series.every(({ metric }) => metric[label] === value))
    .map(([label]) => label);
  return series.map(({ metric }) =>
    seriesName(Object.fromEntries(Object.entries(metric).filter(([label]) => !common.includes(label)))),
  );
}

/** The times of a range in seconds, from `start` to `end`. */
export function timesOf(start: number, end: number, step: number): number[] {
  return Array.from({ length: Math.floor((end - start) / step + 1e-9) + 1 }, (_, at) => start + at * step);
}

/** The values of a series at the times of a range. Null where it has none. */
export function valuesAt(series: PromSeries, times: readonly number[], step: number): (number | null)[] {
  const values: (number | null)[] = Array(times.length).fill(null);
  for (const [seconds, text] of series.values ?? []) {
    const at = Math.round((seconds - times[0]!) / step);
    const value = numberOf(text);
    if (at >= 0 && at < values.length && Number.isFinite(value)) values[at] = value;
  }
  return values;
}

export function linesOf(series: readonly PromSeries[], times: readonly number[], step: number): ChartLine[] {
  const names = shortNames(series);
  return series.map((each, at) => ({ name: names[at]!, values: valuesAt(each, times, step) }));
}

/** A number as Prometheus writes it. */
export function numberOf(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  return text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text);
}

/** Buckets in the order of their bounds. The gateway sorts series by labels, and `le` as any other text. */
export function inOrderOfBounds(series: readonly PromSeries[]): readonly PromSeries[] {
  if (!series.every(({ metric }) => metric.le !== undefined)) return series;
  const histograms = Map.groupBy(series, ({ metric: { le: _, ...others } }) => JSON.stringify(others));
  return [...histograms.values()].flatMap((buckets) =>
    buckets.toSorted((a, b) => numberOf(a.metric.le!) - numberOf(b.metric.le!)),
  );
}

export interface HeatCells {
  /** Upper bounds of the buckets, rising. */
  readonly bounds: readonly number[];
  /** By bucket, then by time: what the bucket has without those below it. */
  readonly cells: readonly (readonly number[])[];
  readonly most: number;
}

/**
 * The cells of a heat map, of series that differ in `le` only, such as `sum by (le) (rate(x_bucket[5m]))`. Undefined for
 * other series.
 */
export function heatCells(
  series: readonly PromSeries[],
  times: readonly number[],
  step: number,
): HeatCells | undefined {
  if (series.length < 2 || !series.every(({ metric }) => metric.le !== undefined)) return undefined;
  const byBound = new Map<number, number[]>();
  for (const each of series) {
    const bound = numberOf(each.metric.le!);
    const values = valuesAt(each, times, step).map((value) => value ?? 0);
    const known = byBound.get(bound);
    byBound.set(bound, known === undefined ? values : known.map((value, at) => value + values[at]!));
  }
  const bounds = [...byBound.keys()].sort((a, b) => a - b);
  let below: number[] = Array(times.length).fill(0);
  let most = 0;
  const cells = bounds.map((bound) => {
    const values = byBound.get(bound)!;
    const own = values.map((value, at) => Math.max(0, value - below[at]!));
    below = values;
    most = Math.max(most, ...own);
    return own;
  });
  return { bounds, cells, most };
}

/** The metric of the events behind a series: without the ends that histograms and counters add. Undefined if unknown. */
export function eventMetric(query: string): string | undefined {
  return /([a-zA-Z_:][\w:]*?)_(?:bucket|count|sum|total)\b/.exec(query)?.[1];
}
