/** The disks part, against recorded texts of /proc, and file systems that hang. */
import { expect, test } from "bun:test";
import { mkdir, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { disksPart, parseDiskstats } from "../../src/sampler/disks.ts";
import { parseMountinfo, type Space } from "../../src/sampler/filesystems.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { collect } from "./readings.ts";

const MOUNTINFO = String.raw`22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=24684084k
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda1 rw,discard
28 27 0:31 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,mode=755
30 27 0:44 / /var/lib/docker/overlay2/abc/merged rw - xfs /dev/vdb rw
31 27 0:45 / /mnt/merged rw - overlay overlay rw,lowerdir=/a
32 27 254:16 / /mnt/my\040disk\134one ro,relatime - xfs /dev/vdb rw,attr2
33 27 0:51 / /net/home rw,relatime - nfs4 server:/home rw,vers=4.2
34 27 254:0 / / rw,relatime - ext4 /dev/vda1 rw,discard
35 27 0:52 / /net/old ro,relatime - nfs server:/old ro
`;

const DISKSTATS = ` 254       0 vda 16862 6340 2670234 20926 1858 16234 1939632 3378 2 3448 24519 3177 49 56656 213 23 1
   7       0 loop0 1 2 3 4 5 6 7 8 9 10 11
 254       1 vda1 1 2 3 4 5 6 7 8 9 10 11
 259       0 nvme0n1 10 20 30 40 50 60 70 80 0 100 110
 259       1 nvme0n1p1 1 2 3 4 5 6 7 8 9 10 11
 253       0 zram0 1 2 3 4 5 6 7 8 9 10 11
`;

test("reads mountinfo: storage only, no optional fields, octal escapes, equal mounts once", () => {
  expect(parseMountinfo(MOUNTINFO)).toEqual([
    { device: "/dev/vda1", mountPoint: "/", type: "ext4", readOnly: false },
    { device: "tmpfs", mountPoint: "/run", type: "tmpfs", readOnly: false },
    { device: "/dev/vdb", mountPoint: "/mnt/my disk\\one", type: "xfs", readOnly: true },
    { device: "server:/home", mountPoint: "/net/home", type: "nfs4", readOnly: false },
    { device: "server:/old", mountPoint: "/net/old", type: "nfs", readOnly: true },
  ]);
});

test("reads diskstats of whole disks only", () => {
  const disks = parseDiskstats(DISKSTATS);
  expect([...disks.keys()]).toEqual(["vda", "nvme0n1"]);
  expect(disks.get("nvme0n1")).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 0, 100, 110]);
});

async function withProc(use: (procPath: string) => Promise<void>): Promise<void> {
  const procPath = temporaryFolder();
  await mkdir(join(procPath, "self"));
  await writeFile(join(procPath, "self/mountinfo"), MOUNTINFO);
  await writeFile(join(procPath, "diskstats"), DISKSTATS);
  await use(procPath);
}

const SPACE: Space = { bsize: 4096, blocks: 1000, bfree: 300, bavail: 250, files: 64, ffree: 60 };

