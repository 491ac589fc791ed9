/**
 * What can be wrong with a request, thrown deep and mapped to HTTP once, in src/http/errors.ts.
 *
 * A message is one sentence for the person who sent the request: it names the field, quotes what stood there
 * (capped, see `quote`) and says what was expected. It never holds a secret, a path or a stack.
 */

/** The base of every error that is the request's fault or the moment's; anything else is a fault of ours. */
export class RequestError extends Error {
  /** The HTTP status that says it. */
  readonly status: number = 400;
  /** A stable word for programs: `bad_input`, `too_large` … */
  readonly code: string = "bad_input";
  /** The field, parameter or header that it is about. */
  readonly field?: string;

  constructor(message: string, field?: string) {
    super(message);
    this.name = new.target.name;
    this.field = field;
  }
}

/** The request is malformed. */
export class BadInput extends RequestError {}

/** The body, or what it inflates to, is over a limit. */
export class TooLarge extends RequestError {
  override readonly status = 413;
  override readonly code = "too_large";
}

/** The body's encoding or content type is not spoken here. */
export class Unsupported extends RequestError {
  override readonly status = 415;
  override readonly code = "unsupported";
}

/** An idempotency key came again with another body. */
export class Unprocessable extends RequestError {
  override readonly status = 422;
  override readonly code = "unprocessable";
}

/** What was asked for clashes with what is stored, and the sender can mend it. */
export class Conflict extends RequestError {
  override readonly status = 409;
  override readonly code = "conflict";
}

/** The queue is full; the sender should try again after `retryAfterSeconds`. */
export class Busy extends RequestError {
  override readonly status = 429;
  override readonly code = "busy";
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds = 1) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** No such route, summary, file … */
export class NotFound extends RequestError {
  override readonly status = 404;
  override readonly code = "not_found";
}

/** The statement or the action is not allowed. */
export class Forbidden extends RequestError {
  override readonly status = 403;
  override readonly code = "forbidden";
}

/** A limit on time was reached: the sender's body crawled, or the query took too long. */
export class Timeout extends RequestError {
  override readonly status: number;
  override readonly code = "timeout";

  constructor(message: string, status: 408 | 422 | 503 = 408) {
    super(message);
    this.status = status;
  }
}

/** The gateway is stopping, or cannot commit just now; nothing of the request was stored. */
export class Unavailable extends RequestError {
  override readonly status = 503;
  override readonly code: string = "unavailable";
  readonly retryAfterSeconds: number = 1;
}

const QUOTE_LENGTH_MAX = 120;

/** Quotes a piece of input for an error message: JSON-escaped, and cut at 120 characters with an ellipsis. */
export function quote(input: unknown): string {
  let text: string;
  try {
    // JSON has no word for what is not finite: an honest Infinity, not its null.
    text = typeof input === "number" ? String(input) : (JSON.stringify(input) ?? String(input));
  } catch {
    text = String(input);
  }
  return text.length <= QUOTE_LENGTH_MAX ? text : `${text.slice(0, QUOTE_LENGTH_MAX)}…`;
}
