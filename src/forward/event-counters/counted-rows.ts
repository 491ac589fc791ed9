/** Rows of events, added up by series and instant of the grid. */
import type { Metric, Series } from "../../model/sample.ts";
import type { StoredColumns } from "../outbox/stored-rows-reader.ts";
import { DoubleDouble } from "./double-double.ts";

/** The number, the sum and the counts by bucket of some rows. */
export class Count {
  count = 0;
  readonly sum = new DoubleDouble();
  /** Of observations, not cumulative. Empty for deltas. */
  readonly buckets: Float64Array;

  constructor({ kind, buckets }: Metric) {
    this.buckets = new Float64Array(kind === "observation" ? buckets.length + 1 : 0);
  }

  add(value: number, bounds: readonly number[]): void {
    this.count++;
    this.sum.add(value);
    if (this.buckets.length > 0) this.buckets[bucketOf(bounds, value)]!++;
  }

  addAll({ count, sum, buckets }: Count, sign: 1 | -1 = 1): void {
    this.count += sign * count;
    this.sum.addSum(sum, sign);
    for (let at = 0; at < buckets.length; at++) this.buckets[at]! += sign * buckets[at]!;
  }
}

/** The first bucket whose upper bound is not below the value. NaN is in the last one. */
function bucketOf(bounds: readonly number[], value: number): number {
  let from = 0;
  let to = bounds.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (value <= bounds[middle]!) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** The events of some rows. */
export class CountedRows {
  readonly #stepUs: number;
  readonly #seriesById: (seriesId: number) => Series | undefined;
  /** By series: its counts by the number of the step whose end is their instant. */
  readonly bySeries = new Map<Series, Map<number, Count>>();

  constructor(stepMs: number, seriesById: (seriesId: number) => Series | undefined) {
    this.#stepUs = stepMs * 1_000;
    this.#seriesById = seriesById;
  }

  /** Adds the rows that running totals count: those that were live on arrival. A delta never decreases its total. */
  readonly add = ({ length, seriesId, timestampUs, value, live, isStale }: StoredColumns): void => {
    let lastId = -1;
    let series: Series | undefined;
    let steps: Map<number, Count> | undefined;
    for (let row = 0; row < length; row++) {
      if (live[row] === 0 || isStale(row)) continue;
      if (seriesId[row] !== lastId) {
        lastId = seriesId[row]!;
        series = this.#seriesById(lastId);
        const isEvent = series?.metric.kind === "observation" || series?.metric.kind === "delta";
        steps = isEvent ? this.bySeries.getOrInsertComputed(series!, () => new Map()) : undefined;
      }
      if (steps === undefined) continue;
      const { metric } = series!;
      if (metric.kind === "delta" && !(value[row]! >= 0)) continue;
      const step = Math.ceil(timestampUs[row]! / this.#stepUs);
      let count = steps.get(step);
      if (count === undefined) {
        count = new Count(metric);
        steps.set(step, count);
      }
      count.add(value[row]!, metric.buckets);
    }
  };

  /** All rows of each series together. */
  totals(): Map<Series, Count> {
    const totals = new Map<Series, Count>();
    for (const [series, steps] of this.bySeries) {
      const total = new Count(series.metric);
      for (const each of steps.values()) total.addAll(each);
      if (total.count > 0) totals.set(series, total);
    }
    return totals;
  }
}
