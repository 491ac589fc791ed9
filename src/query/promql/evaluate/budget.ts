/**
 * The limits of one query: samples, series, memory, time. Each error names the number and the setting. The budget also
 * lets the event loop run from time to time, because pushes must not wait for a long query.
 */
import { LimitReached, QueryCanceled, QueryError, QueryTimeout, tooManySeries } from "../query-errors.ts";

export interface Limits {
  /** Samples read by all selectors of a query. */
  readonly promqlSamplesMax: number;
  /** Series that one selector may find. */
  readonly promqlSeriesMax: number;
  /** Bytes of intermediate results at one time. */
  readonly promqlMemoryBytesMax: number;
  readonly promqlTimeoutMs: number;
}

/** A number, and a byte that says whether it is there: see matrix.ts. */
const BYTES_PER_STEP = 9;
/** How long an evaluation may block the event loop. */
const SLICE_MS = 8;

export class Budget {
  readonly signal: AbortSignal;
  readonly #limits: Limits;
  readonly #late: AbortSignal;
  readonly #startedMs = performance.now();
  #sliceStartMs = performance.now();
  #series = 0;
  #bytes = 0;
  /** For `stats`. */
  samplesRead = 0;
  bytesPeak = 0;

  /** `signal` is the client's. The budget's own signal also aborts when the time is up. */
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
        `the query reads more than ${most} samples (promqlSamplesMax): query a shorter time, fewer series or a smaller range`,
      );
    }
  }

  countSeries(count: number): void {
    this.#series += count;
    const most = this.#limits.promqlSeriesMax;
    if (this.#series > most) throw tooManySeries(most);
  }

  /** Counts memory that is returned with `free`. */
  allocate(bytes: number): void {
    this.#bytes += bytes;
    this.bytesPeak = Math.max(this.bytesPeak, this.#bytes);
    const most = this.#limits.promqlMemoryBytesMax;
    if (this.#bytes > most) {
      throw new LimitReached(
        `the query needs more than ${most} bytes for its results (promqlMemoryBytesMax): query fewer series or steps`,
      );
    }
  }

  /** Throws if one value for each of some steps would need more memory than is left. Called before any is computed. */
  checkSteps(steps: number): void {
    const most = this.#limits.promqlMemoryBytesMax;
    if (this.#bytes + steps * BYTES_PER_STEP <= most) return;
    throw new LimitReached(
      `a subquery of the query has ${steps} steps, which need more than ${most} bytes (promqlMemoryBytesMax): use a ` +
        "longer step or a shorter range",
    );
  }

  free(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** Throws if the client disconnected or the time is up. */
  check(): void {
    if (this.#late.aborted) {
      throw new QueryTimeout(
        `the query took longer than ${this.#limits.promqlTimeoutMs} ms (promqlTimeoutMs)`,
      );
    }
    if (this.signal.aborted) throw new QueryCanceled("the query was canceled");
  }

  /** Translates an error of the storage for the client: the reason for an interrupt, or the error itself. */
  reasonFor(error: unknown): unknown {
    if (error instanceof QueryError && !(error instanceof QueryCanceled)) return error;
    try {
      this.check();
      return error;
    } catch (reason) {
      return reason;
    }
  }

  /** Whether it is time to `pause`. */
  get isPauseDue(): boolean {
    return performance.now() - this.#sliceStartMs > SLICE_MS;
  }

  /** Lets other work run if this query has blocked the event loop for long enough; throws as `check` does. */
  async pause(): Promise<void> {
    if (!this.isPauseDue) return;
    this.check();
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#sliceStartMs = performance.now();
    this.check();
  }
}
