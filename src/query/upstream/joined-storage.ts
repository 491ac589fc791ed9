/**
 * PromQL's storage over the store and the upstream. The samples of a selector are joined series by series before anything is
 * evaluated, so every function is exact over the seam: before the first sample that is stored here the upstream's count, and
 * from it on those of the store.
 */

import { DAY_MS } from "../../model/duration.ts";
import { dayOf } from "../../model/sample.ts";
import type { Source } from "../promql/catalog/catalog.ts";
import type { LabelSet } from "../promql/labels.ts";
import { type Matcher, matcher } from "../promql/matchers.ts";
import type { ReadBudget, Selection, SeriesSamples, Storage } from "../promql/storage.ts";
import { type StoreStorage, seriesOf } from "../promql/store/store-storage.ts";
import type { StoredRows } from "../promql/store/stored-rows.ts";
import type { UpstreamRules } from "./upstream-messages.ts";
import { firstAt, mentions, type UpstreamSeries } from "./upstream-series.ts";

export interface JoinedStorageOptions {
  readonly stored: StoreStorage;
  readonly rows: StoredRows;
  readonly upstream: UpstreamSeries;
  readonly rules: UpstreamRules;
}

/** What a selector reads here, and what it asks the upstream for. */
interface Reading {
  readonly sources: readonly Source[];
  /** Stored series that get labels of the gateway, because the selector asks for these. */
  readonly labelled: readonly Source[];
  readonly added: readonly (readonly [name: string, value: string])[];
  readonly upstream: ReadonlyMap<string, SeriesSamples>;
}

export class JoinedStorage implements Storage {
  readonly #options: JoinedStorageOptions;
  readonly #readings = new Map<string, Promise<Reading>>();

  constructor(options: JoinedStorageOptions) {
    this.#options = options;
  }

  async *select(selection: Selection, budget: ReadBudget): AsyncIterable<readonly SeriesSamples[]> {
    const { stored } = this.#options;
    const { sources, labelled, added, upstream } = await this.#reading(selection, budget);
    const series = seriesOf(sources) + seriesOf(labelled);
    // Most are on both sides.
    budget.countSeries(Math.max(series, upstream.size));
    const rest = new Map(upstream);
    const { afterMs } = selection;
    for (const { part, join, labels } of [...partsOf(sources, []), ...partsOf(labelled, added)]) {
      const read = join === joinTotals ? { ...selection, afterMs: beginOf(selection, part) } : selection;
      for await (const batch of stored.read(part, read, budget)) {
        yield batch.map((each) => {
          const series = { ...each, labels: withLabels(each.labels, labels) };
          const older = rest.get(series.labels.key);
          rest.delete(series.labels.key);
          const isJoined = older !== undefined && series.values.length > 0;
          return samplesAfter(isJoined ? join(older, series) : (older ?? series), afterMs);
        });
      }
    }
    if (rest.size > 0) yield [...rest.values()].map((each) => samplesAfter(each, afterMs));
  }

  ends: Storage["ends"] = async (selection, windows, budget) =>
    (await this.#isStoredHere(selection, budget))
      ? this.#options.stored.ends(selection, windows, budget)
      : undefined;

  reduce: Storage["reduce"] = async (selection, reduction, budget) =>
    (await this.#isStoredHere(selection, budget))
      ? this.#options.stored.reduce(selection, reduction, budget)
      : undefined;

  /** Whether the store alone has what a selector reads, so that its own ways can be used. */
  async #isStoredHere(selection: Selection, budget: ReadBudget): Promise<boolean> {
    const { labelled, upstream } = await this.#reading(selection, budget);
    return labelled.length === 0 && upstream.size === 0;
  }

  /** Several operators can read the same selector: the upstream is asked once. */
  #reading(selection: Selection, budget: ReadBudget): Promise<Reading> {
    const { matchers, afterMs, toMs, totalsAfterMs } = selection;
    const text = matchers.map(({ name, operator, value }) => [name, operator, value]);
    const key = JSON.stringify([text, afterMs, toMs, totalsAfterMs]);
    return this.#readings.getOrInsertComputed(key, () => this.#read(selection, budget));
  }

  async #read(selection: Selection, budget: ReadBudget): Promise<Reading> {
    const { rules, upstream } = this.#options;
    const { matchers, toMs, totalsAfterMs } = selection;
    const asked = rules.externalLabels.filter(([name]) => mentions(matchers, name));
    const reading = await this.#stored(selection, asked);
    const stored = [...reading.sources, ...reading.labelled];
    const all = stored.length > 0 ? stored : await this.#sourcesEver(matchers);
    const afterMs = beginOf(selection, all);
    // A selector that names a label of gateways asks for the series of several.
    if (rules.join === "all" || asked.length > 0 || all.length === 0)
      return {
        ...reading,
        upstream: await upstream.read({ matchers, afterMs, toMs, totalsAfterMs, isOwn: false }, budget),
      };
    const seamMs = await this.#seam(all, afterMs);
    if (seamMs === undefined) return { ...reading, upstream: new Map() };
    const older = { matchers, afterMs, toMs: Math.min(toMs, seamMs), totalsAfterMs, isOwn: true };
    return { ...reading, upstream: await upstream.read(older, budget) };
  }

  /**
   * The stored series of a selector. Those without the labels of the gateway count as series with them, if the selector names
   * these labels and matches their values.
   */
  async #stored(selection: Selection, added: Reading["added"]): Promise<Omit<Reading, "upstream">> {
    const { stored } = this.#options;
    const sources = await stored.find(selection);
    const matchers = added.length === 0 ? undefined : ownMatchers(selection.matchers, added);
    if (matchers === undefined) return { sources, labelled: [], added };
    const hasLabel = ({ labels }: Source) => added.some(([name]) => labels.get(name) !== "");
    const labelled = await stored.find({ ...selection, matchers });
    return { sources: sources.filter(hasLabel), labelled, added };
  }

  async #sourcesEver(matchers: readonly Matcher[]): Promise<readonly Source[]> {
    return await this.#options.rows.find(matchers, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  /**
   * Up to which time a range that begins after `afterMs` needs the upstream: the end of the first day from which samples of
   * the series are stored. Undefined if they reach back to the beginning of the range.
   */
  async #seam(sources: readonly Source[], afterMs: number): Promise<number | undefined> {
    const { rows } = this.#options;
    const ids = [...new Set(sources.flatMap(({ seriesIds }) => seriesIds))];
    const hasBy = async (day: number) =>
      (await rows.withSamplesIn(ids, Number.NEGATIVE_INFINITY, day)).size > 0;
    // The first sample after `afterMs` may be of its day.
    if (await hasBy(dayOf((afterMs + 1) * 1000))) return undefined;
    const days = rows.days().map(({ day }) => day);
    let [from, to] = [0, days.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (await hasBy(days[middle])) to = middle;
      else from = middle + 1;
    }
    return from === days.length ? Number.POSITIVE_INFINITY : (days[from] + 1) * DAY_MS - 1;
  }
}

