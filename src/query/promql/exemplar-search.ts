/**
 * Exemplars of a query (https://prometheus.io/docs/prometheus/latest/querying/api/#querying-exemplars): single
 * measurements with labels that lead to a trace or a task. For the buckets of an observation and the total of a delta
 * these are the stored rows themselves, with the attributes that identify an event. Deltas, cumulative series and gauges
 * also have the exemplars that were sent with them. The number is bounded to the newest rows of each bucket and time slice.
 */
import { dayOf, type Labels, MICROSECONDS_PER_DAY } from "../../model/sample.ts";
import { faultOf } from "../../store/engine/faults.ts";
import { statement } from "../../store/statements.ts";
import type { Parameters, Reader, Store } from "../../store/store.ts";
import { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import type { Budget, Limits } from "./evaluate/budget.ts";
import { compareLabels, type LabelSet } from "./labels.ts";
import type { Matcher } from "./matchers.ts";
import { QueryRunner } from "./query-runner.ts";
import type { Catalog, Source } from "./catalog/catalog.ts";
import type { SelectorUse } from "./worker/selector-reader.ts";

interface ExemplarOptions extends Limits {
  readonly store: Pick<Store, "reader" | "days">;
  readonly catalog: Catalog;
  readonly selectors: SelectorUse;
  /** Tags that identify a single event, and are columns. */
  readonly attributes: readonly string[];
}

interface Exemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly timestampMs: number;
}

/** The exemplars of one series, in order of time. */
export interface SeriesExemplars {
  readonly seriesLabels: LabelSet;
  readonly exemplars: readonly Exemplar[];
}

/** The most rows per attribute, and the most stored exemplars, of an answer: a page draws far fewer. */
const ROWS_MAX = 10_000;
/** The range is divided into this many slices; each series and bucket contributes the newest row of each. */
const SLICES = 60;
/** The most attributes that an exemplar shows: each needs one more pass over the rows. */
const ATTRIBUTES_MAX = 4;

const CONCURRENCY_MAX = 2;
const WAIT_MS = 10_000;
/** An interrupt between two statements is lost, so it is repeated. */
const INTERRUPT_INTERVAL_MS = 50;

interface EventRow extends Record<string, unknown> {
  readonly row_id: number;
  readonly series_id: number;
  readonly timestamp_us: number;
  readonly value: number;
  readonly label: string;
}

interface ExemplarRow extends Record<string, unknown> {
  readonly series_id: number;
  readonly timestamp_us: number;
  readonly value: number;
  readonly labels: Record<string, string>;
}

/** A range of time, both ends included, µs. */
interface Range {
  readonly fromUs: number;
  readonly toUs: number;
}

type Ask = <Row extends Record<string, unknown>>(sql: string, parameters: Parameters) => Promise<Row[]>;

