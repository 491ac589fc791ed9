/** Ranges and intervals as Grafana computes them. */
import { expect, test } from "bun:test";
import {
  intervalMs,
  intervalsOf,
  intervalText,
  rangeOfTexts,
  timeOf,
} from "../../../../../src/ui/views/dashboards/grafana/dashboard-times.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("intervals are read and written as durations of Prometheus", () => {
  expect(["15s", ">2m", "1.5h", "500ms", "x"].map(intervalMs)).toEqual([
    15_000,
    2 * MINUTE,
    1.5 * HOUR,
    500,
    undefined,
  ]);
  expect([15_000, 90_000, 2 * HOUR, 500, 86_400_000].map(intervalText)).toEqual([
    "15s",
    "90s",
    "2h",
    "500ms",
    "1d",
  ]);
});

test("a range that ends now moves with it, and another stands", () => {
  const now = Date.UTC(2026, 10, 26, 21, 5);
  expect(rangeOfTexts("now-3h", "now", now)).toEqual({ lastMs: 3 * HOUR });
  expect(rangeOfTexts("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", now)).toEqual({
    fromMs: Date.UTC(2026, 10, 1),
    toMs: Date.UTC(2026, 10, 2),
  });
  expect(rangeOfTexts("1795000000000", "now-1h", now)).toEqual({
    fromMs: 1_795_000_000_000,
    toMs: now - HOUR,
  });
  expect(rangeOfTexts("now", "now-1h", now)).toBeUndefined();
  expect(rangeOfTexts("soon", "now", now)).toBeUndefined();
  const [day, end] = [timeOf("now/d", now, false)!, timeOf("now/d", now, true)!];
  expect([new Date(day).getHours(), end - day]).toEqual([0, 86_400_000 - 1]);
});

test("a step is round, not below the interval of scrapes, and rates cover four of them", () => {
  // 3 h in 600 points are 18 s.
  expect(intervalsOf(3 * HOUR, 600, undefined)).toEqual({ intervalMs: 20_000, rateMs: MINUTE });
  expect(intervalsOf(HOUR, 600, undefined)).toEqual({ intervalMs: 15_000, rateMs: MINUTE });
  // The interval of a panel, and 15 s more.
  expect(intervalsOf(HOUR, 600, 2 * MINUTE)).toEqual({ intervalMs: 2 * MINUTE, rateMs: 2 * MINUTE + 15_000 });
  expect(intervalsOf(7 * 24 * HOUR, 1_000, undefined)).toEqual({
    intervalMs: 10 * MINUTE,
    rateMs: 10 * MINUTE + 15_000,
  });
  // No more than 11,000 steps.
  expect(intervalsOf(24 * HOUR, 100_000, 1_000)).toEqual({ intervalMs: 8_000, rateMs: MINUTE });
});
