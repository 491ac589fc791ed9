/** Where the lines of a chunk are in their file. Pure. */
import type { FileChunk } from "../line-files/chunks.ts";
import { isBlank } from "../line-files/fingerprint.ts";

const NEWLINE = 0x0a;

/** A line's number in its file, from 1, and the offset of its first byte. */
export interface LinePlace {
  readonly line: number;
  readonly offset: number;
}

/** The places of lines by their index among the lines that are not blank, which the gateway counts. `indexes` ascend. */
export function placesOf(chunk: FileChunk, indexes: readonly number[]): LinePlace[] {
  const { body, before, toOffset } = chunk;
  const bodyOffset = toOffset - body.length;
  const places: LinePlace[] = [];
  let [line, index] = [before.newlines, 0];
  for (let at = 0; at < body.length && places.length < indexes.length; ) {
    const end = body.indexOf(NEWLINE, at);
    const next = end === -1 ? body.length : end + 1;
    line++;
    if (!isBlank(body.subarray(at, next))) {
      if (index === indexes[places.length]) places.push({ line, offset: bodyOffset + at });
      index++;
    }
    at = next;
  }
  return places;
}
