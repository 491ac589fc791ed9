/**
 * Errors of requests. They are thrown anywhere and mapped to HTTP in one place, src/http/error-answers.ts.
 *
 * A message is one sentence for the sender of the request. It names the field, quotes the input (capped, see
 * `quote`), and says what was expected. It never contains a secret, a path or a stack trace.
 */

/**
 * The base of every error that the request or the gateway's state causes. Any other error is a bug of the
 * gateway.
 */
export class RequestError extends Error {
  /** The HTTP status of the answer. */
  readonly status: number = 400;
  /** A stable word for programs: `bad_input`, `too_large` … */
  readonly code: string = "bad_input";
  /** The field, parameter or header with the error. */
  readonly field?: string;

  constructor(message: string, field?: string) {
    super(message);
    this.name = new.target.name;
    this.field = field;
  }
}

/** The request is malformed. */
export class BadInput extends RequestError {}

/** The body, or its decompressed form, is larger than a limit. */
export class TooLarge extends RequestError {
  override readonly status = 413;
  override readonly code = "too_large";
}

/** The body's encoding or content type is not supported. */
export class Unsupported extends RequestError {
  override readonly status = 415;
  override readonly code = "unsupported";
}

/** An idempotency key was sent again with another body. */
export class Unprocessable extends RequestError {
  override readonly status = 422;
  override readonly code = "unprocessable";
}

/** The request conflicts with what is stored. The sender can correct it. */
export class Conflict extends RequestError {
  override readonly status = 409;
  override readonly code = "conflict";
}

/** The queue is full. The sender should retry after `retryAfterSeconds`. */
export class Busy extends RequestError {
  override readonly status = 429;
  override readonly code = "busy";
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds = 1) {
    super(message);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The caller exceeds one of its limits. It should retry after `retryAfterSeconds`. */
export class LimitExceeded extends RequestError {
  override readonly status = 429;
  override readonly code = "rate_limited";
  /** Which limit of whom, for counters: `token_samples`. */
  readonly limit: string;
  readonly retryAfterSeconds: number;

  constructor(message: string, limit: string, retryAfterSeconds: number) {
    super(message);
    this.limit = limit;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The route, summary or file does not exist. */
export class NotFound extends RequestError {
  override readonly status = 404;
  override readonly code = "not_found";
}

/** The request has no valid token. */
export class Unauthenticated extends RequestError {
  override readonly status = 401;
  override readonly code = "unauthenticated";
}

/** The statement or the action is not allowed. */
export class Forbidden extends RequestError {
  override readonly status = 403;
  override readonly code = "forbidden";
}

/** A time limit was reached: the body arrived too slowly, or the query took too long. */
export class Timeout extends RequestError {
  override readonly status: number;
  override readonly code = "timeout";

  constructor(message: string, status: 408 | 422 | 503 = 408) {
    super(message);
    this.status = status;
  }
}

/** The gateway itself failed. The details are in its log, never in an answer. */
export class InternalFault extends RequestError {
  override readonly status = 500;
  override readonly code = "internal";
}

/** The gateway is stopping, or cannot commit at the moment. Nothing of the request was stored. */
export class Unavailable extends RequestError {
  override readonly status = 503;
  override readonly code: string = "unavailable";
  readonly retryAfterSeconds: number = 1;
}

const QUOTE_LENGTH_MAX = 120;

/** Quotes a piece of input for an error message: JSON-escaped, and cut at 120 characters with an ellipsis. */
export function quote(input: unknown): string {
  // JSON writes null for numbers that are not finite. This keeps "Infinity".
  const text = typeof input === "number" ? String(input) : jsonStart(input, QUOTE_LENGTH_MAX + 1);
  return text.length <= QUOTE_LENGTH_MAX ? text : `${text.slice(0, QUOTE_LENGTH_MAX)}…`;
}

/**
 * The first characters of a value as JSON. The work is limited by their number: a value of millions of elements, or of
 * thousands of levels, costs no more. What has no JSON, such as undefined, is its text.
 */
export function jsonStart(value: unknown, charactersMax: number): string {
  let text = "";
  const write = (part: unknown): void => {
    if (text.length >= charactersMax) return;
    if (typeof part === "string") {
      // A character is at least one character of JSON, so the cut is past the limit.
      text += JSON.stringify(part.slice(0, charactersMax + 1));
    } else if (typeof part !== "object" || part === null || "toJSON" in part) {
      text += typeof part === "bigint" ? String(part) : (JSON.stringify(part) ?? "null");
    } else if (Array.isArray(part)) {
      text += "[";
      for (let index = 0; index < part.length && text.length < charactersMax; index++) {
        if (index > 0) text += ",";
        write(part[index]);
      }
      text += "]";
    } else {
      text += "{";
      let separator = "";
      for (const key in part) {
        if (text.length >= charactersMax) break;
        const field: unknown = (part as Record<string, unknown>)[key];
        if (!Object.hasOwn(part, key) || field === undefined) continue;
        text += separator;
        write(key);
        text += ":";
        write(field);
        separator = ",";
      }
      text += "}";
    }
  };
  if (value === undefined || typeof value === "function" || typeof value === "symbol") return String(value);
  write(value);
  return text.slice(0, charactersMax);
}

/**
 * The kind of a message: the same for messages that differ only in what they quote and in their numbers, such as two
 * values of one field. Pure.
 */
export function messageKind(message: string): string {
  return message
    .replace(/"(?:[^"\\…]|\\.)*(?:"|…)/gs, "_")
    .replace(/(?<!\w)-?(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?|null|true|false)\b/gi, "_")
    .replace(/[[{][_,:[\]{}]*[\]}]/g, "_");
}

/** Characters that no shell changes. */
const PLAIN_WORD = /^[\w@%+=:,./-]+$/;

/** A path as one word of a POSIX shell, for a command that a message suggests. */
export function shellWord(text: string): string {
  return PLAIN_WORD.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
