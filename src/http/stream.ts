/**
 * Answers with a streamed body. They are marked, because Bun closes a connection some time after a timeout was set
 * for it, also while a body is being written. src/http/server.ts sets no timeout for these answers, and the
 * connection is closed after the body instead. Each such body needs its own timeout for a client that stops reading.
 */
const streams = new WeakSet<Response>();

/** An answer with a streamed body. */
export function streamResponse(
  body: ReadableStream<Uint8Array>,
  headers: Readonly<Record<string, string>>,
): Response {
  const response = new Response(body, { headers: { connection: "close", ...headers } });
  streams.add(response);
  return response;
}

export function isStream(response: Response): boolean {
  return streams.has(response);
}
