/**
 * A worker's file as `weir import` reads it: plain or gzip (told by its first bytes, never by its name), known
 * by the hash of its first line, and readable from any place where an import stopped.
 *
 * The file is opened once: when the worker rotates it meanwhile, what is read is still the file that was
 * identified.
 */
import { type FileHandle, open } from "node:fs/promises";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import {
  type Chunk,
  cutIntoChunks,
  isBlank,
  isWholeObject,
  lastLine,
  lineHash,
  type Remainder,
} from "./chunks.ts";

/** 2 MiB: some 7,000 events, enough that the round trip and the commit of a chunk weigh nothing. */
export const CHUNK_BYTES_MAX = 2_097_152;
const READ_BYTES = 1_048_576;

/** How far a file was imported, as the gateway stores it. */
export interface Progress {
  readonly byteOffset: number;
  readonly lastLineHash: string;
}

/** The file cannot be imported; the message is one sentence that does not name the file. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
}

/** The file ends before the place up to which it was imported: an earlier copy of it. */
export class EarlierCopy extends Error {
  override readonly name = "EarlierCopy";
}

export class EventFile {
  readonly #handle: FileHandle;
  readonly #gzip: boolean;
  /** Bytes on disk when it was opened. */
  readonly bytes: number;
  /** Bytes read from disk so far, for a progress bar. */
  bytesRead = 0;

  private constructor(handle: FileHandle, bytes: number, gzip: boolean) {
    this.#handle = handle;
    this.bytes = bytes;
    this.#gzip = gzip;
  }

  /** Opens the file; throws `UnreadableFile` for a folder, the system's error where it cannot be opened. */
  static async open(path: string): Promise<EventFile> {
    const handle = await open(path, "r");
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw new UnreadableFile("it is not a file");
      const magic = new Uint8Array(2);
      const { bytesRead } = await handle.read(magic, 0, 2, 0);
      return new EventFile(handle, stat.size, bytesRead === 2 && magic[0] === 0x1f && magic[1] === 0x8b);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** `lineHash` of the first line that is not blank; undefined while there is no whole one. */
  async identity(): Promise<string | undefined> {
    let head: Uint8Array = new Uint8Array(0);
    for await (const piece of this.#read(0)) {
      head = Buffer.concat([head, piece]);
      for (let end = head.indexOf(0x0a); end !== -1; end = head.indexOf(0x0a)) {
        const line = head.subarray(0, end + 1);
        if (!isBlank(line)) return identityOf(line);
        head = head.subarray(end + 1);
      }
      if (head.length > CHUNK_BYTES_MAX) break;
    }
    if (head.length > CHUNK_BYTES_MAX) {
      throw new UnreadableFile(
        `its first line is longer than ${CHUNK_BYTES_MAX} bytes, expected one JSON event a line`,
      );
    }
    const isLine = isWholeObject(head) || beginsArray(head);
    return isLine ? identityOf(head) : undefined;
  }

  /**
   * The file's lines after `from`. Throws `EarlierCopy` where the file ends before it, and `UnreadableFile`
   * where another line stands there than was imported.
   */
  async *chunks(
    from: Progress | undefined,
    onRemainder: (remainder: Remainder) => void,
  ): AsyncGenerator<Chunk, void, undefined> {
    this.bytesRead = 0;
    const offset = from?.byteOffset ?? 0;
    // A gzip stream has no place to jump to; a plain file is read from one longest line before the offset.
    const start = this.#gzip ? 0 : Math.max(0, offset - CHUNK_BYTES_MAX - 2);
    if (!this.#gzip) this.bytesRead = start;
    const pieces = this.#read(start);
    const rest = from === undefined ? pieces : after(pieces, start, from);
    try {
      yield* cutIntoChunks(rest, offset, CHUNK_BYTES_MAX, onRemainder);
    } catch (error) {
      throw gzipError(error) ?? error;
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #read(position: number): AsyncIterable<Uint8Array> {
    const raw = this.#readRaw(position);
    if (!this.#gzip) return raw;
    const gunzip = createGunzip({ chunkSize: 262_144 });
    // Failures come out of the iteration over gunzip.
    pipeline(Readable.from(raw), gunzip, () => {});
    return gunzip;
  }

  async *#readRaw(position: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = position; ; ) {
      const buffer = new Uint8Array(READ_BYTES);
      const { bytesRead } = await this.#handle.read(buffer, 0, READ_BYTES, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      this.bytesRead += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }
}

/** Passes over what was imported, and holds the last line of it against the stored hash. */
async function* after(
  pieces: AsyncIterable<Uint8Array>,
  start: number,
  { byteOffset, lastLineHash }: Progress,
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = start;
  let tail: Uint8Array = new Uint8Array(0);
  for await (const piece of pieces) {
    if (at >= byteOffset) {
      yield piece;
      continue;
    }
    const passed = Math.min(piece.length, byteOffset - at);
    at += passed;
    const passedTail = Buffer.concat([tail, piece.subarray(0, passed)]);
    tail = passedTail.subarray(Math.max(0, passedTail.length - CHUNK_BYTES_MAX - 2));
    if (at < byteOffset) continue;
    if (lineHash(lastLine(tail)) !== lastLineHash) {
      throw new UnreadableFile(
        `it begins with the same line as a file that was imported up to byte ${byteOffset}, ` +
          "but has another line there: it is another file, or was rewritten",
      );
    }
    if (passed < piece.length) yield piece.subarray(passed);
  }
  if (at < byteOffset)
    throw new EarlierCopy(`it ends at byte ${at}, and was imported up to byte ${byteOffset} before`);
}

function identityOf(line: Uint8Array): string {
  if (beginsArray(line)) {
    throw new UnreadableFile('it begins with "[", expected one JSON event a line, not an array');
  }
  return lineHash(line);
}

function beginsArray(line: Uint8Array): boolean {
  return line.find((byte) => byte > 0x20) === 0x5b;
}

function gzipError(error: unknown): UnreadableFile | undefined {
  const code = (error as { code?: unknown }).code;
  if (code === "Z_BUF_ERROR")
    return new UnreadableFile("its gzip data end early; what came before was taken");
  if (typeof code === "string" && code.startsWith("Z_")) {
    return new UnreadableFile(
      `its gzip data are damaged (${(error as Error).message}); what came before was taken`,
    );
  }
  return undefined;
}
