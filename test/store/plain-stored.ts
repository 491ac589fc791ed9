/** What a store has read from its file, as values that `toEqual` compares: it sees nothing of a list that is not decoded, or of a compact map. */
import { expect } from "bun:test";
import type { Labels } from "../../src/model/sample.ts";
import type { Stored } from "../../src/store/store.ts";
import type { StoredList } from "../../src/store/start-file/stored-list.ts";

export type PlainStored = ReturnType<typeof plainStored>;

export function plainStored(stored: Stored) {
  const { metrics, series, seriesDays, pushes, totals, ...rest } = stored;
  return {
    ...rest,
    metrics: itemsOf(metrics),
    series: itemsOf(series).map((each) => ({ ...each, labels: new Map(each.labels) as Labels })),
    seriesDays: itemsOf(seriesDays),
    pushes: itemsOf(pushes),
    totals: itemsOf(totals).map((each) => ({
      ...each,
      buckets: Array.from(each.buckets) as ArrayLike<number>,
    })),
  };
}

function itemsOf<Item>(list: StoredList<Item>): readonly Item[] {
  const items = list.read();
  expect(list.length).toBe(items.length);
  return items;
}
