/**
 * Threads that decode large bodies on a machine with more than two cores. The first thread then only queues, commits and
 * answers. A thread is started when all others are busy, and ended when nothing needed it for a while, or when it has bodies
 * and returns none of them in time.
 *
 * What a thread does not decode (an invalid or unusual body) the first thread decodes, as without threads: so answers are
 * the same. If a thread ends within a body, the push fails with 503, and nothing of it is stored. The bytes of the bodies
 * count against the memory for bodies in progress.
 */
import { type BodiesInProgress, Reservation } from "../../http/body.ts";
import { Busy, Unavailable } from "../../model/errors.ts";
import type { Batch, SeriesHead } from "../../model/sample.ts";
import type { Service } from "../../model/service.ts";
import type {
  AttributeRules,
  DecodeLimits,
  DecodeTask,
  FromDecoder,
  SentBatch,
  ToDecoder,
} from "./decode-messages.ts";
import { HEADS_MAX, HeadTable, SharedHeads } from "./sent-heads.ts";

/** A smaller body is decoded as quickly as it is sent to another thread and back: some 100 events. */
const BODY_BYTES_MIN = 16_384;
/** How long a thread is kept that nothing needs. */
const IDLE_MS = 120_000;
/**
 * How long a thread may have bodies without returning one. The largest body takes it a second, and some more on a busy machine.
 * Senders mostly wait for 10 to 60 seconds.
 */
const ANSWER_MS_MAX = 30_000;
/**
 * Series of one kind of bodies that all threads remember together. Each of them remembers all series, at some 1 KB each, so that
 * fewer threads decode such bodies when there are very many series.
 */
const HEADS_OF_THREADS_MAX = 8 * HEADS_MAX;
/** If this many threads in a row fail before they decode anything, no more are started. */
const FAILURES_MAX = 3;
/** After a body that the threads left to the first one, the first one decodes the next bodies of its kind: at most this many. */
const PAUSE_MAX = 256;

export interface DecodeWorkersOptions {
  /** The most threads. */
  readonly workersMax: number;
  readonly limits: DecodeLimits;
  readonly inProgress: BodiesInProgress;
  /** Which tags are attributes. Asked again when the epoch of `rulesEpoch` has changed. */
  readonly rules: () => AttributeRules;
  readonly rulesEpoch: () => number;
  /** The number of series that exist. */
  readonly seriesCount: () => number;
  /** Called when a thread has failed. */
  readonly onFault: (error: Error) => void;
  /** Called for each body that a thread was given. */
  readonly onBody?: (outcome: "decoded" | "left" | "lost" | "late") => void;
  /** For tests. */
  readonly makeWorker?: () => Worker;
  /** For tests: calls a function once after a time, unless the returned function is called before. */
  readonly after?: (ms: number, run: () => void) => () => void;
}

/** The thread returned no body in time. */
class DecodedLate extends Unavailable {
  constructor() {
    super(
      `The thread that decodes the body returned nothing for ${ANSWER_MS_MAX / 1_000} s; nothing of the body is stored, try again.`,
    );
  }
}

/** What a thread decoded, or the body if the first thread has to decode it. */
export type DecodedBeside =
  | { readonly batch: Batch; readonly samples: number; readonly body?: undefined }
  | { readonly body: Uint8Array; readonly batch?: undefined; readonly samples?: undefined };

/** One kind of bodies, for the receiver that gets them. */
export class BodiesBeside<Task extends DecodeTask = DecodeTask> {
  readonly kind: Task["kind"];
  readonly shared: SharedHeads;
  /** Changes if the threads have to send all series again. */
  readonly version: () => number;
  readonly #workers: DecodeWorkers;
  /** Bodies that are not sent to threads, and how many after the next one that is left. */
  #paused = 0;
  #nextPause = 1;

  constructor(
    workers: DecodeWorkers,
    kind: Task["kind"],
    finish?: (head: SeriesHead) => SeriesHead,
    version: () => number = () => 0,
  ) {
    this.#workers = workers;
    this.kind = kind;
    this.shared = new SharedHeads(finish, { seriesCount: workers.seriesCount });
    this.version = version;
  }

