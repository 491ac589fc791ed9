/**
 * Checks the write-ahead log before the engine reads it. The engine verifies the checksum of each entry. But it takes an
 * entry whose length reaches past the end for one that a kill interrupted: it drops that entry and everything behind it,
 * without an error. A damaged length, or a damaged beginning of the file, would so lose commits without a message.
 *
 * The log is 8 bytes of version, then entries: length (64 bits), checksum (64 bits), content. The last entry of each
 * commit is always the same.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** The beginning of a log of DuckDB 1.5: an object with the type of the entry and version 2. */
const BEGINNING = Buffer.from("640062650002ffff", "hex");
/** The entry that ends a commit: length 5, its checksum, and its type (100). */
const COMMIT_END = Buffer.from("0500000000000000e7fe7d722fed3d5e640064ffff", "hex");
const HEAD_BYTES = 16;
const PIECE_BYTES = 1_048_576;

/**
 * The byte at which a log is damaged although whole commits are behind it. Undefined if there is no such byte, or no log.
 * Damage that the engine itself reports is not looked for.
 */
export function findLogDamage(path: string): number | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const { size } = fstatSync(file);
    const beginning = Buffer.alloc(BEGINNING.length);
    readSync(file, beginning, 0, beginning.length, 0);
    const end = beginning.equals(BEGINNING) ? endOfEntries(file, size) : 0;
    return end < size && hasCommitBehind(file, end, size) ? end : undefined;
  } finally {
    closeSync(file);
  }
}

/** The byte behind the last whole entry. */
function endOfEntries(file: number, size: number): number {
  const head = Buffer.alloc(HEAD_BYTES);
  let at = BEGINNING.length;
  while (at + HEAD_BYTES <= size && readSync(file, head, 0, HEAD_BYTES, at) === HEAD_BYTES) {
    const end = at + HEAD_BYTES + head.readUInt32LE(0) + head.readUInt32LE(4) * 2 ** 32;
    if (end > size) break;
    at = end;
  }
  return at;
}

function hasCommitBehind(file: number, from: number, size: number): boolean {
  const piece = Buffer.alloc(PIECE_BYTES + COMMIT_END.length);
  for (let at = from; at < size; at += PIECE_BYTES) {
    const length = readSync(file, piece, 0, Math.min(piece.length, size - at), at);
    if (piece.subarray(0, length).includes(COMMIT_END)) return true;
  }
  return false;
}
