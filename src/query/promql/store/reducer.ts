/** Combines the reduced numbers of days and stored series to one number per PromQL series. Sums are those of events. */
import { isSumExact } from "../compensated-sum.ts";
import type { LabelSet } from "../labels.ts";
import type { ReducedSeries, Reduction } from "../storage.ts";

interface Partial {
  readonly count: number;
  readonly nanCount: number;
  /** Of the samples that are not NaN; has no meaning if there are none. */
  readonly value: number;
  /** Sums: of the absolute values. */
  readonly magnitude: number;
}

export class Reducer {
  readonly #reduction: Reduction;
  readonly #partials = new Map<number, Partial>();

  constructor(reduction: Reduction) {
    this.#reduction = reduction;
  }

  /** Adds the number of a stored series in one day. */
  add(seriesId: number, count: number, nanCount: number, value: number, magnitude = 0): void {
    const known = this.#partials.get(seriesId);
    const own = { count, nanCount, value, magnitude };
    this.#partials.set(seriesId, known === undefined ? own : this.#join(known, own));
  }

  /**
   * The number of a series that consists of some stored ones. Undefined if they have no sample; "inexact" if large
   * values of a sum cancel out or overflow, so that the samples themselves are needed.
   */
  result(labels: LabelSet, seriesIds: readonly number[]): ReducedSeries | "inexact" | undefined {
    const found = seriesIds.flatMap((id) => this.#partials.get(id) ?? []);
    if (found.length === 0) return undefined;
    const { count, nanCount, value, magnitude } = found.reduce((a, b) => this.#join(a, b));
    if (this.#reduction === "count") return { labels, count, value: count };
    // A sum with any NaN is NaN; the greatest and the least are NaN only if all values are NaN.
    const isNothing = this.#reduction === "sum" ? nanCount > 0 : nanCount === count;
    if (isNothing) return { labels, count, value: Number.NaN };
    if (this.#reduction === "sum" && !isSumExact(value, magnitude)) return "inexact";
    return { labels, count, value };
  }

  #join(a: Partial, b: Partial): Partial {
    return {
      count: a.count + b.count,
      nanCount: a.nanCount + b.nanCount,
      value:
        a.nanCount === a.count ? b.value : b.nanCount === b.count ? a.value : this.#reduce(a.value, b.value),
      magnitude: a.magnitude + b.magnitude,
    };
  }

  #reduce(a: number, b: number): number {
    if (this.#reduction === "sum") return a + b;
    return this.#reduction === "min" ? Math.min(a, b) : Math.max(a, b);
  }
}
