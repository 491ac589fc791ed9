/**
 * Lines of a body that are rejected: where each ends, and how it is described. Pure, except for what it knows of the body
 * that is read.
 */
import type { Rejection } from "../../model/sample.ts";
import { endOfLine, endOfTextLine } from "./line-scanner.ts";

/** The most lines of one body whose rejection is described. Further ones are counted, with their causes. */
const REASONS_MAX = 10_000;
const REASON_PAST_MAX = `the line is invalid, as are more than ${REASONS_MAX} before it`;
export const LINE_BYTES_MAX = 1_000;
/** The part of a body that is searched for the end of a string. */
const SEARCHED_BYTES_MAX = 1_048_576;
const LINE_FEED = 10;

export class RejectedLines {
  /** Whether the body ends within a string. */
  #isUnclosed = false;
  /** The line feeds of the line that was rejected last. */
  lineFeeds = 0;

  /** Begins with another body. */
  begin(): void {
    this.#isUnclosed = false;
  }

  /**
   * Adds the line that begins at `at`; returns the position after it.
   *
   * @param isLong whether the line ends at its first line feed, because it is too long to be searched for strings
   */
  add(
    rejected: Rejection[],
    body: Buffer,
    at: number,
    { index, cause, reason }: Omit<Rejection, "payload">,
    isLong = false,
  ): number {
    const next = isLong ? endOfTextLine(body, at, body.length) : this.#endOf(body, at);
    this.lineFeeds = countLineFeeds(body, at, next);
    rejected.push(
      rejected.length < REASONS_MAX
        ? { index, cause, reason, payload: lineText(body, at, next) }
        : { index, cause, reason: REASON_PAST_MAX, payload: "" },
    );
    return next;
  }

  /**
   * The position after an invalid line. If a string of it does not end before the body does, the line ends at the first
   * line feed: otherwise one quotation mark would cost the rest of the body. So do later ones, because searching the rest
   * of the body for each of them could take hours.
   */
  #endOf(body: Buffer, at: number): number {
    const limit = Math.min(body.length, at + SEARCHED_BYTES_MAX);
    const next = this.#isUnclosed ? -1 : endOfLine(body, at, limit);
    if (next >= 0 && (next < limit || limit === body.length)) return next;
    this.#isUnclosed = true;
    return endOfTextLine(body, at, body.length);
  }
}

/** A line without its end, cut at `LINE_BYTES_MAX`. */
export function lineText(body: Buffer, at: number, next: number): string {
  return body.toString("utf8", at, Math.min(next, at + LINE_BYTES_MAX)).replace(/\r?\n$/, "");
}

function countLineFeeds(body: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = body.indexOf(LINE_FEED, from); at >= 0 && at < to; at = body.indexOf(LINE_FEED, at + 1))
    count++;
  return count;
}
