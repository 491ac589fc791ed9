/**
 * Once for gauges and cumulative series: samples no newer than the newest of their series are asked of the
 * store, and parted into new ones, duplicates, and ones that say something else than what is stored.
 */
import { quote } from "../errors.ts";
import type { Rejection, Rows } from "../sample.ts";
import { type Store, sampleKey } from "../store/store.ts";
import { type AdmittedBatch, pickRows } from "./admission.ts";

/** What became of a batch's doubtful samples. */
export interface Settled {
  readonly rows: Rows[];
  readonly rejected: Rejection[];
  readonly duplicates: number;
}

/**
 * Settles the doubtful samples of a batch. No other batch may be committed between this and the batch's commit.
 *
 * @param metricOf the name of a series' metric, for what is said of a rejected sample
 */
export async function settleDoubts(
  batch: AdmittedBatch,
  store: Pick<Store, "find">,
  metricOf: (seriesId: number) => string | undefined,
): Promise<Settled> {
  const rows: Rows[] = [];
  const rejected: Rejection[] = [];
  let duplicates = 0;
  if (batch.doubtful.length === 0) return { rows, rejected, duplicates };
  const inBatch = new Map<string, number | null>();
  for (const sure of batch.rows) {
    for (let row = 0; row < sure.length; row++) inBatch.set(keyAt(sure, row), storedValue(sure, row));
  }
  for (const { rows: doubtful, position } of batch.doubtful) {
    const { day, seriesId, timestampUs } = doubtful;
    const stored = await store.find(day, [...seriesId], [...timestampUs]);
    const kept: number[] = [];
    for (let row = 0; row < doubtful.length; row++) {
      const key = keyAt(doubtful, row);
      const value = storedValue(doubtful, row);
      const before = inBatch.has(key) ? inBatch.get(key) : stored.get(key);
      if (before === undefined) {
        inBatch.set(key, value);
        kept.push(row);
      } else if (Object.is(before, value)) {
        duplicates++;
      } else {
        const metric = metricOf(seriesId[row]!);
        const reason =
          `value ${quote(value)} of ${quote(metric)} differs from ${quote(before)}, ` +
          "which is stored for this series and time already";
        const payload = quote({ metric_name: metric, value, "@timestamp": timestampUs[row]! / 1000 });
        rejected.push({ index: position[row]!, cause: "duplicate", reason, payload });
      }
    }
    if (kept.length > 0) rows.push(pickRows(doubtful, kept));
  }
  return { rows, rejected, duplicates };
}

function keyAt(rows: Rows, row: number): string {
  return sampleKey(rows.seriesId[row]!, rows.timestampUs[row]!);
}

/** The value as the store gives it: null for a stale marker. */
function storedValue(rows: Rows, row: number): number | null {
  return rows.stale?.[row] === 1 ? null : rows.value[row]!;
}
