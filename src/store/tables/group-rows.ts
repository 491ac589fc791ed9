/**
 * The table of groups. Each change appends a state, and the newest state of a group counts. Outdated states are
 * deleted when they are most of the table. An UPDATE by key would read the table for each push.
 */

import type { GroupRecord } from "../../model/records.ts";
import { type Column, TextBuilder } from "../engine/columns.ts";
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";

/** Outdated states that may stay, regardless of the number of groups: some 4 MB. */
const OUTDATED_MAX = 10_000;

export class GroupTable {
  #version = 0;
  #rows = 0;
  #rowsAfterTrim = 0;

  /** Reads the existing groups. */
  async load(connection: Connection): Promise<GroupRecord[]> {
    await this.#count(connection);
    const rows = await connection.all<{ grouping_key: string; definition: string }>(
      statement("store/load_groups"),
    );
    this.#rowsAfterTrim = rows.length;
    return rows.map(({ grouping_key, definition }) => ({ key: grouping_key, definition }));
  }

  /** Appends states. Call it inside a transaction. */
  async write(connection: Connection, records: readonly GroupRecord[]): Promise<void> {
    if (records.length === 0) return;
    if (this.#rows > 2 * this.#rowsAfterTrim + OUTDATED_MAX) {
      await connection.run(statement("store/trim_groups"));
      await this.#count(connection);
      this.#rowsAfterTrim = this.#rows;
    }
    const builder = new TextBuilder();
    const keys = builder.column(records.map(({ key }) => key));
    // An empty string becomes NULL: the group was deleted.
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
      "groups",
      ["ubigint", "varchar", "varchar"],
      [{ columns, length }],
    );
    this.#rows += records.length;
  }

  async #count(connection: Connection): Promise<void> {
    const [counted] = await connection.all<{ rows: number; version: number }>(
      statement("store/count_groups"),
    );
    this.#rows = counted!.rows;
    this.#version = Math.max(this.#version, counted!.version);
  }
}
