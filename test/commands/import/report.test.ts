/** The report of an import about rejected lines: the retention that keeps lines that are too old. */
import { describe, expect, test } from "bun:test";
import { Report } from "../../../src/commands/import/report.ts";
import { messageKind } from "../../../src/model/errors.ts";

const DAY_MS = 86_400_000;

/** The report at `now` of a chunk whose lines have these times and are all rejected because of them. */
function hint(now: string, times: readonly (string | number)[], told = times.length): string | undefined {
  const body = new TextEncoder().encode(
    times.map((time) => `{"@timestamp":${JSON.stringify(time)},"metric_name":"m","value":1}\n`).join(""),
  );
  const report = new Report();
  report.file().add(
    { body, toOffset: body.length, before: { newlines: 0 } },
    {
      accepted: 0,
      duplicates: 0,
      rejected: times.length,
      errors: times.slice(0, told).map((_, index) => ({ index, reason: "too old", cause: "timestamp" })),
      causes: { timestamp: times.length },
      warnings: [],
      warningsOmitted: 0,
    },
  );
  return report.retentionHint(Date.parse(now));
}
const daysOf = (line: string | undefined) => Number(/--retention-days (\d+)/.exec(line ?? "")?.[1]);

describe("the retention that keeps the oldest line, which counts UTC days and today", () => {
  const HOURS = ["00:00:00.000", "00:00:30.000", "11:00:00.000", "12:30:00.000", "23:59:59.999"];

  test("is right at each hour of the line and of the import, over a month's end and a leap day", () => {
    for (const today of ["2026-11-26", "2026-03-01", "2028-03-01", "2027-01-01"]) {
      const day = Date.parse(`${today}T00:00:00Z`) / DAY_MS;
      for (const hour of HOURS) {
        for (const lineHour of HOURS) {
          for (const before of [7, 29, 30, 31, 366]) {
            const lineDay = new Date((day - before) * DAY_MS).toISOString().slice(0, 10);
            // A line is kept if and only if its day is not before today - (N - 1), so N is the days between plus one.
            expect([
              today,
              hour,
              lineHour,
              before,
              daysOf(hint(`${today}T${hour}Z`, [`${lineDay}T${lineHour}Z`])),
            ]).toEqual([today, hour, lineHour, before, before + 1]);
          }
        }
      }
    }
  });

  test("is that of the oldest line, also if the gateway lists only the first errors", () => {
    const times = ["2026-11-10T00:00:00Z", Date.parse("2026-11-01T23:00:00Z"), "2026-11-12T00:00:00Z"];
    expect(daysOf(hint("2026-11-26T11:00:00Z", times))).toBe(26);
    expect(daysOf(hint("2026-11-26T11:00:00Z", times, 1))).toBe(26);
  });

  test("is omitted for times in the future, times in seconds, and texts that are not times", () => {
    expect(hint("2026-11-26T11:00:00Z", ["2027-01-01T00:00:00Z"])).toBeUndefined();
    // 1,764,154,800 seconds are 2025-11-26; read as milliseconds they are in January 1970.
    expect(hint("2026-11-26T11:00:00Z", [1_764_154_800, "yesterday"])).toBeUndefined();
    expect(daysOf(hint("2026-11-26T11:00:00Z", [1_764_154_800, "2026-11-20T00:00:00Z"]))).toBe(7);
  });
});

describe("the kind of a reason", () => {
  const same = (...messages: readonly string[]) =>
    test(`is the same for ${messages.join(" and ")}`, () =>
      expect(new Set(messages.map(messageKind)).size).toBe(1));
  same(
    'value is "12", expected a finite number',
    "value is null, expected a finite number",
    "value is -1e999, expected a finite number",
    'value is {"a":[1,{"b":-2}]}, expected a finite number',
    String.raw`value is "a \" quote", expected a finite number`,
    `value is "${"x".repeat(119)}…, expected a finite number`,
  );
  same(
    "byte 7 of the body is 0xff, which is not valid UTF-8",
    "byte 19 of the body is 0xe9, which is not valid UTF-8",
  );
  test("differs by field and by what was expected", () => {
    const kinds = [
      "value is 1, expected a finite number",
      "unit is 1, expected a string",
      'byte 7 has "x" where a comma or } was expected',
      'byte 7 has "x" where a comma or ] was expected',
      "byte 7 is the end, inside a string",
    ].map(messageKind);
    expect(new Set(kinds).size).toBe(kinds.length);
  });
});
