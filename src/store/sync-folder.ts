/** Folders whose entries are to be found after a loss of power: a file that was made or named is else not sure to be there. */
import { closeSync, fsyncSync, openSync } from "node:fs";

/** Writes a folder's entries to the disk; returns when they are there. */
export function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
