/**
 * The signature of an executable of macOS: the hash of each page. macOS ends a process whose pages do not match it. Bun signs
 * what it builds for Apple's processors. For Intel's it leaves its own signature, which no longer matches, so this module
 * replaces it by one without an identity ("ad hoc"), as Apple's `codesign --sign -` does.
 *
 * Formats: <mach-o/loader.h> and <kern/cs_blobs.h> of Apple's xnu.
 */
import { createHash } from "node:crypto";

const MACH_O_64 = 0xfeedfacf;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;
const SUPER_BLOB = 0xfade0cc0;
const CODE_DIRECTORY = 0xfade0c02;
/** The version with the extent of the code (`execSeg`). */
const VERSION = 0x20400;
const AD_HOC = 2;
const SHA256 = 2;
const HASH_BYTES = 32;
const PAGE_BITS = 12;
const PAGE_BYTES = 1 << PAGE_BITS;
const MAIN_BINARY = 1n;
const SUPER_BLOB_BYTES = 20;
const CODE_DIRECTORY_BYTES = 88;

interface Layout {
  /** Where the command of the signature is, and what it says. */
  readonly command: number;
  readonly from: number;
  readonly bytes: number;
  /** Where the command of the last segment is, which contains the signature. */
  readonly linkEdit: number;
  readonly textBytes: bigint;
}

/** Whether each page has the hash that the signature has for it. False without a signature. */
export function isSignatureValid(file: Buffer): boolean {
  const { from, bytes } = layoutOf(file);
  const blob = file.subarray(from, from + bytes);
  if (bytes === 0 || blob.readUInt32BE(0) !== SUPER_BLOB) return false;
  const directory = blob.subarray(blob.readUInt32BE(16));
  if (directory.readUInt32BE(0) !== CODE_DIRECTORY || directory[37] !== SHA256) return false;
  const [hashes, pages, limit] = [16, 28, 32].map((at) => directory.readUInt32BE(at)) as [
    number,
    number,
    number,
  ];
  const pageBytes = 1 << directory[39]!;
  if (pages !== Math.ceil(from / pageBytes) || limit !== from) return false;
  return Array.from({ length: pages }, (_, page) => page).every((page) =>
    hashOf(file.subarray(page * pageBytes, Math.min((page + 1) * pageBytes, limit))).equals(
      directory.subarray(hashes + page * HASH_BYTES, hashes + (page + 1) * HASH_BYTES),
    ),
  );
}

/** The file with a signature without an identity. */
export function signedAdHoc(file: Buffer, identifier: string): Buffer {
  const { command, from, linkEdit, textBytes } = layoutOf(file);
  const name = Buffer.from(`${identifier}\0`);
  const pages = Math.ceil(from / PAGE_BYTES);
  const hashes = CODE_DIRECTORY_BYTES + name.length;
  const directoryBytes = hashes + pages * HASH_BYTES;
  const bytes = SUPER_BLOB_BYTES + directoryBytes;
  const signed = Buffer.concat([file.subarray(0, from), Buffer.alloc(Math.ceil(bytes / 16) * 16)]);
  // Hashed with the first pages, so before them.
  signed.writeUInt32LE(signed.length - from, command + 12);
  const segmentBytes = BigInt(signed.length) - signed.readBigUInt64LE(linkEdit + 40);
  signed.writeBigUInt64LE(BigInt(Math.ceil(Number(segmentBytes) / PAGE_BYTES) * PAGE_BYTES), linkEdit + 32);
  signed.writeBigUInt64LE(segmentBytes, linkEdit + 48);

  const blob = signed.subarray(from);
  const directory = blob.subarray(SUPER_BLOB_BYTES);
  for (const [at, value] of [SUPER_BLOB, bytes, 1, 0, SUPER_BLOB_BYTES].entries())
    blob.writeUInt32BE(value, at * 4);
  for (const [at, value] of [
    ...[CODE_DIRECTORY, directoryBytes, VERSION, AD_HOC],
    ...[hashes, CODE_DIRECTORY_BYTES, 0, pages, from],
  ].entries())
    directory.writeUInt32BE(value, at * 4);
  directory.set([HASH_BYTES, SHA256, 0, PAGE_BITS], 36);
  directory.writeBigUInt64BE(textBytes, 72);
  directory.writeBigUInt64BE(MAIN_BINARY, 80);
  directory.set(name, CODE_DIRECTORY_BYTES);
  for (let page = 0; page < pages; page++) {
    const content = signed.subarray(page * PAGE_BYTES, Math.min((page + 1) * PAGE_BYTES, from));
    directory.set(hashOf(content), hashes + page * HASH_BYTES);
  }
  return signed;
}

function hashOf(content: Uint8Array): Buffer {
  return createHash("sha256").update(content).digest();
}

function layoutOf(file: Buffer): Layout {
  if (file.readUInt32LE(0) !== MACH_O_64) throw new Error("the file is no executable of macOS");
  let found: Pick<Layout, "command" | "from" | "bytes"> | undefined;
  let linkEdit: number | undefined;
  let textBytes = 0n;
  let at = 32;
  for (let left = file.readUInt32LE(16); left > 0; left--) {
    const kind = file.readUInt32LE(at);
    if (kind === LC_CODE_SIGNATURE)
      found = { command: at, from: file.readUInt32LE(at + 8), bytes: file.readUInt32LE(at + 12) };
    if (kind === LC_SEGMENT_64) {
      const name = file.toString("latin1", at + 8, at + 24).replace(/\0+$/, "");
      if (name === "__LINKEDIT") linkEdit = at;
      if (name === "__TEXT") textBytes = file.readBigUInt64LE(at + 48);
    }
    at += file.readUInt32LE(at + 4);
  }
  if (found === undefined || linkEdit === undefined)
    throw new Error("the executable has no room for a signature");
  return { ...found, linkEdit, textBytes };
}
