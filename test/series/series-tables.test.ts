/** The indexes of series, compared with Maps and lists. */
import { describe, expect, test } from "bun:test";
import type { Labels, Metric, Series } from "../../src/model/sample.ts";
import { labelsKey } from "../../src/series/naming.ts";
import { SeriesById, SeriesByLabels, SeriesList } from "../../src/series/series-tables.ts";

const METRIC = { name: "m" } as Metric;

function seriesOf(seriesId: number, labels: Labels = new Map([["n", String(seriesId)]])): Series {
  return { seriesId, metric: METRIC, labels, exposed: true };
}

/** Numbers below `below` that are the same in each run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

describe("by labels", () => {
  test("finds after any sets and deletions what a Map finds", () => {
    const next = random(1);
    const table = new SeriesByLabels();
    const expected = new Map<string, Series>();
    for (let step = 0; step < 20_000; step++) {
      const labels = new Map([["n", String(next(700))]]);
      const key = labelsKey(labels);
      if (next(2) === 0) {
        const series = seriesOf(step, labels);
        table.set(key, series);
        expected.set(key, series);
      } else {
        table.delete(key);
        expected.delete(key);
      }
      if (step % 500 !== 0) continue;
      expect(table.size).toBe(expected.size);
      expect(new Set(table.values())).toEqual(new Set(expected.values()));
      for (let n = 0; n < 700; n++) {
        const asked = labelsKey(new Map([["n", String(n)]]));
        expect(table.get(asked)).toBe(expected.get(asked));
      }
    }
  });

  test("holds series without labels", () => {
    const table = new SeriesByLabels();
    const series = seriesOf(1, new Map());
    expect(table.get("")).toBeUndefined();
    table.set("", series);
    expect(table.get("")).toBe(series);
  });
});

describe("by id", () => {
  test("finds and lists in ascending order, over pages and after deletions", () => {
    const table = new SeriesById();
    const ids = [5, 1, 4_095, 4_096, 1_000_000];
    for (const id of ids) table.set(seriesOf(id));
    expect(table.size).toBe(5);
    expect(Array.from(table.values(), ({ seriesId }) => seriesId)).toEqual([1, 5, 4_095, 4_096, 1_000_000]);
    table.delete(4_096);
    table.delete(4_096);
    table.delete(7);
    expect(table.size).toBe(4);
    expect([table.get(4_096), table.get(2), table.get(9_999_999)]).toEqual([undefined, undefined, undefined]);
    expect(table.get(1_000_000)!.seriesId).toBe(1_000_000);
  });
});

describe("of a metric", () => {
  test("an iterator goes on after additions, deletions, and the clearing of what was deleted", () => {
    const list = new SeriesList();
    const all = Array.from({ length: 10 }, (_, id) => seriesOf(id + 1));
    for (const series of all.slice(0, 8)) list.add(series);
    const ids = list.values();
    const next = () => ids.next().value?.seriesId;
    expect([next(), next(), next()]).toEqual([1, 2, 3]);
    // Half of them and one more: the list is written again.
    for (const at of [0, 1, 2, 3, 5]) list.delete(all[at]!);
    expect([next(), next()]).toEqual([5, 7]);
    list.add(all[8]!);
    expect([next(), next()]).toEqual([8, 9]);
    expect(list.size).toBe(4);
    expect(all.map((series) => list.has(series))).toEqual([
      ...[false, false, false, false, true],
      ...[false, true, true, true, false],
    ]);
    expect(Array.from(list, ({ seriesId }) => seriesId)).toEqual([5, 7, 8, 9]);
  });

  test("keeps the order of ids if one is added late, and ignores a series that it does not have", () => {
    const list = new SeriesList();
    for (const id of [2, 9, 4]) list.add(seriesOf(id));
    list.delete(seriesOf(9));
    list.delete(seriesOf(3));
    expect(Array.from(list, ({ seriesId }) => seriesId)).toEqual([2, 4, 9]);
  });
});
