/** Runs the numbered files of sql/schema that a database file lacks, once each, in a transaction per file. */

import type { Connection } from "../engine/duckdb.ts";
import { migrations, statement } from "../statements.ts";
import { StoreMismatch } from "../store.ts";

/**
 * Brings the file to the newest schema.
 *
 * @throws StoreMismatch when a newer gateway wrote the file, and this one does not know its schema
 */
export async function migrate(connection: Connection): Promise<void> {
  await connection.run(statement("store/create_migrations"));
  const rows = await connection.all<{ version: number }>(statement("store/migrations_run"));
  const done = new Set(rows.map(({ version }) => version));
  const known = migrations();
  const newest = Math.max(0, ...known.map(({ version }) => version));
  for (const version of done) {
    if (version > newest) {
      throw new StoreMismatch(
        `the data file has schema ${version}, but this gateway supports schemas up to ${newest}; use the newer gateway`,
      );
    }
  }
  for (const { version, name, sql } of known) {
    if (done.has(version)) continue;
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
