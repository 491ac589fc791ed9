/**
 * The errors of a PromQL query. Each has Prometheus's own word for it (`errorType`), so that the API answers as clients
 * of Prometheus expect: https://prometheus.io/docs/prometheus/latest/querying/api/.
 */
import { RequestError } from "../../model/errors.ts";

type ErrorType = "bad_data" | "execution" | "timeout" | "canceled" | "unavailable";

/** The base of every error that a query itself causes. */
export class QueryError extends RequestError {
  readonly errorType: ErrorType = "execution";
  override readonly status: number = 422;
  override readonly code: string = "execution";
}

/** The text is not PromQL, or has a type error. */
export class ParseError extends QueryError {
  override readonly errorType = "bad_data";
  override readonly status = 400;
  override readonly code = "bad_input";
}

/** The query is valid PromQL, but cannot be evaluated over the data that it finds. */
export class ExecutionError extends QueryError {}

/** PromQL that is not supported: native histograms, `info()`, and what upstream calls experimental. */
export class NotSupported extends QueryError {
  override readonly code = "unsupported";
}

/** The error for PromQL that is valid and not supported. */
export function unsupportedWord(what: string, why?: string): NotSupported {
  return new NotSupported(`${what} is not supported${why === undefined ? "" : `: ${why}`}`, "query");
}

/** The query exceeds a limit; the message names the number and the setting. */
export class LimitReached extends QueryError {
  override readonly code = "limit";
}

/** The selectors of a query find more series than it may. */
export function tooManySeries(most: number): LimitReached {
  return new LimitReached(
    `the query's selectors find more than ${most} series (promqlSeriesMax): add label matchers`,
  );
}

/** The query exceeds its time limit. */
export class QueryTimeout extends QueryError {
  override readonly errorType = "timeout";
  override readonly status = 503;
  override readonly code = "timeout";
}

/** The query needs the upstream, which has not answered. */
export class UpstreamUnavailable extends QueryError {
  override readonly errorType = "unavailable";
  override readonly status = 503;
  override readonly code = "unavailable";
}

/** The client disconnected, or the gateway is stopping. */
export class QueryCanceled extends QueryError {
  override readonly errorType = "canceled";
  override readonly status = 503;
  override readonly code = "canceled";
}
