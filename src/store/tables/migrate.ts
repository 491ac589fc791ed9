/** Runs the numbered files of sql/schema that a database file lacks, once each, in a transaction per file. */

import type { Connection } from "../engine/duckdb.ts";
import { type Migration, migrations, statement } from "../statements.ts";
import { SchemaMismatch } from "../store.ts";

export interface MigrationOptions {
  /** The path of the file, for errors. */
  readonly path: string;
  /** The files to run. By default those of sql/schema. */
  readonly migrations?: readonly Migration[];
  /** The last version to run. By default the newest. */
  readonly upTo?: number;
  /**
   * Called before the first migration that rewrites data, with the version that the file has and the one that it gets. The
   * file has not been changed then, and does not change until this resolves.
   */
  readonly beforeRewrite?: (from: number, to: number) => Promise<void>;
}

/**
 * Brings the file to the newest schema. The first file of sql/schema creates everything in a new database.
 *
 * @throws SchemaMismatch when a newer gateway wrote the file, or one that is older than the first file of sql/schema.
 *   The file is not changed
 */
export async function migrate(
  connection: Connection,
  {
    path,
    migrations: known = migrations(),
    upTo = Number.POSITIVE_INFINITY,
    beforeRewrite,
  }: MigrationOptions,
): Promise<void> {
  await connection.run(statement("store/create_migrations"));
  const { found, newest } = await supportedSchema(connection, path, known);
  const missing = known.filter(({ version }) => version > found && version <= upTo);
  // An empty file has nothing that could be lost.
  if (found > 0 && missing.some(({ rewritesData }) => rewritesData)) await beforeRewrite?.(found, newest);
  for (const { version, name, sql } of missing) {
    await connection.run("BEGIN");
    try {
      await connection.run(sql);
      await connection.run(statement("store/record_migration"), [version, name, Date.now() * 1000]);
      await connection.run("COMMIT");
    } catch (error) {
      await connection.run("ROLLBACK").catch(() => undefined);
      throw new Error(`migration ${version} (${name}) failed: ${String(error)}`, { cause: error });
    }
  }
}

/**
 * The newest schema that the file has (0 in an empty file), and the newest that this gateway knows. Changes nothing.
 *
 * @throws SchemaMismatch as `migrate`
 */
export async function supportedSchema(
  connection: Connection,
  path: string,
  known: readonly Migration[] = migrations(),
): Promise<{ found: number; newest: number }> {
  const rows = await connection.all<{ version: number }>(statement("store/migrations_run"));
  const oldest = known[0]!.version;
  const newest = known.at(-1)!.version;
  const found = Math.max(0, ...rows.map(({ version }) => version));
  if (found > newest) {
    throw new SchemaMismatch(
      `${path} has schema ${found}, but this version of Weir supports schemas up to ${newest}; use the newer version`,
    );
  }
  if (rows.length > 0 && found < oldest) {
    throw new SchemaMismatch(
      `${path} has schema ${found}, but this version of Weir needs schema ${oldest} or newer; export the samples with ` +
        'the version of Weir that wrote the file ("weir export"), and import them into a new data folder here ' +
        '("weir import")',
    );
  }
  return { found, newest };
}
