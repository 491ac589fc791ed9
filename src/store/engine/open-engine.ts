/** The store's engine and its connections. Opened at the start, and again if the engine gives up on its file. */
import { statement } from "../statements.ts";
import { migrate } from "../tables/migrate.ts";
import { type Connection, Database } from "./duckdb.ts";
import type { DatabaseOptions } from "./engine-settings.ts";
import { Workers } from "./workers.ts";

export interface OpenEngine {
  readonly database: Database;
  /** The connection that writes. */
  readonly writer: Connection;
  /** Sets the number of threads, which changes while the writer is in a transaction. */
  readonly settings: Connection;
  readonly workers: Workers;
}

/** Opens or creates the file, runs the missing migrations, and blocks access to everything outside the file. */
export async function openEngine(path: string, options: DatabaseOptions): Promise<OpenEngine> {
  const database = await Database.open(path, options);
  try {
    const writer = await database.connect();
    await migrate(writer);
    await writer.run(statement("store/use_utc"));
    await writer.run(statement("store/disable_external_access"));
    await writer.run(statement("store/allow_external_threads"));
    await writer.run(statement("store/lock_configuration"));
    await writer.run(statement("store/create_ended_series"));
    const settings = await database.connect();
    const workers = new Workers(options.threads, (count) =>
      settings.run(statement("store/set_external_threads", { count: String(count) })),
    );
    return { database, writer, settings, workers };
  } catch (error) {
    database.close();
    throw error;
  }
}
