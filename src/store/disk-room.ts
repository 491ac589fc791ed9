/**
 * Room on the disk of the store, and when a push is refused for want of it.
 *
 * The engine survives a commit that finds the disk full: it rolls back. It does not survive such a checkpoint: it then
 * gives up on its file until that is opened again. So pushes are refused while there is still a reserve, which
 * checkpoints, the journal's move and the drop of old days may use. Another program can fill the disk past the reserve
 * all the same: then commits fail, checkpoints wait, and the next commit that passes says that there is room again.
 *
 * Blocks that the file itself has free count as room, up to a part of the reserve: where Weir's own file fills the disk,
 * old days that are dropped make room in the file and none beside it, where only the log needs some.
 */
import { statfsSync } from "node:fs";
import { Unavailable } from "../model/errors.ts";
import type { Room } from "./store.ts";

/** Nothing of a request was stored, for want of room on the disk. */
export class DiskFull extends Unavailable {
  override readonly code = "disk_full";
  override readonly retryAfterSeconds = 10;
}

export interface DiskRoomOptions {
  /** A file of the disk, which is there. */
  readonly path: string;
  readonly reserveBytes: number;
  /** Called when the disk has become full, and when it no longer is. */
  readonly onChange?: (room: Room) => void;
  /** Milliseconds of a clock that never goes back; the process's own if absent. */
  readonly now?: () => number;
  /** Bytes that are free on the disk of `path`; what the system says if absent. */
  readonly free?: (path: string) => number;
}

/** A look takes 1.5 µs, but where the disk is another machine's a network's round trip; a commit looks each time. */
const LOOK_INTERVAL_MS = 100;
/** To count the free blocks of the file takes 0.3 ms, as long as three small commits. */
const INSIDE_INTERVAL_MS = 50;
/** After a write that failed, the next is tried no sooner. */
const RETRY_MS = 1_000;
/** Or as soon as so much more is free. */
const MORE_BYTES = 1_048_576;
/** The part of the reserve that free blocks of the file can stand for; the log needs the rest beside it. */
const INSIDE_MAX = 0.75;
/** What a checkpoint writes beside the rows of the log: the last rows of each table and all of its lists, anew. */
const CHECKPOINT_BYTES = 16 * 1_048_576;
/** A shorter log is not worth a checkpoint of its own. */
const LOG_BYTES_MIN = 1_048_576;

export class DiskRoom {
  readonly #options: DiskRoomOptions;
  readonly #now: () => number;
  readonly #free: (path: string) => number;
  #freeBytes = Number.POSITIVE_INFINITY;
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  #insideBytes = 0;
  #insideAtMs = Number.NEGATIVE_INFINITY;
  /** When a write last failed for want of room, and what was free then; until one passes, or more is free. */
  #failed: { readonly atMs: number; readonly freeBytes: number } | undefined;
  #wasFull = false;

  constructor(options: DiskRoomOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#free = options.free ?? freeBytesOf;
  }

  /** The room of this moment, or of so short a time ago. */
  look(intervalMs = LOOK_INTERVAL_MS): Room {
    this.#measure(intervalMs);
    const room = { freeBytes: this.#freeBytes, isFull: this.#failed !== undefined || this.#isReserveUsed };
    if (room.isFull !== this.#wasFull) {
      this.#wasFull = room.isFull;
      this.#options.onChange?.(room);
    }
    return room;
  }

  /** Asks the system, unless it was asked so short a time ago. */
  #measure(intervalMs: number): void {
    const nowMs = this.#now();
    if (nowMs - this.#measuredAtMs < intervalMs) return;
    this.#measuredAtMs = nowMs;
    this.#freeBytes = this.#free(this.#options.path);
    if (this.#failed !== undefined && this.#freeBytes - this.#failed.freeBytes >= MORE_BYTES)
      this.#failed = undefined;
  }

  /** Throws `DiskFull` where a push is not to be tried; `intervalMs` as for `look`. */
  require(intervalMs = LOOK_INTERVAL_MS): void {
    if (!this.look(intervalMs).isFull) return;
    if (!this.#isReserveUsed && this.mayTry) return;
    throw this.#error();
  }

  /** False for a moment after a write that failed for want of room. */
  get mayTry(): boolean {
    this.look();
    return this.#failed === undefined || this.#now() - this.#failed.atMs >= RETRY_MS;
  }

  /** Whether the free blocks of the file count, and are to be counted anew. */
  get isInsideDue(): boolean {
    return (
      this.look().freeBytes < this.#options.reserveBytes &&
      this.#now() - this.#insideAtMs >= INSIDE_INTERVAL_MS
    );
  }

  /** Takes note of the bytes of the file's free blocks; at its end they are given back to the disk. */
  noteInside(bytes: number): void {
    this.#measure(0);
    this.#insideBytes = bytes;
    this.#insideAtMs = this.#now();
  }

  /** Takes note of a write that passed. */
  noteWritten(): void {
    if (this.#failed === undefined) return;
    this.#failed = undefined;
    this.look();
  }

  /** What is to be thrown for an error: a `DiskFull`, and note of it taken, if the disk had no room. */
  explain(error: unknown): unknown {
    if (!isDiskFull(error)) return error;
    this.#measure(0);
    this.#failed = { atMs: this.#now(), freeBytes: this.#freeBytes };
    this.look();
    const explained = this.#error();
    explained.cause = error;
    return explained;
  }

  /** Whether a checkpoint that moves such a log finds the room that it takes. */
  holdsCheckpoint(logBytes: number): boolean {
    return this.look(0).freeBytes + this.#insideBytes >= logBytes + this.#checkpointBytes;
  }

  /** Whether the log should be moved before its time, since later there may be no room for that. */
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
    return this.#freeBytes + Math.min(this.#insideBytes, INSIDE_MAX * reserveBytes) < reserveBytes;
  }

  #error(): DiskFull {
    const why = this.#isReserveUsed
      ? `pushes are accepted again from ${this.#options.reserveBytes} on (diskReserveBytes)`
      : "a write failed for want of room";
    return new DiskFull(`disk full: ${this.#freeBytes} bytes are free where the data is, and ${why}`);
  }
}

/** Bytes that this user may still write to the disk of a file or folder. */
export function freeBytesOf(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Whether an error, of the system or of the engine, says that the disk, or what this user may use of it, is full. */
export function isDiskFull(error: unknown): boolean {
  const text = String(error);
  // An engine that gave up on its file names the reason too.
  return /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/.test(text) && !isFatal(error);
}

/** Whether the engine gave up on its file: it answers nothing any more until the file is opened again. */
export function isFatal(error: unknown): boolean {
  return String(error).includes("FATAL Error");
}
