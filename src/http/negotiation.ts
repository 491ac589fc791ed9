/**
 * Media types and encodings in headers: what an answer should be (`Accept`, `Accept-Encoding`, RFC 9110 section 12.5)
 * and what a body is (`Content-Type`). No other module reads these headers.
 */
import { type ContentType, parse } from "content-type";
import Negotiator from "negotiator";
import { nodeZlib } from "../program/deferred-libraries.ts";

/**
 * The offered media type that an `Accept` header prefers. The first of `offered` if there is no header, or if it
 * prefers several equally by a wildcard. Undefined if it accepts none of them.
 *
 * Parameters that no offered type has are ignored: `charset`, and the `escaping` of Prometheus 3, which concerns names
 * that no answer contains.
 */
export function preferredType<Type extends string>(
  accept: string | null,
  offered: readonly Type[],
): Type | undefined {
  const known = new Set(["q", ...offered.flatMap((type) => Object.keys(parse(type).parameters))]);
  const header = accept?.replace(/;\s*([^=;,\s]+)\s*=[^;,]*/g, (parameter, name: string) =>
    known.has(name.toLowerCase()) ? parameter : "",
  );
  return new Negotiator({ headers: { accept: header?.trim() || undefined } }).mediaType([...offered]) as
    | Type
    | undefined;
}

/** Whether an `Accept-Encoding` header accepts gzip. */
export function acceptsGzip(acceptEncoding: string | null): boolean {
  const headers = { "accept-encoding": acceptEncoding ?? "" };
  return new Negotiator({ headers }).encodings(["gzip"]).length > 0;
}

/** The first of the offered encodings that an `Accept-Encoding` header accepts. Undefined if it accepts none of them. */
export function preferredEncoding<Encoding extends string>(
  acceptEncoding: string | null,
  offered: readonly Encoding[],
): Encoding | undefined {
  const headers = { "accept-encoding": acceptEncoding ?? "" };
  const accepted = new Negotiator({ headers }).encodings([...offered]);
  return offered.find((each) => accepted.includes(each));
}

/** An answer with a body that is large and repetitive, compressed if the client accepts it. */
export async function compressibleAnswer(
  request: Request,
  body: Uint8Array<ArrayBuffer>,
  headers: Headers,
): Promise<Response> {
  headers.append("vary", "Accept-Encoding");
  if (!acceptsGzip(request.headers.get("accept-encoding"))) return new Response(body, { headers });
  headers.set("content-encoding", "gzip");
  // The fastest level: the text is so repetitive that other levels gain little.
  const { constants, gzip } = nodeZlib();
  const { promise, resolve, reject } = Promise.withResolvers<NonSharedBuffer>();
  gzip(body, { level: constants.Z_BEST_SPEED }, (error, compressed) =>
    error === null ? resolve(compressed) : reject(error),
  );
  return new Response(await promise, { headers });
}

export type MediaType = Pick<ContentType, "type" | "parameters">;

/** The media type of a body, in lower case, and its parameters. The type is empty if the request names none. */
export function contentTypeOf(request: Request): MediaType {
  return parse(request.headers.get("content-type") ?? "");
}
