/**
 * Runs statements over the stored samples: a stranger's (inspected by the sandbox) and our own (the
 * summaries), both read-only, each on a reader of its own that is always closed.
 *
 * A query is bounded in text, rows, time, memory and number. Its rows are read chunk by chunk as they are
 * asked for, so that a slow client slows the query, within its time, and a client that left stops it.
 */
import { queriesFinished, queriesRunning, querySeconds } from "../../model/counters.ts";
import { BadInput, RequestError } from "../../model/errors.ts";
import { faultOf } from "../../store/engine/faults.ts";
import { statement } from "../../store/statements.ts";
import type { Cell, Day, Parameters, Reader, ResultColumn, ResultStream, Store } from "../../store/store.ts";
import { type Inspected, inspect } from "../sandbox/sandbox.ts";
import { MemoryGuard } from "./memory-guard.ts";
import { Places } from "./places.ts";
import { RunningQuery } from "./running.ts";
import { type Metrics, type Table, Tables } from "./tables.ts";
import { listingView, viewsFor } from "./views.ts";

export interface SqlOptions {
  readonly store: Pick<Store, "reader" | "days">;
  readonly registry: Metrics;
  /** The most that a request may ask for, and what it gets when it does not ask. */
  readonly timeoutMs: number;
  readonly rowsMax: number;
  readonly textBytesMax: number;
  /** Queries that run at once; some more wait. */
  readonly concurrencyMax: number;
  /** How much the process may grow while queries run; see MemoryGuard. Default 512 MiB. */
  readonly memoryGrowthBytesMax?: number;
  /** Told of queries that did not heed an interrupt. */
  readonly log?: { warn(message: string, fields?: Readonly<Record<string, string | number>>): void };
}

export interface QueryOptions {
  readonly parameters?: Parameters;
  readonly limitRows?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A statement that is ready to run on a reader, with the views that it needs. */
export interface Prepared {
  readonly views: readonly string[];
  readonly sql: string;
  /** Whether the answer is a plan, of which each line becomes a row. */
  readonly isExplain?: boolean;
  /** A clearer sentence for an error of the engine about the statement, or undefined. */
  readonly hint?: (message: string) => string | undefined;
}

export type Chunk = readonly (readonly Cell[])[];

/** The rows of a query. To be read to its end, or closed. */
export interface QueryResult {
  /** Names are distinct, whatever their case. */
  readonly columns: readonly ResultColumn[];
  /** The most rows that there will be. */
  readonly limitRows: number;
  /** The next rows, never none; undefined at the end, and the query is then closed. Rejects with a RequestError. */
  next(): Promise<Chunk | undefined>;
  /** Whether rows were left out for the limit; known once the last chunk was given. */
  readonly truncated: boolean;
  close(): Promise<void>;
}

/** How long a query waits for its place before it is turned away. */
const WAIT_MS = 5_000;
const MEMORY_GROWTH_BYTES_MAX = 512 * 1_048_576;

export class SqlEngine {
  readonly #options: SqlOptions;
  readonly #places: Places;
  readonly #guard: MemoryGuard;
  readonly #running = new Set<RunningQuery>();

  constructor(options: SqlOptions) {
    this.#options = options;
    this.#places = new Places(
      options.concurrencyMax,
      WAIT_MS,
      (taken) => queriesRunning.set(taken),
      undefined,
      "sqlConcurrencyMax",
    );
    this.#guard = new MemoryGuard(options.memoryGrowthBytesMax ?? MEMORY_GROWTH_BYTES_MAX);
  }

