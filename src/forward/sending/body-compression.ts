/** Compresses the bodies of requests, off the first thread. */
import type { HttpCompression } from "../../model/forwarding/destination.ts";

/** A body, and the headers that say how it is compressed. The bytes that were given can be used again. */
export async function compressedBody(
  body: string | Uint8Array<ArrayBuffer>,
  compression: HttpCompression,
): Promise<{ body: Uint8Array<ArrayBuffer>; headers: Readonly<Record<string, string>> }> {
  // A copy: an encoder writes its next message to the same memory.
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body.slice();
  if (compression === "none") return { body: bytes, headers: {} };
  const compressed = compression === "gzip" ? await gzip(bytes) : await Bun.zstdCompress(bytes);
  return {
    body: compressed as Uint8Array<ArrayBuffer>,
    headers: { "content-encoding": compression },
  };
}

async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  // A start does not need it.
  const { gzip: compress } = await import("node:zlib");
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  compress(bytes, (error, result) => (error === null ? resolve(result) : reject(error)));
  return await promise;
}
