/**
 * The entry of a Worker: it parses, checks and evaluates a query, and writes the answer, one task at a time. It never
 * opens the store. The owner ends it at any moment, so nothing that must survive is here.
 *
 * Its thread has a low priority: the thread that accepts pushes runs first where cores are few.
 */
import { setPriority } from "node:os";
import { setImmediate } from "node:timers/promises";
import type { Task, TaskSettings, ToWorker } from "./messages.ts";
import { PIECES_AHEAD } from "./messages.ts";
import { plainError } from "./plain-error.ts";
import { Asker, RemoteRows } from "./remote-rows.ts";
import { answerPieces } from "./tasks.ts";

declare const self: Worker;

/** Of -20 (first) to 19 (last). On Linux a thread has its own. */
const PRIORITY = 10;

try {
  setPriority(0, PRIORITY);
} catch {
  // It works with the usual priority too.
}

/** Sends each piece when the client has read those before it, except for a few. */
class Pieces {
  readonly #signal: AbortSignal;
  readonly #encoder = new TextEncoder();
  #room = PIECES_AHEAD;
  #onRoom: () => void = () => {};

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#onRoom());
  }

  /** The client has read a piece. */
  read(): void {
    this.#room++;
    this.#onRoom();
  }

  async send(text: string, isLast: boolean): Promise<void> {
    while (this.#room === 0 && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
    }
    this.#signal.throwIfAborted();
    this.#room--;
    const piece = this.#encoder.encode(text);
    self.postMessage({ type: "piece", piece, isLast }, [piece.buffer]);
  }
}

class RunningTask {
  readonly abort = new AbortController();
  readonly asker = new Asker((message) => self.postMessage(message));
  readonly pieces = new Pieces(this.abort.signal);

  async run(task: Task, settings: TaskSettings): Promise<void> {
    const rows = new RemoteRows(this.asker, settings.days);
    try {
      let made: string | undefined;
      for await (const text of answerPieces(task, settings, rows, this.abort.signal)) {
        if (made !== undefined) {
          await this.pieces.send(made, false);
          // Otherwise an abort would not be seen before the last piece.
          await setImmediate();
        }
        made = text;
      }
      await this.pieces.send(made ?? "", true);
    } catch (error) {
      self.postMessage({ type: "failed", error: plainError(error) });
    }
  }
}

function serve(): void {
  let running = new RunningTask();
  self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
    if (data.type === "run") {
      running = new RunningTask();
      void running.run(data.task, data.settings);
    } else if (data.type === "abort") running.abort.abort();
    else if (data.type === "read") running.pieces.read();
    else running.asker.take(data);
  };
}

serve();
