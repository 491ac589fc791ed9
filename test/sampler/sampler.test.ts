/** The loop: parts that hang or fail beside parts that work; and the list of parts. */
import { describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { createCounters } from "../../src/model/counters.ts";
import type { Batch } from "../../src/model/sample.ts";
import { gauge, READING_SAMPLES_MAX } from "../../src/sampler/batch.ts";
import { PART_NAMES, type Part } from "../../src/sampler/part.ts";
import { createParts } from "../../src/sampler/parts.ts";
import { Sampler, type SamplerOptions, untilNextMs } from "../../src/sampler/sampler.ts";
import { until } from "../until.ts";
import { collect, values } from "./readings.ts";

const VALUE = gauge("test_value", "A value.", ["of"]);
/** Short, so that tests are fast. No test depends on the actual duration. */
const INTERVAL_MS = 10;

const counters = createCounters();

let parts = 0;
/** A part with a name of its own, because all tests share the counters. */
function part(collect: Part["collect"], options: Partial<Part> = {}): Part {
  return { name: `part-${++parts}`, intervalMs: INTERVAL_MS, timeoutMs: 10_000, collect, ...options };
}

async function failures(name: string): Promise<Record<string, number>> {
  const metric = await counters.registry.getSingleMetric("weir_sampler_failures_total")?.get();
  const own = metric?.values.filter(({ labels }) => labels.part === name) ?? [];
  return Object.fromEntries(own.map(({ labels, value }) => [labels.cause, value]));
}

/** Options of a sampler that append what it reports to `log`. */
function logTo(log: string[]): Pick<SamplerOptions, "onFailure" | "onRecovery"> {
  return {
    onFailure: (name, cause, why) => void log.push(`${name} fails by ${cause}: ${why}`),
    onRecovery: (name) => void log.push(`${name} recovers`),
  };
}

/** Collects pushed batches. `reached(n)` resolves after n batches. */
class Pushed {
  readonly batches: Batch[] = [];
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly push = async (batch: Batch): Promise<void> => {
    this.batches.push(batch);
    for (const { count, resolve } of this.#waiting) if (this.batches.length >= count) resolve();
  };

  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.batches.length >= count) resolve();
      else this.#waiting.push({ count, resolve });
    });
  }
}

describe("the loop", () => {
  test("runs a part repeatedly, with the same head objects and the common labels", async () => {
    const pushed = new Pushed();
    let run = 0;
    const steady = part(async (reading) => reading.add(VALUE, ++run, "a"));
    const sampler = new Sampler([steady], pushed.push, { counters, labels: new Map([["instance", "box"]]) });
    sampler.start();
    await pushed.reached(3);
    await sampler.stop();
    const [first, second] = pushed.batches;
    expect(values(first)).toEqual({ 'test_value{instance="box",of="a"}': 1 });
    expect(values(second)).toEqual({ 'test_value{instance="box",of="a"}': 2 });
    expect(second.heads[0]).toBe(first.heads[0]);
    expect(second.timestampUs[0]).toBeGreaterThan(first.timestampUs[0]);
    expect(await failures(steady.name)).toEqual({});
  });

  test("counts a part that hangs, does not start it again, and does not delay the others", async () => {
    const pushed = new Pushed();
    let started = 0;
    const { promise: end, resolve } = Promise.withResolvers<void>();
    // It ignores its signal, as a stuck system call does.
    const hanging = part(
      (reading) => {
        started++;
        reading.add(VALUE, started, "hanging");
        return end;
      },
      { timeoutMs: 5 },
    );
    const other = part(async (reading) => reading.add(VALUE, 1, "other"));
    const sampler = new Sampler([hanging, other], pushed.push, { counters, labels: new Map() });
    sampler.start();
    await until("the second stuck reading", async () => ((await failures(hanging.name)).stuck ?? 0) >= 2);
    const sofar = pushed.batches.length;
    await pushed.reached(sofar + 2);
    expect(started).toBe(1);
    expect(await failures(hanging.name)).toMatchObject({ timeout: 1 });
    expect(await failures(other.name)).toEqual({});
    // What it added before is right, and is kept.
    const seen = pushed.batches.map((batch) => values(batch)['test_value{of="hanging"}']);
    expect(seen.filter((value) => value !== undefined)).toEqual([1]);
    resolve();
    await until("the second reading", () => started > 1);
    await sampler.stop();
  });

  test("counts a failing part by cause, tries it again, and logs the first failure and the recovery", async () => {
    const pushed = new Pushed();
    const log: string[] = [];
    let run = 0;
    const failing = part(async (reading) => {
      run++;
      reading.add(VALUE, run, "half");
      if (run <= 2) throw new Error("the driver is gone");
    });
    const sampler = new Sampler([failing], pushed.push, { counters, ...logTo(log) });
    sampler.start();
    await pushed.reached(4);
    await sampler.stop();
    expect(await failures(failing.name)).toEqual({ error: 2 });
    expect(pushed.batches.slice(0, 3).map((batch) => batch.value[0])).toEqual([1, 2, 3]);
    expect(log).toEqual([`${failing.name} fails by error: the driver is gone`, `${failing.name} recovers`]);
  });

  test("counts a part that throws synchronously as failed", async () => {
    const throwing = part(() => {
      throw new Error("at once");
    });
    const sampler = new Sampler([throwing], async () => {}, { counters });
    sampler.start();
    await until("a failure", async () => (await failures(throwing.name)).error >= 1);
    await sampler.stop();
  });

  test("counts and logs a rejected push as one that cannot be stored, and makes the next push", async () => {
    let pushes = 0;
    const log: string[] = [];
    const plain = part(async (reading) => reading.add(VALUE, 1, "a"));
    const push = async () => {
      if (++pushes === 1) throw new Error("the queue is full");
    };
    const sampler = new Sampler([plain], push, { counters, ...logTo(log) });
    sampler.start();
    await until("the second push", () => pushes >= 2);
    await sampler.stop();
    expect(await failures(plain.name)).toEqual({ push: 1 });
    expect(log).toEqual([`${plain.name} fails by push: the queue is full`, `${plain.name} recovers`]);
  });

  test("cuts and counts a reading above its maximum size", async () => {
    const pushed = new Pushed();
    const large = part(async (reading) => {
      for (let sample = 0; sample <= READING_SAMPLES_MAX; sample++) reading.add(VALUE, 1, String(sample));
    });
    const sampler = new Sampler([large], pushed.push, { counters });
    sampler.start();
    await pushed.reached(1);
    await sampler.stop();
    expect(pushed.batches[0].length).toBe(READING_SAMPLES_MAX);
    expect((await failures(large.name)).limit).toBeGreaterThanOrEqual(1);
  });

  test("uses the host's name as instance by default", async () => {
    const pushed = new Pushed();
    const sampler = new Sampler([part(async (reading) => reading.add(VALUE, 1, "a"))], pushed.push, {
      counters,
    });
    sampler.start();
    await pushed.reached(1);
    await sampler.stop();
    expect(values(pushed.batches[0])).toEqual({ [`test_value{instance="${hostname()}",of="a"}`]: 1 });
  });

  test("pushes nothing if a part has no samples", async () => {
    let runs = 0;
    const pushed = new Pushed();
    const absent = part(async () => {
      runs++;
    });
    const sampler = new Sampler([absent], pushed.push, { counters });
    sampler.start();
    await until("the second run", () => runs >= 2);
    await sampler.stop();
    expect(pushed.batches).toEqual([]);
    expect(await failures(absent.name)).toEqual({});
  });

  test("aborts running parts at a stop, waits for them, and pushes nothing more", async () => {
    const pushed = new Pushed();
    let running = false;
    const collect: Part["collect"] = (reading, signal) => {
      running = true;
      reading.add(VALUE, 1, "a");
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          running = false;
          reject(new Error("killed"));
        });
      });
    };
    // A run that has not ended when the next one is due counts as stuck. None is due before the stop.
    const slow = part(collect, { intervalMs: 60_000 });
    const sampler = new Sampler([slow], pushed.push, { counters });
    sampler.start();
    await until("a running part", () => running);
    await sampler.stop();
    expect(running).toBe(false);
    expect(pushed.batches).toEqual([]);
    expect(await failures(slow.name)).toEqual({});
  });

  test("resolves stop although a part ignores its signal", async () => {
    let started = false;
    const sampler = new Sampler(
      [
        part(() => {
          started = true;
          return new Promise(() => {});
        }),
      ],
      async () => {},
      { counters },
    );
    sampler.start();
    await until("a started part", () => started);
    await sampler.stop();
  });

  test("starts and stops without parts", async () => {
    const sampler = new Sampler([], async () => {}, { counters });
    sampler.start();
    await sampler.stop();
  });
});

