/**
 * The loop that samples this machine into ordinary ingest.
 *
 * - Each part has its own interval. Runs stand on multiples of it, so that samples are evenly spaced and fall on
 *   the same seconds after a restart; parts are shifted against each other, so that they do not run together.
 *   Every part runs once soon after the start.
 * - A part that fails, or does not end in time, is counted and delays no other. A run that has not ended is not
 *   started a second time; a part that fails again and again is tried less and less often, for a run may cost a
 *   process or a timeout.
 * - What a part has added when it fails or times out is pushed: half a reading is true too.
 * - `stop()` aborts what runs, pushes nothing more, and resolves when all has ended, or after a second.
 */
import { hostname } from "node:os";
import { samplerFailures, samplerSeconds } from "../model/counters.ts";
import type { Batch, Labels } from "../model/sample.ts";
import { Heads } from "./batch.ts";
import { type Part, rejectionOf } from "./part.ts";

export interface SamplerOptions {
  /**
   * Added to every series; `instance`, the host's name, unless told. Without it the hosts of two gateways that one
   * Prometheus scrapes with `honor_labels` would be the same series.
   */
  readonly labels?: Labels;
  /** Told in a sentence when a part begins to fail and when it is well again, not at each run. */
  readonly log?: (message: string) => void;
}

/** Why a run did not do what it should; the values of the label `cause`. */
export type FailureCause = "error" | "timeout" | "push" | "limit" | "stuck" | "partial";

/** A hanging file system or driver is known as such well before the next usual run. */
const TIMEOUT_MAX_MS = 10_000;
/** First runs follow each other at this distance. */
const START_STEP_MS = 50;
/** The distance to the next try doubles with each failure up to this. */
const RETRY_MAX_MS = 5 * 60_000;
/** What `stop()` grants to runs that do not heed their signal: a stuck system call heeds nothing. */
const STOP_MAX_MS = 1_000;

class TimedOut extends Error {}
class Stopped extends Error {}

interface Loop {
  readonly part: Part;
  readonly heads: Heads;
  readonly offsetMs: number;
  timer?: Timer;
  abort?: AbortController;
  /** Settles (never rejects) when the run's part and push have both ended. */
  run?: Promise<void>;
  /** Runs in a row that could not read the part. */
  failures: number;
  /** No run before this, on the clock of performance.now(). */
  notBeforeMs: number;
  /** Whether the log was told. */
  failing: boolean;
}

export class Sampler {
  readonly #loops: readonly Loop[];
  readonly #push: (batch: Batch) => Promise<unknown>;
  readonly #log: (message: string) => void;
  #running = false;

  /** `push` resolves when the batch is stored; what it rejects with counts as a failure of the part. */
  constructor(
    parts: readonly Part[],
    push: (batch: Batch) => Promise<unknown>,
    options: SamplerOptions = {},
  ) {
    const labels = options.labels ?? new Map([["instance", hostname()]]);
    const shortestMs = Math.min(...parts.map((part) => part.intervalMs));
    this.#loops = parts.map((part, index) => ({
      part,
      heads: new Heads(labels),
      offsetMs: Math.floor((index * shortestMs) / parts.length),
      failures: 0,
      notBeforeMs: 0,
      failing: false,
    }));
    this.#push = push;
    this.#log = options.log ?? (() => {});
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#loops.forEach((loop, index) => {
      this.#schedule(loop, index * START_STEP_MS);
    });
  }

  async stop(): Promise<void> {
    this.#running = false;
    for (const loop of this.#loops) {
      clearTimeout(loop.timer);
      loop.abort?.abort(new Stopped("The sampler is stopping."));
    }
    let timer: Timer | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, STOP_MAX_MS);
    });
    await Promise.race([Promise.all(this.#loops.map((loop) => loop.run)), grace]);
    clearTimeout(timer);
  }

  #schedule(loop: Loop, delayMs: number): void {
    loop.timer = setTimeout(() => {
      this.#schedule(loop, untilNextMs(Date.now(), loop.part.intervalMs, loop.offsetMs));
      if (loop.run !== undefined) {
        this.#failed(loop, "stuck", "the run before has not ended");
      } else if (performance.now() >= loop.notBeforeMs) {
        loop.run = this.#run(loop).finally(() => {
          loop.run = undefined;
        });
      }
    }, delayMs);
    // The sampler alone is no reason for the process to stay.
    loop.timer.unref();
  }

  async #run(loop: Loop): Promise<void> {
    const { part } = loop;
    const abort = new AbortController();
    loop.abort = abort;
    const reading = loop.heads.read(Date.now() * 1000);
    // Its own async function, so that a part that throws at once is a rejection like any other.
    const collected = (async () => part.collect(reading, abort.signal))();
    let well = await this.#collect(loop, collected, abort);
    const batch = reading.seal();
    if (well && reading.lacking !== undefined) {
      well = false;
      this.#failed(loop, "partial", reading.lacking);
    }
    if (reading.dropped > 0) {
      well = false;
      this.#failed(loop, "limit", `${reading.dropped} samples more than a reading may have were left out`);
    }
    if (this.#running && batch.length > 0) {
      try {
        await this.#push(batch);
      } catch (error) {
        well = false;
        this.#failed(loop, "push", error);
      }
    }
    if (well && loop.failing) {
      loop.failing = false;
      this.#log(`The sampler reads ${part.name} again.`);
    }
    await collected.catch(() => {});
  }

  /** Waits for the part as long as it may take; whether it did what it should. */
  async #collect(loop: Loop, collected: Promise<void>, abort: AbortController): Promise<boolean> {
    const { part } = loop;
    const timeoutMs = part.timeoutMs ?? Math.min(part.intervalMs, TIMEOUT_MAX_MS);
    const timer = setTimeout(() => abort.abort(new TimedOut(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const end = samplerSeconds.startTimer({ part: part.name });
    try {
      await Promise.race([collected, rejectionOf(abort.signal)]);
      loop.failures = 0;
      return true;
    } catch (error) {
      // A part that heeds its signal may reject with an error of its own making: what counts is why it was told.
      const reason: unknown = abort.signal.aborted ? abort.signal.reason : error;
      if (reason instanceof Stopped) return false;
      // The first failure is tried again at the next interval, the second after two, then four …
      const waitMs = part.intervalMs * (2 ** loop.failures - 0.5);
      loop.failures++;
      loop.notBeforeMs = performance.now() + Math.min(waitMs, RETRY_MAX_MS);
      this.#failed(loop, reason instanceof TimedOut ? "timeout" : "error", reason);
      return false;
    } finally {
      clearTimeout(timer);
      end();
    }
  }

  #failed(loop: Loop, cause: FailureCause, reason: unknown): void {
    samplerFailures.inc({ part: loop.part.name, cause });
    if (loop.failing) return;
    loop.failing = true;
    const what = cause === "partial" ? "reads only a part of" : "cannot read";
    const why = reason instanceof Error ? reason.message : String(reason);
    this.#log(`The sampler ${what} ${loop.part.name}: ${why}.`);
  }
}

/**
 * Milliseconds from `nowMs` to the next time that is `offsetMs` past a multiple of `intervalMs` and at least half
 * an interval away: a timer that fires a little early, or the first run, is not followed by another at once.
 */
export function untilNextMs(nowMs: number, intervalMs: number, offsetMs: number): number {
  const earliestMs = nowMs + intervalMs / 2;
  return Math.ceil((earliestMs - offsetMs) / intervalMs) * intervalMs + offsetMs - nowMs;
}
