/**
 * The journal's file: what is read back after a kill at any byte. A kill is played by opening the file a second time,
 * as it is at that moment.
 */
import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JournalFile } from "../../src/store/journal/journal-file.ts";
import { smallDisk } from "../small-disk.ts";

/** A disk of one page. */
const disk = smallDisk("4k");

let folder: string;
let path: string;
let file: JournalFile;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-journal-file-"));
  path = join(folder, "store.duckdb.journal");
  file = JournalFile.open(path, 0).file;
});
afterEach(() => {
  file.close(true);
  rmSync(folder, { recursive: true });
});

/** What a start would read, with that many moved. */
function left(moved: number, of = path): string[] {
  const copy = join(folder, "copy");
  copyFileSync(of, copy);
  const { file, texts } = JournalFile.open(copy, moved);
  expect(file.sequence).toBe(moved + texts.length);
  file.close(true);
  expect(existsSync(copy)).toBe(false);
  return texts;
}

test("texts come back in their order, whatever is in them", async () => {
  const texts = ["a", "", "ünïcode 🦆", "x".repeat(70_000), '{"a":"\\u0000"}'];
  for (const text of texts) await file.append(text);
  expect(file.sequence).toBe(5);
  expect(left(0)).toEqual(texts);
});

test("it is made for the first record, and for its owner alone, as the store is", async () => {
  expect(existsSync(path)).toBe(false);
  await file.append("one");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a record is its bytes, their checksum, its sequence and its text", async () => {
  await file.append("one");
  // CRC-32 of the sequence 1.0 (00 00 00 00 00 00 F0 3F) and "one", by Python's zlib.
  const bytes = Buffer.from("03000000a556d60e000000000000f03f6f6e65", "hex");
  expect(readFileSync(path).toString("hex")).toBe(bytes.toString("hex"));
});

test("what was moved is not read again", async () => {
  for (const text of ["one", "two", "three"]) await file.append(text);
  expect(left(3)).toEqual([]);
});

test("after all were moved records come at the start again, and what is left behind them is not read", async () => {
  for (const text of ["first", "other", "third"]) await file.append(text);
  file.restart();
  expect(left(3)).toEqual([]);
  const bytes = statSync(path).size;
  for (const text of ["Fourth", "fifth"]) await file.append(text);
  expect(left(3)).toEqual(["Fourth", "fifth"]);
  expect(left(5)).toEqual([]);
  expect(statSync(path).size).toBe(bytes);
  file.restart();
  // Just as long as the record that it replaces: the next one is whole, and of before.
  await file.append("Sixths");
  expect(left(5)).toEqual(["Sixths"]);
});

test("what came after a move that the gateway took for failed is read, and what was moved is not", async () => {
  for (const text of ["first", "other", "third"]) await file.append(text);
  expect(left(1)).toEqual(["other", "third"]);
  expect(left(2)).toEqual(["third"]);
  file.restart();
  for (const text of ["Fourth", "fifth"]) await file.append(text);
  expect(left(4)).toEqual(["fifth"]);
});

test("a record that a kill has torn is not there, those before it are", async () => {
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

test("a bit that is another ends what is read", async () => {
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

test("a journal of a later store is not taken for one of this", async () => {
  for (const text of ["one", "two", "three"]) await file.append(text);
  file.restart();
  await file.append("four");
  const told = `${path} goes on from change 3 and the store beside it ends with 2`;
  expect(() => JournalFile.open(path, 2)).toThrow(told);
});

test("a write that fails is told, and its sequence is not given again", async () => {
  await file.append("one");
  const closed = JournalFile.open(join(folder, "closed"), 7).file;
  closed.close(false);
  await expect(closed.append("eight")).rejects.toThrow("the journal is closed");
  expect(closed.sequence).toBe(8);
  expect(left(0)).toEqual(["one"]);
});

test.skipIf(!disk.isMounted)("of a record that could not be written nothing stays", async () => {
  const path = join(disk.path, "journal");
  const { file } = JournalFile.open(path, 0);
  await file.append("one");
  const whole = statSync(path).size;
  await expect(file.append("x".repeat(10_000))).rejects.toThrow("the journal took");
  expect(statSync(path).size).toBe(whole);
  expect(left(0, path)).toEqual(["one"]);
  file.close(true);
});

test("after a write that took long the next are handed over, and are there likewise", async () => {
  let ms = 0;
  const clock = spyOn(performance, "now").mockImplementation(() => (ms += 1_000));
  const texts = Array.from({ length: 250 }, (_, at) => `${at}`);
  for (const text of texts) await file.append(text);
  clock.mockRestore();
  expect(left(0)).toEqual(texts);
});
