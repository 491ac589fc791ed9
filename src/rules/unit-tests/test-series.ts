/**
 * The series of one unit test: those of its file, which arrive as time passes, and those that its rules write. A storage
 * in memory for the PromQL engine.
 */
import { type LabelSet, METRIC_NAME } from "../../query/promql/labels.ts";
import type { Matcher } from "../../query/promql/matchers.ts";
import type { ReadBudget, Selection, SeriesSamples, Storage } from "../../query/promql/storage.ts";
import type { NotedValue } from "./series-notation.ts";

/** Samples in ascending order of time. */
interface HeldSeries {
  readonly labels: LabelSet;
  readonly timesMs: number[];
  readonly values: number[];
  readonly stale: (0 | 1)[];
}

export class TestSeries implements Storage {
  readonly #byName = new Map<string, Map<string, HeldSeries>>();
  /** Later samples have not arrived yet. */
  #nowMs = Number.NEGATIVE_INFINITY;

  /** Adds the values of a file: one per interval. A time that the series already has keeps its value. */
  add(labels: LabelSet, startMs: number, intervalMs: number, values: readonly NotedValue[]): void {
    values.forEach((value, at) => {
      if (value !== null) this.#put(labels, startMs + at * intervalMs, value);
    });
  }

  /** Adds the sample of a rule. */
  write(labels: LabelSet, timeMs: number, value: number | "stale"): void {
    this.#put(labels, timeMs, value);
  }

  /** Everything up to this time has arrived. */
  arrive(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  async *select(
    { matchers, afterMs, toMs }: Selection,
    budget: ReadBudget,
  ): AsyncIterable<readonly SeriesSamples[]> {
    const found: SeriesSamples[] = [];
    for (const { labels, timesMs, values, stale } of this.#candidates(matchers)) {
      if (!matchers.every((each) => each.matches(labels.get(each.name)))) continue;
      const from = firstAfter(timesMs, afterMs);
      const to = firstAfter(timesMs, Math.min(toMs, this.#nowMs));
      if (from >= to) continue;
      budget.countSeries(1);
      budget.countSamples(to - from);
      found.push({
        labels,
        timestampsMs: Float64Array.from(timesMs.slice(from, to)),
        values: Float64Array.from(values.slice(from, to)),
        stale: Uint8Array.from(stale.slice(from, to)),
      });
    }
    if (found.length > 0) yield found;
  }

  *#candidates(matchers: readonly Matcher[]): Iterable<HeldSeries> {
    const named = matchers.find(({ name, operator }) => name === METRIC_NAME && operator === "=");
    const groups = named === undefined ? this.#byName.values() : [this.#byName.get(named.value)];
    for (const group of groups) if (group !== undefined) yield* group.values();
  }

  #put(labels: LabelSet, timeMs: number, value: number | "stale"): void {
    const name = labels.get(METRIC_NAME);
    const group = this.#byName.getOrInsertComputed(name, () => new Map());
    const series = group.getOrInsertComputed(labels.key, () => ({
      labels,
      timesMs: [],
      values: [],
      stale: [],
    }));
    const at = firstAfter(series.timesMs, timeMs);
    if (series.timesMs[at - 1] === timeMs) return;
    series.timesMs.splice(at, 0, timeMs);
    series.values.splice(at, 0, value === "stale" ? Number.NaN : value);
    series.stale.splice(at, 0, value === "stale" ? 1 : 0);
  }
}

/** The index of the first time after another. */
function firstAfter(timesMs: readonly number[], timeMs: number): number {
  let from = 0;
  let to = timesMs.length;
  // Most samples come last.
  if (to === 0 || timesMs[to - 1] <= timeMs) return to;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (timesMs[middle] <= timeMs) from = middle + 1;
    else to = middle;
  }
  return from;
}
