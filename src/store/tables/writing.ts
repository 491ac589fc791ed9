/**
 * Writes a change to its tables. What the store knows of its tables is updated after the commit.
 */
import type { Rows } from "../../model/sample.ts";
import type { Connection } from "../engine/duckdb.ts";
import type { Change } from "../store.ts";
import { type DayColumns, dayTypes, openDay, placeAttributes } from "./days.ts";
import type { ExemplarTable } from "./exemplar-rows.ts";
import type { RejectedTable } from "./rejected-rows.ts";
import type { StateTable } from "./state-rows.ts";
import * as records from "./store-records.ts";

/** What the store knows of its tables. */
export interface TableWriters {
  readonly groups: StateTable;
  readonly notifications: StateTable;
  readonly forwards: StateTable;
  readonly archives: StateTable;
  readonly exemplars: ExemplarTable;
  readonly rejected: RejectedTable;
  readonly days: Map<number, DayColumns>;
  /** Column names by attribute. They are the same in every day. */
  readonly columns: Map<string, string>;
}

export class Writing {
  readonly #tables: TableWriters;
  readonly #touched: { day: DayColumns; rows: number; attributes: DayColumns["attributes"] }[] = [];
  readonly #newColumns: { attribute: string; column: string }[] = [];

  constructor(tables: TableWriters) {
    this.#tables = tables;
  }

  /** Writes all of a change except its totals. Call it inside a transaction. */
  async write(writer: Connection, change: Change): Promise<void> {
    const { groups, notifications, forwards, archives, exemplars, rejected, days, columns } = this.#tables;
    await records.write(writer, change);
    await rejected.write(writer, change);
    await groups.write(writer, change.groups ?? []);
    await notifications.write(writer, change.notifications ?? []);
    await forwards.write(writer, change.forwards ?? []);
    await archives.write(writer, change.archives ?? []);
    await exemplars.write(writer, change.exemplars ?? []);
    for (const segments of byDay(change.rows ?? [])) {
      const date = segments[0]!.day;
      const day = days.get(date) ?? (await openDay(writer, date));
      const placed = await placeAttributes(writer, day, columns, segments, this.#newColumns);
      await writer.appendColumns("weir", day.table, dayTypes(placed.attributes.length), placed.segments);
      const rows = segments.reduce((sum, segment) => sum + segment.length, 0);
      this.#touched.push({ day, rows, attributes: placed.attributes });
    }
    if (this.#newColumns.length > 0) await records.writeAttributes(writer, this.#newColumns);
  }

  committed(): void {
    for (const { day, rows, attributes } of this.#touched) {
      day.rows += rows;
      day.attributes = attributes;
      this.#tables.days.set(day.day, day);
    }
  }

  failed(): void {
    for (const { attribute } of this.#newColumns) this.#tables.columns.delete(attribute);
  }
}

/** Groups rows by day, and keeps their order within each day. */
function byDay(rows: readonly Rows[]): Rows[][] {
  const groups = new Map<number, Rows[]>();
  for (const segment of rows) {
    if (segment.length === 0) continue;
    const group = groups.get(segment.day);
    if (group === undefined) groups.set(segment.day, [segment]);
    else group.push(segment);
  }
  return [...groups.values()];
}
