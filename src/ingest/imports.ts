/**
 * How far each file was imported: known by the hash of its first line, never by its name. Chunks of a file must
 * come in order and without gaps, so that each line is stored once; an offset moves with the commit of its rows.
 */
import { Conflict } from "../errors.ts";
import { dayOf } from "../sample.ts";
import type { ImportRecord } from "../store/store.ts";
import type { AdmittedBatch } from "./admission.ts";

/** A piece of a file that a push carries. */
export interface ImportChunk {
  /** Hash of the file's first line. */
  readonly file: string;
  /** Bytes (uncompressed) before the chunk. */
  readonly fromOffset: number;
  /** Bytes up to its end, which is the end of a line. */
  readonly toOffset: number;
  readonly lastLineHash: string;
}

/** Each takes some 300 bytes in memory: 30 MB. */
const FILES_MAX = 100_000;

export class Imports {
  readonly #records = new Map<string, ImportRecord>();
  /** Records of the commit under way. */
  readonly #uncommitted = new Map<string, ImportRecord>();
  /** Offsets that chunks under way will reach. */
  readonly #reached = new Map<string, number>();

  constructor(stored: readonly ImportRecord[]) {
    for (const record of stored) this.#records.set(record.file, record);
  }

  /** How far a file was imported, or undefined for one that was never seen. */
  offset(file: string): { byteOffset: number; lastLineHash: string } | undefined {
    return this.#records.get(file);
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
   * The record that commits with the chunk's rows; it lives as long as the latest of them, or from now on when
   * there is none.
   *
   * @throws Conflict when a chunk before it was not stored
   */
  record(chunk: ImportChunk, { rows, doubtful }: AdmittedBatch, nowMs: number): ImportRecord {
    const { file, toOffset, lastLineHash } = chunk;
    const before = this.#uncommitted.get(file) ?? this.#records.get(file);
    expectFrom(chunk, before?.byteOffset);
    const days = [...rows, ...doubtful.map((each) => each.rows)].map(({ day }) => day);
    if (before?.lastDay !== undefined) days.push(before.lastDay);
    const lastDay = days.length === 0 ? dayOf(nowMs * 1000) : Math.max(...days);
    const record = { file, byteOffset: toOffset, lastLineHash, lastDay, updatedAtMs: nowMs };
    this.#uncommitted.set(file, record);
    return record;
  }

  commit({ file, toOffset }: ImportChunk): void {
    const record = this.#uncommitted.get(file);
    if (record !== undefined && record.byteOffset === toOffset) {
      this.#records.set(file, record);
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
      if (lastDay !== undefined && lastDay < firstDay) this.#records.delete(file);
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
