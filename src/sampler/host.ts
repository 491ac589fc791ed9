/**
 * The host on Linux, from /proc: CPU time by mode, load, memory and swap, boot time, its name. Names and units are
 * node_exporter's (https://github.com/prometheus/node_exporter), so that its dashboards work. The files are
 * described in https://docs.kernel.org/filesystems/proc.html.
 */
import { readFileSync } from "node:fs";
import os from "node:os";
import { cumulative, type Definition, gauge, type Reading } from "./batch.ts";
import type { Part, PartOptions } from "./part.ts";

export const CPU = cumulative("node_cpu_seconds_total", "Time that each CPU spent in each mode.", [
  "cpu",
  "mode",
]);
const CPU_GUEST = cumulative(
  "node_cpu_guest_seconds_total",
  "Time that each CPU spent running guests. The user and nice modes include it.",
  ["cpu", "mode"],
);
const INTERRUPTS = cumulative("node_intr_total", "Interrupts serviced.");
const CONTEXT_SWITCHES = cumulative("node_context_switches_total", "Context switches.");
const FORKS = cumulative("node_forks_total", "Processes and threads started.");
const PROCESSES_RUNNING = gauge("node_procs_running", "Threads that are running or ready to run.");
const PROCESSES_BLOCKED = gauge("node_procs_blocked", "Processes that wait for I/O.");
export const BOOT_TIME = gauge(
  "node_boot_time_seconds",
  "When the host started, in seconds since the epoch.",
);
export const TIME = gauge("node_time_seconds", "The host's clock, in seconds since the epoch.");
export const LOAD = [
  gauge("node_load1", "Load average over 1 minute."),
  gauge("node_load5", "Load average over 5 minutes."),
  gauge("node_load15", "Load average over 15 minutes."),
];
export const UNAME = gauge("node_uname_info", "The host's name and kernel, from uname(2). Always 1.", [
  "sysname",
  "release",
  "version",
  "machine",
  "nodename",
  "domainname",
]);

/** The columns of a `cpu` line in /proc/stat, in their order. */
const CPU_MODES = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] as const;
const IDLE = CPU_MODES.indexOf("idle");
/** /proc/stat counts in USER_HZ, which is 100 on every platform that Bun supports. */
const USER_HZ = 100;

interface ProcStat {
  /** By CPU number: seconds in each of `CPU_MODES`, then in guests and niced guests. Old kernels have fewer. */
  readonly cpus: ReadonlyMap<string, readonly number[]>;
  readonly interrupts?: number;
  readonly contextSwitches?: number;
  readonly forks?: number;
  readonly bootTimeSeconds?: number;
  readonly running?: number;
  readonly blocked?: number;
}

/** Reads /proc/stat. Values that the kernel lacks are absent. */
export function parseProcStat(text: string): ProcStat {
  const cpus = new Map<string, readonly number[]>();
  const single = new Map<string, number>();
  for (const line of text.split("\n")) {
    const end = line.indexOf(" ");
    if (end < 0) continue;
    const key = line.slice(0, end);
    if (/^cpu\d+$/.test(key)) {
      const ticks = line.slice(end).trim().split(/\s+/);
      cpus.set(
        key.slice("cpu".length),
        ticks.map((tick) => Number(tick) / USER_HZ),
      );
    } else if (key !== "cpu" && key !== "softirq") {
      // On large machines thousands of numbers follow `intr`. Only the first one, the total, is read.
      single.set(key, Number.parseInt(line.slice(end + 1), 10));
    }
  }
  return {
    cpus,
    interrupts: single.get("intr"),
    contextSwitches: single.get("ctxt"),
    forks: single.get("processes"),
    bootTimeSeconds: single.get("btime"),
    running: single.get("procs_running"),
    blocked: single.get("procs_blocked"),
  };
}

/** Reads /proc/loadavg: the averages over 1, 5 and 15 minutes. */
export function parseLoadAverage(text: string): readonly number[] {
  return text.trim().split(/\s+/).slice(0, LOAD.length).map(Number);
}

/**
 * Reads /proc/meminfo: the value in bytes by node_exporter's metric name, or the plain number if the kernel
 * gives no unit. `Active(anon)` becomes `node_memory_Active_anon_bytes`.
 */
export function parseMeminfo(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const [, field, number, unit] of text.matchAll(/^([\w()]+):\s+(\d+)( kB)?$/gm)) {
    const name = field.replace(/\((.*)\)/, "_$1");
    if (unit === undefined) values.set(`node_memory_${name}`, Number(number));
    else values.set(`node_memory_${name}_bytes`, Number(number) * 1024);
  }
  return values;
}

/** A CPU whose idle time decreased by this much was removed and added again, and its counters started again. */
const HOTPLUG_SECONDS = 3;

/**
 * The CPU times to report after `now` was read. The kernel's idle and iowait may decrease a little
 * (proc_stat(5)), which would look like a restart of the counter, and so like a burst. A mode keeps its value
 * until the kernel's exceeds it.
 */
export function neverBack(before: readonly number[] | undefined, now: readonly number[]): readonly number[] {
  if (before === undefined || before[IDLE] - now[IDLE] >= HOTPLUG_SECONDS) return now;
  return now.map((seconds, mode) => Math.max(seconds, before[mode] ?? 0));
}

interface HostOptions extends PartOptions {
  /** The mount point of proc. */
  readonly procPath?: string;
}

export function hostPart({ intervalMs, procPath = "/proc" }: HostOptions): Part {
  let cpus: ReadonlyMap<string, readonly number[]> = new Map();
  const memory = new Map<string, Definition>();
  // The kernel writes these files at once, in some 0.05 ms. To read each on another thread takes ten times as long.
  const read = (name: string) => readFileSync(`${procPath}/${name}`, "utf8");

  function addStat(reading: Reading, stat: ProcStat): void {
    cpus = new Map([...stat.cpus].map(([cpu, seconds]) => [cpu, neverBack(cpus.get(cpu), seconds)]));
    for (const [cpu, seconds] of cpus) {
      CPU_MODES.forEach((mode, index) => {
        reading.add(CPU, seconds[index], cpu, mode);
      });
      reading.add(CPU_GUEST, seconds[CPU_MODES.length], cpu, "user");
      reading.add(CPU_GUEST, seconds[CPU_MODES.length + 1], cpu, "nice");
    }
    reading.add(INTERRUPTS, stat.interrupts);
    reading.add(CONTEXT_SWITCHES, stat.contextSwitches);
    reading.add(FORKS, stat.forks);
    reading.add(PROCESSES_RUNNING, stat.running);
    reading.add(PROCESSES_BLOCKED, stat.blocked);
    reading.add(BOOT_TIME, stat.bootTimeSeconds);
  }

  function addMemory(reading: Reading, values: ReadonlyMap<string, number>): void {
    for (const [name, value] of values) {
      const definition = memory.getOrInsertComputed(name, () =>
        gauge(name, "The line of /proc/meminfo with this name."),
      );
      reading.add(definition, value);
    }
  }

  return {
    name: "host",
    intervalMs,
    isQuick: true,
    async collect(reading) {
      addStat(reading, parseProcStat(read("stat")));
      const averages = parseLoadAverage(read("loadavg"));
      LOAD.forEach((definition, index) => {
        reading.add(definition, averages[index]);
      });
      addMemory(reading, parseMeminfo(read("meminfo")));
      reading.add(TIME, Date.now() / 1000);
      const domain = read("sys/kernel/domainname").trim();
      reading.add(UNAME, 1, os.type(), os.release(), os.version(), os.machine(), os.hostname(), domain);
    },
  };
}
