/** The data folder: made where there is none, checked before anything is made in it, and hidden from other users. */
import { accessSync, chmodSync, constants, mkdirSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { dataPathFault, SettingError } from "./config/config.ts";
import { isDiskFull } from "./store/disk-room.ts";

/** The store's files; the log and the journal have the same beginning. */
const STORE = "store.duckdb";

/**
 * Makes the folder, if absent.
 *
 * @throws SettingError when it cannot be made, used by the engine, or written to by this user
 */
export function openDataFolder(path: string): void {
  // As the engine sees it: whole, wherever the gateway was started, and where links lead.
  const fault = dataPathFault(realPath(resolve(path)));
  if (fault !== undefined) throw new SettingError(fault);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SettingError(`data is ${JSON.stringify(path)}, which cannot be made a folder: ${reason}`);
  }
  requireAccess(path, path, constants.R_OK | constants.W_OK | constants.X_OK);
  for (const file of filesOf(path)) requireAccess(path, file, constants.R_OK | constants.W_OK);
}

/** Where a path leads, of which the end need not be there yet. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path === dirname(path) ? path : join(realPath(dirname(path)), basename(path));
  }
}

/** A root that imports into the folder of a service leaves files there that the service cannot open. */
function requireAccess(data: string, path: string, mode: number): void {
  try {
    accessSync(path, mode);
  } catch {
    throw new SettingError(
      `data is ${JSON.stringify(data)}, but user ${process.getuid?.()} may not read and write ${JSON.stringify(path)}, ` +
        `which belongs to user ${statSync(path).uid}: run as that user, or "chown -R" the folder.`,
    );
  }
}

/** Lets nobody else read the store's files: earlier versions left the log and the journal to the umask. */
export function hideFiles(data: string): void {
  for (const file of filesOf(data)) chmodSync(file, 0o600);
}

function filesOf(data: string): string[] {
  return readdirSync(data)
    .filter((name) => name.startsWith(STORE))
    .map((name) => join(data, name));
}

/** Made again when it is needed, so that a full disk is no reason not to start. */
export function makeTemporaryDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}
