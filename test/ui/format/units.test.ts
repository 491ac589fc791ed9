/** Numbers and units as people read them. */
import { expect, test } from "bun:test";
import {
  formatBytes,
  formatCount,
  formatNumber,
  formatSeconds,
  formatValue,
  unitOfName,
} from "../../../src/ui/format/units.ts";

const all = (format: (value: number) => string, cases: readonly (readonly [number, string])[]) =>
  expect(cases.map(([value]) => format(value))).toEqual(cases.map(([, text]) => text));

test("numbers have at most four digits", () => {
  all(formatNumber, [
    [0, "0"],
    [1.23456, "1.235"],
    [9_999, "9999"],
    [12_345, "12.35 k"],
    [999_960, "1 M"],
    [-2_500_000, "−2.5 M"],
    [3e9, "3 G"],
    [0.00005, "5.00e-5"],
    [Number.NaN, "NaN"],
    [Number.NEGATIVE_INFINITY, "−∞"],
  ]);
});

test("counts are exact", () => {
  all(formatCount, [
    [999, "999"],
    [1_234_567, "1\u2009234\u2009567"],
    [-1_000, "−1\u2009000"],
  ]);
});

test("bytes use powers of 1024", () => {
  all(formatBytes, [
    [0, "0 B"],
    [1_023, "1023 B"],
    [1_024, "1 KiB"],
    [5.5 * 2 ** 30, "5.5 GiB"],
  ]);
});

test("times use the two largest units", () => {
  all(formatSeconds, [
    [0, "0 s"],
    [2.5e-8, "25 ns"],
    [0.00085, "850 µs"],
    [0.0123, "12.3 ms"],
    [4.2, "4.2 s"],
    [200, "3 min 20 s"],
    [3_600, "1 h"],
    [18_180, "5 h 3 min"],
    [1_051_200, "12 d 4 h"],
    [-90, "−1 min 30 s"],
  ]);
});

test("the unit of a metric, or the end of its name, says how values are shown", () => {
  const shown = (value: number, name: string) => formatValue(value, unitOfName(name));
  expect(shown(2_048, "node_memory_MemFree_bytes")).toBe("2 KiB");
  expect(shown(1_500, "http.request.duration_ms")).toBe("1.5 s");
  expect(shown(0.25, "cpu_ratio")).toBe("25 %");
  expect(shown(1_200, "requests_total")).toBe("1200");
  expect(formatValue(3, "items")).toBe("3 items");
  expect(formatValue(3, "constructor")).toBe("3 constructor");
});
