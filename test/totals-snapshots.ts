/** Snapshots of the running totals as records, and the reverse. */
import type { TotalsRecord, TotalsSnapshot } from "../src/model/records.ts";

export function snapshotOf(records: readonly TotalsRecord[], whole = true): TotalsSnapshot {
  const column = (of: (record: TotalsRecord) => number) => Float64Array.from(records, of);
  const ends = [0];
  for (const { buckets } of records) ends.push(ends.at(-1)! + buckets.length);
  return {
    length: records.length,
    seriesId: Uint32Array.from(records, ({ seriesId }) => seriesId),
    count: column(({ count }) => count),
    sumHigh: column(({ sumHigh }) => sumHigh),
    sumLow: column(({ sumLow }) => sumLow),
    value: column(({ value }) => value ?? 0),
    noValue: Uint8Array.from(records, ({ value }) => (value === null ? 1 : 0)),
    createdUs: column(({ createdUs }) => createdUs),
    lastUs: column(({ lastUs }) => lastUs),
    arrivedUs: column(({ arrivedUs }) => arrivedUs),
    firstBucket: Uint32Array.from(ends),
    buckets: Float64Array.from(records.flatMap(({ buckets }) => Array.from(buckets))),
    whole,
  };
}

export function recordsOf(snapshot: TotalsSnapshot): TotalsRecord[] {
  return Array.from({ length: snapshot.length }, (_, at) => ({
    seriesId: snapshot.seriesId[at]!,
    count: snapshot.count[at]!,
    sumHigh: snapshot.sumHigh[at]!,
    sumLow: snapshot.sumLow[at]!,
    value: snapshot.noValue[at] === 1 ? null : snapshot.value[at]!,
    createdUs: snapshot.createdUs[at]!,
    lastUs: snapshot.lastUs[at]!,
    arrivedUs: snapshot.arrivedUs[at]!,
    buckets: [...snapshot.buckets.subarray(snapshot.firstBucket[at], snapshot.firstBucket[at + 1])],
  }));
}
