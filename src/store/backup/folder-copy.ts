/**
 * Copies the store of a folder that no gateway has open into another folder, which exists whole or not at all. Backups
 * and restores are such copies.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { DAY_MS } from "../../model/duration.ts";
import { BadInput } from "../../model/errors.ts";
import { type Inspection, inspectStore, STORE_FILE } from "../inspection.ts";
import { syncFolder } from "../sync-folder.ts";
import { copyFiles } from "./snapshots.ts";

/**
 * Copies the store of `from` to `to`, which must not exist or be an empty folder. Both are checked: the original before
 * it is copied, the copy before it gets its name. Resolves to what the copy contains when it is on the disk.
 *
 * @throws BadInput if `to` is in use; NoStore, StoreLocked, StoreDamaged, StoreMismatch; Unavailable if there is no room
 */
export async function copyStore(from: string, to: string): Promise<Inspection> {
  requireEmpty(to);
  const target = resolve(to);
  const parent = dirname(target);
  const making = join(parent, `${partsOf(target)}${process.pid}-${crypto.randomUUID().slice(0, 8)}`);
  // While it is open for reading, no gateway can open and change it.
  return await inspectStore(from, async () => {
    mkdirSync(parent, { recursive: true });
    removeAbandoned(target);
    mkdirSync(making, { mode: 0o700 });
    try {
      const files = storeFiles(from).map((name) => ({
        from: join(from, name),
        to: join(making, name),
        bytes: statSync(join(from, name)).size,
      }));
      await copyFiles(files, new AbortController().signal);
      const inspection = await inspectStore(making, async (found) => found);
      renameSync(making, target);
      syncFolder(parent);
      return inspection;
    } catch (error) {
      rmSync(making, { recursive: true, force: true });
      throw error;
    }
  });
}

/** The beginning of the names of unfinished copies that will be `target`. The id of their process follows. */
const partsOf = (target: string) => `.${basename(target)}.part-${hostname()}-`;

/** A copy of another machine, or of an earlier version, is abandoned if it has not changed for so long. */
const ABANDONED_MS = DAY_MS;

/** Removes what killed copies to `target` have left beside it. Other copies may be in progress. */
function removeAbandoned(target: string): void {
  const parent = dirname(target);
  const own = partsOf(target);
  for (const name of readdirSync(parent).filter((each) => each.startsWith(`.${basename(target)}.part-`))) {
    const pid = name.startsWith(own) ? /^(\d+)-[0-9a-f]{8}$/.exec(name.slice(own.length))?.[1] : undefined;
    const path = join(parent, name);
    if (pid === undefined ? isUnchanged(path) : !isRunning(Number(pid)))
      rmSync(path, { recursive: true, force: true });
  }
}

function isUnchanged(folder: string): boolean {
  const times = [folder, ...readdirSync(folder).map((name) => join(folder, name))].map(
    (path) => statSync(path).mtimeMs,
  );
  return Math.max(...times) < Date.now() - ABANDONED_MS;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is the process of another user.
    return (error as { code?: unknown }).code !== "ESRCH";
  }
}

/** Throws `BadInput` unless the path is free, or an empty folder. */
export function requireEmpty(path: string): void {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory())
    throw new BadInput(`${path} is a file, expected a folder that is empty or does not exist.`);
  const [name] = readdirSync(path);
  if (name === undefined) return;
  throw new BadInput(
    `${path} is not empty (it has ${JSON.stringify(name)}), expected a folder that is empty or does not exist.`,
  );
}

/** Database, log, journal, and what the engine writes beside them. Not the journals that a repair has kept. */
export function storeFiles(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith(STORE_FILE) && !name.includes(".damaged-"));
}
