/** The timer that measures the event loop's delay: rarely while nothing happens, soon after work began. */
import { afterEach, beforeEach, expect, jest, spyOn, test } from "bun:test";
import { Registry } from "prom-client";
import { measureLag } from "../../src/exposition/event-loop-lag.ts";
import { WorkSignal } from "../../src/model/metrics/work-signal.ts";

let usedMs = 0;
let nowMs = 0;
const cpu = spyOn(process, "cpuUsage");
const clock = spyOn(performance, "now");
beforeEach(() => {
  cpu.mockImplementation(() => ({ user: usedMs * 1_000, system: 0 }));
  clock.mockImplementation(() => nowMs);
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
  cpu.mockRestore();
  clock.mockRestore();
});

test("has a turn per second while idle, and one each 250 ms while the process works and after work began", async () => {
  const registry = new Registry();
  const work = new WorkSignal();
  const stop = measureLag([registry], work);
  const pass = (ms: number) => {
    nowMs += ms;
    jest.advanceTimersByTime(ms);
  };
  const lag = async () => {
    const values = (await registry.getSingleMetric("weir_event_loop_lag_seconds")!.get()).values as {
      readonly metricName?: string;
      readonly value: number;
    }[];
    const of = (part: string) =>
      values.find(({ metricName }) => metricName === `weir_event_loop_lag_seconds_${part}`)!.value;
    return [of("count"), Math.round(of("sum") * 1_000)];
  };
  // A start is work for two seconds.
  for (let turn = 0; turn < 8; turn++) pass(250);
  expect(await lag()).toEqual([8, 0]);
  pass(999);
  expect(await lag()).toEqual([8, 0]);
  pass(1);
  expect(await lag()).toEqual([9, 0]);
  // The request occupies the loop for 300 ms. The turn that came 50 ms late sees it.
  pass(100);
  work.begin();
  pass(300);
  expect(await lag()).toEqual([10, 50]);
  // 5 ms of processor time in a turn: the next turn comes soon.
  usedMs += 5;
  pass(1_000);
  expect(await lag()).toEqual([11, 50]);
  pass(250);
  expect(await lag()).toEqual([12, 50]);
  pass(250);
  expect(await lag()).toEqual([12, 50]);
  pass(750);
  expect(await lag()).toEqual([13, 50]);
  // In two turns one after the other: it works, and does until eight turns have used less.
  usedMs += 5;
  pass(1_000);
  usedMs += 5;
  pass(250);
  for (let turn = 0; turn < 8; turn++) pass(250);
  expect(await lag()).toEqual([23, 50]);
  pass(250);
  expect(await lag()).toEqual([23, 50]);
  // The loop was occupied while nobody asked, and a request is taken before the timer that is 400 ms late.
  nowMs += 1_150;
  work.begin();
  expect(await lag()).toEqual([24, 450]);
  pass(250);
  expect(await lag()).toEqual([25, 450]);
  stop();
  pass(10_000);
  expect(await lag()).toEqual([25, 450]);
});
