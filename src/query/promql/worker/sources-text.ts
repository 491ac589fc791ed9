/**
 * Series that match a selector, as text: a thousand of them are one string between threads, which is several times as
 * fast as a thousand objects.
 */
import { openMetricsFloat } from "../../../model/spelling.ts";
import type { Source } from "../catalog/catalog.ts";
import { BUCKET_LABEL, LabelSet } from "../labels.ts";
import type { NumberedSources } from "../catalog/found-series.ts";

type SourceMetric = Source["metric"];
/** The bound of +Inf is null, because JSON has no such number. */
type SourceRow = [
  metric: number,
  shape: Source["shape"],
  pairs: readonly string[],
  seriesIds: readonly number[],
  bounds: readonly (number | null)[],
  held?: [timestampMs: number, value: string | null],
];

interface Portion {
  /** Those that no portion before had. */
  readonly metrics: readonly SourceMetric[];
  readonly sources: readonly SourceRow[];
}

/** The results of one generation that a Worker has, as the owner and the Worker know them. */
export class KnownResults<Of> {
  #generation = Number.NaN;
  #byNumber = new Map<number, Of>();

  /** What is known under a number; undefined if nothing is. Forgets earlier generations. */
  get({ generation, number }: NumberedSources): Of | undefined {
    this.#forgetOthers(generation);
    return this.#byNumber.get(number);
  }

  set({ generation, number }: NumberedSources, what: Of): void {
    this.#forgetOthers(generation);
    this.#byNumber.set(number, what);
  }

  #forgetOthers(generation: number): void {
    if (this.#generation === generation) return;
    this.#generation = generation;
    this.#byNumber = new Map();
  }
}

export class SourcesEncoder {
  readonly #metrics = new Map<SourceMetric, number>();

  encode(sources: readonly Source[]): string {
    const metrics: SourceMetric[] = [];
    const rows = sources.map(({ metric, shape, labels, seriesIds, edges, held }): SourceRow => {
      let index = this.#metrics.get(metric);
      if (index === undefined) {
        index = this.#metrics.size;
        this.#metrics.set(metric, index);
        const { kind, prometheusName, buckets } = metric;
        metrics.push({ kind, prometheusName, buckets });
      }
      const bounds = edges.map(({ bound }) => (bound === Number.POSITIVE_INFINITY ? null : bound));
      const row: SourceRow = [index, shape, labels.pairs, seriesIds, bounds];
      if (held !== undefined) row.push([held.timestampMs, numberText(held.value)]);
      return row;
    });
    return JSON.stringify({ metrics, sources: rows } satisfies Portion);
  }
}

export class SourcesDecoder {
  readonly #metrics: SourceMetric[] = [];

  decode(text: string): Source[] {
    const { metrics, sources } = JSON.parse(text) as Portion;
    this.#metrics.push(...metrics);
    return sources.map(([metric, shape, pairs, seriesIds, bounds, last]) => {
      const labels = LabelSet.ofPairs(pairs);
      return {
        metric: this.#metrics[metric],
        shape,
        labels,
        seriesIds: [...seriesIds],
        edges: bounds.map((each) => {
          const bound = each ?? Number.POSITIVE_INFINITY;
          return { bound, labels: labels.with(BUCKET_LABEL, openMetricsFloat(bound)) };
        }),
        ...(last && {
          held: { timestampMs: last[0], value: last[1] === null ? undefined : Number(last[1]) },
        }),
      };
    });
  }
}

/** JSON has no NaN, no infinities and no -0. */
function numberText(value: number | undefined): string | null {
  if (value === undefined) return null;
  return Object.is(value, -0) ? "-0" : String(value);
}
