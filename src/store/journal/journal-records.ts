/**
 * Reads the records of a journal file from its bytes, and finds damage: a record that cannot be read although records
 * after it can. Pure: no file, no clock.
 *
 * The file has a header page, then records. All numbers are little-endian.
 *
 * | header page, 4,096 bytes | |
 * |---|---|
 * | 0 to 24 | a record of format 1 with a sequence that no store reaches. An older gateway so rejects the file, as that of another store |
 * | 24 to 32 | key: random bytes, made with the file |
 * | 32 to 36 | CRC-32 of the bytes before |
 * | 2,048 to 2,056 | bytes of the engine's log, of which none may be missing: a double. 0 if nothing is known |
 * | 2,056 to 2,060 | CRC-32 of these 8 bytes |
 *
 * | record | |
 * |---|---|
 * | 0 to 4 | bytes of the payload |
 * | 4 to 8 | CRC-32 of everything that follows |
 * | 8 to 16 | sequence: a double, an integer |
 * | 16 to 24 | the key of the file |
 * | 24 to 28 | flags: 1 if the change continues in the next record |
 * | 28 to 32 | 0 |
 * | 32 … | payload |
 *
 * A record is searched for at every byte behind a damaged one. Payloads contain what senders choose. They cannot be
 * mistaken for a record, because no sender knows the key.
 *
 * Format 1 has no header page, and its records no key and no flags. Their payloads are JSON: a text of JSON has no NUL
 * byte, and the highest byte of a length is NUL.
 */

/** The byte at which the records of a file begin. A lost page of the disk then costs the header or records, not both. */
export const RECORDS_FROM = 4_096;
export const HEAD_BYTES = 32;
/** The checksum covers everything after itself. */
export const CHECKED_FROM = 8;
export const KEY_BYTES = 8;
const CHECKSUM_AT = 4;
const KEY_AT = 16;
const FLAGS_AT = 24;
const CONTINUES = 1;

const FILE_KEY_AT = 24;
const FILE_CHECKSUM_AT = FILE_KEY_AT + KEY_BYTES;

/** What the first bytes of each file are, see above. */
const BEGINNING = (() => {
  const text = Buffer.from("journal2");
  const record = Buffer.alloc(FILE_KEY_AT);
  record.writeUInt32LE(text.length, 0);
  record.writeDoubleLE(2 ** 53 - 2, CHECKED_FROM);
  text.copy(record, 16);
  record.writeUInt32LE(Bun.hash.crc32(record.subarray(CHECKED_FROM)), CHECKSUM_AT);
  return record;
})();

/** The header page of a file with this key. */
export function headerPage(key: Uint8Array): Buffer {
  const page = Buffer.alloc(RECORDS_FROM);
  BEGINNING.copy(page);
  page.set(key, FILE_KEY_AT);
  page.writeUInt32LE(Bun.hash.crc32(page.subarray(0, FILE_CHECKSUM_AT)), FILE_CHECKSUM_AT);
  return page;
}

/** Where a header page has the bytes of the engine's log. Within one sector of the disk, which is written whole. */
export const LOG_NOTE_AT = 2_048;
export const LOG_NOTE_BYTES = 12;

/** What is at LOG_NOTE_AT, for a log of this many bytes. */
export function logNote(logBytes: number): Buffer {
  const note = Buffer.alloc(LOG_NOTE_BYTES);
  note.writeDoubleLE(logBytes, 0);
  note.writeUInt32LE(Bun.hash.crc32(note.subarray(0, 8)), 8);
  return note;
}

/** The bytes of the log that a header page has noted. 0 if it has no note, or is not whole. */
export function notedLogBytes(bytes: Buffer): number {
  if (keyOf(bytes) === undefined) return 0;
  const note = bytes.subarray(LOG_NOTE_AT, LOG_NOTE_AT + LOG_NOTE_BYTES);
  const isWhole = Bun.hash.crc32(note.subarray(0, 8)) === note.readUInt32LE(8);
  return isWhole ? note.readDoubleLE(0) : 0;
}

/** Writes the head of a record whose payload is already behind it, with its checksum. */
export function sealRecord(
  record: Buffer,
  { sequence, key, continues }: { sequence: number; key: Uint8Array; continues: boolean },
): void {
  record.writeUInt32LE(record.length - HEAD_BYTES, 0);
  record.writeDoubleLE(sequence, CHECKED_FROM);
  record.set(key, KEY_AT);
  record.writeUInt32LE(continues ? CONTINUES : 0, FLAGS_AT);
  record.writeUInt32LE(0, FLAGS_AT + 4);
  record.writeUInt32LE(Bun.hash.crc32(record.subarray(CHECKED_FROM)), CHECKSUM_AT);
}

