/**
 * The room on the store's disk, and when a push is rejected because the disk is full.
 *
 * The engine survives a commit that finds the disk full: it rolls back. It does not survive such a checkpoint:
 * it then gives up on its file until the file is opened again. So pushes are rejected while there is still a
 * reserve. Only checkpoints, the journal's move and the drop of old days may use it. Another program can fill
 * the disk past the reserve all the same. Then commits fail and checkpoints wait, until a commit succeeds
 * again.
 *
 * Free blocks inside the file count as room, up to a part of the reserve. If Weir's own file fills the disk, a
 * dropped day frees blocks in the file, and no bytes beside it. Only the log needs bytes beside it.
 */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { Unavailable } from "../model/errors.ts";
import { isDiskFull } from "./engine/faults.ts";
import { statement } from "./statements.ts";
import type { Reader, Room } from "./store.ts";

/** Nothing of a request was stored, because the disk has no room. */
export class DiskFull extends Unavailable {
  override readonly code = "disk_full";
  override readonly retryAfterSeconds = 10;
}

interface DiskRoomOptions {
  /** An existing file on the disk. */
  readonly path: string;
  readonly reserveBytes: number;
  /** Called when the disk becomes full, and when it no longer is. */
  readonly onChange?: (room: Room) => void;
  /** Milliseconds of a monotonic clock. The default is the process's own. */
  readonly now?: () => number;
  /** Free bytes on the disk of `path`. The default asks the system. */
  readonly free?: (path: string) => number;
  /** Size of the disk of `path` in bytes. The default asks the system. */
  readonly size?: (path: string) => number;
}

/** A measurement takes 1.5 to 8 µs, and a round trip on a network disk. A commit measures each time. */
const LOOK_INTERVAL_MS = 100;
/** No disk writes this much beyond the reserve in that time. So a commit does not measure again. */
const AMPLE_BYTES = 1_073_741_824;
const AMPLE_MS = 10;
/** Counting the free blocks of the file takes 0.3 ms, as long as three small commits. */
const INSIDE_INTERVAL_MS = 50;
/** After a failed write, the next is tried no sooner than this. */
const RETRY_MS = 1_000;
/** It is tried sooner if this much more is free. */
const MORE_BYTES = 1_048_576;
/** Free blocks of the file can replace at most this part of the reserve. The log needs the rest. */
const INSIDE_MAX = 0.75;
/** A checkpoint writes this beside the rows of the log: the last rows of each table, and all table metadata. */
const CHECKPOINT_BYTES = 16 * 1_048_576;
/** A shorter log is not worth a checkpoint of its own. */
const LOG_BYTES_MIN = 1_048_576;

/** With less than one block free nothing can be written, so the disk is full regardless of the reserve. */
const BLOCK_BYTES = 4_096;

export class DiskRoom {
  readonly #options: DiskRoomOptions;
  readonly #now: () => number;
  readonly #free: (path: string) => number;
  #freeBytes = Number.POSITIVE_INFINITY;
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  #insideBytes = 0;
  #insideAtMs = Number.NEGATIVE_INFINITY;
  /**
   * When a write last failed because the disk was full, and the free bytes then. Reset by a success or more
   * space.
   */
  #failed: { readonly atMs: number; readonly freeBytes: number } | undefined;
  #wasFull = false;

  constructor(options: DiskRoomOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#free = options.free ?? freeBytesOf;
  }