export class ExemplarSearch {
  readonly #options: ExemplarOptions;
  readonly #catalog: Catalog;
  readonly #runner = new QueryRunner(
    new ConcurrencyLimit(CONCURRENCY_MAX, { tasks: "searches for exemplars", waitMs: WAIT_MS }),
  );

  constructor(options: ExemplarOptions) {
    this.#options = options;
    this.#catalog = options.catalog;
  }

  /**
   * Returns the exemplars of the series that the selectors of an expression find, from `startMs` to `endMs`. Series
   * without exemplars are left out.
   *
   * @param labels if set, only series with these labels are found
   * @throws ParseError, and QueryError when a limit on PromQL queries is exceeded
   */
  async find(
    text: string,
    startMs: number,
    endMs: number,
    signal?: AbortSignal,
    labels?: Labels,
  ): Promise<SeriesExemplars[]> {
    const asked = { texts: [text], isExpression: true, labels };
    return await this.#runner.runWithin(this.#options, signal, async (budget) => {
      const range = this.#within({ fromUs: startMs * 1000, toUs: endMs * 1000 });
      const sources = await this.#options.selectors.use(asked, budget.signal, async (selectors) =>
        range === undefined ? [] : await this.#sources(selectors, range, budget),
      );
      return range === undefined ? [] : await this.#find(sources, range, budget);
    });
  }

  /** Stops running queries; resolves when none runs. */
  async close(): Promise<void> {
    await this.#runner.close();
  }

  async #sources(
    selectors: readonly (readonly Matcher[])[],
    range: Range,
    budget: Budget,
  ): Promise<Source[]> {
    const sources = new Map<string, Source>();
    const options = { signal: budget.signal, countSeries: (count: number) => budget.countSeries(count) };
    for (const matchers of selectors) {
      const found = await this.#catalog.find(matchers, dayOf(range.fromUs), dayOf(range.toUs), options);
      for (const source of found) {
        // Other selectors may find the same histogram with other buckets.
        const edges = source.edges.map(({ bound }) => bound).join();
        sources.set(`${source.labels.key}\u0000${edges}`, source);
      }
    }
    return [...sources.values()];
  }

  async #find(sources: readonly Source[], range: Range, budget: Budget): Promise<SeriesExemplars[]> {
    const found = new Map<string, { labels: LabelSet; exemplars: Map<string, Exemplar> }>();
    const add = (labels: LabelSet, key: string, exemplar: Exemplar) => {
      const own = found.get(labels.key) ?? { labels, exemplars: new Map() };
      found.set(labels.key, own);
      const known = own.exemplars.get(key);
      own.exemplars.set(key, { ...exemplar, labels: { ...known?.labels, ...exemplar.labels } });
    };
    await this.#reading(budget, async (ask) => {
      await this.#events(sources, range, ask, add);
      await this.#written(sources, range, ask, add);
    });
    return [...found.values()]
      .map(({ labels, exemplars }) => ({
        seriesLabels: labels,
        exemplars: [...exemplars.values()].sort((a, b) => a.timestampMs - b.timestampMs),
      }))
      .sort((a, b) => compareLabels(a.seriesLabels, b.seriesLabels));
  }

  /** The part of a range in which anything is stored. */
  #within({ fromUs, toUs }: Range): Range | undefined {
    const days = this.#options.store.days();
    if (days.length === 0) return undefined;
    const range = {
      fromUs: Math.max(fromUs, days[0].day * MICROSECONDS_PER_DAY),
      toUs: Math.min(toUs, (days[days.length - 1].day + 1) * MICROSECONDS_PER_DAY - 1),
    };
    return range.fromUs <= range.toUs ? range : undefined;
  }

  /** Rows of observations and deltas, by metric, day and attribute. */
  async #events(sources: readonly Source[], range: Range, ask: Ask, add: Add): Promise<void> {
    const events = sources.filter(({ shape, metric }) =>
      metric.kind === "observation" ? shape === "buckets" : metric.kind === "delta" && shape === "sum",
    );
    const left = new Map(this.#options.attributes.map((name) => [name, ROWS_MAX]));
    const newestFirst = [...this.#options.store.days()].reverse();
    const sliceUs = Math.max(1, Math.ceil((range.toUs - range.fromUs) / SLICES));
    for (const [metric, own] of Map.groupBy(events, (source) => source.metric)) {
      const bySeries = sourcesBySeries(own);
      for (const { day, table, attributes } of newestFirst) {
        const beginUs = day * MICROSECONDS_PER_DAY;
        const fromUs = Math.max(range.fromUs, beginUs);
        const toUs = Math.min(range.toUs, beginUs + MICROSECONDS_PER_DAY - 1);
        if (fromUs > toUs) continue;
        const shown = this.#options.attributes
          .flatMap((name) => attributes.find((each) => each.name === name) ?? [])
          .slice(0, ATTRIBUTES_MAX);
        for (const { name, column } of shown) {
          const most = left.get(name)!;
          if (most === 0) continue;
          const rows = await ask<EventRow>(statement("query/promql_event_exemplars", { table, column }), {
            fromUs,
            toUs,
            sliceFromUs: range.fromUs,
            sliceUs,
            seriesIds: [...bySeries.keys()],
            bounds: JSON.stringify(metric.buckets),
            most,
          });
          left.set(name, most - rows.length);
          for (const row of rows) {
            for (const source of bySeries.get(row.series_id)!) {
              const labels = seriesOf(source, row.value);
              if (labels === undefined) continue;
              add(labels, `${table} ${row.row_id}`, exemplarOf(row, { [name]: row.label }));
            }
          }
        }
      }
    }
  }

  /** Exemplars that were stored as such. */
  async #written(sources: readonly Source[], range: Range, ask: Ask, add: Add): Promise<void> {
    const bySeries = sourcesBySeries(
      sources.filter(
        ({ shape, metric }) => metric.kind !== "observation" && (metric.kind !== "delta" || shape === "sum"),
      ),
    );
    if (bySeries.size === 0) return;
    const rows = await ask<ExemplarRow>(statement("query/promql_exemplars"), {
      ...range,
      seriesIds: [...bySeries.keys()],
      most: ROWS_MAX,
    });
    for (const row of rows) {
      for (const { labels } of bySeries.get(row.series_id)!) {
        add(labels, `${row.timestamp_us} ${row.value}`, exemplarOf(row, row.labels));
      }
    }
  }

  /** Runs statements on one reader, which is interrupted when the budget's signal aborts. */
  async #reading(budget: Budget, work: (ask: Ask) => Promise<void>): Promise<void> {
    const reader: Reader = await this.#options.store.reader();
    const interrupting = setInterval(() => {
      if (budget.signal.aborted) reader.interrupt();
    }, INTERRUPT_INTERVAL_MS);
    const ask: Ask = async (sql, parameters) => {
      budget.check();
      try {
        const rows = await reader.all<never>(sql, parameters);
        budget.countSamples(rows.length);
        return rows;
      } catch (error) {
        // Retention may drop a day between the look-up of the days and the statement.
        if (faultOf(error) === "day dropped") return [];
        throw error;
      }
    };
    try {
      await work(ask);
    } finally {
      clearInterval(interrupting);
      reader.close();
    }
  }
}

type Add = (labels: LabelSet, key: string, exemplar: Exemplar) => void;

function exemplarOf(
  { value, timestamp_us }: { readonly value: number; readonly timestamp_us: number },
  labels: Readonly<Record<string, string>>,
): Exemplar {
  return { labels, value, timestampMs: Math.floor(timestamp_us / 1000) };
}

/** The PromQL series that a row is counted in first: its bucket, if the selector finds it, or the total. */
function seriesOf({ shape, labels, edges, metric }: Source, value: number): LabelSet | undefined {
  if (shape !== "buckets") return labels;
  const bound = metric.buckets.find((each) => value <= each) ?? Number.POSITIVE_INFINITY;
  return edges.find((edge) => edge.bound === bound)?.labels;
}

function sourcesBySeries(sources: readonly Source[]): Map<number, Source[]> {
  const bySeries = new Map<number, Source[]>();
  for (const source of sources) {
    for (const id of source.seriesIds) bySeries.getOrInsertComputed(id, () => []).push(source);
  }
  return bySeries;
}
