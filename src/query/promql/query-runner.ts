/**
 * Runs a bounded number of queries at once. Each gets a signal that aborts when its client disconnects or the gateway
 * stops, and a stop waits until none runs.
 */
import type { ConcurrencyLimit } from "../../model/concurrency-limit.ts";
import { Budget, type Limits } from "./evaluate/budget.ts";
import { QueryCanceled } from "./query-errors.ts";

/** Waits for something outside of this process, while another query runs instead. */
export type StepAside = <T>(wait: () => Promise<T>) => Promise<T>;

/** Queries that wait outside, each with a Worker of its own. Further ones keep their place meanwhile. */
const ASIDE_MAX = 8;

/** The place of one query among those that run. */
class Place {
  readonly #concurrency: ConcurrencyLimit;
  readonly #allAside: Set<unknown>;
  #waits = 0;

  constructor(concurrency: ConcurrencyLimit, allAside: Set<unknown>) {
    this.#concurrency = concurrency;
    this.#allAside = allAside;
  }

  readonly aside: StepAside = async (wait) => {
    if (this.#waits === 0 && this.#allAside.size < ASIDE_MAX) {
      this.#allAside.add(this);
      this.#concurrency.release();
    }
    this.#waits++;
    try {
      return await wait();
    } finally {
      this.#waits--;
      if (this.#waits === 0 && this.#allAside.delete(this)) this.#concurrency.resume();
    }
  };

  /** The query has ended. It may still wait for an answer that nobody needs any more. */
  leave(): void {
    if (!this.#allAside.delete(this)) this.#concurrency.release();
  }
}

export class QueryRunner {
  readonly #concurrency: ConcurrencyLimit;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  /** Queries that have left their place for a while. */
  readonly #aside = new Set<unknown>();

  constructor(concurrency: ConcurrencyLimit) {
    this.#concurrency = concurrency;
  }

  /**
   * Runs a query when the limit allows it, with a signal that aborts with `signal` or at the stop. A query that waits
   * stops waiting then.
   *
   * @param patienceMs how long it waits for queries that run, before it runs beside them
   * @throws Busy when the query waited for too long, QueryCanceled when `signal` aborted or the gateway stops
   */
  async run<T>(
    signal: AbortSignal | undefined,
    ask: (signal: AbortSignal, aside: StepAside) => Promise<T>,
    patienceMs?: number,
  ): Promise<T> {
    const stopping = this.#stopping.signal;
    const either = signal === undefined ? stopping : AbortSignal.any([signal, stopping]);
    await this.#concurrency.acquire(either, patienceMs).catch((error: unknown) => {
      throw either.aborted ? canceled(stopping) : error;
    });
    const place = new Place(this.#concurrency, this.#aside);
    try {
      if (either.aborted) throw canceled(stopping);
      const running = ask(either, place.aside);
      this.#running.add(running);
      try {
        return await running;
      } finally {
        this.#running.delete(running);
      }
    } finally {
      place.leave();
    }
  }

  /** The same with a budget. An error that an interrupt caused is replaced by the reason for the interrupt. */
  runWithin<T>(
    limits: Limits,
    signal: AbortSignal | undefined,
    ask: (budget: Budget) => Promise<T>,
  ): Promise<T> {
    return this.run(signal, (either) => {
      const budget = new Budget(limits, either);
      return ask(budget).catch((error: unknown) => {
        throw budget.reasonFor(error);
      });
    });
  }

  /** Stops running and waiting queries. Resolves when none runs. */
  async close(): Promise<void> {
    this.#stopping.abort(canceled(this.#stopping.signal, true));
    await Promise.allSettled(this.#running);
  }
}

function canceled(stopping: AbortSignal, isStopping = stopping.aborted): QueryCanceled {
  return new QueryCanceled(isStopping ? "the gateway is stopping" : "the query was canceled");
}
