/**
 * What one query reads of an archive, on the thread that owns the store. Series are found by the files of the series of each day,
 * with the same catalog as those of the store. A series that the store knows has its id, so that its archived and its stored
 * samples are one series; others get ids that no stored series has. A day is read as a view in the shape of a day's table.
 */
import { RequestError } from "../../../model/errors.ts";
import { prometheusLabelName, prometheusName } from "../../../model/names.ts";
import type { Labels, Metric, Series } from "../../../model/sample.ts";
import { dateText } from "../../../model/time.ts";
import { labelsKey } from "../../../series/naming.ts";
import { quoteIdentifier, quoteText, statement } from "../../../store/statements.ts";
import type { Reader, Store } from "../../../store/store.ts";
import {
  Catalog,
  type CatalogMetric,
  type SeriesRegistry,
  seriesCounter,
  type Source,
  viewsOf,
} from "../catalog/catalog.ts";
import { METRIC_NAME } from "../labels.ts";
import type { Matcher } from "../matchers.ts";
import { LimitReached, QueryError } from "../query-errors.ts";
import type { HeldOf } from "../store/held.ts";
import { idsOf } from "../store/portions.ts";
import type { ArchiveOpened } from "../store/stored-rows.ts";
import type { DayStatement, StatementTexts } from "../store/table-reader.ts";
import {
  ArchiveAway,
  type ArchiveFile,
  type PromqlArchive,
  type PromqlArchivedDay,
  type PromqlArchivedMetric,
  type PromqlPart,
} from "./promql-archive.ts";

/** What is looked up in the store's registry (src/series/registry.ts). */
export interface StoreSeries extends SeriesRegistry {
  metric(name: string): (Metric & { current: { get(key: string): Series | undefined } }) | undefined;
}

export interface ArchiveQueryOptions {
  readonly archive: PromqlArchive;
  readonly store: Pick<Store, "reader" | "days">;
  readonly registry: StoreSeries;
  readonly heldOf?: HeldOf;
  readonly promqlSeriesMax: number;
  /** How long the query waits for the archive. */
  readonly waitMs: number;
  /** The matchers of the caller's token. */
  readonly own: readonly Matcher[];
}

/** An archived day with the numbers that its files have for series. */
interface OpenDay extends PromqlArchivedDay {
  readonly table: string;
  /** The table of the day, if some of its samples are here. */
  readonly stored: string | undefined;
  readonly byName: ReadonlyMap<string, PromqlArchivedMetric>;
  /** By the id of a series: its metric, and its numbers. */
  readonly numbers: Map<number, { readonly metric: string; readonly numbers: Set<number> }>;
}

/** Ids that no stored series has: those of the store ascend from 1. */
const LAST_ID = 2 ** 32 - 1;
/** Files of a query: the views of more would take seconds. */
const FILES_MAX = 4_000;
/** Numbers of series of one gateway and day, which count anew when the day is dropped. */
const NUMBERS_OF_DROP = 2 ** 32;
/** The order of arrival of samples of one series and time: by parts, and within them by rows. */
const ROWS_OF_PART = 2 ** 33;

export class ArchiveQuery implements StatementTexts {
  readonly #options: ArchiveQueryOptions;
  readonly #days = new Map<number, OpenDay>();
  readonly #byTable = new Map<string, OpenDay>();
  readonly #found = new Map<string, Promise<readonly Source[]>>();
  /** The ids of series that the store does not know, by metric and labels. */
  readonly #ids = new Map<string, number>();
  readonly #held = new Map<string, string>();
  readonly #releases: (() => void)[] = [];
  #bytes = 0;
  readonly #stop = new AbortController();
  #deadlineMs: number | undefined;

  constructor(options: ArchiveQueryOptions) {
    this.#options = options;
  }

