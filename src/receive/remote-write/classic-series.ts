/**
 * The classic series that a native histogram is stored as: `x_bucket` by upper bound, `x_sum` and `x_count`. All
 * samples of the histogram get the same heads. The buckets of the newest sample are remembered.
 *
 * A Prometheus can send the classic buckets of a histogram beside the native one. Bounds are then spelled as the classic
 * buckets have them, because `1` and `1.0` would be two series, which histogram_quantile adds.
 */
import type { SeriesHead } from "../../model/sample.ts";
import { openMetricsFloat } from "../../model/spelling.ts";
import type { Metadata } from "../../wire/exposition-formats/family-metadata.ts";
import { seriesHead } from "./written-labels.ts";

const NO_BOUNDS: readonly number[] = [];

export class ClassicSeries {
  readonly sum: SeriesHead;
  readonly count: SeriesHead;
  /** The head of the histogram itself. */
  readonly native: SeriesHead;
  readonly #metadata: Metadata;
  #buckets = new Map<number, SeriesHead>();
  /** Whether whole bounds are spelled `1` and not `1.0`. */
  #isPlain = false;
  /** The bounds of the newest histogram; undefined before the first. */
  #bounds: readonly number[] | undefined;
  #newestMs = Number.NEGATIVE_INFINITY;
  /** The bounds that ended with it. They are returned again if it is sent again, because a failed push is retried. */
  #ended = NO_BOUNDS;

  constructor(native: SeriesHead) {
    const { metric, labels, type, unit = "", help = "" } = native;
    this.native = native;
    this.#metadata = { type: type === undefined || type === "unknown" ? "histogram" : type, unit, help };
    this.sum = seriesHead(`${metric}_sum`, labels, this.#metadata);
    this.count = seriesHead(`${metric}_count`, labels, this.#metadata);
  }

  bucket(bound: number): SeriesHead {
    let head = this.#buckets.get(bound);
    if (head === undefined) {
      const { metric, labels } = this.native;
      // These bounds are numbers, not text that was sent.
      const text = openMetricsFloat(bound);
      const le = this.#isPlain ? text.replace(/\.0$/, "") : text;
      const own = [...labels].filter(([name]) => name !== "le");
      const all = [...own, ["le", le] as const].sort(([a], [b]) => (a < b ? -1 : 1));
      head = seriesHead(`${metric}_bucket`, new Map(all), this.#metadata);
      this.#buckets.set(bound, head);
    }
    return head;
  }

  /**
   * Spells whole bounds as `1` if `isPlain`, else as `1.0`. Returns the buckets of the other spelling, which end if it
   * changed.
   */
  spell(isPlain: boolean): readonly SeriesHead[] {
    if (isPlain === this.#isPlain) return [];
    this.#isPlain = isPlain;
    const before = this.#buckets;
    this.#buckets = new Map();
    const ended: SeriesHead[] = [];
    for (const [bound, head] of before) {
      if (head.labels.get("le") === this.bucket(bound).labels.get("le")) this.#buckets.set(bound, head);
      else ended.push(head);
    }
    return ended;
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
