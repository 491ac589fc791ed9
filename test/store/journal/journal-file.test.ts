/**
 * The journal's file: what a start reads after a kill at any byte. A test simulates the kill by opening the file a
 * second time, as it is at that moment.
 */
import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { JournalFile } from "../../../src/store/journal/journal-file.ts";
import { smallDisk } from "../../small-disk.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

/** A disk of one page. */
const disk = smallDisk("4k");

let folder: string;
let path: string;
let file: JournalFile;

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder, "store.duckdb.journal");
  file = JournalFile.open(path, 0).file;
});
afterEach(() => {
  file.close(true);
  rmSync(folder, { recursive: true });
});

/** What a start would read if the records up to `moved` were moved. */
function left(moved: number, of = path): string[] {
  const copy = join(folder, "copy");
  copyFileSync(of, copy);
  const { file, texts } = JournalFile.open(copy, moved);
  expect(file.sequence).toBe(moved + texts.length);
  file.close(true);
  expect(existsSync(copy)).toBe(false);
  return texts;
}

test("returns texts in their order, whatever characters they have", async () => {
  const texts = ["a", "", "ünïcode 🦆", "x".repeat(70_000), '{"a":"\\u0000"}'];
  for (const text of texts) await file.append(text);
  expect(file.sequence).toBe(5);
  expect(left(0)).toEqual(texts);
});

test("creates the file with the first record, readable by its owner only", async () => {
  expect(existsSync(path)).toBe(false);
  await file.append("one");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("writes a record as its length, checksum, sequence and text", async () => {
  await file.append("one");
  // CRC-32 of the sequence 1.0 (00 00 00 00 00 00 F0 3F) and "one", by Python's zlib.
  const bytes = Buffer.from("03000000a556d60e000000000000f03f6f6e65", "hex");
  expect(readFileSync(path).toString("hex")).toBe(bytes.toString("hex"));
});

test("does not read moved records again", async () => {
  for (const text of ["one", "two", "three"]) await file.append(text);
  expect(left(3)).toEqual([]);
});

test("writes from the beginning after a move, and does not read the older records behind", async () => {
  for (const text of ["first", "other", "third"]) await file.append(text);
  file.restart();
  expect(left(3)).toEqual([]);
  const bytes = statSync(path).size;
  for (const text of ["Fourth", "fifth"]) await file.append(text);
  expect(left(3)).toEqual(["Fourth", "fifth"]);
  expect(left(5)).toEqual([]);
  expect(statSync(path).size).toBe(bytes);
  file.restart();
  // As long as the record that it replaces: the next record is complete, but older.
  await file.append("Sixths");
  expect(left(5)).toEqual(["Sixths"]);
});

test("reads the records after a move that the gateway believed to have failed, but not the moved ones", async () => {
  for (const text of ["first", "other", "third"]) await file.append(text);
  expect(left(1)).toEqual(["other", "third"]);
  expect(left(2)).toEqual(["third"]);
  file.restart();
  for (const text of ["Fourth", "fifth"]) await file.append(text);
  expect(left(4)).toEqual(["fifth"]);
});

test("drops a record torn by a kill, and reads those before it", async () => {
  await file.append("one");
  const whole = statSync(path).size;
  await file.append("second");
  const bytes = readFileSync(path);
  const torn = join(folder, "torn");
  for (let length = whole; length < bytes.length; length++) {
    writeFileSync(torn, bytes.subarray(0, length));
    expect(left(0, torn)).toEqual(["one"]);
    // The rest of a disk block that was not written.
    writeFileSync(torn, Buffer.concat([bytes.subarray(0, length), Buffer.alloc(512)]));
    expect(left(0, torn)).toEqual(["one"]);
  }
});

test("stops reading at a flipped bit", async () => {
  await file.append("one");
  const whole = statSync(path).size;
  await file.append("second");
  await file.append("third");
  const bytes = readFileSync(path);
  const bad = join(folder, "bad");
  for (let bit = whole * 8; bit < (whole + 22) * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    writeFileSync(bad, changed);
    expect(left(0, bad)).toEqual(["one"]);
  }
});

test("rejects the journal of a later store", async () => {
  for (const text of ["one", "two", "three"]) await file.append(text);
  file.restart();
  await file.append("four");
  const message = `${path} continues from change 3, but the store beside it ends with change 2`;
  expect(() => JournalFile.open(path, 2)).toThrow(message);
});

test("reports a failed write, and does not use its sequence for another text", async () => {
  await file.append("one");
  const closed = JournalFile.open(join(folder, "closed"), 7).file;
  closed.close(false);
  await expect(closed.append("eight")).rejects.toThrow("the journal is closed");
  expect(closed.sequence).toBe(8);
  expect(left(0)).toEqual(["one"]);
});

test.skipIf(!disk.isMounted)("leaves nothing of a record that could not be written", async () => {
  const path = join(disk.path, "journal");
  const { file } = JournalFile.open(path, 0);
  await file.append("one");
  const whole = statSync(path).size;
  await expect(file.append("x".repeat(10_000))).rejects.toThrow(
    /^only \d+ of \d+ bytes of the record were written$/,
  );
  expect(statSync(path).size).toBe(whole);
  expect(left(0, path)).toEqual(["one"]);
  file.close(true);
});

test("writes from another thread after a slow write, with the same result", async () => {
  let ms = 0;
  const clock = spyOn(performance, "now").mockImplementation(() => (ms += 1_000));
  const texts = Array.from({ length: 250 }, (_, at) => `${at}`);
  for (const text of texts) await file.append(text);
  clock.mockRestore();
  expect(left(0)).toEqual(texts);
});
