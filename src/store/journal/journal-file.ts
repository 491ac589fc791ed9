/**
 * The file of the journal, beside the store's. It contains texts in their order. Each is synced before it
 * counts. When all of them were moved to the tables, the file is written from its beginning again.
 *
 * A record is a header and a text in UTF-8. The header is little-endian: bytes of the text (32 bits), CRC-32 of
 * everything that follows (32 bits), sequence (a double, an integer). Sequences increase by one. They begin
 * with the time at which the store was made, and the tables contain the sequence of the last record that was
 * moved. So three things cannot be mistaken for the next record: leftovers of an earlier round behind the end,
 * a record torn by a kill, and the journal of an earlier store in the same folder.
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
import { StoreDamaged, StoreMismatch } from "../store.ts";
import { syncFolder } from "../sync-folder.ts";
import { CHECKED_FROM, gapText, HEAD_BYTES, type JournalReading, readRecords } from "./journal-records.ts";

/** Written data is on the disk when the write returns: one call on one thread, instead of a write and a sync. */
const FLAGS = constants.O_RDWR | constants.O_DSYNC;
/**
 * A faster write runs on the event loop. `scripts/bench --batch 1 --connections 1` measures it: a push of one event takes
 * 0.2 to 0.3 CPU-ms, and 0.3 to 0.4 if each record goes to another thread.
 */
const IN_PLACE_MS_MAX = 1;
/** After a slower write this many go to a thread. On a slow disk only one write in 33 blocks the event loop. */
const HANDED_OVER = 32;

export class JournalFile {
  readonly #path: string;
  /** Undefined until the first write. A full disk may have no room for even an empty file. */
  #descriptor: number | undefined;
  #isClosed = false;
  #record: Buffer = Buffer.alloc(4_096);
  #end = 0;
  #sequence: number;
  /** How many of the next records go to another thread. */
  #handedOver = 0;

  /**
   * Opens the file, if it exists, and reads the records that were not moved.
   *
   * @param moved the sequence of the last record that was moved
   * @param isRepair skips damaged records in front of others
   * @throws StoreMismatch when the first record's sequence is more than one after `moved`
   * @throws StoreDamaged when a record is damaged and records after it are not, unless `isRepair` is set. The file is not
   *   changed
   */
  static open(path: string, moved: number, isRepair = false): { file: JournalFile; reading: JournalReading } {
    if (!existsSync(path))
      return { file: new JournalFile(path, undefined, moved), reading: readRecords(Buffer.alloc(0), moved) };
    const descriptor = openSync(path, FLAGS);
    try {
      syncFolder(dirname(path));
      const reading = readJournal(path, moved);
      if (!isRepair) requireWholeJournal(path, reading);
      return { file: new JournalFile(path, descriptor, reading.sequence), reading };
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

  /** The sequence of the newest record, whether or not its write succeeded. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Appends a text. Resolves when it is on the disk. Call it once at a time, and not after `close`. After a
   * failure call `restart` before the next record, because nothing may follow what is left of the failed one.
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
      if (written < length) throw new Error(`only ${written} of ${length} bytes of the record were written`);
    } catch (error) {
      this.#takeBack();
      throw error;
    }
    this.#end += length;
  }

  /** Writes the next record at the beginning of the file. All current records must have been moved. */
  restart(): void {
    this.#end = 0;
  }

  /** Closes the file. Pass `isMoved` if none of its records is needed: the file is then removed. */
  close(isMoved: boolean): void {
    this.#isClosed = true;
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    if (isMoved) rmSync(this.#path, { force: true });
  }

  /** The file's descriptor. Creates the file if it does not exist. */
  #made(): number {
    if (this.#isClosed) throw new Error("the journal is closed");
    if (this.#descriptor === undefined) {
      this.#descriptor = openSync(this.#path, FLAGS | constants.O_CREAT, 0o600);
      syncFolder(dirname(this.#path));
    }
    return this.#descriptor;
  }

  /** Cuts off a failed record. It may be complete on the disk, and a start would then read a rejected change. */
  #takeBack(): void {
    if (this.#descriptor === undefined) return;
    try {
      ftruncateSync(this.#descriptor, this.#end);
      fsyncSync(this.#descriptor);
    } catch {
      // The disk does not accept this either. The first error is reported, and nothing more can be done.
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

/**
 * Reads a journal without changing it.
 *
 * @throws StoreMismatch when the first record's sequence is more than one after `moved`
 */
export function readJournal(path: string, moved: number): JournalReading {
  const reading = readRecords(readFileSync(path), moved);
  if (reading.foreign === undefined) return reading;
  throw new StoreMismatch(
    `${path} continues from change ${reading.foreign - 1}, but the store beside it ends with change ${moved}; restore the ` +
      "store that the journal belongs to, or remove the journal and lose its changes",
  );
}

/** Throws `StoreDamaged` if records are damaged in front of others. */
export function requireWholeJournal(path: string, { gaps, readBehind }: JournalReading): void {
  if (gaps.length === 0) return;
  const followers = readBehind === 1 ? "1 record after it can" : `${readBehind} records after it can`;
  throw new StoreDamaged(
    `${path} is damaged: ${gapText(gaps)} cannot be read, but ${followers}. Nothing was changed. Put a backup in place ` +
      `of the folder (weir restore), or run "weir doctor --repair --data ${dirname(path)}", which stores the records that ` +
      "can be read and keeps the damaged file.",
  );
}
