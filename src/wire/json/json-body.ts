/** Parses the body of a request as JSON. An error names the byte that is wrong. Pure. */
import { BadInput } from "../../model/errors.ts";
import { describeInvalidByte, firstInvalidByte } from "../utf8.ts";
import { parseExactJson } from "./exact-number.ts";
import { findJsonError } from "./json-error.ts";

/**
 * Parses a body. Numbers that no 64-bit float holds are `InexactNumber`.
 *
 * @param large what a body with such numbers matches. Without a match, it is parsed several times as fast
 * @throws BadInput when it is empty, not UTF-8 or not JSON
 */
export function parseJsonBody(body: Uint8Array, large?: RegExp): unknown {
  if (body.length === 0) throw new BadInput("the body is empty, expected a JSON object", "body");
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  requireUtf8(bytes);
  try {
    const text = bytes.toString("utf8");
    return large?.test(text) === false ? JSON.parse(text) : parseExactJson(text);
  } catch {
    const error = findJsonError(bytes, 0, bytes.length);
    const where = error === undefined ? "" : `: byte ${error.position} ${error.message}`;
    throw new BadInput(`the body is not JSON${where}`, "body");
  }
}

/** Throws `BadInput` that names the first byte of a body that is not UTF-8. */
export function requireUtf8(bytes: Buffer): void {
  const invalid = firstInvalidByte(bytes, 0, bytes.length);
  if (invalid >= 0)
    throw new BadInput(`byte ${invalid} of the body ${describeInvalidByte(bytes[invalid]!)}`, "body");
}
