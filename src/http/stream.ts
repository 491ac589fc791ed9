/**
 * Answers whose body comes over time. They are marked, since Bun closes a connection some time after it was
 * told to, whether a body is still being written or not: src/http/server.ts does not tell it to for these, and has
 * the connection closed after the body instead. Each such body needs its own time limit for a client that
 * takes no more.
 */
const streams = new WeakSet<Response>();

/** An answer that may last. */
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
