/** Reads the resources of a process from /proc: CPU by thread, memory, and the size of its folder. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

// USER_HZ: fixed at 100 for programs on every Linux that Bun runs on.
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** User and system time of all threads. */
  readonly cpuSeconds: number;
  /** Of these, the thread that runs JavaScript. */
  readonly mainThreadSeconds: number;
  readonly residentBytes: number;
  readonly residentBytesPeak: number;
}

export function usageOf(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (field: string) =>
    1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]);
  return {
    cpuSeconds: cpuSeconds(`/proc/${pid}/stat`),
    mainThreadSeconds: cpuSeconds(`/proc/${pid}/task/${pid}/stat`),
    residentBytes: bytes("VmRSS"),
    residentBytesPeak: bytes("VmHWM"),
  };
}

/** utime + stime: the 14th and 15th fields, counted after the command, which may hold spaces. */
function cpuSeconds(path: string): number {
  const stat = readFileSync(path, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Bytes of all files below a folder. */
export function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** Bytes that the files below a folder occupy on the disk: not those of holes, as of a file that is prepared for later. */
export function folderDiskBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + 512 * statSync(join(entry.parentPath, entry.name)).blocks, 0);
}

/** The value below which a share of the values lies; the values are sorted in place. */
export function percentile(values: number[], share: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? Number.NaN;
}
