/** The host part, against recorded texts of /proc. The values are worked out by hand. */
import { expect, test } from "bun:test";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import {
  hostPart,
  neverBack,
  parseLoadAverage,
  parseMeminfo,
  parseProcStat,
} from "../../src/sampler/host.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { collect } from "./readings.ts";

// A machine of two CPUs, the second removed and added again (cpu3). The softirq and intr lines are shortened.
const STAT = `cpu  17505 12 8400 920511 229 0 135 32 40 2
cpu0 10080 12 5979 460693 118 0 96 16 40 2
cpu3 7425 0 2421 459818 111 0 39 16 0 0
intr 586849 0 9 0 0 0 17
ctxt 847301
btime 1795270532
processes 12608
procs_running 5
procs_blocked 1
softirq 119284 0 35015 1
`;

const MEMINFO = `MemTotal:       24684084 kB
MemFree:          150732 kB
MemAvailable:   24368896 kB
Active(anon):       1548 kB
SwapTotal:       2097148 kB
SwapFree:        2097140 kB
HugePages_Total:       4
Hugepagesize:       2048 kB
`;

test("reads /proc/stat: hundredths of seconds by CPU and mode, and the totals", () => {
  const stat = parseProcStat(STAT);
  expect([...stat.cpus.keys()]).toEqual(["0", "3"]);
  // user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice
  expect(stat.cpus.get("0")).toEqual([100.8, 0.12, 59.79, 4606.93, 1.18, 0, 0.96, 0.16, 0.4, 0.02]);
  expect(stat).toMatchObject({
    interrupts: 586849,
    contextSwitches: 847301,
    forks: 12608,
    bootTimeSeconds: 1795270532,
    running: 5,
    blocked: 1,
  });
});

test("leaves out guests, steal and counts that a kernel's /proc/stat lacks", () => {
  const stat = parseProcStat("cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\n");
  expect(stat.cpus.get("0")).toHaveLength(7);
  expect(stat.interrupts).toBeUndefined();
  expect(parseProcStat("").cpus.size).toBe(0);
});

test("reads /proc/loadavg", () => {
  expect(parseLoadAverage("0.54 1.25 12.14 5/512 30210\n")).toEqual([0.54, 1.25, 12.14]);
});

test("reads /proc/meminfo: bytes for kB, with node_exporter's names", () => {
  expect(Object.fromEntries(parseMeminfo(MEMINFO))).toEqual({
    node_memory_MemTotal_bytes: 25276502016,
    node_memory_MemFree_bytes: 154349568,
    node_memory_MemAvailable_bytes: 24953749504,
    node_memory_Active_anon_bytes: 1585152,
    node_memory_SwapTotal_bytes: 2147479552,
    node_memory_SwapFree_bytes: 2147471360,
    node_memory_HugePages_Total: 4,
    node_memory_Hugepagesize_bytes: 2097152,
  });
});

test("never decreases CPU time, except for a CPU that was removed", () => {
  const before = [10, 0, 5, 100, 2];
  // Idle and iowait decreased a little: they keep their values, and the others increase.
  expect(neverBack(before, [11, 0, 6, 99.5, 1.5])).toEqual([11, 0, 6, 100, 2]);
  // Idle decreased by three seconds: the counters started again.
  expect(neverBack(before, [1, 0, 0, 97, 0])).toEqual([1, 0, 0, 97, 0]);
  expect(neverBack(undefined, before)).toEqual(before);
});

test("reads CPU times, load and memory from a proc folder", async () => {
  const procPath = temporaryFolder();
  await mkdir(join(procPath, "sys/kernel"), { recursive: true });
  await writeFile(join(procPath, "stat"), STAT);
  await writeFile(join(procPath, "loadavg"), "0.54 1.25 12.14 5/512 30210\n");
  await writeFile(join(procPath, "meminfo"), MEMINFO);
  await writeFile(join(procPath, "sys/kernel/domainname"), "example.org\n");
  const part = hostPart({ intervalMs: 15_000, procPath });
  const { values, error } = await collect(part);
  expect(error).toBeUndefined();
  expect(values).toMatchObject({
    'node_cpu_seconds_total{cpu="0",mode="user"}': 100.8,
    'node_cpu_seconds_total{cpu="3",mode="idle"}': 4598.18,
    'node_cpu_guest_seconds_total{cpu="0",mode="nice"}': 0.02,
    node_intr_total: 586849,
    node_context_switches_total: 847301,
    node_forks_total: 12608,
    node_procs_running: 5,
    node_procs_blocked: 1,
    node_boot_time_seconds: 1795270532,
    node_load1: 0.54,
    node_load5: 1.25,
    node_load15: 12.14,
    node_memory_MemAvailable_bytes: 24953749504,
  });
  expect(Object.keys(values)).toContain(
    `node_uname_info{domainname="example.org",machine="${os.machine()}",nodename="${os.hostname()}",` +
      `release="${os.release()}",sysname="${os.type()}",version="${os.version()}"}`,
  );
  // 2 CPUs in 8 modes and 2 of guests, 6 counts, 3 loads, 8 of memory, the time and the name.
  expect(Object.keys(values)).toHaveLength(2 * 10 + 6 + 3 + 8 + 2);

  // Idle of CPU 0 decreases from 4606.93 to 4606.90.
  await writeFile(join(procPath, "stat"), STAT.replace("460693", "460690").replace("10080", "10081"));
  const second = await collect(part);
  expect(second.values).toMatchObject({
    'node_cpu_seconds_total{cpu="0",mode="user"}': 100.81,
    'node_cpu_seconds_total{cpu="0",mode="idle"}': 4606.93,
  });

  await rm(join(procPath, "meminfo"));
  const third = await collect(part);
  expect(third.error?.message).toContain("meminfo");
  expect(third.values).toHaveProperty("node_load1", 0.54);
});

test.if(process.platform === "linux")("reads this machine's CPU times and memory", async () => {
  const { values, error } = await collect(hostPart({ intervalMs: 15_000 }));
  expect(error).toBeUndefined();
  expect(values.node_memory_MemTotal_bytes).toBe(os.totalmem());
  const first = /^cpu(\d+)/m.exec(await readFile("/proc/stat", "utf8"))?.[1];
  expect(values[`node_cpu_seconds_total{cpu="${first}",mode="idle"}`]).toBeGreaterThan(0);
});
