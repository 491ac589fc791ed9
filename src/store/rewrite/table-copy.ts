/**
 * Copies the tables of one database file to a new one, in a database in memory that has both attached. Row ids of day tables
 * stay the same, because the watermarks of the totals count rows by them.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { type Connection, Database } from "../engine/duckdb.ts";
import { faultOf } from "../engine/faults.ts";
import { statement } from "../statements.ts";
import { StoreLocked } from "../store.ts";
import { dayOfTable } from "../tables/identifiers.ts";
import { migrate } from "../tables/migrate.ts";

export interface CopyOptions {
  readonly memoryLimitBytes: number;
  readonly threads: number;
  readonly temporaryDirectory: string;
}

/** A table of the source: its columns in their order, and its day if it has samples. */
export interface SourceTable {
  readonly table: string;
  readonly columns: readonly string[];
  readonly day: number | undefined;
}

interface ColumnRow extends Record<string, unknown> {
  readonly table_name: string;
  readonly column_name: string;
}

function tablesOf(rows: readonly ColumnRow[]): SourceTable[] {
  return Array.from(
    Map.groupBy(rows, ({ table_name }) => table_name),
    ([table, columns]) => ({
      table,
      columns: columns.map(({ column_name }) => column_name),
      day: dayOfTable(table),
    }),
  );
}

/** Columns that every day table has. The others are attributes. */
const FIXED_COLUMNS = 4;

export class TableCopy {
  readonly #database: Database;
  readonly connection: Connection;

  private constructor(database: Database, connection: Connection) {
    this.#database = database;
    this.connection = connection;
  }

  /** Attaches the source for reading. Throws `StoreLocked` if a gateway has it open. */
  static async open(source: string, options: CopyOptions): Promise<TableCopy> {
    const database = await Database.open(":memory:", options);
    const connection = await database.connect();
    const copy = new TableCopy(database, connection);
    try {
      await connection.run(statement("store/attach_source", { path: source }));
      return copy;
    } catch (error) {
      copy.close();
      if (faultOf(error) === "locked")
        throw new StoreLocked(`${source} is open in another process; stop it first`);
      throw error;
    }
  }

  /**
   * Creates the new database with the schema of a new store, and attaches it.
   *
   * @param path in a folder that is emptied first
   * @param schema the newest migration to run
   */
  async create(path: string, options: CopyOptions, schema?: number): Promise<void> {
    rmSync(dirname(path), { recursive: true, force: true });
    await TableCopy.makeStore(path, options, schema);
    await this.connection.run(statement("store/attach_target", { path }));
    await this.connection.run(statement("store/use_target"));
  }

  /** Creates the file of a new store, and closes it. */
  static async makeStore(path: string, options: CopyOptions, schema?: number): Promise<void> {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const database = await Database.open(path, options);
    try {
      const connection = await database.connect();
      await migrate(connection, { path, upTo: schema });
      connection.close();
    } finally {
      database.close();
    }
    chmodSync(path, 0o600);
  }

  /** The newest migration that the source has run. Undefined if it has run none. */
  async sourceSchema(): Promise<number | undefined> {
    const [schema] = await this.connection.all<{ version: number | null }>(statement("store/source_schema"));
    return schema?.version ?? undefined;
  }

  /** All tables of the source. */
  async allTables(): Promise<SourceTable[]> {
    return tablesOf(await this.connection.all<ColumnRow>(statement("store/source_columns")));
  }

  /** The tables of the source that the schema of the target has, and the day tables. */
  async tables(): Promise<SourceTable[]> {
    const target = tablesOf(await this.connection.all<ColumnRow>(statement("store/target_columns")));
    const known = new Set(target.map(({ table }) => table));
    return (await this.allTables()).filter(({ table, day }) => day !== undefined || known.has(table));
  }

  /** Makes the table of the target empty. A day's table is created with the columns that it has in the source. */
  async prepare({ table, columns, day }: SourceTable): Promise<void> {
    const { connection } = this;
    if (day === undefined) {
      await connection.run(statement("store/empty_target", { table }));
      return;
    }
    await connection.run(statement("store/create_day", { table }));
    for (const column of columns.slice(FIXED_COLUMNS))
      await connection.run(statement("store/add_attribute_column", { table, column }));
  }

  /** Copies all rows of a table. */
  async copyTable({ table }: SourceTable): Promise<void> {
    await this.connection.run(statement("store/copy_table", { table }));
  }

  /** Writes the rows that are only in the log, so that it does not grow as large as the file. */
  async checkpoint(): Promise<void> {
    await this.connection.run(statement("store/checkpoint_target"));
  }

  /** Closes the target. Its file is complete and synced then. The source stays attached, and locked. */
  async finish(): Promise<void> {
    await this.checkpoint();
    await this.connection.run(statement("store/detach_target"));
  }

  close(): void {
    this.connection.close();
    this.#database.close();
  }
}
