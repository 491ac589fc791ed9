/** Finds stored samples by series and time, for the check whether a sample is stored already. */
import type { Column } from "../engine/columns.ts";
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";
import type { SampleKeys } from "../store.ts";
import { dayTable } from "./identifiers.ts";

/** Receives a sample. A null value is a stale marker. */
export type SampleVisitor = (seriesId: number, timestampUs: number, value: number | null) => void;

/** See `Store.find`. Call it in an operation on the writer's connection, for a day that is stored. */
export async function findSamples(
  writer: Connection,
  transaction: (action: () => Promise<void>) => Promise<void>,
  day: number,
  { length, seriesId, timestampUs }: SampleKeys,
  visit: SampleVisitor,
): Promise<void> {
  const columns: Column[] = [
    { type: "uinteger", values: seriesId },
    { type: "timestamp", values: timestampUs },
  ];
  await transaction(async () => {
    await writer.run(statement("store/create_wanted_samples"));
    await writer.appendColumns("main", "wanted_samples", ["uinteger", "timestamp"], [{ columns, length }]);
  });
  const found = statement("store/find_samples", { table: dayTable(day) });
  await writer.scan(found, { day }, 2, (read, rows, isNull) => {
    const [ids, times, values] = read as [Uint32Array, Float64Array, Float64Array];
    for (let row = 0; row < rows; row++) visit(ids[row]!, times[row]!, isNull(row) ? null : values[row]!);
  });
}
