/**
 * The classic series that a native histogram is stored as: `x_bucket` by upper bound, `x_sum` and `x_count`. The
 * same heads are handed out for each of its samples.
 */
import type { SeriesHead } from "../../sample.ts";
import { seriesHead } from "./labels.ts";
import type { Metadata } from "./metadata.ts";
import { BucketRange } from "./native-histogram.ts";

export class ClassicSeries {
  readonly range = new BucketRange();
  readonly sum: SeriesHead;
  readonly count: SeriesHead;
  readonly #native: SeriesHead;
  readonly #metadata: Metadata;
  readonly #buckets = new Map<number, SeriesHead>();

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
}