  /** Whether a body of this size is decoded in another thread. Ask it once for each body. */
  takes(bytes: number): boolean {
    if (bytes < BODY_BYTES_MIN || !this.#workers.isOpen) return false;
    if (this.#paused === 0) return true;
    this.#paused--;
    return false;
  }

  /**
   * Decodes a body in another thread, which gets its memory. Returns the body if the first thread has to decode it.
   *
   * @throws Unavailable if the thread ended
   */
  async decode(task: Task, body: Uint8Array): Promise<DecodedBeside> {
    const reservation = new Reservation(this.#workers.inProgress);
    try {
      reservation.grow(body.length);
    } catch (error) {
      if (error instanceof Busy) return { body };
      throw error;
    }
    try {
      const decoded = await this.#workers.run(this, task, body);
      if (decoded.batch === undefined) {
        this.#paused = this.#nextPause;
        this.#nextPause = Math.min(PAUSE_MAX, this.#nextPause * 2);
      } else this.#nextPause = 1;
      return decoded;
    } finally {
      reservation.release();
    }
  }
}

export class DecodeWorkers implements Service {
  readonly #options: DecodeWorkersOptions;
  readonly #threads = new Set<DecodeThread>();
  #failures = 0;
  #isStopped = false;
  #rules: AttributeRules | undefined;

  constructor(options: DecodeWorkersOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return !this.#isStopped && this.#failures < FAILURES_MAX && this.#options.workersMax > 0;
  }

  get inProgress(): BodiesInProgress {
    return this.#options.inProgress;
  }

  get seriesCount(): () => number {
    return this.#options.seriesCount;
  }

  /** The number of threads that run. */
  get count(): number {
    return this.#threads.size;
  }

  /** The bodies of a kind. @param finish, version: see `SharedHeads` and `BodiesBeside` */
  of<Task extends DecodeTask>(
    kind: Task["kind"],
    finish?: (head: SeriesHead) => SeriesHead,
    version?: () => number,
  ): BodiesBeside<Task> {
    return new BodiesBeside<Task>(this, kind, finish, version);
  }

  start(): void {
    this.#isStopped = false;
  }

  /** Ends all threads. The listeners are closed, so nothing waits for them. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const thread of this.#threads) thread.end(new Error("the gateway is stopping"));
    this.#threads.clear();
  }

  /** Decodes a body in the thread that has least to do. */
  async run(kind: BodiesBeside, task: DecodeTask, body: Uint8Array): Promise<DecodedBeside> {
    const { rules, rulesEpoch } = this.#options;
    if (this.#rules?.epoch !== rulesEpoch()) this.#rules = rules();
    const { onBody } = this.#options;
    try {
      const decoded = await this.#thread(kind).decode(kind, task, body, this.#rules!);
      this.#failures = 0;
      onBody?.(decoded.batch === undefined ? "left" : "decoded");
      return decoded;
    } catch (error) {
      onBody?.(error instanceof DecodedLate ? "late" : "lost");
      throw error;
    }
  }

  #thread({ shared }: BodiesBeside): DecodeThread {
    const { workersMax } = this.#options;
    const most = Math.min(workersMax, threadsFor(shared.count));
    let best: DecodeThread | undefined;
    let count = 0;
    for (const thread of this.#threads) {
      if (count++ === most) break;
      if (best === undefined || thread.bytes < best.bytes) best = thread;
    }
    if (best !== undefined && (best.bytes === 0 || this.#threads.size >= most)) return best;
    const { limits, seriesCount, makeWorker = newWorker, after = afterTimeout } = this.#options;
    const onEnd = (error: Error | undefined) => {
      this.#threads.delete(added);
      if (error === undefined || this.#isStopped) return;
      this.#failures++;
      this.#options.onFault(error);
    };
    const added = new DecodeThread(makeWorker(), limits, { after, seriesCount, onEnd });
    this.#threads.add(added);
    return added;
  }
}

/** How many threads decode bodies of a kind with this number of series. */
export function threadsFor(series: number): number {
  return Math.max(1, Math.floor(HEADS_OF_THREADS_MAX / Math.max(1, series)));
}

function newWorker(): Worker {
  // The path is written here in this way so that a bundler finds it.
  return new Worker(new URL("./decode-worker.ts", import.meta.url), { name: "decode", ref: false });
}

function afterTimeout(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  timer.unref();
  return () => clearTimeout(timer);
}

interface Waiting {
  readonly kind: BodiesBeside;
  readonly bytes: number;
  resolve(decoded: DecodedBeside): void;
  reject(error: Error): void;
}

class DecodeThread {
  readonly #worker: Worker;
  readonly #onEnd: (error: Error | undefined) => void;
  readonly #after: NonNullable<DecodeWorkersOptions["after"]>;
  readonly #seriesCount: () => number;
  readonly #waiting = new Map<number, Waiting>();
  readonly #tables = new Map<BodiesBeside, { readonly table: HeadTable; version: number }>();
  #rules: AttributeRules | undefined;
  #nextId = 0;
  #isEnded = false;
  #cancelIdle = () => {};
  #cancelWatch = () => {};
  /** The bytes of bodies that it has not decoded yet. */
  bytes = 0;

  /** @param onEnd called once when the thread has ended, with the error if it failed */
  constructor(
    worker: Worker,
    limits: DecodeLimits,
    {
      after,
      seriesCount,
      onEnd,
    }: {
      readonly after: NonNullable<DecodeWorkersOptions["after"]>;
      readonly seriesCount: () => number;
      readonly onEnd: (error: Error | undefined) => void;
    },
  ) {
    this.#onEnd = onEnd;
    this.#after = after;
    this.#seriesCount = seriesCount;
    this.#worker = worker;
    this.#worker.onmessage = ({ data }: MessageEvent<FromDecoder>) => this.#take(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.end(new Error(`a thread that decodes failed: ${event.message}`));
    };
    this.#worker.addEventListener("close", () => this.end(new Error("a thread that decodes ended")));
    this.#post({ type: "open", limits });
  }

  async decode(
    kind: BodiesBeside,
    task: DecodeTask,
    body: Uint8Array,
    rules: AttributeRules,
  ): Promise<DecodedBeside> {
    this.#cancelIdle();
    if (this.#rules !== rules) {
      this.#rules = rules;
      this.#post({ type: "rules", rules });
    }
    const version = kind.version();
    const known = this.#tables.get(kind);
    if (known === undefined) this.#tables.set(kind, { table: new HeadTable(kind.shared), version });
    else if (known.version !== version) {
      known.version = version;
      this.#post({ type: "forget", kind: kind.kind });
    }
    const id = this.#nextId++;
    const bytes = body.length;
    this.bytes += bytes;
    const { promise, resolve, reject } = Promise.withResolvers<DecodedBeside>();
    if (this.#waiting.size === 0) this.#watch();
    this.#waiting.set(id, { kind, bytes, resolve, reject });
    // Memory that has more than the body may be shared with other buffers.
    const own = body.byteLength === body.buffer.byteLength ? body : body.slice();
    const seriesCount = this.#seriesCount();
    this.#post({ type: "decode", id, task, body: own, seriesCount }, [own.buffer as ArrayBuffer]);
    return await promise;
  }

  /**
   * Ends the thread unless it returns a body in time. The time has two halves: when the machine has slept, both the thread and
   * the gateway wake up after the first one.
   */
  #watch(): void {
    const half = ANSWER_MS_MAX / 2;
    this.#cancelWatch = this.#after(half, () => {
      this.#cancelWatch = this.#after(half, () => {
        const error = `a thread that decodes returned nothing for ${ANSWER_MS_MAX / 1_000} s`;
        this.end(new Error(error), () => new DecodedLate());
      });
    });
  }

  /** Ends the thread. The bodies that it has are lost. */
  end(error?: Error, answer: () => Unavailable = lost): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cancelIdle();
    this.#cancelWatch();
    this.#worker.terminate();
    this.#onEnd(error);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(answer());
  }

  #post(message: ToDecoder, transferred: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transferred);
  }

  #take(message: FromDecoder): void {
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    this.bytes -= waiting.bytes;
    this.#cancelWatch();
    if (this.#waiting.size === 0) this.#cancelIdle = this.#after(IDLE_MS, () => this.end());
    else this.#watch();
    const { table } = this.#tables.get(waiting.kind)!;
    try {
      if (message.type === "decoded") waiting.resolve(batchOf(message.batch, table));
      else {
        if (message.fresh !== undefined) table.add(message.fresh);
        waiting.resolve({ body: message.body });
      }
    } catch (error) {
      // The table and the thread may no longer agree about numbers of series.
      waiting.reject(lost());
      this.end(new Error(`what a thread decoded is not readable: ${(error as Error).message}`));
    }
  }
}

function lost(): Unavailable {
  return new Unavailable("The thread that decoded the body ended; nothing of it is stored, try again.");
}

function batchOf(sent: SentBatch, table: HeadTable): DecodedBeside {
  return { batch: { ...sent.columns, heads: table.take(sent) }, samples: sent.samples };
}
