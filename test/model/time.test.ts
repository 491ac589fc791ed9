/** Points in time as users write them. */
import { describe, expect, test } from "bun:test";
import { engineTimeText, parseTime, unitHintOfUs } from "../../src/model/time.ts";

const now = Date.UTC(2024, 0, 2, 12);

describe("a time", () => {
  const ok = (text: string, want: string) =>
    test(text, () => expect(new Date(parseTime(text, now, "from")).toISOString()).toBe(want));
  ok("now", "2024-01-02T12:00:00.000Z");
  ok("-24h", "2024-01-01T12:00:00.000Z");
  ok("-90m", "2024-01-02T10:30:00.000Z");
  ok("-1w", "2023-12-26T12:00:00.000Z");
  ok("-1y", "2023-01-02T12:00:00.000Z");
  ok("-1h30m", "2024-01-02T10:30:00.000Z");
  ok("-1.5h", "2024-01-02T10:30:00.000Z");
  ok("+1d", "2024-01-03T12:00:00.000Z");
  ok("-500ms", "2024-01-02T11:59:59.500Z");
  ok("1704067200000", "2024-01-01T00:00:00.000Z");
  ok("0", "1970-01-01T00:00:00.000Z");
  ok("2024-01-01", "2024-01-01T00:00:00.000Z");
  ok("2024-01-01T10:00:00Z", "2024-01-01T10:00:00.000Z");
  ok("2024-01-01T10:00:00.250+02:00", "2024-01-01T08:00:00.250Z");
  // Without a zone it is UTC, whatever the machine's zone is.
  ok("2024-01-01T10:00", "2024-01-01T10:00:00.000Z");
  ok("2024-01-01 10:00:00", "2024-01-01T10:00:00.000Z");
});

describe("a malformed time is rejected", () => {
  for (const text of [
    "",
    "yesterday",
    "-24",
    "24h",
    "30m",
    "-30m1h",
    "2024-13-01",
    "2024-02-30",
    "2023-02-29T10:00:00Z",
    "2024-01-01T25:00:00Z",
    "1e12",
    "-99999999999w",
    "01/02/2024",
  ])
    test(JSON.stringify(text), () =>
      expect(() => parseTime(text, now, "from")).toThrow(/^from is ".*"; expected now/),
    );
});

describe("a number in another unit is rejected with a hint", () => {
  const bad = (text: string, unit: string) =>
    test(text, () =>
      expect(() => parseTime(text, now, "from")).toThrow(
        `from is "${text}"; expected now, a distance from now such as -24h, milliseconds since 1970, or RFC 3339 ` +
          `(a number is milliseconds; this one looks like ${unit}).`,
      ),
    );
  // Milliseconds of January 1970: the seconds of 2001-01-01, of 2024-01-01 and of the end of 2099.
  bad("978307200", "seconds");
  bad("1704067200", "seconds");
  bad("4102444799", "seconds");
  bad("1704067200000000", "microseconds");
  bad("1704067200000000000", "nanoseconds");
  test("other times in 1970 are accepted", () => {
    expect(parseTime("978307199", now, "from")).toBe(978_307_199);
    expect(parseTime("4102444800", now, "from")).toBe(4_102_444_800);
  });
});

test("the hint for a time in another unit names the unit of the protocol", () => {
  const us = Date.UTC(2024, 0, 1) * 1_000;
  expect(unitHintOfUs(us, "nanoseconds")).toBe("");
  // The number 1704067200, which is seconds, was read as nanoseconds.
  expect(unitHintOfUs(1_704_067.2, "nanoseconds")).toBe(
    " (a number is nanoseconds; this one looks like seconds)",
  );
  expect(unitHintOfUs(us * 1_000, "seconds")).toBe(
    " (a number is seconds; this one looks like milliseconds)",
  );
  expect(unitHintOfUs(us * 1_000, "milliseconds")).toBe(
    " (a number is milliseconds; this one looks like microseconds)",
  );
});

test("a time keeps its microseconds", () => {
  expect(parseTime("2024-01-01T00:00:00.000250Z", now, "from")).toBe(1_704_067_200_000.25);
});

test("the engine's text of a time has no zeros at its end, before 1970 too", () => {
  expect(engineTimeText(0)).toBe("1970-01-01 00:00:00");
  expect(engineTimeText(1_704_067_200_000_000)).toBe("2024-01-01 00:00:00");
  expect(engineTimeText(1_704_067_199_999_999)).toBe("2023-12-31 23:59:59.999999");
  expect(engineTimeText(1_704_110_645_500_000)).toBe("2024-01-01 12:04:05.5");
  expect(engineTimeText(1_704_110_645_000_010)).toBe("2024-01-01 12:04:05.00001");
  expect(engineTimeText(-1)).toBe("1969-12-31 23:59:59.999999");
});
