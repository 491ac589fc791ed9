/** Syncs folders: without this, a file that was created or renamed may be missing after a loss of power. */
import { closeSync, fsyncSync, openSync } from "node:fs";

/** Writes a folder's entries to the disk. Returns when they are there. */
export function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
