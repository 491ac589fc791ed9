/** The gateway's own metrics: a registry as families, the process, and the last pushes. */
import { afterAll, describe, expect, test } from "bun:test";
import { Counter, Gauge, Histogram, Registry, Summary } from "prom-client";
import type { Family, ValuePoint } from "../../src/exposition/family.ts";
import { registryFamilies } from "../../src/exposition/own.ts";
import { registerProcessMetrics } from "../../src/exposition/process-metrics.ts";
import { LastPushes } from "../../src/exposition/totals/last-pushes.ts";
import { createCounters } from "../../src/model/counters.ts";
import { WorkSignal } from "../../src/model/metrics/work-signal.ts";

test("converts a registry's metrics to families, each in the order of its labels", async () => {
  const registry = new Registry();
  const registers = [registry];
  const help = "H.";
  const counter = new Counter({ name: "c_total", help, labelNames: ["a", "b"], registers });
  counter.inc({ b: "2", a: "x" }, 2);
  counter.inc({ b: "1", a: "x" });
  new Gauge({ name: "g", help, registers }).set(-1);
  new Histogram({ name: "h", help, buckets: [1, 2.5], registers }).observe(2);
  const summary = new Summary({ name: "s", help, percentiles: [0.5], labelNames: ["a"], registers });
  summary.observe({ a: "x" }, 4);
  expect(await registryFamilies(registry)).toEqual([
    {
      name: "c_total",
      type: "counter",
      help,
      unit: "",
      points: [
        { labels: 'a="x",b="1"', value: 1 },
        { labels: 'a="x",b="2"', value: 2 },
      ],
    },
    { name: "g", type: "gauge", help, unit: "", points: [{ labels: "", value: -1 }] },
    {
      name: "h",
      type: "histogram",
      help,
      unit: "",
      points: [{ labels: "", edges: ["1.0", "2.5", "+Inf"], values: [0, 1, 1], sum: 2, count: 1 }],
    },
    {
      name: "s",
      type: "summary",
      help,
      unit: "",
      points: [{ labels: 'a="x"', edges: ["0.5"], values: [4], sum: 4, count: 1 }],
    },
  ]);
});

describe("the process", () => {
  const registry = new Registry();
  const stop = registerProcessMetrics({ registry, work: new WorkSignal() }, "1.2.3");
  afterAll(stop);
  const collect = async (): Promise<Record<string, Family>> =>
    Object.fromEntries((await registryFamilies(registry)).map((family) => [family.name, family]));
  const valueIn = (family: Family): number => (family.points as ValuePoint[])[0].value;

  test("exposes its version, start time and usage", async () => {
    const found = await collect();
    expect(found.weir_build_info.points).toEqual([{ labels: 'version="1.2.3"', value: 1 }]);
    expect(
      Math.abs(valueIn(found.process_start_time_seconds) - (Date.now() / 1000 - process.uptime())),
    ).toBeLessThan(1);
    expect(valueIn(found.process_resident_memory_bytes)).toBeGreaterThan(10e6);
    expect(found.process_cpu_seconds_total.type).toBe("counter");
    const before = valueIn(found.process_cpu_seconds_total);
    expect(before).toBeGreaterThan(0);
    expect(valueIn((await collect()).process_cpu_seconds_total)).toBeGreaterThanOrEqual(before);
    expect(found.weir_event_loop_lag_seconds.type).toBe("histogram");
    expect(valueIn(found.weir_event_loop_lag_max_seconds)).toBeGreaterThanOrEqual(0);
  });

  test.if(process.platform === "linux")("exposes the values of the kernel", async () => {
    const found = await collect();
    expect(valueIn(found.process_virtual_memory_bytes)).toBeGreaterThan(
      valueIn(found.process_resident_memory_bytes),
    );
    expect(valueIn(found.process_open_fds)).toBeGreaterThan(2);
    expect(valueIn(found.process_max_fds)).toBeGreaterThan(valueIn(found.process_open_fds));
  });
});

describe("last pushes", () => {
  const T = 1_704_067_200_000;
  const HOUR = 3_600_000;
  const points = (pushes: LastPushes, nowMs: number) =>
    (pushes.families(nowMs)[0].points as ValuePoint[]).map(({ labels, value }) => `${labels} ${value}`);

  test("keeps last pushes for a day, by job and instance", () => {
    const pushes = new LastPushes(createCounters());
    pushes.note("worker", "w1", T);
    pushes.note("", "", T + HOUR);
    pushes.note("worker", "w1", T + 2 * HOUR);
    expect(points(pushes, T + 3 * HOUR)).toEqual([
      'instance="" 1704070800',
      'instance="w1",job="worker" 1704074400',
    ]);
    expect(points(pushes, T + 25 * HOUR)).toEqual(['instance="w1",job="worker" 1704074400']);
    expect(points(pushes, T + 26 * HOUR)).toEqual([]);
  });

  test("limits last pushes: rejects new pairs until an old one has expired", () => {
    const pushes = new LastPushes(createCounters(), 2);
    pushes.note("a", "", T);
    pushes.note("b", "", T);
    pushes.note("c", "", T);
    pushes.note("a", "", T + HOUR);
    expect(points(pushes, T + HOUR)).toEqual([
      'instance="",job="a" 1704070800',
      'instance="",job="b" 1704067200',
    ]);
    pushes.note("c", "", T + 24 * HOUR);
    expect(points(pushes, T + 24 * HOUR)).toEqual([
      'instance="",job="a" 1704070800',
      'instance="",job="c" 1704153600',
    ]);
  });
});
