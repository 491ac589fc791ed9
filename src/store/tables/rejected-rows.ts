/** The table of rejected samples. Each row gets an id, which is never used again, in ascending order. */
import type { AppendCell } from "../engine/columns.ts";
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";
import type { StoredTables } from "./stored-tables.ts";
import type { Change, RejectedRecord } from "../store.ts";

export class RejectedTable {
  #newest: number;

  /** @param newest the id of the newest row, if it is not loaded */
  constructor(newest = 0) {
    this.#newest = Math.max(newest, Date.now() * 1000);
  }

  /** The newest id. */
  get newest(): number {
    return this.#newest;
  }

  /** Continues after the newest row. If all rows were deleted, the clock keeps ids from being used again. */
  async load(connection: Connection, tables: StoredTables): Promise<void> {
    const [row] = tables.isEmpty("rejected")
      ? []
      : await connection.all<{ newest: number }>(statement("store/load_rejected_id"));
    this.#newest = Math.max(this.#newest, row?.newest ?? 0);
  }

  /** Deletes the samples that were pushed again, and adds those that were rejected. */
  async write(connection: Connection, { rejected = [], replayed = [] }: Change): Promise<void> {
    if (replayed.length > 0)
      await connection.runTexts(statement("store/delete_rejected"), replayed.map(String));
    if (rejected.length > 0)
      await connection.append(
        "weir",
        "rejected",
        rejected.map((record) => this.#row(record)),
      );
  }

  /** Journals of earlier versions have records without the newer fields. */
  #row(record: RejectedRecord): AppendCell[] {
    const {
      receivedAtMs,
      protocol,
      instance,
      reason,
      payload,
      cause = "",
      metric = "",
      sample = "",
    } = record;
    const text = (value: string): AppendCell => ({ type: "varchar", value });
    this.#newest++;
    return [
      { type: "timestampMs", value: receivedAtMs },
      ...[protocol, instance, reason, payload].map(text),
      { type: "ubigint", value: this.#newest },
      ...[cause, metric, JSON.stringify(record.labels ?? {}), sample].map(text),
    ];
  }
}
