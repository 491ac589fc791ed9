/** The hash of a file of this machine. It is read through one buffer: otherwise the buffers of a large file would stay for seconds. */
import { open } from "node:fs/promises";

const PIECE_BYTES = 1_048_576;

/** The hash and the size of a file, the hash in hexadecimal. */
export async function hashOfFile(
  path: string,
  algorithm: "sha256" | "md5" = "sha256",
): Promise<{ readonly hash: string; readonly bytes: number }> {
  const hasher = new Bun.CryptoHasher(algorithm);
  const file = await open(path, "r");
  try {
    const buffer = new Uint8Array(PIECE_BYTES);
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES);
      if (bytesRead === 0) return { hash: hasher.digest("hex"), bytes };
      hasher.update(bytesRead === PIECE_BYTES ? buffer : buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } finally {
    await file.close();
  }
}
