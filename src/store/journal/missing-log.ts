/**
 * Finds out whether the engine's log has lost commits that were made before the entries of the journal. Each entry has the
 * size of the log at its time, and the log only grows until all entries have moved.
 */
import { dirname } from "node:path";
import { shellWord } from "../../model/errors.ts";
import { StoreDamaged } from "../store.ts";
import type { ReadEntry } from "./entry.ts";

/** A log that ends before an entry of the journal was made: the bytes of its commits, and how many there were. */
interface MissingLog {
  readonly has: number;
  readonly had: number;
}

/**
 * What is missing in a log. Undefined if nothing is. A log without a commit may be a new one, because a full disk can delay
 * the move of the entries past a checkpoint. For the same reason only the last entry counts.
 */
export function missingLog(entries: readonly ReadEntry[], logBytes: number): MissingLog | undefined {
  // In a journal of format 1 only the first entry has the size.
  const had = entries.at(-1)?.logBytes || entries[0]?.logBytes || 0;
  return logBytes > 0 && logBytes < had ? { has: logBytes, had } : undefined;
}

/** The error for a missing log of the journal at `path`. */
export function shortLog(path: string, { has, had }: MissingLog): StoreDamaged {
  const folder = dirname(path);
  const log = path.replace(/\.journal$/, ".wal");
  return new StoreDamaged(
    `${log} is damaged: its whole commits end at byte ${has}, but it had ${had} bytes when the changes in ${path} were made. ` +
      `Nothing was changed. Put a backup in place of the folder (weir restore), or run "weir doctor --repair --data ${shellWord(folder)}", ` +
      "which stores the changes without the commits that are lost.",
  );
}
