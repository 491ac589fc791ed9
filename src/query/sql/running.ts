/**
 * One running query: its reader, its deadline, and how it is stopped.
 *
 * The engine stops within about 15 ms of an interrupt, with two exceptions. An interrupt between two statements is
 * lost, so interrupts are repeated. Inside one large scalar call the engine does not check for interrupts. After a
 * grace period the query counts as stuck: its caller gets an error, and the query counts against the limit of
 * concurrent queries until the engine stops it.
 */
import {
  BadInput,
  Forbidden,
  type RequestError,
  Timeout,
  Unavailable,
  Unprocessable,
} from "../../model/errors.ts";
import { faultOf } from "../../store/engine/faults.ts";
import { type StatementError, statementErrorOf } from "../../store/engine/statement-faults.ts";
import type { Reader } from "../../store/store.ts";

/** Why a query was stopped before its end. */
type StopReason = "timeout" | "gone" | "memory" | "closing" | "canceled";

const INTERRUPT_INTERVAL_MS = 50;
/** A hundred times as long as an ordinary query takes to stop. */
const STUCK_AFTER_MS = 2_000;

/** Returns a clearer sentence for an error of a statement, or undefined. */
export type Hint = (error: StatementError) => string | undefined;

interface RunningOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Called after the reader is closed and nothing of the query runs any more. */
  readonly onClosed: () => void;
  /** Called when the query did not stop in time after its interrupt. */
  readonly onStuck: () => void;
}

export class RunningQuery {
  readonly #options: RunningOptions;
  readonly #deadline: ReturnType<typeof setTimeout>;
  readonly #abort = () => this.stop("gone");
  readonly #stuck = Promise.withResolvers<never>();
  readonly #stopping = new AbortController();
  #reader: Reader | undefined;
  #stopped: StopReason | undefined;
  #interrupting: ReturnType<typeof setInterval> | undefined;
  #busy: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;
  #hint: Hint | undefined;

  /** Starts the deadline at once, because preparing a statement can take long too. */
  constructor(options: RunningOptions) {
    this.#options = options;
    this.#stuck.promise.catch(() => {});
    this.#deadline = setTimeout(() => this.stop("timeout"), options.timeoutMs);
    options.signal?.addEventListener("abort", this.#abort, { once: true });
    if (options.signal?.aborted) this.stop("gone");
  }

  /** Runs one step on the reader. Rejects with a `RequestError` if the query was stopped or is at fault. */
  async step<Result>(work: (reader: Reader) => Promise<Result>): Promise<Result> {
    if (this.#stopped !== undefined) throw this.#stopError();
    const reader = this.#reader;
    if (reader === undefined) throw new Error("the query has no reader");
    const working = work(reader);
    const settled = working.then(
      () => {},
      () => {},
    );
    this.#busy = settled;
    try {
      return await Promise.race([working, this.#stuck.promise]);
    } catch (error) {
      if (this.#stopped !== undefined) throw this.#stopError();
      throw requestError(error, this.#hint);
    } finally {
      // A stuck step stays busy, and `close` waits for it.
      void settled.then(() => {
        if (this.#busy === settled) this.#busy = undefined;
      });
    }
  }

  /** Sets the reader that the query runs on. `close` closes it. */
  use(reader: Reader): void {
    this.#reader = reader;
  }

  /** Sets a function that returns a clearer sentence for an error of the statement, or undefined. */
  explainErrors(hint: Hint | undefined): void {
    this.#hint = hint;
  }

  /** Aborts when the query is stopped. What waits for something other than the engine must end with it. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  get stopped(): StopReason | undefined {
    return this.#stopped;
  }

  /** Stops the query. Its pending step rejects with the reason. */
  stop(reason: StopReason): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    this.#stopping.abort();
    const since = performance.now();
    let isReported = false;
    this.#reader?.interrupt();
    this.#interrupting = setInterval(() => {
      this.#reader?.interrupt();
      if (!isReported && this.#busy !== undefined && performance.now() - since > STUCK_AFTER_MS) {
        isReported = true;
        this.#options.onStuck();
        this.#stuck.reject(new Error("stuck"));
      }
    }, INTERRUPT_INTERVAL_MS);
  }

  /** Ends the query, finished or not. Resolves when nothing runs on its reader any more and the reader is closed. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#deadline);
    this.#options.signal?.removeEventListener("abort", this.#abort);
    // A step that still runs (its caller stopped reading early) is interrupted, since its result is no longer needed.
    if (this.#busy !== undefined && this.#stopped === undefined) this.stop("gone");
    await this.#busy;
    clearInterval(this.#interrupting);
    this.#reader?.close();
    this.#options.onClosed();
  }

  #stopError(): RequestError {
    switch (this.#stopped) {
      case "timeout":
        return new Timeout(
          `The query took longer than ${this.#options.timeoutMs} ms (timeoutMs of the request, up to sqlTimeoutMs of the gateway); a narrower range of ts may help.`,
          422,
        );
      case "memory":
        return outOfMemory("sqlMemoryGrowthBytesMax");
      case "closing":
      case "canceled":
        return stopError(this.#stopped);
      default:
        return stopError("gone");
    }
  }
}

/** The error of a query that ends because the gateway stops, its client disconnected, or somebody cancelled it. */
export function stopError(reason: "closing" | "gone" | "canceled"): RequestError {
  switch (reason) {
    case "closing":
      return new Unavailable("The gateway is stopping; the query was not finished.");
    case "canceled":
      return new Unprocessable("The query was cancelled by a request, and was not finished.");
    case "gone":
      return new BadInput("The client disconnected before the query was finished.");
  }
}

/** @param setting the setting that limits the memory */
function outOfMemory(setting: string): RequestError {
  return new Unprocessable(
    `The query needs more memory than it may use (${setting}); a narrower range of ts, fewer groups or a LIMIT may help.`,
  );
}

/**
 * Turns an error of the engine into a `RequestError` if it is the statement's fault. Returns any other error unchanged.
 */
function requestError(error: unknown, hint?: Hint): unknown {
  if (!(error instanceof Error)) return error;
  const said = statementErrorOf(error);
  if (said.kind === "guarded") return new Unprocessable(`${said.reason}.`, "sql");
  const clearer = hint?.(said);
  if (clearer !== undefined) return new BadInput(clearer.slice(0, 500), "sql");
  const fault = faultOf(error);
  if (fault === "out of memory") return outOfMemory("memoryLimitBytes");
  if (fault === "forbidden")
    return new Forbidden("The engine does not allow a part of the statement.", "sql");
  if (fault === "unknown parameter")
    return new BadInput(
      "params names a parameter that the statement does not have; expected a value for each $NAME of the statement.",
      "params",
    );
  if (fault === "interrupted") return new Unavailable("The query was interrupted; try again.");
  if (fault === "statement" || fault === "parameters" || fault === "day dropped") {
    const answer = new BadInput(said.summary.slice(0, 500), "sql");
    answer.cause = error;
    return answer;
  }
  return error;
}
