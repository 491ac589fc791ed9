/**
 * What Datadog's API answers (https://docs.datadoghq.com/api/latest/metrics/#submit-metrics). Pure.
 *
 * The Agent acts on the status alone. It drops a request at 400, 403 and 413, and repeats it at any other error, 404
 * included. So every error that would be the same the next time is 400, 403 or 413. A token that is not valid is 401: the
 * Agent keeps its metrics until the token is valid.
 */
import { errorHeaders, jsonResponse } from "../../http/error-answers.ts";
import type { Ack } from "../../ingest/contract.ts";
import type { RequestError } from "../../model/errors.ts";
import type { DatadogRequest } from "./series-gatherer.ts";

const ACCEPTED = 202;
/** Errors that an answer lists. Clients log them as one line. */
const ERRORS_MAX = 10;
/** Statuses of errors of the client, which are answered as they are. An Agent, which only posts, never gets a 405. */
const FINAL: ReadonlySet<number> = new Set([400, 401, 403, 405, 413]);
/** A slow body, a full queue, and anything that is the gateway's own fault. */
const isPassing = (status: number) => status === 408 || status === 429 || status >= 500;

/** Which of the answers a route has: version 1 has a status, and `errors` only if there are some. */
export type AnswerForm = "v1" | "v2";

/** The answer to a request that was stored, wholly or in part. 400 if none of its points was. */
export function seriesAnswer({ points, batch }: DatadogRequest, ack: Ack, form: AnswerForm): Response {
  const errors = errorsOf(points, ack);
  const warnings = batch.warnings?.first.map(
    ({ metric, message }) => `metric ${JSON.stringify(metric)}: ${message}`,
  );
  if (errors.length > 0 && ack.accepted === 0 && ack.duplicates === 0) return errorsAnswer(400, errors);
  const all = [...errors, ...new Set(warnings?.slice(0, ERRORS_MAX))];
  return form === "v2" || all.length > 0
    ? jsonResponse(ACCEPTED, form === "v2" ? { errors: all } : { status: "ok", errors: all })
    : acceptedAnswer();
}

/** The answer to a request that has nothing to say about. */
export function acceptedAnswer(): Response {
  return jsonResponse(ACCEPTED, { status: "ok" });
}

/** The answer to a request of which nothing was stored. */
export function errorAnswer(error: RequestError): Response {
  const { status, message } = error;
  return errorsAnswer(FINAL.has(status) || isPassing(status) ? status : 400, [message], errorHeaders(error));
}

function errorsAnswer(status: number, errors: readonly string[], headers?: Record<string, string>): Response {
  return jsonResponse(status, { errors }, headers);
}

function errorsOf(points: number, { rejected, rejectedCount }: Ack): string[] {
  if (rejectedCount === 0) return [];
  // A sketch becomes many samples, and the answer to a repeated request has the first rejections only.
  const known = new Set(rejected.map(({ index }) => index)).size;
  const count = rejectedCount > rejected.length ? Math.min(points, rejectedCount) : known;
  const reasons = [
    ...new Set(rejected.map(({ reason, payload }) => (payload === "" ? reason : `${reason}: ${payload}`))),
  ];
  const omitted = reasons.length - ERRORS_MAX;
  return [
    `${count} of ${points} points were rejected`,
    ...reasons.slice(0, ERRORS_MAX),
    ...(omitted > 0 ? [`and ${omitted} other errors`] : []),
  ];
}