test("returns space and transfers in bytes and seconds", () =>
  withProc(async (procPath) => {
    const { values, error } = await collect(
      disksPart({ intervalMs: 60_000, procPath, ask: async () => SPACE }),
    );
    expect(error).toBeUndefined();
    const root = 'device="/dev/vda1",fstype="ext4",mountpoint="/"';
    expect(values).toMatchObject({
      [`node_filesystem_size_bytes{${root}}`]: 4_096_000,
      [`node_filesystem_free_bytes{${root}}`]: 1_228_800,
      [`node_filesystem_avail_bytes{${root}}`]: 1_024_000,
      [`node_filesystem_files{${root}}`]: 64,
      [`node_filesystem_files_free{${root}}`]: 60,
      [`node_filesystem_readonly{${root}}`]: 0,
      [`node_filesystem_device_error{${root}}`]: 0,
      'node_disk_reads_completed_total{device="vda"}': 16862,
      'node_disk_reads_merged_total{device="vda"}': 6340,
      'node_disk_read_bytes_total{device="vda"}': 2670234 * 512,
      'node_disk_read_time_seconds_total{device="vda"}': 20.926,
      'node_disk_writes_completed_total{device="vda"}': 1858,
      'node_disk_writes_merged_total{device="vda"}': 16234,
      'node_disk_written_bytes_total{device="vda"}': 1939632 * 512,
      'node_disk_write_time_seconds_total{device="vda"}': 3.378,
      'node_disk_io_now{device="vda"}': 2,
      'node_disk_io_time_seconds_total{device="vda"}': 3.448,
      'node_disk_io_time_weighted_seconds_total{device="vda"}': 24.519,
      'node_disk_discards_completed_total{device="vda"}': 3177,
      'node_disk_discards_merged_total{device="vda"}': 49,
      'node_disk_discarded_sectors_total{device="vda"}': 56656,
      'node_disk_discard_time_seconds_total{device="vda"}': 0.213,
      'node_disk_flush_requests_total{device="vda"}': 23,
      'node_disk_flush_requests_time_seconds_total{device="vda"}': 0.001,
    });
    // 5 file systems with 7 values each, a disk with 17 columns and one with 11.
    expect(Object.keys(values)).toHaveLength(5 * 7 + 17 + 11);
  }));

test("reports a file system that hangs as a device error, calls it only once, and reads the others", () =>
  withProc(async (procPath) => {
    const asked: string[] = [];
    const { promise: home, resolve } = Promise.withResolvers<Space>();
    const ask = (mountPoint: string): Promise<Space> => {
      asked.push(mountPoint);
      if (mountPoint === "/run") return Promise.reject(new Error("EACCES"));
      return mountPoint === "/net/home" ? home : Promise.resolve(SPACE);
    };
    const part = disksPart({ intervalMs: 60_000, procPath, ask, fileSystemTimeoutMs: 20 });
    const homeLabels = 'device="server:/home",fstype="nfs4",mountpoint="/net/home"';
    const oldLabels = 'device="server:/old",fstype="nfs",mountpoint="/net/old"';

    const first = await collect(part);
    expect(first.error).toBeUndefined();
    // Remote file systems come last. While one hangs, the other is not queried.
    expect(asked).toEqual(["/", "/run", "/mnt/my disk\\one", "/net/home"]);
    expect(first.values).toMatchObject({
      'node_filesystem_size_bytes{device="/dev/vda1",fstype="ext4",mountpoint="/"}': 4_096_000,
      'node_filesystem_device_error{device="tmpfs",fstype="tmpfs",mountpoint="/run"}': 1,
      [`node_filesystem_device_error{${homeLabels}}`]: 1,
      [`node_filesystem_device_error{${oldLabels}}`]: 1,
    });
    expect(first.values).not.toHaveProperty([`node_filesystem_size_bytes{${homeLabels}}`]);

    await collect(part);
    expect(asked.filter((mountPoint) => mountPoint.startsWith("/net"))).toEqual(["/net/home"]);

    resolve(SPACE);
    await home;
    const third = await collect(part);
    expect(third.values).toMatchObject({
      [`node_filesystem_device_error{${homeLabels}}`]: 0,
      [`node_filesystem_size_bytes{${oldLabels}}`]: 4_096_000,
    });
  }));

test.if(process.platform === "linux")(
  "returns the size of this machine's root that statfs returns",
  async () => {
    const { values, error } = await collect(disksPart({ intervalMs: 60_000 }));
    expect(error).toBeUndefined();
    const { blocks, bsize } = await statfs("/");
    const sizes = Object.entries(values).filter(([series]) =>
      series.startsWith("node_filesystem_size_bytes"),
    );
    const root = sizes.find(([series]) => series.includes('mountpoint="/"'));
    // In a container / is an overlay, which is left out.
    if (root !== undefined) expect(root[1]).toBe(blocks * bsize);
  },
);
