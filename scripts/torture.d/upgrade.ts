/**
 * A program of its own, which the torture kills: opens the store of a folder with a migration that rewrites its small tables, and
 * closes it. `bun upgrade.ts DATA`.
 */

import { openStore } from "../../src/store/open-store.ts";
import { Database } from "../../src/store/engine/duckdb.ts";
import { type Migration, migrations } from "../../src/store/statements.ts";
import { storeOptions } from "./damage.ts";

/** Schema of the migration. No version of Weir will have it. */
export const SCHEMA = 900;

const TABLES = ["series", "series_days", "metrics", "pushes", "groups", "totals", "watermarks"];

const rewriting: Migration = {
  version: SCHEMA,
  name: "rewrite",
  rewritesData: true,
  sql: TABLES.map((table) => `CREATE OR REPLACE TABLE weir.${table} AS FROM weir.${table};`).join("\n"),
};

/** Makes the store of a folder one of the newest schema again. The rewritten tables stay. */
export async function undoUpgrade(folder: string): Promise<void> {
  const options = storeOptions(folder);
  const database = await Database.open(options.path, options);
  const connection = await database.connect();
  await connection.run(`DELETE FROM weir.migrations WHERE version = ${SCHEMA}`);
  connection.close();
  database.close();
}

if (import.meta.main) {
  const { store } = await openStore({
    ...storeOptions(process.argv[2]!),
    migrations: [...migrations(), rewriting],
  });
  await store.close();
}