/** Records that cannot be read, in front of records that can. */
export interface JournalGap {
  /** The byte of the file at which they begin. */
  readonly at: number;
  /** The number of the first one in the file, from 1. */
  readonly first: number;
  /** How many they are, by the sequence of the record behind them. */
  readonly records: number;
}

/** What a journal file contains. */
export interface JournalReading {
  /** Payloads of the records that were not moved, in their order. They are views of the file's bytes. */
  readonly payloads: readonly Buffer[];
  /** How the payloads are written. */
  readonly format: 1 | 2;
  /** The key of the file, if its header is whole. */
  readonly key: Uint8Array | undefined;
  /** The same, or the key of the first record if the header is damaged. Undefined if nothing of the file can be read. */
  readonly foundKey: Uint8Array | undefined;
  /** The sequence of the last record, or of the last moved one if that is later. */
  readonly sequence: number;
  readonly gaps: readonly JournalGap[];
  /** How many records behind the first gap can be read. */
  readonly readBehind: number;
  /** The byte at which an incomplete record ends the file. A write that a loss of power interrupts leaves one. */
  readonly incompleteAt: number | undefined;
  /**
   * The sequence of the first record, if the records in front of it are neither moved nor in the file. The journal
   * then belongs to another store.
   */
  readonly foreign: number | undefined;
}

interface Located {
  readonly at: number;
  readonly end: number;
  readonly sequence: number;
  readonly continues: boolean;
}

/** How the records of a format are found. */
interface Format {
  readonly number: 1 | 2;
  readonly recordsFrom: number;
  readonly headBytes: number;
  /** The record at a byte. Undefined if there is none, or its checksum is wrong. */
  recordAt(bytes: Buffer, at: number): Located | undefined;
  /** The first record from a byte on whose sequence is after `known`. Older records are leftovers. */
  recordBehind(bytes: Buffer, from: number, known: number): Located | undefined;
}

/**
 * Reads the records of a file.
 *
 * @param moved the sequence of the last record that was moved. Records up to it are not needed
 */
export function readRecords(bytes: Buffer, moved: number): JournalReading {
  const key = keyOf(bytes);
  const foundKey = key ?? keyOfFirst(bytes);
  const format = formatOf(bytes, foundKey);
  const file = { format: format.number, key, foundKey };
  const payloads: Buffer[] = [];
  const gaps: JournalGap[] = [];
  let readBehind = 0;
  let number = 0;
  let last: Located | undefined;
  let at = format.recordsFrom;
  for (;;) {
    const known = Math.max(moved, last?.sequence ?? moved);
    const next = format.recordAt(bytes, at);
    const isNext =
      next !== undefined &&
      (last === undefined ? next.sequence <= moved + 1 : next.sequence === last.sequence + 1);
    const record = isNext ? next : format.recordBehind(bytes, at, known);
    if (record === undefined) break;
    const missing = isNext ? 0 : record.sequence - known - 1;
    // More records are missing than the damaged bytes can contain.
    if (last === undefined && missing > (record.at - at) / format.headBytes) {
      return {
        ...file,
        payloads: [],
        sequence: moved,
        gaps: [],
        readBehind: 0,
        incompleteAt: undefined,
        foreign: record.sequence,
      };
    }
    if (missing > 0) gaps.push({ at, first: number + 1, records: missing });
    if (gaps.length > 0) readBehind++;
    number += missing + 1;
    last = record;
    // A commit may fail and be on the disk nevertheless. Then the file also has records that the commit moved.
    if (record.sequence > moved) payloads.push(bytes.subarray(record.at + format.headBytes, record.end));
    at = record.end;
  }
  const sequence = Math.max(moved, last?.sequence ?? moved);
  const all = { ...file, gaps, readBehind, foreign: undefined };
  if (last?.continues === true && last.sequence > moved) {
    // The rest of the change was not written, so the change was not acknowledged.
    return { ...all, payloads: payloads.slice(0, -1), sequence: sequence - 1, incompleteAt: last.at };
  }
  return {
    ...all,
    payloads,
    sequence,
    incompleteAt: isIncomplete(bytes, at, sequence + 1, format) ? at : undefined,
  };
}

function formatOf(bytes: Buffer, key: Uint8Array | undefined): Format {
  if (key !== undefined) return format2(key);
  const isBegun =
    bytes.length > 0 && bytes.subarray(0, FILE_KEY_AT).equals(BEGINNING.subarray(0, bytes.length));
  return isBegun ? UNREADABLE : FORMAT_1;
}

/** The key in the header of a file. Undefined if the header is not whole. */
function keyOf(bytes: Buffer): Uint8Array | undefined {
  if (bytes.length < RECORDS_FROM || !bytes.subarray(0, FILE_KEY_AT).equals(BEGINNING)) return undefined;
  const checksum = Bun.hash.crc32(bytes.subarray(0, FILE_CHECKSUM_AT));
  if (checksum !== bytes.readUInt32LE(FILE_CHECKSUM_AT)) return undefined;
  return bytes.subarray(FILE_KEY_AT, FILE_CHECKSUM_AT);
}

