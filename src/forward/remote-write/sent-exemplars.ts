/**
 * Exemplars of remote_write: those that senders sent with their series, and the newest event of each bucket of a histogram, as
 * `/metrics` shows them. They are no samples, so nobody waits for them: each is sent with samples of its series, once after each
 * start, if it is newer than the last one. Receivers reject older ones.
 */
import { prometheusLabelName } from "../../model/names.ts";
import { statement } from "../../store/statements.ts";
import type { CounterPoint } from "../event-counters/counter-stream.ts";
import type { ForwardStore } from "../outbox/stored-rows-reader.ts";
import type { OutputNames, OutputSeries } from "./output-series.ts";
import type { PointCollector } from "./points.ts";

/** An exemplar as it is sent. */
export interface SentExemplar {
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
  /** Milliseconds since the epoch. */
  readonly ms: number;
}

/** What exemplars need of the running totals. */
export interface TotalsWithExemplars {
  /** The newest exemplar of each bucket of an observation. Undefined if there is none. */
  exemplars(seriesId: number):
    | readonly (
        | {
            readonly name: string;
            readonly label: string;
            readonly value: number;
            readonly timestampUs: number;
          }
        | undefined
      )[]
    | undefined;
}

interface SentExemplarsParts {
  readonly store: Pick<ForwardStore, "reader">;
  readonly totals: TotalsWithExemplars;
  readonly names: OutputNames;
}

interface ExemplarRow extends Record<string, unknown> {
  readonly series_id: number;
  readonly timestamp_us: number;
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** An exemplar is older than the sample that it came with, by less than an interval of scrapes. */
const OLDER_US_MAX = 300_000_000;
const READ_MAX = 10_000;

export class SentExemplars {
  readonly #parts: SentExemplarsParts;
  /** By series: the time of the newest one that was sent, ms. */
  readonly #newest = new WeakMap<OutputSeries, number>();

  constructor(parts: SentExemplarsParts) {
    this.#parts = parts;
  }

  /** Adds the exemplars that were stored with samples of a range of time. */
  async addStored(
    collector: PointCollector,
    outputOf: (seriesId: number) => OutputSeries | undefined,
    { fromUs, toUs }: { readonly fromUs: number; readonly toUs: number },
  ): Promise<void> {
    const reader = await this.#parts.store.reader();
    let rows: ExemplarRow[];
    try {
      rows = await reader.all<ExemplarRow>(statement("forward/exemplars"), {
        ...{ fromUs: fromUs - OLDER_US_MAX, toUs, most: READ_MAX },
      });
    } finally {
      reader.close();
    }
    for (const { series_id: id, timestamp_us: us, value, labels } of rows.toReversed()) {
      const output = outputOf(id);
      if (output === undefined) continue;
      this.#add(collector, output, { value, ms: Math.floor(us / 1_000), labels: Object.entries(labels) });
    }
  }

  /** Adds the newest event of each bucket of the histograms among some points. */
  addEvents(collector: PointCollector, points: readonly CounterPoint[]): void {
    const { totals, names } = this.#parts;
    for (const series of new Set(points.map((point) => point.series))) {
      if (series.metric.kind !== "observation") continue;
      const { buckets } = names.counters(series);
      totals.exemplars(series.seriesId)?.forEach((exemplar, at) => {
        const output = buckets[at];
        if (exemplar === undefined || output === undefined) return;
        const { name, label, value, timestampUs } = exemplar;
        const labels = [[prometheusLabelName(name), label] as const];
        this.#add(collector, output, { value, ms: Math.floor(timestampUs / 1_000), labels });
      });
    }
  }

  #add(collector: PointCollector, output: OutputSeries, exemplar: SentExemplar): void {
    if (exemplar.ms <= (this.#newest.get(output) ?? Number.NEGATIVE_INFINITY)) return;
    this.#newest.set(output, exemplar.ms);
    collector.addExemplar(output, exemplar);
  }
}
