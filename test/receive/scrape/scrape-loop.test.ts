/** When the scrapes of a target run, with clocks that the test moves. */
import { describe, expect, test } from "bun:test";
import { readScrapeJobs } from "../../../src/config/scrape-jobs.ts";
import { type Clock, ScrapeLoop } from "../../../src/receive/scrape/scrape-loop.ts";
import { msToFirstScrape, type ScrapeTarget, targetsOf } from "../../../src/receive/scrape/scrape-target.ts";

/** A clock on which nothing takes time, except waits and what the test adds. */
class TestClock implements Clock {
  nowMs = 1_000_000;
  monotonicMs = 0;
  /** How much later each wait ends than it should. */
  lateMs = 0;
  readonly waits: number[] = [];

  now = () => this.nowMs;
  monotonic = () => this.monotonicMs;

  async wait(ms: number, stop: AbortSignal): Promise<void> {
    if (stop.aborted) return;
    this.waits.push(ms);
    this.pass(ms + this.lateMs);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.monotonicMs += ms;
  }
}

/** The times of the first scrapes of a loop, which `during` can delay. They are relative to the start. */
async function times(
  count: number,
  intervalMs: number,
  during: (clock: TestClock, at: number) => void = () => {},
  lateMs = 0,
) {
  const clock = new TestClock();
  clock.lateMs = lateMs;
  const beginMs = clock.nowMs;
  const found: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const faults: unknown[] = [];
  const loop = new ScrapeLoop(
    intervalMs,
    async (atMs) => {
      found.push(atMs - beginMs);
      if (found.length === count) {
        resolve();
        // Until the loop is stopped.
        await stopped.promise;
      }
      during(clock, found.length);
    },
    clock,
  );
  const stopped = Promise.withResolvers<void>();
  loop.start(300, (error) => faults.push(error));
  await promise;
  const end = loop.stop();
  stopped.resolve();
  await end;
  return { found, faults, clock };
}

describe("scrapes", () => {
  test("start at the phase of the target, and repeat at the interval", async () => {
    const { found, clock } = await times(4, 1_000);
    expect(found).toEqual([300, 1_300, 2_300, 3_300]);
    expect(clock.waits.slice(0, 4)).toEqual([300, 1_000, 1_000, 1_000]);
  });

  test("that take a part of the interval start on time nevertheless", async () => {
    expect((await times(4, 1_000, (clock) => clock.pass(700))).found).toEqual([300, 1_300, 2_300, 3_300]);
  });

  test("that take longer than the interval do not pile up: the missed ticks are one", async () => {
    // The first takes 3.5 s. The second starts at its end, and the third at the next tick.
    const slow = (clock: TestClock, at: number) => clock.pass(at === 1 ? 3_500 : 0);
    expect((await times(4, 1_000, slow)).found).toEqual([300, 3_800, 4_300, 5_300]);
  });

  test("that start up to 2 ms late have the time at which they should have started", async () => {
    const { found } = await times(3, 1_000, (clock, at) => clock.pass(at === 1 ? 1_002 : 0));
    expect(found).toEqual([300, 1_300, 2_300]);
  });

  test("that start 3 ms late have their own time", async () => {
    const { found } = await times(3, 1_000, (clock, at) => clock.pass(at === 1 ? 1_003 : 0));
    expect(found).toEqual([300, 1_303, 2_300]);
  });

  test("at most 200 ms apart have their own times", async () => {
    const { found } = await times(3, 200, (clock, at) => clock.pass(at === 1 ? 201 : 0));
    expect(found).toEqual([300, 501, 700]);
  });

  test("go on at the interval if the clock is set back, with its time", async () => {
    const { found, clock } = await times(4, 1_000, (each, at) => {
      if (at === 2) each.nowMs -= 3_600_000;
    });
    expect(found).toEqual([300, 1_300, 2_300 - 3_600_000, 3_300 - 3_600_000]);
    expect(clock.waits.slice(0, 4)).toEqual([300, 1_000, 1_000, 1_000]);
  });

  test("go on after one that throws, and the fault is reported", async () => {
    const fault = new Error("a fault");
    const { found, faults } = await times(3, 1_000, (_, at) => {
      if (at === 1) throw fault;
    });
    expect(found).toEqual([300, 1_300, 2_300]);
    expect(faults).toEqual([fault]);
  });

  test("end with a stop that waits for the running one and aborts its request", async () => {
    const clock = new TestClock();
    const begun = Promise.withResolvers<AbortSignal>();
    const finish = Promise.withResolvers<void>();
    let scrapes = 0;
    const loop = new ScrapeLoop(
      1_000,
      async (_, stop) => {
        scrapes += 1;
        begun.resolve(stop);
        await finish.promise;
      },
      clock,
    );
    loop.start(0, () => {});
    const signal = await begun.promise;
    let isStopped = false;
    const stopping = loop.stop().then(() => {
      isStopped = true;
    });
    expect(signal.aborted).toBe(true);
    expect(isStopped).toBe(false);
    finish.resolve();
    await stopping;
    expect(scrapes).toBe(1);
  });

  test("do not start if the loop is stopped before the first, or was never started", async () => {
    const clock = new TestClock();
    let scrapes = 0;
    const count = async () => {
      scrapes += 1;
    };
    const loop = new ScrapeLoop(1_000, count, clock);
    loop.start(300, () => {});
    await loop.stop();
    await new ScrapeLoop(1_000, count, clock).stop();
    expect(scrapes).toBe(0);
  });
});

describe("the phase of a target", () => {
  const targets = (count: number): ScrapeTarget[] =>
    targetsOf(
      readScrapeJobs(Array.from({ length: count }, (_, at) => `http://t-${at}:9100`).join(" "), "scrape"),
    );

  test("does not depend on the time", () => {
    const [one] = targets(1);
    const first = msToFirstScrape(one!, 0, "here");
    expect(first).toBeWithin(0, 15_000);
    for (const nowMs of [1, 7_499, 15_000, 1_728_043_200_123]) {
      expect((nowMs + msToFirstScrape(one!, nowMs, "here")) % 15_000).toBe(first);
    }
  });

  test("differs between targets, which are spread over the interval", () => {
    const seconds = new Map<number, number>();
    for (const each of targets(1_500)) {
      const second = Math.floor(msToFirstScrape(each, 0, "here") / 1_000);
      seconds.set(second, (seconds.get(second) ?? 0) + 1);
    }
    expect(seconds.size).toBe(15);
    // 100 are expected; six standard deviations are 58.
    for (const count of seconds.values()) expect(count).toBeWithin(42, 159);
  });

  test("differs between machines", () => {
    const [one] = targets(1);
    expect(msToFirstScrape(one!, 0, "here")).not.toBe(msToFirstScrape(one!, 0, "there"));
  });
});
