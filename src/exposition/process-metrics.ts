/**
 * Metrics of the gateway's process, under the names that all Prometheus clients use
 * (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics), and the lag of its event
 * loop. prom-client's own set reads values that Bun does not provide, so this module reads the kernel's.
 * Without /proc, the metrics that need it are left out.
 */

import { existsSync, readFileSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import type { Counters } from "../model/counters.ts";
import { Counter, Gauge, type MetricsRegistry } from "../model/metrics-library.ts";
import { measureLag } from "./event-loop-lag.ts";

/** /proc/self/status calls this kB. */
const STATUS_UNIT_BYTES = 1024;

/**
 * Registers process_*, weir_event_loop_lag_seconds, weir_event_loop_lag_max_seconds and weir_build_info.
 *
 * @returns stops the timer that measures the lag
 */
export function registerProcessMetrics(
  { registry, work }: Pick<Counters, "registry" | "work">,
  version: string,
): () => void {
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
  return measureLag(registers, work);
}

function registerKernelMetrics(registers: MetricsRegistry[]): void {
  new Gauge({
    name: "process_virtual_memory_bytes",
    help: "Virtual memory.",
    registers,
    collect() {
      const kilobytes = /^VmSize:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
      if (kilobytes) this.set(Number(kilobytes) * STATUS_UNIT_BYTES);
    },
  });
  new Gauge({
    name: "process_open_fds",
    help: "Open file descriptors.",
    registers,
    async collect() {
      this.set(await openFileCount());
    },
  });
  new Gauge({
    name: "process_max_fds",
    help: "Limit on open file descriptors.",
    registers,
    collect() {
      const limit = /^Max open files\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
      if (limit) this.set(limit === "unlimited" ? Infinity : Number(limit));
    },
  });
}

/** How many files this process has open, by /proc. */
export async function openFileCount(): Promise<number> {
  // Linux 6.2 and later have the count as the size of the folder. To list it takes a thread, and time for each file.
  const { size } = statSync("/proc/self/fd");
  if (size > 0) return size;
  // The descriptor that reads the folder does not count.
  return (await readdir("/proc/self/fd")).length - 1;
}
