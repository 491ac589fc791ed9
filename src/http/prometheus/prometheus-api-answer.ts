/**
 * Answers of Prometheus's API: `{"status":"success","data":…}` and `{"status":"error","errorType",…}`. Large results
 * are streamed in pieces.
 */
import { setImmediate } from "node:timers/promises";
import {
  Busy,
  InternalFault,
  NotFound,
  type RequestError,
  Timeout,
  Unavailable,
} from "../../model/errors.ts";
import type { PromqlAnswer } from "../../query/promql/promql-queries.ts";
import { QueryError } from "../../query/promql/query-errors.ts";
import { errorHeaders, jsonResponse } from "../error-answers.ts";
import { pieceStream, streamResponse } from "../stream.ts";

/** Notes beside the data. */
interface Notes {
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

export function success(data: unknown, { warnings = [], infos = [] }: Notes = {}): Response {
  return jsonResponse(200, { status: "success", data, ...notes(warnings, infos) });
}

function notes(warnings: readonly string[], infos: readonly string[]): Notes {
  return {
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(infos.length > 0 ? { infos } : {}),
  };
}

/** The first `limit` items of a list, with a warning if there were more. */
export function limited<Item>(
  items: readonly Item[],
  limit: number,
): { items: readonly Item[]; notes: Notes } {
  if (items.length <= limit) return { items, notes: {} };
  return { items: items.slice(0, limit), notes: { warnings: ["results truncated due to limit"] } };
}

/** Answers an error in the API's own format. */
export function apiError(error: RequestError): Response {
  return errorResponse(error, {});
}

/** The same with further fields before those of the API. */
export function errorResponse(error: RequestError, more: Readonly<Record<string, unknown>>): Response {
  return jsonResponse(
    error instanceof Busy ? 503 : error.status,
    { ...more, status: "error", errorType: errorTypeOf(error), error: error.message },
    errorHeaders(error),
  );
}

function errorTypeOf(error: RequestError): string {
  if (error instanceof QueryError) return error.errorType;
  if (error.status === 429 || error instanceof Unavailable || error.code === "unavailable")
    return "unavailable";
  if (error instanceof Timeout) return "timeout";
  if (error instanceof NotFound) return "not_found";
  if (error instanceof InternalFault) return "internal";
  return error.status === 400 ? "bad_data" : "execution";
}

/** Length of the pieces in which an answer is streamed. Small results are one piece. */
const PIECE_LENGTH = 256 * 1024;

/** How long a client may read nothing of the answer to a query, which keeps a Worker until its end is near. */
const STALL_MS = 15_000;

/** The answer to a query. */
export async function queryResponse(answer: PromqlAnswer): Promise<Response> {
  const headers = { "content-type": "application/json; charset=utf-8" };
  const first = await answer.next();
  const second = first === undefined ? undefined : await answer.next();
  if (second === undefined) return new Response(first ?? "", { headers });
  return streamResponse(pieceStream([first!, second], answer, STALL_MS), headers);
}

/** An answer of lines, each of which is a value in JSON. */
export function linesResponse(values: Iterable<unknown>): Response {
  return inPieces(linePieces(values), "application/x-ndjson; charset=utf-8");
}

function* linePieces(values: Iterable<unknown>): Generator<string, void> {
  let text = "";
  for (const value of values) {
    text += `${JSON.stringify(value)}\n`;
    if (text.length < PIECE_LENGTH) continue;
    yield text;
    text = "";
  }
  if (text !== "") yield text;
}

/** The answer with a list of any length. */
export function listResponse(items: readonly unknown[], { warnings = [], infos = [] }: Notes = {}): Response {
  return longListResponse('{"status":"success","data":[', items, `]${noteText(warnings, infos)}}\n`);
}

/** The answer with a list of any length between two texts. */
export function longListResponse(head: string, items: readonly unknown[], end: string): Response {
  return inPieces(listPieces(head, items, end));
}

/**
 * A plain answer if there is one piece. Otherwise a stream: each piece is written when the one before was read, and
 * other work runs in between.
 */
function inPieces(pieces: Iterator<string, void>, type = "application/json; charset=utf-8"): Response {
  const headers = { "content-type": type };
  const first = pieces.next();
  const second = pieces.next();
  if (second.done) return new Response(first.value ?? "", { headers });
  return streamResponse(textStream([first.value ?? "", second.value], pieces), headers);
}

function* listPieces(head: string, items: readonly unknown[], end: string): Generator<string, void> {
  let text = head;
  for (let at = 0; at < items.length; at++) {
    text += (at > 0 ? "," : "") + JSON.stringify(items[at]);
    if (text.length < PIECE_LENGTH) continue;
    yield text;
    text = "";
  }
  yield `${text}${end}`;
}

function noteText(warnings: readonly string[], infos: readonly string[]): string {
  const text = JSON.stringify(notes(warnings, infos)).slice(1, -1);
  return text === "" ? "" : `,${text}`;
}

function textStream(made: string[], pieces: Iterator<string, void>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Otherwise a client that reads quickly would block all other work until the last piece.
        await setImmediate();
        const ready = made.shift();
        const { done, value } = ready === undefined ? pieces.next() : { done: false, value: ready };
        if (done || value === undefined) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
    },
    { highWaterMark: 1 },
  );
}
