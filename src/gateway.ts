/**
 * The wiring: config → store → rooms (connect-rooms.ts). This module does not listen and does not sample (see commands/serve/serve.ts),
 * so that an import without a server can use it too.
 *
 * A start reads the file's records, and replays the rows past the last snapshot of the totals. Series and totals are restored for the
 * first such row, or later (model/memory/first-use.ts). A close commits waiting samples, writes a whole snapshot, interrupts readers,
 * checkpoints, and closes the file.
 */
import { type Config, pickSettings } from "./config/config.ts";
import type { Gateway, GatewayOptions } from "./connect-rooms.ts";
import {
  emptyTemporaryDirectory,
  hideFiles,
  openDataFolder,
  placeOfStore,
  readsFiles,
} from "./data-folder.ts";
import { createLog, type Log } from "./log/log.ts";
import { MinuteSummary } from "./log/minute-summary.ts";
import { type Counters, createCounters } from "./model/counters.ts";
import { removeOldUpgradeBackups } from "./store/backup/upgrade-backup.ts";
import type { DuckDBStore } from "./store/duckdb-store.ts";
import { openStore } from "./store/open-store.ts";
import type { StoreOptions } from "./store/store-options.ts";

export type { Gateway, GatewayOptions };

/** Opens the file of a configuration, and everything that uses it. */
export async function openGateway(config: Config, options: GatewayOptions = {}): Promise<Gateway> {
  const now = options.now ?? Date.now;
  const log = options.log ?? createLog(config.logLevel);
  const summary = new MinuteSummary(log);
  const { temporaryDirectory } = placeOfStore(config);
  let gateway: Gateway | undefined;
  // Read at scrapes, when the store and ingest are open.
  const counters = createCounters({
    disk: () => store.room(),
    waiting: () => {
      const { samples, bytes, oldestMs } = gateway!.ingest.waiting;
      const oldestSeconds = oldestMs === undefined ? 0 : Math.max(0, now() - oldestMs) / 1000;
      return { samples, bytes, oldestSeconds };
    },
  });
  if (options.opening === undefined) openDataFolder(config.data);
  const openBefore = async () => {
    const { connectRooms, notificationTemplates, openEntrance } = await import("./connect-rooms.ts");
    const templates = await notificationTemplates(config);
    const entrance = openEntrance(config, {
      ...{ log, counters, now, elapsedMs: options.now },
      ...{ adminToken: options.adminToken, isTrusted: options.isTrusted === true },
    });
    return { connectRooms, templates, ...entrance };
  };
  // An invalid file of settings ends the start before the store is opened, and perhaps upgraded.
  const before = options.opening === undefined && readsFiles(config) ? await openBefore() : undefined;
  const opening = openFile(config, counters, log, now, options);
  // Awaited below. Until then, a fault of it is not one that nobody handles.
  opening.catch(() => undefined);
  let store: DuckDBStore;
  try {
    // The engine opens the file on a thread of its own. Meanwhile all other modules are loaded.
    const { connectRooms, templates, webConfig, access, gate } = before ?? (await openBefore());
    const { stored, ...opened } = await opening;
    store = opened.store;
    const common = { config, now, log, summary, counters, temporaryDirectory, access, gate, store };
    gateway = await connectRooms({ ...common, templates, webConfig, stored }, options);
    return gateway;
  } catch (error) {
    // The first fault is the one to tell.
    await opening.then(({ store }) => store.close()).catch(() => undefined);
    throw error;
  }
}

/** Opens the store, and clears what an earlier process left beside it. */
async function openFile(
  config: Config,
  counters: Counters,
  log: Log,
  now: () => number,
  { onFatal, opening }: Pick<GatewayOptions, "onFatal" | "opening">,
) {
  // To wait for modules that are not needed would let others be loaded before the engine opens the database.
  const fileFolders =
    config.archiveTo === ""
      ? undefined
      : await (await import("./open-archive.ts")).archiveFileFolders(config);
  const place = placeOfStore(config);
  const options: StoreOptions = {
    ...place,
    counters,
    reserveBytes: config.diskReserveBytes,
    fileFolders,
    onFault: (what, error) => log("store_fault", { what, error: String(error) }),
    onIncomplete: (path, byte) => log("journal_record_incomplete", { path, byte }),
    onRecovered: ({ path, blocks }) =>
      log("store_recovered", { path, bytes: blocks.map(({ at }) => at).join(" ") }),
    onFatal,
    onUpgradeBackup: (folder) => log("upgrade_backup", { folder }),
    onRoom: ({ freeBytes, isFull }) =>
      log(isFull ? "disk_full" : "disk_has_room", { freeBytes, ...pickSettings(config, "diskReserveBytes") }),
  };
  const opened = await openStore(options, opening);
  // After the store is open, because only the owner of the file may clear what an earlier process left.
  emptyTemporaryDirectory(place.temporaryDirectory);
  hideFiles(config.data);
  removeOldUpgradeBackups(config.data, config.retentionDays, now(), (folder) =>
    log("upgrade_backup_removed", { folder }),
  );
  return opened;
}
