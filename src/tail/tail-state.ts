/**
 * The state file of a follower: which files it has seen, and up to where their lines are stored. It is written only
 * after the acknowledgement of what it says. It is replaced as a whole, so that it is never half-written.
 *
 * The gateway stores the offset of each file with its lines, so an old state loses nothing and doubles nothing. The state
 * is needed to find a file again after a rotation, and to remember lines that were skipped or rejected.
 */
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Identity } from "../line-files/identity.ts";

/** A file in the state. */
export interface FileRecord {
  readonly key: string;
  readonly path: string;
  /** Size and time of the last change when all its whole lines had been read; -1 if there are more. */
  readonly size: number;
  readonly modifiedMs: number;
  /** The name of its import; absent while none of its lines is stored. */
  readonly file?: string;
  readonly firstLine?: string;
  /** Bytes whose lines are stored, rejected or skipped. */
  readonly offset: number;
  /** The offset that the gateway has. It is smaller if the last lines were rejected, and 0 if none is stored. */
  readonly stored: number;
  /** The content up to `offset`. */
  readonly identity: Identity;
}

export interface TailRecords {
  readonly patterns: readonly string[];
  readonly files: readonly FileRecord[];
}

const VERSION = 1;

/** The state file is there, but it is not the state of a follower. */
export class DamagedState extends Error {
  override readonly name = "DamagedState";
}

/** The folder of the state file does not exist, or may not be written to. */
export class UnwritableState extends Error {
  override readonly name = "UnwritableState";
}

/**
 * Reads a state file; undefined if there is none.
 *
 * @throws DamagedState
 */
export async function readState(path: string): Promise<TailRecords | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
  let state: Partial<TailRecords> & { version?: unknown };
  try {
    state = JSON.parse(text);
  } catch {
    throw new DamagedState(`The state file ${path} is not JSON.`);
  }
  const { version, patterns, files } = state;
  if (version !== VERSION || !isList(patterns, isText) || !isList(files, isRecord))
    throw new DamagedState(`The state file ${path} is not the state of a follower.`);
  return { patterns, files };
}

/** Replaces a state file. */
export async function writeState(path: string, { patterns, files }: TailRecords): Promise<void> {
  const next = `${path}.new`;
  const handle = await open(next, "w", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ version: VERSION, patterns, files })}\n`);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(next, path);
}

/** Moves a damaged state file aside, so that a person can look at it. Returns its new path. */
export async function setStateAside(path: string): Promise<string> {
  const aside = `${path}.damaged`;
  await rename(path, aside);
  return aside;
}

/** Throws `UnwritableState` if a state file cannot be written at this path. */
export async function checkStatePath(path: string): Promise<void> {
  const probe = `${path}.new`;
  try {
    await (await open(probe, "a", 0o600)).close();
  } catch (error) {
    const { code } = error as { code?: unknown };
    throw new UnwritableState(
      `The state file cannot be written in the folder ${dirname(path)} (${String(code)}).`,
    );
  }
}

function isList<T>(value: unknown, isElement: (each: unknown) => each is T): value is T[] {
  return Array.isArray(value) && value.every(isElement);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isRecord(value: unknown): value is FileRecord {
  const { key, path, size, modifiedMs, offset, stored, identity } = (value ?? {}) as Partial<FileRecord>;
  const { hash, marks, worker, places } = identity ?? {};
  return (
    [key, path, hash, marks, worker].every(isText) &&
    [size, modifiedMs, offset, stored].every((each) => typeof each === "number") &&
    isList(places, isText)
  );
}
