/**
 * Checks the write-ahead log before the engine reads it. The engine verifies the checksum of each entry. But it takes an
 * entry whose length reaches past the end for one that a kill interrupted: it drops that entry and everything behind it,
 * without an error. A damaged length, or a damaged beginning of the file, would so lose commits without a message.
 *
 * The log is a header, then entries: length (64 bits), checksum (64 bits), content. The last entry of each commit is always
 * the same. The header has the version, and in a file of the format of DuckDB 1.5 also the database that the log belongs to.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { blockChecksum } from "./block-checksum.ts";

/** The beginning of a header: an object with the type of the entry (field 100) and version 2 (field 101). */
const BEGINNING = Buffer.from("640062650002", "hex");
/** Field 102: the key of the database, a list of 16 integers of variable length. */
const DATABASE_KEY = Buffer.from("660010", "hex");
const DATABASE_KEY_LENGTH = 16;
/** Field 103: the number of the checkpoint, an integer of variable length. */
const CHECKPOINT = Buffer.from("6700", "hex");
const OBJECT_END = Buffer.from("ffff", "hex");
/** The longest header: a byte of the key takes at most 2, and the number 10. */
const HEADER_BYTES_MAX = 64;
/** The entry that ends a commit: length 5, its checksum, and its type (100). */
const COMMIT_END = Buffer.from("0500000000000000e7fe7d722fed3d5e640064ffff", "hex");
/** The beginning of the content of the entry that begins the end of a checkpoint: its type (99), and a pointer (field 101). */
const CHECKPOINT_TYPE = Buffer.from("6400636500", "hex");
/** In the pointer: the block and a part of it, an integer of variable length. It is left out if it is 0. */
const POINTER_BLOCK = Buffer.from("6400", "hex");
const CHECKPOINT_BYTES_MAX = 64;
const HEAD_BYTES = 16;
const COMMIT_HEAD = COMMIT_END.subarray(0, HEAD_BYTES);
const PIECE_BYTES = 1_048_576;

/**
 * The byte at which a log is damaged although whole commits are behind it. Undefined if there is no such byte, or no log.
 * Damage that the engine itself reports is not looked for.
 */
export function findLogDamage(path: string): number | undefined {
  return withLog(path, (file, size) => {
    const { entries } = endsOf(file, size);
    return entries < size && hasCommitBehind(file, entries, size) ? entries : undefined;
  });
}

/** Bytes of the log up to the end of its last whole commit. 0 if there is none, or no log. */
export function wholeCommitBytes(path: string): number {
  return withLog(path, (file, size) => endsOf(file, size).commits) ?? 0;
}

/**
 * The catalog of the checkpoint that the log ends with: the engine notes and syncs it, then it writes the catalog's blocks and
 * the header. Undefined if the log does not end with such an entry, or if there is no log.
 */
