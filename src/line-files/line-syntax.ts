/**
 * What the reading of files needs to know of the syntax of their lines: whether a last line without a line end is complete,
 * and whether a line has a time, by which copies of a file are recognised. Pure.
 */
import { isWholeObject } from "./chunks.ts";
import { TIME_FIELD, type TimeFinder } from "./fingerprint.ts";

/** The syntax of the lines of a file. */
export interface LineSyntax {
  /** Whether each line is a JSON object. */
  readonly isJson: boolean;
  /** What was expected of the first line, for an error about a file of something else. */
  readonly expected: string;
  /** Whether the last bytes of a file are a complete line, although they have no line end. */
  readonly isWhole: (line: Uint8Array) => boolean;
  readonly findTime: TimeFinder;
  /** Whether a line that contains what `findTime` finds has a time. */
  readonly hasTime: (line: string) => boolean;
}

/** The events of the gateway. */
export const EVENT_LINES: LineSyntax = {
  isJson: true,
  expected: "one JSON event per line",
  isWhole: isWholeObject,
  findTime: (bytes) => bytes.indexOf(TIME_FIELD),
  hasTime: mayHaveTime,
};

/** A date with the hour, or a number that can be a time since 1970 or an id. Both distinguish a line from others. */
const TIME_TEXT = /\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:|\d{10}/;

/** JSON objects of other programs. */
export const JSON_LINES: LineSyntax = {
  isJson: true,
  expected: "one JSON object per line",
  isWhole: isWholeObject,
  findTime: findTimeText,
  hasTime: () => true,
};

/** Any other text. Only its line end shows that a line is complete. */
export const TEXT_LINES: LineSyntax = {
  isJson: false,
  expected: "lines of text",
  isWhole: () => false,
  findTime: findTimeText,
  hasTime: () => true,
};

function findTimeText(bytes: Buffer): number {
  return bytes.toString("latin1").search(TIME_TEXT);
}

/** Whether a line that contains the name of a time is an event with a time, and not one with a tag of such a name. */
function mayHaveTime(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return [value].flat().some((each) => {
      const event = (each ?? {}) as { "@timestamp"?: unknown; timestamp?: unknown };
      return (event["@timestamp"] ?? event.timestamp) !== undefined;
    });
  } catch {
    return true;
  }
}
