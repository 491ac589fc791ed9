/**
 * Storage for several queries that are evaluated at once, at one time: the reads that wait together and have the same
 * range are one read. Fifty rules over the same metrics read them once.
 *
 * The series of each query are found on their own, so no query sees more than its selectors select. If a merged read
 * fails, for example because all of it together is above a limit, each query reads on its own.
 */
import type { Source } from "../catalog/catalog.ts";
import type { LabelSet } from "../labels.ts";
import { formatMatcher } from "../matchers.ts";
import type { ReadBudget, Selection, SeriesSamples, Storage, WindowEnds, Windows } from "../storage.ts";
import { labelsOf } from "./running-totals.ts";
import { areTotals, seriesOf, type StoreStorage } from "./store-storage.ts";

interface LabelledEnds {
  readonly labels: LabelSet;
  readonly ends: WindowEnds;
}

type EndsFound = Awaited<ReturnType<NonNullable<Storage["ends"]>>>;

/** A query that waits for a read. */
interface Waiting<Result> {
  readonly selection: Selection;
  readonly budget: ReadBudget;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

interface Round<Result> {
  readonly waiting: Waiting<Result>[];
}

/** Sources of a merged read. Its samples are kept until all queries have them. */
const MERGED_SOURCES_MAX = 20_000;
/** Ranges up to this are read for a reduction too: their samples are few, and other queries may read them anyway. */
const REDUCED_RANGE_MS_MIN = 15 * 60_000;

export class MergedReads implements Storage {
  readonly #storage: StoreStorage;
  readonly #signal: AbortSignal;
  readonly #samples = new Map<string, Round<AsyncIterable<readonly SeriesSamples[]>>>();
  readonly #ends = new Map<string, Round<EndsFound>>();

  /** @param signal ends merged reads, which belong to no single query */
  constructor(storage: StoreStorage, signal: AbortSignal) {
    this.#storage = storage;
    this.#signal = signal;
  }

  async *select(selection: Selection, budget: ReadBudget): AsyncIterable<readonly SeriesSamples[]> {
    yield* await this.#wait(this.#samples, rangeKey(selection), selection, budget, (round) =>
      this.#readSamples(round),
    );
  }

  ends(selection: Selection, windows: Windows, budget: ReadBudget): Promise<EndsFound> {
    const key = `${rangeKey(selection)} ${windows.rangeMs} ${windows.lookMs.join()}`;
    return this.#wait(this.#ends, key, selection, budget, (round) => this.#readEnds(round, windows));
  }

  reduce: NonNullable<Storage["reduce"]> = async (selection, reduction, budget) => {
    if (selection.toMs - selection.afterMs < REDUCED_RANGE_MS_MIN) return undefined;
    return await this.#storage.reduce(selection, reduction, budget);
  };

