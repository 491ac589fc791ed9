/** How many rows of each day are committed, in its table or in the journal. */
import type { Rows } from "../model/sample.ts";

export class CommittedRows {
  #byDay = new Map<number, number>();

  /** Starts again from the tables, when the journal is empty. */
  reset(days: Iterable<{ readonly day: number; readonly rows: number }>): void {
    this.#byDay = new Map(Array.from(days, ({ day, rows }) => [day, rows]));
  }

  add(rows: readonly Rows[] = []): void {
    for (const { day, length } of rows) this.#byDay.set(day, (this.#byDay.get(day) ?? 0) + length);
  }

  /** The numbers at this moment, from a day on. Days without rows are left out. */
  from(firstDay = Number.NEGATIVE_INFINITY): ReadonlyMap<number, number> {
    return new Map([...this.#byDay].filter(([day, rows]) => day >= firstDay && rows > 0));
  }
}