  /** The archived days of a range of days. */
  async open(firstDay: number, lastDay: number): Promise<ArchiveOpened> {
    const { archive } = this.#options;
    try {
      await this.#inTime(archive.ready(this.#stop.signal));
    } catch (error) {
      if (error instanceof RequestError) return { failure: error.message };
      throw error;
    }
    if (archive.missing !== undefined) return { failure: archive.missing.message };
    for (const day of archive.days(firstDay, lastDay)) {
      const byName = new Map(day.metrics.map((metric) => [metric.name, metric]));
      const stored = this.#options.store.days().find((each) => each.day === day.day);
      const open = {
        ...{ ...day, rows: day.rows + (stored?.rows ?? 0), byName, stored: stored?.table },
        table: `archived ${dateText(day.day)}`,
        numbers: new Map(),
      };
      this.#days.set(day.day, open);
      this.#byTable.set(open.table, open);
    }
    return { days: Array.from(this.#days.values(), ({ day, table, rows }) => ({ day, table, rows })) };
  }

  /**
   * The series that match and have samples in the days, and their samples on this machine.
   *
   * @throws ArchiveAway, LimitReached if they are too many or too large
   */
  async find(
    matchers: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    signal?: AbortSignal,
  ): Promise<readonly Source[]> {
    const text = matchers.map(({ name, operator, value }) => [name, operator, value]);
    // The ends of a range can be infinite.
    const key = JSON.stringify([text, String(firstDay), String(lastDay)]);
    return await this.#found.getOrInsertComputed(key, () => this.#find(matchers, firstDay, lastDay, signal));
  }

  async #find(
    asked: readonly Matcher[],
    firstDay: number,
    lastDay: number,
    signal?: AbortSignal,
  ): Promise<readonly Source[]> {
    // Totals begin with rows of the day before (earlierOf of ../cells/tracked-series.ts).
    const days = [...this.#days.values()].filter(({ day }) => day >= firstDay - 1 && day <= lastDay);
    const asking = days.filter(({ day }) => day >= firstDay);
    if (asking.length === 0) return [];
    const { heldOf, promqlSeriesMax, own } = this.#options;
    const matchers = [...asked, ...own];
    const names = await namesIn(asking, matchers);
    const metrics = await this.#load(days, names, matchers, signal);
    const catalog = this.#catalogOf(metrics, asking);
    const countSeries = seriesCounter(promqlSeriesMax);
    const found = await catalog.find(matchers, firstDay, lastDay, { signal, countSeries });
    const ids = new Set(idsOf(found));
    const ofTotals = new Set(idsOf(found.filter(({ shape }) => shape !== "raw")));
    await this.#hold(days.flatMap((day) => partsOf(day, day.day < firstDay ? ofTotals : ids)));
    return found.map((source) => {
      const { kind } = source.metric;
      if (kind === "observation" || kind === "delta" || this.#isForeign(source.seriesIds[0]!)) return source;
      const held = heldOf?.(source.seriesIds[0]!);
      return held === undefined ? source : { ...source, held };
    });
  }

  /**
   * The series of the opened days, of which those that any of some selectors finds are complete. Reads no samples.
   *
   * @throws ArchiveAway, LimitReached if they are too many or too large
   */
  async catalog(selectors: readonly (readonly Matcher[])[], signal?: AbortSignal): Promise<Catalog> {
    const days = [...this.#days.values()];
    const metrics = new Map<string, LoadedMetric>();
    for (const asked of selectors) {
      const matchers = [...asked, ...this.#options.own];
      for (const metric of await this.#load(days, await namesIn(days, matchers), matchers, signal)) {
        const known = metrics.get(metric.name);
        if (known === undefined) metrics.set(metric.name, metric);
        else {
          const ids = new Set(Array.from(known.series, ({ seriesId }) => seriesId));
          for (const each of metric.series)
            if (!ids.has(each.seriesId)) known.series.add({ ...each, metric: known });
        }
      }
    }
    return this.#catalogOf([...metrics.values()], days);
  }

  #catalogOf(metrics: readonly CatalogMetric[], days: readonly OpenDay[]): Catalog {
    const { registry } = this.#options;
    return new Catalog({
      epoch: 0,
      metrics: () => metrics,
      isAttribute: (metric, tag) => registry.isAttribute(metric, tag),
      hasSamplesIn: (id, firstDay, lastDay) =>
        days.some(({ day, numbers }) => day >= firstDay && day <= lastDay && numbers.has(id)),
    });
  }

  /** Those of some series that have samples in the opened days from `firstDay` to `lastDay`. */
  *seriesIn(seriesIds: readonly number[], firstDay: number, lastDay: number): Iterable<number> {
    const days = [...this.#days.values()].filter(({ day }) => day >= firstDay && day <= lastDay);
    if (days.length === 0) return;
    for (const id of seriesIds) if (days.some(({ numbers }) => numbers.has(id))) yield id;
  }

  /** Those of some ids that are of the store. */
  storedOf(seriesIds: readonly number[]): readonly number[] {
    return this.#ids.size === 0 ? seriesIds : seriesIds.filter((id) => !this.#isForeign(id));
  }

  #isForeign(id: number): boolean {
    return id > LAST_ID - this.#ids.size;
  }

  /** Reads the series of metrics, except for some that cannot match. Notes their numbers. */
  async #load(
    days: readonly OpenDay[],
    names: ReadonlySet<string>,
    matchers: readonly Matcher[],
    signal?: AbortSignal,
  ): Promise<readonly LoadedMetric[]> {
    if (names.size === 0) return [];
    const { store, promqlSeriesMax } = this.#options;
    const having = days.filter(({ metrics }) => metrics.some(({ name }) => names.has(name)));
    await this.#hold(having.flatMap(({ series }) => series));
    const arms = having.flatMap(({ day, series }) =>
      Array.from(
        Map.groupBy(series, ({ drops = 0 }) => drops),
        ([drops, files]) => {
          const paths = files.map((file) => this.#pathOf(file));
          return `SELECT ${day} AS day, series + ${drops * NUMBERS_OF_DROP} AS series, metric, labels FROM ${this.#parquet(paths)}`;
        },
      ),
    );
    const conditions = [
      `metric IN (${Array.from(names, quoteText).join(", ")})`,
      ...equalities(having, names, matchers),
    ];
    const sql = `SELECT metric, to_json(labels)::VARCHAR AS labels, string_agg(day || ' ' || series, ',') AS numbers
FROM (${arms.join("\nUNION ALL\n")})
WHERE ${conditions.join(" AND ")}
GROUP BY metric, labels
LIMIT ${promqlSeriesMax + 1}`;
    const loaded = new Map<string, LoadedMetric>();
    const reader = await store.reader();
    let series = 0;
    try {
      const { chunks } = await reader.stream(sql);
      for await (const rows of chunks()) {
        signal?.throwIfAborted();
        series += rows.length;
        if (series > promqlSeriesMax)
          throw new LimitReached(
            `the metrics of the query have more than ${promqlSeriesMax} series in the archive (promqlSeriesMax): add ` +
              'matchers such as job="a"',
          );
        for (const [name, labels, numbers] of rows as readonly (readonly string[])[]) {
          const metric = loaded.getOrInsertComputed(name!, () => this.#metric(name!, having));
          this.#add(metric, labels!, numbers!);
        }
      }
    } catch (error) {
      throw failureOf(error, "its files of series cannot be read");
    } finally {
      reader.close();
    }
    return [...loaded.values()];
  }

  #metric(name: string, days: readonly OpenDay[]): LoadedMetric {
    const [newest] = days.flatMap(({ byName }) => byName.get(name) ?? []).reverse();
    const { kind, type, unit, help, buckets } = newest!;
    const known = this.#options.registry.metric(name);
    const facts = known?.kind === kind ? known : { type, unit, help, buckets };
    return {
      ...{ name, prometheusName: prometheusName(name), kind, buckets: facts.buckets },
      ...{ type: facts.type, unit: facts.unit, help: facts.help },
      series: new Set(),
      labelNames() {
        return new Set([...this.series].flatMap(({ labels }) => [...labels.keys()]));
      },
    };
  }

  #add(metric: LoadedMetric, labelsText: string, numbersText: string): void {
    const pairs = Object.entries(JSON.parse(labelsText) as Record<string, string>);
    const labels = new Map(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
    const seriesId = this.#idOf(metric, labels);
    metric.series.add({ seriesId, metric, labels, exposed: true });
    for (const pair of numbersText.split(",")) {
      const [day, number] = pair.split(" ").map(Number);
      const numbers = this.#days
        .get(day!)!
        .numbers.getOrInsertComputed(seriesId, () => ({ metric: metric.name, numbers: new Set() }));
      numbers.numbers.add(number!);
    }
  }

  #idOf({ name, kind }: Metric, labels: Labels): number {
    const key = labelsKey(labels);
    const known = this.#options.registry.metric(name);
    const stored = known?.kind === kind ? known.current.get(key) : undefined;
    return (
      stored?.seriesId ?? this.#ids.getOrInsertComputed(`${name}\0${key}`, () => LAST_ID - this.#ids.size)
    );
  }

  /** The text of a statement over a day. That of an archived one is over a view of its files, which is made before. */
  async textOf(reader: Reader, { name, table, identifiers, parameters }: DayStatement): Promise<string> {
    const text = statement(name, { ...identifiers, table });
    const day = this.#byTable.get(table);
    if (day === undefined) return text;
    // Views of one observation, such as its count and its sum, have the same series, whose rows must be there once.
    const ids = [...new Set(JSON.parse(String(parameters.seriesIds)) as number[])];
    // Mostly `find` has fetched them.
    await this.#hold(partsOf(day, new Set(ids)));
    await reader.run(
      `CREATE OR REPLACE TEMP VIEW ${quoteIdentifier(table)} AS\n${this.#rowsOf(day, ids).join("\nUNION ALL\n")}`,
    );
    return text.replaceAll(`weir.${quoteIdentifier(table)}`, `temp.main.${quoteIdentifier(table)}`);
  }

  /** The statements of a view with the rows of some series, in the columns of a day's table. */
  #rowsOf(day: OpenDay, ids: readonly number[]): string[] {
    const byMetric = Map.groupBy(
      ids.filter((id) => day.numbers.has(id)),
      (id) => day.numbers.get(id)!.metric,
    );
    const arms = [...byMetric].flatMap(([metric, own]) => {
      const pairs = own.flatMap((id) =>
        Array.from(day.numbers.get(id)!.numbers, (number): [number, number] => [number, id]),
      );
      const parts = day.byName.get(metric)?.parts ?? [];
      return parts.map((part, at) => {
        const before = (part.drops ?? 0) * NUMBERS_OF_DROP;
        const ofPart = pairs.filter(([number]) => number >= before && number < before + NUMBERS_OF_DROP);
        const [numbers, idsOf] = [ofPart.map(([number]) => number - before), ofPart.map(([, id]) => id)];
        return `SELECT m.series_id, d.ts, d.value, d.file_row_number + ${at * ROWS_OF_PART} AS rowid
FROM ${this.#parquet([this.#pathOf(part)], ", file_row_number = true")} AS d
JOIN (
  SELECT unnest([${numbers.join(", ")}]::UINTEGER[]) AS series, unnest([${idsOf.join(", ")}]::UINTEGER[]) AS series_id
) AS m USING (series)`;
      });
    });
    if (day.stored !== undefined)
      arms.push(`SELECT series_id, ts, value, rowid + ${FILES_MAX * ROWS_OF_PART} AS rowid
FROM weir.${quoteIdentifier(day.stored)} WHERE series_id IN (${this.storedOf(ids).join(", ") || "NULL"})`);
    return arms.length > 0 ? arms : [statement("archive/no_rows")];
  }

  /** The error of a statement over a day. */
  errorOf(error: unknown, { table }: DayStatement): unknown {
    const day = this.#byTable.get(table);
    return day === undefined ? error : failureOf(error, `a file of ${dateText(day.day)} cannot be read`);
  }

  #parquet(paths: readonly string[], more = ""): string {
    return `read_parquet([${paths.map(quoteText).join(", ")}], hive_partitioning = false${more})`;
  }

  #pathOf({ path }: ArchiveFile): string {
    const held = this.#held.get(path);
    if (held === undefined) throw new Error(`${path} was not fetched`);
    return held;
  }

