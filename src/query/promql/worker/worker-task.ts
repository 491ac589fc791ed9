/**
 * One task of a Worker, as the thread that owns the store sees it: answers the Worker's questions about series and rows,
 * and passes on the pieces of its answer. Rows are read with connections of this thread, so the Worker can be ended at
 * any moment: at the deadline, when the client disconnects, or when the gateway stops.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate } from "node:timers/promises";
import type { EncodedBlocks } from "../../../store/blocks/decode.ts";
import { buffersOfCells, type CellColumns } from "../cells/cell-columns.ts";
import type { CodeColumns } from "../cells/code-chunks.ts";
import { buffersOfSamples, type SampleColumns } from "../cells/sample-columns.ts";
import { deferredMatcher, type TestTexts } from "../matchers.ts";
import type { ArchiveOpened, LargeReads, StoredRows } from "../store/stored-rows.ts";
import type { RowColumns, RowLists, TableReader } from "../store/table-reader.ts";
import type { ActiveQuery } from "../../active-queries.ts";
import type { MemoryGuard } from "../../memory-guard.ts";
import { LimitReached, QueryCanceled, QueryError } from "../query-errors.ts";
import type { StepAside } from "../query-runner.ts";
import type { UpstreamAnswer } from "../../upstream/upstream-messages.ts";
import type { Ask, AskPart, FoundAnswer, FromWorker, PlainMatcher, Task, TaskSettings } from "./messages.ts";
import { PARTS_AHEAD } from "./messages.ts";
import { errorOf, plainError } from "./plain-error.ts";
import { SourcesEncoder } from "./sources-text.ts";
import type { SharedAnswer } from "../shared/shared-samples.ts";
import type { PoolWorker, WorkerPool } from "./worker-pool.ts";

/** Series that are sent at once: a millisecond. */
const SOURCES_AT_ONCE = 1_000;
/** How long a Worker that was told to stop may take before it is ended: a new one costs more than that. */
const STOP_GRACE_MS = 200;

/** How long a Worker may take to free memory after its task. It takes 0.1 s for 100 MB. */
const FREEING_MS = 5_000;

/** An answer that has no parts. */
type AskedValue =
  | ArchiveOpened
  | UpstreamAnswer
  | Uint32Array
  | CellColumns
  | CodeColumns
  | SampleColumns
  | SharedAnswer
  | FoundAnswer
  | undefined;

/** A question that is being answered. */
interface Answering {
  isEnough: boolean;
  /** Parts that were sent and not used. */
  ahead: number;
  onTaken: () => void;
}

export interface WorkerTaskOptions {
  readonly pool: WorkerPool;
  readonly rows: StoredRows;
  readonly settings: Omit<TaskSettings, "hasShared" | "hasArchive">;
  /** Ends the task with its reason. */
  readonly signal: AbortSignal;
  /** Stops the task when the memory of the process grows too far. */
  readonly memory: TaskMemory;
  /** Whether tasks of others are stopped before this one, when the memory grows too far. */
  readonly isSpared?: boolean;
  /** How many exports compute at once. Without it, all do. */
  readonly turns?: LargeReads;
  /** Lets other tasks run instead of this one, while it waits for something that needs no processor. */
  readonly aside?: StepAside;
  /** Counts what is read for the task. */
  readonly read?: Pick<ActiveQuery, "countRows" | "countSeries">;
}

/** See MemoryGuard. */
export interface TaskMemory {
  readonly guard: MemoryGuard;
  readonly promqlMemoryGrowthBytesMax: number;
}

type Piece = Uint8Array<ArrayBuffer>;

export class WorkerTask {
  readonly #options: WorkerTaskOptions;
  readonly #worker: PoolWorker;
  /** The Worker's questions are answered as the caller that gave the task. */
  readonly #asCaller = AsyncLocalStorage.snapshot();
  readonly #answering = new Map<number, Answering>();
  readonly #readers = new Map<number, TableReader>();
  readonly #work = new Set<Promise<void>>();
  readonly #stopReading = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #pieces: Piece[] = [];
  #isLast = false;
  #failure: { readonly error: unknown } | undefined;
  #onPiece: () => void = () => {};
  readonly #selectors = Promise.withResolvers<readonly (readonly PlainMatcher[])[]>();
  readonly #tests = new Map<number, PromiseWithResolvers<Uint8Array>>();
  #testsSent = 0;
  #releaseLarge: (() => void) | undefined;
  #releaseTurn: (() => void) | undefined;
  #isOver = false;
  #isFreeing = false;
  #grace: ReturnType<typeof setTimeout> | undefined;

