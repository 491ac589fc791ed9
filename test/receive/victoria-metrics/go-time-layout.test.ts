/** Layouts of Go's package time: one line per case. */
import { describe, expect, test } from "bun:test";
import { goTimeParser } from "../../../src/receive/victoria-metrics/go-time-layout.ts";

describe("layouts of Go's package time", () => {
  const ok = (layout: string, text: string, want: string) =>
    test(`${layout} of ${text}`, () => {
      const us = goTimeParser(layout)?.(text);
      expect(us === undefined ? undefined : new Date(us / 1000).toISOString()).toBe(want);
    });
  const bad = (layout: string, text: string) =>
    test(`${layout} is not ${text}`, () => expect(goTimeParser(layout)?.(text)).toBeUndefined());

  // The constants of the package.
  ok("01/02 03:04:05PM '06 -0700", "11/30 01:02:03PM '24 +0100", "2024-11-30T12:02:03.000Z");
  ok("Mon Jan _2 15:04:05 2006", "Sat Nov  2 13:00:00 2024", "2024-11-02T13:00:00.000Z");
  ok("Mon Jan _2 15:04:05 MST 2006", "Sat Nov 30 13:00:00 UTC 2024", "2024-11-30T13:00:00.000Z");
  ok("02 Jan 06 15:04 -0700", "30 Nov 24 13:00 -0230", "2024-11-30T15:30:00.000Z");
  ok("Monday, 02-Jan-06 15:04:05 MST", "Saturday, 30-Nov-24 13:00:00 GMT", "2024-11-30T13:00:00.000Z");
  ok(
    "2006-01-02T15:04:05.999999999Z07:00",
    "2024-11-30T13:00:00.123456789+01:00",
    "2024-11-30T12:00:00.123Z",
  );
  ok("2006-01-02T15:04:05.999999999Z07:00", "2024-11-30T13:00:00Z", "2024-11-30T13:00:00.000Z");
  ok("2006-01-02", "2024-11-30", "2024-11-30T00:00:00.000Z");
  ok("2006-002", "2024-366", "2024-12-31T00:00:00.000Z");
  ok("January 2, 2006 3pm", "november 3, 2024 12am", "2024-11-03T00:00:00.000Z");
  ok("1/2/2006 3:4:5 PM", "2/29/2024 12:5:6 PM", "2024-02-29T12:05:06.000Z");
  // A fraction is accepted behind seconds although the layout has none.
  ok("2006-01-02 15:04:05", "2024-11-30 13:00:00.25", "2024-11-30T13:00:00.250Z");
  ok("2006-01-02 15:04:05,000", "2024-11-30 13:00:00,250", "2024-11-30T13:00:00.250Z");
  ok("06-01-02", "69-01-01", "1969-01-01T00:00:00.000Z");
  ok("20060102150405", "20241130130000", "2024-11-30T13:00:00.000Z");

  bad("2006-01-02", "2024-02-30");
  bad("2006-01-02", "2024-13-01");
  bad("2006-002", "2023-366");
  bad("2006-01-02 15:04", "2024-01-01 24:00");
  bad("2006-01-02 03:04PM", "2024-01-01 13:00PM");
  bad("2006-01-02 15:04:05.000", "2024-01-01 10:00:00.1");
  bad("2006-01-02", "2024-01-01 x");
  bad("2006-01-02 -0700", "2024-01-01 +9900");

  test("a layout without a date is none", () => {
    expect(goTimeParser("15:04:05")).toBeUndefined();
    expect(goTimeParser("2006")).toBeUndefined();
    expect(goTimeParser("2006-01-02".padEnd(101))).toBeUndefined();
  });
});
