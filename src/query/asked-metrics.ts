/**
 * When metrics were last asked for: by selectors of PromQL that found series of them, rules included, by tables of SQL
 * statements, and by summaries. Counts are kept in memory, and begin again at each start.
 *
 * Metrics that nobody asks for can be dropped. Lists of names and labels do not count, nor does what reads everything:
 * scrapes, exports of events and the table `samples`.
 */

interface Asked {
  readonly count: number;
  readonly lastMs: number;
}

/** Names that are kept. Retention can remove metrics while their counts stay. */
const METRICS_MAX = 20_000;

export class AskedMetrics {
  readonly sinceMs: number;
  readonly #now: () => number;
  readonly #metricsMax: number;
  /** By the name in Prometheus, the one that was asked for last comes last. */
  readonly #asked = new Map<string, Asked>();

  /** @param now milliseconds since the epoch */
  constructor(now: () => number, metricsMax = METRICS_MAX) {
    this.#now = now;
    this.#metricsMax = metricsMax;
    this.sinceMs = now();
  }

  /** Counts one request for each of the metrics, by their names in Prometheus. A name that is repeated counts once. */
  note(metrics: Iterable<string>): void {
    const lastMs = this.#now();
    for (const metric of new Set(metrics)) {
      const count = (this.#asked.get(metric)?.count ?? 0) + 1;
      this.#asked.delete(metric);
      this.#asked.set(metric, { count, lastMs });
    }
    for (const metric of this.#asked.keys()) {
      if (this.#asked.size <= this.#metricsMax) break;
      this.#asked.delete(metric);
    }
  }

  /** How often a metric was asked for, and when it last was. */
  of(metric: string): Asked | undefined {
    return this.#asked.get(metric);
  }
}
