/**
 * Metrics of the gateway's process, under the names that all Prometheus clients use
 * (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics), and the lag of its event
 * loop. prom-client's own set reads values that Bun does not provide, so this module reads the kernel's.
 * Without /proc, the metrics that need it are left out.
 */

import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, type MetricsRegistry } from "../model/metrics-library.ts";

/** /proc/self/status calls this kB. */
const STATUS_UNIT_BYTES = 1024;
/** Short enough to detect most stalls of that length, and long enough to cost nothing. */
const LAG_INTERVAL_MS = 250;
/** The longest delay is measured with this resolution. It takes 0.2 % of a processor. */
const DELAY_RESOLUTION_MS = 20;
/** A process that uses this much processor time in each of two turns works: 2 % of a processor. */
const WORKING_MS = 5;
/** Turns after which it does not: two seconds. */
const IDLE_TURNS = 8;
/** Two scrapers of the usual intervals both see each stall. */
const DELAY_WINDOW_MS = 60_000;

/**
 * Registers process_*, weir_event_loop_lag_seconds, weir_event_loop_lag_max_seconds and weir_build_info.
 *
 * @returns stops the timer that measures the lag
 */
export function registerProcessMetrics(registry: MetricsRegistry, version: string): () => void {
  const registers = [registry];
  const build = new Gauge({
    name: "weir_build_info",
    help: "Always 1. Its label is the version of the gateway.",
    labelNames: ["version"],
    registers,
  });
  build.set({ version }, 1);

  let countedSeconds = 0;
  new Counter({
    name: "process_cpu_seconds_total",
    help: "User and system CPU time spent, in seconds.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      const seconds = (user + system) / 1e6;
      this.inc(Math.max(0, seconds - countedSeconds));
      countedSeconds = Math.max(seconds, countedSeconds);
    },
  });
  const started = new Gauge({
    name: "process_start_time_seconds",
    help: "Start time of the process, in seconds since the epoch.",
    registers,
  });
  started.set(Math.round(performance.timeOrigin) / 1000);
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory.",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  if (existsSync("/proc/self/status")) registerKernelMetrics(registers);
  return measureLag(registers);
}

function registerKernelMetrics(registers: MetricsRegistry[]): void {
  new Gauge({
    name: "process_virtual_memory_bytes",
    help: "Virtual memory.",
    registers,
    async collect() {
      const kilobytes = /^VmSize:\s+(\d+) kB$/m.exec(await readFile("/proc/self/status", "utf8"))?.[1];
      if (kilobytes) this.set(Number(kilobytes) * STATUS_UNIT_BYTES);
    },
  });
  new Gauge({
    name: "process_open_fds",
    help: "Open file descriptors.",
    registers,
    async collect() {
      // The descriptor that reads the folder does not count.
      this.set((await readdir("/proc/self/fd")).length - 1);
    },
  });
  new Gauge({
    name: "process_max_fds",
    help: "Limit on open file descriptors.",
    registers,
    async collect() {
      const limit = /^Max open files\s+(\S+)/m.exec(await readFile("/proc/self/limits", "utf8"))?.[1];
      if (limit) this.set(limit === "unlimited" ? Infinity : Number(limit));
    },
  });
}

/** Measures every stall, because a stall delays the timer. This includes stalls between scrapes. */
function measureLag(registers: MetricsRegistry[]): () => void {
  const lag = new Histogram({
    name: "weir_event_loop_lag_seconds",
    help: `Delay of a timer of ${LAG_INTERVAL_MS} ms.`,
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers,
  });
  const longest = measureLongestLag(registers);
  let before = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const lateSeconds = Math.max(0, now - before - LAG_INTERVAL_MS) / 1000;
    lag.observe(lateSeconds);
    longest.look(lateSeconds);
    before = now;
  }, LAG_INTERVAL_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    longest.stop();
  };
}

/**
 * Measures the longest stall, also of one between two turns of a slower timer. The precise measurement wakes the process fifty
 * times a second, so it runs only while the process works. The slower timer sees the rest of a stall that begins before.
 */
function measureLongestLag(registers: MetricsRegistry[]) {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  let isPrecise = false;
  let wasWorking = false;
  let idleTurns = 0;
  let cpuMs = cpuMsUsed();
  let beganMs = performance.now();
  let before = 0;
  /** Of this window, without what the precise measurement has now. */
  let seen = 0;
  const longest = () => Math.max(seen, isPrecise ? delay.max / 1e9 : 0);
  new Gauge({
    name: "weir_event_loop_lag_max_seconds",
    help: "Longest delay of the event loop in the last one to two minutes, or since the scrape before that.",
    registers,
    collect() {
      this.set(Math.max(before, longest()));
      if (performance.now() - beganMs < DELAY_WINDOW_MS) return;
      before = longest();
      beganMs = performance.now();
      seen = 0;
      delay.reset();
    },
  });
  return {
    /** Call it at each turn of the slower timer, with its delay. */
    look(lateSeconds: number): void {
      seen = Math.max(seen, lateSeconds);
      const used = cpuMsUsed() - cpuMs;
      cpuMs += used;
      // An idle process collects garbage now and then, in one turn.
      const isWorking = used >= WORKING_MS;
      idleTurns = isWorking && wasWorking ? 0 : idleTurns + 1;
      wasWorking = isWorking;
      const isWanted = idleTurns < IDLE_TURNS;
      if (isWanted === isPrecise) return;
      // What it has measured is gone when it is enabled again.
      seen = longest();
      isPrecise = isWanted;
      if (isWanted) delay.enable();
      else delay.disable();
    },
    stop: () => void delay.disable(),
  };
}

function cpuMsUsed(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
