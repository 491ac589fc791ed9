/**
 * Holds queries to memory that the engine's own limit does not see: the states of quantile, median and mode
 * live outside its buffers (2 s of a cross join took 1.1 GB over a limit of 256 MB). While queries run, the
 * process's resident memory is read; when it has grown too far since the first of them began, all are stopped.
 */
const INTERVAL_MS = 100;

export interface Stoppable {
  stop(reason: "memory"): void;
}

export class MemoryGuard {
  readonly #growthBytesMax: number;
  readonly #residentBytes: () => number;
  readonly #running = new Set<Stoppable>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #baseBytes = 0;

  constructor(growthBytesMax: number, residentBytes: () => number = () => process.memoryUsage.rss()) {
    this.#growthBytesMax = growthBytesMax;
    this.#residentBytes = residentBytes;
  }

  watch(query: Stoppable): void {
    this.#running.add(query);
    if (this.#timer !== undefined) return;
    this.#baseBytes = this.#residentBytes();
    this.#timer = setInterval(() => {
      if (this.#residentBytes() - this.#baseBytes <= this.#growthBytesMax) return;
      for (const running of this.#running) running.stop("memory");
    }, INTERVAL_MS);
  }

  forget(query: Stoppable): void {
    this.#running.delete(query);
    if (this.#running.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