  /** The room on the disk, at most `intervalMs` old. */
  look(intervalMs = LOOK_INTERVAL_MS): Room {
    this.#measure(intervalMs);
    const room = { freeBytes: this.#freeBytes, isFull: this.#failed !== undefined || this.#isReserveUsed };
    if (room.isFull !== this.#wasFull) {
      this.#wasFull = room.isFull;
      this.#options.onChange?.(room);
    }
    return room;
  }

  /** Asks the system, unless the last measurement is newer than `intervalMs`, or found ample room a moment ago. */
  #measure(intervalMs: number): void {
    const nowMs = this.#now();
    const isAmple = this.#freeBytes - this.#neededBytes >= AMPLE_BYTES && this.#failed === undefined;
    if (nowMs - this.#measuredAtMs < Math.max(intervalMs, isAmple ? AMPLE_MS : 0)) return;
    this.#measuredAtMs = nowMs;
    this.#freeBytes = this.#free(this.#options.path);
    if (this.#failed !== undefined && this.#freeBytes - this.#failed.freeBytes >= MORE_BYTES)
      this.#failed = undefined;
  }

  /** Throws `DiskFull` if a push must not be tried. `intervalMs` as for `look`. */
  require(intervalMs = LOOK_INTERVAL_MS): void {
    if (!this.look(intervalMs).isFull) return;
    if (!this.#isReserveUsed && this.mayTry) return;
    throw this.#error();
  }

  /** False for a moment after a write that failed because the disk was full. */
  get mayTry(): boolean {
    this.look();
    return this.#failed === undefined || this.#now() - this.#failed.atMs >= RETRY_MS;
  }

  /** Whether the free blocks of the file matter, and the count is out of date. */
  get isInsideDue(): boolean {
    return (
      this.look().freeBytes < this.#options.reserveBytes &&
      this.#now() - this.#insideAtMs >= INSIDE_INTERVAL_MS
    );
  }

  /** Bytes of the file's free blocks, as of the last count. */
  get bytesInside(): number {
    return this.#insideBytes;
  }

  /** Records the bytes of the file's free blocks. Free blocks at the end of the file go back to the disk. */
  noteInside(bytes: number): void {
    this.#measure(0);
    this.#insideBytes = bytes;
    this.#insideAtMs = this.#now();
  }

  /** Records that a write succeeded. */
  noteWritten(): void {
    if (this.#failed === undefined) return;
    this.#failed = undefined;
    // The last measurement may be of the full disk.
    this.look(0);
  }

  /** The error to throw for `error`: a `DiskFull` if the disk had no room, which is then recorded. */
  explain(error: unknown): unknown {
    if (!isDiskFull(error)) return error;
    this.#measure(0);
    this.#failed = { atMs: this.#now(), freeBytes: this.#freeBytes };
    this.look();
    const explained = this.#error();
    explained.cause = error;
    return explained;
  }

  /** Whether a checkpoint of a log of this size has the room that it needs. */
  holdsCheckpoint(logBytes: number): boolean {
    return this.look(0).freeBytes + this.#insideBytes >= logBytes + this.#checkpointBytes;
  }

  /** Whether the log should be moved early, because later there may be no room for that. */
  isCheckpointDue(logBytes: number): boolean {
    const { reserveBytes } = this.#options;
    return (
      logBytes >= LOG_BYTES_MIN && this.look(0).freeBytes < reserveBytes + logBytes + this.#checkpointBytes
    );
  }

  get #checkpointBytes(): number {
    return Math.min(CHECKPOINT_BYTES, this.#options.reserveBytes / 4);
  }

  get #isReserveUsed(): boolean {
    const { reserveBytes } = this.#options;
    return this.#freeBytes + Math.min(this.#insideBytes, INSIDE_MAX * reserveBytes) < this.#neededBytes;
  }

  /** Bytes that have to be free before a push is tried. */
  get #neededBytes(): number {
    return Math.max(this.#options.reserveBytes, BLOCK_BYTES);
  }

  #error(): DiskFull {
    return new DiskFull(
      `disk full: ${this.#freeBytes} bytes are free on the disk of the data folder, and ${this.#reason}`,
    );
  }

  get #reason(): string {
    if (!this.#isReserveUsed) return "a write failed because the disk was full";
    const { path, reserveBytes, size = sizeOf } = this.#options;
    const diskBytes = size(path);
    if (diskBytes < reserveBytes)
      return `the disk of ${diskBytes} bytes is smaller than diskReserveBytes (${reserveBytes}): give a smaller --disk-reserve-bytes`;
    const setting = reserveBytes < BLOCK_BYTES ? "" : " (diskReserveBytes)";
    return `pushes are accepted again when ${this.#neededBytes} bytes are free${setting}`;
  }
}

/** The error of opening a file: `DiskFull` if the disk had no room. */
export function explainNoRoom(path: string, error: unknown): unknown {
  if (!isDiskFull(error)) return error;
  const folder = dirname(path);
  return new DiskFull(
    `disk full: ${freeBytesOf(folder)} bytes are free in ${folder}; the store needs more to open`,
  );
}

/** Bytes that this user can still write to the disk of a file or folder. */
export function freeBytesOf(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

function sizeOf(path: string): number {
  const { blocks, bsize } = statfsSync(path);
  return blocks * bsize;
}

/** Bytes of the blocks inside the file that are free. */
export async function freeBytesInside(reader: Pick<Reader, "all">): Promise<number> {
  const [size] = await reader.all<{ block_size: number; free_blocks: number }>(
    statement("store/database_size"),
  );
  return size!.block_size * size!.free_blocks;
}
