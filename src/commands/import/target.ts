/**
 * Where imported lines go: the gateway's own routes, whether it runs elsewhere (HTTP) or was opened by this
 * process for the import alone. Both are the same requests, so that both mean the same.
 *
 * A chunk's offset commits with its rows. Whatever happens to an answer, asking `progress` again tells what is
 * stored, and going on from there stores every line once.
 */
import { accepted, Refused, type Send, Unreachable } from "../client.ts";
import type { Chunk } from "./chunks.ts";
import type { Progress } from "./event-file.ts";

/** What the gateway says of one rejected line. */
export interface LineError {
  /** Which line of the chunk that is not blank, from 0. */
  readonly index: number;
  readonly reason: string;
  /** A short word: `timestamp`, `syntax`, `value` … */
  readonly cause: string;
}

/** What became of a chunk's lines. `causes` counts all that were rejected, `errors` tells the first of them. */
export interface ChunkAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly errors: readonly LineError[];
  readonly causes: Readonly<Record<string, number>>;
}

/** The gateway took nothing of the chunk for something in it, and does not say of which line. */
export class ChunkRefused extends Error {
  override readonly name = "ChunkRefused";
}

/** The chunk is not stored, or nobody knows: ask for the progress and go on from there, after a pause. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly pauseMs: number | undefined;

  constructor(message: string, pauseMs?: number) {
    super(message);
    this.pauseMs = pauseMs;
  }
}

/** A commit takes milliseconds, a full queue is told at once: after this long the connection is dead. */
const ANSWER_TIMEOUT_MS = 120_000;

export class ImportTarget {
  readonly #send: Send;
  /** Once there was an answer, silence is taken for a restart and not for a wrong address. */
  #hasAnswered = false;

  constructor(send: Send) {
    this.#send = send;
  }

  /** How far the file was imported; undefined where it was not. */
  async progress(file: string): Promise<Progress | undefined> {
    const response = await this.#ask(() =>
      this.#send(`/api/v1/imports/${file}`, { timeoutMs: ANSWER_TIMEOUT_MS }),
    );
    if (response.status === 404) {
      const { error } = (await response.json().catch(() => ({}))) as { error?: { field?: string } };
      // Another server, or an old gateway, has no such route at all.
      if (error?.field !== "file")
        throw new Refused("There is no gateway that imports at this address.", 404, undefined, error);
      return undefined;
    }
    return (await (await this.#ask(() => accepted(response))).json()) as Progress;
  }

  /**
   * Stores a chunk's lines and its offset, in one transaction.
   *
   * @throws Interrupted, ChunkRefused
   */
  async push(file: string, chunk: Chunk): Promise<ChunkAnswer> {
    const response = await this.#ask(async () =>
      this.#send("/api/v1/push", {
        method: "POST",
        query: [
          ["import_file", file],
          ["import_from", String(chunk.fromOffset)],
          ["import_to", String(chunk.toOffset)],
          ["import_line", chunk.lastLineHash],
        ],
        headers: { "content-type": "application/x-ndjson" },
        body: chunk.body,
        timeoutMs: ANSWER_TIMEOUT_MS,
      }),
    );
    try {
      return readAnswer(await (await this.#ask(() => accepted(response))).json());
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // 400 with counts says that no line could be accepted; the chunk was read all the same.
      if (error.status === 400 && hasCounts(error.body)) return readAnswer(error.body);
      // Bytes that are no UTF-8, far too many wrong lines, or a limit below our chunks.
      if (error.status === 400 || error.status === 413) throw new ChunkRefused(error.message);
      throw error;
    }
  }

  /** Turns what may pass into `Interrupted`; `Unreachable` stays where there never was an answer. */
  async #ask(ask: () => Promise<Response>): Promise<Response> {
    try {
      const response = await ask();
      this.#hasAnswered = true;
      return response;
    } catch (error) {
      if (error instanceof Unreachable && this.#hasAnswered) throw new Interrupted(error.message);
      if (error instanceof Refused && (error.status === 409 || error.status === 429 || error.status >= 500)) {
        const { retryAfterSeconds } = error;
        throw new Interrupted(
          error.message,
          retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1_000,
        );
      }
      throw error;
    }
  }
}

function hasCounts(body: unknown): boolean {
  return typeof (body as { rejected?: unknown } | undefined)?.rejected === "number";
}

function readAnswer(body: unknown): ChunkAnswer {
  const answer = body as Partial<ChunkAnswer>;
  return {
    accepted: answer.accepted ?? 0,
    duplicates: answer.duplicates ?? 0,
    rejected: answer.rejected ?? 0,
    errors: answer.errors ?? [],
    causes: answer.causes ?? {},
  };
}
