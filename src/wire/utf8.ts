/** Finds the byte at which bytes stop being UTF-8 (RFC 3629); the engine only says whether they do. Pure. */
import { isUtf8 } from "node:buffer";

/** The position of the first byte from `from` up to, not including, `to` that is not valid UTF-8, or -1. */
export function firstInvalidByte(bytes: Uint8Array, from: number, to: number): number {
  if (isUtf8(bytes.subarray(from, to))) return -1;
  let at = from;
  while (at < to) {
    const length = lengthOfCharacter(bytes[at]!);
    if (length === 0 || at + length > to) return at;
    if (length > 1 && !isUtf8(bytes.subarray(at, at + length))) return at;
    at += length;
  }
  return -1;
}

/** How many bytes a character has by its first byte; 0 for a byte that cannot be a first one. */
function lengthOfCharacter(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

/** Describes an invalid byte for an error: `is 0xe9, which is not valid UTF-8`. */
export function describeInvalidByte(byte: number): string {
  return `is 0x${byte.toString(16).padStart(2, "0")}, which is not valid UTF-8`;
}
