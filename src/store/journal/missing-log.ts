/**
 * Finds out whether the engine's log has lost commits. The header of the journal notes the size of the log after each commit,
 * and nothing before a checkpoint. Each entry of the journal has the size of the log at its time, and the log only grows until
 * all entries have moved.
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { shellWord } from "../../model/errors.ts";
import { StoreDamaged } from "../store.ts";
import type { ReadEntry } from "./entry.ts";
import { readLogNote } from "./journal-file.ts";

/** A log that ends before an entry of the journal was made: the bytes of its commits, and how many there were. */
interface MissingLog {
  readonly has: number;
  readonly had: number;
}

/** What is missing in a log according to the header of the journal at `path`. Undefined if nothing is known to be. */
export function missingByNote(path: string, logBytes: number): MissingLog | undefined {
  const noted = readLogNote(path);
  return logBytes < noted ? { has: logBytes, had: noted } : undefined;
}

/**
 * What is missing in a log according to the entries of the journal. Undefined if nothing is known to be. A log without a commit
 * may be a new one, because a full disk can delay the move of the entries past a checkpoint. For the same reason only the
 * last entry counts.
 */
export function missingByEntries(entries: readonly ReadEntry[], logBytes: number): MissingLog | undefined {
  // In a journal of format 1 only the first entry has the size.
  const had = entries.at(-1)?.logBytes || entries[0]?.logBytes || 0;
  return logBytes > 0 && logBytes < had ? { has: logBytes, had } : undefined;
}

/** The error for a missing log of the journal at `path`. */
export function shortLog(path: string, { has, had }: MissingLog): StoreDamaged {
  const folder = dirname(path);
  const log = path.replace(/\.journal$/, ".wal");
  const fault = existsSync(log) ? `is damaged: its whole commits end at byte ${has}` : "is missing";
  return new StoreDamaged(
    `${log} ${fault}, but it had ${had} bytes according to ${path}: the commits behind are lost. ` +
      `Nothing was changed. Put a backup in place of the folder (weir restore), or run "weir doctor --repair --data ${shellWord(folder)}", ` +
      "which opens the store without the commits that are lost.",
  );
}
