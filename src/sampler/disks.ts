/**
 * File systems and disks on Linux, with the names of node_exporter's filesystem and diskstats collectors.
 * Pseudo file systems, loop devices and partitions are left out, as there.
 */
import { readFile, statfs } from "node:fs/promises";
import { cumulative, type Definition, gauge, type Reading } from "./batch.ts";
import { isRemote, type Mount, parseMountinfo, type Space, SpaceQuestions } from "./filesystems.ts";
import type { Part, PartOptions } from "./part.ts";

const FILE_SYSTEM = ["device", "fstype", "mountpoint"];
export const SIZE = gauge("node_filesystem_size_bytes", "Size of the file system.", FILE_SYSTEM);
const FREE = gauge(
  "node_filesystem_free_bytes",
  "Free space, including the part reserved for root.",
  FILE_SYSTEM,
);
export const AVAILABLE = gauge(
  "node_filesystem_avail_bytes",
  "Free space for users other than root.",
  FILE_SYSTEM,
);
const FILES = gauge("node_filesystem_files", "File nodes of the file system.", FILE_SYSTEM);
const FILES_FREE = gauge("node_filesystem_files_free", "File nodes that are free.", FILE_SYSTEM);
const READ_ONLY = gauge(
  "node_filesystem_readonly",
  "Whether the file system is mounted read-only.",
  FILE_SYSTEM,
);
const DEVICE_ERROR = gauge(
  "node_filesystem_device_error",
  "Whether the file system could not be queried: it failed or did not answer.",
  FILE_SYSTEM,
);

const disk = (make: typeof cumulative, name: string, help: string) =>
  make(`node_disk_${name}`, help, ["device"]);

const count = (number: number) => number;
const sectors = (number: number) => number * 512;
// A division is rounded once. A factor of 0.001 would be inexact itself.
const milliseconds = (number: number) => number / 1000;

/**
 * The numbers of a line of /proc/diskstats after the device's name, in their order
 * (https://docs.kernel.org/admin-guide/iostats.html), each with the conversion to the metric's unit.
 */
const DISK_COLUMNS: readonly (readonly [Definition, (number: number) => number])[] = [
  [disk(cumulative, "reads_completed_total", "Reads completed."), count],
  [disk(cumulative, "reads_merged_total", "Reads merged with a neighbour."), count],
  [disk(cumulative, "read_bytes_total", "Bytes read."), sectors],
  [disk(cumulative, "read_time_seconds_total", "Time that reads took, summed over all."), milliseconds],
  [disk(cumulative, "writes_completed_total", "Writes completed."), count],
  [disk(cumulative, "writes_merged_total", "Writes merged with a neighbour."), count],
  [disk(cumulative, "written_bytes_total", "Bytes written."), sectors],
  [disk(cumulative, "write_time_seconds_total", "Time that writes took, summed over all."), milliseconds],
  [disk(gauge, "io_now", "Requests in progress."), count],
  [disk(cumulative, "io_time_seconds_total", "Time in which a request was in progress."), milliseconds],
  [
    disk(cumulative, "io_time_weighted_seconds_total", "Time of all requests in progress, summed."),
    milliseconds,
  ],
  [disk(cumulative, "discards_completed_total", "Discards completed."), count],
  [disk(cumulative, "discards_merged_total", "Discards merged with a neighbour."), count],
  [disk(cumulative, "discarded_sectors_total", "Sectors of 512 bytes discarded."), count],
  [disk(cumulative, "discard_time_seconds_total", "Time that discards took, summed over all."), milliseconds],
  [disk(cumulative, "flush_requests_total", "Flushes completed."), count],
  [
    disk(cumulative, "flush_requests_time_seconds_total", "Time that flushes took, summed over all."),
    milliseconds,
  ],
];

/** Devices that node_exporter leaves out by default: memory and loop devices, floppies, partitions. */
const NO_DISK = /^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$/;

/** Reads /proc/diskstats: the numbers by device. Older kernels have fewer. */
export function parseDiskstats(text: string): Map<string, readonly number[]> {
  const disks = new Map<string, readonly number[]>();
  for (const line of text.split("\n")) {
    const [, , device, ...numbers] = line.trim().split(/\s+/);
    if (device !== undefined && !NO_DISK.test(device)) disks.set(device, numbers.map(Number));
  }
  return disks;
}

/** A file system that does not answer within this time sets `node_filesystem_device_error`. */
const FILE_SYSTEM_TIMEOUT_MS = 2_000;

interface DisksOptions extends PartOptions {
  /** The mount point of proc. */
  readonly procPath?: string;
  /** Queries the space of a file system. The default is statfs(2). */
  readonly ask?: (mountPoint: string) => Promise<Space>;
  readonly fileSystemTimeoutMs?: number;
}

export function disksPart(options: DisksOptions): Part {
  const {
    intervalMs,
    procPath = "/proc",
    ask = statfs,
    fileSystemTimeoutMs = FILE_SYSTEM_TIMEOUT_MS,
  } = options;
  const questions = new SpaceQuestions(ask, fileSystemTimeoutMs);

  async function addFileSystem(reading: Reading, mount: Mount, signal: AbortSignal): Promise<void> {
    const labels = [mount.device, mount.type, mount.mountPoint];
    const space = await questions.space(mount, signal);
    if (signal.aborted) return;
    reading.add(DEVICE_ERROR, space === undefined ? 1 : 0, ...labels);
    reading.add(READ_ONLY, mount.readOnly ? 1 : 0, ...labels);
    if (space === undefined) return;
    reading.add(SIZE, space.blocks * space.bsize, ...labels);
    reading.add(FREE, space.bfree * space.bsize, ...labels);
    reading.add(AVAILABLE, space.bavail * space.bsize, ...labels);
    reading.add(FILES, space.files, ...labels);
    reading.add(FILES_FREE, space.ffree, ...labels);
  }

  return {
    name: "disks",
    intervalMs,
    async collect(reading, signal) {
      const disks = parseDiskstats(await readFile(`${procPath}/diskstats`, { encoding: "utf8", signal }));
      for (const [device, numbers] of disks) {
        DISK_COLUMNS.slice(0, numbers.length).forEach(([definition, inUnit], column) => {
          reading.add(definition, inUnit(numbers[column]), device);
        });
      }
      const mounts = parseMountinfo(
        await readFile(`${procPath}/self/mountinfo`, { encoding: "utf8", signal }),
      );
      // Remote file systems, which may hang, come last, so that they do not delay the others.
      mounts.sort((a, b) => Number(isRemote(a)) - Number(isRemote(b)));
      for (const mount of mounts) {
        if (signal.aborted) return;
        await addFileSystem(reading, mount, signal);
      }
    },
  };
}
