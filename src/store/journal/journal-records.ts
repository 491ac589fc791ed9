/**
 * Reads the records of a journal file from its bytes, and finds damage: a record that cannot be read although records
 * after it can. Pure: no file, no clock. journal-file.ts describes the format.
 *
 * A record is searched for at every byte behind a damaged one. The text of a record cannot be mistaken for a header:
 * it is JSON, which has no NUL byte, and the lowest byte of a sequence is NUL (a double of an integer below 2^44).
 */

export const HEAD_BYTES = 16;
/** The checksum covers everything after itself: the sequence and the text. */
export const CHECKED_FROM = 8;
const CHECKSUM_AT = 4;
const SEQUENCE_BYTES = 8;

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
  /** Texts of the records that were not moved, in their order. */
  readonly texts: readonly string[];
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
}

/**
 * Reads the records of a file.
 *
 * @param moved the sequence of the last record that was moved. Records up to it are not needed
 */
export function readRecords(bytes: Buffer, moved: number): JournalReading {
  const texts: string[] = [];
  const gaps: JournalGap[] = [];
  let readBehind = 0;
  let number = 0;
  let before: number | undefined;
  let at = 0;
  for (;;) {
    const known = Math.max(moved, before ?? moved);
    const next = recordAt(bytes, at);
    const isNext =
      next !== undefined &&
      (before === undefined ? next.sequence <= moved + 1 : next.sequence === before + 1);
    const record = isNext ? next : recordBehind(bytes, at, known);
    if (record === undefined) break;
    const missing = isNext ? 0 : record.sequence - known - 1;
    // More records are missing than the damaged bytes can contain.
    if (before === undefined && missing > (record.at - at) / HEAD_BYTES) {
      return {
        texts: [],
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
    before = record.sequence;
    // A commit may fail and be on the disk nevertheless. Then the file also has records that the commit moved.
    if (record.sequence > moved) texts.push(bytes.toString("utf8", record.at + HEAD_BYTES, record.end));
    at = record.end;
  }
  const sequence = Math.max(moved, before ?? moved);
  return {
    texts,
    sequence,
    gaps,
    readBehind,
    incompleteAt: isIncomplete(bytes, at, sequence + 1) ? at : undefined,
    foreign: undefined,
  };
}

/** The record at a byte. Undefined if there is none, or its checksum is wrong. */
function recordAt(bytes: Buffer, at: number): Located | undefined {
  if (at + HEAD_BYTES > bytes.length) return undefined;
  const end = at + HEAD_BYTES + bytes.readUInt32LE(at);
  if (end > bytes.length) return undefined;
  if (Bun.hash.crc32(bytes.subarray(at + CHECKED_FROM, end)) !== bytes.readUInt32LE(at + CHECKSUM_AT))
    return undefined;
  return { at, end, sequence: bytes.readDoubleLE(at + CHECKED_FROM) };
}

/** The first record from a byte on whose sequence is after `known`. Older records are leftovers. */
function recordBehind(bytes: Buffer, from: number, known: number): Located | undefined {
  for (let at = from; at + HEAD_BYTES <= bytes.length; at++) {
    // Cheaper than the checksum, which is computed for few bytes only.
    const sequence = bytes.readDoubleLE(at + CHECKED_FROM);
    if (!(sequence > known) || !Number.isSafeInteger(sequence)) continue;
    const record = recordAt(bytes, at);
    if (record !== undefined) return record;
  }
  return undefined;
}

/**
 * Whether the bytes at the end of the records are the record with the next sequence, torn or damaged. Other bytes are
 * what older records left.
 */
function isIncomplete(bytes: Buffer, at: number, next: number): boolean {
  const left = bytes.length - at;
  if (left === 0) return false;
  if (left < HEAD_BYTES) return true;
  if (bytes.readDoubleLE(at + CHECKED_FROM) === next) return true;
  // Only the sequence is damaged.
  const end = at + HEAD_BYTES + bytes.readUInt32LE(at);
  if (end > bytes.length) return false;
  const checked = Buffer.from(bytes.subarray(at + CHECKED_FROM, end));
  checked.writeDoubleLE(next, 0);
  return checked.length >= SEQUENCE_BYTES && Bun.hash.crc32(checked) === bytes.readUInt32LE(at + CHECKSUM_AT);
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
