/** Times and ranges of times in addresses and for people. */
import { expect, test } from "bun:test";
import {
  endsOf,
  formatAgo,
  formatTime,
  parseSpan,
  rangeOf,
  rangeQuery,
  spanText,
  sqlTimeMs,
  timesAt,
} from "../../../src/ui/format/times.ts";

const NOON = Date.UTC(2026, 10, 26, 12);

test("a time is written in the order of its parts", () => {
  expect(formatTime(NOON + 61_000, "utc")).toBe("2026-11-26 12:01:01");
  expect(sqlTimeMs("2026-11-26 12:00:00.5")).toBe(NOON + 500);
  expect(sqlTimeMs("2026-11-26T13:00:00+01:00")).toBe(NOON);
});

test("times along a range are as short as the range allows", () => {
  const times = (seconds: number) => [NOON / 1_000, NOON / 1_000 + seconds];
  expect(timesAt([0, 0.5, 1], times(300), "utc")).toEqual(["12:00:00", "12:02:30", "12:05:00"]);
  expect(timesAt([0, 0.5, 1], times(3_600), "utc")).toEqual(["12:00", "12:30", "13:00"]);
  expect(timesAt([0, 1], times(2 * 86_400), "utc")).toEqual(["11-26 12:00", "11-28 12:00"]);
});

test("how long ago a time is", () => {
  const ago = (seconds: number) => formatAgo(NOON - seconds * 1_000, NOON);
  expect([0, 12, 119, 7_200, 200_000, -300].map(ago)).toEqual([
    ...["just now", "12 s ago", "1 min ago", "2 h ago", "2 d ago", "in 5 min"],
  ]);
});

test("spans are read and written as in Prometheus", () => {
  expect(["15m", "1h30m", "2d", "1w", "", "5", "1x"].map(parseSpan)).toEqual([
    ...[900_000, 5_400_000, 172_800_000, 604_800_000, undefined, undefined, undefined],
  ]);
  expect([0, 900_000, 5_400_000, 86_400_000, 604_800_000, 691_200_000].map(spanText)).toEqual([
    ...["0s", "15m", "1h30m", "1d", "1w", "8d"],
  ]);
});

test("a range goes through an address unchanged", () => {
  const otherwise = { lastMs: 1 };
  for (const range of [{ lastMs: 3_600_000 }, { fromMs: NOON - 1, toMs: NOON }]) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(rangeQuery(range)))
      if (value !== undefined) query.set(name, value);
    expect(rangeOf(query, otherwise)).toEqual(range);
  }
  for (const text of ["range=x", "from=5&to=4", "from=a&to=b", ""])
    expect(rangeOf(new URLSearchParams(text), otherwise)).toBe(otherwise);
  expect(endsOf({ lastMs: 1_000 }, NOON)).toEqual({ fromMs: NOON - 1_000, toMs: NOON });
});
