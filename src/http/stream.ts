/**
 * Answers with a streamed body. They are marked, because Bun closes a connection some time after a timeout was set
 * for it, also while a body is being written. src/http/server.ts sets no timeout for these answers, and the
 * connection is closed after the body instead. Each such body needs its own timeout for a client that stops reading.
 */
import type { ConcurrencyLimit } from "../model/concurrency-limit.ts";
import { Timeout } from "../model/errors.ts";

const streams = new WeakSet<Response>();

/** An answer with a streamed body. */
export function streamResponse(
  body: ReadableStream<Uint8Array>,
  headers: Readonly<Record<string, string>>,
): Response {
  const response = new Response(body, { headers: { connection: "close", ...headers } });
  streams.add(response);
  return response;
}

export function isStream(response: Response): boolean {
  return streams.has(response);
}

/**
 * Calls `end` once when an answer was sent or its client has left: now if the answer is complete, else with its body.
 *
 * @param end gets the error of a body that failed
 * @returns the answer to send instead
 */
export function whenSent<Answer>(answer: Answer, end: (error?: unknown) => void): Answer | Response {
  if (!(answer instanceof Response) || !isStream(answer) || answer.body === null) {
    end();
    return answer;
  }
  const reader = answer.body.getReader();
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // A body fails by itself if its client reads nothing for long.
        reader.closed.then(
          () => end(),
          (error: unknown) => {
            end(error);
            controller.error(error);
          },
        );
      },
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel(reason) {
        // Closes it.
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  const watched = new Response(body, answer);
  streams.add(watched);
  return watched;
}

/**
 * Lines as a body. The first lines are read before the answer begins, so that an early failure is an error with a status.
 * After that a failure resets the connection, so that no client takes a part for the whole.
 *
 * @param stallTimeoutMs how long a client may read nothing before it is disconnected
 */
export async function lineStream(
  lines: AsyncGenerator<string, void, undefined>,
  stallTimeoutMs: number,
): Promise<ReadableStream<Uint8Array>> {
  const encoder = new TextEncoder();
  let first: IteratorResult<string, void> | undefined = await lines.next();
  let stall: ReturnType<typeof setTimeout> | undefined;
  const stop = async () => {
    clearTimeout(stall);
    await lines.return();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        const next = first ?? (await lines.next());
        first = undefined;
        if (next.done) return controller.close();
        controller.enqueue(encoder.encode(next.value));
        stall = setTimeout(() => {
          controller.error(new Timeout(`The client read nothing of the export for ${stallTimeoutMs} ms.`));
          stop().catch(() => undefined);
        }, stallTimeoutMs);
      },
      cancel: stop,
    },
    { highWaterMark: 1 },
  );
}

/** The pieces of an answer that another thread writes. */
interface Pieces {
  /** Undefined after the last. */
  next(): Promise<Uint8Array | undefined>;
  /** Nobody reads the rest. */
  cancel(): void;
}

/**
 * Pieces as a body. A failure resets the connection, so that no client takes a part for the whole.
 *
 * @param made the pieces that were read already, so that an early failure was an error with a status
 * @param stallTimeoutMs how long a client may read nothing before it is disconnected
 */
export function pieceStream(
  made: Uint8Array[],
  pieces: Pieces,
  stallTimeoutMs: number,
): ReadableStream<Uint8Array> {
  let stall: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        const piece = made.shift() ?? (await pieces.next());
        if (piece === undefined) return controller.close();
        controller.enqueue(piece);
        stall = setTimeout(() => {
          controller.error(new Timeout(`The client read nothing of the answer for ${stallTimeoutMs} ms.`));
          pieces.cancel();
        }, stallTimeoutMs);
      },
      cancel() {
        clearTimeout(stall);
        pieces.cancel();
      },
    },
    { highWaterMark: 1 },
  );
}

/**
 * Lines that are read while a limit allows it: from the first line until the last one was read, or the reader left.
 * Throws `Busy` as `ConcurrencyLimit.acquire` does.
 */
export async function* withinLimit(
  limit: ConcurrencyLimit,
  lines: AsyncGenerator<string, void, undefined>,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  await limit.acquire(signal);
  try {
    yield* lines;
  } finally {
    limit.release();
  }
}
