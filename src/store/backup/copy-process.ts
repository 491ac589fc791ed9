/**
 * A program of its own: copies files. `bun copy-process.ts JSON` takes a list of `FileCopy`. It exits with 0 when
 * everything is on the disk, and otherwise with 1 and the reason on standard error.
 *
 * POSIX locks belong to a process, and closing any descriptor of a file gives up all that the process holds on
 * it. So the process that has the store open must not read the file beside the engine, not even to copy it.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { isBundled } from "../../program/program-files.ts";
import { syncFolder } from "../sync-folder.ts";

/** The first `bytes` of a file, to a path that does not exist yet. */
export interface FileCopy {
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
}

const PIECE_BYTES = 4 * 1_048_576;
/** The copy is synced after each 32 MiB, so that the sync of a commit never waits for more than that. */
const SYNC_BYTES = 32 * 1_048_576;
/** The copy leaves at least this much free, because pushes continue and the log grows meanwhile. */
const LEFT_BYTES_MIN = 64 * 1_048_576;

// In a bundle it is a part of main.ts, and not the program.
if (import.meta.main && !isBundled) process.exitCode = copyProcess(process.argv[2]);

/** The program: copies the files of a JSON text, and returns its exit code. */
export function copyProcess(json = "[]"): number {
  try {
    copyAll(JSON.parse(json) as FileCopy[]);
    return 0;
  } catch (error) {
    process.stderr.write(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

function copyAll(copies: readonly FileCopy[]): void {
  let isRoomKnown = false;
  for (const copy of copies) {
    if (clone(copy)) continue;
    if (!isRoomKnown) checkRoom(copies);
    isRoomKnown = true;
    copyBytes(copy);
  }
  for (const folder of new Set(copies.map(({ to }) => dirname(to)))) syncFolder(folder);
}

/** Makes both files share their blocks, if the file system supports that (Btrfs, XFS). Returns whether it did. */
function clone({ from, to, bytes }: FileCopy): boolean {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE);
  } catch {
    return false;
  }
  const file = openSync(to, "r+");
  ftruncateSync(file, bytes);
  fsyncSync(file);
  closeSync(file);
  return true;
}

function checkRoom(copies: readonly FileCopy[]): void {
  const { bavail, bsize } = statfsSync(dirname(copies[0]!.to));
  const wanted = copies.reduce((sum, { bytes }) => sum + bytes, 0) + LEFT_BYTES_MIN;
  if (bavail * bsize < wanted) {
    throw new Error(`disk full: ${bavail * bsize} bytes are free, and ${wanted} are needed`);
  }
}

function copyBytes({ from, to, bytes }: FileCopy): void {
  const source = openSync(from, "r");
  const target = openSync(to, "w", 0o600);
  const piece = new Uint8Array(PIECE_BYTES);
  let unsynced = 0;
  for (let at = 0; at < bytes; ) {
    const length = readSync(source, piece, 0, Math.min(PIECE_BYTES, bytes - at), at);
    if (length === 0) throw new Error(`${from} ended after ${at} bytes, expected ${bytes}`);
    for (let written = 0; written < length; )
      written += writeSync(target, piece, written, length - written, at + written);
    at += length;
    unsynced += length;
    if (unsynced < SYNC_BYTES) continue;
    fdatasyncSync(target);
    unsynced = 0;
  }
  fsyncSync(target);
  closeSync(target);
  closeSync(source);
}
