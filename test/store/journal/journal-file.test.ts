/**
 * The journal's file: what a start reads after a kill at any byte. A test simulates the kill by opening the file a
 * second time, as it is at that moment.
 */
import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { JournalFile, type Payload } from "../../../src/store/journal/journal-file.ts";
import { type JournalReading, sealRecord } from "../../../src/store/journal/journal-records.ts";
import { StoreDamaged } from "../../../src/store/store.ts";
import { smallDisk } from "../../small-disk.ts";
import { temporaryFolder } from "../../temporary-folder.ts";

/** A disk of two pages: the header of the file, and one for records. */
const disk = smallDisk("8k");
/** The bytes of the header page, and of the head of a record. */
const PAGE = 4_096;
const HEAD = 32;

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

function payload(text: string): Payload {
  return { bytes: Buffer.byteLength(text), write: (target, at) => void target.write(text, at) };
}

const append = (text: string, to = file) => to.append(payload(text));

/** The payloads of a reading as texts. */
const textsOf = ({ payloads }: JournalReading) => payloads.map((bytes) => bytes.toString("utf8"));

/** What a start would read if the records up to `moved` were moved. */
function left(moved: number, of = path): string[] {
  const copy = join(folder, "copy");
  copyFileSync(of, copy);
  const { file, reading } = JournalFile.open(copy, moved);
  expect(file.mark.sequence).toBe(moved + reading.payloads.length);
  file.close(true);
  expect(existsSync(copy)).toBe(false);
  return textsOf(reading);
}

test("returns texts in their order, whatever characters they have", async () => {
  const texts = ["a", "", "ünïcode 🦆", "x".repeat(70_000), '{"a":"\\u0000"}'];
  for (const text of texts) await append(text);
  expect(file.mark.sequence).toBe(5);
  expect(left(0)).toEqual(texts);
});

