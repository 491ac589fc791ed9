/**
 * The entry of a Worker: it parses, checks and evaluates a query, and writes the answer, one task at a time. It never
 * opens the store. The owner ends it at any moment, so nothing that must survive is here.
 *
 * Its thread has a low priority: the thread that accepts pushes runs first where cores are few.
 */
import { getPriority, setPriority } from "node:os";
import { setImmediate } from "node:timers/promises";
import type { RE2JS } from "re2js";
import { heapSize } from "bun:jsc";
import type { Source } from "../catalog/catalog.ts";
import { compileAnchored } from "../matchers.ts";
import { ParsedTexts } from "../parse/parsed-texts.ts";
import { LimitReached } from "../query-errors.ts";
import {
  type FromWorker,
  PIECES_AHEAD,
  type SelectorsTask,
  type Task,
  type TaskSettings,
  type ToWorker,
} from "./messages.ts";
import { type PlainError, plainError } from "./plain-error.ts";
import { Asker, plainMatcher, RemoteRows } from "./remote-rows.ts";
import { KnownResults } from "./sources-text.ts";
import { answerPieces, selectorsOf } from "./tasks.ts";

declare const self: Worker;

/** How far its priority is below that of the thread that started it. Priorities are from -20 (first) to 19 (last). */
const PRIORITY_BELOW = 5;
const PRIORITY_LAST = 19;

try {
  // On Linux a thread has its own priority, and begins with that of the thread that started it.
  setPriority(0, Math.min(PRIORITY_LAST, getPriority(0) + PRIORITY_BELOW));
} catch {
  // It works with the usual priority too.
}

/**
 * Memory, with garbage, from which on a thread frees it after its task: the collector would keep most of it for minutes.
 * Most tasks need a few megabytes.
 */
const HEAVY_BYTES = 64 * 1_048_576;

function post(message: FromWorker, transferred: ArrayBuffer[] = []): void {
  self.postMessage(message, transferred);
}

/** When an export may compute: while others have the processors, it waits. */
class Turn {
  readonly #asker: Asker;
  #isTaken = false;

  constructor(asker: Asker) {
    this.#asker = asker;
  }

  async take(): Promise<void> {
    await this.#asker.ask({ what: "turn" });
    this.#isTaken = true;
  }

  /** Lets others compute, while `wait` waits for something. */
  async without(wait: () => Promise<void>): Promise<void> {
    const wasTaken = this.#isTaken;
    this.end();
    await wait();
    if (wasTaken) await this.take();
  }

  end(): void {
    if (this.#isTaken) this.#asker.tell({ type: "turnDone" });
    this.#isTaken = false;
  }
}

type AnswerPiece = string | Uint8Array<ArrayBuffer>;

/** Sends each piece when the client has read those before it, except for a few. */
class Pieces {
  readonly #signal: AbortSignal;
  readonly #turn: Turn;
  readonly #encoder = new TextEncoder();
  #room = PIECES_AHEAD;
  #onRoom: () => void = () => {};

  constructor(signal: AbortSignal, turn: Turn) {
    this.#signal = signal;
    this.#turn = turn;
    signal.addEventListener("abort", () => this.#onRoom());
  }

  /** The client has read a piece. */
  read(): void {
    this.#room++;
    this.#onRoom();
  }

  async send(piece: AnswerPiece): Promise<void> {
    await this.waitForRoom();
    this.post(piece, false, false);
  }

  async waitForRoom(): Promise<void> {
    if (this.#room === 0) await this.#turn.without(() => this.#untilRoom());
    this.#signal.throwIfAborted();
  }

  async #untilRoom(): Promise<void> {
    while (this.#room === 0 && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
  }

  post(written: AnswerPiece, isLast: boolean, isFreeing: boolean): void {
    this.#room--;
    const piece = typeof written === "string" ? this.#encoder.encode(written) : written;
    post({ type: "piece", piece, isLast, isFreeing }, [piece.buffer]);
  }
}

/** What a thread remembers of earlier tasks. */
class Remembered {
  readonly found = new KnownResults<readonly Source[]>();
  readonly parsed = new ParsedTexts();
}

class RunningTask {
  readonly #remembered: Remembered;
  readonly abort = new AbortController();
  readonly asker = new Asker(post);
  readonly #turn = new Turn(this.asker);
  readonly pieces = new Pieces(this.abort.signal, this.#turn);
  readonly #expressions = new Map<string, RE2JS>();

  constructor(remembered: Remembered) {
    this.#remembered = remembered;
  }

  async run(task: Task, settings: TaskSettings): Promise<void> {
    if (task.kind === "selectors") {
      this.#readSelectors(task);
      return;
    }
    const last = await this.#answer(task, settings);
    const isFreeing = heapSize() > HEAVY_BYTES;
    if ("failure" in last) post({ type: "failed", error: last.failure, isFreeing });
    else this.pieces.post(last.piece, true, isFreeing);
    if (!isFreeing) return;
    // When nothing of the task is on the stack any more.
    setTimeout(() => {
      Bun.gc(true);
      post({ type: "ready" });
    });
  }

  /** Sends all pieces of an answer but the last. Returns that, or the error of the task. */
  async #answer(
    task: Exclude<Task, SelectorsTask>,
    settings: TaskSettings,
  ): Promise<{ readonly piece: AnswerPiece } | { readonly failure: PlainError }> {
    const rows = new RemoteRows(this.asker, settings, this.#remembered.found);
    try {
      if (task.kind === "export") await this.#turn.take();
      let made: AnswerPiece | undefined;
      for await (const piece of answerPieces(
        task,
        { settings, rows, parsed: this.#remembered.parsed },
        this.abort.signal,
      )) {
        if (made !== undefined) {
          await this.pieces.send(made);
          // Otherwise an abort would not be seen before the last piece.
          await setImmediate();
        }
        made = piece;
      }
      await this.pieces.waitForRoom();
      return { piece: made ?? "" };
    } catch (error) {
      return { failure: plainError(explained(error)) };
    } finally {
      this.#turn.end();
    }
  }

  #readSelectors(task: SelectorsTask): void {
    try {
      const selectors = selectorsOf(task).map((matchers) => matchers.map(plainMatcher));
      post({ type: "selectors", selectors });
    } catch (error) {
      post({ type: "failed", error: plainError(explained(error)), isFreeing: false });
    }
  }

  /** Says which texts an expression matches. It compiled when the selector was parsed. */
  test(test: number, expression: string, texts: readonly string[]): void {
    const compiled = this.#expressions.getOrInsertComputed(expression, compileAnchored);
    const marks = Uint8Array.from(texts, (text) => (compiled.test(text) ? 1 : 0));
    post({ type: "tested", test, marks }, [marks.buffer]);
  }
}

/** The engine of JavaScript throws a RangeError when an array or a text would be too large, or calls are too deep. */
function explained(error: unknown): unknown {
  if (!(error instanceof RangeError)) return error;
  return new LimitReached(
    error.message.includes("call stack")
      ? "the query is nested too deeply: use fewer levels"
      : "the query needs more memory than a thread can have: query fewer series or steps",
  );
}

function serve(): void {
  const remembered = new Remembered();
  let running = new RunningTask(remembered);
  self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if (data.type === "run") {
      running = new RunningTask(remembered);
      void running.run(data.task, data.settings);
    } else if (data.type === "abort") running.abort.abort();
    else if (data.type === "read") running.pieces.read();
    else if (data.type === "test") running.test(data.test, data.expression, data.texts);
    else running.asker.take(data);
  };
}

serve();