/**
 * After which time samples of sources are read. Totals have to be those of the other selectors of the query, so they are
 * raised from where all of them begin.
 */
function beginOf({ afterMs, totalsAfterMs }: Selection, sources: readonly Source[]): number {
  return sources.some(({ shape }) => shape !== "raw") ? Math.min(afterMs, totalsAfterMs) : afterMs;
}

function samplesAfter(series: SeriesSamples, afterMs: number): SeriesSamples {
  const { labels, timestampsMs, values, stale } = series;
  let from = firstAt(timestampsMs, afterMs);
  while (timestampsMs[from] === afterMs) from++;
  if (from === 0) return series;
  return {
    labels,
    timestampsMs: timestampsMs.subarray(from),
    values: values.subarray(from),
    stale: stale?.subarray(from),
  };
}

function withLabels(labels: LabelSet, added: Reading["added"]): LabelSet {
  return added.reduce((rest, [name, value]) => rest.with(name, value), labels);
}

/** The sources that are rows, and those that are totals, with what joins each with the upstream's samples. */
function partsOf(sources: readonly Source[], labels: Reading["added"]) {
  return [
    { part: sources.filter(({ shape }) => shape === "raw"), join: joinSamples, labels },
    { part: sources.filter(({ shape }) => shape !== "raw"), join: joinTotals, labels },
  ].filter(({ part }) => part.length > 0);
}

/**
 * The matchers of those stored series that have none of some labels. Undefined if the selector does not match the values
 * that these labels have for this gateway.
 */
function ownMatchers(
  matchers: readonly Matcher[],
  asked: readonly (readonly [name: string, value: string])[],
): readonly Matcher[] | undefined {
  const values = new Map(asked);
  if (matchers.some((each) => values.has(each.name) && !each.matches(values.get(each.name)!)))
    return undefined;
  return [
    ...matchers.filter(({ name }) => !values.has(name)),
    ...asked.map(([name]) => matcher(name, "=", "")),
  ];
}

/** The samples before the first stored one, and the stored ones. */
function joinSamples(older: SeriesSamples, stored: SeriesSamples): SeriesSamples {
  // The upstream has whole milliseconds.
  const count = firstAt(older.timestampsMs, Math.floor(stored.timestampsMs[0]));
  if (count === 0) return stored;
  return {
    labels: stored.labels,
    timestampsMs: concat(older.timestampsMs.subarray(0, count), stored.timestampsMs),
    values: concat(older.values.subarray(0, count), stored.values),
    stale: staleOf(older, count, stored),
  };
}

/**
 * As `joinSamples`, for a counter that is added up here and begins with the rows that the query reads. The upstream's
 * continues since the gateway began, so the stored one is raised to it.
 */
function joinTotals(older: SeriesSamples, stored: SeriesSamples): SeriesSamples {
  const raise = raiseOf(older, stored);
  return joinSamples(
    older,
    raise === 0 ? stored : { ...stored, values: stored.values.map((value) => value + raise) },
  );
}

/** The difference at the first time that both have, or after the last sample of the upstream. */
function raiseOf(older: SeriesSamples, stored: SeriesSamples): number {
  const { timestampsMs, values, stale } = older;
  let at = firstAt(timestampsMs, stored.timestampsMs[0]);
  for (let own = 0; at < timestampsMs.length && own < stored.timestampsMs.length; ) {
    const difference = timestampsMs[at] - stored.timestampsMs[own];
    if (difference === 0 && stale?.[at] !== 1) return Math.max(0, values[at] - stored.values[own]);
    if (difference <= 0) at++;
    if (difference >= 0) own++;
  }
  let last = firstAt(timestampsMs, stored.timestampsMs[0]) - 1;
  while (last >= 0 && stale?.[last] === 1) last--;
  return last < 0 ? 0 : Math.max(0, values[last] - stored.values[0]);
}

function staleOf(older: SeriesSamples, count: number, stored: SeriesSamples): Uint8Array | undefined {
  if (older.stale === undefined && stored.stale === undefined) return undefined;
  const stale = new Uint8Array(count + stored.values.length);
  if (older.stale !== undefined) stale.set(older.stale.subarray(0, count));
  if (stored.stale !== undefined) stale.set(stored.stale, count);
  return stale;
}

function concat(a: Float64Array, b: Float64Array): Float64Array {
  const joined = new Float64Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
