/**
 * Turns errors into answers, in this one place: `{"error":{"code","message","field"?}}`, or the form that a route
 * declares.
 *
 * A `RequestError` has its own status and message. Any other error is an internal fault: 500 without details, and one
 * line in the log with the method and the path, never with the query, the body or a header.
 */
import { InternalFault, RequestError } from "../model/errors.ts";
import { describeFault } from "../log/line.ts";
import type { Log } from "../log/log.ts";
import type { ErrorAnswer } from "./routes.ts";
import { pathOf } from "./url-text.ts";

/** A JSON answer that ends with a newline, so that a terminal shows its prompt below it. */
export function jsonResponse(status: number, value: unknown, headers: Record<string, string> = {}): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
  });
}

/** A line of text, for protocols whose own servers answer so. */
export function plainText(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", ...headers },
  });
}

/** The `error` object of an answer. */
function errorBody(error: RequestError): { code: string; message: string; field?: string } {
  return { code: error.code, message: error.message, field: error.field };
}

const asJson: ErrorAnswer = (error) =>
  jsonResponse(error.status, { error: errorBody(error) }, errorHeaders(error));

/**
 * The answer to a request that failed.
 *
 * @param answer the form of the answer
 */
export function errorResponse(error: unknown, request: Request, log: Log, answer = asJson): Response {
  if (error instanceof RequestError) return answer(error, request);
  if (request.signal.aborted) {
    // Nobody reads this answer. nginx logs the same status, and counters can distinguish it. The error mostly is that of
    // an interrupt, which is no fault.
    log("client_gone", { method: request.method, path: pathOf(request.url), error: describeFault(error) });
    return jsonResponse(499, {
      error: { code: "client_gone", message: "The client closed the connection." },
    });
  }
  log("request_failed", {
    method: request.method,
    path: pathOf(request.url),
    error: describeFault(error),
  });
  return answer(new InternalFault("The gateway failed on this request; its log says why."), request);
}

/** Headers of an error, for any format of its body. */
export function errorHeaders(error: RequestError): Record<string, string> {
  const headers: Record<string, string> = {};
  const { retryAfterSeconds } = error as { retryAfterSeconds?: number };
  if (retryAfterSeconds !== undefined) headers["retry-after"] = String(Math.ceil(retryAfterSeconds));
  if (error.status === 401) headers["www-authenticate"] = 'Bearer realm="weir", Basic realm="weir"';
  // Do not wait for the rest of a body that arrives too slowly.
  if (error.status === 408) headers.connection = "close";
  return headers;
}
