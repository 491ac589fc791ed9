/**
 * The backup before a migration that rewrites data: a copy of the store in the data folder, named for the schema that the
 * migration makes. `weir serve --data` and `weir restore` of the version before open it. It exists whole or not at all.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { DAY_MS } from "../../model/duration.ts";
import { Unavailable } from "../../model/errors.ts";
import { syncFolder } from "../sync-folder.ts";
import { storeFiles } from "./folder-copy.ts";
import { copyFiles } from "./snapshots.ts";

const NAME = /^before-schema-\d+$/;

/**
 * Copies the files of the store at `path`, which this process has open and does not change meanwhile. A backup of the same
 * name is replaced: it is from an earlier upgrade that was undone, or that did not end.
 *
 * @param to the schema after the migration
 * @returns the folder of the backup
 * @throws Unavailable if the disk has no room for it
 */
export async function backUpBeforeUpgrade(
  path: string,
  from: number,
  to: number,
  temporaryDirectory: string,
): Promise<string> {
  const data = dirname(path);
  const name = `before-schema-${to}`;
  const making = join(temporaryDirectory, name);
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true, mode: 0o700 });
  const files = storeFiles(data).map((file) => ({
    from: join(data, file),
    to: join(making, file),
    bytes: statSync(join(data, file)).size,
  }));
  const backup = join(data, name);
  try {
    await copyFiles(files, new AbortController().signal);
    rmSync(backup, { recursive: true, force: true });
    renameSync(making, backup);
    syncFolder(data);
    return backup;
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new Unavailable(
      `schema ${from} of ${path} was not changed to ${to}, which rewrites data, because the backup before it failed: ${reason}`,
    );
  }
}

/** Removes the backups that are older than retention: no day in them is kept any more. `onRemoved` gets each folder. */
export function removeOldUpgradeBackups(
  data: string,
  retentionDays: number,
  nowMs: number,
  onRemoved: (folder: string) => void,
): void {
  for (const name of readdirSync(data).filter((each) => NAME.test(each))) {
    const folder = join(data, name);
    if (statSync(folder).mtimeMs >= nowMs - retentionDays * DAY_MS) continue;
    rmSync(folder, { recursive: true, force: true });
    onRemoved(folder);
  }
}
