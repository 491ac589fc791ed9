/**
 * PromQL as the gateway offers it: queries over the store, with a bounded number at once, and discovery: series,
 * labels, metadata. The HTTP API and the command line are thin layers over it.
 *
 * Queries are parsed, evaluated and written as text in Workers, because whatever a reader asks must not delay a push.
 * This thread finds series and reads rows for them.
 */
import { availableParallelism } from "node:os";
import type { Counters } from "../../model/counters.ts";
import { RequestError } from "../../model/errors.ts";
import type { Labels } from "../../model/sample.ts";
import { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import { callerMatchers } from "../caller-series.ts";
import type { ActiveQueries, ActiveQuery, QueryAsked } from "../active-queries.ts";
import { MemoryGuard } from "../memory-guard.ts";
import type { EngineOptions, PromqlQueryOptions } from "./engine.ts";
import { QueryTimeout } from "./query-errors.ts";
import { ArchiveQuery, type StoreSeries } from "./archived/archive-query.ts";
import { besideArchive } from "./archived/archived-rows.ts";
import type { PromqlArchive } from "./archived/promql-archive.ts";
import type { Catalog } from "./catalog/catalog.ts";
import { Discovery, type LabelQuery, type MetadataEntry } from "./catalog/discovery.ts";
import type { SeriesStatistics } from "./catalog/catalog-statistics.ts";
import { narrowedRows, OwnRows, type OwnRowsOptions } from "./store/own-rows.ts";
import type { StoredDay } from "./store/table-reader.ts";
import type { StoredRows } from "./store/stored-rows.ts";
import { QueryRunner, type StepAside } from "./query-runner.ts";
import { JoinedLookUps } from "../upstream/joined-look-ups.ts";
import type { UpstreamRules } from "../upstream/upstream-messages.ts";
import type { UpstreamServer } from "../upstream/upstream-server.ts";
import type { ExportTask, Shown, Task, TaskSettings } from "./worker/messages.ts";
import { SelectorReader, type SelectorUse } from "./worker/selector-reader.ts";
import { WorkerPool } from "./worker/worker-pool.ts";
import { type TaskMemory, WorkerTask } from "./worker/worker-task.ts";

interface PromqlOptions extends EngineOptions, Omit<OwnRowsOptions, keyof EngineOptions> {
  readonly registry: OwnRowsOptions["registry"] & StoreSeries;
  readonly observationStepMs: number;
  readonly seriesIdleMs: number;
  readonly now: () => number;
  /** How much the memory of the process may grow while queries run. */
  readonly promqlMemoryGrowthBytesMax: number;
  /** The number of queries that run at once; some more wait. */
  readonly promqlConcurrencyMax: number;
  readonly counters: Counters;
  /** What is not stored here is read from it, except for rules and exports. */
  readonly upstreamServer?: UpstreamServer;
  /** Days that are not here are read from it, except for rules. */
  readonly archive?: PromqlArchive;
  /** Lists the queries while they run, so that they can be cancelled. */
  readonly active: ActiveQueries;
}

/** The options of a query of a rule. */
export interface RuleQueryOptions extends PromqlQueryOptions {
  /**
   * How long it waits for other queries of rules, before it runs beside them. Most take some 20 ms, so one Worker is
   * enough for most rules: four of them compiled the same code four times, which took as long as the evaluations.
   */
  readonly patienceMs?: number;
}

/** The options of a query of some caller. */
export interface CallerOptions extends PromqlQueryOptions {
  /** If set, every selector finds only series with these labels: those of the caller's token. */
  readonly labels?: Labels;
}

export type ExportAsked = Omit<ExportTask, "kind">;

/** The text of an answer, in pieces. */
export interface PromqlAnswer {
  /** The next piece; undefined after the last. The first is there already. */
  next(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Nobody reads the rest. */
  cancel(): void;
}

/** How long a query waits before it is rejected, and how many wait: dashboards send the queries of a page at once. */
const WAIT_MS = 30_000;
const WAITING_PER_QUERY = 32;
/** Exports in progress, which last as long as their clients read. Each has a Worker with a million samples. */
const EXPORTS_MAX = 4;
/** A Worker notices itself that the time is up, unless it computes without a pause. */
const LATE_MS = 100;
/** Tasks that read archived days. */
const READS_ARCHIVE: ReadonlySet<Task["kind"]> = new Set(["instant", "range", "export"]);
/** Queries of rules at once, so that a slow one does not delay the rules of other groups. All others wait. */
const RULE_QUERIES_MAX = 4;

export class Promql {
  readonly discovery: Discovery;
  /** The same over the store and the upstream. */
  readonly lookUps: JoinedLookUps;
  readonly #options: PromqlOptions;
  readonly #rows: OwnRows;
  readonly #rowsOfRules: StoredRows;
  readonly #pool: WorkerPool;
  readonly #selectors: SelectorReader;
  readonly #memory: TaskMemory;
  readonly #runner: QueryRunner;
  readonly #exports = new QueryRunner(
    new ConcurrencyLimit(EXPORTS_MAX, { tasks: "exports", waitMs: WAIT_MS }),
  );
  /** Queries of users do not delay those of rules, which are few at once. */
  readonly #rules = new QueryRunner(
    new ConcurrencyLimit(RULE_QUERIES_MAX, {
      tasks: "queries of rules",
      waitingPerRunning: Number.POSITIVE_INFINITY,
    }),
  );
  /** Exports that compute: each uses a processor, and the thread that accepts pushes needs one at any moment. */
  readonly #turns = new ConcurrencyLimit(Math.max(1, availableParallelism() - 1), {
    tasks: "exports",
    waitingPerRunning: Number.POSITIVE_INFINITY,
  });
  readonly #counters: Counters;

  constructor(options: PromqlOptions) {
    this.#options = options;
    this.#counters = options.counters;
    const { upstreamServer: server } = options;
    const upstream: StoredRows["upstream"] = server && ((asked, signal) => server.samples(asked, signal));
    this.#rows = new OwnRows({ ...options, upstream });
    this.#rowsOfRules = this.#rows.repeated();
    this.#pool = new WorkerPool({ onChange: (count) => options.counters.promqlWorkers.set(count) });
    const { promqlMemoryGrowthBytesMax } = options;
    const guard = new MemoryGuard(promqlMemoryGrowthBytesMax);
    this.#memory = { guard, promqlMemoryGrowthBytesMax };
    const task = () => ({
      pool: this.#pool,
      rows: this.#rows,
      settings: this.#settings(),
      memory: this.#memory,
    });
    this.#selectors = new SelectorReader({ ...options, task });
    const { catalog } = this.#rows;
    this.discovery = new Discovery({ ...options, catalog, selectors: this.#selectors });
    this.lookUps = new JoinedLookUps({
      ...{ discovery: this.discovery, selectors: this.#selectors, upstream: server },
      ...{ days: () => this.#days(), promqlSeriesMax: options.promqlSeriesMax, now: options.now },
      ...{ registry: options.registry, archived: (labels) => this.#archived(labels) },
    });
    const show = (running: number) => options.counters.promqlRunning.set(running);
    this.#runner = new QueryRunner(
      new ConcurrencyLimit(options.promqlConcurrencyMax, {
        tasks: "queries",
        waitMs: WAIT_MS,
        waitingPerRunning: WAITING_PER_QUERY,
        setting: "promqlConcurrencyMax",
        onChange: show,
      }),
    );
  }

  /**
   * Evaluates an expression at one time. Resolves when the first piece of the answer is there.
   *
   * @throws ParseError, QueryError when a limit is exceeded, Busy when too many queries run
   */
  instant(text: string, timeMs: number, shown: Shown, options: CallerOptions = {}): Promise<PromqlAnswer> {
    const { signal, labels, ...own } = options;
    return this.#run({ kind: "instant", text, timeMs, shown, options: this.#bounded(own) }, signal, labels);
  }

  /** As `instant`, for a rule. */
  ofRule(text: string, timeMs: number, shown: Shown, options: RuleQueryOptions = {}): Promise<PromqlAnswer> {
    const { signal, patienceMs, ...own } = options;
    const task = { kind: "instant", text, timeMs, shown, options: this.#bounded(own) } as const;
    return this.#run(task, signal, undefined, { runner: this.#rules, patienceMs });
  }

  /** Several expressions of rules at one time. See BatchTask for the answer. */
  ofRules(
    texts: readonly string[],
    timeMs: number,
    shown: Shown,
    options: RuleQueryOptions = {},
  ): Promise<PromqlAnswer> {
    const { signal, patienceMs, ...own } = options;
    const task = { kind: "batch", texts, timeMs, shown, options: own } as const;
    return this.#run(task, signal, undefined, { runner: this.#rules, patienceMs });
  }

  /** The same at `startMs`, and every `stepMs` up to `endMs`. */
  range(
    text: string,
    { startMs, endMs, stepMs }: { readonly startMs: number; readonly endMs: number; readonly stepMs: number },
    shown: Shown,
    options: CallerOptions = {},
  ): Promise<PromqlAnswer> {
    const { signal, labels, ...own } = options;
    return this.#run(
      { kind: "range", text, startMs, endMs, stepMs, shown, options: this.#bounded(own) },
      signal,
      labels,
    );
  }

  /** The options of one query. As in Prometheus, it can have less time than the setting allows, but not more. */
  #bounded(options: PromqlQueryOptions): PromqlQueryOptions {
    const { promqlTimeoutMs: mostMs } = this.#options;
    return { ...options, promqlTimeoutMs: Math.min(options.promqlTimeoutMs ?? mostMs, mostMs) };
  }

  /** An expression in its usual form. */
  format(text: string, signal?: AbortSignal): Promise<PromqlAnswer> {
    return this.#run({ kind: "format", text }, signal);
  }

  /** The syntax tree of an expression. */
  tree(text: string, signal?: AbortSignal): Promise<PromqlAnswer> {
    return this.#run({ kind: "tree", text }, signal);
  }

  /**
   * The samples of selected series as text. Each portion is a query of its own, so the whole has no deadline.
   *
   * @throws ParseError, BadInput for a format, QueryError when a limit is exceeded, Busy when too many exports run
   */
  export(asked: ExportAsked, signal?: AbortSignal, labels?: Labels): Promise<PromqlAnswer> {
    return this.#run({ kind: "export", ...asked }, signal, labels, { runner: this.#exports });
  }

  /** The catalog of series, for other parts that search by selectors: one index is enough. */
  get catalog(): Catalog {
    return this.#rows.catalog;
  }

  /** Reads the selectors of other parts. */
  get selectors(): SelectorUse {
    return this.#selectors;
  }

  /** Stops all queries; resolves when none runs. */
  async close(): Promise<void> {
    await Promise.all(
      [this.#runner, this.#rules, this.#exports, this.#selectors].map((each) => each.close()),
    );
    this.#pool.close();
  }

  async #run(
    task: Task,
    signal: AbortSignal | undefined,
    labels?: Labels,
    {
      runner = this.#runner,
      patienceMs,
    }: { readonly runner?: QueryRunner; readonly patienceMs?: number } = {},
  ): Promise<PromqlAnswer> {
    const answer = Promise.withResolvers<PromqlAnswer>();
    const isOfRule = runner === this.#rules;
    // The Worker has no other way to series.
    const own = labels === undefined ? this.#rows : narrowedRows(this.#rows, labels);
    const archived = isOfRule || !READS_ARCHIVE.has(task.kind) ? undefined : this.#archived(labels);
    const beside = archived === undefined ? own : besideArchive(own, archived, this.#options.store);
    const rows = isOfRule ? this.#rowsOfRules : beside;
    const asked = askedOf(task, isOfRule);
    const active = asked && this.#options.active.begin(asked);
    const either = AbortSignal.any([signal, active?.signal].filter((each) => each !== undefined));
    // The place among the running queries is kept until the Worker is free, which can be after the answer began.
    runner
      .run(
        either,
        (any, aside) => this.#work(task, any, { rows, isSpared: isOfRule, aside }, answer, active),
        patienceMs,
      )
      .catch((error: unknown) => answer.reject(error))
      .finally(() => {
        archived?.release();
        active?.end();
      });
    return await answer.promise;
  }

  /** Resolves when the Worker is free. */
  async #work(
    task: Task,
    signal: AbortSignal,
    own: { readonly rows: StoredRows; readonly isSpared: boolean; readonly aside: StepAside },
    answer: PromiseWithResolvers<PromqlAnswer>,
    active: ActiveQuery | undefined,
  ): Promise<void> {
    const begin = performance.now();
    active?.start();
    let outcome = "ok";
    const { promqlTimeoutMs } = { ...this.#options, ...("options" in task ? definedOnly(task.options) : {}) };
    const late = new AbortController();
    const tooLate = () =>
      late.abort(new QueryTimeout(`the query took longer than ${promqlTimeoutMs} ms (promqlTimeoutMs)`));
    // An export lasts as long as its client reads.
    const timer = task.kind === "export" ? undefined : setTimeout(tooLate, promqlTimeoutMs + LATE_MS);
    const work = new WorkerTask(task, {
      ...own,
      pool: this.#pool,
      settings: {
        ...this.#settings(),
        // Rules read the store alone.
        ...(own.rows.upstream === undefined ? { upstream: undefined } : {}),
      },
      memory: this.#memory,
      turns: this.#turns,
      read: active,
      signal: AbortSignal.any([signal, late.signal]),
    });
    try {
      let first = await work.next();
      answer.resolve({
        next: async () => {
          const piece = first;
          first = undefined;
          return piece ?? (await work.next());
        },
        cancel: () => work.cancel(),
      });
    } catch (error) {
      outcome = error instanceof RequestError ? error.code : "failed";
      answer.reject(error);
    } finally {
      const ms = performance.now() - begin;
      if (task.kind !== "export") this.#counters.promqlSeconds.observe({ outcome }, ms / 1000);
      await work.ended;
      clearTimeout(timer);
      // An export takes as long as its client reads.
      active?.end(task.kind === "export" ? undefined : ms);
    }
  }

  /** What one query reads of the archive. */
  #archived(labels: Labels | undefined): ArchiveQuery | undefined {
    const { archive, promqlTimeoutMs } = this.#options;
    if (archive === undefined) return undefined;
    const own = callerMatchers(labels);
    return new ArchiveQuery({ ...this.#options, archive, waitMs: promqlTimeoutMs / 2, own });
  }

  #upstream(): UpstreamRules | undefined {
    const { upstreamServer: server, promqlTimeoutMs } = this.#options;
    if (server === undefined) return undefined;
    const { name, externalLabels, settings } = server;
    return {
      ...{ name, join: settings.join, externalLabels: Object.entries(externalLabels) },
      waitMs: promqlTimeoutMs / 2,
    };
  }

  #settings(): Omit<TaskSettings, "hasShared" | "hasArchive"> {
    const {
      lookbackMs,
      observationStepMs,
      promqlMemoryBytesMax,
      promqlSamplesMax,
      promqlSeriesMax,
      promqlTimeoutMs,
      seriesIdleMs,
      now,
    } = this.#options;
    return {
      lookbackMs,
      observationStepMs,
      promqlMemoryBytesMax,
      promqlSamplesMax,
      promqlSeriesMax,
      promqlTimeoutMs,
      seriesIdleMs,
      nowMs: now(),
      upstream: this.#upstream(),
      days: this.#days(),
    };
  }

  #days(): StoredDay[] {
    const { archive } = this.#options;
    return this.#rows.days().map(({ day, table, rows }) => ({
      ...{ day, table, rows },
      isPartial: archive?.isPartial(day) === true ? (true as const) : undefined,
    }));
  }
}

/** How a task is listed while it runs. Undefined if it only parses. */
function askedOf(task: Task, isOfRule: boolean): QueryAsked | undefined {
  const language = "PromQL";
  switch (task.kind) {
    case "instant":
      return { language, text: task.text, isOfRule };
    case "range": {
      const { text, startMs, endMs, stepMs } = task;
      return { language, text, range: { startMs, endMs, stepMs }, isOfRule };
    }
    case "batch":
      return { language, text: task.texts.join("\n"), isOfRule };
    case "export":
      return { language, text: `export of ${task.texts.join(" ")}` };
    default:
      return undefined;
  }
}

function definedOnly<Options extends object>(options: Options): Partial<Options> {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Partial<Options>;
}

export type { LabelQuery, MetadataEntry, SeriesStatistics };
