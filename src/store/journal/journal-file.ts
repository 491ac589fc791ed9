/**
 * The file of the journal, beside the store's: texts in their order, each synced before it counts, from the start of the
 * file again whenever all before it were moved to the tables.
 *
 * A record is its text in UTF-8 behind a head, little-endian: bytes of the text (32 bits), CRC-32 of all that follows
 * (32), sequence (a double, whole). Sequences go up by one, from the time at which the store was made, and the tables
 * know the last that was moved, so that what an earlier round left behind the end, a record that a kill has torn, and
 * the journal of an earlier store in the same place, cannot be taken for the next.
 */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  write,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { StoreMismatch } from "../store.ts";
import { syncFolder } from "../sync-folder.ts";

const HEAD_BYTES = 16;
/** What is written is on the disk when the write is done: one call, and one thread for it, instead of two. */
const FLAGS = constants.O_RDWR | constants.O_DSYNC;
/** The checksum is of what comes after it. */
const CHECKED_FROM = 8;
/** A write that takes no longer is made where it is asked for: to hand it to another thread takes as long. */
const IN_PLACE_MS_MAX = 1;
/** After one that took longer so many are handed over: of a slow disk one write in so many holds up all else. */
const HANDED_OVER = 32;

export class JournalFile {
  readonly #path: string;
  /** None until there is something to write: on a full disk even an empty file may find no place. */
  #descriptor: number | undefined;
  #isClosed = false;
  #record: Buffer = Buffer.alloc(4_096);
  #end = 0;
  #sequence: number;
  /** How many of the next records are to be handed over. */
  #handedOver = 0;

  /**
   * Opens the file, if there is one, and reads what is in it that was not moved.
   *
   * @param moved the sequence of the last record that was moved
   * @throws StoreMismatch when the first record comes later than the one after that
   */
  static open(path: string, moved: number): { file: JournalFile; texts: string[] } {
    if (!existsSync(path)) return { file: new JournalFile(path, undefined, moved), texts: [] };
    const descriptor = openSync(path, FLAGS);
    try {
      syncFolder(dirname(path));
      const texts = textsOf(readFileSync(path), path, moved);
      return { file: new JournalFile(path, descriptor, moved + texts.length), texts };
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  private constructor(path: string, descriptor: number | undefined, sequence: number) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#sequence = sequence;
  }

  /** The sequence of the last record that was begun. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Appends a text; resolves when it is on the disk. One at a time, and none after `close`. After one that failed,
   * `restart` before the next: what may be left of it must not be followed.
   */
  async append(text: string): Promise<void> {
    const bytes = Buffer.byteLength(text);
    const length = HEAD_BYTES + bytes;
    if (this.#record.length < length) this.#record = Buffer.alloc(2 * length);
    const record = this.#record;
    record.writeUInt32LE(bytes, 0);
    record.writeDoubleLE(++this.#sequence, CHECKED_FROM);
    record.write(text, HEAD_BYTES);
    record.writeUInt32LE(Bun.hash.crc32(record.subarray(CHECKED_FROM, length)), 4);
    try {
      const descriptor = this.#made();
      const written =
        this.#handedOver > 0
          ? await this.#handOver(descriptor, record, length)
          : this.#writeInPlace(descriptor, record, length);
      if (written < length) throw new Error(`the journal took ${written} of ${length} bytes`);
    } catch (error) {
      this.#takeBack();
      throw error;
    }
    this.#end += length;
  }

  /** The next record comes at the start: all of this moment were moved. */
  restart(): void {
    this.#end = 0;
  }

  /** Gives the file back. Call it with `isMoved` when nothing of it is needed: then it is removed. */
  close(isMoved: boolean): void {
    this.#isClosed = true;
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    if (isMoved) rmSync(this.#path, { force: true });
  }

  /** The file, which is made where there is none. */
  #made(): number {
    if (this.#isClosed) throw new Error("the journal is closed");
    if (this.#descriptor === undefined) {
      this.#descriptor = openSync(this.#path, FLAGS | constants.O_CREAT, 0o600);
      syncFolder(dirname(this.#path));
    }
    return this.#descriptor;
  }

  /** Cuts off what is left of a record that failed: it may be whole, and a start would find what was refused. */
  #takeBack(): void {
    if (this.#descriptor === undefined) return;
    try {
      ftruncateSync(this.#descriptor, this.#end);
      fsyncSync(this.#descriptor);
    } catch {
      // A disk that takes not even this: the first failure is told, and no more can be done.
    }
  }

  #writeInPlace(descriptor: number, record: Buffer, length: number): number {
    const begin = performance.now();
    const written = writeSync(descriptor, record, 0, length, this.#end);
    if (performance.now() - begin > IN_PLACE_MS_MAX) this.#handedOver = HANDED_OVER;
    return written;
  }

  #handOver(descriptor: number, record: Buffer, length: number): Promise<number> {
    this.#handedOver--;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    write(descriptor, record, 0, length, this.#end, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
    return promise;
  }
}

function textsOf(bytes: Buffer, path: string, moved: number): string[] {
  const texts: string[] = [];
  let before: number | undefined;
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const from = at + HEAD_BYTES;
    const end = from + bytes.readUInt32LE(at);
    if (end > bytes.length) break;
    if (Bun.hash.crc32(bytes.subarray(at + CHECKED_FROM, end)) !== bytes.readUInt32LE(at + 4)) break;
    const sequence = bytes.readDoubleLE(at + CHECKED_FROM);
    if (before === undefined && sequence > moved + 1) {
      throw new StoreMismatch(
        `${path} goes on from change ${sequence - 1} and the store beside it ends with ${moved}; put the store that it ` +
          "belongs to back in its place, or remove the journal and lose its changes",
      );
    }
    if (before !== undefined && sequence !== before + 1) break;
    before = sequence;
    // A commit may fail and yet be on the disk: then records follow those that it moved.
    if (sequence > moved) texts.push(bytes.toString("utf8", from, end));
    at = end;
  }
  return texts;
}
