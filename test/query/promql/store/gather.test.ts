/** Samples that arrive in several portions are ordered by series and time. */
import { expect, test } from "bun:test";
import { Gatherer, type SampleLists } from "../../../../src/query/promql/store/gather.ts";

interface Series {
  readonly id: number;
  readonly times: readonly number[];
  readonly values: readonly number[];
  readonly arrivals?: readonly number[];
}

/** A portion as the engine returns it: NaN means a stale marker. */
function portion(...series: Series[]): SampleLists {
  let begin = 0;
  const begins = series.map(({ times }) => {
    begin += times.length;
    return begin - times.length;
  });
  const values = Float64Array.from(series.flatMap((each) => each.values));
  return {
    seriesIds: Uint32Array.from(series, ({ id }) => id),
    begins: Uint32Array.from(begins),
    lengths: Uint32Array.from(series, ({ times }) => times.length),
    timestampsMs: Float64Array.from(series.flatMap(({ times }) => times)),
    values,
    arrivals: series.some(({ arrivals }) => arrivals)
      ? Float64Array.from(series.flatMap(({ arrivals = [] }) => arrivals))
      : undefined,
    stale: values.some(Number.isNaN)
      ? Uint8Array.from(values, (value) => Number(Number.isNaN(value)))
      : undefined,
  };
}

/** `[time, value]` of each sample by group; a stale marker has no value. */
function gathered(groups: readonly number[][], ...portions: SampleLists[]) {
  const gatherer = new Gatherer(groups);
  for (const each of portions) gatherer.take(each);
  const { begins, ends, timestampsMs, values, stale } = gatherer.finish();
  return groups.map((_, slot) =>
    Array.from({ length: ends[slot]! - begins[slot]! }, (__, at) => {
      const item = begins[slot]! + at;
      return stale?.[item] === 1 ? [timestampsMs[item]] : [timestampsMs[item], values[item]];
    }),
  );
}

test("a series without samples is empty, and the others keep their positions", () => {
  const samples = portion({ id: 7, times: [1, 2], values: [10, 20] }, { id: 5, times: [3], values: [30] });
  expect(gathered([[5], [6], [7]], samples)).toEqual([
    [[3, 30]],
    [],
    [
      [1, 10],
      [2, 20],
    ],
  ]);
});

test("any number of runs of a series are merged by time", () => {
  const samples = portion({ id: 1, times: [3, 6, 1, 5, 2, 4], values: [33, 66, 11, 55, 22, 44] });
  expect(gathered([[1]], samples)).toEqual([
    [
      [1, 11],
      [2, 22],
      [3, 33],
      [4, 44],
      [5, 55],
      [6, 66],
    ],
  ]);
});

test("samples of several days are in order, if only some series have them", () => {
  const first = portion({ id: 1, times: [1], values: [1] }, { id: 2, times: [1, 2], values: [1, 2] });
  const second = portion({ id: 2, times: [11], values: [11] }, { id: 3, times: [12], values: [12] });
  const third = portion({ id: 2, times: [21], values: [21] });
  expect(gathered([[1], [2], [3]], first, second, third)).toEqual([
    [[1, 1]],
    [
      [1, 1],
      [2, 2],
      [11, 11],
      [21, 21],
    ],
    [[12, 12]],
  ]);
});

test("stored series that form one are merged by time, and samples of one time by arrival", () => {
  const samples = portion(
    { id: 1, times: [1, 2, 2], values: [1, 2, 4], arrivals: [0, 1, 5] },
    { id: 2, times: [2, 2, 3], values: [5, 3, 6], arrivals: [6, 2, 7] },
  );
  expect(gathered([[1, 2]], samples)).toEqual([
    [
      [1, 1],
      [2, 2],
      [2, 3],
      [2, 4],
      [2, 5],
      [3, 6],
    ],
  ]);
});

test("stale markers keep their times, if other portions come before and after", () => {
  const first = portion({ id: 1, times: [4, 1], values: [4, 1] });
  const second = portion({ id: 1, times: [3], values: [Number.NaN] });
  const third = portion({ id: 1, times: [2], values: [2] });
  expect(gathered([[1]], first, second, third)).toEqual([[[1, 1], [2, 2], [3], [4, 4]]]);
});

test("groups of the same stored series have the same samples", () => {
  const samples = portion({ id: 1, times: [2, 1], values: [20, 10] }, { id: 2, times: [3], values: [30] });
  const later = portion({ id: 1, times: [4], values: [40] });
  const one = [
    [1, 10],
    [2, 20],
    [4, 40],
  ];
  expect(gathered([[1], [2], [1], [2]], samples, later)).toEqual([one, [[3, 30]], one, [[3, 30]]]);
});

test("series whose ids are years apart are gathered too", () => {
  const [first, last] = [1, 4_294_967_295];
  const samples = portion({ id: last, times: [1], values: [10] }, { id: first, times: [2], values: [20] });
  expect(gathered([[first], [last]], samples)).toEqual([[[2, 20]], [[1, 10]]]);
});
