/**
 * A note of the catalog's blocks, written before each checkpoint: a hash of the parts of each block that the last checkpoint uses.
 * The next checkpoint does not change these parts, although it writes their blocks in place. So a start can tell a block that a
 * kill has cut from one that is damaged (torn-recovery.ts).
 */
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { lastCheckpoint } from "../engine/file-headers.ts";
import { readCatalogBlocks } from "./catalog-blocks.ts";

interface Noted {
  readonly iteration: string;
  readonly metadata: string;
  /** The hash of each block's parts, by block. */
  readonly used: Readonly<Record<string, string>>;
}

const noteOf = (path: string) => `${path}.catalog`;

/** Writes the notes of the store at `path`, which the engine has open. */
export class CatalogNote {
  readonly #path: string;
  /**
   * Open as long as the engine has the file open. Closing a descriptor of a file gives up all locks that the process holds on it,
   * that of the engine included.
   */
  readonly file: number;

  constructor(path: string) {
    this.#path = path;
    this.file = openSync(path, "r");
  }

  /** Removes the note of a checkpoint that has ended. */
  remove(): void {
    rmSync(noteOf(this.#path), { force: true });
  }

  /** Returns when the note is on the disk. Without room for it, there is none, and the checkpoint does not need one. */
  write(): void {
    const header = lastCheckpoint(this.file);
    if (header === undefined) return;
    const used: Record<string, string> = {};
    for (const block of readCatalogBlocks(this.file, header)) used[block.block] = block.used;
    const noted: Noted = { iteration: `${header.iteration}`, metadata: `${header.metadata}`, used };
    try {
      const note = openSync(noteOf(this.#path), "w", 0o600);
      try {
        writeSync(note, JSON.stringify(noted));
        fsyncSync(note);
      } finally {
        closeSync(note);
      }
    } catch {
      // A note that was cut is no JSON, and an old one names another checkpoint.
    }
  }

  /** Call it when the engine has closed the file. */
  close(): void {
    closeSync(this.file);
  }
}

/** The hashes that were noted after a checkpoint, by block. Undefined if there is no note of it. */
export function readCatalogNote(
  path: string,
  checkpoint: { readonly iteration: bigint; readonly metadata: bigint },
): ReadonlyMap<number, string> | undefined {
  let noted: Partial<Noted>;
  try {
    noted = JSON.parse(readFileSync(noteOf(path), "utf8")) as Partial<Noted>;
  } catch {
    return undefined;
  }
  if (noted.iteration !== `${checkpoint.iteration}` || noted.metadata !== `${checkpoint.metadata}`)
    return undefined;
  return new Map(Object.entries(noted.used ?? {}).map(([block, used]) => [Number(block), used]));
}
