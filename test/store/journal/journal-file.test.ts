/**
 * The journal's file: what a start reads after a kill at any byte. A test simulates the kill by opening the file a
 * second time, as it is at that moment.
 */
import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { JournalFile } from "../../../src/store/journal/journal-file.ts";
import type { JournalReading } from "../../../src/store/journal/journal-records.ts";
import { StoreDamaged } from "../../../src/store/store.ts";
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
  const { file, reading } = JournalFile.open(copy, moved);
  expect(file.sequence).toBe(moved + reading.texts.length);
  file.close(true);
  expect(existsSync(copy)).toBe(false);
  return [...reading.texts];
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

/** The parts of a record, and their bytes. The text is "second". */
const PARTS = { length: [0, 4], checksum: [4, 8], sequence: [8, 16], text: [16, 22] } as const;

/** Writes the file with one bit changed, and returns its path. */
function flipped(bytes: Buffer, bit: number): string {
  const bad = join(folder, "bad");
  const changed = Buffer.from(bytes);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  writeFileSync(bad, changed);
  return bad;
}

/** What is read of a file whose damaged records are skipped. */
function readingOf(of: string, moved = 0): JournalReading {
  const { file, reading } = JournalFile.open(of, moved, true);
  expect(file.sequence).toBe(reading.sequence);
  file.close(false);
  return reading;
}

for (const [part, [from, to]] of Object.entries(PARTS)) {
  test(`reports a flipped bit in the ${part} of a record, if records after it can be read`, async () => {
    for (const text of ["one", "second", "third", "fourth"]) await file.append(text);
    const bytes = readFileSync(path);
    for (let bit = (19 + from) * 8; bit < (19 + to) * 8; bit++) {
      const bad = flipped(bytes, bit);
      expect(() => JournalFile.open(bad, 0)).toThrow(
        new StoreDamaged(
          `${bad} is damaged: record 2 at byte 19 cannot be read, but 2 records after it can. Nothing was changed. Put a ` +
            `backup in place of the folder (weir restore), or run "weir doctor --repair --data ${folder}", which stores ` +
            "the records that can be read and keeps the damaged file.",
        ),
      );
      expect(readingOf(bad)).toMatchObject({
        texts: ["one", "third", "fourth"],
        sequence: 4,
        gaps: [{ at: 19, first: 2, records: 1 }],
        incompleteAt: undefined,
      });
    }
  });

  test(`reports a flipped bit in the ${part} of the last record as an incomplete record`, async () => {
    for (const text of ["one", "second"]) await file.append(text);
    const bytes = readFileSync(path);
    for (let bit = (19 + from) * 8; bit < (19 + to) * 8; bit++)
      expect(readingOf(flipped(bytes, bit))).toMatchObject({
        texts: ["one"],
        sequence: 1,
        gaps: [],
        incompleteAt: 19,
      });
  });

  test(`reports a flipped bit in the ${part} of the first record`, async () => {
    for (const text of ["second", "third"]) await file.append(text);
    const bytes = readFileSync(path);
    for (let bit = from * 8; bit < to * 8; bit++)
      expect(readingOf(flipped(bytes, bit))).toMatchObject({
        texts: ["third"],
        gaps: [{ at: 0, first: 1, records: 1 }],
      });
  });
}

test("reports each place of damage, and how many records are lost there", async () => {
  for (let at = 1; at <= 9; at++) await file.append(`${at}`);
  const bytes = readFileSync(path);
  // Each record has 17 bytes. Records 3 and 4 are overwritten as by a lost sector, and record 7 has one wrong byte.
  bytes.fill(0, 2 * 17, 4 * 17);
  bytes[6 * 17 + 16]! ^= 1;
  const bad = join(folder, "bad");
  writeFileSync(bad, bytes);
  expect(() => JournalFile.open(bad, 0)).toThrow(
    `${bad} is damaged: records 3 to 4 at byte 34, record 7 at byte 102 cannot be read, but 4 records after it can.`,
  );
  expect(readingOf(bad)).toMatchObject({
    texts: ["1", "2", "5", "6", "8", "9"],
    sequence: 9,
    gaps: [
      { at: 34, first: 3, records: 2 },
      { at: 102, first: 7, records: 1 },
    ],
  });
  expect(readFileSync(bad).equals(bytes)).toBe(true);
});

test("ignores damage in records that were moved", async () => {
  for (const text of ["second", "third", "fourth"]) await file.append(text);
  const bytes = readFileSync(path);
  for (let bit = 0; bit < 22 * 8; bit++) {
    expect(left(2, flipped(bytes, bit))).toEqual(["fourth"]);
    expect(left(3, flipped(bytes, bit))).toEqual([]);
  }
});

test("does not take older records behind a torn one for newer ones", async () => {
  for (const text of ["first", "other", "third", "fourth"]) await file.append(text);
  file.restart();
  await file.append("Fifth");
  await file.append("a longer one, over an older record");
  const bytes = readFileSync(path);
  // The second record of this round is torn. Behind it are whole records of the round before.
  for (let torn = 21; torn < 21 + 50; torn++) {
    const file = Buffer.from(bytes);
    file.fill(0xff, torn, 71);
    const bad = join(folder, "bad");
    writeFileSync(bad, file);
    expect(readingOf(bad, 4)).toMatchObject({ texts: ["Fifth"], sequence: 5, gaps: [] });
  }
});

test("a journal cut at any byte is read up to its last whole record", async () => {
  const ends = [0];
  for (const text of ["one", "", "ünïcode 🦆", "x".repeat(100)]) {
    await file.append(text);
    ends.push(statSync(path).size);
  }
  const bytes = readFileSync(path);
  for (let length = 0; length <= bytes.length; length++) {
    const cut = join(folder, "cut");
    writeFileSync(cut, bytes.subarray(0, length));
    const whole = ends.findLastIndex((end) => end <= length);
    const reading = readingOf(cut);
    expect(reading.texts.length).toBe(whole);
    expect(reading.gaps).toEqual([]);
    // The start reports the rest.
    expect(reading.incompleteAt).toBe(ends[whole] === length ? undefined : ends[whole]);
  }
});

test("the text of a record that contains the bytes of a header is not read as a record", async () => {
  const forged = Buffer.from("03000000a556d60e000000000000f03f6f6e65", "hex").toString("latin1");
  for (const text of ["one", JSON.stringify(forged), "third"]) await file.append(text);
  const bytes = readFileSync(path);
  expect(left(0)).toEqual(["one", JSON.stringify(forged), "third"]);
  expect(readingOf(flipped(bytes, 19 * 8)).texts).toEqual(["one", "third"]);
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
