/**
 * The engine's own threads, which are there only while something is read that takes time.
 *
 * A thread that asks for a statement does the work itself, and workers of the engine help. But with a worker
 * there, a thread that commits does not sleep until the log is on the disk: it spins (1.5.6), a core during each
 * fsync, a tenth of what storing events takes. So there are none while nothing is read, and a query over many
 * rows has all threads.
 */

/** A query that is done sooner is not worth a thread's start, which takes half a millisecond. */
const LEND_AFTER_MS = 5;
/** The panels of a dashboard ask one after the other. */
const KEEP_MS = 1_000;

export class Workers {
  readonly #set: (externalThreads: number) => Promise<void>;
  readonly #threads: number;
  #users = 0;
  #isWorking = false;
  #timer: Timer | undefined;
  #last: Promise<void> = Promise.resolve();

  /**
   * @param threads of the engine in all
   * @param set makes so many of them external
   */
  constructor(threads: number, set: (externalThreads: number) => Promise<void>) {
    this.#threads = threads;
    this.#set = set;
  }

  /** Something is about to be read. */
  begin(): void {
    if (this.#users++ > 0) return;
    this.#later(true, LEND_AFTER_MS);
  }

  /** It was read. */
  end(): void {
    if (--this.#users > 0) return;
    this.#later(false, KEEP_MS);
  }

  /** Resolves when nothing more will be set. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#last;
  }

  #later(isWorking: boolean, afterMs: number): void {
    clearTimeout(this.#timer);
    if (this.#threads === 1 || isWorking === this.#isWorking) return;
    this.#timer = setTimeout(() => {
      this.#isWorking = isWorking;
      // A failure is no reason to fail a query: it goes on with the threads that there are.
      this.#last = this.#last.then(() => this.#set(isWorking ? 1 : this.#threads)).catch(() => undefined);
    }, afterMs);
    this.#timer.unref();
  }
}