test("runs at multiples of the interval plus the offset, at least half an interval apart", () => {
  const next = (nowMs: number, intervalMs: number, offsetMs: number) =>
    nowMs + untilNextMs(nowMs, intervalMs, offsetMs);
  expect(next(1_000_000, 15_000, 0)).toBe(1_020_000); // 1,005,000 is only 5 s away
  expect(next(1_005_000, 15_000, 0)).toBe(1_020_000);
  expect(next(1_004_999, 15_000, 0)).toBe(1_020_000); // fired a little early: not again at once
  expect(next(1_005_000, 15_000, 5_000)).toBe(1_025_000);
  expect(next(0, 60_000, 2_500)).toBe(62_500);
});

test("creates the requested parts, with their intervals, in one order", () => {
  const made = createParts({
    names: ["gpu", "host", "network", "gpu"],
    hostIntervalMs: 15_000,
    gpuIntervalMs: 20_000,
    disksIntervalMs: 60_000,
    containersIntervalMs: 30_000,
  });
  expect(made.map(({ name, intervalMs }) => [name, intervalMs])).toEqual([
    ["host", 15_000],
    ["network", 15_000],
    ["gpu", 20_000],
  ]);
});

// Without /proc the same parts use systeminformation, which supports Linux too.
test("finds this machine's CPUs, memory, disks and network with the parts of other platforms", async () => {
  const made = createParts({
    names: PART_NAMES,
    hostIntervalMs: 15_000,
    gpuIntervalMs: 15_000,
    disksIntervalMs: 60_000,
    containersIntervalMs: 30_000,
    platform: "darwin",
  });
  const byName = new Map(made.map((one) => [one.name, one]));
  const has = async (name: string, series: RegExp) => {
    const { values, error } = await collect(byName.get(name)!);
    expect(error).toBeUndefined();
    expect(Object.keys(values).some((key) => series.test(key))).toBe(true);
  };
  await has("host", /^node_cpu_seconds_total\{cpu="0",mode="idle"\}$/);
  await has("host", /^node_memory_total_bytes$/);
  await has("process", /^weir_process_resident_memory_bytes$/);
  await has("disks", /^node_filesystem_size_bytes\{device=/);
  await has("network", /^node_network_receive_bytes_total\{device=/);
});
