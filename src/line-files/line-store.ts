/**
 * The contract of where the lines of files are stored: a gateway, over HTTP or in this process.
 *
 * The offset of a file commits with the lines before it. A part whose `fromOffset` is not the stored offset is not
 * stored. So each line is stored once, also if two programs read the file, or if one is killed at any time.
 */
import type { Identity, KnownFile } from "./identity.ts";

/** The gateway's error for one line. */
export interface LineError {
  /** The index of the line among the part's lines that are not blank, from 0. */
  readonly index: number;
  readonly reason: string;
  /** A short word: `timestamp`, `syntax`, `value` … */
  readonly cause: string;
}

/** A field of a stored line that was not stored as it was sent. */
export interface LineWarning {
  /** The index of the first such line. */
  readonly index: number;
  /** Gateways of earlier versions do not name it. */
  readonly field?: string;
  readonly message: string;
  /** The number of such lines, if there are several. */
  readonly events?: number;
}

/** The gateway's answer for a part. `causes` counts all rejected lines, and `errors` lists the first of them. */
export interface PartAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly errors: readonly LineError[];
  readonly causes: Readonly<Record<string, number>>;
  /** The first warnings. */
  readonly warnings: readonly LineWarning[];
  /** The number of further warnings. */
  readonly warningsOmitted: number;
  /** The events that the lines became, if they are lines of another format. */
  readonly events?: Uint8Array;
}

/** A part of a file. */
export interface FilePart {
  /** The name of the file's import. */
  readonly file: string;
  /** Absent where no other file is to be compared with this one. */
  readonly firstLineHash: string | undefined;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly lastLineHash: string;
  /** The identity of the file up to `toOffset`, which the gateway stores. */
  readonly identity: Identity;
  /** Whole lines. Lines between `fromOffset` and the body are skipped. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** The first line of the file that is not blank. */
  readonly firstLine: string;
  /**
   * Whether the lines were just written, so that they count in the running totals as those of any push do. Otherwise
   * they are history.
   */
  readonly isLive: boolean;
}

export interface LineStore {
  /** The imported files that begin with a line. */
  withFirstLine(firstLineHash: string): Promise<KnownFile[]>;
  /** The file whose import has this name; undefined if nothing of it was imported. */
  named(file: string): Promise<KnownFile | undefined>;
  /**
   * Stores a part's lines and its offset in one transaction. If no line could be stored, the offset does not change.
   *
   * @param extraLabels `NAME=VALUE`, added to each event that has no such tag of its own
   * @throws Interrupted, ChunkRefused
   */
  push(part: FilePart, extraLabels: readonly string[]): Promise<PartAnswer>;
}

/** The gateway rejected the whole part because of its content, without saying which line is at fault. */
export class ChunkRefused extends Error {
  override readonly name = "ChunkRefused";
}

/** The part is not stored, or that is unknown: after a pause, query the stored offset and continue from there. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly pauseMs: number | undefined;

  constructor(message: string, pauseMs?: number) {
    super(message);
    this.pauseMs = pauseMs;
  }
}
