/**
 * The engine's own threads, which exist only while a slow query reads.
 *
 * The thread that runs a statement does the work itself, and workers of the engine help. But while a worker
 * exists, a thread that commits does not sleep until the log is on the disk. It spins (1.5.6), and so uses a
 * core during each fsync, a tenth of the CPU of storing events. So there are no workers while nothing is read.
 * A query over many rows gets all threads.
 */

/** A faster query is not worth starting a thread, which takes half a millisecond. */
const LEND_AFTER_MS = 5;
/** The panels of a dashboard query one after the other. */
const KEEP_MS = 1_000;

export class Workers {
  readonly #set: (externalThreads: number) => Promise<void>;
  readonly #threads: number;
  #users = 0;
  #isWorking = false;
  #timer: Timer | undefined;
  #last: Promise<void> = Promise.resolve();

  /**
   * @param threads the engine's threads in total
   * @param set sets the number of external threads
   */
  constructor(threads: number, set: (externalThreads: number) => Promise<void>) {
    this.#threads = threads;
    this.#set = set;
  }

  /** A read begins. */
  begin(): void {
    if (this.#users++ > 0) return;
    this.#later(true, LEND_AFTER_MS);
  }

  /** A read has ended. */
  end(): void {
    if (--this.#users > 0) return;
    this.#later(false, KEEP_MS);
  }

  /** Resolves when `set` will not be called again. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#last;
  }

  #later(isWorking: boolean, afterMs: number): void {
    clearTimeout(this.#timer);
    if (this.#threads === 1 || isWorking === this.#isWorking) return;
    this.#timer = setTimeout(() => {
      this.#isWorking = isWorking;
      // A failure must not fail the query, which continues with the existing threads.
      this.#last = this.#last.then(() => this.#set(isWorking ? 1 : this.#threads)).catch(() => undefined);
    }, afterMs);
    this.#timer.unref();
  }
}
