/**
 * What one query may use: samples, series, memory, time. Each refusal names the number and the setting. The
 * budget also lets the event loop run now and then: pushes must not wait for a long query.
 */
import { LimitReached, QueryCanceled, QueryError, QueryTimeout } from "../errors.ts";

export interface Limits {
  /** Samples read by all selectors of a query. */
  readonly promqlSamplesMax: number;
  /** Series that one selector may find. */
  readonly promqlSeriesMax: number;
  /** Bytes of results under way at one time. */
  readonly promqlMemoryBytesMax: number;
  readonly promqlTimeoutMs: number;
}

/** How long an evaluation may hold the event loop. */
const TURN_MS = 8;

export class Budget {
  readonly signal: AbortSignal;
  readonly #limits: Limits;
  readonly #late: AbortSignal;
  readonly #startedMs = performance.now();
  #turnMs = performance.now();
  #series = 0;
  #bytes = 0;
  /** For `stats`. */
  samplesRead = 0;
  bytesPeak = 0;

  /** `signal` is the client's; the budget's own also says when the time is up. */
  constructor(limits: Limits, signal?: AbortSignal) {
    this.#limits = limits;
    this.#late = AbortSignal.timeout(limits.promqlTimeoutMs);
    this.signal = signal === undefined ? this.#late : AbortSignal.any([signal, this.#late]);
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  countSamples(count: number): void {
    this.samplesRead += count;
    const most = this.#limits.promqlSamplesMax;
    if (this.samplesRead > most) {
      throw new LimitReached(
        `the query reads more than ${most} samples (promqlSamplesMax): ask for less time, fewer series or a smaller range`,
      );
    }
  }

  countSeries(count: number): void {
    this.#series += count;
    const most = this.#limits.promqlSeriesMax;
    if (this.#series > most) {
      throw new LimitReached(
        `the query's selectors find more than ${most} series (promqlSeriesMax): name more labels`,
      );
    }
  }

  /** Takes note of memory that is given back with `free`. */
  allocate(bytes: number): void {
    this.#bytes += bytes;
    this.bytesPeak = Math.max(this.bytesPeak, this.#bytes);
    const most = this.#limits.promqlMemoryBytesMax;
    if (this.#bytes > most) {
      throw new LimitReached(
        `the query needs more than ${most} bytes for its results (promqlMemoryBytesMax): ask for fewer series or steps`,
      );
    }
  }

  free(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Throws when the client went away or the time is up. */
  check(): void {
    if (this.#late.aborted) {
      throw new QueryTimeout(
        `the query took longer than ${this.#limits.promqlTimeoutMs} ms (promqlTimeoutMs)`,
      );
    }
    if (this.signal.aborted) throw new QueryCanceled("the query was canceled");
  }

  /** What an error of the storage is to the client: the interrupt that time or the client caused, or itself. */
  reasonFor(error: unknown): unknown {
    if (error instanceof QueryError && !(error instanceof QueryCanceled)) return error;
    try {
      this.check();
      return error;
    } catch (reason) {
      return reason;
    }
  }

  /** Whether it is time to `breathe`. */
  get outOfBreath(): boolean {
    return performance.now() - this.#turnMs > TURN_MS;
  }

  /** Lets others run when this query has held the loop for long enough; throws as `check` does. */
  async breathe(): Promise<void> {
    if (!this.outOfBreath) return;
    this.check();
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#turnMs = performance.now();
    this.check();
  }
}
