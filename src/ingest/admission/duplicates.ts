/**
 * Duplicates of gauge and cumulative samples. Samples that are no newer than the newest of their series are looked up
 * in the store. Each is then new, a duplicate, or rejected because another value is stored for its time.
 *
 * If one request has several values for one series and time, the first counts, and the others are rejected with the cause
 * `repeated`. That does not depend on what is stored: the same request gets the same answer when it is sent again.
 *
 * All batches of one commit are checked together. The store is asked once per commit and day, also if the samples of
 * many senders arrive out of order or repeatedly.
 */
import { quote } from "../../model/errors.ts";
import type { SenderTerms } from "../../model/protocol.ts";
import type { Rejection, Rows, Series } from "../../model/sample.ts";
import type { Store } from "../../store/store.ts";
import { REPEATED } from "../contract.ts";
import type { AdmittedBatch } from "./admission.ts";
import { pickRows } from "./row-columns.ts";
import { rejectedLevelText } from "./rejected-sample.ts";
import { SampleTable, STALE, UNKNOWN } from "./sample-table.ts";

/** The result of the check for one batch. */
export interface Checked {
  readonly rows: Rows[];
  readonly rejected: Rejection[];
  readonly duplicates: number;
}

const NOTHING: Checked = { rows: [], rejected: [], duplicates: 0 };

/**
 * Checks the unchecked samples of batches, in their order. Nothing else may be committed between this check and the
 * commit of the batches.
 *
 * @param batches with the words for the samples that are quoted
 * @param seriesOf the series of an id, for what is said of a rejected sample
 */
export async function findDuplicates(
  batches: readonly (Pick<AdmittedBatch, "rows" | "unchecked"> & { readonly terms: SenderTerms })[],
  store: Pick<Store, "find">,
  seriesOf: (seriesId: number) => Series | undefined,
): Promise<Checked[]> {
  let count = 0;
  for (const { unchecked } of batches) for (const { rows } of unchecked) count += rows.length;
  if (count === 0) return batches.map(() => NOTHING);
  const table = new SampleTable(count);
  await findStored(batches, store, table);
  return batches.map((batch, index) => check(batch, index + 1, table, seriesOf));
}

/** Adds the unchecked samples to the table, with the values that the store has for them. */
async function findStored(
  batches: readonly Pick<AdmittedBatch, "unchecked">[],
  store: Pick<Store, "find">,
  table: SampleTable,
): Promise<void> {
  const days = Map.groupBy(
    batches.flatMap(({ unchecked }) => unchecked.map(({ rows }) => rows)),
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

function check(
  batch: Pick<AdmittedBatch, "rows" | "unchecked"> & { readonly terms: SenderTerms },
  batchNumber: number,
  table: SampleTable,
  seriesOf: (seriesId: number) => Series | undefined,
): Checked {
  const { terms } = batch;
  // Samples that commit before an unchecked sample, or together with it, count as stored.
  for (const rows of batch.rows) {
    for (let row = 0; row < rows.length; row++) {
      const entry = table.find(rows.seriesId[row]!, rows.timestampUs[row]!);
      if (entry < 0) continue;
      table.set(entry, storedValue(rows, row));
      table.batch[entry] = batchNumber;
    }
  }
  const checked: { rows: Rows[]; rejected: Rejection[]; duplicates: number } = {
    rows: [],
    rejected: [],
    duplicates: 0,
  };
  for (const { rows: unchecked, position } of batch.unchecked) {
    const { seriesId, timestampUs } = unchecked;
    const kept: number[] = [];
    for (let row = 0; row < unchecked.length; row++) {
      const entry = table.find(seriesId[row]!, timestampUs[row]!);
      const value = storedValue(unchecked, row);
      if (table.state[entry] === UNKNOWN) {
        table.set(entry, value);
        table.batch[entry] = batchNumber;
        kept.push(row);
        continue;
      }
      const before = table.state[entry] === STALE ? null : table.value[entry]!;
      if (Object.is(before, value)) {
        table.batch[entry] = batchNumber;
        checked.duplicates++;
      } else {
        const isRepeated = table.batch[entry] === batchNumber;
        const series = seriesOf(seriesId[row]!);
        const metric = series?.metric.name;
        const reason =
          `value ${quote(value)} of ${quote(metric)} differs from ${quote(before)}, ` +
          (isRepeated
            ? "which the same request has for this series and time before it"
            : "which is already stored for this series and time");
        const payload = quote({ [terms.metric]: metric, value, [terms.time]: timestampUs[row]! / 1000 });
        const cause = isRepeated ? REPEATED : "duplicate";
        const sample = series && rejectedLevelText(series, timestampUs[row]!, value);
        checked.rejected.push({
          index: position[row]!,
          cause,
          reason,
          payload,
          metric,
          labels: series?.labels,
          sample,
        });
      }
    }
    if (kept.length > 0) checked.rows.push(pickRows(unchecked, kept));
  }
  return checked;
}

/** The value as the store returns it: null for a stale marker. */
function storedValue(rows: Rows, row: number): number | null {
  return rows.stale?.[row] === 1 ? null : rows.value[row]!;
}