  /** The tables that may be named, with their columns. */
  tables(): Table[] {
    return this.catalog(this.#options.store.days()).all();
  }

  /** The tables and where their samples are, as of now. */
  catalog(days: readonly Day[]): Tables {
    return new Tables(this.#options.registry, days);
  }

  /**
   * Runs a stranger's statement.
   *
   * @throws BadInput, Forbidden, TooLarge (the statement), Busy, Timeout, Unprocessable (memory)
   */
  query(sql: string, options: QueryOptions = {}): Promise<QueryResult> {
    return this.run(async (reader, days) => {
      const tables = this.catalog(days);
      const prepared = (inspected: Inspected): Prepared => ({
        views: [
          ...viewsFor(inspected.tables, tables, days),
          ...[...inspected.listings].map((listing) => listingView(listing, tables)),
          ...[...inspected.macros].map((macro) => statement(`query/macro_${macro}`)),
        ],
        sql: inspected.sql,
        isExplain: inspected.isExplain,
        hint: inspected.hint,
      });
      const lookup = async (inspected: Inspected) => {
        const { views, sql: text } = prepared(inspected);
        for (const view of views) await reader.run(view);
        const parameters = only(options.parameters, inspected.parameters);
        const found = await reader.all<Record<string, unknown>>(text, parameters);
        return found.map((row) => Object.values(row)[0]);
      };
      const bytesMax = this.#options.textBytesMax;
      return prepared(await inspect(reader, sql, tables, { bytesMax, lookup }));
    }, options);
  }

  /** Runs a statement of ours, prepared on the reader that it will run on. Same limits, no sandbox. */
  async run(
    prepare: (reader: Reader, days: readonly Day[]) => Promise<Prepared>,
    {
      parameters,
      limitRows = this.#options.rowsMax,
      timeoutMs = this.#options.timeoutMs,
      signal,
    }: QueryOptions,
  ): Promise<QueryResult> {
    await this.#places.enter();
    const begin = performance.now();
    const query: RunningQuery = new RunningQuery({
      timeoutMs: Math.min(timeoutMs, this.#options.timeoutMs),
      signal,
      onClosed: () => {
        this.#running.delete(query);
        this.#guard.forget(query);
        this.#places.leave();
        querySeconds.observe((performance.now() - begin) / 1000);
      },
      onStuck: () =>
        this.#options.log?.warn("a query did not heed its interrupt", { afterMs: performance.now() - begin }),
    });
    this.#running.add(query);
    this.#guard.watch(query);
    try {
      query.use(await this.#options.store.reader());
      const stream = await this.#start(query, prepare, parameters);
      return new Rows(query, stream, Math.min(limitRows, this.#options.rowsMax));
    } catch (error) {
      end(query, error);
      throw error;
    }
  }

  /** Stops every query; resolves when none runs. */
  async close(): Promise<void> {
    for (const query of this.#running) query.stop("closing");
    await Promise.all([...this.#running].map((query) => query.close()));
  }

  async #start(
    query: RunningQuery,
    prepare: (reader: Reader, days: readonly Day[]) => Promise<Prepared>,
    parameters: Parameters | undefined,
  ) {
    for (let attempt = 1; ; attempt++) {
      const days = this.#options.store.days();
      const { views, sql, isExplain, hint } = await query.step((reader) => prepare(reader, days));
      query.explainErrors(hint);
      try {
        for (const view of views) await query.step((reader) => reader.run(view));
        const stream = await query.step((reader) => reader.stream(sql, parameters));
        return isExplain ? planLines(stream) : stream;
      } catch (error) {
        // Retention may drop a day between the look at the days and the statement.
        if (attempt > 1 || !isDroppedDay(error) || query.stopped !== undefined) throw error;
      }
    }
  }
}

function isDroppedDay(error: unknown): boolean {
  return error instanceof BadInput && faultOf(error) === "day dropped";
}

/** Those of the parameters that a part of the statement has. */
function only(parameters: Parameters | undefined, names: ReadonlySet<string>): Parameters | undefined {
  if (parameters === undefined) return undefined;
  const entries = Array.isArray(parameters)
    ? parameters.map((value, index) => [String(index + 1), value] as const)
    : Object.entries(parameters);
  return Object.fromEntries(entries.filter(([name]) => names.has(name)));
}

/** A plan, one text of many lines, as a row per line: no format has to write its line breaks out. */
function planLines(stream: ResultStream): ResultStream {
  async function* lines(): AsyncIterable<Chunk> {
    for await (const rows of stream.chunks())
      yield rows.flatMap((row) => String(row.at(-1)).trimEnd().split("\n")).map((line) => [line]);
  }
  return { columns: [{ name: "plan", type: "VARCHAR" }], chunks: lines };
}

/** Closes a query in the background: its caller need not wait for a stuck one. */
function end(query: RunningQuery, error?: unknown): void {
  queriesFinished.inc({
    outcome: error === undefined ? "ok" : error instanceof RequestError ? error.code : "failed",
  });
  void query.close();
}

class Rows implements QueryResult {
  readonly columns: readonly ResultColumn[];
  readonly limitRows: number;
  readonly #query: RunningQuery;
  readonly #chunks: AsyncIterator<Chunk>;
  #rows = 0;
  #ended = false;
  #truncated = false;

  constructor(
    query: RunningQuery,
    stream: { columns: readonly ResultColumn[]; chunks(): AsyncIterable<Chunk> },
    limitRows: number,
  ) {
    this.#query = query;
    this.columns = distinctColumns(stream.columns);
    this.limitRows = limitRows;
    this.#chunks = stream.chunks()[Symbol.asyncIterator]();
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  async next(): Promise<Chunk | undefined> {
    if (this.#ended) return undefined;
    try {
      for (;;) {
        const { done, value } = await this.#query.step(() => this.#chunks.next());
        if (done) break;
        if (value.length === 0) continue;
        const room = this.limitRows - this.#rows;
        if (value.length > room) {
          this.#truncated = true;
          this.#end();
          return room > 0 ? value.slice(0, room) : undefined;
        }
        this.#rows += value.length;
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
    end(this.#query, error);
  }
}

/** Of columns with the same name, in any case, the second gets `name_2`, and so on: JSON and Parquet need one each. */
function distinctColumns(columns: readonly ResultColumn[]): ResultColumn[] {
  const taken = new Set<string>();
  return columns.map(({ name, type }) => {
    let distinct = name;
    for (let n = 2; taken.has(distinct.toLowerCase()); n++) distinct = `${name}_${n}`;
    taken.add(distinct.toLowerCase());
    return { name: distinct, type };
  });
}
