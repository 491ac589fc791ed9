/**
 * The file of the journal, beside the store's. It contains records in their order. Each is synced before it counts.
 * journal-records.ts describes the format.
 *
 * Records that were moved to the tables are released, and the file is written from its beginning again. Records that
 * were appended meanwhile are copied to the beginning first. A copy has the sequences of its originals, which are
 * overwritten only later. So a kill at any byte of the copy leaves each record at least once.
 *
 * Sequences increase by one. They begin with the time at which the store was made, and the tables contain the sequence
 * of the last record that was moved. So three things cannot be mistaken for the next record: leftovers of an earlier
 * round behind the end, a record torn by a kill, and the journal of an earlier store in the same folder.
 */
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  write,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { shellWord } from "../../model/errors.ts";
import { StoreDamaged, StoreMismatch } from "../store.ts";
import { syncFolder } from "../sync-folder.ts";
import {
  gapText,
  HEAD_BYTES,
  headerPage,
  type JournalReading,
  KEY_BYTES,
  LOG_NOTE_AT,
  LOG_NOTE_BYTES,
  logNote,
  notedLogBytes,
  RECORDS_FROM,
  readRecords,
  sealRecord,
} from "./journal-records.ts";

/** Written data is on the disk when the write returns: one call on one thread, instead of a write and a sync. */
const FLAGS = constants.O_RDWR | constants.O_DSYNC;
/**
 * A faster write runs on the event loop. `scripts/bench --batch 1 --connections 1` measures it: a push of one event takes
 * 0.2 to 0.3 CPU-ms, and 0.3 to 0.4 if each record goes to another thread.
 */
const IN_PLACE_MS_MAX = 1;
/** More bytes go to another thread at once. Meanwhile the event loop decodes other pushes. */
const IN_PLACE_BYTES_MAX = 32_768;
/**
 * After a slower write, one write goes to a thread, and after each further slow one twice as many, up to this number. So on a
 * slow disk one write in 33 blocks the event loop, and a disk that is slow now and then costs few changes of the thread.
 */
const HANDED_OVER_MAX = 32;
/** A larger buffer is not kept after its record. */
const BUFFER_BYTES_KEPT_MAX = 4 * 1_048_576;

/** What a record contains. */
export interface Payload {
  readonly bytes: number;
  /** Writes the bytes into `target`, from `at` on. */
  write(target: Buffer, at: number): void;
}

/** The end of a record. */
export interface Mark {
  readonly sequence: number;
  readonly end: number;
}

