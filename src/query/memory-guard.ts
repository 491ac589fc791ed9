/**
 * Limits memory that nothing else counts. The states of quantile, median and mode live outside the buffers of the
 * database engine: a cross join of 2 s took 1.1 GB with a limit of 256 MB. A Worker counts its matrices, and not its
 * garbage. While queries run, this reads the process's resident memory. It stops all queries when the memory has grown
 * too far since the first of them began.
 */
const INTERVAL_MS = 100;

interface Stoppable {
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
