/**
 * The samples of federation (https://prometheus.io/docs/prometheus/latest/federation/): the latest sample of each
 * series that selectors find, with its own time.
 *
 * Gauges and cumulative series are read from the store, in the same window as an instant query. Series of Pushgateway
 * groups last as long as their group, and have the time of the request, as in a scrape. Observations and deltas are the
 * current counters of /metrics, which never decrease. Their single measurements are not federated, because the latest
 * measurement says nothing about the others.
 */

import { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import { dayOf, type Labels, type Series } from "../../model/sample.ts";
import { sorting } from "../../model/tasks/sorting.ts";
import { inSlices } from "../../model/tasks/time-slices.ts";
import type { Store } from "../../store/store.ts";
import type { Catalog, Source } from "./catalog/catalog.ts";
import type { Budget, Limits } from "./evaluate/budget.ts";
import { compareLabels, compareText, type LabelSet, METRIC_NAME } from "./labels.ts";
import type { Matcher } from "./matchers.ts";
import { QueryRunner } from "./query-runner.ts";
import { DayReader } from "./store/day-reader.ts";
import type { HeldOf, Latest } from "./store/held.ts";
import { StoreTableReader } from "./store/table-reader.ts";
import type { SelectorUse } from "./worker/selector-reader.ts";

interface FederationOptions extends Limits {
  readonly store: Pick<Store, "reader" | "days">;
  readonly catalog: Catalog;
  readonly selectors: SelectorUse;
  readonly registry: {
    hasSamplesIn(seriesId: number, firstDay: number, lastDay: number): boolean;
    seriesById(seriesId: number): Series | undefined;
    /** Whether another series has replaced this one. */
    isEnded(series: Series): boolean;
  };
  readonly totals: RunningTotals;
  /** The last sample of a series of a Pushgateway group; without a value if the series ended. */
  readonly heldOf: HeldOf;
  readonly lookbackMs: number;
  /** A running total is not returned when its last sample arrived longer ago than this. */
  readonly seriesIdleMs: number;
}

/** The running totals of src/exposition. */
interface RunningTotals {
  total(seriesId: number): RunningTotal | undefined;
}

/** The current total of the series of an observation or a delta. */
interface RunningTotal {
  readonly count: number;
  readonly sum: number;
  /** By bucket, not cumulative; empty if there is no histogram. */
  readonly buckets: ArrayLike<number>;
  /** When the newest sample arrived, µs. */
  readonly arrivedUs: number;
}

export interface FederatedSample {
  readonly labels: LabelSet;
  readonly timestampMs: number;
  readonly value: number;
}

/** Federations at a time: each is a scrape by one server, and keeps its answer in memory. */
const CONCURRENCY_MAX = 2;
const WAIT_MS = 10_000;

export class Federation {
  readonly #options: FederationOptions;
  readonly #catalog: Catalog;
  readonly #runner = new QueryRunner(
    new ConcurrencyLimit(CONCURRENCY_MAX, { tasks: "federations", waitMs: WAIT_MS }),
  );

  constructor(options: FederationOptions) {
    this.#options = options;
    this.#catalog = options.catalog;
  }

  /**
   * Returns the latest sample of each series that any of the selectors finds, at `nowMs`: by name, then by labels.
   *
   * @param labels if set, only series with these labels are found
   * @throws ParseError, and QueryError when a limit on PromQL queries is exceeded
   */
  async latest(
    texts: readonly string[],
    nowMs: number,
    signal?: AbortSignal,
    labels?: Labels,
  ): Promise<FederatedSample[]> {
    return await this.#runner.runWithin(this.#options, signal, async (budget) => {
      // As upstream: `{__name__=~".*"}` selects all series.
      const asked = { texts, mayFindAll: true, labels };
      const { levels, totals } = await this.#options.selectors.use(asked, budget.signal, (selectors) =>
        this.#find(selectors, nowMs, budget),
      );
      for (const sample of await this.#levels(levels, nowMs, budget)) {
        totals.set(sample.labels.key, sample);
        if (budget.isPauseDue) await budget.pause();
      }
      return await inSlices(sorting([...totals.values()], compareSamples));
    });
  }

  /** Stops running queries; resolves when none runs. */
  async close(): Promise<void> {
    await this.#runner.close();
  }

  /** The series whose samples are rows, and the current samples of the others by the key of their labels. */
  async #find(selectors: readonly (readonly Matcher[])[], nowMs: number, budget: Budget) {
    const levels = new Map<string, Source>();
    const totals = new Map<string, FederatedSample>();
    const options = { signal: budget.signal, countSeries: (count: number) => budget.countSeries(count) };
    for (const matchers of selectors) {
      // The day of a total's last row does not say when it arrived.
      const everyDay = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] as const;
      for (const source of await this.#catalog.find(matchers, ...everyDay, options)) {
        const { kind } = source.metric;
        if (kind === "gauge" || kind === "cumulative") levels.set(source.labels.key, source);
        else if (source.shape !== "raw") {
          for (const sample of this.#totalOf(source, nowMs)) totals.set(sample.labels.key, sample);
        }
        if (budget.isPauseDue) await budget.pause();
      }
    }
    return { levels: [...levels.values()], totals };
  }

  async #levels(sources: readonly Source[], nowMs: number, budget: Budget): Promise<FederatedSample[]> {
    const { store, registry, lookbackMs, heldOf } = this.#options;
    const range = { afterMs: nowMs - lookbackMs, toMs: nowMs };
    const days = [dayOf(range.afterMs * 1000), dayOf(nowMs * 1000)] as const;
    const slots = new Map<number, number>();
    const latest = new Map<number, Latest>();
    for (const [slot, { seriesIds }] of sources.entries()) {
      for (const id of seriesIds) {
        const last = heldOf(id);
        if (last?.value !== undefined) latest.set(slot, { timestampMs: nowMs, value: last.value });
        else if (registry.hasSamplesIn(id, ...days)) slots.set(id, slot);
      }
      if (budget.isPauseDue) await budget.pause();
    }
    const reader = new DayReader(store.days(), new StoreTableReader(store, budget.signal));
    try {
      const found = slots.size > 0 ? await reader.latest([...slots.keys()], range) : [];
      for (const [id, sample] of found) {
        const slot = slots.get(id)!;
        const known = latest.get(slot);
        if (known === undefined || known.timestampMs < sample.timestampMs) latest.set(slot, sample);
        if (budget.isPauseDue) await budget.pause();
      }
    } finally {
      reader.close();
    }
    budget.countSamples(latest.size);
    const samples: FederatedSample[] = [];
    for (const [slot, { timestampMs, value }] of latest) {
      const { labels } = sources[slot];
      if (value !== undefined) samples.push({ labels, timestampMs: Math.floor(timestampMs), value });
      if (budget.isPauseDue) await budget.pause();
    }
    return samples;
  }

  /** The samples of a running total: one, or one per bucket; none if it has been idle for too long. */
  #totalOf({ seriesIds, shape, labels, edges, metric }: Source, nowMs: number): FederatedSample[] {
    const { registry, totals, seriesIdleMs } = this.#options;
    let count = 0;
    let sum = 0;
    const buckets = new Float64Array(metric.buckets.length + 1);
    let isThere = false;
    for (const seriesId of seriesIds) {
      const series = registry.seriesById(seriesId);
      // A demoted series ends together with its rows: a counter that included it would decrease then.
      if (series === undefined || registry.isEnded(series)) continue;
      const total = totals.total(seriesId);
      if (total === undefined || total.arrivedUs <= (nowMs - seriesIdleMs) * 1000) continue;
      isThere = true;
      count += total.count;
      sum += total.sum;
      for (let at = 0; at < total.buckets.length; at++) buckets[at] += total.buckets[at];
    }
    if (!isThere) return [];
    const sample = (own: LabelSet, value: number) => ({ labels: own, timestampMs: nowMs, value });
    if (shape !== "buckets") return [sample(labels, shape === "count" ? count : sum)];
    return edges.map((edge) => {
      let within = edge.bound === Number.POSITIVE_INFINITY ? buckets[metric.buckets.length] : 0;
      metric.buckets.forEach((bound, at) => {
        if (bound <= edge.bound) within += buckets[at];
      });
      return sample(edge.labels, within);
    });
  }
}

function compareSamples(a: FederatedSample, b: FederatedSample): number {
  return (
    compareText(a.labels.get(METRIC_NAME), b.labels.get(METRIC_NAME)) || compareLabels(a.labels, b.labels)
  );
}
