/**
 * The loop that samples this machine into ordinary ingest.
 *
 * - Each part has its own interval. Runs start at multiples of it, so that samples are evenly spaced, and at the same
 *   seconds after a restart. Parts that take long are shifted against each other, so that they do not run together. Quick
 *   ones run together, so that an idle gateway is woken once. Every part runs once soon after the start.
 * - A part that fails, or does not end in time, is counted and does not delay the others. A run that has not ended is
 *   not started a second time. A part that fails repeatedly is tried less and less often, because a run may cost a
 *   process or a timeout.
 * - Samples that a part added before it failed or timed out are pushed, because they are right.
 * - `stop()` aborts the runs, pushes nothing more, and resolves when all runs have ended, or after a second.
 */
import { hostname } from "node:os";
import type { Counters } from "../model/counters.ts";
import type { Batch, Labels } from "../model/sample.ts";
import { Heads } from "./batch.ts";
import { type Part, rejectionOf } from "./part.ts";

export interface SamplerOptions {
  readonly counters: Counters;
  /**
   * Labels of every series. The default is `instance`, the host's name. Without it, the hosts of two gateways
   * that one Prometheus scrapes with `honor_labels` would have the same series.
   */
  readonly labels?: Labels;
  /** Called when a part begins to fail, not at each run: the part's name, the cause, and the reason as text. */
  readonly onFailure?: (part: string, cause: FailureCause, why: string) => void;
  /** Called when a part that failed succeeds again. */
  readonly onRecovery?: (part: string) => void;
}

/**
 * Why a run failed: the part cannot be read (`error`, `timeout`, `stuck`), only a part of it can be (`limit`, `partial`),
 * or what was read cannot be stored (`push`). These are the values of the label `cause`.
 */
type FailureCause = "error" | "timeout" | "push" | "limit" | "stuck" | "partial";

/** A file system or driver that hangs is detected well before the next usual run. */
const TIMEOUT_MAX_MS = 10_000;
/** The time between the first runs of the parts. */
const START_STEP_MS = 50;
/** The time to the next try doubles with each failure, up to this. */
const RETRY_MAX_MS = 5 * 60_000;
/** How long `stop()` waits for runs that ignore their signal, as a stuck system call does. */
const STOP_MAX_MS = 1_000;

class TimedOut extends Error {}
class Stopped extends Error {}

interface Loop {
  readonly part: Part;
  readonly heads: Heads;
  readonly offsetMs: number;
  timer?: Timer;
  abort?: AbortController;
  /** Settles (never rejects) when the part and the push of the run have ended. */
  run?: Promise<void>;
  /** How many runs in a row could not read the part. */
  failures: number;
  /** No run starts before this, on the clock of performance.now(). */
  notBeforeMs: number;
  /** The cause of the failure that was logged, until the part recovers. */
  failing: FailureCause | undefined;
}

export class Sampler {
  readonly #loops: readonly Loop[];
  readonly #push: (batch: Batch) => Promise<unknown>;
  readonly #onFailure: SamplerOptions["onFailure"];
  readonly #onRecovery: SamplerOptions["onRecovery"];
  readonly #counters: Counters;
  #running = false;

  /** `push` resolves when the batch is stored. If it rejects, the run counts as failed. */
  constructor(parts: readonly Part[], push: (batch: Batch) => Promise<unknown>, options: SamplerOptions) {
    const labels = options.labels ?? new Map([["instance", hostname()]]);
    const shortestMs = Math.min(...parts.map((part) => part.intervalMs));
    this.#loops = parts.map((part, index) => ({
      part,
      heads: new Heads(labels),
      offsetMs: part.isQuick === true ? 0 : Math.floor((index * shortestMs) / parts.length),
      failures: 0,
      notBeforeMs: 0,
      failing: undefined,
    }));
    this.#push = push;
    this.#counters = options.counters;
    this.#onFailure = options.onFailure;
    this.#onRecovery = options.onRecovery;
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
        this.#failed(loop, "stuck", "the previous run has not ended");
      } else if (performance.now() >= loop.notBeforeMs) {
        loop.run = this.#run(loop).finally(() => {
          loop.run = undefined;
        });
      }
    }, delayMs);
    // The sampler must not keep the process running.
    loop.timer.unref();
  }

  async #run(loop: Loop): Promise<void> {
    const { part } = loop;
    const abort = new AbortController();
    loop.abort = abort;
    const reading = loop.heads.read(Date.now() * 1000);
    // An async function, so that an error that a part throws synchronously is a rejection too.
    const collected = (async () => part.collect(reading, abort.signal))();
    let well = await this.#collect(loop, collected, abort);
    const batch = reading.seal();
    if (well && reading.lacking !== undefined) {
      well = false;
      this.#failed(loop, "partial", reading.lacking);
    }
    if (reading.dropped > 0) {
      well = false;
      this.#failed(loop, "limit", `${reading.dropped} samples above the limit of a reading were dropped`);
    }
    if (this.#running && batch.length > 0) {
      try {
        await this.#push(batch);
      } catch (error) {
        well = false;
        this.#failed(loop, "push", error);
      }
    }
    if (well && loop.failing !== undefined) {
      loop.failing = undefined;
      this.#onRecovery?.(part.name);
    }
    await collected.catch(() => {});
  }

  /** Waits for the part within its time limit. Returns whether it succeeded. */
  async #collect(loop: Loop, collected: Promise<void>, abort: AbortController): Promise<boolean> {
    const { part } = loop;
    const timeoutMs = part.timeoutMs ?? Math.min(part.intervalMs, TIMEOUT_MAX_MS);
    const timer = setTimeout(() => abort.abort(new TimedOut(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const end = this.#counters.samplerSeconds.startTimer({ part: part.name });
    try {
      await Promise.race([collected, rejectionOf(abort.signal)]);
      loop.failures = 0;
      return true;
    } catch (error) {
      // A part may reject with an error of its own after an abort. The reason of the abort counts.
      const reason: unknown = abort.signal.aborted ? abort.signal.reason : error;
      if (reason instanceof Stopped) return false;
      // After the first failure it is tried again at the next interval, after the second two intervals later,
      // then four …
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
    this.#counters.samplerFailures.inc({ part: loop.part.name, cause });
    if (loop.failing !== undefined) return;
    loop.failing = cause;
    this.#onFailure?.(loop.part.name, cause, reason instanceof Error ? reason.message : String(reason));
  }
}

/**
 * Milliseconds from `nowMs` to the next time that is `offsetMs` past a multiple of `intervalMs` and at least
 * half an interval away. So no run follows at once after the first run, or after a timer that fired a little
 * early.
 */
export function untilNextMs(nowMs: number, intervalMs: number, offsetMs: number): number {
  const earliestMs = nowMs + intervalMs / 2;
  return Math.ceil((earliestMs - offsetMs) / intervalMs) * intervalMs + offsetMs - nowMs;
}
