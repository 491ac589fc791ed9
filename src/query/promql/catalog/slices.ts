/**
 * Lets other work run while this thread walks over many series: pushes must not wait for it. A walk is checked every few
 * series, because reading the clock takes as long as a series.
 */
import { setImmediate } from "node:timers/promises";

/** How long a walk may block the event loop. */
const SLICE_MS = 4;
const STEPS_PER_CHECK = 64;

export class Slices {
  readonly #signal: AbortSignal | undefined;
  #steps = 0;
  #beginMs = performance.now();

  /** @param signal ends the walk with its reason */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** Counts a step; whether it is time to `pause`. */
  get isDue(): boolean {
    if (++this.#steps < STEPS_PER_CHECK) return false;
    this.#steps = 0;
    return performance.now() - this.#beginMs > SLICE_MS;
  }

  /** Counts further steps: some work takes as long as many series. */
  count(steps: number): void {
    this.#steps += steps;
  }

  async pause(): Promise<void> {
    await setImmediate();
    this.#signal?.throwIfAborted();
    this.#beginMs = performance.now();
  }
}
