/**
 * How many bytes of the log are whole commits. The journal notes it, so that a start notices if the log has lost commits that
 * were made before the journal's records.
 */
import { statSync } from "node:fs";
import { wholeCommitBytes } from "./engine/log-check.ts";

export class LogSize {
  readonly #path: string;
  #size: number;
  #bytes: number;

  /** Reads the log of the store at `path`, which the engine has not opened yet. */
  constructor(path: string) {
    this.#path = `${path}.wal`;
    this.#size = this.#measure();
    this.#bytes = wholeCommitBytes(this.#path);
  }

  /** Bytes up to the end of the last whole commit. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The engine has opened the file. An incomplete commit at the end may still be in the log. */
  opened(): void {
    const size = this.#measure();
    if (size !== this.#size) this.#bytes = size;
    this.#size = size;
  }

  /** A commit or a checkpoint has ended. Its log ends with a whole commit, or is gone. */
  committed(): void {
    this.#size = this.#measure();
    this.#bytes = this.#size;
  }

  #measure(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }
}

/**
 * Bytes of a store's file and of its log, without asking the engine. Synchronous: for an open file this reads memory, and takes a tenth
 * of the time that another thread would take.
 */
export function fileSizesOf(path: string): { fileBytes: number; logBytes: number } {
  const bytes = (of: string) => statSync(of, { throwIfNoEntry: false })?.size ?? 0;
  return { fileBytes: bytes(path), logBytes: bytes(`${path}.wal`) };
}
