/**
 * Limits how many tasks of a kind run at once: queries, scrapes, decompressions. Others wait in the order of arrival, in
 * a queue that is limited in length and in time. A task that is stuck still counts as running.
 */
import { Busy } from "./errors.ts";

/** Tasks that may wait, per task that may run. */
const WAITING_PER_RUNNING = 4;

interface LimitOptions {
  /** What is limited, in the plural, for messages: `queries`. */
  readonly tasks: string;
  /** How long a task may wait. By default there is no limit. */
  readonly waitMs?: number;
  readonly waitingPerRunning?: number;
  /** The setting with the limit, for messages. */
  readonly setting?: string;
  /** Called with the number of running tasks whenever that changes. */
  onChange?(running: number): void;
}

/** A task that waits. */
interface Entry {
  readonly admit: () => void;
}

export class ConcurrencyLimit {
  readonly #count: number;
  readonly #options: LimitOptions;
  readonly #waitingMax: number;
  readonly #waiting: Entry[] = [];
  #running = 0;

  /** @param count tasks that may run at once */
  constructor(count: number, options: LimitOptions) {
    this.#count = count;
    this.#options = options;
    this.#waitingMax = count * (options.waitingPerRunning ?? WAITING_PER_RUNNING);
  }

  /** Whether a further task would wait. */
  get isFull(): boolean {
    return this.#running >= this.#count;
  }

  /** Runs a task when the limit allows it. Throws as `acquire` does. */
  async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.acquire(signal);
    try {
      return await task();
    } finally {
      this.release();
    }
  }

  /**
   * Resolves when the caller may run. The caller then must call `release`. Throws `Busy` if too many wait or the wait
   * takes too long, and the reason of `signal` if that aborts during the wait.
   *
   * @param patienceMs how long a task waits for those that run, before it runs beside them. Absent: not at all. For tasks
   *   that are quick, and cheaper one after the other
   */
  async acquire(signal?: AbortSignal, patienceMs?: number): Promise<void> {
    const { waitMs } = this.#options;
    const isFree = this.#running === 0 && this.#waiting.length === 0;
    if (!this.isFull && (patienceMs === undefined || isFree)) {
      this.#start();
      return;
    }
    if (this.#waiting.length >= this.#waitingMax) throw this.#busy("");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry = { admit: resolve };
    this.#waiting.push(entry);
    const giveUp = (error: unknown) => {
      const at = this.#waiting.indexOf(entry);
      // It was admitted just before.
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      reject(error);
    };
    const late = () => giveUp(this.#busy(` for ${waitMs} ms`));
    const timer = waitMs === undefined ? undefined : setTimeout(late, waitMs);
    const patience = patienceMs === undefined ? undefined : setTimeout(() => this.#admit(entry), patienceMs);
    const abort = () => giveUp(signal?.reason);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      clearTimeout(patience);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Ends a run; the first task of the queue runs next. */
  release(): void {
    this.#running--;
    this.#options.onChange?.(this.#running);
    const [next] = this.#waiting;
    // After a run that was resumed, the limit may be reached still.
    if (next !== undefined) this.#admit(next);
  }

  /** Begins a run again that was ended with `release`, at once: the limit may be exceeded until other runs end. */
  resume(): void {
    this.#start();
  }

  /** Runs a task that waits, if the limit allows it. */
  #admit(entry: Entry): void {
    const at = this.#waiting.indexOf(entry);
    if (this.isFull || at < 0) return;
    this.#waiting.splice(at, 1);
    this.#start();
    entry.admit();
  }

  #busy(duration: string): Busy {
    const { tasks, setting } = this.#options;
    const limit = setting === undefined ? "" : ` (${setting})`;
    return new Busy(
      `Too many ${tasks}${duration}: ${this.#running} running${limit}, ${this.#waiting.length} waiting; try again shortly.`,
    );
  }

  #start(): void {
    this.#running++;
    this.#options.onChange?.(this.#running);
  }
}
