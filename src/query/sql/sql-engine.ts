/**
 * Runs statements over the stored samples: statements from requests, which the sandbox inspects, and our own, the
 * summaries. Both are read-only. Each runs on its own reader, which is always closed.
 *
 * Queries are limited in text, rows, time, memory and number. Rows are read chunk by chunk, when the client takes them.
 * So a slow client slows its query down, within the time limit, and a client that disconnects stops its query.
 */
import type { Log } from "../../log/log.ts";
import type { Counters } from "../../model/counters.ts";
import { BadInput, Forbidden, RequestError } from "../../model/errors.ts";
import { faultOf } from "../../store/engine/faults.ts";
import { statement } from "../../store/statements.ts";
import type {
  Cell,
  Day,
  EngineChunk,
  Parameters,
  Reader,
  ResultColumn,
  ResultStream,
  Store,
} from "../../store/store.ts";
import type { Labels } from "../../model/sample.ts";
import type { ActiveQueries, ActiveQuery } from "../active-queries.ts";
import type { CallerSeries } from "../caller-series.ts";
import { KeptInspections } from "../sandbox/kept-inspections.ts";
import type { Inspected } from "../sandbox/sandbox.ts";
import type { TablesToCome } from "../sandbox/tables-to-come.ts";
import { DAY_MS } from "../../model/duration.ts";
import { dateText } from "../../model/time.ts";
import { MemoryGuard } from "../memory-guard.ts";
import { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import { type Hint, RunningQuery, stopError } from "./running.ts";
import { type IsAttribute, type Metrics, type Table, Tables } from "./tables.ts";
import {
  ArchivedStatement,
  type ArchivedTableMetric,
  type SqlArchive,
  withArchived,
} from "./archived-parts.ts";
import { emptyView, listingView, viewsFor } from "./views.ts";

interface SqlOptions {
  readonly store: Pick<Store, "reader" | "statementReader" | "days">;
  readonly registry: Metrics & { readonly isAttribute: IsAttribute };
  /** The series that have the labels of a caller's token. If absent, callers with labels are rejected. */
  readonly own?: (labels: Labels) => Promise<CallerSeries>;
  /** The maximum that a request may set, and the default for a request that sets none. */
  readonly timeoutMs: number;
  readonly rowsMax: number;
  readonly textBytesMax: number;
  /** Queries that run at once. Four times as many may wait. */
  readonly concurrencyMax: number;
  /** How much the process's memory may grow while queries run; see MemoryGuard. */
  readonly memoryGrowthBytesMax: number;
  readonly counters: Counters;
  /** Gets the metrics whose tables a statement or a summary names, as they were pushed. */
  readonly onAsked?: (metrics: Iterable<string>) => void;
  /** Logs each query that did not stop after its interrupt. */
  readonly log?: Log;
  /** Lists the queries while they run, so that they can be cancelled. */
  readonly active?: ActiveQueries;
  /** Archived days, which are parts of the tables. Without it, they are not. */
  readonly archive?: SqlArchive;
}

export interface QueryOptions {
  readonly parameters?: Parameters;
  readonly limitRows?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** If set, the tables contain only the series with these labels: those of the caller's token. */
  readonly labels?: Labels;
  /** What is listed while the query runs, for our own statements. */
  readonly asked?: string;
  /** Whether a rule asks, and no caller. Tables that a metric can have and that do not exist are empty for it. */
  readonly isOfRule?: boolean;
}

/** A statement that is ready to run on a reader, with the views that it needs. */
interface Prepared {
  readonly views: readonly string[];
  readonly sql: string;
  /** Whether the answer is a plan. Each line of the plan becomes a row. */
  readonly isExplain?: boolean;
  /** Returns a clearer sentence for an error of the engine about the statement, or undefined. */
  readonly hint?: Hint;
  /** Called when nothing of the query runs any more. */
  readonly release?: () => void;
  /** What the answer lacks. */
  readonly warnings?: readonly string[];
}

/** A statement over tables that may have archived parts. */
interface AskedOfArchive {
  readonly sql: string;
  readonly parameters: Parameters | undefined;
  /** The labels of a caller, and its series. */
  readonly labels: Labels | undefined;
  readonly own: CallerSeries | undefined;
  /** The statements that make its views, with archived parts if they are given. */
  readonly viewsOf: (archived?: ArchivedStatement) => string[];
}

/** @param stop aborts when the query is stopped */
type Prepare = (reader: Reader, days: readonly Day[], stop: AbortSignal) => Promise<Prepared>;

export type Chunk = readonly (readonly Cell[])[];

type Readable = Pick<ResultStream, "columns" | "chunks"> & Partial<ResultStream>;

/** The rows of a query. The caller must read it to its end or close it. */
export interface QueryResult {
  /** No two names are equal, also if case is ignored. */
  readonly columns: readonly ResultColumn[];
  /** The maximum number of rows. */
  readonly limitRows: number;
  /** Aborts when the client disconnects. */
  readonly signal?: AbortSignal;
  /** The next rows, at least one; undefined at the end, when the query closes itself. Rejects with a RequestError. */
  next(): Promise<Chunk | undefined>;
  /**
   * As `next`, with rows that stay in the engine's memory. Call one of the two, not both. Absent if the rows are not
   * the engine's, such as the lines of a plan.
   */
  nextInEngine?(): Promise<EngineChunk | undefined>;
  /** Whether rows were omitted because of the limit. Known after the last chunk. */
  readonly truncated: boolean;
  /** What the answer lacks, in sentences. */
  readonly warnings?: readonly string[];
  close(): Promise<void>;
}

/** A statement without this word has no condition on the column `ts`. Otherwise it may have one. */
const NAMES_TIME = /\bts\b/i;

/** Tables without archived rows. */
const LOCAL_TABLES: readonly string[] = ["series", "metrics", "exemplars"];

/** How long a query waits until it may run. Then it is rejected. */
const WAIT_MS = 5_000;

export class SqlEngine {
  readonly #options: SqlOptions;
  readonly #concurrency: ConcurrencyLimit;
  readonly #guard: MemoryGuard;
  readonly #inspections = new KeptInspections();
  readonly #running = new Set<RunningQuery>();
  readonly #stopping = new AbortController();

  constructor(options: SqlOptions) {
    this.#options = options;
    this.#concurrency = new ConcurrencyLimit(options.concurrencyMax, {
      tasks: "queries",
      waitMs: WAIT_MS,
      setting: "sqlConcurrencyMax",
      onChange: (running) => options.counters.queriesRunning.set(running),
    });
    this.#guard = new MemoryGuard(options.memoryGrowthBytesMax);
  }

  /** The series of a caller. Undefined without labels: then the caller may read all series. */
  async own(labels: Labels | undefined): Promise<CallerSeries | undefined> {
    if (labels === undefined) return undefined;
    const { own } = this.#options;
    if (own === undefined) throw new Forbidden("SQL is not available to a token with labels.");
    return await own(labels);
  }

  /** The tables that a statement may name, with their columns. */
  async tables(own?: CallerSeries): Promise<Table[]> {
    return await this.catalog(this.#options.store.days(), own).all();
  }

  /** The current tables, with the places of their samples, of all series or of one caller's. */
  catalog(days: readonly Day[], own?: CallerSeries): Tables {
    const { registry, archive } = this.#options;
    if (own === undefined && archive !== undefined)
      return new Tables(withArchived(registry, archive.metrics), [...days, attributesOf(archive.metrics)]);
    if (own === undefined) return new Tables(registry, days);
    return new Tables(own, days, (metric, tag) => registry.isAttribute(metric, tag));
  }

  /**
   * Runs a statement from a request.
   *
   * @throws BadInput, Forbidden, TooLarge (the statement), Busy, Timeout, Unprocessable (memory)
   */
  async query(sql: string, options: QueryOptions = {}): Promise<QueryResult> {
    let missing: ReadonlySet<string> = new Set();
    try {
      return await this.#query(sql, options, (names) => {
        missing = names;
      });
    } catch (error) {
      // With empty tables for the missing ones it does not fit the other tables. There is nothing to find.
      if (missing.size > 0 && error instanceof BadInput) return NO_ROWS;
      throw error;
    }
  }

  /** @param noteMissing gets the tables that do not exist, if a rule asks */
  #query(
    sql: string,
    options: QueryOptions,
    noteMissing: (names: ReadonlySet<string>) => void,
  ): Promise<QueryResult> {
    const listed = { asked: sql, ...options };
    return this.run(async (reader, days, stop) => {
      const own = await this.own(options.labels);
      await this.archiveReady(stop);
      const tables = this.catalog(days, own);
      const toCome = options.isOfRule ? await tablesToCome(tables) : undefined;
      const prepared = async (inspected: Inspected): Promise<Prepared> => {
        const { sql: text, isExplain, hint } = inspected;
        const others = [
          ...(toCome === undefined ? [] : await emptyViews(reader, inspected, tables, toCome.missing)),
          ...(await Promise.all([...inspected.listings].map((listing) => listingView(listing, tables)))),
          ...[...inspected.macros].map((macro) => statement(`query/macro_${macro}`)),
        ];
        const isOfAllTimes = !NAMES_TIME.test(sql);
        const views = (archived?: ArchivedStatement) => [
          ...viewsFor(inspected.tables, tables, days, own, { isOfAllTimes, archived }),
          ...others,
        ];
        // Rules are about what is new, and their statements run every few seconds.
        if (options.isOfRule || isExplain) return { views: views(), sql: text, isExplain, hint };
        const { labels } = options;
        const parameters = only(options.parameters, inspected.parameters);
        const asked = { sql: text, parameters, labels, own, viewsOf: views };
        const listed = LOCAL_TABLES.filter((table) => inspected.tables.has(table));
        const warnings = listed.flatMap((table) => this.localOnly(`the table ${table} has`));
        return { ...(await this.withArchive(reader, days, asked, stop)), hint, warnings };
      };
      const lookup = async (inspected: Inspected) => {
        const { views, sql: text, release } = await prepared(inspected);
        try {
          for (const view of views) await reader.run(view);
          const parameters = only(options.parameters, inspected.parameters);
          const found = await reader.all<Record<string, unknown>>(text, parameters);
          return found.map((row) => Object.values(row)[0]);
        } finally {
          release?.();
        }
      };
      const bytesMax = this.#options.textBytesMax;
      const inspected = await this.#inspections.inspect(reader, sql, toCome ?? tables, { bytesMax, lookup });
      if (toCome !== undefined) noteMissing(toCome.missing);
      // Estimates in a plan depend on the ids of series, and so on how many others have.
      if (own !== undefined && inspected.isExplain)
        throw new Forbidden("EXPLAIN is not supported for a token with labels", "sql");
      if (!inspected.isExplain) this.noteAsked(inspected.tables, tables);
      return await prepared(inspected);
    }, listed);
  }

  /** Resolves when the archive has been read, or cannot be. The catalog has its metrics then. */
  async archiveReady(stop: AbortSignal): Promise<void> {
    await this.#options.archive?.ready(stop);
  }

  /** A statement with the archived parts that it needs, which are fetched. */
  async withArchive(
    reader: Reader,
    days: readonly Day[],
    { sql, parameters, labels, own, viewsOf }: AskedOfArchive,
    stop: AbortSignal,
  ): Promise<Prepared> {
    const { archive } = this.#options;
    if (archive === undefined) return { views: viewsOf(), sql };
    const metrics = new Set(Array.from(own?.metrics() ?? [], ({ name }) => name));
    const ownArchived = own && { labels: labels!, metrics };
    const archived = new ArchivedStatement(archive, firstDateOf(days, archive), ownArchived);
    const planned = viewsOf(archived);
    if (archived.isEmpty) return { views: planned, sql };
    for (const view of [archived.placeholder, ...planned]) await reader.run(view);
    await archived.plan(reader, sql, parameters, stop);
    return { views: [...archived.copies, ...viewsOf(archived)], sql, release: () => archived.release() };
  }

  /** A warning that something has only what is here. None if the archive has no other days. */
  localOnly(what: string): readonly string[] {
    const { archive } = this.#options;
    const isEmpty = archive === undefined || (archive.metrics.size === 0 && archive.fault === undefined);
    return isEmpty ? [] : [`${what} nothing of archived days`];
  }

  /**
   * Checks the statement of a rule without running it. Its tables need not exist yet.
   *
   * @throws BadInput, Forbidden, TooLarge
   */
  async checkRule(sql: string): Promise<void> {
    const { checkRuleStatement } = await import("../sandbox/tables-to-come.ts");
    const reader = await this.#options.store.reader();
    try {
      await checkRuleStatement(reader, sql, this.#options.textBytesMax);
    } finally {
      reader.close();
    }
  }

  /** Notes that the metrics of some tables (lower case) are asked for. */
  noteAsked(names: Iterable<string>, tables: Tables): void {
    this.#options.onAsked?.([...names].flatMap((name) => tables.metricTable(name)?.metrics ?? []));
  }

  /**
   * Runs one of our own statements, prepared on the reader that it runs on. The same limits apply, but no sandbox. The views that
   * it names must be among the prepared ones, because the connection can have others of the same name.
   */
  async run(
    prepare: Prepare,
    {
      parameters,
      limitRows = this.#options.rowsMax,
      timeoutMs = this.#options.timeoutMs,
      signal,
      labels,
      asked,
      isOfRule,
    }: QueryOptions,
  ): Promise<QueryResult> {
    const active =
      asked === undefined
        ? undefined
        : this.#options.active?.begin({ language: "SQL", text: asked, isOfRule });
    try {
      await this.#turn(signal, active?.signal);
    } catch (error) {
      active?.end();
      throw error;
    }
    active?.start();
    const begin = performance.now();
    const { counters, log } = this.#options;
    const held: (() => void)[] = [];
    const query: RunningQuery = new RunningQuery({
      timeoutMs: Math.min(timeoutMs, this.#options.timeoutMs),
      signal,
      onClosed: () => {
        this.#running.delete(query);
        this.#guard.forget(query);
        this.#concurrency.release();
        for (const release of held) release();
        const ms = performance.now() - begin;
        counters.querySeconds.observe(ms / 1000);
        active?.end(ms);
      },
      onStuck: () => {
        counters.queriesStuck.inc();
        log?.("query_stuck", { afterMs: Math.round(performance.now() - begin) });
      },
    });
    this.#running.add(query);
    this.#guard.watch(query);
    active?.signal.addEventListener("abort", () => query.stop("canceled"));
    try {
      const { store } = this.#options;
      query.use(await (labels === undefined ? store.statementReader() : store.reader()));
      const { stream, warnings } = await this.#start(query, held, prepare, parameters);
      const rowsMax = Math.min(limitRows, this.#options.rowsMax);
      return new Rows(query, counters, stream, rowsMax, signal, active, warnings);
    } catch (error) {
      end(query, counters, error);
      throw error;
    }
  }

  /** Stops every query, also those that wait. Resolves when none runs. */
  async close(): Promise<void> {
    this.#stopping.abort();
    for (const query of this.#running) query.stop("closing");
    await Promise.all([...this.#running].map((query) => query.close()));
  }

  /** Waits until a query may run, unless its client disconnects or the gateway stops meanwhile. */
  async #turn(signal: AbortSignal | undefined, canceled: AbortSignal | undefined): Promise<void> {
    const stopping = this.#stopping.signal;
    const signals = [signal, canceled, stopping].filter((each) => each !== undefined);
    try {
      await this.#concurrency.acquire(AbortSignal.any(signals));
    } catch (error) {
      if (stopping.aborted) throw stopError("closing");
      if (canceled?.aborted) throw stopError("canceled");
      if (signal?.aborted) throw stopError("gone");
      throw error;
    }
    if (stopping.aborted) {
      this.#concurrency.release();
      throw stopError("closing");
    }
  }

  async #start(
    query: RunningQuery,
    held: (() => void)[],
    prepare: Prepare,
    parameters: Parameters | undefined,
  ) {
    for (let attempt = 1; ; attempt++) {
      const days = this.#options.store.days();
      const { views, sql, isExplain, hint, warnings } = await query.step(async (reader) => {
        const prepared = await prepare(reader, days, query.signal);
        if (prepared.release !== undefined) held.push(prepared.release);
        return prepared;
      });
      query.explainErrors(hint);
      try {
        for (const view of views) await query.step((reader) => reader.run(view));
        const stream = await query.step((reader) => reader.stream(sql, parameters));
        return { stream: isExplain ? planLines(stream) : stream, warnings };
      } catch (error) {
        // Retention may drop a day after the views were made and before the statement runs.
        if (attempt > 1 || !isDroppedDay(error) || query.stopped !== undefined) throw error;
      }
    }
  }
}

async function tablesToCome(tables: Tables): Promise<TablesToCome> {
  const { TablesToCome } = await import("../sandbox/tables-to-come.ts");
  return new TablesToCome(tables);
}

/** Empty views in place of tables that do not exist. */
async function emptyViews(
  reader: Reader,
  { sql, tables: named }: Inspected,
  tables: Tables,
  missing: ReadonlySet<string>,
): Promise<string[]> {
  const absent = [...missing].filter((name) => named.has(name));
  if (absent.length === 0) return [];
  const others = [...named].flatMap((name) => tables.columnsOf(name) ?? []);
  const { columnsOfMissing } = await import("../sandbox/tables-to-come.ts");
  const columns = await columnsOfMissing(reader, sql, others);
  return absent.map((name) => emptyView(name, columns));
}

const NO_ROWS: QueryResult = {
  columns: [{ name: "value", type: "DOUBLE" }],
  limitRows: 0,
  next: async () => undefined,
  truncated: false,
  close: async () => {},
};

/** The attributes of archived samples, as those of a day. */
function attributesOf(metrics: ReadonlyMap<string, ArchivedTableMetric>): Pick<Day, "attributes"> {
  const names = new Set(metrics.values().flatMap(({ attributes }) => attributes));
  return { attributes: Array.from(names, (name) => ({ name, column: name })) };
}

/** The date from which on the archive has nothing that is not here. */
function firstDateOf(days: readonly Day[], archive: SqlArchive): string {
  const lastPartial = days.findLastIndex(({ day }) => archive.isPartial(day));
  return dateText(days[lastPartial + 1]?.day ?? Math.floor(Date.now() / DAY_MS));
}

function isDroppedDay(error: unknown): boolean {
  return error instanceof BadInput && faultOf(error.cause) === "day dropped";
}

/** The parameters with the given names. */
function only(parameters: Parameters | undefined, names: ReadonlySet<string>): Parameters | undefined {
  if (parameters === undefined) return undefined;
  const entries = Array.isArray(parameters)
    ? parameters.map((value, index) => [String(index + 1), value] as const)
    : Object.entries(parameters);
  return Object.fromEntries(entries.filter(([name]) => names.has(name)));
}

/** Splits a plan, one text of many lines, into one row per line, so that no format has to escape its line breaks. */
function planLines(stream: ResultStream): Readable {
  async function* lines(): AsyncIterable<Chunk> {
    for await (const rows of stream.chunks())
      yield rows.flatMap((row) => String(row.at(-1)).trimEnd().split("\n")).map((line) => [line]);
  }
  return { columns: [{ name: "plan", type: "VARCHAR" }], chunks: lines };
}

/** Counts a query by its outcome, and closes it in the background, so that its caller does not wait for a stuck query. */
function end(query: RunningQuery, counters: Counters, error?: unknown): void {
  counters.queriesFinished.inc({
    outcome: error === undefined ? "ok" : error instanceof RequestError ? error.code : "failed",
  });
  void query.close();
}

class Rows implements QueryResult {
  readonly columns: readonly ResultColumn[];
  readonly limitRows: number;
  readonly signal: AbortSignal | undefined;
  readonly warnings: readonly string[];
  readonly nextInEngine?: () => Promise<EngineChunk | undefined>;
  readonly #query: RunningQuery;
  readonly #counters: Counters;
  readonly #stream: Readable;
  readonly #active: ActiveQuery | undefined;
  #chunks: AsyncIterator<Chunk | EngineChunk> | undefined;
  #rows = 0;
  #ended = false;
  #truncated = false;

  constructor(
    query: RunningQuery,
    counters: Counters,
    stream: Readable,
    limitRows: number,
    signal: AbortSignal | undefined,
    active: ActiveQuery | undefined,
    warnings: readonly string[] = [],
  ) {
    this.warnings = warnings;
    this.#query = query;
    this.#active = active;
    this.#counters = counters;
    this.columns = distinctColumns(stream.columns);
    this.limitRows = limitRows;
    this.signal = signal;
    this.#stream = stream;
    if (stream.engineChunks !== undefined)
      this.nextInEngine = () =>
        this.#next(
          () => stream.engineChunks!(),
          (chunk, length) => {
            chunk.truncate(length);
            return chunk;
          },
        );
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  next(): Promise<Chunk | undefined> {
    return this.#next(
      () => this.#stream.chunks(),
      (rows, length) => rows.slice(0, length),
    );
  }

  async #next<Rows extends Chunk | EngineChunk>(
    open: () => AsyncIterable<Rows>,
    truncated: (rows: Rows, length: number) => Rows,
  ): Promise<Rows | undefined> {
    if (this.#ended) return undefined;
    try {
      this.#chunks ??= open()[Symbol.asyncIterator]();
      const chunks = this.#chunks as AsyncIterator<Rows>;
      for (;;) {
        const { done, value } = await this.#query.step(() => chunks.next());
        if (done) break;
        if (value.length === 0) continue;
        const room = this.limitRows - this.#rows;
        if (value.length > room) {
          this.#truncated = true;
          this.#end();
          return room > 0 ? truncated(value, room) : undefined;
        }
        this.#rows += value.length;
        this.#active?.countRows(value.length);
        return value;
      }
    } catch (error) {
      this.#end(error);
      throw error;
    }
    this.#end();
    return undefined;
  }

  async close(): Promise<void> {
    this.#end();
    await this.#query.close();
  }

  #end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    end(this.#query, this.#counters, error);
  }
}

/**
 * Makes column names distinct, ignoring case: a second `name` becomes `name_2`, and so on. JSON and Parquet need
 * distinct names.
 */
function distinctColumns(columns: readonly ResultColumn[]): ResultColumn[] {
  const taken = new Set<string>();
  return columns.map(({ name, type }) => {
    let distinct = name;
    for (let n = 2; taken.has(distinct.toLowerCase()); n++) distinct = `${name}_${n}`;
    taken.add(distinct.toLowerCase());
    return { name: distinct, type };
  });
}
