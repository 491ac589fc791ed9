/**
 * Workers for PromQL: started when they are needed, kept for the next task, and ended when nothing needed them for a
 * while. The callers limit how many tasks run at once. A Worker takes 5 MB, and 20 to 120 ms to start.
 */
import type { FromWorker, ToWorker } from "./messages.ts";
import { KnownResults } from "./sources-text.ts";

/** One thread. It works on one task at a time. */
export interface PoolWorker {
  /** The results of look-ups that were sent to it. */
  readonly known: KnownResults<true>;
  /** Receives what the Worker says, from now on. */
  listen(take: (message: FromWorker) => void, onEnd: (error: Error) => void): void;
  post(message: ToWorker, transferred?: ArrayBuffer[]): void;
}

interface PoolOptions {
  /** Called with the number of threads whenever it changes. */
  onChange?(count: number): void;
  /** How long a thread is kept that nothing needs. */
  readonly idleMs?: number;
}

/** The panels of a dashboard are refreshed every 5 s to 1 min. */
const IDLE_MS = 120_000;

export class WorkerPool {
  readonly #options: PoolOptions;
  /** The one that was used last is at the end, and is used next. */
  readonly #idle: Thread[] = [];
  readonly #all = new Set<Thread>();

  constructor(options: PoolOptions = {}) {
    this.#options = options;
  }

  /** A thread for one task. The caller gives it back, or ends it. */
  take(): PoolWorker {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.isAwaited();
      return idle;
    }
    const thread = new Thread(() => this.#forget(thread));
    this.#all.add(thread);
    this.#options.onChange?.(this.#all.size);
    return thread;
  }

  /** Keeps a thread that did its task for the next one. */
  giveBack(worker: PoolWorker): void {
    const thread = worker as Thread;
    if (!this.#all.has(thread)) return;
    this.#idle.push(thread);
    thread.isIdle(this.#options.idleMs ?? IDLE_MS, () => this.end(thread));
  }

  /** Ends a thread, whatever it does. */
  end(worker: PoolWorker): void {
    const thread = worker as Thread;
    this.#forget(thread);
    thread.terminate();
  }

  /** Ends all threads. */
  close(): void {
    for (const thread of this.#all) this.end(thread);
  }

  #forget(thread: Thread): void {
    if (!this.#all.delete(thread)) return;
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#options.onChange?.(this.#all.size);
  }
}

class Thread implements PoolWorker {
  readonly known = new KnownResults<true>();
  readonly #worker: Worker;
  #take: (message: FromWorker) => void = () => {};
  #onEnd: (error: Error) => void = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param onGone called if the thread ends by itself */
  constructor(onGone: () => void) {
    // The path is written here in this way so that a bundler finds it.
    this.#worker = new Worker(new URL("./promql-worker.ts", import.meta.url), { name: "promql", ref: false });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#take(data);
    const gone = (error: Error) => {
      onGone();
      clearTimeout(this.#timer);
      this.#onEnd(error);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      gone(new Error(`a PromQL worker failed: ${event.message}`));
      this.#worker.terminate();
    };
    this.#worker.addEventListener("close", () => gone(new Error("a PromQL worker ended")));
  }

  listen(take: (message: FromWorker) => void, onEnd: (error: Error) => void): void {
    this.#take = take;
    this.#onEnd = onEnd;
  }

  post(message: ToWorker, transferred: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transferred);
  }

  isAwaited(): void {
    clearTimeout(this.#timer);
  }

  isIdle(idleMs: number, end: () => void): void {
    this.listen(
      () => {},
      () => {},
    );
    this.#timer = setTimeout(end, idleMs);
    this.#timer.unref();
  }

  terminate(): void {
    clearTimeout(this.#timer);
    this.listen(
      () => {},
      () => {},
    );
    this.#worker.terminate();
  }
}
