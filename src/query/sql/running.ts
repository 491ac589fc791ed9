/**
 * One query under way: its reader, its deadline, and how it is stopped.
 *
 * The engine heeds an interrupt within some 15 ms, but not while nothing runs (between two statements it is
 * lost: so it is repeated) and not inside one large scalar call. Who waits gets an answer all the same: past a
 * grace the query counts as stuck, its caller is told, and its place stays taken until the engine gives way.
 */
import { queriesStuck } from "../../model/counters.ts";
import {
  BadInput,
  Forbidden,
  type RequestError,
  Timeout,
  Unavailable,
  Unprocessable,
} from "../../model/errors.ts";
import { faultOf } from "../../store/engine/faults.ts";
import type { Reader } from "../../store/store.ts";

/** What stopped a query before its end. */
export type StopReason = "timeout" | "gone" | "memory" | "closing";

const INTERRUPT_INTERVAL_MS = 50;
/** A hundred times what an ordinary query takes to stop. */
const STUCK_AFTER_MS = 2_000;

export interface RunningOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Called once the reader is closed and nothing of the query runs any more. */
  readonly onClosed: () => void;
  /** Called when the query did not heed its interrupt in time. */
  readonly onStuck: () => void;
}

export class RunningQuery {
  readonly #options: RunningOptions;
  readonly #deadline: ReturnType<typeof setTimeout>;
  readonly #abort = () => this.stop("gone");
  readonly #stuck = Promise.withResolvers<never>();
  #reader: Reader | undefined;
  #stopped: StopReason | undefined;
  #interrupting: ReturnType<typeof setInterval> | undefined;
  #busy: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;
  #hint: ((message: string) => string | undefined) | undefined;

  /** Arms the deadline at once: even preparing a statement may take its time. */
  constructor(options: RunningOptions) {
    this.#options = options;
    this.#stuck.promise.catch(() => {});
    this.#deadline = setTimeout(() => this.stop("timeout"), options.timeoutMs);
    options.signal?.addEventListener("abort", this.#abort, { once: true });
    if (options.signal?.aborted) this.stop("gone");
  }

  /** Runs one step on the reader; rejects with a `RequestError` where the query was stopped or is at fault. */
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
      // A stuck step stays busy; `close` waits for it.
      void settled.then(() => {
        if (this.#busy === settled) this.#busy = undefined;
      });
    }
  }

  /** Takes the reader that the query runs on. It is closed by `close`. */
  use(reader: Reader): void {
    this.#reader = reader;
  }

  /** Takes what gives a clearer sentence for errors of the statement, where it knows one. */
  explainErrors(hint: ((message: string) => string | undefined) | undefined): void {
    this.#hint = hint;
  }

  get stopped(): StopReason | undefined {
    return this.#stopped;
  }

  /** Stops the query; what waits for it rejects with the reason. */
  stop(reason: StopReason): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    const since = performance.now();
    let told = false;
    this.#reader?.interrupt();
    this.#interrupting = setInterval(() => {
      this.#reader?.interrupt();
      if (!told && this.#busy !== undefined && performance.now() - since > STUCK_AFTER_MS) {
        told = true;
        queriesStuck.inc();
        this.#options.onStuck();
        this.#stuck.reject(new Error("stuck"));
      }
    }, INTERRUPT_INTERVAL_MS);
  }

  /** Ends the query, finished or not; resolves when nothing runs on its reader any more and that is closed. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#deadline);
    this.#options.signal?.removeEventListener("abort", this.#abort);
    // What still runs (a caller that stopped reading in the middle) is not waited for to its own end.
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
        return new Unavailable("The gateway is stopping; the query was not finished.");
      default:
        return new BadInput("The client left before the query was finished.");
    }
  }
}

/** @param setting that says how much a query may take */
function outOfMemory(setting: string): RequestError {
  return new Unprocessable(
    `The query needs more memory than the gateway gives it (${setting}); a narrower range of ts, fewer groups or a LIMIT may help.`,
  );
}

/** What the macros of sql/query/macro_weir_*.sql fail with. */
const GUARDED = /^Invalid Input Error: weir: ([^\n]*)/;

/**
 * The engine's error as a request's, where it is the statement's fault; else the error itself.
 *
 * @param hint gives a clearer sentence for an error of this statement, or undefined
 */
export function requestError(error: unknown, hint?: (message: string) => string | undefined): unknown {
  if (!(error instanceof Error)) return error;
  const message = error.message;
  const guarded = GUARDED.exec(message);
  if (guarded !== null) return new Unprocessable(`${guarded[1]}.`, "sql");
  const clearer = hint?.(message);
  if (clearer !== undefined) return new BadInput(clearer.slice(0, 500), "sql");
  const fault = faultOf(error);
  if (fault === "out of memory") return outOfMemory("memoryLimitBytes");
  if (fault === "forbidden") return new Forbidden("The statement asks for what is not allowed.", "sql");
  if (fault === "unknown parameter")
    return new BadInput(
      "params names what the statement does not have; expected a value for each $NAME of it.",
      "params",
    );
  if (fault === "interrupted") return new Unavailable("The query was interrupted; try again.");
  // Values that do not fit the statement's parameters never reach the engine: the driver says so itself.
  if (fault === "statement" || fault === "day dropped" || /parameter/i.test(message.split("\n")[0]!)) {
    const lines = message.split("\n");
    const candidates = lines
      .slice(1)
      .find((line) => /^(Candidate bindings|Did you mean|Candidate functions)/.test(line));
    return new BadInput(
      [lines[0]!, candidates]
        .filter((line) => line !== undefined)
        .join(" ")
        .slice(0, 500),
      "sql",
    );
  }
  return error;
}
