/**
 * What can be wrong with a PromQL query. Each says Prometheus's own word for it (`errorType`), so that the API
 * answers as clients of Prometheus expect: https://prometheus.io/docs/prometheus/latest/querying/api/.
 */
import { RequestError } from "../../model/errors.ts";

export type ErrorType = "bad_data" | "execution" | "timeout" | "canceled";

/** The base of every error that a query itself causes. */
export class QueryError extends RequestError {
  readonly errorType: ErrorType = "execution";
  override readonly status: number = 422;
  override readonly code: string = "execution";
}

/** The text is not PromQL, or its parts do not fit together. */
export class ParseError extends QueryError {
  override readonly errorType = "bad_data";
  override readonly status = 400;
  override readonly code = "bad_input";
}

/** The query is PromQL, and what it asks for cannot be worked out from the data that it meets. */
export class ExecutionError extends QueryError {}

/** PromQL that is not supported: native histograms, `info()`, and what upstream calls experimental. */
export class NotSupported extends QueryError {
  override readonly code = "unsupported";
}

/** The error for PromQL that is known and not supported. */
export function unsupportedWord(what: string, why?: string): NotSupported {
  return new NotSupported(`${what} is not supported here${why === undefined ? "" : `: ${why}`}`, "query");
}

/** The query met a limit; the message names the number and the setting. */
export class LimitReached extends QueryError {
  override readonly code = "limit";
}

/** The query took longer than it may. */
export class QueryTimeout extends QueryError {
  override readonly errorType = "timeout";
  override readonly status = 503;
  override readonly code = "timeout";
}

/** The client went away, or the gateway is stopping. */
export class QueryCanceled extends QueryError {
  override readonly errorType = "canceled";
  override readonly status = 503;
  override readonly code = "canceled";
}
