/** Stores the samples of rules: makes a batch of them, and reports those that were rejected. */
import type { Batch, SeriesHead } from "../../model/sample.ts";
import type { UnwrittenSample } from "../evaluation/group-evaluation.ts";
import type { RuleSample } from "../evaluation/rule-state.ts";
import { type LabelValues, labelValuesKey } from "../label-values.ts";
import { RULES_PROTOCOL } from "../rules-protocol.ts";

/** The part of ingest that rules use. */
export interface SampleStore {
  push(
    batch: Batch,
  ): Promise<{ readonly rejected: readonly { readonly index: number; readonly reason: string }[] }>;
}

/** Microseconds in a millisecond. */
const US_PER_MS = 1_000;

/** Writes the samples of one rule group. */
export class SampleWriter {
  readonly #store: SampleStore;
  /** Admission keeps its decision by the head, so equal series must have the same one. */
  #heads = new Map<string, SeriesHead>();
  #used = new Map<string, SeriesHead>();

  constructor(store: SampleStore) {
    this.#store = store;
  }

  /** Resolves when the samples are committed. */
  async write(samples: readonly RuleSample[]): Promise<readonly UnwrittenSample[]> {
    if (samples.length === 0) return [];
    const { rejected } = await this.#store.push(this.#batch(samples));
    return rejected;
  }

  /** Forgets the series that were not written since the last call. */
  forgetUnused(): void {
    this.#heads = this.#used;
    this.#used = new Map();
  }

  #batch(samples: readonly RuleSample[]): Batch {
    const { length } = samples;
    const heads = samples.map(({ labels }) => this.#head(labels));
    const hasStale = samples.some(({ isStale }) => isStale);
    return {
      protocol: RULES_PROTOCOL.name,
      length,
      heads,
      head: Uint32Array.from({ length }, (_, at) => at),
      timestampUs: Float64Array.from(samples, ({ timeMs }) => timeMs * US_PER_MS),
      value: Float64Array.from(samples, ({ value }) => value),
      stale: hasStale ? Uint8Array.from(samples, ({ isStale }) => (isStale ? 1 : 0)) : undefined,
      attributes: [],
      text: new Uint8Array(),
      position: Uint32Array.from({ length }, (_, at) => at),
      rejected: [],
    };
  }

  #head(labels: LabelValues): SeriesHead {
    const key = labelValuesKey(labels);
    const head = this.#used.get(key) ?? this.#heads.get(key) ?? headOf(labels);
    this.#used.set(key, head);
    return head;
  }
}

function headOf(labels: LabelValues): SeriesHead {
  const { __name__: metric, ...others } = labels;
  const sorted = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1));
  return { metric: metric!, kind: "gauge", labels: new Map(sorted) };
}
