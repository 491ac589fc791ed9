/** Data kept by series id, with ids from years of use: 4,294,967,295 is the last possible id. */
import { expect, test } from "bun:test";
import { NewestTimes } from "../../src/ingest/admission/newest-times.ts";
import { SeriesDays } from "../../src/series/series-days.ts";

const LAST = 4_294_967_295;

test("a day has the series that were noted, from the first id to the last", () => {
  const days = new SeriesDays();
  for (const id of [1, 4_096, LAST]) {
    expect(days.touch(id, 20_000)).toBe(true);
    expect(days.touch(id, 20_000)).toBe(false);
  }
  expect(days.touch(LAST, 20_002)).toBe(true);
  expect([0, 1, 2, 4_095, 4_096, LAST - 1, LAST].map((id) => days.hasIn(id, 20_000, 20_001))).toEqual([
    false,
    true,
    false,
    false,
    true,
    false,
    true,
  ]);
  expect(days.hasIn(LAST, 20_001, 20_001)).toBe(false);
  days.forgetBefore(20_001);
  expect([1, 4_096, LAST].map((id) => days.has(id))).toEqual([false, false, true]);
});

test("the newest time of a series is kept until the series is forgotten", () => {
  const newest = new NewestTimes(() => Number.NEGATIVE_INFINITY);
  const ids = Uint32Array.of(1, LAST, 1);
  expect(newest.advance(ids, Float64Array.of(5, 6, 7), 3)).toBe(true);
  expect([newest.get(1), newest.get(LAST)]).toEqual([7, 6]);
  // If one sample of a list is not newer, none of the list is noted. A series without a time has none again.
  expect(newest.advance(Uint32Array.of(2, 1, LAST), Float64Array.of(8, 8, 6), 3)).toBe(false);
  expect([newest.get(1), newest.get(2), newest.get(LAST)]).toEqual([7, Number.NEGATIVE_INFINITY, 6]);
  newest.forget([1, 3]);
  expect([newest.get(1), newest.get(LAST)]).toEqual([Number.NEGATIVE_INFINITY, 6]);
});

test("the newest time of a series to which no sample was admitted yet is the stored one", () => {
  const newest = new NewestTimes((seriesId) => (seriesId === 1 ? 50 : Number.NEGATIVE_INFINITY));
  expect([newest.get(1), newest.get(2)]).toEqual([50, Number.NEGATIVE_INFINITY]);
  expect(newest.advance(Uint32Array.of(2, 1), Float64Array.of(7, 50), 2)).toBe(false);
  expect([newest.get(1), newest.get(2)]).toEqual([50, Number.NEGATIVE_INFINITY]);
  expect(newest.advance(Uint32Array.of(2, 1), Float64Array.of(7, 51), 2)).toBe(true);
  expect([newest.get(1), newest.get(2)]).toEqual([51, 7]);
});
