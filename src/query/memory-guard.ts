/**
 * Limits memory that nothing else counts. The states of quantile, median and mode live outside the buffers of the
 * database engine: a cross join of 2 s took 1.1 GB with a limit of 256 MB. A Worker counts its matrices, and not its
 * garbage. While queries run, this reads the process's resident memory. It stops all queries when the memory has grown
 * too far since the first of them began, except for those of rules: an evaluation must not fail because of a large query
 * beside it. These are stopped if the memory grows as far again without the others.
 */
const INTERVAL_MS = 100;

interface Stoppable {
  /** Whether it goes on while there are others to stop. */
  readonly isSpared?: boolean;
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
    this.#timer = setInterval(() => this.#check(), INTERVAL_MS);
  }

  #check(): void {
    const bytes = this.#residentBytes();
    if (bytes - this.#baseBytes <= this.#growthBytesMax) return;
    const running = [...this.#running];
    const others = running.filter(({ isSpared }) => isSpared !== true);
    // The memory of those that are stopped is not free at once.
    if (others.length < running.length) this.#baseBytes = bytes;
    for (const each of others.length === 0 ? running : others) each.stop("memory");
  }

  forget(query: Stoppable): void {
    this.#running.delete(query);
    if (this.#running.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
