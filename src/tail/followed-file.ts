/**
 * One file that is followed: an inode, whatever its name. It is kept open, so that lines that were written before a
 * rotation or a deletion can still be read.
 *
 * A file is read from its position, which moves only after an acknowledgement. Before and after each read it is checked
 * that the file still has the same content before the position. Otherwise it was truncated, and begins again.
 */
import { type FileHandle, open } from "node:fs/promises";
import type { FileChunk, Remainder } from "../line-files/chunks.ts";
import { EventFile } from "../line-files/event-file.ts";
import type { Fingerprint } from "../line-files/fingerprint.ts";
import { type Identity, identityOf } from "../line-files/identity.ts";
import type { FilePart } from "../line-files/line-store.ts";
import type { MappedFormat } from "../line-formats/line-format.ts";
import type { FoundFile } from "./file-patterns.ts";
import type { Placement } from "./placement.ts";
import type { FileRecord } from "./tail-state.ts";

/** Bytes before the position that are compared. Two files hardly have the same there, if their lines have times. */
const ANCHOR_BYTES_MAX = 1_024;
/** An endless line of this size is read again only now and then, since each reading begins at its beginning. */
const ENDLESS_BYTES_MIN = 64 * 1_048_576;
const ENDLESS_RETRY_MS = 10_000;
/** What stands before the position after a line that was not read into memory as a whole. */
const NEWLINE = Uint8Array.of(0x0a);

/** A line that is not sent to the gateway. */
export interface UnreadLine {
  readonly line: number;
  readonly offset: number;
  readonly bytes: number;
}

export class FollowedFile {
  readonly key: string;
  path: string;
  readonly worker: string;
  isRotated: boolean;
  /** Size and time of the last change, when it was last looked at. */
  size: number;
  modifiedMs: number;
  /** Whether no pattern finds it any more. */
  isGone = false;
  /** When it had last changed, by the clock of the follower. */
  changedMs: number;
  /** Not read before this time, after an error. */
  retryMs = 0;
  /** When a chunk of it was last read. */
  servedMs = 0;
  /** The problem that was last reported, so that it is reported once. */
  problem = "";
  /** Lines over the limit that were passed, to be reported. */
  readonly unread: UnreadLine[] = [];

  /** The format of lines that are not events. */
  readonly #format: Pick<MappedFormat, "syntax" | "key"> | undefined;
  #handle: FileHandle | undefined;
  #content: EventFile | undefined;
  #record: FileRecord | undefined;
  /** The fingerprint of what was acknowledged. Undefined until its place was found. */
  #position: Fingerprint | undefined;
  #firstLine: string | undefined;
  #import: string | undefined;
  #stored = 0;
  #identity: Identity | undefined;
  readonly #earlierImports = new Set<string>();
  #anchor: Uint8Array = new Uint8Array(0);
  #reader: AsyncGenerator<FileChunk, void, undefined> | undefined;
  /** What was seen of the file before its last lines were read; undefined if it may have more. */
  #readTo: { readonly size: number; readonly modifiedMs: number } | undefined;
  /** Until when the file is not read again, because its last line is very long and has no end yet. */
  #endlessUntilMs = 0;
  /** Whether it was seen to become shorter since it was last checked. */
  #wasTruncated = false;

  constructor(
    found: FoundFile,
    record: FileRecord | undefined,
    nowMs: number,
    format?: Pick<MappedFormat, "syntax" | "key">,
  ) {
    this.#format = format;
    this.key = found.key;
    this.path = found.path;
    this.worker = found.worker;
    this.isRotated = found.isRotated;
    this.size = found.size;
    this.modifiedMs = found.modifiedMs;
    this.changedMs = nowMs;
    this.#record = record;
    if (record !== undefined && record.size >= 0)
      this.#readTo = { size: record.size, modifiedMs: record.modifiedMs };
  }

  /** The name of its import; undefined while none of its lines is stored. */
  get importName(): string | undefined {
    return this.#position === undefined ? this.#record?.file : this.#import;
  }

  /** Bytes whose lines are acknowledged. */
  get offset(): number {
    return this.#position?.bytes ?? this.#record?.offset ?? 0;
  }

  get isOpen(): boolean {
    return this.#handle !== undefined;
  }

  get isPlaced(): boolean {
    return this.#position !== undefined;
  }

