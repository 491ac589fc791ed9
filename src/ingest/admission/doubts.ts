/**
 * Once for gauges and cumulative series: samples no newer than the newest of their series are asked of the
 * store, and parted into new ones, duplicates, and ones that say something else than what is stored.
 *
 * All batches that commit together are settled together, so that senders whose samples come out of order to each
 * other, or come again, ask the store once a commit and a day.
 */
import { quote } from "../../model/errors.ts";
import type { Rejection, Rows } from "../../model/sample.ts";
import type { Store } from "../../store/store.ts";
import type { AdmittedBatch } from "./admission.ts";
import { pickRows } from "./row-columns.ts";
import { SampleTable, STALE, UNKNOWN } from "./sample-table.ts";

/** What became of a batch's doubtful samples. */
export interface Settled {
  readonly rows: Rows[];
  readonly rejected: Rejection[];
  readonly duplicates: number;
}

const NOTHING: Settled = { rows: [], rejected: [], duplicates: 0 };

/**
 * Settles the doubtful samples of batches, in their order. Nothing else may be committed between this and the
 * batches' common commit.
 *
 * @param metricOf the name of a series' metric, for what is said of a rejected sample
 */
export async function settleDoubts(
  batches: readonly AdmittedBatch[],
  store: Pick<Store, "find">,
  metricOf: (seriesId: number) => string | undefined,
): Promise<Settled[]> {
  let count = 0;
  for (const { doubtful } of batches) for (const { rows } of doubtful) count += rows.length;
  if (count === 0) return batches.map(() => NOTHING);
  const table = new SampleTable(count);
  await findStored(batches, store, table);
  return batches.map((batch) => settle(batch, table, metricOf));
}

/** Enters what is doubtful into the table, with what the store has of it. */
async function findStored(
  batches: readonly AdmittedBatch[],
  store: Pick<Store, "find">,
  table: SampleTable,
): Promise<void> {
  const days = Map.groupBy(
    batches.flatMap(({ doubtful }) => doubtful.map(({ rows }) => rows)),
    ({ day }) => day,
  );
  for (const [day, segments] of days) {
    const length = segments.reduce((sum, rows) => sum + rows.length, 0);
    const seriesId = new Uint32Array(length);
    const timestampUs = new Float64Array(length);
    let at = 0;
    for (const rows of segments) {
      for (let row = 0; row < rows.length; row++, at++) {
        seriesId[at] = rows.seriesId[row]!;
        timestampUs[at] = rows.timestampUs[row]!;
        table.add(seriesId[at]!, timestampUs[at]!);
      }
    }
    await store.find(day, { length, seriesId, timestampUs }, (id, us, value) => {
      const entry = table.find(id, us);
      if (table.state[entry] === UNKNOWN) table.set(entry, value);
    });
  }
}

function settle(
  batch: AdmittedBatch,
  table: SampleTable,
  metricOf: (seriesId: number) => string | undefined,
): Settled {
  // What commits before a doubtful sample, and beside it, counts as stored.
  for (const rows of batch.rows) {
    for (let row = 0; row < rows.length; row++) {
      const entry = table.find(rows.seriesId[row]!, rows.timestampUs[row]!);
      if (entry >= 0) table.set(entry, storedValue(rows, row));
    }
  }
  const settled: { rows: Rows[]; rejected: Rejection[]; duplicates: number } = {
    rows: [],
    rejected: [],
    duplicates: 0,
  };
  for (const { rows: doubtful, position } of batch.doubtful) {
    const { seriesId, timestampUs } = doubtful;
    const kept: number[] = [];
    for (let row = 0; row < doubtful.length; row++) {
      const entry = table.find(seriesId[row]!, timestampUs[row]!);
      const value = storedValue(doubtful, row);
      if (table.state[entry] === UNKNOWN) {
        table.set(entry, value);
        kept.push(row);
        continue;
      }
      const before = table.state[entry] === STALE ? null : table.value[entry]!;
      if (Object.is(before, value)) settled.duplicates++;
      else {
        const metric = metricOf(seriesId[row]!);
        const reason =
          `value ${quote(value)} of ${quote(metric)} differs from ${quote(before)}, ` +
          "which is stored for this series and time already";
        const payload = quote({ metric_name: metric, value, "@timestamp": timestampUs[row]! / 1000 });
        settled.rejected.push({ index: position[row]!, cause: "duplicate", reason, payload });
      }
    }
    if (kept.length > 0) settled.rows.push(pickRows(doubtful, kept));
  }
  return settled;
}

/** The value as the store gives it: null for a stale marker. */
function storedValue(rows: Rows, row: number): number | null {
  return rows.stale?.[row] === 1 ? null : rows.value[row]!;
}
