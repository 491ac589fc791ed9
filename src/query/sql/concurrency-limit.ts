/**
 * Limits how many queries run at once. Others wait in a queue that is limited in length and in time. A query that is
 * stuck in the engine still counts as running.
 */
import { Busy } from "../../model/errors.ts";

/** Queries that may wait, per query that may run. */
const WAITING_PER_RUNNING = 4;

export class ConcurrencyLimit {
  readonly #count: number;
  /** The setting with the limit, for messages. */
  readonly #setting: string;
  readonly #waitMs: number;
  readonly #onChange: (running: number) => void;
  readonly #waitingMax: number;
  readonly #waiting: { admit: () => void; reject: (error: Error) => void }[] = [];
  #running = 0;

  /** Calls `onChange` with the number of running queries whenever that changes. */
  constructor(
    count: number,
    waitMs: number,
    onChange: (running: number) => void = () => {},
    waitingPerRunning = WAITING_PER_RUNNING,
    setting?: string,
  ) {
    this.#setting = setting === undefined ? "" : ` (${setting})`;
    this.#waitingMax = count * waitingPerRunning;
    this.#count = count;
    this.#waitMs = waitMs;
    this.#onChange = onChange;
  }

  /**
   * Resolves when the caller may run. The caller then must call `release`. Throws `Busy` if too many wait or the wait
   * takes too long, and the reason of `signal` if that aborts during the wait.
   */
  async acquire(signal?: AbortSignal): Promise<void> {
    if (this.#running < this.#count) {
      this.#start();
      return;
    }
    if (this.#waiting.length >= this.#waitingMax)
      throw new Busy(
        `${this.#running} queries run${this.#setting} and ${this.#waiting.length} wait; try again shortly.`,
      );
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry = { admit: resolve, reject };
    this.#waiting.push(entry);
    const giveUp = (error: unknown) => {
      const at = this.#waiting.indexOf(entry);
      // It was admitted just before.
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      reject(error);
    };
    const timer = setTimeout(() => {
      giveUp(
        new Busy(
          `${this.#running} queries${this.#setting} have been running for ${this.#waitMs} ms; try again shortly.`,
        ),
      );
    }, this.#waitMs);
    const abort = () => giveUp(signal?.reason);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Ends a run; the first query of the queue runs next. */
  release(): void {
    this.#running--;
    this.#onChange(this.#running);
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#start();
    next.admit();
  }

  #start(): void {
    this.#running++;
    this.#onChange(this.#running);
  }
}
