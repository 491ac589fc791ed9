/** Values in the units of Grafana. */
import { expect, test } from "bun:test";
import { formatUnit } from "../../../../../src/ui/views/dashboards/fields/grafana-units.ts";

const ok = (value: number, unit: string, want: string, decimals?: number) =>
  expect([unit, formatUnit(value, unit, decimals === undefined ? {} : { decimals })]).toEqual([unit, want]);

test("numbers have prefixes of their unit", () => {
  ok(2_160, "short", "2.16 k");
  ok(999_960, "short", "1 M");
  ok(0, "short", "0");
  ok(-1_500, "short", "−1.5 k");
  ok(1_536, "bytes", "1.5 KiB");
  ok(1_500, "decbytes", "1.5 kB");
  ok(2_048, "kbytes", "2 MiB");
  ok(12_500_000, "Bps", "12.5 MB/s");
  ok(12_500_000, "bps", "12.5 Mb/s");
  ok(1_048_576, "binBps", "1 MiB/s");
  ok(2_500, "watt", "2.5 kW");
  ok(2.4e9, "hertz", "2.4 GHz");
});

test("numbers have their unit behind them", () => {
  ok(0.4, "ops", "0.4 ops/s");
  ok(12.345, "reqps", "12.35 req/s");
  ok(61.5, "celsius", "61.5 °C");
  ok(55, "percent", "55 %");
  ok(0.9554, "percentunit", "95.54 %");
  ok(3, "none", "3");
  // As in Grafana, an unknown unit is text.
  ok(3, "jobs", "3 jobs");
  ok(3, "suffix:jobs", "3 jobs");
  ok(3, "prefix:v", "v3");
  ok(2_000, "si:m", "2 km");
  ok(5, "currencyEUR", "5 €");
});

test("times are spans or instants", () => {
  ok(7_200, "s", "2 h");
  ok(0.0005, "s", "500 µs");
  ok(1_234, "ms", "1.23 s");
  ok(90, "m", "1 h 30 min");
  ok(3_661, "dtdurations", "1 h 1 min");
  expect(formatUnit(Date.UTC(2026, 10, 26, 21, 5, 9), "dateTimeAsIso", { zone: "utc" })).toBe(
    "2026-11-26 21:05:09",
  );
  expect(formatUnit(1_000, "dateTimeFromNow", { nowMs: 61_000 })).toBe("1 min ago");
});

test("a number of decimals is kept", () => {
  ok(0.95544, "percentunit", "95.5 %", 1);
  ok(1_536, "bytes", "1.50 KiB", 2);
  ok(2_160, "short", "2.2 k", 1);
  ok(90, "s", "1.5 min", 1);
  ok(3, "none", "3.00", 2);
  ok(3, "ops", "3 ops/s", 0);
});

test("other values have a text of their own", () => {
  ok(Number.NaN, "bytes", "NaN");
  ok(Number.POSITIVE_INFINITY, "bytes", "∞ B");
  ok(1, "bool_on_off", "On");
  ok(0, "bool", "False");
  ok(255, "hex", "FF");
  ok(12_345, "sci", "1.235e+4");
});
