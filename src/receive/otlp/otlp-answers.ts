/**
 * What OTLP answers, in both encodings (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response):
 * ExportMetricsServiceResponse for a request that was accepted, google.rpc.Status for an error. Pure.
 */
import { NotFound, type RequestError } from "../../model/errors.ts";
import type { OtlpEncoding, PartialSuccess } from "./otlp-push.ts";

/** An error as gRPC and HTTP report it. */
export interface OtlpError {
  /** The code of google.rpc.Status (https://grpc.io/docs/guides/status-codes/). */
  readonly code: number;
  /** The status of HTTP. Of these only 429 and 503 say that the same request may be sent again. */
  readonly status: number;
  readonly message: string;
  /** Set if the sender should send the same request again. */
  readonly retryAfterSeconds: number | undefined;
}

const CODES = {
  invalidArgument: 3,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

const CODE_OF_STATUS: Readonly<Record<number, number>> = {
  401: CODES.unauthenticated,
  403: CODES.permissionDenied,
  404: CODES.unimplemented,
  405: CODES.unimplemented,
  413: CODES.resourceExhausted,
  415: CODES.unimplemented,
  500: CODES.internal,
};

/**
 * An error of a request for its sender. A body that arrived too slowly (408) is worth sending again, too. After an
 * internal fault the same request would mostly fail again.
 */
export function otlpError(error: RequestError): OtlpError {
  const { message } = error;
  const passes = error.status === 429 || error.status === 408 || error.status > 500;
  if (!passes) {
    const code = CODE_OF_STATUS[error.status] ?? CODES.invalidArgument;
    return { code, status: error.status, message, retryAfterSeconds: undefined };
  }
  const { retryAfterSeconds = 1 } = error as { retryAfterSeconds?: number };
  const status = error.status === 429 ? 429 : 503;
  return { code: CODES.unavailable, status, message, retryAfterSeconds: Math.ceil(retryAfterSeconds) };
}

/** The error of a request with traces or logs. */
export function notStored(signal: "traces" | "logs"): NotFound {
  return new NotFound(
    `Weir stores metrics only, not ${signal}: set OTEL_${signal.toUpperCase()}_EXPORTER=none in the sender, or remove ` +
      `Weir from the ${signal} pipeline of the collector.`,
  );
}

/** The body of an ExportMetricsServiceResponse. It is empty if everything was stored as it was sent. */
export function exportResponse(
  { rejectedPoints, message }: PartialSuccess,
  encoding: OtlpEncoding,
): Uint8Array {
  const isWhole = rejectedPoints === 0 && message === "";
  if (encoding === "json") {
    const partialSuccess = { rejectedDataPoints: String(rejectedPoints), errorMessage: message };
    return Buffer.from(`${JSON.stringify(isWhole ? {} : { partialSuccess })}\n`);
  }
  return isWhole ? Buffer.alloc(0) : bytesField(1, numberAndText(rejectedPoints, message));
}

const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";

/** The body of a google.rpc.Status, with a google.rpc.RetryInfo if the request should be sent again. */
export function statusBody(
  { code, message, retryAfterSeconds }: OtlpError,
  encoding: OtlpEncoding,
): Uint8Array {
  const isRetried = retryAfterSeconds !== undefined;
  if (encoding === "json") {
    const details = isRetried ? [{ "@type": RETRY_INFO, retryDelay: `${retryAfterSeconds}s` }] : undefined;
    return Buffer.from(`${JSON.stringify({ code, message, details })}\n`);
  }
  const status = numberAndText(code, message);
  if (!isRetried) return status;
  // Status.details is a list of google.protobuf.Any, which has a URL and a message. Duration has seconds in field 1.
  const delay = bytesField(1, Buffer.concat([Buffer.of(8), varint(retryAfterSeconds)]));
  const any = Buffer.concat([bytesField(1, Buffer.from(RETRY_INFO)), bytesField(2, delay)]);
  return Buffer.concat([status, bytesField(3, any)]);
}

/** A message with a number in field 1 and a text in field 2. */
function numberAndText(number: number, text: string): Buffer {
  const first = number === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.of(8), varint(number)]);
  return Buffer.concat([first, text === "" ? Buffer.alloc(0) : bytesField(2, Buffer.from(text))]);
}

function bytesField(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
