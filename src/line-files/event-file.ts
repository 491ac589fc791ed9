/**
 * A worker's file as `weir import` reads it: its first line, the data that distinguish it from other files, and its
 * lines from the offset at which an import stopped.
 *
 * The file is opened once. If the worker rotates it during the import, the import still reads the file that it
 * identified. Standard input and pipes cannot be read twice, so they are first written to an unlinked temporary file.
 */
import { type FileHandle, mkdtemp, open, realpath, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { type FileChunk, cutIntoChunks, lastLine, lineHash, type Remainder } from "./chunks.ts";
import { checkEncoding, type Packing, packingOf, UnreadableFile, unpacked, withoutNul } from "./content.ts";
import { stemOf } from "./file-names.ts";
import { Fingerprint, isBlank } from "./fingerprint.ts";
import type { KnownFile, Look, Place, Traces } from "./identity.ts";
import { EVENT_LINES, type LineSyntax } from "./line-syntax.ts";

/** 2 MiB, about 7,000 events: enough that the round trip and the commit of a chunk cost little. */
const CHUNK_BYTES_MAX = 2_097_152;
const READ_BYTES = 1_048_576;
const MAGIC_BYTES = 8;
/** Pieces have up to 1 MiB, and those of compressed data 256 KiB. No line of a chunk is longer. */
const TAIL_PIECES_MAX = 32;

/** The traces of standard input: none. */
const NO_TRACES: Traces = { places: [], modifiedMs: 0 };

export class EventFile {
  readonly #handle: FileHandle;
  readonly #packing: Packing;
  readonly #syntax: LineSyntax;
  /** Bytes on disk when it was opened. */
  readonly bytes: number;
  /** Its place, and when it was last written. */
  traces: Traces;
  /** It came through standard input or a pipe. */
  readonly isPiped: boolean;
  /** Bytes read from disk so far, for a progress bar. */
  bytesRead = 0;
  /** The first line that is not blank, once `firstLineHash` has read it. */
  firstLine = "";

  private constructor(
    handle: FileHandle,
    bytes: number,
    packing: Packing,
    traces: Traces | undefined,
    syntax: LineSyntax,
  ) {
    this.#handle = handle;
    this.bytes = bytes;
    this.#packing = packing;
    this.#syntax = syntax;
    this.traces = traces ?? NO_TRACES;
    this.isPiped = traces === undefined;
  }

  /** Opens a file or a pipe. Throws `UnreadableFile` for a folder, and the system's error if it cannot be opened. */
  static async open(path: string, syntax = EVENT_LINES): Promise<EventFile> {
    const handle = await open(path, "r");
    try {
      const stat = await handle.stat();
      if (stat.isFIFO()) {
        const spooled = await EventFile.spool(handle.createReadStream({ autoClose: false }), syntax);
        await handle.close();
        return spooled;
      }
      if (!stat.isFile()) throw new UnreadableFile("it is not a file");
      return await EventFile.over(handle, path, syntax);
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  /** The file of an open handle, which was found at a path. Throws `UnreadableFile` for a format that is not supported. */
  static async over(handle: FileHandle, path: string, syntax = EVENT_LINES): Promise<EventFile> {
    return await EventFile.#of(handle, await tracesOf(handle, path), syntax);
  }

  /** Reads a stream to its end into an unlinked file, which disappears with the process in any case. */
  static async spool(stream: AsyncIterable<Uint8Array>, syntax = EVENT_LINES): Promise<EventFile> {
    const folder = await mkdtemp(join(tmpdir(), "weir-import-"));
    let handle: FileHandle | undefined;
    try {
      handle = await open(join(folder, "input"), "wx+", 0o600);
      await rm(folder, { recursive: true });
      for await (const piece of stream) await handle.writeFile(piece);
      return await EventFile.#of(handle, undefined, syntax);
    } catch (error) {
      await handle?.close();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  static async #of(handle: FileHandle, traces: Traces | undefined, syntax: LineSyntax): Promise<EventFile> {
    const { size } = await handle.stat();
    const magic = new Uint8Array(MAGIC_BYTES);
    const { bytesRead } = await handle.read(magic, 0, MAGIC_BYTES, 0);
    return new EventFile(handle, size, packingOf(magic.subarray(0, bytesRead)), traces, syntax);
  }

  /** Whether its bytes are compressed. Then offsets are not those of its bytes on disk. */
  get isPacked(): boolean {
    return this.#packing !== "plain";
  }

  /** Notes that the file is now at `path`, and when it was last written. */
  async renewTraces(path: string): Promise<void> {
    this.traces = await tracesOf(this.#handle, path);
  }

  /**
   * `lineHash` of the first line that is not blank; undefined if there is no whole line yet. Throws `UnreadableFile` if
   * the content is not lines of JSON in UTF-8.
   *
   * @param skipsOverlong whether lines over the limit are skipped. Otherwise a first line over the limit throws
   */
  async firstLineHash(skipsOverlong = false): Promise<string | undefined> {
    if (skipsOverlong) {
      for await (const { body } of this.chunks(this.beginning(), () => {}))
        return this.#hashOfFirst(firstLineOf(body));
      return undefined;
    }
    let head: Uint8Array = new Uint8Array(0);
    for await (const piece of this.#content(0, () => {})) {
      if (head.length === 0 && isBlank(piece)) continue;
      head = Buffer.concat([head, piece]);
      for (let end = head.indexOf(0x0a); end !== -1; end = head.indexOf(0x0a)) {
        const line = head.subarray(0, end + 1);
        if (!isBlank(line)) return this.#hashOfFirst(line);
        let next = end + 1;
        while (head[next] === 0x0a) next++;
        head = head.subarray(next);
      }
      if (head.length > CHUNK_BYTES_MAX) break;
    }
    if (head.length > CHUNK_BYTES_MAX) {
      throw new UnreadableFile(
        `its first line is longer than ${CHUNK_BYTES_MAX} bytes, expected ${this.#syntax.expected}`,
      );
    }
    const isFirst = this.#syntax.isWhole(head) || (this.#syntax.isJson && beginsArray(head));
    return isFirst ? this.#hashOfFirst(head) : undefined;
  }

  #hashOfFirst(line: Uint8Array): string {
    if (this.#syntax.isJson && beginsArray(line))
      throw new UnreadableFile(`it begins with "[", expected ${this.#syntax.expected}, not an array`);
    this.firstLine = Buffer.from(line).toString("utf8");
    return lineHash(line);
  }

  /** The fingerprint of the beginning of the file, without any content. */
  beginning(): Fingerprint {
    return new Fingerprint(this.#syntax.findTime);
  }

  /** Reads as much of the file as a comparison with files of the same first line needs. */
  async look(known: readonly KnownFile[]): Promise<Look> {
    const offsets = [...new Set(known.map(({ byteOffset }) => byteOffset))].sort((a, b) => a - b);
    const needsLine = known.some(({ identity }) => identity === undefined);
    const at = new Map<number, Place>();
    const fingerprint = this.beginning();
    let tail: Uint8Array[] = [];
    let recent: Uint8Array = new Uint8Array(0);
    let linesBefore = 0;
    const pass = (bytes: Uint8Array) => {
      fingerprint.pass(bytes);
      const feed = bytes.lastIndexOf(0x0a);
      if (feed !== -1) tail = [];
      // An over-long line is not an event, and may have gigabytes.
      if (tail.length < TAIL_PIECES_MAX) tail.push(bytes.subarray(feed + 1));
      if (needsLine) recent = Buffer.concat([recent, bytes]).subarray(-(CHUNK_BYTES_MAX + 2));
    };
    let isWhole = true;
    for await (let piece of this.#content(0, () => {})) {
      while (offsets.length > 0 && offsets[0]! <= fingerprint.bytes + piece.length) {
        const offset = offsets.shift()!;
        const end = offset - fingerprint.bytes;
        pass(piece.subarray(0, end));
        piece = piece.subarray(end);
        at.set(offset, {
          fingerprint: fingerprint.copy(),
          lastLineHash: needsLine ? lineHash(lastLine(recent)) : undefined,
        });
        linesBefore = fingerprint.ended().lines;
      }
      pass(piece);
      // One line more than all offsets, to find out whether the file has more than was imported.
      if (offsets.length === 0 && fingerprint.ended().lines > linesBefore) {
        isWhole = false;
        break;
      }
    }
    // An incomplete last line does not count yet.
    const end = this.#syntax.isWhole(Buffer.concat(tail)) ? fingerprint.ended() : fingerprint;
    return { at, end, isWhole };
  }

  /** Whether one of the file's lines has one of these hashes, and a time. */
  async findDatedLine(hashes: ReadonlySet<string>): Promise<boolean> {
    for await (const { body } of this.chunks(this.beginning(), () => {})) {
      for (let begin = 0; begin < body.length; ) {
        const feed = body.indexOf(0x0a, begin);
        const line = body.subarray(begin, feed === -1 ? body.length : feed);
        if (!isBlank(line) && hashes.has(lineHash(line))) {
          const fingerprint = this.beginning();
          fingerprint.pass(line);
          if (fingerprint.isDated()) return true;
        }
        begin += line.length + 1;
      }
    }
    return false;
  }

  /** Whether any event of the file has a time of its own. A line that is not one whole event counts as it looks. */
  async hasTimes(): Promise<boolean> {
    for await (const { body } of this.chunks(this.beginning(), () => {})) {
      const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      const { findTime, hasTime } = this.#syntax;
      for (let rest = buffer; ; ) {
        const at = findTime(rest);
        if (at === -1) break;
        const begin = at === 0 ? 0 : rest.lastIndexOf(0x0a, at) + 1;
        const feed = rest.indexOf(0x0a, at);
        const end = feed === -1 ? rest.length : feed;
        if (hasTime(rest.toString("utf8", begin, end))) return true;
        rest = rest.subarray(end);
      }
    }
    return false;
  }

  /** The file's lines after the part whose fingerprint is `from`. */
  async *chunks(
    from: Fingerprint,
    onRemainder: (remainder: Remainder) => void,
  ): AsyncGenerator<FileChunk, void, undefined> {
    this.bytesRead = 0;
    const onTail = (bytes: number) => onRemainder({ kind: "nul", bytes });
    // Compressed data cannot be read from an offset.
    const start = this.#packing === "plain" ? from.bytes : 0;
    if (this.#packing === "plain") this.bytesRead = start;
    const content = this.#content(start, onTail);
    yield* cutIntoChunks(
      behind(content, from.bytes - start),
      from,
      CHUNK_BYTES_MAX,
      onRemainder,
      this.#syntax.isWhole,
    );
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async *#content(
    position: number,
    onTail: (bytes: number) => void,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let isFirst = position === 0;
    const checked = async function* (pieces: AsyncIterable<Uint8Array>) {
      for await (const piece of pieces) {
        if (isFirst) checkEncoding(piece);
        isFirst = false;
        yield piece;
      }
    };
    yield* withoutNul(checked(unpacked(this.#raw(position), this.#packing)), onTail);
  }

  async *#raw(position: number): AsyncGenerator<Uint8Array, void, undefined> {
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

async function* behind(
  pieces: AsyncIterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = bytes;
  for await (const piece of pieces) {
    const passed = Math.min(piece.length, left);
    left -= passed;
    if (passed < piece.length) yield piece.subarray(passed);
  }
}

async function tracesOf(handle: FileHandle, path: string): Promise<Traces> {
  const stat = await handle.stat();
  // A file that was deleted or moved since has no path.
  const real = await realpath(path).catch(() => path);
  return { places: placesOf(real, stat), modifiedMs: stat.mtimeMs };
}

/** The first line of a chunk that is not blank, with its end. */
function firstLineOf(body: Uint8Array): Uint8Array {
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf(0x0a, at) + 1 || body.length;
    if (!isBlank(body.subarray(at, end))) return body.subarray(at, end);
    at = end;
  }
  return body;
}

/** Hashes of a file's path, its inode, and its stem: its path without the endings of rotation and compression. */
function placesOf(path: string, { dev, ino }: { readonly dev: number; readonly ino: number }): string[] {
  const host = hostname();
  const hash = (kind: string, text: string) =>
    `${kind}${new Bun.CryptoHasher("sha256").update(`${host}\n${text}`).digest("hex").slice(0, 12)}`;
  return [hash("p", path), hash("i", `${dev}:${ino}`), hash("s", stemOf(path))];
}

function beginsArray(line: Uint8Array): boolean {
  return line.find((byte) => byte > 0x20) === 0x5b;
}
