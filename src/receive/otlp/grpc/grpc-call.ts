/**
 * One request by gRPC, from its headers to its trailers. Every request gets exactly one status, within its deadline, and
 * its stream is closed soon after, whatever the client does.
 *
 * If the client leaves while the method runs, the method is not interrupted: a commit cannot be. Its result is dropped.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { type BodyLimits, Reservation } from "../../../http/body.ts";
import { TIMER_MS_MAX } from "../../../model/duration.ts";
import { BadInput, RequestError, Timeout } from "../../../model/errors.ts";
import { nodeHttp2 } from "../../../program/deferred-libraries.ts";
import { decompress } from "../../../wire/compression/compression.ts";
import { decompressSnappyFrames } from "../../../wire/compression/snappy-frames.ts";
import { type OtlpError, otlpError, statusBody } from "../otlp-answers.ts";
import {
  ACCEPTED_ENCODINGS,
  frameOf,
  type GrpcMessage,
  type MessageEncoding,
  MessageReader,
  messageEncoding,
  percentEncoded,
  timeoutMs,
} from "./grpc-wire.ts";

/** A unary method: the message of a request, decompressed, to the message of its answer. Throws a RequestError. */
export type GrpcMethod = (message: Uint8Array, metadata: IncomingHttpHeaders) => Promise<Uint8Array>;

const OK = 0;
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const INTERNAL = 13;

const HEADERS = {
  ":status": 200,
  "content-type": "application/grpc",
  "grpc-accept-encoding": ACCEPTED_ENCODINGS,
} as const;

interface GrpcCallOptions {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly method: GrpcMethod;
  readonly limits: BodyLimits;
  /** Runs the rest of the request if its caller may send it. Otherwise throws a RequestError, before a message is read. */
  readonly admit: <T>(run: () => Promise<T>) => Promise<T>;
  /** Gets errors that the request was rejected with. */
  readonly onRejected: (error: RequestError) => void;
  /** Gets errors that are bugs of the gateway. */
  readonly onBug: (error: unknown) => void;
}

/** Answers a request. Resolves to the code of its status when its stream is closed. Never rejects. */
export async function answerCall(options: GrpcCallOptions): Promise<number> {
  const { stream, limits, onBug } = options;
  const closed = new Promise<void>((resolve) => stream.once("close", resolve));
  // Closing follows. Without a listener, a reset by the client would end the process.
  stream.on("error", () => undefined);
  const reservation = new Reservation(limits.inProgress);
  const answered = statusOf(options, reservation).catch((error) => {
    onBug(error);
    stream.destroy();
    return INTERNAL;
  });
  const code = await Promise.race([closed.then(() => CANCELLED), answered]);
  const timer = setTimeout(() => stream.destroy(), limits.timeoutMs);
  await closed;
  clearTimeout(timer);
  return code;
}

async function statusOf(options: GrpcCallOptions, reservation: Reservation): Promise<number> {
  const { stream, admit, onRejected, onBug } = options;
  const deadline = Promise.withResolvers<never>();
  let timer: Timer | undefined;
  try {
    const clientMs = timeoutMs(metadataText(options.headers["grpc-timeout"]));
    if (clientMs !== undefined) {
      timer = setTimeout(() => deadline.reject(new DeadlineExceeded()), Math.min(clientMs, TIMER_MS_MAX));
    }
    const answer = await Promise.race([admit(() => run(options, reservation)), deadline.promise]);
    return sendMessage(stream, answer);
  } catch (error) {
    if (error instanceof DeadlineExceeded) {
      const message = "The deadline of the client (grpc-timeout) is over.";
      return sendError(stream, { code: DEADLINE_EXCEEDED, message, status: 0, retryAfterSeconds: undefined });
    }
    if (error instanceof RequestError) {
      onRejected(error);
      return sendError(stream, otlpError(error));
    }
    onBug(error);
    const message = "The gateway failed on this request; its log says why.";
    return sendError(stream, { code: INTERNAL, message, status: 0, retryAfterSeconds: undefined });
  } finally {
    clearTimeout(timer);
  }
}

/** The client no longer waits. */
class DeadlineExceeded extends Error {}

/** Reads the message and runs the method. */
async function run(
  { stream, headers, method, limits }: GrpcCallOptions,
  reservation: Reservation,
): Promise<Uint8Array> {
  try {
    const encoding = messageEncoding(metadataText(headers["grpc-encoding"]));
    const message = await readMessage(stream, limits, reservation).finally(() =>
      limits.onRead?.(reservation.bytes),
    );
    const bytes = await inflate(message, encoding, limits);
    reservation.release();
    return await method(bytes, headers);
  } finally {
    reservation.release();
  }
}

async function readMessage(
  stream: ServerHttp2Stream,
  limits: BodyLimits,
  reservation: Reservation,
): Promise<GrpcMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<GrpcMessage>();
  const reader = new MessageReader(limits.bodyBytesMax);
  const timer = setTimeout(
    () =>
      reject(
        new Timeout(`The message did not arrive within ${limits.timeoutMs} ms (setting bodyTimeoutMs).`),
      ),
    limits.timeoutMs,
  );
  const onData = (part: Buffer) => {
    try {
      reservation.grow(part.length);
      reader.add(part);
    } catch (error) {
      reject(error);
    }
  };
  const onEnd = () => {
    try {
      resolve(reader.end());
    } catch (error) {
      reject(error);
    }
  };
  const onClose = () => reject(new BadInput("The connection closed before the message was complete."));
  stream.on("data", onData).once("end", onEnd).once("close", onClose);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    stream.off("data", onData).off("end", onEnd).off("close", onClose);
    // What still arrives after an error is not read: the window of the stream bounds it until the stream is closed.
    stream.pause();
  }
}

async function inflate(
  { isCompressed, bytes }: GrpcMessage,
  encoding: MessageEncoding | undefined,
  { inProgress, inflatedBytesMax }: BodyLimits,
): Promise<Uint8Array> {
  if (!isCompressed) return bytes;
  if (encoding === undefined) {
    throw new BadInput("The message is marked as compressed, but the request has no grpc-encoding.");
  }
  if (encoding === "snappy") return decompressSnappyFrames(bytes, inflatedBytesMax);
  return await inProgress.inflations.run(() => decompress(bytes, [encoding], inflatedBytesMax));
}

function sendMessage(stream: ServerHttp2Stream, message: Uint8Array): number {
  if (stream.destroyed || stream.closed) return CANCELLED;
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.once("wantTrailers", () => {
    // The client may have left meanwhile.
    if (!stream.destroyed && !stream.closed) stream.sendTrailers({ "grpc-status": String(OK) });
  });
  stream.end(frameOf(message));
  return OK;
}

/** Sends a status without a message, and ends the request if it is still arriving. */
function sendError(stream: ServerHttp2Stream, error: OtlpError): number {
  if (stream.destroyed || stream.closed) return CANCELLED;
  const { code, message, retryAfterSeconds } = error;
  const details =
    retryAfterSeconds === undefined
      ? {}
      : { "grpc-status-details-bin": Buffer.from(statusBody(error, "protobuf")).toString("base64") };
  // Before the answer is written, a close would discard it.
  stream.once("finish", () => {
    if (!stream.readableEnded) stream.close(nodeHttp2().constants.NGHTTP2_NO_ERROR);
  });
  const status = { "grpc-status": String(code), "grpc-message": percentEncoded(message), ...details };
  stream.respond({ ...HEADERS, ...status }, { endStream: true });
  return code;
}

/** The value of a name that the metadata may have several times. */
export function metadataText(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(",") : header;
}
