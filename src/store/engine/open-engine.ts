/** The store's engine and its connections. Opened at the start, and again if the engine gives up on its file. */
import { backUpBeforeUpgrade } from "../backup/upgrade-backup.ts";
import { CatalogNote } from "../catalog/catalog-note.ts";
import { CachedBlocks } from "../cached-blocks.ts";
import { type Migration, migrations, statement } from "../statements.ts";
import { migrate } from "../tables/migrate.ts";
import { type Connection, Database } from "./duckdb.ts";
import type { DatabaseOptions } from "./engine-settings.ts";
import { KeptConnections } from "../reading/kept-connections.ts";
import { Workers } from "./workers.ts";

export interface OpenEngine {
  readonly database: Database;
  /** The connection that writes. */
  readonly writer: Connection;
  /** Sets the number of threads, which changes while the writer is in a transaction, and the limit of the memory. */
  readonly settings: Connection;
  /** Those of readers that have ended. */
  readonly connections: KeptConnections;
  readonly workers: Workers;
  readonly blocks: CachedBlocks;
  readonly catalog: CatalogNote;
}

export interface OpenEngineOptions extends DatabaseOptions {
  /** The files of sql/schema by default. */
  readonly migrations?: readonly Migration[];
  /**
   * Folders whose files statements can read and write, with a slash at the end: those of the archive. Without it, the engine can
   * use no file but the database.
   */
  readonly fileFolders?: { readonly own: string; readonly archived: string };
  /**
   * Called with a descriptor of the open file, and the newest schema. Returns whether the file is known to have that schema, so that
   * none of its tables is asked.
   */
  readonly isKnown?: (file: number, schema: number) => boolean;
  /** Called with the folder of the backup that was made before a migration that rewrites data. */
  readonly onUpgradeBackup?: (folder: string) => void;
}

/**
 * Opens or creates the file, runs the missing migrations, and blocks access to everything outside the file.
 *
 * @param opening the database, if it is being opened already
 */
export async function openEngine(
  path: string,
  options: OpenEngineOptions,
  opening: Promise<Database> = Database.open(path, options),
): Promise<OpenEngine> {
  const database = await opening;
  const connections: Connection[] = [];
  let catalog: CatalogNote | undefined;
  const connect = async () => {
    const connection = await database.connect();
    connections.push(connection);
    return connection;
  };
  try {
    catalog = new CatalogNote(path);
    const writer = await connect();
    const known = options.migrations ?? migrations();
    const newest = known.at(-1)!.version;
    const isKnown = options.isKnown?.(catalog.file, newest) === true;
    const found = isKnown ? undefined : await openedFile(writer);
    if (!isKnown && found?.version !== newest)
      await migrate(writer, {
        path,
        migrations: known,
        beforeRewrite: async (from, to) => {
          const folder = await backUpBeforeUpgrade(path, from, to, options.temporaryDirectory);
          options.onUpgradeBackup?.(folder);
        },
      });
    if (!isKnown && !found?.seed) await writer.run(statement("store/insert_body_hash_seed"));
    // As one call: each takes a millisecond of a start.
    await writer.run(
      [
        ...(isKnown ? [statement("store/disable_checkpoint_on_close")] : []),
        statement("store/use_utc"),
        ...(options.fileFolders === undefined ? [] : [statement("store/allow_folders", options.fileFolders)]),
        statement("store/disable_external_access"),
        statement("store/allow_settings"),
        statement("store/lock_configuration"),
        statement("store/create_ended_series"),
      ].join("\n"),
    );
    const settings = await connect();
    const workers = new Workers(options.threads, (count) =>
      settings.run(statement("store/set_external_threads", { count: String(count) })),
    );
    const blocks = new CachedBlocks(settings, options.memoryLimitBytes);
    const kept = new KeptConnections();
    return { database, writer, settings, connections: kept, workers, blocks, catalog };
  } catch (error) {
    for (const connection of connections) connection.close();
    database.close();
    catalog?.close();
    throw error;
  }
}

/**
 * Has the log kept when the file is closed, and reads what a start needs first. Undefined if the file has not the newest schema, or
 * if something is wrong with it: then each table is asked for, and the error says what it is.
 */
async function openedFile(writer: Connection): Promise<{ version: number; seed: string | null } | undefined> {
  const keepLog = statement("store/disable_checkpoint_on_close");
  try {
    // The result is that of the first statement.
    const [found] = await writer.all<{ version: number; seed: string | null }>(
      `${statement("store/opened_file")}\n${keepLog}`,
    );
    return found;
  } catch {
    await writer.run(keepLog);
    return undefined;
  }
}

/**
 * Closes the connections and the file. A connection that stays open would keep the file open.
 *
 * @param isRead whether a reader still runs. Closing the instance under it would abort the process. The instance then ends
 *   with the process
 */
export async function closeEngine(
  { database, writer, settings, connections, workers, catalog }: OpenEngine,
  isRead = false,
): Promise<void> {
  await workers.close();
  connections.close();
  settings.close();
  writer.close();
  if (isRead) return;
  database.close();
  catalog.close();
}