test("creates the file with the first record, readable by its owner only", async () => {
  expect(existsSync(path)).toBe(false);
  await append("one");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("writes a header page, and a record as its length, checksum, sequence, key, flags and payload", async () => {
  const random = spyOn(crypto, "getRandomValues").mockImplementation((array) => {
    (array as unknown as Uint8Array).set([1, 2, 3, 4, 5, 6, 7, 8]);
    return array;
  });
  const keyed = JournalFile.open(path, 0).file;
  random.mockRestore();
  await append("one", keyed);
  keyed.close(false);
  const bytes = readFileSync(path);
  // Checksums by Python's zlib.
  const header = "0800000078910974feffffffffff3f436a6f75726e616c3201020304050607084acd2182";
  expect(bytes.toString("hex", 0, 36)).toBe(header);
  expect(bytes.subarray(36, PAGE).every((byte) => byte === 0)).toBe(true);
  const record = "030000007a182be6000000000000f03f010203040506070800000000000000006f6e65";
  expect(bytes.toString("hex", PAGE)).toBe(record);
});

test("does not read moved records again", async () => {
  for (const text of ["one", "two", "three"]) await append(text);
  expect(left(3)).toEqual([]);
});

test("writes from the beginning after a move, and does not read the older records behind", async () => {
  for (const text of ["first", "other", "third"]) await append(text);
  file.restart();
  expect(left(3)).toEqual([]);
  const bytes = statSync(path).size;
  for (const text of ["Fourth", "fifth"]) await append(text);
  expect(left(3)).toEqual(["Fourth", "fifth"]);
  expect(left(5)).toEqual([]);
  expect(statSync(path).size).toBe(bytes);
  file.restart();
  // As long as the record that it replaces: the next record is complete, but older.
  await append("Sixths");
  expect(left(5)).toEqual(["Sixths"]);
});

test("reads the records after a move that the gateway believed to have failed, but not the moved ones", async () => {
  for (const text of ["first", "other", "third"]) await append(text);
  expect(left(1)).toEqual(["other", "third"]);
  expect(left(2)).toEqual(["third"]);
  file.restart();
  for (const text of ["Fourth", "fifth"]) await append(text);
  expect(left(4)).toEqual(["fifth"]);
});

test("drops a record torn by a kill, and reads those before it", async () => {
  await append("one");
  const whole = statSync(path).size;
  await append("second");
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
const PARTS = {
  length: [0, 4],
  checksum: [4, 8],
  sequence: [8, 16],
  key: [16, 24],
  flags: [24, 28],
  payload: [32, 38],
} as const;
/** Where the second record begins if the first is "one". */
const SECOND = PAGE + HEAD + 3;

/** Writes the file with one bit changed, and returns its path. */
function flipped(bytes: Buffer, bit: number): string {
  const bad = join(folder, "bad");
  const changed = Buffer.from(bytes);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  writeFileSync(bad, changed);
  return bad;
}

const withTexts = (reading: JournalReading) => ({ ...reading, texts: textsOf(reading) });

/** What is read of a file whose damaged records are skipped. */
function readingOf(of: string, moved = 0): JournalReading {
  const { file, reading } = JournalFile.open(of, moved, true);
  expect(file.mark.sequence).toBe(reading.sequence);
  file.close(false);
  return reading;
}

for (const [part, [from, to]] of Object.entries(PARTS)) {
  test(`reports a flipped bit in the ${part} of a record, if records after it can be read`, async () => {
    for (const text of ["one", "second", "third", "fourth"]) await append(text);
    const bytes = readFileSync(path);
    for (let bit = (SECOND + from) * 8; bit < (SECOND + to) * 8; bit++) {
      const bad = flipped(bytes, bit);
      expect(() => JournalFile.open(bad, 0)).toThrow(
        new StoreDamaged(
          `${bad} is damaged: record 2 at byte ${SECOND} cannot be read, but 2 records after it can. Nothing was changed. Put a ` +
            `backup in place of the folder (weir restore), or run "weir doctor --repair --data ${folder}", which stores ` +
            "the records that can be read and keeps the damaged file.",
        ),
      );
      expect(withTexts(readingOf(bad))).toMatchObject({
        texts: ["one", "third", "fourth"],
        sequence: 4,
        gaps: [{ at: SECOND, first: 2, records: 1 }],
        incompleteAt: undefined,
      });
    }
  });

  test(`reports a flipped bit in the ${part} of the last record as an incomplete record`, async () => {
    for (const text of ["one", "second"]) await append(text);
    const bytes = readFileSync(path);
    for (let bit = (SECOND + from) * 8; bit < (SECOND + to) * 8; bit++)
      expect(withTexts(readingOf(flipped(bytes, bit)))).toMatchObject({
        texts: ["one"],
        sequence: 1,
        gaps: [],
        incompleteAt: SECOND,
      });
  });

  test(`reports a flipped bit in the ${part} of the first record`, async () => {
    for (const text of ["second", "third"]) await append(text);
    const bytes = readFileSync(path);
    for (let bit = (PAGE + from) * 8; bit < (PAGE + to) * 8; bit++)
      expect(withTexts(readingOf(flipped(bytes, bit)))).toMatchObject({
        texts: ["third"],
        gaps: [{ at: PAGE, first: 1, records: 1 }],
      });
  });
}

test("reports each place of damage, and how many records are lost there", async () => {
  for (let at = 1; at <= 9; at++) await append(`${at}`);
  const bytes = readFileSync(path);
  const record = HEAD + 1;
  // Records 3 and 4 are overwritten as by a lost sector, and record 7 has one wrong byte.
  bytes.fill(0, PAGE + 2 * record, PAGE + 4 * record);
  bytes[PAGE + 6 * record + HEAD]! ^= 1;
  const bad = join(folder, "bad");
  writeFileSync(bad, bytes);
  expect(() => JournalFile.open(bad, 0)).toThrow(
    `${bad} is damaged: records 3 to 4 at byte ${PAGE + 66}, record 7 at byte ${PAGE + 198} cannot be read, but 4 records after it can.`,
  );
  expect(withTexts(readingOf(bad))).toMatchObject({
    texts: ["1", "2", "5", "6", "8", "9"],
    sequence: 9,
    gaps: [
      { at: PAGE + 66, first: 3, records: 2 },
      { at: PAGE + 198, first: 7, records: 1 },
    ],
  });
  expect(readFileSync(bad).equals(bytes)).toBe(true);
});

test("ignores damage in records that were moved", async () => {
  for (const text of ["second", "third", "fourth"]) await append(text);
  const bytes = readFileSync(path);
  for (let bit = PAGE * 8; bit < (PAGE + HEAD + 6) * 8; bit++) {
    expect(left(2, flipped(bytes, bit))).toEqual(["fourth"]);
    expect(left(3, flipped(bytes, bit))).toEqual([]);
  }
});

test("does not take older records behind a torn one for newer ones", async () => {
  for (const text of ["first", "other", "third", "fourth"]) await append(text);
  file.restart();
  await append("Fifth");
  await append("a longer one, over an older record");
  const bytes = readFileSync(path);
  // The second record of this round is torn. Behind it are whole records of the round before.
  const second = PAGE + HEAD + 5;
  const end = second + HEAD + 34;
  for (let torn = second; torn < end; torn++) {
    const file = Buffer.from(bytes);
    file.fill(0xff, torn, end);
    const bad = join(folder, "bad");
    writeFileSync(bad, file);
    expect(withTexts(readingOf(bad, 4))).toMatchObject({
      texts: ["Fifth"],
      sequence: 5,
      gaps: [],
    });
  }
});

test("a journal cut at any byte is read up to its last whole record", async () => {
  const ends = [PAGE];
  for (const text of ["one", "", "ünïcode 🦆", "x".repeat(100)]) {
    await append(text);
    ends.push(statSync(path).size);
  }
  const bytes = readFileSync(path);
  for (let length = 0; length <= bytes.length; length++) {
    const cut = join(folder, "cut");
    writeFileSync(cut, bytes.subarray(0, length));
    const whole = Math.max(
      0,
      ends.findLastIndex((end) => end <= length),
    );
    const reading = readingOf(cut);
    expect(reading.payloads.length).toBe(whole);
    expect(reading.gaps).toEqual([]);
    // The start reports the rest.
    // A file without a whole header was never used.
    const rest = length < PAGE ? 0 : ends[whole];
    expect(reading.incompleteAt).toBe(length === 0 || length === rest ? undefined : rest);
  }
});

test("a payload that contains a record of another key is not read as a record", async () => {
  const forged = Buffer.alloc(HEAD + 3);
  forged.write("new", HEAD);
  sealRecord(forged, { sequence: 3, key: new Uint8Array(8), continues: false });
  await append("one");
  await file.append({ bytes: forged.length, write: (target, at) => void forged.copy(target, at) });
  await append("third");
  const bytes = readFileSync(path);
  expect(left(0)).toHaveLength(3);
  expect(textsOf(readingOf(flipped(bytes, SECOND * 8)))).toEqual(["one", "third"]);
});

test("reads the records of a file whose header is damaged", async () => {
  for (const text of ["one", "second"]) await append(text);
  const bytes = readFileSync(path);
  for (let bit = 0; bit < 36 * 8; bit += 7) {
    const of = flipped(bytes, bit);
    expect(withTexts(readingOf(of))).toMatchObject({
      texts: ["one", "second"],
      gaps: [],
      incompleteAt: undefined,
    });
    // The next records have another key, and a header with it.
    const { file: mended } = JournalFile.open(of, 2);
    await append("third", mended);
    mended.close(false);
    expect(left(2, of)).toEqual(["third"]);
  }
  bytes.fill(0, 0, PAGE);
  const lost = join(folder, "lost");
  writeFileSync(lost, bytes);
  expect(left(0, lost)).toEqual(["one", "second"]);
});

test("drops a change of two records if the second is not whole", async () => {
  await append("one");
  await file.append(payload("head"), payload("tail"));
  expect(left(0)).toEqual(["one", "head", "tail"]);
  expect(left(2)).toEqual(["tail"]);
  const bytes = readFileSync(path);
  const torn = join(folder, "torn");
  for (let length = SECOND; length < bytes.length; length++) {
    writeFileSync(torn, bytes.subarray(0, length));
    expect(withTexts(readingOf(torn))).toMatchObject({
      texts: ["one"],
      sequence: 1,
      gaps: [],
      incompleteAt: length === SECOND ? undefined : SECOND,
    });
  }
  // The next record gets the sequence of the dropped one, and stands before it.
  const { file: next } = JournalFile.open(torn, 1);
  await append("other", next);
  next.close(false);
  expect(left(1, torn)).toEqual(["other"]);
});

test("releases moved records: later ones are copied to the beginning, and stay readable at any byte of the copy", async () => {
  for (const text of ["the first record", "other"]) await append(text);
  const { mark } = file;
  for (const text of ["third", "4"]) await append(text);
  const before = readFileSync(path);
  await file.release(mark);
  const after = readFileSync(path);
  expect(after.length).toBe(before.length);
  expect(left(2)).toEqual(["third", "4"]);
  const copied = 2 * HEAD + 6;
  const torn = join(folder, "torn");
  for (let bytes = 0; bytes <= copied; bytes++) {
    const mixed = Buffer.from(before);
    after.copy(mixed, PAGE, PAGE, PAGE + bytes);
    // Another disk block that was not written yet.
    for (const garbage of [mixed, Buffer.from(mixed).fill(0xff, PAGE + bytes, PAGE + copied)]) {
      writeFileSync(torn, garbage);
      expect(withTexts(readingOf(torn, 2))).toMatchObject({ texts: ["third", "4"], sequence: 4, gaps: [] });
    }
  }
  for (const text of ["fifth", "a sixth that overwrites the originals"]) await append(text);
  expect(left(2)).toEqual(["third", "4", "fifth", "a sixth that overwrites the originals"]);
  await file.release(file.mark);
  await append("seven");
  expect(left(6)).toEqual(["seven"]);
});

test("gives the room of moved records back, but not that of others", async () => {
  for (const text of ["one", "second"]) await append(text);
  const { size } = statSync(path);
  await file.shrink();
  expect(statSync(path).size).toBe(size);
  await file.release(file.mark);
  await file.shrink();
  expect(statSync(path).size).toBe(PAGE);
  await append("third");
  expect(left(2)).toEqual(["third"]);
});

test("does not overwrite records with their copies", async () => {
  await append("1");
  const { mark } = file;
  await append("a longer record than the one before");
  await file.release(mark);
  expect(left(1)).toEqual(["a longer record than the one before"]);
  await append("3");
  expect(left(1)).toEqual(["a longer record than the one before", "3"]);
  expect(left(2)).toEqual(["3"]);
});

test("reads a journal of format 1, and begins anew after its records", () => {
  // Sequences 7 and 8, as earlier versions wrote them: length, checksum, sequence, text.
  const record = (sequence: number, text: string) => {
    const bytes = Buffer.alloc(16 + text.length);
    bytes.writeUInt32LE(text.length, 0);
    bytes.writeDoubleLE(sequence, 8);
    bytes.write(text, 16);
    bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
    return bytes;
  };
  writeFileSync(path, Buffer.concat([record(7, "{}"), record(8, '{"a":1}')]));
  const { file: earlier, reading } = JournalFile.open(path, 6);
  expect(withTexts(reading)).toMatchObject({ format: 1, texts: ["{}", '{"a":1}'], sequence: 8, gaps: [] });
  earlier.close(false);
  expect(left(7)).toEqual(['{"a":1}']);
});

test("an earlier version rejects the file as that of another store", async () => {
  await append("one");
  // How format 1 is read: the first record has to continue from the last moved one.
  const bytes = readFileSync(path);
  const length = bytes.readUInt32LE(0);
  expect(crc32(bytes.subarray(8, 16 + length))).toBe(bytes.readUInt32LE(4));
  expect(bytes.readDoubleLE(8)).toBeGreaterThan(Date.UTC(2100, 0));
});

test("rejects the journal of a later store", async () => {
  for (const text of ["one", "two", "three"]) await append(text);
  file.restart();
  await append("four");
  const message = `${path} continues from change 3, but the store beside it ends with change 2`;
  expect(() => JournalFile.open(path, 2)).toThrow(message);
});

test("reports a failed write, and does not use its sequence for another text", async () => {
  await append("one");
  const closed = JournalFile.open(join(folder, "closed"), 7).file;
  closed.close(false);
  await expect(append("eight", closed)).rejects.toThrow("the journal is closed");
  expect(closed.mark.sequence).toBe(8);
  expect(left(0)).toEqual(["one"]);
});

test.skipIf(!disk.isMounted)("leaves nothing of a record that could not be written", async () => {
  const path = join(disk.path, "journal");
  const { file } = JournalFile.open(path, 0);
  await append("one", file);
  const whole = statSync(path).size;
  await expect(append("x".repeat(10_000), file)).rejects.toThrow(
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
  for (const text of texts) await append(text);
  clock.mockRestore();
  expect(left(0)).toEqual(texts);
});
