/** Durations as Prometheus writes them: https://prometheus.io/docs/prometheus/latest/querying/basics/. */
import { describe, expect, test } from "bun:test";
import { formatDuration, parseDurationMs } from "../../src/model/duration.ts";

describe("a duration", () => {
  const is = (text: string, ms: number, printed = text) =>
    test(text, () => {
      expect(parseDurationMs(text)).toBe(ms);
      expect(formatDuration(ms)).toBe(printed);
    });
  is("0s", 0);
  is("1ms", 1);
  is("1h30m", 5_400_000);
  is("90m", 5_400_000, "1h30m");
  is("1d", 86_400_000);
  is("1w", 604_800_000);
  is("1y", 31_536_000_000);
  // A day and a remainder is printed in hours, as Prometheus does.
  is("1d1h", 90_000_000, "25h");
  is("1y2w3d4h5m6s7ms", 33_019_506_007, "9172h5m6s7ms");
});

describe("a duration with decimals", () => {
  const is = (text: string, ms: number | undefined) =>
    test(text, () => {
      expect(parseDurationMs(text, "decimals")).toBe(ms);
      expect(parseDurationMs(text)).toBeUndefined();
    });
  is("1.5h", 5_400_000);
  is("1.1s", 1_100);
  is("0.5d12h", 86_400_000);
  // It is not a whole number of milliseconds.
  is("1.0005s", undefined);
  is("0.1ms", undefined);
});

describe("other text is not a duration", () => {
  for (const text of ["", "5", "h", "-1h", "1x", "30m1h", "1h1h", "1h 30m", ".5h", "1.h", "1H"])
    test(JSON.stringify(text), () => expect(parseDurationMs(text, "decimals")).toBeUndefined());
});