  constructor(task: Task, options: WorkerTaskOptions) {
    this.#options = options;
    const { pool, settings, signal, memory } = options;
    memory.guard.watch(this);
    // Most tasks have none, and nobody waits for them.
    this.#selectors.promise.catch(() => {});
    this.#worker = pool.take();
    this.#worker.listen(
      (message) => this.#asCaller(() => this.#take(message)),
      (error) => {
        this.#failWith(error);
        this.#finish(false);
      },
    );
    const hasShared = options.rows.shared !== undefined && task.kind !== "export";
    const hasArchive = options.rows.archive !== undefined;
    this.#worker.post({ type: "run", task, settings: { ...settings, hasShared, hasArchive } });
    signal.addEventListener("abort", this.#onAbort);
    if (signal.aborted) this.#onAbort();
  }

  /** See MemoryGuard. */
  get isSpared(): boolean {
    return this.#options.isSpared === true;
  }

  /** Resolves when the thread is free or ended, and nothing is read for it any more. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The next piece of the answer; undefined after the last. Throws what the task failed with. */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        if (!this.#isOver) this.#worker.post({ type: "read" });
        return piece;
      }
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#isLast) return undefined;
      await new Promise<void>((resolve) => {
        this.#onPiece = resolve;
      });
    }
  }

  /** The matchers of a task that reads selectors. Throws what the task failed with. */
  selectors(): Promise<readonly (readonly PlainMatcher[])[]> {
    return this.#selectors.promise;
  }

  readonly test: TestTexts = async (expression, texts) => {
    if (this.#failure !== undefined) throw this.#failure.error;
    const test = ++this.#testsSent;
    const tested = Promise.withResolvers<Uint8Array>();
    this.#tests.set(test, tested);
    this.#post({ type: "test", test, expression, texts });
    return await tested.promise;
  };

  /** A task that reads selectors is done. */
  finish(): void {
    this.#finish(true);
  }

  /** Nobody reads the rest of the answer. */
  cancel(reason: unknown = new QueryCanceled("the query was canceled")): void {
    if (this.#isOver || this.#isFreeing) return;
    this.#failWith(reason);
    this.#worker.post({ type: "abort" });
    this.#stopReading.abort(reason);
    this.#grace ??= setTimeout(() => this.#finish(false), STOP_GRACE_MS);
  }

  /** The memory of the process has grown too far: ends the thread at once. */
  stop(): void {
    const most = this.#options.memory.promqlMemoryGrowthBytesMax;
    this.#failWith(
      new LimitReached(
        `the query was stopped, because the memory of the gateway grew by more than ${most} bytes while it ran ` +
          "(promqlMemoryGrowthBytesMax): query fewer series or a shorter range",
      ),
    );
    this.#finish(false);
  }

  readonly #onAbort = () => {
    const { reason } = this.#options.signal;
    this.cancel(reason instanceof QueryError ? reason : undefined);
  };

  #take(message: FromWorker): void {
    switch (message.type) {
      case "ask":
        this.#track(this.#answer(message.ask, message.request));
        return;
      case "taken": {
        const answering = this.#answering.get(message.ask);
        if (answering === undefined) return;
        answering.ahead--;
        answering.onTaken();
        return;
      }
      case "enough": {
        const answering = this.#answering.get(message.ask);
        if (answering === undefined) return;
        answering.isEnough = true;
        answering.onTaken();
        return;
      }
      case "closeReader":
        this.#readers.get(message.reader)?.close();
        this.#readers.delete(message.reader);
        return;
      case "settle":
        this.#options.rows.shared?.settle(message.ticket, message.result);
        return;
      case "largeDone":
        this.#releaseLarge?.();
        this.#releaseLarge = undefined;
        return;
      case "turnDone":
        this.#releaseTurn?.();
        this.#releaseTurn = undefined;
        return;
      case "piece":
        if (this.#failure === undefined) this.#pieces.push(message.piece);
        this.#isLast = message.isLast;
        if (message.isLast) this.#end(message.isFreeing);
        this.#onPiece();
        return;
      case "selectors":
        this.#selectors.resolve(message.selectors);
        return;
      case "tested":
        this.#tests.get(message.test)?.resolve(message.marks);
        this.#tests.delete(message.test);
        return;
      case "failed":
        this.#failWith(errorOf(message.error));
        this.#end(message.isFreeing);
        return;
      case "ready":
        this.#finish(true);
    }
  }

  /** The thread has answered or failed. It may need some time before it can be used again. */
  #end(isFreeing: boolean): void {
    if (!isFreeing) {
      this.#finish(true);
      return;
    }
    this.#isFreeing = true;
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => this.#finish(false), FREEING_MS);
  }

  /** The first failure counts: those that follow are caused by it. */
  #failWith(error: unknown): void {
    this.#failure ??= { error };
    this.#onPiece();
    this.#selectors.reject(this.#failure.error);
    for (const tested of this.#tests.values()) tested.reject(this.#failure.error);
  }

  /** The thread has nothing more to say. */
  #finish(isReusable: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#grace);
    const { pool, signal, memory } = this.#options;
    memory.guard.forget(this);
    signal.removeEventListener("abort", this.#onAbort);
    if (isReusable) pool.giveBack(this.#worker);
    else pool.end(this.#worker);
    this.#stopReading.abort(new QueryCanceled("the query was canceled"));
    this.#releaseLarge?.();
    this.#releaseTurn?.();
    for (const answering of this.#answering.values()) answering.onTaken();
    void Promise.allSettled(this.#work).then(() => {
      for (const reader of this.#readers.values()) reader.close();
      this.#ended.resolve();
    });
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  async #answer(ask: number, request: Ask): Promise<void> {
    const answering: Answering = { isEnough: false, ahead: 0, onTaken: () => {} };
    this.#answering.set(ask, answering);
    try {
      const value = await this.#valueOf(ask, request, answering);
      this.#post({ type: "answered", ask, value }, buffersOfValue(value));
    } catch (error) {
      this.#post({ type: "refused", ask, error: plainError(error) });
    } finally {
      this.#answering.delete(ask);
    }
  }

  async #valueOf(ask: number, request: Ask, answering: Answering): Promise<AskedValue> {
    const { rows, turns, read } = this.#options;
    const { signal } = this.#stopReading;
    signal.throwIfAborted();
    switch (request.what) {
      case "find": {
        const { firstDay, lastDay } = request;
        const matchers = request.matchers.map(({ name, operator, value }) =>
          deferredMatcher(name, operator, value, this.test),
        );
        const { aside = (wait) => wait() } = this.#options;
        // Files of the archive may have to be fetched.
        const sources = request.withArchived
          ? await aside(() => rows.archive!.find(matchers, firstDay, lastDay, signal))
          : await rows.find(matchers, firstDay, lastDay, signal);
        read?.countSeries(sources.length);
        const numbered = rows.numberOf?.(sources);
        if (numbered !== undefined && !request.isAgain && this.#worker.known.get(numbered))
          return { ...numbered, isKnown: true };
        const encoder = new SourcesEncoder();
        for (let from = 0; from < sources.length; from += SOURCES_AT_ONCE) {
          if (from > 0) await setImmediate();
          await this.#part(ask, answering, encoder.encode(sources.slice(from, from + SOURCES_AT_ONCE)));
        }
        if (numbered === undefined) return undefined;
        this.#worker.known.set(numbered, true);
        return { ...numbered, isKnown: false };
      }
      case "withSamplesIn": {
        const { seriesIds, firstDay, lastDay } = request;
        const from = request.withArchived ? rows.archive! : rows;
        return Uint32Array.from(await from.withSamplesIn([...seriesIds], firstDay, lastDay));
      }
      case "archive": {
        const { aside = (wait) => wait() } = this.#options;
        return await aside(() => rows.archive!.open(request.firstDay, request.lastDay));
      }
      case "cells":
        return await rows.cells?.(request.seriesIds, request.asked);
      case "codes": {
        const columns = await rows.codes?.(request.seriesIds, request.asked);
        for (const { codes } of columns?.chunks ?? []) read?.countRows(codes.length);
        return columns;
      }
      case "samples":
        return await rows.samples?.(request.seriesIds, request.asked);
      case "upstream": {
        const { aside = (wait) => wait() } = this.#options;
        if (rows.upstream === undefined) throw new Error("there is no upstream");
        return await aside(() => rows.upstream!(request.asked, signal));
      }
      case "shared":
        return await rows.shared?.read(request.seriesIds, request.asked);
      case "scan":
        await this.#reader(request.reader).scan(request.statement, request.nullable, (part) => {
          read?.countRows(part.rowCount);
          return this.#part(ask, answering, part, buffersOf(part));
        });
        return undefined;
      case "scanLists":
        await this.#reader(request.reader).scanLists(request.statement, (part) => {
          read?.countRows(part.lists[0]?.length ?? 0);
          return this.#part(ask, answering, part, buffersOf(part));
        });
        return undefined;
      case "scanBlocks":
        await this.#reader(request.reader).scanBlocks(request.statement, (part) => {
          read?.countRows(part.samples.reduce((sum, each) => sum + each, part.rowTimes.items.length));
          return this.#part(ask, answering, part, buffersOf(part));
        });
        return undefined;
      case "large":
        this.#releaseLarge = await begun(rows.large, signal);
        return undefined;
      case "turn":
        if (turns !== undefined) this.#releaseTurn = await begun(turns, signal);
        return undefined;
    }
  }

  #reader(id: number): TableReader {
    return this.#readers.getOrInsertComputed(id, () => this.#options.rows.tables(this.#stopReading.signal));
  }

  /** Sends a part; resolves when the Worker can take another. */
  async #part(ask: number, answering: Answering, part: AskPart, buffers: ArrayBuffer[] = []): Promise<void> {
    if (answering.isEnough || this.#isOver) throw new QueryCanceled("no more is read");
    this.#post({ type: "part", ask, part }, buffers);
    answering.ahead++;
    while (answering.ahead >= PARTS_AHEAD && !answering.isEnough && !this.#isOver) {
      await new Promise<void>((resolve) => {
        answering.onTaken = resolve;
      });
    }
  }

  #post(message: Parameters<PoolWorker["post"]>[0], buffers: ArrayBuffer[] = []): void {
    if (!this.#isOver) this.#worker.post(message, buffers);
  }
}

