/**
 * Cuts a stream of bytes into chunks of whole lines, each with its place in the file, for `weir import`.
 *
 * Offsets are bytes of the file's uncompressed content. Each chunk begins at the end of the previous one, so that the
 * gateway can compare its begin with the stored offset. Pure: no file, no clock, no network.
 */
import { type Fingerprint, isBlank } from "./fingerprint.ts";

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Whole lines of a file. */
export interface FileChunk {
  /** The lines as they are in the file, without lines over the limit. */
  readonly body: Uint8Array<ArrayBuffer>;
  readonly fromOffset: number;
  readonly toOffset: number;
  /** `lineHash` of the last line before `toOffset`. */
  readonly lastLineHash: string;
  /** The fingerprint of the file up to the begin of the body. */
  readonly before: Fingerprint;
  /** The fingerprint of the file up to `toOffset`. */
  readonly after: Fingerprint;
}

/** A part of a file that is in no chunk. */
export type Remainder =
  /** An incomplete line at the end: the writer was interrupted, or has not finished the line yet. */
  | { readonly kind: "cut"; readonly offset: number; readonly bytes: number }
  /** A line over the limit. `after` is the fingerprint of the file up to its end; undefined if it has no end yet. */
  | {
      readonly kind: "overlong";
      readonly offset: number;
      readonly bytes: number;
      readonly after: Fingerprint | undefined;
    }
  /** NUL bytes at the end of the file. */
  | { readonly kind: "nul"; readonly bytes: number };

/** The hash that identifies a line: SHA-256 of its bytes without the line's end, LF or CR LF. */
export function lineHash(line: Uint8Array): string {
  let end = line.length;
  if (end > 0 && line[end - 1] === NEWLINE) end--;
  if (end > 0 && line[end - 1] === CARRIAGE_RETURN) end--;
  return new Bun.CryptoHasher("sha256").update(line.subarray(0, end)).digest("hex");
}

/** The last line of some bytes, with its newline if it has one. */
export function lastLine(bytes: Uint8Array): Uint8Array {
  const end = bytes.length > 0 && bytes[bytes.length - 1] === NEWLINE ? bytes.length - 1 : bytes.length;
  return bytes.subarray(end === 0 ? 0 : bytes.lastIndexOf(NEWLINE, end - 1) + 1);
}

/**
 * Whether a text is a whole JSON object. No prefix of a JSON object is itself a JSON object. So a last line that is one
 * was written to its end, and only its newline can be missing.
 */
export function isWholeObject(line: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/**
 * Divides a chunk in two, after the line nearest to its middle. Returns no chunks if it is one line. A half of white
 * space is not returned.
 */
export function halve(chunk: FileChunk): FileChunk[] {
  const { body, fromOffset, toOffset, lastLineHash, before, after } = chunk;
  const middle = body.length >> 1;
  const next = body.indexOf(NEWLINE, middle) + 1;
  const end = next > 0 && next < body.length ? next : body.lastIndexOf(NEWLINE, middle - 1) + 1;
  if (end === 0) return [];
  const first = body.subarray(0, end);
  const at = toOffset - body.length + end;
  const between = before.copy();
  between.pass(first);
  return [
    {
      body: first,
      fromOffset,
      toOffset: at,
      lastLineHash: lineHash(lastLine(first)),
      before,
      after: between,
    },
    { body: body.subarray(end), fromOffset: at, toOffset, lastLineHash, before: between, after },
  ].filter((half) => !isBlank(half.body));
}

/**
 * Cuts `pieces` into chunks of at most `chunkBytesMax` bytes. `pieces` is the content of a file after the part whose
 * fingerprint is `from`. Longer lines, and an incomplete last line, are omitted and reported by `onRemainder`. Chunks
 * of white space are omitted. If `pieces` throws, the whole lines before the error are returned first.
 */
export async function* cutIntoChunks(
  pieces: AsyncIterable<Uint8Array>,
  from: Fingerprint,
  chunkBytesMax: number,
  onRemainder: (remainder: Remainder) => void,
  isWhole: (line: Uint8Array) => boolean = isWholeObject,
): AsyncGenerator<FileChunk, void, undefined> {
  let fromOffset = from.bytes;
  /** The fingerprint of everything that is in a chunk or omitted, up to `pendingOffset`. */
  const fingerprint = from.copy();
  /** Bytes that were read and are in no chunk yet. They begin with a line, at `pendingOffset`. */
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let pendingOffset = from.bytes;
  /** Bytes of an over-long line that were dropped so far. Above 0 until the line's end was read. */
  let dropped = 0;

  const take = (bytes: Uint8Array<ArrayBuffer>): FileChunk | undefined => {
    pendingOffset += bytes.length;
    const before = fingerprint.copy();
    fingerprint.pass(bytes);
    if (isBlank(bytes)) return undefined;
    const chunk = {
      body: bytes,
      fromOffset,
      toOffset: pendingOffset,
      lastLineHash: lineHash(lastLine(bytes)),
      before,
      after: fingerprint.copy(),
    };
    fromOffset = pendingOffset;
    return chunk;
  };
  const drop = (bytes: Uint8Array) => {
    dropped += bytes.length;
    pendingOffset += bytes.length;
    fingerprint.pass(bytes);
  };
  const endDropping = (hasEnd: boolean) => {
    const after = hasEnd ? fingerprint.copy() : undefined;
    onRemainder({ kind: "overlong", offset: pendingOffset - dropped, bytes: dropped, after });
    dropped = 0;
  };
  const hold = (bytes: Uint8Array) => {
    pending = bytes.length === 0 ? [] : [bytes];
    pendingBytes = bytes.length;
  };

  let failure: { readonly error: unknown } | undefined;
  const source = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await source.next();
      } catch (error) {
        failure = { error };
        break;
      }
      if (next.done) break;
      let piece = next.value;
      if (dropped > 0) {
        const end = piece.indexOf(NEWLINE);
        drop(end === -1 ? piece : piece.subarray(0, end + 1));
        if (end === -1) continue;
        endDropping(true);
        piece = piece.subarray(end + 1);
      }
      pending.push(piece);
      pendingBytes += piece.length;
      if (pendingBytes < chunkBytesMax) continue;

      let all: Uint8Array<ArrayBuffer> = Buffer.concat(pending);
      while (all.length >= chunkBytesMax) {
        const end = all.lastIndexOf(NEWLINE, chunkBytesMax - 1) + 1;
        if (end > 0) {
          const chunk = take(all.subarray(0, end));
          if (chunk !== undefined) yield chunk;
          all = all.subarray(end);
          continue;
        }
        const next = all.indexOf(NEWLINE) + 1;
        drop(next === 0 ? all : all.subarray(0, next));
        all = all.subarray(next === 0 ? all.length : next);
        if (next > 0) endDropping(true);
      }
      hold(all);
    }
    if (dropped > 0) endDropping(false);
    const rest: Uint8Array<ArrayBuffer> = Buffer.concat(pending);
    const lines = rest.lastIndexOf(NEWLINE) + 1;
    // After a failure, this reader cut the line after the last newline, and not the writer.
    const end = failure === undefined && isWhole(rest.subarray(lines)) ? rest.length : lines;
    const chunk = end > 0 ? take(rest.subarray(0, end)) : undefined;
    if (chunk !== undefined) yield chunk;
    const cut = rest.length - end;
    if (cut > 0 && !isBlank(rest.subarray(end)))
      onRemainder({ kind: "cut", offset: pendingOffset, bytes: cut });
  } finally {
    await source.return?.();
  }
  if (failure !== undefined) throw failure.error;
}
