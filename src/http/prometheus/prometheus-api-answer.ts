/**
 * Answers of Prometheus's API: `{"status":"success","data":…}` and `{"status":"error","errorType",…}`. The points of
 * a result are written directly from the columns. Large results are streamed in pieces.
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
import type { PromqlResult, ResultData, ResultSeries } from "../../query/promql/engine.ts";
import { QueryError } from "../../query/promql/query-errors.ts";
import { formatFloat } from "../../query/promql/promql-text.ts";
import { errorHeaders, jsonResponse } from "../error-answers.ts";
import { streamResponse } from "../stream.ts";

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
  return jsonResponse(
    error instanceof Busy ? 503 : error.status,
    { status: "error", errorType: errorTypeOf(error), error: error.message },
    errorHeaders(error),
  );
}

function errorTypeOf(error: RequestError): string {
  if (error instanceof QueryError) return error.errorType;
  if (error instanceof Busy || error instanceof Unavailable || error.code === "unavailable")
    return "unavailable";
  if (error instanceof Timeout) return "timeout";
  if (error instanceof NotFound) return "not_found";
  if (error instanceof InternalFault) return "internal";
  return error.status === 400 ? "bad_data" : "execution";
}

/** Length of the pieces in which an answer is streamed. Small results are one piece. */
const PIECE_LENGTH = 256 * 1024;

/** The answer to a query. `more` is added to the data. */
export function resultResponse(
  result: PromqlResult,
  limit: number,
  more: Readonly<Record<string, unknown>> = {},
): Response {
  const { data } = result;
  const truncated = "series" in data && data.series.length > limit;
  const warnings = [...result.warnings, ...(truncated ? ["results truncated due to limit"] : [])];
  const tail = JSON.stringify(more).slice(1, -1);
  const end = `${tail === "" ? "" : `,${tail}`}}${noteText(warnings, result.infos)}}\n`;
  return inPieces(resultPieces(data, limit, end));
}

/** The answer with a list of any length. */
export function listResponse(items: readonly unknown[], { warnings = [], infos = [] }: Notes = {}): Response {
  return inPieces(listPieces(items, `${noteText(warnings, infos)}}\n`));
}

/**
 * A plain answer if there is one piece. Otherwise a stream: each piece is written when the one before was read, and
 * other work runs in between.
 */
function inPieces(pieces: Iterator<string, void>): Response {
  const headers = { "content-type": "application/json; charset=utf-8" };
  const first = pieces.next();
  const second = pieces.next();
  if (second.done) return new Response(first.value ?? "", { headers });
  return streamResponse(pieceStream([first.value ?? "", second.value], pieces), headers);
}

function* listPieces(items: readonly unknown[], end: string): Generator<string, void> {
  let text = '{"status":"success","data":[';
  for (let at = 0; at < items.length; at++) {
    text += (at > 0 ? "," : "") + JSON.stringify(items[at]);
    if (text.length < PIECE_LENGTH) continue;
    yield text;
    text = "";
  }
  yield `${text}]${end}`;
}

function noteText(warnings: readonly string[], infos: readonly string[]): string {
  const text = JSON.stringify(notes(warnings, infos)).slice(1, -1);
  return text === "" ? "" : `,${text}`;
}

function* resultPieces(data: ResultData, limit: number, end: string): Generator<string, void> {
  let text = `{"status":"success","data":{"resultType":"${data.type}","result":`;
  if (data.type === "scalar") text += `[${seconds(data.timestampMs)},"${formatFloat(data.value)}"]`;
  else if (data.type === "string") text += `[${seconds(data.timestampMs)},${JSON.stringify(data.text)}]`;
  else {
    text += "[";
    const count = Math.min(limit, data.series.length);
    for (let at = 0; at < count; at++) {
      const series = data.series[at];
      text += `${at > 0 ? "," : ""}{"metric":${JSON.stringify(series.labels)},`;
      text += data.type === "vector" ? `"value":${point(series, 0)}}` : '"values":[';
      if (data.type === "matrix") {
        for (let sample = 0; sample < series.values.length; sample++) {
          text += (sample > 0 ? "," : "") + point(series, sample);
        }
        text += "]}";
      }
      if (text.length >= PIECE_LENGTH) {
        yield text;
        text = "";
      }
    }
    text += "]";
  }
  yield text + end;
}

function point({ timestampsMs, values }: ResultSeries, at: number): string {
  return `[${seconds(timestampsMs[at])},"${formatFloat(values[at])}"]`;
}

function seconds(timeMs: number): number {
  return Math.round(timeMs) / 1000;
}

function pieceStream(made: string[], pieces: Iterator<string, void>): ReadableStream<Uint8Array> {
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