/** The key in the first record, for a file whose header is damaged. Undefined if there is no such record. */
function keyOfFirst(bytes: Buffer): Uint8Array | undefined {
  if (bytes.length < RECORDS_FROM + HEAD_BYTES) return undefined;
  const key = bytes.subarray(RECORDS_FROM + KEY_AT, RECORDS_FROM + KEY_AT + KEY_BYTES);
  return format2(key).recordAt(bytes, RECORDS_FROM) === undefined ? undefined : key;
}

function format2(key: Uint8Array): Format {
  const recordAt = (bytes: Buffer, at: number): Located | undefined => {
    if (at + HEAD_BYTES > bytes.length) return undefined;
    const end = at + HEAD_BYTES + bytes.readUInt32LE(at);
    if (end > bytes.length || bytes.compare(key, 0, KEY_BYTES, at + KEY_AT, at + KEY_AT + KEY_BYTES) !== 0)
      return undefined;
    if (!isWhole(bytes, at, end)) return undefined;
    const continues = (bytes.readUInt32LE(at + FLAGS_AT) & CONTINUES) !== 0;
    return { at, end, sequence: bytes.readDoubleLE(at + CHECKED_FROM), continues };
  };
  return {
    number: 2,
    recordsFrom: RECORDS_FROM,
    headBytes: HEAD_BYTES,
    recordAt,
    recordBehind(bytes, from, known) {
      for (let at = bytes.indexOf(key, from + KEY_AT); at >= 0; at = bytes.indexOf(key, at + 1)) {
        const record = recordAt(bytes, at - KEY_AT);
        if (record !== undefined && record.sequence > known) return record;
      }
      return undefined;
    },
  };
}

/** A file whose first write was interrupted: neither its header nor its first record is whole. */
const UNREADABLE: Format = {
  number: 2,
  recordsFrom: 0,
  headBytes: HEAD_BYTES,
  recordAt: () => undefined,
  recordBehind: () => undefined,
};

const HEAD_BYTES_1 = 16;
const FORMAT_1: Format = {
  number: 1,
  recordsFrom: 0,
  headBytes: HEAD_BYTES_1,
  recordAt(bytes, at) {
    if (at + HEAD_BYTES_1 > bytes.length) return undefined;
    const end = at + HEAD_BYTES_1 + bytes.readUInt32LE(at);
    if (end > bytes.length || !isWhole(bytes, at, end)) return undefined;
    return { at, end, sequence: bytes.readDoubleLE(at + CHECKED_FROM), continues: false };
  },
  recordBehind(bytes, from, known) {
    for (let at = from; at + HEAD_BYTES_1 <= bytes.length; at++) {
      // Cheaper than the checksum, which is computed for few bytes only.
      const sequence = bytes.readDoubleLE(at + CHECKED_FROM);
      if (!(sequence > known) || !Number.isSafeInteger(sequence)) continue;
      const record = FORMAT_1.recordAt(bytes, at);
      if (record !== undefined) return record;
    }
    return undefined;
  },
};

function isWhole(bytes: Buffer, at: number, end: number): boolean {
  return Bun.hash.crc32(bytes.subarray(at + CHECKED_FROM, end)) === bytes.readUInt32LE(at + CHECKSUM_AT);
}

/**
 * Whether the bytes at the end of the records are the record with the next sequence, torn or damaged. Other bytes are
 * what older records left.
 */
function isIncomplete(bytes: Buffer, at: number, next: number, format: Format): boolean {
  const { headBytes } = format;
  const left = bytes.length - at;
  if (left <= 0) return false;
  if (format === UNREADABLE) return true;
  if (left < headBytes) return true;
  if (bytes.readDoubleLE(at + CHECKED_FROM) === next) return true;
  // Only the sequence is damaged.
  const end = at + headBytes + bytes.readUInt32LE(at);
  if (end > bytes.length) return false;
  const checked = Buffer.from(bytes.subarray(at + CHECKED_FROM, end));
  checked.writeDoubleLE(next, 0);
  return Bun.hash.crc32(checked) === bytes.readUInt32LE(at + CHECKSUM_AT);
}

/** The damaged records as a part of a sentence: `record 3 at byte 812 and records 7 to 9 at byte 2000`. */
export function gapText(gaps: readonly JournalGap[]): string {
  const shown = gaps.slice(0, GAPS_SHOWN).map(({ at, first, records }) => {
    const which = records === 1 ? `record ${first}` : `records ${first} to ${first + records - 1}`;
    return `${which} at byte ${at}`;
  });
  const rest = gaps.length - shown.length;
  return [...shown, ...(rest > 0 ? [`others at ${rest} more places`] : [])].join(", ");
}

const GAPS_SHOWN = 3;