  /** Whether it may have lines that were not read. */
  get mayHaveMore(): boolean {
    if (this.#readTo === undefined || this.#reader !== undefined) return true;
    const { size, modifiedMs } = this.#readTo;
    if (this.size === size && this.modifiedMs === modifiedMs) return false;
    return this.size < size || Date.now() >= this.#endlessUntilMs;
  }

  /** Bytes that are not acknowledged yet. 0 for compressed files, whose content has another size. */
  get lagBytes(): number {
    if (!this.mayHaveMore || this.#content?.isPacked === true) return 0;
    return Math.max(0, this.size - this.offset);
  }

  /** The file's place in the state. Undefined while nothing is known of it. */
  get record(): FileRecord | undefined {
    const { key, path } = this;
    const read = this.mayHaveMore ? undefined : this.#readTo;
    const about = { key, path, size: read?.size ?? -1, modifiedMs: read?.modifiedMs ?? 0 };
    if (this.#position === undefined) return this.#record && { ...this.#record, ...about };
    const traces = this.#content?.traces ?? { places: [], modifiedMs: 0 };
    return {
      ...about,
      ...(this.#import === undefined ? {} : { file: this.#import }),
      ...(this.#firstLine === undefined ? {} : { firstLine: this.#firstLine }),
      offset: this.#position.bytes,
      stored: this.#stored,
      identity: identityOf(this.#position, traces, this.worker, this.#identity, this.#format?.key),
    };
  }

  /** Notes where and how the file was found. Returns its former path if it was renamed. */
  seen(found: FoundFile, nowMs: number): string | undefined {
    const before = this.path;
    this.isGone = false;
    this.isRotated = found.isRotated;
    this.path = found.path;
    this.#look(found, nowMs);
    return before === found.path ? undefined : before;
  }

  /** Opens it, so that it can be read also if it is deleted. Returns false if another file is there by now. */
  async hold(): Promise<boolean> {
    if (this.#handle !== undefined) return true;
    const handle = await open(this.path, "r");
    const { dev, ino } = await handle.stat();
    if (`${dev}:${ino}` === this.key) {
      this.#handle = handle;
      return true;
    }
    await handle.close();
    return false;
  }

  /** Looks at the open file, which may have no name any more. */
  async lookAgain(nowMs: number): Promise<void> {
    if (this.#handle === undefined) return;
    const { size, mtimeMs } = await this.#handle.stat();
    this.#look({ size, modifiedMs: mtimeMs }, nowMs);
  }

  #look({ size, modifiedMs }: { readonly size: number; readonly modifiedMs: number }, nowMs: number): void {
    if (size !== this.size || modifiedMs !== this.modifiedMs) this.changedMs = nowMs;
    // It is shorter than before, so it has lost what was not read, and begins again.
    if (size < this.size && this.#content?.isPacked !== true) this.#wasTruncated = true;
    this.size = size;
    this.modifiedMs = modifiedMs;
  }

  /** The file's content, to find its place. Throws for a format that cannot be read. */
  async content(): Promise<EventFile> {
    if (this.#handle === undefined) throw new Error("the file is not open");
    this.#content = await EventFile.over(this.#handle, this.path, this.#format?.syntax);
    return this.#content;
  }

  /** What its place depends on. */
  get placing(): Pick<this, "worker" | "isRotated"> & {
    readonly record: FileRecord | undefined;
    readonly earlierImports: ReadonlySet<string>;
  } {
    const { worker, isRotated } = this;
    return { worker, isRotated, record: this.record, earlierImports: this.#earlierImports };
  }

  /** Its lines are read from here. */
  async place(placement: Placement & { readonly kind: "at" }): Promise<void> {
    const { from, file, firstLine, stored, identity } = placement;
    await this.#endReading();
    this.#position = from;
    this.#import = file;
    this.#firstLine = firstLine;
    this.#stored = stored;
    this.#identity = identity;
    this.#readTo = undefined;
    this.#endlessUntilMs = 0;
    this.#wasTruncated = false;
    this.#anchor = await this.#bytesBefore(from.bytes);
  }

  /** Skips what the file has at the moment. */
  async skip(position: Fingerprint, firstLine: string | undefined): Promise<void> {
    this.#position = position;
    this.#firstLine = firstLine;
    this.#anchor = await this.#bytesBefore(position.bytes);
  }

  /** Forgets the place, so that it is found again by the state and by what the gateway has. */
  async displace(): Promise<void> {
    this.#record = this.record;
    this.#position = undefined;
    await this.#endReading();
  }

  /** There is nothing to read until the file changes. */
  waitForChange(): void {
    this.#readTo = { size: this.size, modifiedMs: this.modifiedMs };
  }

  /**
   * Whether the file still has the content before the position. If it does not, it was truncated: it begins again with
   * what it has now, and `truncated` is called with the bytes that were not read.
   */
  async isIntact(truncated: (unreadBytes: number, before: FileRecord | undefined) => void): Promise<boolean> {
    if (this.#position === undefined) return true;
    const isPacked = this.#content?.isPacked === true;
    const { size } = await this.#handle!.stat();
    const offset = this.#position.bytes;
    const isSame =
      isPacked ||
      (!this.#wasTruncated &&
        size >= offset &&
        (await this.#bytesBefore(offset, this.#anchor.length)).equals(this.#anchor));
    if (isSame) return true;
    truncated(Math.max(0, this.size - offset), this.record);
    this.#wasTruncated = false;
    if (this.#import !== undefined) this.#earlierImports.add(this.#import);
    this.#record = undefined;
    this.#position = undefined;
    this.#import = undefined;
    this.#firstLine = undefined;
    this.#identity = undefined;
    this.#stored = 0;
    this.#readTo = undefined;
    this.#endlessUntilMs = 0;
    await this.#endReading();
    return false;
  }

  /** The next whole lines; undefined if there are none at the moment. */
  async next(): Promise<FileChunk | undefined> {
    const position = this.#position;
    if (position === undefined || this.#content === undefined) return undefined;
    if (this.#reader === undefined) {
      await this.lookAgain(this.changedMs);
      this.#readTo = { size: this.size, modifiedMs: this.modifiedMs };
      this.#reader = this.#content.chunks(position, (remainder) => this.#pass(remainder));
    }
    const { value, done } = await this.#reader.next();
    if (done !== true) return value;
    this.#reader = undefined;
    return undefined;
  }

  #pass(remainder: Remainder): void {
    if (remainder.kind !== "overlong") return;
    const { offset, bytes, after } = remainder;
    if (after === undefined) {
      if (bytes >= ENDLESS_BYTES_MIN) this.#endlessUntilMs = Date.now() + ENDLESS_RETRY_MS;
      return;
    }
    this.unread.push({ line: after.newlines, offset, bytes });
    // Each chunk is acknowledged before the next is read, so everything before this line is.
    this.#position = after;
    this.#anchor = NEWLINE;
  }

  /** The part of a chunk that the gateway stores. */
  async part(chunk: FileChunk, name: string): Promise<FilePart> {
    const content = this.#content!;
    await content.renewTraces(this.path);
    const { traces } = content;
    this.#identity = identityOf(chunk.after, traces, this.worker, this.#identity, this.#format?.key);
    return {
      file: name,
      firstLineHash: this.#firstLine,
      fromOffset: this.#stored,
      toOffset: chunk.toOffset,
      lastLineHash: chunk.lastLineHash,
      identity: this.#identity,
      body: chunk.body,
      firstLine: content.firstLine,
      isLive: true,
    };
  }

  get firstLine(): string | undefined {
    return this.#firstLine;
  }

  /** The offset that the gateway has of its import. */
  get stored(): number {
    return this.#stored;
  }

  /** The gateway has answered for a chunk. `name` is the import's if a line of the chunk is stored, else undefined. */
  acknowledge(chunk: FileChunk, name: string | undefined): void {
    this.#position = chunk.after;
    this.#anchor = chunk.body.slice(-ANCHOR_BYTES_MAX);
    if (name === undefined) return;
    this.#import = name;
    this.#stored = chunk.toOffset;
  }

  async close(): Promise<void> {
    await this.displace();
    await this.#handle?.close();
    this.#handle = undefined;
    this.#content = undefined;
  }

  async #endReading(): Promise<void> {
    const reader = this.#reader;
    // What is read and not acknowledged is read again.
    if (reader !== undefined) this.#readTo = undefined;
    this.#reader = undefined;
    await reader?.return();
  }

  /** The bytes before an offset, as chunks have them. */
  async #bytesBefore(offset: number, bytesMax = ANCHOR_BYTES_MAX): Promise<Buffer> {
    const from = Math.max(0, offset - bytesMax);
    const buffer = Buffer.alloc(offset - from);
    if (this.#content?.isPacked === true || buffer.length === 0) return buffer;
    const { bytesRead } = await this.#handle!.read(buffer, 0, buffer.length, from);
    const bytes = buffer.subarray(0, bytesRead);
    for (let at = bytes.indexOf(0); at !== -1; at = bytes.indexOf(0, at)) bytes[at] = 0x0a;
    return bytes;
  }
}
