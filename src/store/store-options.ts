/** What a store needs to open its file, and what it reports. */
import type { Counters } from "../model/counters.ts";
import type { OpenEngineOptions } from "./engine/open-engine.ts";
import type { OnFault, OnIncomplete } from "./journal/journal.ts";
import type { ExpectedJournal } from "./journal/journal-file.ts";
import type { Orphans } from "./journal/salvage.ts";
import type { RecoveredBlocks } from "./catalog/torn-recovery.ts";
import type { Room } from "./store.ts";

export interface StoreOptions
  extends Pick<OpenEngineOptions, "migrations" | "onUpgradeBackup" | "fileFolders"> {
  /** The DuckDB file. Its folder must exist. */
  readonly path: string;
  readonly memoryLimitBytes: number;
  readonly threads: number;
  /** The folder for intermediate results that do not fit in memory. Created when needed. */
  readonly temporaryDirectory: string;
  readonly counters: Counters;
  readonly onFault?: OnFault;
  readonly onIncomplete?: OnIncomplete;
  /** Called when the file was recovered from a kill in the middle of a checkpoint. Nothing is lost then. */
  readonly onRecovered?: (recovered: RecoveredBlocks) => void;
  /** `requireRoom` throws below this many free bytes on the disk. The default is 0. */
  readonly reserveBytes?: number;
  /** Called when the disk becomes full, and when it no longer is. */
  readonly onRoom?: (room: Room) => void;
  /**
   * Called when the engine gave up on the file and could not open it again. The store can no longer store or
   * read.
   */
  readonly onFatal?: () => void;
  /**
   * Opens a journal with damaged records in front of others, without these records and what depends on them, a store whose
   * journal is missing, or whose log has lost commits, and gets what was lost. Without it, each of them is an error.
   */
  readonly onRepair?: (lost: LostRecords) => void;
}

/** What a damaged or missing journal has lost. */
export interface LostRecords extends Orphans {
  /** Changes whose records cannot be read. */
  readonly records: number;
  /** Whether the log has lost commits that were made before the records. Nothing says how many. */
  readonly isLogShort: boolean;
  /** The file that the store expected, if it is not there, or nothing of it can be read. */
  readonly lost: ExpectedJournal | undefined;
}
