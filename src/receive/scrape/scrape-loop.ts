/**
 * Runs the scrapes of one target: the first at the phase of the target, the others at the interval.
 *
 * As in Prometheus, a scrape that takes longer than the interval delays the next one, and the ticks that were missed are
 * one scrape. A scrape that starts at most 2 ms late gets the time at which it should have started, because equal
 * distances compress well.
 */

/** The clocks, and a wait that a signal ends early. Tests control them. */
export interface Clock {
  /** Milliseconds since the epoch. It may jump. */
  now(): number;
  /** Milliseconds since any time. It does not jump. */
  monotonic(): number;
  wait(ms: number, stop: AbortSignal): Promise<void>;
}

const TOLERANCE_MS = 2;

export class ScrapeLoop {
  readonly #intervalMs: number;
  readonly #scrape: (atMs: number, stop: AbortSignal) => Promise<void>;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(intervalMs: number, scrape: (atMs: number, stop: AbortSignal) => Promise<void>, clock: Clock) {
    this.#intervalMs = intervalMs;
    this.#scrape = scrape;
    this.#clock = clock;
  }

  /**
   * @param firstMs milliseconds to the first scrape
   * @param onFault gets what a scrape throws. The loop goes on
   */
  start(firstMs: number, onFault: (error: unknown) => void): void {
    this.#running = this.#run(firstMs, onFault);
  }

  /** Ends the request of a running scrape. Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(firstMs: number, onFault: (error: unknown) => void): Promise<void> {
    const { signal } = this.#stop;
    await this.#clock.wait(firstMs, signal);
    let tickMs = this.#clock.monotonic();
    let alignedMs = this.#clock.now();
    while (!signal.aborted) {
      alignedMs = this.#aligned(alignedMs, this.#clock.now());
      try {
        await this.#scrape(this.#timeOf(alignedMs, this.#clock.now()), signal);
      } catch (error) {
        onFault(error);
      }
      tickMs += this.#intervalMs;
      const lateMs = this.#clock.monotonic() - tickMs;
      if (lateMs < 0) await this.#clock.wait(-lateMs, signal);
      else tickMs += Math.floor(lateMs / this.#intervalMs) * this.#intervalMs;
    }
  }

  /** The last time at or before now at which a scrape should start. */
  #aligned(beforeMs: number, nowMs: number): number {
    // A clock that was set back starts again from there.
    if (nowMs < beforeMs - TOLERANCE_MS) return nowMs;
    return beforeMs + Math.floor(Math.max(0, nowMs - beforeMs) / this.#intervalMs) * this.#intervalMs;
  }

  #timeOf(alignedMs: number, nowMs: number): number {
    const canAlign = this.#intervalMs > 100 * TOLERANCE_MS;
    return canAlign && nowMs - alignedMs <= TOLERANCE_MS ? alignedMs : nowMs;
  }
}
