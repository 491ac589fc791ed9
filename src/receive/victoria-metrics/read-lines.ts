/** Reads the body of a request as whole lines, in parts of a few megabytes. */
import { type BodyLimits, readBody } from "../../http/body.ts";

interface Lines {
  /** Whole lines. */
  readonly lines: Uint8Array;
  /** The number of the first of them in the body, counted from 0. */
  readonly firstLine: number;
  readonly lineCount: number;
}

/** A part is decoded without a pause: about 20 ms. */
const PART_BYTES = 2 * 2 ** 20;
const LINE_FEED = 10;

/**
 * Yields the lines of a body.
 *
 * @throws TooLarge, Unsupported, BadInput (corrupt or truncated), Timeout (408), Busy
 */
export async function* readLines(request: Request, limits: BodyLimits): AsyncGenerator<Lines> {
  const body = await readBody(request, limits);
  let firstLine = 0;
  for (let from = 0; from < body.length; ) {
    const feed = from + PART_BYTES >= body.length ? -1 : body.indexOf(LINE_FEED, from + PART_BYTES);
    const to = feed < 0 ? body.length : feed + 1;
    const lines = body.subarray(from, to);
    const lineCount = countLines(lines);
    yield { lines, firstLine, lineCount };
    firstLine += lineCount;
    from = to;
  }
}

/** The number of lines. The last one may have no line feed. */
export function countLines(bytes: Uint8Array): number {
  let count = bytes.at(-1) === LINE_FEED ? 0 : 1;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return bytes.length === 0 ? 0 : count;
}
