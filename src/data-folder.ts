/** The data folder: created if needed, checked before files are created in it, and readable by its owner only. */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type Config, dataPathFault, SettingError, tokenPaths } from "./config/config.ts";
import { shellWord } from "./model/errors.ts";
import { isDiskFull } from "./store/engine/faults.ts";

/** The beginning of the names of the store's files: database, log and journal. */
const STORE = "store.duckdb";

/** The files of the store of a configuration, and what its engine may use. */
export function placeOfStore({ data, memoryLimitBytes, threads }: Config) {
  return {
    path: join(data, STORE),
    temporaryDirectory: join(data, "tmp"),
    ...{ memoryLimitBytes, threads },
  };
}

/**
 * Whether the settings name files that are read before the store is open: certificates, users, tokens, templates. If one of them is
 * invalid, the start ends before the store is opened, and perhaps upgraded.
 */
export function readsFiles(config: Config): boolean {
  const { webConfigFile, tlsCert, notify } = config;
  const isNamed = webConfigFile !== "" || tlsCert !== "" || notify.length > 0;
  return isNamed || existsSync(tokenPaths(config).tokens);
}

/**
 * Creates the folder, if it does not exist.
 *
 * @throws SettingError if it cannot be created, or the engine cannot use its path, or this user cannot write to it;
 *   DiskUnusable if its disk does not work
 */
export function openDataFolder(path: string): void {
  // The absolute path with links resolved, as the engine sees it.
  const fault = dataPathFault(realPath(resolve(path)));
  if (fault !== undefined) throw new SettingError(fault);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    requireWorkingDisk(path, error);
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingError(`data is ${JSON.stringify(path)}, which cannot be created as a folder: ${reason}`);
  }
  requireAccess(path, path, constants.R_OK | constants.W_OK | constants.X_OK);
  for (const file of filesOf(path)) requireAccess(path, file, constants.R_OK | constants.W_OK);
}

/**
 * For commands that read the store of a folder: without this, a folder that is closed to this user seems to have none.
 *
 * @throws SettingError if this user may not read the folder, or enter one above it
 */
export function requireReadableFolder(path: string): void {
  if (!isClosedFolder(path)) return;
  throw new SettingError(
    `data is ${JSON.stringify(path)}, which user ${process.getuid?.()} cannot read: run the command as the user of the gateway, or ` +
      "as root.",
  );
}

/** Whether this user may not read a folder, which may exist or not. */
export function isClosedFolder(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EACCES";
  }
}

/** The real path of an absolute one. Its last parts do not have to exist, nor does what a link names. */
export function realPath(path: string, linksLeft = 40): string {
  try {
    return realpathSync(path);
  } catch {
    if (path === dirname(path)) return path;
    const real = join(realPath(dirname(path), linksLeft), basename(path));
    const link = linksLeft > 0 ? linkOf(real) : undefined;
    return link === undefined ? real : realPath(resolve(dirname(real), link), linksLeft - 1);
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** The disk of the data folder does not work at the moment. No setting is wrong, so a later start may succeed. */
export class DiskUnusable extends Error {
  override readonly name = "DiskUnusable";
}

/** Faults of a disk or of a mount: read-only, broken, full, gone, not reachable. */
const DISK_FAULTS = [
  "EROFS",
  "EIO",
  "ENOSPC",
  "EDQUOT",
  "ENXIO",
  "ENODEV",
  "ESTALE",
  "ENOTCONN",
  "ETIMEDOUT",
];

/** Throws `DiskUnusable` if an error of the folder is a fault of its disk. */
function requireWorkingDisk(data: string, error: unknown): void {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (!DISK_FAULTS.includes(code)) return;
  throw new DiskUnusable(
    code === "EROFS"
      ? `data is ${JSON.stringify(data)}, which is on a disk that is mounted read-only: mount it for writing, or give --data ` +
          "a folder of another disk."
      : `data is ${JSON.stringify(data)}, whose disk does not work: ${(error as Error).message}`,
  );
}

/** If root imports into the folder of a service, it leaves files that the service cannot open. */
function requireAccess(data: string, path: string, mode: number): void {
  try {
    accessSync(path, mode);
  } catch (error) {
    requireWorkingDisk(data, error);
    const user = process.getuid?.();
    const owner = statSync(path).uid;
    throw new SettingError(
      `data is ${JSON.stringify(data)}, but user ${user} cannot read and write ${JSON.stringify(path)}, which belongs to ` +
        (owner === user
          ? `this user: run "chmod -R u+rwX ${shellWord(data)}".`
          : `user ${owner}: run as that user, or "chown -R" the folder.`),
    );
  }
}

export interface FolderOwner {
  readonly uid: number;
  readonly gid: number;
}

/** The owner of a folder. Undefined if it does not exist. */
export function ownerOf(path: string): FolderOwner | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/**
 * After a command of root: gives what root owns in the folder, and the folder, to the user whose folder it is. Otherwise the
 * service of that user could not open its store any more. Without a right to do so, changes nothing.
 */
export function giveToOwner(path: string, given?: FolderOwner): void {
  if (process.getuid?.() !== 0) return;
  const owner = given ?? ownerOf(path);
  if (owner !== undefined && owner.uid !== 0) giveTo(realpathSync(path), owner);
}

/** Where Linux has a path for each open descriptor. */
const DESCRIPTORS = "/proc/self/fd";

function giveTo(path: string, { uid, gid }: FolderOwner): void {
  let opened: number;
  try {
    // The user may put links here: nothing that they lead to is given away. A pipe is not waited for.
    opened = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return;
  }
  try {
    const stats = fstatSync(opened);
    const isGiven = stats.isDirectory() || (stats.isFile() && stats.nlink === 1);
    if (isGiven && stats.uid === 0) fchownSync(opened, uid, gid);
    if (!stats.isDirectory()) return;
    // The user may replace the folder by a link meanwhile. Its descriptor stays that of the folder.
    const folder = existsSync(DESCRIPTORS) ? join(DESCRIPTORS, `${opened}`) : path;
    for (const name of readdirSync(folder)) giveTo(join(folder, name), { uid, gid });
  } finally {
    closeSync(opened);
  }
}

/** Removes other users' access to the store's files. Earlier versions created log and journal with the umask. */
export function hideFiles(data: string): void {
  for (const file of filesOf(data)) chmodSync(file, 0o600);
}

function filesOf(data: string): string[] {
  return readdirSync(data)
    .filter((name) => name.startsWith(STORE))
    .map((name) => join(data, name));
}

/**
 * Deletes what the folder has, and creates it. A full disk is not an error, because the folder is created again when needed, and a full disk must
 * not prevent a start.
 */
export function emptyTemporaryDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true });
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}
