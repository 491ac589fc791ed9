/**
 * Decodes a protocol of lines, such as those of datagrams: pieces of text → Batch. A piece has one or more whole lines.
 * An invalid line is rejected, and the others are kept. Pure, except for what a protocol remembers of earlier lines.
 */
import { isUtf8 } from "node:buffer";
import { TooLarge } from "../model/errors.ts";
import type { Batch } from "../model/sample.ts";
import { BatchBuilder } from "../wire/batch-builder.ts";
import type { DatagramSegment } from "../wire/sockets/waiting-datagrams.ts";
import { describeInvalidByte, firstInvalidByte } from "../wire/utf8.ts";
import type { DecodedText, TextDecoder } from "./text-intake.ts";

/** A batch ends with the piece that exceeds this. Its commit takes less than a second. */
const SAMPLES_MAX = 200_000;
/** Decoded within some 5 ms. */
const PIECES_PER_SLICE = 4_096;
/** The same, for pieces with many lines. */
const SLICE_BYTES = 262_144;
const REASON_PAST_MAX = "the line is invalid, like the lines before it";
/** The part of a line that a reason or a payload quotes. */
export const QUOTED_BYTES_MAX = 1_000;

const [LINE_FEED, CARRIAGE_RETURN] = [10, 13];

export abstract class TextLineDecoder implements TextDecoder {
  protected readonly builder: BatchBuilder;
  /** The text of the line that is decoded. */
  protected bytes = Buffer.alloc(0);
  /** Whether all of the slice is UTF-8. If not, a line may be. */
  protected isUtf8 = true;
  /** When the line arrived, µs since the epoch. */
  protected arrivedUs = 0;
  /** The samples of the batch before the piece. */
  protected lengthBefore = 0;
  /** Another number for each batch. */
  protected batchNumber = 0;
  #piece = -1;
  /** The batch has as many cells as it may have. */
  #hasManyColumns = false;

  /** @param seriesCount the number of series that exist */
  constructor(protocol: string, seriesCount?: () => number) {
    this.builder = new BatchBuilder(protocol, seriesCount);
  }

  /** Decodes the line from `from` up to, not including, `to`. It is not empty, and has no end of line. */
  protected abstract line(from: number, to: number): void;

  /** Called before a slice is decoded. */
  protected beginSlice(): void {}

  get isFull(): boolean {
    return this.#hasManyColumns || this.builder.length >= SAMPLES_MAX;
  }

  decode({ bytes, end, arrivedUs, length }: DatagramSegment, from: number): number {
    this.beginSlice();
    this.bytes = bytes;
    const start = (index: number) => (index === 0 ? 0 : end[index - 1]!);
    let to = from + 1;
    while (to < length && to - from < PIECES_PER_SLICE && end[to]! - start(from) <= SLICE_BYTES) to++;
    this.isUtf8 = isUtf8(bytes.subarray(start(from), start(to)));
    let next = from;
    try {
      for (; next < to && !this.isFull; next++) {
        this.arrivedUs = arrivedUs[next]!;
        this.lengthBefore = this.builder.length;
        this.#piece++;
        this.#readPiece(start(next), end[next]!);
      }
    } catch (error) {
      this.take();
      throw error;
    }
    return next;
  }

  take(): DecodedText {
    this.batchNumber++;
    this.#piece = -1;
    this.#hasManyColumns = false;
    const batch: Batch = this.builder.take();
    return { batch };
  }

  /** Rejects a line that is not in a piece, such as one that is too long. It is in the next batch. */
  rejectLine(cause: string, reason: string, start: Uint8Array): void {
    const payload = () => Buffer.from(start.subarray(0, QUOTED_BYTES_MAX)).toString();
    this.builder.reject(Math.max(0, this.#piece), cause, reason, payload, REASON_PAST_MAX);
  }

  protected reject(cause: string, reason: string, from: number, to: number): void {
    this.rejectLine(cause, reason, this.bytes.subarray(from, Math.min(to, from + QUOTED_BYTES_MAX)));
  }

  /** Rejects a line if a part of it, from `from` up to `to`, is not UTF-8. `lineFrom` and `lineTo` are all of it. */
  protected isRejectedAsText(from: number, to: number, lineFrom: number, lineTo: number): boolean {
    const invalid = this.isUtf8 ? -1 : firstInvalidByte(this.bytes, from, to);
    if (invalid < 0) return false;
    const reason = `byte ${invalid - lineFrom} of the line ${describeInvalidByte(this.bytes[invalid]!)}`;
    this.reject("syntax", reason, lineFrom, lineTo);
    return true;
  }

  /** A part of a line as text, for a reason. */
  protected text(from: number, to: number): string {
    return this.bytes.toString("utf8", from, Math.min(to, from + QUOTED_BYTES_MAX));
  }

  protected addSample(head: number, timestampUs: number, value: number): void {
    this.builder.add(head, timestampUs, value, this.#piece);
  }

  #readPiece(from: number, to: number): void {
    try {
      this.#read(from, to);
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      // The rest of this piece is lost, and the next one begins another batch.
      this.builder.dropAttributes();
      this.#hasManyColumns = true;
      this.rejectLine("columns", error.message, this.bytes.subarray(from, to));
    }
  }

  #read(from: number, to: number): void {
    const { bytes } = this;
    for (let at = from; at < to; ) {
      let end = at;
      while (end < to && bytes[end] !== LINE_FEED) end++;
      const last = end > at && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
      if (last > at) this.line(at, last);
      at = end + 1;
    }
  }
}