  /** Joins the round of a key, which ends when nothing else of this thread is ready to run. */
  #wait<Result>(
    rounds: Map<string, Round<Result>>,
    key: string,
    selection: Selection,
    budget: ReadBudget,
    read: (waiting: readonly Waiting<Result>[]) => Promise<void>,
  ): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    let round = rounds.get(key);
    if (round === undefined) {
      round = { waiting: [] };
      rounds.set(key, round);
      const { waiting } = round;
      setImmediate(() => {
        rounds.delete(key);
        read(waiting).catch((error: unknown) => {
          for (const each of waiting) each.reject(error);
        });
      });
    }
    round.waiting.push({ selection, budget, resolve, reject });
    return promise;
  }

  async #readSamples(waiting: readonly Waiting<AsyncIterable<readonly SeriesSamples[]>>[]): Promise<void> {
    const storage = this.#storage;
    const alone = (each: Waiting<AsyncIterable<readonly SeriesSamples[]>>) =>
      each.resolve(storage.select(each.selection, each.budget));
    const merged = await this.#merge(waiting);
    if (merged === undefined) {
      waiting.forEach(alone);
      return;
    }
    const byLabels = new Map<string, SeriesSamples>();
    try {
      for await (const batch of storage.read(merged.sources, waiting[0]!.selection, this.#budget())) {
        for (const { labels, timestampsMs, values, stale } of batch) {
          const kept = { timestampsMs: timestampsMs.slice(), values: values.slice(), stale: stale?.slice() };
          byLabels.set(labels.key, { labels, ...kept });
        }
      }
    } catch {
      waiting.forEach(alone);
      return;
    }
    for (const [at, each] of waiting.entries()) {
      settle(each, () => {
        const sources = merged.sourcesOf[at]!;
        each.budget.countSeries(seriesOf(sources));
        const series = found(sources, byLabels);
        each.budget.countSamples(series.reduce((sum, { values }) => sum + values.length, 0));
        return oneBatch(series);
      });
    }
  }

  async #readEnds(waiting: readonly Waiting<EndsFound>[], windows: Windows): Promise<void> {
    const storage = this.#storage;
    const alone = (each: Waiting<EndsFound>) =>
      void storage.ends(each.selection, windows, each.budget).then(each.resolve, each.reject);
    const merged = await this.#merge(waiting);
    if (
      merged === undefined ||
      !merged.sourcesOf.every((sources) => sources.length === 0 || areTotals(sources))
    ) {
      waiting.forEach(alone);
      return;
    }
    const byLabels = new Map<string, LabelledEnds>();
    try {
      const { selection } = waiting[0]!;
      for await (const batch of storage.endsOf(merged.sources, selection, windows, this.#budget())) {
        // The totals are in a buffer that the next batch uses again.
        for (const { labels, ends } of batch)
          byLabels.set(labels.key, { labels, ends: { ...ends, totals: ends.totals.slice() } });
      }
    } catch {
      waiting.forEach(alone);
      return;
    }
    for (const [at, each] of waiting.entries()) {
      settle(each, () => {
        const sources = merged.sourcesOf[at]!;
        // As the storage itself: without series it is no answer.
        if (sources.length === 0) return undefined;
        const seriesMax = seriesOf(sources);
        each.budget.countSeries(seriesMax);
        return { seriesMax, batches: oneBatch(found(sources, byLabels)) };
      });
    }
  }

  /** The sources of each query, and all of them once. Undefined if the reads are not to be merged. */
  async #merge(waiting: readonly { readonly selection: Selection }[]): Promise<Merged | undefined> {
    if (waiting.length === 1) return undefined;
    const known = new Map<string, Promise<readonly Source[]>>();
    const finding = waiting.map(({ selection }) =>
      known.getOrInsertComputed(selection.matchers.map(formatMatcher).join(), () =>
        this.#storage.find(selection),
      ),
    );
    const outcomes = await Promise.allSettled(finding);
    // The query that cannot find its series must fail, and not the others.
    if (outcomes.some(({ status }) => status === "rejected")) return undefined;
    const sourcesOf = await Promise.all(finding);
    const sources = new Map<string, Source>();
    for (const each of new Set(sourcesOf).values())
      for (const source of each) sources.set(sourceKey(source), source);
    if (sources.size > MERGED_SOURCES_MAX) return undefined;
    return { sources: [...sources.values()], sourcesOf };
  }

  /** Each query counts its own samples. Portions bound what is in memory. */
  #budget(): ReadBudget {
    return { signal: this.#signal, countSamples: () => {}, countSeries: () => {} };
  }
}

interface Merged {
  readonly sources: readonly Source[];
  /** By index of the query. */
  readonly sourcesOf: readonly (readonly Source[])[];
}

function rangeKey({ afterMs, toMs, totalsAfterMs }: Selection): string {
  return `${afterMs} ${toMs} ${totalsAfterMs}`;
}

/** Buckets of one histogram are different sources if selectors match different bounds. */
function sourceKey({ shape, labels, edges }: Source): string {
  return `${shape}\u0000${labels.key}\u0000${edges.map(({ bound }) => bound).join()}`;
}

function found<Each>(sources: readonly Source[], byLabels: ReadonlyMap<string, Each>): Each[] {
  return sources.flatMap((source) => labelsOf(source).flatMap(({ key }) => byLabels.get(key) ?? []));
}

function settle<Result>({ resolve, reject }: Waiting<Result>, result: () => Result): void {
  try {
    resolve(result());
  } catch (error) {
    reject(error);
  }
}

async function* oneBatch<Each>(items: readonly Each[]): AsyncIterable<readonly Each[]> {
  if (items.length > 0) yield items;
}
