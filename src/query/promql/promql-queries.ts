/**
 * PromQL as the gateway offers it: queries over the store, with a bounded number at once, and discovery: series,
 * labels, metadata. The HTTP API and the command line are thin layers over it.
 */
import type { Counters } from "../../model/counters.ts";
import { RequestError } from "../../model/errors.ts";
import type { Store } from "../../store/store.ts";
import { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import { Engine, type EngineOptions, type PromqlQueryOptions, type PromqlResult } from "./engine.ts";
import { ParseError } from "./query-errors.ts";
import { type Explanation, explainPlan } from "./explain.ts";
import type { Matcher } from "./matchers.ts";
import { isShifted } from "./parse/ast.ts";
import { parse } from "./parse/parse.ts";
import type { Catalog, SeriesRegistry } from "./catalog/catalog.ts";
import { Discovery, type LabelQuery, type MetadataEntry } from "./catalog/discovery.ts";
import type { HeldOf } from "./store/held.ts";
import type { SeriesStatistics } from "./catalog/catalog-statistics.ts";
import { StoreStorage } from "./store/store-storage.ts";
import { QueryRunner } from "./query-runner.ts";

interface PromqlOptions extends EngineOptions {
  readonly store: Pick<Store, "reader" | "days">;
  readonly registry: SeriesRegistry;
  readonly observationStepMs: number;
  readonly seriesIdleMs: number;
  /** The last sample of a series of a Pushgateway group, whose value is repeated as long as the group exists. */
  readonly heldOf: HeldOf;
  readonly now: () => number;
  /** The number of queries that run at once; some more wait. */
  readonly promqlConcurrencyMax: number;
  readonly counters: Counters;
}

/** How long a query waits before it is rejected, and how many wait: dashboards send the queries of a page at once. */
const WAIT_MS = 30_000;
const WAITING_PER_QUERY = 32;

export class Promql {
  readonly discovery: Discovery;
  readonly #storage: StoreStorage;
  readonly #engine: Engine;
  readonly #runner: QueryRunner;
  readonly #counters: Counters;

  constructor(options: PromqlOptions) {
    this.#counters = options.counters;
    this.#storage = new StoreStorage(options);
    this.#engine = new Engine(this.#storage, options);
    this.discovery = new Discovery(options.registry, this.#storage.catalog);
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

  instant(text: string, timeMs: number, options: PromqlQueryOptions = {}): Promise<PromqlResult> {
    return this.#run((signal) => this.#engine.instant(text, timeMs, { ...options, signal }), options);
  }

  range(
    text: string,
    startMs: number,
    endMs: number,
    stepMs: number,
    options: PromqlQueryOptions = {},
  ): Promise<PromqlResult> {
    return this.#run(
      (signal) => this.#engine.range(text, startMs, endMs, stepMs, { ...options, signal }),
      options,
    );
  }

  /** The catalog of series, for other parts that search by selectors: one index is enough. */
  get catalog(): Catalog {
    return this.#storage.catalog;
  }

  /** The samples of sources of the catalog, for exports. */
  get storage(): Pick<StoreStorage, "read"> {
    return this.#storage;
  }

  /** The plan of a query that has run, and what it read. */
  explain({ plan }: PromqlResult): Explanation {
    return explainPlan(plan, (read) => this.#storage.explain(read));
  }

  /** Stops all queries; resolves when none runs. */
  async close(): Promise<void> {
    await this.#runner.close();
  }

  async #run(
    query: (signal: AbortSignal) => Promise<PromqlResult>,
    { signal }: PromqlQueryOptions,
  ): Promise<PromqlResult> {
    return await this.#runner.run(signal, async (either) => {
      const begin = performance.now();
      let outcome = "ok";
      try {
        return await query(either);
      } catch (error) {
        outcome = error instanceof RequestError ? error.code : "failed";
        throw error;
      } finally {
        this.#counters.promqlSeconds.observe({ outcome }, (performance.now() - begin) / 1000);
      }
    });
  }
}

/**
 * The matchers of a series selector such as `up{job="x"}`; throws for any other expression.
 *
 * @param mayFindAll accepts `{}` and the like, too
 */
export function parseSelector(text: string, mayFindAll = false): readonly Matcher[] {
  const expr = parse(text, mayFindAll);
  if (expr.type !== "vectorSelector" || isShifted(expr)) {
    throw new ParseError(
      `expected a series selector without modifiers, got ${JSON.stringify(text)}`,
      "match[]",
    );
  }
  return expr.matchers;
}

export type { LabelQuery, MetadataEntry, SeriesStatistics };
