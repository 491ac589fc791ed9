/** Damaged files of a store: how a start finds them, and the error for a person. */
import { basename, dirname } from "node:path";
import { shellWord } from "../model/errors.ts";
import { faultOf, reasonOf } from "./engine/faults.ts";
import { findLogDamage } from "./engine/log-check.ts";
import { StoreDamaged } from "./store.ts";

/** Throws `StoreDamaged` if the log of the store at `path` is damaged in a way that the engine does not report. */
export function requireWholeLog(path: string): void {
  const log = `${path}.wal`;
  const damagedAt = findLogDamage(log);
  if (damagedAt === undefined) return;
  throw damaged(
    path,
    `its log ${log} is damaged at byte ${damagedAt}, and commits behind that byte would be lost`,
  );
}

/** An error of opening the store at `path`: `StoreDamaged` if it says that a file is damaged. */
export function explainDamage(path: string, error: unknown): unknown {
  return faultOf(error) === "damaged" ? damaged(path, reasonOf(error as Error)) : error;
}

function damaged(path: string, reason: string): StoreDamaged {
  const name = basename(path);
  return new StoreDamaged(
    `${path} is damaged, or is not a store of Weir: ${reason}. Nothing was deleted. ` +
      `Move ${name}, ${name}.wal and ${name}.journal to another folder and keep them, then put a backup in their place, ` +
      "or start with --data on a snapshot (snapshots/NAME in the data folder). Without one, run " +
      `"weir doctor --repair --data ${shellWord(dirname(path))}", which stores what can be read in a new folder.`,
  );
}
