/**
 * How far each file was imported. Chunks of a file must come in order and without gaps, so that each line is stored
 * once; an offset moves with the commit of its rows. Which file is which is the importer's to know: it finds the
 * imports of files that begin with the same line, and keeps with each what it needs to tell them apart.
 */
import { Conflict } from "../model/errors.ts";
import type { ImportRecord } from "../store/store.ts";
import type { AdmittedBatch } from "./admission/admission.ts";

/** A piece of a file that a push carries. */
export interface ImportChunk {
  /** The import's own name. */
  readonly file: string;
  /** `file` if absent. */
  readonly firstLineHash?: string;
  /** What tells the file from others that begin with the same line; the importer's own text. */
  readonly identity?: string;
  /** Bytes (uncompressed) before the chunk. */
  readonly fromOffset: number;
  /** Bytes up to its end, which is the end of a line. */
  readonly toOffset: number;
  readonly lastLineHash: string;
}

/** Each takes 1 KB in memory (most of it the identity): 100 MB. */
const FILES_MAX = 100_000;

export class Imports {
  readonly #records = new Map<string, ImportRecord>();
  /** The names of the imports of files with the same first line, by its hash. */
  readonly #byFirstLine = new Map<string, Set<string>>();
  /** Records of the commit under way. */
  readonly #uncommitted = new Map<string, ImportRecord>();
  /** Offsets that chunks under way will reach. */
  readonly #reached = new Map<string, number>();

  constructor(stored: readonly ImportRecord[]) {
    for (const record of stored) this.#set(record);
  }

  /** How far a file was imported, or undefined for one that was never seen. */
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

  /** @throws Conflict when the chunk does not go on where the file was left, or too many files are remembered */
  check(chunk: ImportChunk): void {
    const { file } = chunk;
    const known = this.#records.has(file) || this.#reached.has(file);
    if (!known && this.#records.size + this.#reached.size >= FILES_MAX) {
      throw new Conflict(
        `${FILES_MAX} imported files are remembered, this would be one more: it can be imported when old ones have ` +
          "left with their days",
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
   * The record that commits with the chunk's rows, and lives as long as the latest of them. Undefined where all lines
   * were rejected: the file can be imported again when what was wrong with them is mended, such as the retention.
   *
   * @throws Conflict when a chunk before it was not stored
   */
  record(chunk: ImportChunk, { rows, doubtful }: AdmittedBatch, nowMs: number): ImportRecord | undefined {
    const { file, toOffset, lastLineHash, firstLineHash = file, identity = "" } = chunk;
    const before = this.#uncommitted.get(file) ?? this.#records.get(file);
    expectFrom(chunk, before?.byteOffset);
    const days = [...rows, ...doubtful.map((each) => each.rows)].map(({ day }) => day);
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

  /** The chunk was not stored: the file goes on from its last commit. */
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