export function checkpointAtEnd(path: string): bigint | undefined {
  return withLog(path, (file, size) => {
    const { lastContent, commits } = endsOf(file, size);
    if (commits !== size || lastContent === undefined) return undefined;
    const length = commits - COMMIT_END.length - lastContent;
    if (length <= 0 || length > CHECKPOINT_BYTES_MAX) return undefined;
    const entry = Buffer.alloc(HEAD_BYTES + length);
    readSync(file, entry, 0, entry.length, lastContent - HEAD_BYTES);
    const content = entry.subarray(HEAD_BYTES);
    if (blockChecksum(content) !== entry.readBigUInt64LE(8)) return undefined;
    if (!content.subarray(0, CHECKPOINT_TYPE.length).equals(CHECKPOINT_TYPE)) return undefined;
    let at = CHECKPOINT_TYPE.length;
    if (!content.subarray(at, at + POINTER_BLOCK.length).equals(POINTER_BLOCK)) return 0n;
    let pointer = 0n;
    at += POINTER_BLOCK.length;
    for (let shift = 0n; at < content.length; shift += 7n) {
      const byte = content[at++]!;
      pointer |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return pointer;
  });
}

/** The part of a log that can be read: up to the last whole commit before the first damaged entry. */
export interface ReadableLog {
  readonly bytes: number;
  /** The byte of the first damaged entry. Undefined if none is. */
  readonly damagedAt: number | undefined;
  /** Commits behind it, which cannot be read. */
  readonly lostCommits: number;
}

/** Checks each entry of a log. This takes some seconds for 64 MiB. Undefined if there is no log. */
export function readableLog(path: string): ReadableLog | undefined {
  return withLog(path, (file, size) => {
    const log = Buffer.alloc(size);
    readSync(file, log, 0, size, 0);
    let at = headerBytes(log);
    let bytes = at;
    while (at > 0 && at + HEAD_BYTES <= size) {
      const length = log.readUInt32LE(at) + log.readUInt32LE(at + 4) * 2 ** 32;
      const end = at + HEAD_BYTES + length;
      if (end > size || blockChecksum(log.subarray(at + HEAD_BYTES, end)) !== log.readBigUInt64LE(at + 8))
        break;
      if (log.subarray(at, at + HEAD_BYTES).equals(COMMIT_HEAD)) bytes = end;
      at = end;
    }
    let lostCommits = 0;
    for (
      let next = log.indexOf(COMMIT_END, at);
      next >= 0;
      next = log.indexOf(COMMIT_END, next + COMMIT_END.length)
    )
      lostCommits++;
    return { bytes, damagedAt: lostCommits > 0 ? at : undefined, lostCommits };
  });
}

function withLog<Result>(path: string, use: (file: number, size: number) => Result): Result | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return use(file, fstatSync(file).size);
  } finally {
    closeSync(file);
  }
}

/**
 * The bytes behind the last whole entry and behind the last whole commit, and where the content begins of the last entry that is
 * not the end of a commit.
 */
function endsOf(
  file: number,
  size: number,
): { entries: number; commits: number; lastContent?: number | undefined } {
  const beginning = Buffer.alloc(HEADER_BYTES_MAX);
  let at = headerBytes(beginning.subarray(0, readSync(file, beginning, 0, beginning.length, 0)));
  if (at === 0) return { entries: 0, commits: 0 };
  const head = Buffer.alloc(HEAD_BYTES);
  let commits = 0;
  let lastContent: number | undefined;
  while (at + HEAD_BYTES <= size && readSync(file, head, 0, HEAD_BYTES, at) === HEAD_BYTES) {
    const end = at + HEAD_BYTES + head.readUInt32LE(0) + head.readUInt32LE(4) * 2 ** 32;
    if (end > size) break;
    if (head.equals(COMMIT_HEAD)) commits = end;
    else lastContent = at + HEAD_BYTES;
    at = end;
  }
  return { entries: at, commits, lastContent };
}

/** The length of the header at the beginning of a log. 0 if there is none. */
export function headerBytes(log: Buffer): number {
  const has = (part: Buffer, at: number) => log.subarray(at, at + part.length).equals(part);
  const behindIntegers = (from: number, count: number) => {
    let at = from;
    for (let left = count; left > 0 && at < log.length; at++) if (log[at]! < 0x80) left--;
    return at;
  };
  if (!has(BEGINNING, 0)) return 0;
  let at = BEGINNING.length;
  if (has(DATABASE_KEY, at)) at = behindIntegers(at + DATABASE_KEY.length, DATABASE_KEY_LENGTH);
  if (has(CHECKPOINT, at)) at = behindIntegers(at + CHECKPOINT.length, 1);
  return has(OBJECT_END, at) ? at + OBJECT_END.length : 0;
}

function hasCommitBehind(file: number, from: number, size: number): boolean {
  const piece = Buffer.alloc(PIECE_BYTES + COMMIT_END.length);
  for (let at = from; at < size; at += PIECE_BYTES) {
    const length = readSync(file, piece, 0, Math.min(piece.length, size - at), at);
    if (piece.subarray(0, length).includes(COMMIT_END)) return true;
  }
  return false;
}
