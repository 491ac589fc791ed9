/**
 * Tables of states by key: groups, and what notifications, forwarding and the archive keep. Each change appends a state, and the newest state of a
 * key counts. Outdated states are deleted when they are most of the table. An UPDATE by key would read the table for each
 * change.
 */

import { type Column, TextBuilder } from "../engine/columns.ts";
import type { Connection } from "../engine/duckdb.ts";
import { jsonRows, statement } from "../statements.ts";
import type { Reader, Store } from "../store.ts";
import type { StoredTables } from "./stored-tables.ts";

/** Outdated states that may stay, regardless of the number of keys: some 4 MB. */
const OUTDATED_MAX = 10_000;

export type StateName = "groups" | "notifications" | "forwards" | "archives";

/** What a table of states knows of its rows. */
export interface StateCounts {
  /** The newest one. */
  readonly version: number;
  readonly rows: number;
  readonly rowsAfterTrim: number;
}

/** A state of a key. Null when it was deleted. */
interface State {
  readonly key: string;
  readonly definition: string | null;
}

export class StateTable {
  readonly #name: StateName;
  #version: number;
  #rows: number;
  #rowsAfterTrim: number;

  /**
   * @param name the table in schema weir, whose columns are a version, a key and a text
   * @param counts what is known of its rows. Not needed if it is loaded
   */
  constructor(name: StateName, counts: StateCounts = { version: 0, rows: 0, rowsAfterTrim: 0 }) {
    this.#name = name;
    this.#version = counts.version;
    this.#rows = counts.rows;
    this.#rowsAfterTrim = counts.rowsAfterTrim;
  }

  get counts(): StateCounts {
    return { version: this.#version, rows: this.#rows, rowsAfterTrim: this.#rowsAfterTrim };
  }

  /** Reads the newest states of the keys that exist, in the order of these states. */
  async load(connection: Connection, tables: StoredTables): Promise<State[]> {
    if (tables.isEmpty(this.#name)) return [];
    await this.#count(connection);
    const states = await readStates(connection, this.#name);
    this.#rowsAfterTrim = states.length;
    return states;
  }

  /** Appends states. Call it inside a transaction. */
  async write(connection: Connection, records: readonly State[]): Promise<void> {
    if (records.length === 0) return;
    if (this.#rows > 2 * this.#rowsAfterTrim + OUTDATED_MAX) {
      await connection.run(statement(`store/trim_${this.#name}`));
      await this.#count(connection);
      this.#rowsAfterTrim = this.#rows;
    }
    const builder = new TextBuilder();
    const keys = builder.column(records.map(({ key }) => key));
    // An empty string becomes NULL: the key was deleted.
    const definitions = builder.column(records.map(({ definition }) => definition ?? ""));
    const { length } = records;
    const versions = new Float64Array(length);
    for (let row = 0; row < length; row++) versions[row] = ++this.#version;
    const { text } = builder;
    const columns: Column[] = [
      { type: "ubigint", values: versions },
      { type: "varchar", strings: keys, text },
      { type: "varchar", strings: definitions, text },
    ];
    await connection.appendColumns(
      "weir",
      this.#name,
      ["ubigint", "varchar", "varchar"],
      [{ columns, length }],
    );
    this.#rows += records.length;
  }

  async #count(connection: Connection): Promise<void> {
    const [counted] = await connection.all<{ rows: number; version: number }>(
      statement(`store/count_${this.#name}`),
    );
    this.#rows = counted!.rows;
    this.#version = Math.max(this.#version, counted!.version);
  }
}

/** Reads the newest states of the keys that exist, in the order of these states. */
async function readStates(connection: Pick<Reader, "all">, name: StateName): Promise<State[]> {
  const rows = await jsonRows<[key: string, definition: string]>(connection, statement(`store/load_${name}`));
  return rows.map(([key, definition]) => ({ key, definition }));
}

/** Reads states that something else than a change has changed, such as a deletion of samples. */
export async function readStatesAgain(store: Pick<Store, "reader">, name: StateName): Promise<State[]> {
  const reader = await store.reader();
  try {
    return await readStates(reader, name);
  } finally {
    reader.close();
  }
}

/** Opens the tables of states, and reads their records. */
export async function loadStates(connection: Connection, tables: StoredTables) {
  const [groups, notifications] = [new StateTable("groups"), new StateTable("notifications")];
  const [forwards, archives] = [new StateTable("forwards"), new StateTable("archives")];
  const records = {
    groups: await groups.load(connection, tables),
    notifications: await notifications.load(connection, tables),
    forwards: await forwards.load(connection, tables),
    archives: await archives.load(connection, tables),
  };
  return { tables: { groups, notifications, forwards, archives }, records };
}
