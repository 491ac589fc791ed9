/** What a store has read from its file, as values that `toEqual` compares: it sees nothing of a compact map. */
import type { Stored } from "../../src/store/store.ts";

export function plainStored(stored: Stored): Stored {
  return {
    ...stored,
    series: stored.series.map((each) => ({ ...each, labels: new Map(each.labels) })),
    totals: stored.totals.map((each) => ({ ...each, buckets: Array.from(each.buckets) })),
  };
}
