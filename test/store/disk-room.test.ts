/** When a push is refused for want of room on the disk, with a disk and a clock that the tests set. */
import { beforeEach, expect, test } from "bun:test";
import { DiskFull, DiskRoom, isDiskFull } from "../../src/store/disk-room.ts";
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
    onChange: (change) => changes.push(change),
  });
}

test("pushes are refused from below the reserve, and accepted from it on", () => {
  const disk = room();
  free = 64 * MiB;
  expect(() => disk.require(0)).not.toThrow();
  free = 64 * MiB - 1;
  expect(() => disk.require(0)).toThrow(
    new DiskFull(
      "disk full: 67108863 bytes are free where the data is, and pushes are accepted again from 67108864 on " +
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

test("pushes look at the disk ten times a second, commits each time", () => {
  const disk = room();
  for (nowMs = 0; nowMs < 1_000; nowMs += 10) disk.require();
  expect(looks).toBe(10);
  for (let commit = 0; commit < 5; commit++) disk.require(0);
  expect(looks).toBe(15);
});

test("free blocks of the file count for three quarters of the reserve", () => {
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

test("a write that found no room stops pushes for a second; one of them tries again", () => {
  const disk = room(0);
  free = 5;
  const explained = disk.explain(noSpace);
  expect(String(explained)).toBe(
    "DiskFull: disk full: 5 bytes are free where the data is, and a write failed for want of room",
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

test("a megabyte more that is free is room again, before the second is over", () => {
  const disk = room(0);
  free = 5;
  disk.explain(noSpace);
  nowMs = 200;
  free = 5 + MiB - 1;
  expect(disk.look().isFull).toBe(true);
  nowMs = 400;
  free = 5 + MiB;
  expect(disk.look().isFull).toBe(false);
  expect(() => disk.require()).not.toThrow();
});

test("a checkpoint needs the bytes of the log and 16 MiB, or a quarter of a small reserve", () => {
  const disk = room();
  free = 36 * MiB;
  expect([disk.holdsCheckpoint(20 * MiB), disk.holdsCheckpoint(20 * MiB + 1)]).toEqual([true, false]);
  disk.noteInside(1);
  expect(disk.holdsCheckpoint(20 * MiB + 1)).toBe(true);
  const small = room(4 * MiB);
  free = 3 * MiB;
  expect([small.holdsCheckpoint(2 * MiB), small.holdsCheckpoint(2 * MiB + 1)]).toEqual([true, false]);
});

test("the log is moved before its time where the reserve comes near", () => {
  const disk = room();
  free = 82 * MiB;
  expect(disk.isCheckpointDue(2 * MiB)).toBe(false);
  free = 82 * MiB - 1;
  expect(disk.isCheckpointDue(2 * MiB)).toBe(true);
  // A log that short gives nothing back.
  expect(disk.isCheckpointDue(MiB - 1)).toBe(false);
});

test("errors of a full disk and of a used-up quota are told from others, and from an engine that gave up", () => {
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