export class JournalFile {
  readonly #path: string;
  /** Undefined until the first write. A full disk may have no room for even an empty file. */
  #descriptor: number | undefined;
  /** For what need not be on the disk at once. */
  #unsynced: number | undefined;
  readonly #key: Uint8Array;
  /** Whether the file has a whole header page with the key. */
  #hasHeader: boolean;
  #isClosed = false;
  #buffer: Buffer = Buffer.alloc(4_096);
  #end = RECORDS_FROM;
  #sequence: number;
  /** How many of the next records go to another thread. */
  #handedOver = 0;
  /** How many will go there after the next slow write. */
  #handedOverNext = 1;
  /** The last operation that writes. One runs at a time. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Opens the file, if it exists, and reads the records that were not moved. Until they have been moved, nothing can be
   * appended.
   *
   * @param moved the sequence of the last record that was moved
   * @param isRepair skips damaged records in front of others
   * @param isLogShort whether the log is known to have lost commits
   * @throws StoreMismatch when the first record's sequence is more than one after `moved`
   * @throws StoreDamaged when a record is damaged and records after it are not, unless `isRepair` is set. The file is not
   *   changed
   */
  static open(
    path: string,
    moved: number,
    isRepair = false,
    isLogShort = false,
  ): { file: JournalFile; reading: JournalReading } {
    if (!existsSync(path)) {
      const reading = readRecords(Buffer.alloc(0), moved);
      return { file: new JournalFile(path, undefined, reading), reading };
    }
    const descriptor = openSync(path, FLAGS);
    try {
      syncFolder(dirname(path));
      const reading = readJournal(path, moved, isLogShort);
      if (!isRepair) requireWholeJournal(path, reading);
      return { file: new JournalFile(path, descriptor, reading), reading };
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  private constructor(
    path: string,
    descriptor: number | undefined,
    { sequence, key, foundKey }: JournalReading,
  ) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#sequence = sequence;
    this.#hasHeader = key !== undefined;
    // A damaged header is written again with the key of the records, by which the store knows the file.
    this.#key =
      foundKey === undefined ? crypto.getRandomValues(new Uint8Array(KEY_BYTES)) : Uint8Array.from(foundKey);
  }

  /** The key of the file. */
  get key(): Uint8Array {
    return this.#key;
  }

  /** Creates the file with its header, unless it has one. Records without a header must have been moved. Resolves when it is on the disk. */
  prepare(): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#hasHeader) return;
      await this.#write(headerPage(this.#key), RECORDS_FROM, 0);
      this.#hasHeader = true;
    });
  }

  /**
   * Notes how many bytes of whole commits the engine's log has. A start then notices if the log has lost any. This is not
   * synced: after a loss of power the note may be an earlier one. It does nothing if the file has no header yet.
   */
  noteLog(logBytes: number): void {
    if (!this.#hasHeader || this.#isClosed) return;
    // Another descriptor, which does not sync.
    this.#unsynced ??= openSync(this.#path, constants.O_RDWR);
    writeSync(this.#unsynced, logNote(logBytes), 0, LOG_NOTE_BYTES, LOG_NOTE_AT);
  }

  /** Notes that nothing is known of the log, which a checkpoint is about to end. Returns when that is on the disk. */
  forgetLog(): void {
    if (!this.#hasHeader || this.#isClosed) return;
    writeSync(this.#made(), logNote(0), 0, LOG_NOTE_BYTES, LOG_NOTE_AT);
  }

  /** The newest record, whether or not its write succeeded. */
  get mark(): Mark {
    return { sequence: this.#sequence, end: this.#end };
  }

  /**
   * Appends a change in one or more records, in one write. Resolves to the end of each when they are on the disk. Do not
   * call it after `close`. After a failure everything must be moved and `restart` called before the next record, because
   * nothing may follow what is left of the failed one.
   */
  append(...payloads: readonly Payload[]): Promise<Mark[]> {
    return this.#inOrder(async () => {
      const from = this.#hasHeader ? this.#end : 0;
      const bytes = payloads.reduce((sum, payload) => sum + HEAD_BYTES + payload.bytes, this.#end - from);
      const buffer = this.#bufferOf(bytes);
      // Only a file without records lacks its header.
      if (from === 0) headerPage(this.#key).copy(buffer);
      let at = this.#end - from;
      const marks = payloads.map((payload, index): Mark => {
        const end = at + HEAD_BYTES + payload.bytes;
        payload.write(buffer, at + HEAD_BYTES);
        const continues = index < payloads.length - 1;
        sealRecord(buffer.subarray(at, end), { sequence: ++this.#sequence, key: this.#key, continues });
        at = end;
        return { sequence: this.#sequence, end: from + end };
      });
      try {
        await this.#write(buffer, bytes, from);
      } catch (error) {
        this.#takeBack();
        throw error;
      }
      this.#hasHeader = true;
      this.#end = from + bytes;
      return marks;
    });
  }

  /** Frees the room of the records up to a mark, which were moved. Later records stay. */
  release({ end }: Mark): Promise<void> {
    return this.#inOrder(async () => {
      const bytes = this.#end - end;
      // The copy must not overwrite its originals. With more records it is worth waiting for the next release.
      if (bytes > end - RECORDS_FROM) return;
      if (bytes > 0) {
        const buffer = this.#bufferOf(bytes);
        if (readSync(this.#made(), buffer, 0, bytes, end) < bytes) throw new Error("the journal was cut");
        await this.#write(buffer, bytes, RECORDS_FROM);
      }
      this.#end = RECORDS_FROM + bytes;
    });
  }

  /** Gives the room of the file back to the disk, if it has no record that is needed. */
  shrink(): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#end > RECORDS_FROM || this.#descriptor === undefined || !this.#hasHeader) return;
      ftruncateSync(this.#descriptor, RECORDS_FROM);
    });
  }

  /** Writes the next record at the beginning of the file. All current records must have been moved. */
  restart(): void {
    this.#end = RECORDS_FROM;
  }

  /** Closes the file. Pass `isMoved` if none of its records is needed: the file is then removed. */
  close(isMoved: boolean): void {
    this.#isClosed = true;
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    if (this.#unsynced !== undefined) closeSync(this.#unsynced);
    this.#unsynced = undefined;
    if (isMoved) rmSync(this.#path, { force: true });
  }

  #inOrder<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #bufferOf(bytes: number): Buffer {
    if (this.#buffer.length < bytes || this.#buffer.length > BUFFER_BYTES_KEPT_MAX)
      this.#buffer = Buffer.allocUnsafeSlow(Math.min(2 * bytes, bytes + BUFFER_BYTES_KEPT_MAX));
    return this.#buffer;
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
      ftruncateSync(this.#descriptor, this.#hasHeader ? this.#end : 0);
      fsyncSync(this.#descriptor);
    } catch {
      // The disk does not accept this either. The first error is reported, and nothing more can be done.
    }
  }

  async #write(buffer: Buffer, bytes: number, at: number): Promise<void> {
    const descriptor = this.#made();
    const isSlow = bytes > IN_PLACE_BYTES_MAX || this.#handedOver > 0;
    const written = isSlow
      ? await this.#handOver(descriptor, buffer, bytes, at)
      : this.#writeInPlace(descriptor, buffer, bytes, at);
    if (written < bytes) throw new Error(`only ${written} of ${bytes} bytes of the record were written`);
  }

  #writeInPlace(descriptor: number, buffer: Buffer, bytes: number, at: number): number {
    const begin = performance.now();
    const written = writeSync(descriptor, buffer, 0, bytes, at);
    if (performance.now() - begin > IN_PLACE_MS_MAX) {
      this.#handedOver = this.#handedOverNext;
      this.#handedOverNext = Math.min(2 * this.#handedOverNext, HANDED_OVER_MAX);
    } else if (this.#handedOverNext > 1) this.#handedOverNext /= 2;
    return written;
  }

  #handOver(descriptor: number, buffer: Buffer, bytes: number, at: number): Promise<number> {
    if (this.#handedOver > 0) this.#handedOver--;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    write(descriptor, buffer, 0, bytes, at, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
    return promise;
  }
}

/** Creates a journal without records, for a copy of a store whose journal was moved. Returns when it is on the disk. */
export function writeEmptyJournal(path: string, key: Uint8Array): void {
  const descriptor = openSync(path, FLAGS | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    writeSync(descriptor, headerPage(key));
  } finally {
    closeSync(descriptor);
  }
}

/** The bytes that the engine's log must have, as the header of the journal has noted. 0 if nothing is known. */
export function readLogNote(path: string): number {
  if (!existsSync(path)) return 0;
  const descriptor = openSync(path, "r");
  try {
    const page = Buffer.alloc(RECORDS_FROM);
    const length = readSync(descriptor, page, 0, RECORDS_FROM, 0);
    return notedLogBytes(page.subarray(0, length));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads a journal without changing it. If the log is known to have lost commits, they may have moved records that are not in the
 * file any more. It is then read as if they were moved.
 *
 * @param isLogShort whether the log is known to have lost commits
 * @throws StoreMismatch when the first record's sequence is more than one after `moved`
 */
export function readJournal(path: string, moved: number, isLogShort: boolean): JournalReading {
  const bytes = readFileSync(path);
  const reading = readRecords(bytes, moved);
  if (reading.foreign === undefined) return reading;
  if (isLogShort) return readRecords(bytes, reading.foreign - 1);
  throw new StoreMismatch(
    `${path} continues from change ${reading.foreign - 1}, but the store beside it ends with change ${moved}; ${restoreAdvice(path)}`,
  );
}

function restoreAdvice(path: string): string {
  const command = `weir doctor --repair --data ${shellWord(dirname(path))}`;
  return (
    "restore the store that the journal belongs to, or move the journal to another folder, run " +
    `"${command}", and lose its changes`
  );
}

/** What a store knows about the file of its journal. */
export interface ExpectedJournal {
  /** In hexadecimal. */
  readonly key: string;
  /** When records were moved last. Undefined if that is not known. */
  readonly movedAtMs: number | undefined;
}

/**
 * Whether the file that a store expects is not there, or nothing of it can be read.
 *
 * @throws StoreMismatch if it is the file of another store
 */
export function isJournalLost(
  path: string,
  expected: ExpectedJournal | undefined,
  { foundKey }: JournalReading,
): boolean {
  if (expected === undefined) return false;
  if (foundKey === undefined) return true;
  if (keyText(foundKey) === expected.key) return false;
  throw new StoreMismatch(`${path} is the journal of another store; ${restoreAdvice(path)}`);
}

/** The error for a journal that is lost. */
export function lostJournal(path: string, { movedAtMs }: ExpectedJournal): StoreDamaged {
  const what = existsSync(path) ? "is empty, or nothing of it can be read" : "is missing";
  return new StoreDamaged(
    `${path} ${what}, although the store beside it was not closed in order: ${lostChanges(movedAtMs)} are lost. Nothing ` +
      "was changed. Put the file back, or a backup in place of the folder (weir restore), or run " +
      `"weir doctor --repair --data ${shellWord(dirname(path))}", which opens the store without these changes.`,
  );
}

/** The changes that were in a journal, as a part of a sentence. */
export function lostChanges(movedAtMs: number | undefined): string {
  const since = movedAtMs === undefined ? "" : ` since ${new Date(movedAtMs).toISOString()}`;
  return `small changes that were acknowledged${since} and not yet moved to the database`;
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key).toString("hex");
}

/** Throws `StoreDamaged` if records are damaged in front of others. */
export function requireWholeJournal(path: string, { gaps, readBehind }: JournalReading): void {
  if (gaps.length === 0) return;
  const followers = readBehind === 1 ? "1 record after it can" : `${readBehind} records after it can`;
  throw new StoreDamaged(
    `${path} is damaged: ${gapText(gaps)} cannot be read, but ${followers}. Nothing was changed. Put a backup in place ` +
      `of the folder (weir restore), or run "weir doctor --repair --data ${shellWord(dirname(path))}", which stores the records that ` +
      "can be read and keeps the damaged file.",
  );
}
