/**
 * The classic series that a native histogram is stored as: `x_bucket` by upper bound, `x_sum` and `x_count`. All
 * samples of the histogram get the same heads. The buckets of the newest sample are remembered.
 */
import type { SeriesHead } from "../../model/sample.ts";
import { seriesHead } from "./written-labels.ts";
import type { Metadata } from "./metadata.ts";

const NO_BOUNDS: readonly number[] = [];

export class ClassicSeries {
  readonly sum: SeriesHead;
  readonly count: SeriesHead;
  readonly #native: SeriesHead;
  readonly #metadata: Metadata;
  readonly #buckets = new Map<number, SeriesHead>();
  /** The bounds of the newest histogram; undefined before the first. */
  #bounds: readonly number[] | undefined;
  #newestMs = Number.NEGATIVE_INFINITY;
  /** The bounds that ended with it. They are returned again if it is sent again, because a failed push is retried. */
  #ended = NO_BOUNDS;

  constructor(native: SeriesHead) {
    const { metric, labels, type, unit = "", help = "" } = native;
    this.#native = native;
    this.#metadata = { type: type === undefined || type === "unknown" ? "histogram" : type, unit, help };
    this.sum = seriesHead(`${metric}_sum`, labels, this.#metadata);
    this.count = seriesHead(`${metric}_count`, labels, this.#metadata);
  }

  bucket(bound: number): SeriesHead {
    let head = this.#buckets.get(bound);
    if (head === undefined) {
      const { metric, labels } = this.#native;
      const le = bound === Number.POSITIVE_INFINITY ? "+Inf" : String(bound);
      const own = [...labels].filter(([name]) => name !== "le");
      const all = [...own, ["le", le] as const].sort(([a], [b]) => (a < b ? -1 : 1));
      head = seriesHead(`${metric}_bucket`, new Map(all), this.#metadata);
      this.#buckets.set(bound, head);
    }
    return head;
  }

  /**
   * Sets the bounds of a histogram, and returns the bounds that only the histogram before it had: their series end. A
   * late histogram ends nothing. The newest histogram, when it is sent again, ends the same series again.
   */
  show(bounds: readonly number[], timestampMs: number): readonly number[] {
    if (timestampMs < this.#newestMs) return NO_BOUNDS;
    if (timestampMs > this.#newestMs) {
      this.#newestMs = timestampMs;
      const before = this.#bounds;
      this.#ended = before === undefined || before === bounds ? NO_BOUNDS : before;
      this.#bounds = bounds;
    }
    if (this.#ended.length === 0) return NO_BOUNDS;
    const present = new Set(bounds);
    return this.#ended.filter((bound) => !present.has(bound));
  }

  /** Ends the histogram: returns the bounds of its series that end with it, or `all` if none is known. */
  end(timestampMs: number, all: () => readonly number[]): readonly number[] {
    if (timestampMs === this.#newestMs && this.#bounds === NO_BOUNDS) return this.#ended;
    const bounds = this.#bounds ?? all();
    if (timestampMs > this.#newestMs) {
      this.#newestMs = timestampMs;
      this.#ended = bounds;
      this.#bounds = NO_BOUNDS;
    }
    return bounds;
  }

  /** The bucket in which a value was counted, or undefined before the first histogram. */
  bucketOf(value: number): SeriesHead | undefined {
    if (this.#bounds === undefined) return undefined;
    return this.bucket(this.#bounds.find((bound) => value <= bound) ?? Number.POSITIVE_INFINITY);
  }
}
