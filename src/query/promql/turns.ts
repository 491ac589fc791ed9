/**
 * Turns for questions: so many run at once, each hears when its client leaves or the gateway stops, and a stop
 * waits until none runs.
 */
import type { Places } from "../sql/places.ts";
import { QueryCanceled } from "./errors.ts";

export class Turns {
  readonly #places: Places;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(places: Places) {
    this.#places = places;
  }

  /**
   * Runs a question when there is a place for it, with a signal that aborts with `signal` or at the stop.
   *
   * @throws Busy when no place becomes free in time, QueryCanceled when stopping
   */
  async run<T>(signal: AbortSignal | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stopping = this.#stopping.signal;
    if (stopping.aborted) throw new QueryCanceled("the gateway is stopping");
    await this.#places.enter();
    const running = ask(signal === undefined ? stopping : AbortSignal.any([signal, stopping]));
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
      this.#places.leave();
    }
  }

  /** Stops what runs; resolves when nothing does. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }
}
