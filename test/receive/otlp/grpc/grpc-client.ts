/** A gRPC client that sends whatever a test wants, and shows the frames of the answer. */
import { connect, constants } from "node:http2";

export const EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/** A message with its prefix of five bytes. */
export function frame(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

export interface Answer {
  readonly status: number;
  /** Of the trailers, or of the headers if there are only those. */
  readonly code: number | undefined;
  readonly message: string | undefined;
  /** A google.rpc.Status. */
  readonly details: Buffer | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
  /** The code with which the server reset the stream, 0 if it did not. */
  readonly reset: number;
}

interface CallOptions {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body is not ended. */
  readonly isOpen?: boolean;
  /** Called once the request is sent; cancels it. */
  readonly onSent?: (cancel: () => void) => void;
}

/** Sends a request on a connection of its own. */
export async function call(url: string, body: Uint8Array, options: CallOptions = {}): Promise<Answer> {
  const { path = EXPORT, headers = {}, isOpen = false, onSent } = options;
  const session = connect(url.replace(/^grpc:/, "http:"));
  session.on("error", () => undefined);
  try {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    let first: Record<string, unknown> = {};
    let last: Record<string, unknown> | undefined;
    const parts: Buffer[] = [];
    stream.on("response", (received) => {
      first = { ...received };
    });
    stream.on("trailers", (received) => {
      last = { ...received };
    });
    stream.on("data", (part: Buffer) => void parts.push(part));
    stream.on("error", () => undefined);
    stream.on("close", () => {
      const end = last ?? first;
      const details = end["grpc-status-details-bin"];
      resolve({
        status: Number(first[":status"]),
        code: end["grpc-status"] === undefined ? undefined : Number(end["grpc-status"]),
        message:
          end["grpc-message"] === undefined ? undefined : decodeURIComponent(String(end["grpc-message"])),
        details: details === undefined ? undefined : Buffer.from(String(details), "base64"),
        headers: first,
        body: Buffer.concat(parts),
        reset: stream.rstCode ?? 0,
      });
    });
    if (isOpen) stream.write(body);
    else stream.end(body);
    onSent?.(() => stream.close(constants.NGHTTP2_CANCEL));
    return await promise;
  } finally {
    session.destroy();
  }
}
