/**
 * How far each file was imported. Chunks of a file must arrive in order and without gaps, so that each line is stored
 * once. The offset of a file is committed with the rows of its chunk. The importer identifies files: it finds the
 * imports of files that begin with the same line, and keeps with each import what distinguishes the files.
 */
import { Conflict } from "../model/errors.ts";
import { dayOf } from "../model/sample.ts";
import type { ImportRecord } from "../store/store.ts";
import type { AdmittedBatch } from "./admission/admission.ts";
import type { ImportChunk } from "./contract.ts";

/** Files that are remembered. Each takes 1 KB of memory, mostly for the identity: 100 MB for all. */
const FILES_MAX = 100_000;

export class Imports {
  readonly #records = new Map<string, ImportRecord>();
  /** The names of the imports of files with the same first line, by its hash. */
  readonly #byFirstLine = new Map<string, Set<string>>();
  /** Records of the current commit. */
  readonly #uncommitted = new Map<string, ImportRecord>();
  /** The offsets at which the chunks end that are not committed yet. */
  readonly #reached = new Map<string, number>();

  constructor(stored: readonly ImportRecord[]) {
    for (const record of stored) this.#set(record);
  }

  /** How far a file was imported, or undefined if it never was. */
  find(file: string): ImportRecord | undefined {
    return this.#records.get(file);
  }

  /** The imports of all files whose first line has this hash. */
  withFirstLine(hash: string): ImportRecord[] {
    return [...(this.#byFirstLine.get(hash) ?? [])].map((file) => this.#records.get(file)!);
  }

  #set(record: ImportRecord): void {
    const { file, firstLineHash } = record;
    this.#forget(file);
    this.#records.set(file, record);
    const files = this.#byFirstLine.get(firstLineHash);
    if (files === undefined) this.#byFirstLine.set(firstLineHash, new Set([file]));
    else files.add(file);
  }

  #forget(file: string): void {
    const record = this.#records.get(file);
    if (record === undefined) return;
    this.#records.delete(file);
    const files = this.#byFirstLine.get(record.firstLineHash);
    files?.delete(file);
    if (files?.size === 0) this.#byFirstLine.delete(record.firstLineHash);
  }

  /** @throws Conflict if the chunk does not continue where the last one ended, or if too many files are remembered */
  check(chunk: ImportChunk): void {
    const { file } = chunk;
    const known = this.#records.has(file) || this.#reached.has(file);
    if (!known && this.#records.size + this.#reached.size >= FILES_MAX) {
      throw new Conflict(
        `this file would exceed the limit of ${FILES_MAX} remembered imports: import it again when retention has ` +
          "dropped old ones",
        "import_file",
      );
    }
    expectFrom(chunk, this.#reached.get(file) ?? this.#records.get(file)?.byteOffset);
  }

  /** Notes a chunk that waits for its commit. */
  begin({ file, toOffset }: ImportChunk): void {
    this.#reached.set(file, toOffset);
  }

  /**
   * The record that is committed with the chunk's rows. It is kept as long as the latest of them. Undefined if all
   * lines were rejected: you can import the file again when their cause is removed, such as a retention that is too
   * short.
   *
   * @throws Conflict if an earlier chunk was not stored
   */
  record(
    chunk: ImportChunk,
    { rows, unchecked, exemplars }: AdmittedBatch,
    nowMs: number,
  ): ImportRecord | undefined {
    const { file, toOffset, lastLineHash, firstLineHash = file, identity = "" } = chunk;
    const before = this.#uncommitted.get(file) ?? this.#records.get(file);
    expectFrom(chunk, before?.byteOffset);
    const days = [...rows, ...unchecked.map((each) => each.rows)].map(({ day }) => day);
    for (const { timestampUs } of exemplars) days.push(dayOf(timestampUs));
    if (days.length === 0) return undefined;
    if (before?.lastDay !== undefined) days.push(before.lastDay);
    const lastDay = Math.max(...days);
    const record = {
      file,
      firstLineHash,
      identity,
      byteOffset: toOffset,
      lastLineHash,
      lastDay,
      updatedAtMs: nowMs,
    };
    this.#uncommitted.set(file, record);
    return record;
  }

  commit({ file, toOffset }: ImportChunk): void {
    const record = this.#uncommitted.get(file);
    if (record !== undefined && record.byteOffset === toOffset) {
      this.#set(record);
      this.#uncommitted.delete(file);
    }
    if (this.#reached.get(file) === toOffset) this.#reached.delete(file);
  }

  /** The chunk was not stored. The next chunk must continue from the last commit. */
  fail({ file }: ImportChunk): void {
    this.#reached.delete(file);
    this.#uncommitted.delete(file);
  }

  forgetBefore(firstDay: number): void {
    for (const [file, { lastDay }] of this.#records) {
      if (lastDay !== undefined && lastDay < firstDay) this.#forget(file);
    }
  }
}

function expectFrom({ fromOffset }: ImportChunk, reached = 0): void {
  if (fromOffset === reached) return;
  throw new Conflict(
    `import_from is ${fromOffset}, expected ${reached}: this file was imported up to there`,
    "import_from",
  );
}
