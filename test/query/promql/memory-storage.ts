/** A storage in memory for scripts and tests of the engine: series as they were loaded. */
import type { LabelSet } from "../../../src/query/promql/labels.ts";
import type { Matcher } from "../../../src/query/promql/matchers.ts";
import type { ReadBudget, Selection, SeriesSamples, Storage } from "../../../src/query/promql/storage.ts";

export interface Point {
  readonly timestampMs: number;
  readonly value: number | "stale";
}

/** Whether a series satisfies all matchers. */
export function matchesAll(matchers: readonly Matcher[], labels: LabelSet): boolean {
  return matchers.every((each) => each.matches(labels.get(each.name)));
}

export class MemoryStorage implements Storage {
  readonly #series: ReadonlyMap<string, { readonly labels: LabelSet; readonly points: readonly Point[] }>;

  constructor(series: MemoryStorage["series"] = new Map()) {
    this.#series = series;
  }

  get series(): ReadonlyMap<string, { readonly labels: LabelSet; readonly points: readonly Point[] }> {
    return this.#series;
  }

  /** The same with more series, or with more points of existing ones. */
  with(added: Iterable<{ readonly labels: LabelSet; readonly points: readonly Point[] }>): MemoryStorage {
    const series = new Map(this.#series);
    for (const { labels, points } of added) {
      const before = series.get(labels.key)?.points ?? [];
      const all = [...before, ...points].sort((a, b) => a.timestampMs - b.timestampMs);
      series.set(labels.key, { labels, points: all });
    }
    return new MemoryStorage(series);
  }

  async *select(
    { matchers, afterMs, toMs }: Selection,
    budget: ReadBudget,
  ): AsyncIterable<readonly SeriesSamples[]> {
    for (const { labels, points } of this.#series.values()) {
      if (!matchesAll(matchers, labels)) continue;
      const found = points.filter(({ timestampMs }) => timestampMs > afterMs && timestampMs <= toMs);
      budget.countSeries(1);
      budget.countSamples(found.length);
      yield [
        {
          labels,
          timestampsMs: Float64Array.from(found, (point) => point.timestampMs),
          values: Float64Array.from(found, ({ value }) => (value === "stale" ? Number.NaN : value)),
          stale: Uint8Array.from(found, ({ value }) => (value === "stale" ? 1 : 0)),
        },
      ];
    }
  }
}
