/**
 * Opens a store whose journal is damaged in the middle or missing, or whose log has lost commits, stores what can be read, and
 * closes the store. A damaged journal is copied first, so that nothing is lost that somebody may read later.
 */
import { closeSync, copyFileSync, existsSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { openStore } from "./open-store.ts";
import type { LostRecords, StoreOptions } from "./store-options.ts";
import { syncFolder } from "./sync-folder.ts";

/** What a repair lost, and where the damaged file is. */
export interface Repaired extends LostRecords {
  /** The copy of the damaged file. Undefined if there was no file. */
  readonly copy: string | undefined;
}

/**
 * Repairs the journal of the store at `options.path`. Resolves to undefined if it was not damaged.
 *
 * @throws StoreLocked, StoreMismatch, StoreDamaged when the database file itself is damaged, DiskFull
 */
export async function repairJournal(
  options: Omit<StoreOptions, "onRepair">,
  nowMs: number,
): Promise<Repaired | undefined> {
  const journal = `${options.path}.journal`;
  const copy = `${journal}.damaged-${new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "")}`;
  let repaired: Repaired | undefined;
  const { store } = await openStore({
    ...options,
    onRepair: (lost) => {
      const isThere = existsSync(journal);
      if (isThere) keep(journal, copy);
      repaired = { ...lost, copy: isThere ? copy : undefined };
    },
  });
  await store.close();
  return repaired;
}

/** Copies a file. Returns when the copy is on the disk. */
function keep(from: string, to: string): void {
  copyFileSync(from, to);
  const descriptor = openSync(to, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
  syncFolder(dirname(to));
}
