/** Limits the bytes per second of a destination. A request that is larger than a second's bytes delays those behind it. */
import { setTimeout as pause } from "node:timers/promises";

export class Bandwidth {
  readonly #bytesPerSecond: number;
  /** When what was sent so far has had its time, in milliseconds of the process. */
  #freeAtMs = 0;

  /** @param bytesPerSecond 0 is no limit */
  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when some bytes may be sent. */
  async take(bytes: number, stop: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === 0) return;
    const nowMs = performance.now();
    const startMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = startMs + (bytes / this.#bytesPerSecond) * 1_000;
    if (startMs > nowMs) await pause(startMs - nowMs, undefined, { signal: stop });
  }
}
