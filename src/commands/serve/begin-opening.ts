/**
 * Begins to open the store of a configuration. It imports only what that needs, because the engine opens the database on a thread of
 * its own while all other modules are loaded.
 */
import type { Config } from "../../config/config.ts";
import { openDataFolder, placeOfStore, readsFiles } from "../../data-folder.ts";
import type { OpeningStore } from "../../store/duckdb-store.ts";
import { beginStore } from "../../store/open-store.ts";

/**
 * Lets the engine begin, unless the settings name files that are read first. If something is wrong, nothing begins: openGateway
 * finds it again, and says what it is.
 */
export function beginOpening(config: Config): OpeningStore | undefined {
  if (readsFiles(config)) return undefined;
  try {
    openDataFolder(config.data);
    return beginStore(placeOfStore(config));
  } catch {
    return undefined;
  }
}