/** Resolves when a run of the Worker has its turn, to the function that ends the turn. Throws if `signal` aborts before. */
async function begun(turns: LargeReads, signal: AbortSignal): Promise<() => void> {
  const began = Promise.withResolvers<() => void>();
  const done = Promise.withResolvers<void>();
  const turn = turns.run(async () => {
    began.resolve(done.resolve);
    // The task may have ended in the same moment, and then nobody ends the turn.
    if (!signal.aborted) await done.promise;
  }, signal);
  turn.catch(began.reject);
  return await began.promise;
}

/** The buffers of an answer that has no parts. */
function buffersOfValue(value: AskedValue): ArrayBuffer[] {
  // Codes are in memory that threads share.
  if (
    value === undefined ||
    "isKnown" in value ||
    "chunks" in value ||
    "partOf" in value ||
    "days" in value ||
    "failure" in value
  )
    return [];
  if ("body" in value) return [value.body.buffer];
  if (value instanceof Uint32Array) return [value.buffer as ArrayBuffer];
  return "hasBefore" in value ? buffersOfSamples(value) : buffersOfCells(value);
}

function buffersOfBlocks(part: EncodedBlocks): ArrayBuffer[] {
  const arrays = Object.values(part).flatMap((column) =>
    ArrayBuffer.isView(column)
      ? [column]
      : [column.begins, column.lengths, column.items, ...(column.nulls === undefined ? [] : [column.nulls])],
  );
  return [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))];
}

/** The buffers of a part, each once. All arrays of a part are copies, so nothing else uses them. */
function buffersOf(part: RowColumns | RowLists | EncodedBlocks): ArrayBuffer[] {
  if ("samples" in part) return buffersOfBlocks(part);
  const arrays = "lists" in part ? [part.keys, part.begins, part.lengths, ...part.lists] : [...part.columns];
  if (part.nulls !== undefined) arrays.push(part.nulls);
  return [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))];
}
