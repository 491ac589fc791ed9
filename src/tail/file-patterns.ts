/**
 * Finds the files that patterns name, and their rotated copies: for `metrics*.json` also `metrics_1.json.2024-01-15`,
 * `metrics_1.json.1` and `metrics_1.json.2024-01-15.gz`. Rotated files are found although the pattern does not match
 * them, because lines that were not read before a rotation are in them.
 *
 * Two names of one file (hard links and symbolic links) are one file, under the first name. Only regular files count.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { EVENT_ENDINGS, filesWithEndings, stemOf, workerOf } from "../line-files/file-names.ts";

/** A file as it was found. */
export interface FoundFile {
  /** Device and inode, which stay the same when the file is renamed. */
  readonly key: string;
  readonly path: string;
  readonly size: number;
  readonly modifiedMs: number;
  /** The worker in its name; empty if there is none. */
  readonly worker: string;
  /** Whether its name is that of a rotated file. */
  readonly isRotated: boolean;
  /** The patterns that match it. */
  readonly patterns: readonly string[];
}

/** Files beyond this are not followed. Each takes a few kilobytes, and a call of the system per look. */
export const FILES_MAX = 10_000;
const STATS_AT_A_TIME = 64;
const MAGIC = /[*?[{]/;

/**
 * The files of some patterns, rotated ones first, the oldest first. A pattern is a path, a folder, which stands for its
 * event files, or a glob with `*`, `**`, `?`, `[…]` and `{…}`. Folders that do not exist have no files.
 */
export async function findFiles(
  patterns: readonly string[],
  endings: readonly string[] = EVENT_ENDINGS,
): Promise<FoundFile[]> {
  const sought = filesWithEndings(endings);
  const byPath = new Map<string, string[]>();
  for (const pattern of patterns) {
    for (const path of await pathsOf(resolve(pattern), sought))
      byPath.getOrInsertComputed(path, () => []).push(pattern);
  }
  const paths = [...byPath.keys()].sort();
  const byKey = new Map<string, FoundFile>();
  for (let at = 0; at < paths.length; at += STATS_AT_A_TIME) {
    const some = paths.slice(at, at + STATS_AT_A_TIME);
    for (const found of await Promise.all(some.map((path) => look(path, byPath.get(path)!)))) {
      if (found === undefined) continue;
      const before = byKey.get(found.key);
      // The name of a file that is written to, rather than that of a rotated file.
      if (before === undefined || (before.isRotated && !found.isRotated)) byKey.set(found.key, found);
    }
  }
  return [...byKey.values()].sort(byOrder);
}

async function look(path: string, patterns: readonly string[]): Promise<FoundFile | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  return {
    key: `${found.dev}:${found.ino}`,
    path,
    size: found.size,
    modifiedMs: found.mtimeMs,
    worker: workerOf(path),
    isRotated: baseOf(path) !== path,
    patterns,
  };
}

async function pathsOf(pattern: string, sought: RegExp): Promise<string[]> {
  const found = await stat(pattern).catch(() => undefined);
  if (found?.isDirectory() === true)
    return (await namesIn(pattern)).filter((name) => sought.test(name)).map((name) => join(pattern, name));
  if (found !== undefined || !MAGIC.test(pattern)) {
    const names = (await namesIn(dirname(pattern))).filter((name) => name.startsWith(basename(pattern)));
    return names.map((name) => join(dirname(pattern), name)).filter((path) => baseOf(path) === pattern);
  }
  const parts = pattern.split(sep);
  const magicAt = parts.findIndex((part) => MAGIC.test(part));
  const folder = parts.slice(0, magicAt).join(sep) || sep;
  const rest = parts.slice(magicAt).join(sep);
  const glob = new Bun.Glob(rest);
  const paths: string[] = [];
  try {
    for await (const name of glob.scan({ cwd: folder, onlyFiles: false })) paths.push(join(folder, name));
    // A pattern that ends in `**` matches them already.
    for await (const name of new Bun.Glob(`${rest}[.-]*`).scan({ cwd: folder, onlyFiles: false })) {
      const path = join(folder, name);
      if (baseOf(path) !== path && glob.match(baseOf(name))) paths.push(path);
    }
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
  return [...new Set(paths)];
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return [];
  }
}

function isAbsent(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "ENOENT" || code === "ENOTDIR";
}

/** The path before all rotations: `a.json` for `a.json.2024-01-15.1.gz`. */
export function baseOf(path: string): string {
  for (let base = path; ; ) {
    const next = stemOf(base);
    if (next === base) return base;
    base = next;
  }
}

function byOrder(a: FoundFile, b: FoundFile): number {
  if (a.isRotated !== b.isRotated) return a.isRotated ? -1 : 1;
  if (!a.isRotated) return a.path < b.path ? -1 : 1;
  const [timeA, timeB] = [rotatedMs(a), rotatedMs(b)];
  // `a.json.2` is older than `a.json.1`.
  return timeA - timeB || b.path.length - a.path.length || (a.path > b.path ? -1 : 1);
}

/** The date in the name of a rotated file, else when it was last written. */
function rotatedMs({ path, modifiedMs }: FoundFile): number {
  const [, year, month, day] = /[.-](\d{4})-?(\d{2})-?(\d{2})\b/.exec(path.slice(baseOf(path).length)) ?? [];
  return day === undefined ? modifiedMs : Date.UTC(Number(year), Number(month) - 1, Number(day));
}
