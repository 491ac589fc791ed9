/** When a push is rejected because the disk is full. The tests set the disk and the clock. */
import { beforeEach, expect, test } from "bun:test";
import { DiskFull, DiskRoom } from "../../src/store/disk-room.ts";
import { isDiskFull } from "../../src/store/engine/faults.ts";
import type { Room } from "../../src/store/store.ts";

const MiB = 2 ** 20;
const noSpace = new Error("IO Error: Could not write file: No space left on device");

let free: number;
let nowMs: number;
let looks: number;
let changes: Room[];

beforeEach(() => {
  free = 1_000 * MiB;
  nowMs = 0;
  looks = 0;
  changes = [];
});

function room(reserveBytes = 64 * MiB): DiskRoom {
  return new DiskRoom({
    path: "/",
    reserveBytes,
    now: () => nowMs,
    free: () => {
      looks++;
      return free;
    },
    size: () => 1_000 * MiB,
    onChange: (change) => changes.push(change),
  });
}

test("rejects pushes below the reserve, and accepts them from it on", () => {
  const disk = room();
  free = 64 * MiB;
  expect(() => disk.require(0)).not.toThrow();
  free = 64 * MiB - 1;
  expect(() => disk.require(0)).toThrow(
    new DiskFull(
      "disk full: 67108863 bytes are free on the disk of the data folder, and pushes are accepted again when 67108864 bytes are free " +
        "(diskReserveBytes)",
    ),
  );
  free = 64 * MiB;
  expect(() => disk.require(0)).not.toThrow();
  expect(changes).toEqual([
    { freeBytes: 64 * MiB - 1, isFull: true },
    { freeBytes: 64 * MiB, isFull: false },
  ]);
});

test("measures the disk ten times a second for pushes, and each time for commits", () => {
  const disk = room();
  for (nowMs = 0; nowMs < 1_000; nowMs += 10) disk.require();
  expect(looks).toBe(10);
  for (let commit = 0; commit < 5; commit++) disk.require(0);
  expect(looks).toBe(15);
});

test("rejects pushes without a reserve too while no block is free, also before a write failed", () => {
  const disk = room(0);
  free = 4_095;
  expect(disk.look(0)).toEqual({ freeBytes: 4_095, isFull: true });
  expect(() => disk.require(0)).toThrow(
    new DiskFull(
      "disk full: 4095 bytes are free on the disk of the data folder, and pushes are accepted again when 4096 bytes are free",
    ),
  );
  // What fits into blocks that a file has already is no sign of room.
  disk.noteWritten();
  expect(disk.look(0).isFull).toBe(true);
  free = 4_096;
  expect(disk.look(0).isFull).toBe(false);
  expect(() => disk.require(0)).not.toThrow();
});

test("says that a disk is smaller than its reserve, since no push can ever be accepted there", () => {
  const disk = room(2_000 * MiB);
  expect(() => disk.require(0)).toThrow(
    new DiskFull(
      "disk full: 1048576000 bytes are free on the disk of the data folder, and the disk of 1048576000 bytes is " +
        "smaller than diskReserveBytes (2097152000): give a smaller --disk-reserve-bytes",
    ),
  );
});

test("counts free blocks of the file for at most three quarters of the reserve", () => {
  const disk = room();
  disk.noteInside(1_000 * MiB);
  free = 16 * MiB;
  expect(disk.look(0).isFull).toBe(false);
  free = 16 * MiB - 1;
  expect(disk.look(0).isFull).toBe(true);
  disk.noteInside(10 * MiB);
  free = 54 * MiB - 1;
  expect(disk.look(0).isFull).toBe(true);
  free = 54 * MiB;
  expect(disk.look(0).isFull).toBe(false);
});

test("stops pushes for a second after a write that found no room, and then lets one try", () => {
  const disk = room(0);
  free = 5_000;
  const explained = disk.explain(noSpace);
  expect(String(explained)).toBe(
    "DiskFull: disk full: 5000 bytes are free on the disk of the data folder, and a write failed because the disk was full",
  );
  expect((explained as DiskFull).cause).toBe(noSpace);
  nowMs = 999;
  expect(() => disk.require()).toThrow(DiskFull);
  expect(disk.mayTry).toBe(false);
  nowMs = 1_000;
  expect(() => disk.require()).not.toThrow();
  expect(disk.look().isFull).toBe(true);
  disk.noteWritten();
  expect(disk.look().isFull).toBe(false);
  expect(changes.map(({ isFull }) => isFull)).toEqual([true, false]);
});

test("accepts pushes before the second is over if a megabyte more is free", () => {
  const disk = room(0);
  free = 5_000;
  disk.explain(noSpace);
  nowMs = 200;
  free = 5_000 + MiB - 1;
  expect(disk.look().isFull).toBe(true);
  nowMs = 400;
  free = 5_000 + MiB;
  expect(disk.look().isFull).toBe(false);
  expect(() => disk.require()).not.toThrow();
});

test("requires the bytes of the log and 16 MiB for a checkpoint, or a quarter of a small reserve", () => {
  const disk = room();
  free = 36 * MiB;
  expect([disk.holdsCheckpoint(20 * MiB), disk.holdsCheckpoint(20 * MiB + 1)]).toEqual([true, false]);
  disk.noteInside(1);
  expect(disk.holdsCheckpoint(20 * MiB + 1)).toBe(true);
  const small = room(4 * MiB);
  free = 3 * MiB;
  expect([small.holdsCheckpoint(2 * MiB), small.holdsCheckpoint(2 * MiB + 1)]).toEqual([true, false]);
});

test("checkpoints early when free space is close to the reserve", () => {
  const disk = room();
  free = 82 * MiB;
  expect(disk.isCheckpointDue(2 * MiB)).toBe(false);
  free = 82 * MiB - 1;
  expect(disk.isCheckpointDue(2 * MiB)).toBe(true);
  // Moving such a short log frees nothing.
  expect(disk.isCheckpointDue(MiB - 1)).toBe(false);
});

test("recognises errors of a full disk and a used-up quota, but not other errors or an engine that gave up", () => {
  const disk = room();
  for (const text of [
    "ENOSPC: no space left on device, write",
    "No space left on device",
    "EDQUOT",
    "Disk quota exceeded",
  ]) {
    expect([text, isDiskFull(new Error(text))]).toEqual([text, true]);
  }
  const others = [new Error("EIO: i/o error"), new Error("FATAL Error: … No space left on device"), "EACCES"];
  for (const other of others) expect(disk.explain(other)).toBe(other);
  expect(disk.look().isFull).toBe(false);
});

test("commits do not ask the system each time while the disk has ample room, and do once it has less", () => {
  free = 64 * MiB + 2 ** 30;
  const disk = room();
  for (let commit = 0; commit < 100; commit++) disk.require(0);
  expect(looks).toBe(1);
  nowMs = 10;
  free--;
  for (let commit = 0; commit < 100; commit++) disk.require(0);
  expect(looks).toBe(101);
});
