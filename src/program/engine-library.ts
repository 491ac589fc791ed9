/**
 * Loads DuckDB in the one file of `scripts/build`, which puts this module in the place of the package that selects a library
 * by platform. Nothing else imports it.
 *
 * The library is beside the executable (in its folder, or in ../lib/weir: the Debian package), or embedded and compressed. A
 * system can load a library from a file only. So the embedded one is written to a folder of the user's cache, once for each
 * version. If that is not possible (a service without a home), it is written to the folder for temporary files at each start,
 * and deleted as soon as it is loaded.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { programPath } from "./program-files.ts";

/** The part of the library that Bun loads. It loads the rest, from its own folder. */
const BINDING = "duckdb.node";

/** What scripts/build writes beside the compressed files. */
interface EmbeddedEngine {
  /** Differs for each content of the files. */
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/** The exports of the binding. */
export function loadEngineLibrary(): unknown {
  const beside = besideExecutable();
  if (beside !== undefined) return load(beside);
  const engine = JSON.parse(readFileSync(programPath("engine/engine.json"), "utf8")) as EmbeddedEngine;
  const cached = cachedFolder(engine);
  if (cached !== undefined) {
    try {
      return load(cached);
    } catch {
      // The home may be on a file system that allows no execution.
    }
  }
  const folder = mkdtempSync(join(tmpdir(), "weir-engine-"));
  try {
    extract(engine, folder);
    return load(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function load(folder: string): unknown {
  const module = { exports: {} };
  process.dlopen(module, join(folder, BINDING));
  return module.exports;
}

function besideExecutable(): string | undefined {
  const folder = dirname(process.execPath);
  return [folder, join(folder, "..", "lib", "weir")].find(
    (each) => bytesOf(join(each, BINDING)) !== undefined,
  );
}

/** The folder of this version in the user's cache, written if it is absent. Undefined if there cannot be one. */
function cachedFolder(engine: EmbeddedEngine): string | undefined {
  const cache = join(homedir(), ".cache", "weir");
  const folder = join(cache, engine.name);
  if (isWhole(engine, folder)) return folder;
  try {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    removeAbandoned(cache);
    const fresh = mkdtempSync(join(cache, FRESH));
    try {
      extract(engine, fresh);
      // An incomplete folder of that name is moved away. Another process may have written the same one meanwhile.
      rmSync(folder, { recursive: true, force: true });
      renameSync(fresh, folder);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  } catch {
    // The home is absent, read-only or full.
  }
  return isWhole(engine, folder) ? folder : undefined;
}

const FRESH = "fresh-";
const ABANDONED_MS = 600_000;

/** Deletes what a killed process has left behind. */
function removeAbandoned(cache: string): void {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    if (name.startsWith(FRESH) && Date.now() - statSync(path).mtimeMs > ABANDONED_MS)
      rmSync(path, { recursive: true, force: true });
  }
}

/** Whether the files are there with their sizes, and only this user or root can have written them. */
function isWhole({ files }: EmbeddedEngine, folder: string): boolean {
  const owner = process.getuid?.();
  const status = found(folder);
  if (status === undefined || !status.isDirectory() || (status.mode & 0o022) !== 0) return false;
  if (owner !== undefined && status.uid !== owner && status.uid !== 0) return false;
  return files.every(({ name, bytes }) => bytesOf(join(folder, name)) === bytes);
}

function extract({ files }: EmbeddedEngine, folder: string): void {
  for (const { name } of files) {
    const compressed = readFileSync(programPath(`engine/${basename(name)}.zst`));
    writeFileSync(join(folder, name), Bun.zstdDecompressSync(compressed), { mode: 0o700 });
  }
}

function bytesOf(path: string): number | undefined {
  return found(path)?.size;
}

function found(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
