/** Points in time as users write them. */
import { describe, expect, test } from "bun:test";
import { parseTime } from "../../../src/query/summaries/times.ts";

const now = Date.UTC(2024, 0, 2, 12);

describe("a time", () => {
  const ok = (text: string, want: string) =>
    test(text, () => expect(new Date(parseTime(text, now, "from")).toISOString()).toBe(want));
  ok("now", "2024-01-02T12:00:00.000Z");
  ok("-24h", "2024-01-01T12:00:00.000Z");
  ok("-90m", "2024-01-02T10:30:00.000Z");
  ok("-1w", "2023-12-26T12:00:00.000Z");
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
    "-1y",
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
