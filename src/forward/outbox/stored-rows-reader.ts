/** Reads rows of the outbox by their ids, with a reader of its own for each read, so that no transaction lasts long. */
import type { RowRange } from "../../model/records.ts";
import { statement } from "../../store/statements.ts";
import type { Day, Store } from "../../store/store.ts";

/** What forwarding needs of the store. */
export type ForwardStore = Pick<Store, "days" | "moveJournal" | "reader">;

/** Columns of some rows, valid until the visitor returns. */
export interface StoredColumns {
  readonly length: number;
  readonly seriesId: Uint32Array;
  readonly timestampUs: Float64Array;
  readonly value: Float64Array;
  readonly live: Uint8Array;
  readonly isStale: (row: number) => boolean;
}

/** Reads rows in the order of arrival. */
export async function readRows(
  store: ForwardStore,
  { table }: Pick<Day, "table">,
  [from, to]: RowRange,
  visit: (rows: StoredColumns) => void,
): Promise<void> {
  const reader = await store.reader();
  try {
    await reader.scan(statement("forward/samples", { table }), [from, to], 2, (columns, length, isStale) => {
      const [seriesId, timestampUs, value, live] = columns as [
        Uint32Array,
        Float64Array,
        Float64Array,
        Uint8Array,
      ];
      visit({ length, seriesId, timestampUs, value, live, isStale });
    });
  } finally {
    reader.close();
  }
}

/** The time of a row, in milliseconds since the epoch. Undefined if there is no such row. */
export async function timeOfRow(
  store: ForwardStore,
  { table }: Pick<Day, "table">,
  row: number,
): Promise<number | undefined> {
  const reader = await store.reader();
  try {
    const [found] = await reader.all<{ ms: number }>(statement("forward/row_time", { table }), [row]);
    return found?.ms;
  } finally {
    reader.close();
  }
}
