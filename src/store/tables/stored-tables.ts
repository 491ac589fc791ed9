/** The tables of a file, from the engine's catalog in one statement, so that an open reads no table that has no rows. */
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";

/** The tables of samples. */
const LARGE = /^samples_|blocks$/;

export class StoredTables {
  /** The names of the tables in schema weir, in their order. */
  readonly names: readonly string[];
  /** How many rows the small tables have together, at most: all but days and blocks. */
  readonly rows: number;
  readonly #empty: ReadonlySet<string>;

  private constructor(rows: readonly { readonly table_name: string; readonly rows: number }[]) {
    this.names = rows.map(({ table_name }) => table_name);
    this.rows = rows
      .filter(({ table_name }) => !LARGE.test(table_name))
      .reduce((sum, { rows }) => sum + rows, 0);
    this.#empty = new Set(rows.flatMap(({ table_name, rows }) => (rows === 0 ? [table_name] : [])));
  }

  static async read(connection: Connection): Promise<StoredTables> {
    return new StoredTables(await connection.all(statement("store/stored_tables")));
  }

  /** Whether a table has no rows. False for one whose rows were all deleted: the engine counts those until a checkpoint. */
  isEmpty(name: string): boolean {
    return this.#empty.has(name);
  }
}