  /** Fetches files that this query does not have yet. */
  async #hold(files: readonly ArchiveFile[]): Promise<void> {
    const { archive } = this.#options;
    const wanted = files.filter(({ path }) => !this.#held.has(path));
    if (wanted.length === 0) return;
    if (this.#held.size + wanted.length > FILES_MAX)
      throw new LimitReached(
        `the query reads more than ${FILES_MAX} files of the archive: query a shorter range or fewer metrics`,
      );
    this.#bytes += wanted.reduce((sum, { bytes }) => sum + bytes, 0);
    if (this.#bytes > archive.bytesMax) {
      // The files have samples of others too, of which a caller with labels must not learn.
      const isOfAll = this.#options.own.length === 0;
      const reads = isOfAll
        ? `${this.#bytes} bytes of the archive, and may read ${archive.bytesMax}`
        : "more of the archive than a query may read";
      throw new LimitReached(
        `the query reads ${reads} (archiveCacheBytes): query a shorter range or fewer metrics`,
      );
    }
    const holding = archive.hold(wanted, this.#stop.signal).then(({ path, release }) => {
      if (this.#stop.signal.aborted) release();
      else this.#releases.push(release);
      for (const file of wanted) this.#held.set(file.path, path(file));
    });
    try {
      await this.#inTime(holding);
    } catch (error) {
      throw failureOf(error, "its files cannot be read");
    }
  }

  async #inTime<T>(work: Promise<T>): Promise<T> {
    const { waitMs } = this.#options;
    this.#deadlineMs ??= performance.now() + waitMs;
    const late = Promise.withResolvers<never>();
    const tooLate = () =>
      late.reject(
        new ArchiveAway(`the archive did not answer within ${waitMs} ms, half of the time of the query`),
      );
    const timer = setTimeout(tooLate, Math.max(0, this.#deadlineMs - performance.now()));
    work.catch(() => {});
    try {
      return await Promise.race([work, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The query has ended, or goes on without the archive. */
  release(): void {
    this.#stop.abort();
    for (const release of this.#releases.splice(0)) release();
  }
}

type LoadedMetric = CatalogMetric & { readonly series: Set<Series> };

/** The metrics of days with a view whose name matches. */
async function namesIn(days: readonly OpenDay[], matchers: readonly Matcher[]): Promise<ReadonlySet<string>> {
  const named = matchers.filter(({ name }) => name === METRIC_NAME);
  const metrics = new Map(days.flatMap((day) => day.metrics.map((metric) => [metric.name, metric])));
  const matching = () =>
    [...metrics.values()].filter((metric) =>
      viewsOf({ ...metric, prometheusName: prometheusName(metric.name) }).some((view) =>
        named.every((each) => each.matches(view.name) || each.matches(view.pushedName)),
      ),
    );
  // Regular expressions are evaluated by another thread: first they note what they have to match.
  const deferred = named.flatMap((each) => each.deferred ?? []);
  for (const each of deferred) each.collect();
  if (deferred.length > 0) matching();
  for (const each of deferred) await each.settle();
  return new Set(matching().map(({ name }) => name));
}

/** Conditions on the series of metrics which all that match fulfil. */
function equalities(
  days: readonly OpenDay[],
  names: ReadonlySet<string>,
  matchers: readonly Matcher[],
): string[] {
  const labels = new Set(
    days.flatMap(({ metrics }) =>
      metrics
        .filter(({ name }) => names.has(name))
        .flatMap(({ parts }) => parts.flatMap((part) => part.labels)),
    ),
  );
  return matchers.flatMap(({ name, operator, value }) => {
    const spelled = prometheusLabelName(name);
    // Bounds have several spellings.
    if (operator !== "=" || value === "" || value.includes("\0") || /^(__name__|le|quantile)$/.test(spelled))
      return [];
    const pushed = [...labels].filter((label) => prometheusLabelName(label) === spelled);
    if (pushed.length === 0) return ["false"];
    return [`(${pushed.map((label) => `labels[${quoteText(label)}] = ${quoteText(value)}`).join(" OR ")})`];
  });
}

/** The parts of a day that have samples of some series. */
function partsOf({ metrics, numbers }: OpenDay, ids: ReadonlySet<number>): readonly PromqlPart[] {
  const names = new Set<string>();
  for (const [id, { metric }] of numbers) if (ids.has(id)) names.add(metric);
  return metrics.filter(({ name }) => names.has(name)).flatMap(({ parts }) => parts);
}

/** The error of a query that an error of the archive causes. */
function failureOf(error: unknown, what: string): unknown {
  if (error instanceof QueryError) return error;
  const isAbort = error instanceof DOMException;
  if (isAbort) return error;
  return new ArchiveAway(
    error instanceof RequestError ? error.message : `the archive cannot be read: ${what}`,
  );
}
