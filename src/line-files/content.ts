/**
 * The content of a worker's file as text in UTF-8. Data in gzip and zstd are decompressed. They are recognised by their
 * first bytes and never by the file's name. Other encodings and formats are rejected with a sentence that says how to
 * convert them.
 *
 * NUL bytes come from a file that was truncated while its writer had it open, or from a power cut. JSON text contains
 * no NUL bytes, so each becomes the end of a line: the events before and after it stay whole, and no offset changes.
 * NUL bytes at the end of a file are omitted, because the writer may still put lines there.
 */
import type { Transform } from "node:stream";
import { nodeStream, nodeZlib } from "../program/deferred-libraries.ts";
import { ZstdFrames } from "./zstd-frames.ts";

/** The file cannot be imported. The message is one sentence that does not name the file. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
}

/** How a file's bytes are compressed. */
export type Packing = "plain" | "gzip" | "zstd";

const NEWLINE = 0x0a;
const INFLATED_PIECE_BYTES = 262_144;
/** Runs of NUL bytes are returned in pieces of this size. */
const BLANK_PIECE_BYTES = 1_048_576;

/** The first bytes of other formats in which logs are kept, and the commands that decompress them. */
const OTHER_PACKINGS: readonly (readonly [magic: readonly number[], format: string, command: string])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "xz", "xzcat"],
  [[0x42, 0x5a, 0x68], "bzip2", "bzcat"],
  [[0x50, 0x4b, 0x03, 0x04], "zip", "unzip -p"],
  [[0x04, 0x22, 0x4d, 0x18], "lz4", "lz4cat"],
];

/** How a file with these first bytes is compressed. Throws `UnreadableFile` for a format that is not supported. */
export function packingOf(head: Uint8Array): Packing {
  const begins = (magic: readonly number[]) => magic.every((byte, index) => head[index] === byte);
  if (begins([0x1f, 0x8b])) return "gzip";
  if (begins([0x28, 0xb5, 0x2f, 0xfd])) return "zstd";
  const other = OTHER_PACKINGS.find(([magic]) => begins(magic));
  if (other === undefined) return "plain";
  const [, format, command] = other;
  throw new UnreadableFile(
    `it is ${format} data, expected text, gzip or zstd; unpack it with "${command} FILE | weir import -"`,
  );
}

/** The text in a file's bytes. */
export function unpacked(raw: AsyncIterable<Uint8Array>, packing: Packing): AsyncIterable<Uint8Array> {
  if (packing === "plain") return raw;
  return packing === "gzip" ? gunzipped(raw) : unzstded(raw);
}

async function* gunzipped(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* through(raw, nodeZlib().createGunzip({ chunkSize: INFLATED_PIECE_BYTES }));
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    if (code === "Z_BUF_ERROR")
      throw new UnreadableFile("its gzip data end early; what came before was stored");
    if (typeof code !== "string" || !code.startsWith("Z_")) throw error;
    throw new UnreadableFile(`its gzip data are damaged (${message}); what came before was stored`);
  }
}

async function* unzstded(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const frames = new ZstdFrames();
  const passed = (async function* () {
    for await (const piece of raw) {
      frames.pass(piece);
      yield piece;
    }
  })();
  try {
    yield* through(passed, nodeZlib().createZstdDecompress({ chunkSize: INFLATED_PIECE_BYTES }));
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string };
    if (typeof code !== "string" || !/ZSTD|^Z_/.test(code)) throw error;
    throw new UnreadableFile(`its zstd data are damaged (${message}); what came before was stored`);
  }
  const problem = frames.problem();
  if (problem === "cut") throw new UnreadableFile("its zstd data end early; what came before was stored");
  if (problem !== undefined) {
    throw new UnreadableFile("its zstd data are followed by other data; what came before was stored");
  }
}

async function* through(
  raw: AsyncIterable<Uint8Array>,
  engine: Transform,
): AsyncGenerator<Uint8Array, void, undefined> {
  // The iteration over the engine throws the failures.
  const { pipeline, Readable } = nodeStream();
  pipeline(Readable.from(raw), engine, () => {});
  yield* engine as AsyncIterable<Uint8Array>;
}

/**
 * Throws `UnreadableFile` if a file's text begins like UTF-16 or UTF-32: with a byte order mark, or with an event whose
 * every other byte is NUL.
 */
export function checkEncoding(head: Uint8Array): void {
  const begins = (...bytes: number[]) => bytes.every((byte, index) => head[index] === byte);
  const [brace, quote] = [0x7b, 0x22];
  const found = begins(0xff, 0xfe, 0, 0)
    ? "UTF-32"
    : begins(0xff, 0xfe) || begins(0xfe, 0xff)
      ? "UTF-16"
      : begins(brace, 0, quote, 0)
        ? "UTF-16LE"
        : begins(0, brace, 0, quote)
          ? "UTF-16BE"
          : undefined;
  if (found === undefined) return;
  throw new UnreadableFile(
    `it is ${found} text, expected UTF-8; convert it with "iconv -f ${found} -t UTF-8 FILE | weir import -"`,
  );
}

/** The pieces with each NUL byte as the end of a line. NUL bytes at the end are counted and omitted. */
export async function* withoutNul(
  pieces: AsyncIterable<Uint8Array>,
  onTail: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let blank = 0;
  /** Made for the first piece that ends in zeros: most files have none. */
  let zeros: Buffer | undefined;
  for await (const piece of pieces) {
    // A hole may have gigabytes, so the comparison is of whole pieces and not byte by byte.
    let isHole = false;
    if (piece.at(-1) === 0 && piece.length <= BLANK_PIECE_BYTES) {
      zeros ??= Buffer.alloc(BLANK_PIECE_BYTES);
      isHole = zeros.compare(piece, 0, piece.length, 0, piece.length) === 0;
    }
    let end = isHole ? 0 : piece.length;
    while (end > 0 && piece[end - 1] === 0) end--;
    if (end > 0) {
      for (; blank > 0; blank -= Math.min(blank, BLANK_PIECE_BYTES)) {
        yield new Uint8Array(Math.min(blank, BLANK_PIECE_BYTES)).fill(NEWLINE);
      }
      yield withNewlines(piece.subarray(0, end));
    }
    blank += piece.length - end;
  }
  if (blank > 0) onTail(blank);
}

function withNewlines(piece: Uint8Array): Uint8Array {
  const first = piece.indexOf(0);
  if (first === -1) return piece;
  const text = piece.slice();
  for (let at = first; at !== -1; at = text.indexOf(0, at)) {
    let end = at;
    while (text[end] === 0) end++;
    text.fill(NEWLINE, at, end);
  }
  return text;
}

/** The byte order mark that some editors and shells write first. Joined files have it at several lines. */
const MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** Replaces the byte order marks at the beginnings of lines with spaces, so that no offset changes. */
export function withoutMarks(body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let clean: Uint8Array<ArrayBuffer> | undefined;
  for (let at = buffer.indexOf(MARK); at !== -1; at = buffer.indexOf(MARK, at + MARK.length)) {
    if (at > 0 && buffer[at - 1] !== 0x0a) continue;
    clean ??= body.slice();
    clean.fill(0x20, at, at + MARK.length);
  }
  return clean ?? body;
}
