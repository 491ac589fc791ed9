/**
 * The fingerprint of the beginning of a file: a hash of all its bytes, and marks. Marks are short hashes of the content
 * up to the end of some lines. Two files have equal marks as far as their lines are equal. So marks show how much two
 * files share, without the bytes of the other file. Lines of white space do not count. Pure.
 *
 * There is a mark after each of the first 32 lines, where workers often write equal lines at their start. Then there is
 * one after each line whose number is a quarter above that of the previous mark. 100 marks are enough for 180 million
 * lines.
 */

const NEWLINE = 0x0a;
const EACH_LINE_UP_TO = 32;
/** Hexadecimal digits of a mark. With 32 bits, two different contents have equal marks once in 4 billion. */
const MARK_DIGITS = 8;
/** The end of the name of an event's time field, in each spelling. */
export const TIME_FIELD = Buffer.from('timestamp"');

/** Finds the first text that shows that a line has a time: its position, or -1. */
export type TimeFinder = (bytes: Buffer) => number;
const findTimeField: TimeFinder = (bytes) => bytes.indexOf(TIME_FIELD);

export class Fingerprint {
  /** Bytes so far. */
  bytes = 0;
  /** Newlines so far, also those of blank lines. */
  newlines = 0;
  /** Lines so far that have an end. */
  #lines = 0;
  #marks = "";
  #nextMark = 1;
  /** Whether there is text other than white space after the last line's end. */
  #hasText = false;
  /** The number, from 1, of the first line that has a time. */
  #firstDated = Number.POSITIVE_INFINITY;
  #hasher = new Bun.CryptoHasher("sha256");
  readonly #findTime: TimeFinder;

  constructor(findTime = findTimeField) {
    this.#findTime = findTime;
  }

  copy(): Fingerprint {
    const copy = new Fingerprint(this.#findTime);
    copy.bytes = this.bytes;
    copy.newlines = this.newlines;
    copy.#lines = this.#lines;
    copy.#marks = this.#marks;
    copy.#nextMark = this.#nextMark;
    copy.#hasText = this.#hasText;
    copy.#firstDated = this.#firstDated;
    copy.#hasher = this.#hasher.copy();
    return copy;
  }

  /** SHA-256 of all bytes so far. */
  get hash(): string {
    return this.#hasher.copy().digest("hex");
  }

  get marks(): string {
    return this.#marks;
  }

  get lines(): number {
    return this.#lines;
  }

  /** Whether one of the first `lines` lines has a time. Equal lines with a time are almost certainly the same line. */
  isDated(lines = Number.MAX_SAFE_INTEGER): boolean {
    return this.#firstDated <= lines;
  }

  /** The fingerprint if the incomplete last line ended here. */
  ended(): Fingerprint {
    if (!this.#hasText) return this;
    const copy = this.copy();
    copy.pass(Uint8Array.of(NEWLINE));
    return copy;
  }

  /** Adds the next bytes. */
  pass(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    if (!this.#hasText && isNewlines(bytes)) {
      this.newlines += bytes.length;
      this.#hasher.update(bytes);
      return;
    }
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const dated = Number.isFinite(this.#firstDated) ? -1 : this.#findTime(buffer);
    let hashed = 0;
    let begin = 0;
    for (;;) {
      if (!this.#hasText) {
        const first = begin;
        while (bytes[begin] === NEWLINE) begin++;
        this.newlines += begin - first;
      }
      const end = bytes.indexOf(NEWLINE, begin);
      if (end === -1) break;
      this.newlines++;
      if (this.#hasText || hasText(bytes, begin, end)) {
        this.#lines++;
        if (dated >= begin && dated < end) this.#firstDated = this.#lines;
        if (this.#lines === this.#nextMark) {
          this.#hasher.update(bytes.subarray(hashed, end + 1));
          hashed = end + 1;
          this.#mark();
        }
      }
      this.#hasText = false;
      begin = end + 1;
    }
    this.#hasher.update(bytes.subarray(hashed));
    this.#hasText ||= hasText(bytes, begin, bytes.length);
    if (dated >= begin) this.#firstDated = this.#lines + 1;
  }

  #mark(): void {
    this.#marks += this.#hasher.copy().digest("hex").slice(0, MARK_DIGITS);
    this.#nextMark = markAfter(this.#nextMark);
  }
}

/** The minimum number of lines that two files share, by their marks. */
export function sharedLines(a: string, b: string): number {
  let lines = 0;
  for (let at = 0, next = 1; ; at += MARK_DIGITS, next = markAfter(next)) {
    const mark = a.slice(at, at + MARK_DIGITS);
    if (mark === "" || mark !== b.slice(at, at + MARK_DIGITS)) return lines;
    lines = next;
  }
}

function markAfter(line: number): number {
  return line < EACH_LINE_UP_TO ? line + 1 : Math.floor(line * 1.25);
}

function hasText(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (byte !== 0x20 && (byte < 0x09 || byte > 0x0d)) return true;
  }
  return false;
}

/** Whether the bytes are only white space. */
export function isBlank(bytes: Uint8Array): boolean {
  return isNewlines(bytes) || !hasText(bytes, 0, bytes.length);
}

const NEWLINES_LENGTH = 2_097_152;
/** Made when it is first needed. Most gateways import no file. */
let newlines: Buffer | undefined;

/** Whether the bytes are a hole of a file. A hole may have gigabytes, so this does not compare byte by byte. */
function isNewlines(bytes: Uint8Array): boolean {
  if (bytes[0] !== NEWLINE || bytes.length > NEWLINES_LENGTH) return false;
  newlines ??= Buffer.alloc(NEWLINES_LENGTH, NEWLINE);
  return newlines.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}
