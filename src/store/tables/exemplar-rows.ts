/** The table of exemplars: the newest ones, one per series and time, bounded. */
import type { Labels } from "../../model/sample.ts";
import { TextBuilder } from "../engine/columns.ts";
import type { Connection } from "../engine/duckdb.ts";
import { statement } from "../statements.ts";

/** A stored exemplar. */
export interface ExemplarRecord {
  readonly seriesId: number;
  /** Microseconds since the epoch. */
  readonly timestampUs: number;
  readonly value: number;
  readonly labels: Labels;
}

/** Prometheus's default limit: some 10 MB. */
const EXEMPLARS_MAX = 100_000;
/** The table is trimmed after this many new exemplars, not in every commit. */
const CUT_EVERY = 10_000;

export class ExemplarTable {
  #sinceCut = CUT_EVERY;

  /** Stores the exemplars that are new. Call it inside a transaction. */
  async write(writer: Connection, records: readonly ExemplarRecord[]): Promise<void> {
    if (records.length === 0) return;
    const exemplars = [...new Map(records.map((record) => [keyOf(record), record])).values()];
    const builder = new TextBuilder();
    const keys = builder.column(exemplars.flatMap(({ labels }) => [...labels.keys()]));
    const values = builder.column(exemplars.flatMap(({ labels }) => [...labels.values()]));
    const first = new Uint32Array(exemplars.length + 1);
    exemplars.forEach(({ labels }, row) => {
      first[row + 1] = first[row]! + labels.size;
    });
    await writer.run(statement("store/create_new_exemplars"));
    await writer.appendColumns(
      "main",
      "new_exemplars",
      ["uinteger", "uinteger", "timestamp", "double", "map"],
      [
        {
          length: exemplars.length,
          columns: [
            { type: "uinteger", values: Uint32Array.from(exemplars, (_, position) => position) },
            { type: "uinteger", values: Uint32Array.from(exemplars, ({ seriesId }) => seriesId) },
            { type: "timestamp", values: Float64Array.from(exemplars, ({ timestampUs }) => timestampUs) },
            { type: "double", values: Float64Array.from(exemplars, ({ value }) => value) },
            { type: "map", first, keys, values, text: builder.text },
          ],
        },
      ],
    );
    await writer.run(statement("store/insert_exemplars"));
    this.#sinceCut += exemplars.length;
    if (this.#sinceCut < CUT_EVERY) return;
    await writer.run(statement("store/trim_exemplars"), [EXEMPLARS_MAX]);
    this.#sinceCut = 0;
  }

  /** Drops exemplars before a day, in days since 1970-01-01. Call it inside a transaction. */
  async dropBefore(writer: Connection, firstDay: number): Promise<void> {
    await writer.run(statement("store/delete_exemplars_before"), [firstDay]);
  }
}

function keyOf({ seriesId, timestampUs }: ExemplarRecord): string {
  return `${seriesId} ${timestampUs}`;
}
