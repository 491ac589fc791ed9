/** Trends that are extended by the newest values, forecasts of disks, and exact quantiles beside estimates. */
import { describe, expect, test } from "bun:test";
import { forecastsOf } from "../../../../src/ui/views/overview/disk-forecast.ts";
import { extended, type InstantSeries, newestOf } from "../../../../src/ui/views/overview/trends.ts";

const instant = (metric: Record<string, string>, at: number, value: number): InstantSeries => ({
  metric,
  value: [at, String(value)],
});

describe("trends", () => {
  const cpu = { trend: "cpu", instance: "a" };
  const T = 1_700_000_000;

  test("of memory and cards are computed from gauges", () => {
    const gauges = [
      instant({ __name__: "node_memory_MemTotal_bytes", instance: "a" }, T, 16),
      instant({ __name__: "node_memory_MemAvailable_bytes", instance: "a" }, T, 4),
      instant({ __name__: "node_memory_MemTotal_bytes", instance: "b" }, T, 16),
      instant({ __name__: "gpu_utilization_ratio", instance: "a", gpu: "0", uuid: "x" }, T, 0.5),
      instant({ __name__: "gpu_utilization_ratio", instance: "a", gpu: "0", uuid: "y" }, T, 0.75),
      instant(cpu, T, 0.25),
    ];
    expect(newestOf(gauges)).toEqual([
      instant(cpu, T, 0.25),
      instant({ instance: "a", trend: "memory" }, T, 0.75),
      instant({ gpu: "0", instance: "a", trend: "gpu" }, T, 0.75),
    ]);
  });

  test("get one point per minute, and the last one moves until then", () => {
    const before = [
      { metric: cpu, values: [[T, "1"] as const, [T + 60, "2"] as const] },
      { metric: { ...cpu, instance: "b" }, values: [[T + 60, "9"] as const] },
    ];
    const first = extended(before, [instant(cpu, T + 75, 3)])!;
    expect(first[0]!.values).toEqual([
      [T, "1"],
      [T + 60, "2"],
      [T + 75, "3"],
    ]);
    expect(first[1]).toEqual(before[1]!);
    expect(extended(first, [instant(cpu, T + 90, 4)])![0]!.values.at(-1)).toEqual([T + 90, "4"]);
    expect(extended(first, [instant(cpu, T + 90, 4)])![0]!.values).toHaveLength(3);
    const later = extended(first, [instant(cpu, T + 120, 5)])!;
    expect(extended(later, [instant(cpu, T + 135, 6)])![0]!.values).toEqual([
      [T, "1"],
      [T + 60, "2"],
      [T + 120, "5"],
      [T + 135, "6"],
    ]);
  });

  test("lose what is older than half an hour", () => {
    const values = Array.from({ length: 31 }, (_, at) => [T + 60 * at, String(at)] as const);
    const after = extended([{ metric: cpu, values }], [instant(cpu, T + 1_920, 31)])!;
    expect([after[0]!.values[0], after[0]!.values.at(-1)]).toEqual([
      [T + 120, "2"],
      [T + 1_920, "31"],
    ]);
  });

  test("have to be asked again after a pause", () => {
    expect(extended([{ metric: cpu, values: [[T, "1"]] }], [instant(cpu, T + 301, 1)])).toBeUndefined();
    expect(extended([], [instant(cpu, T, 1)])).toEqual([{ metric: cpu, values: [[T, "1"]] }]);
  });
});

describe("the forecast of a disk", () => {
  const disk = { instance: "a", mountpoint: "/" };
  /** Free bytes at instants that are a quarter of a day apart, the newest first. */
  const forecast = (free: readonly number[]) =>
    forecastsOf(
      free.map((value, at) => instant({ ...disk, at: String(at) }, 0, value)),
      21_600,
    );

  test("is the time until a line through what was free reaches 0", () => {
    // 4 per day are used, and 8 are free.
    expect(forecast([8, 9, 10, 11, 12, 13, 14, 15])).toEqual([{ labels: disk, daysLeft: 2 }]);
  });

  test("is not moved by a single peak", () => {
    expect(forecast([8, 9, 10, 11, 12, 13, 14, 15, 0, 17, 18])).toEqual([{ labels: disk, daysLeft: 2 }]);
  });

  test("is absent if it does not fill, or if there are fewer than 8 points", () => {
    expect(forecast([15, 14, 13, 12, 11, 10, 9, 8])).toEqual([{ labels: disk, daysLeft: null }]);
    expect(forecast([8, 9, 10, 11, 12, 13, 14])).toEqual([]);
  });
});
