/**
 * Converts whole lines of a file to JSON events, one per line, and says from which line each event is. Pure.
 */
import { isUtf8 } from "node:buffer";
import { isBlank } from "../line-files/fingerprint.ts";
import { quote } from "../model/errors.ts";
import type { RecordReader, WrongLine } from "./line-record.ts";
import { EventMapper } from "./mapped-events.ts";
import type { Mapping } from "./mapping.ts";

/** A line that has no events. */
interface RejectedLine extends WrongLine {
  /** The index of the line among those that are not blank, from 0. */
  readonly index: number;
}

/** Lines as events. */
export interface ConvertedLines {
  /** NDJSON; empty if no line has an event. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** By event: the index of its line among those that are not blank, from 0. */
  readonly lineOf: readonly number[];
  readonly rejected: readonly RejectedLine[];
}

const [NEWLINE, CARRIAGE_RETURN] = [0x0a, 0x0d];
/** Some 100 µs of work. */
const STEP_BYTES = 8_192;
/** Each field of a line can be a tag, and each tag is in each event of the line. */
const BODY_CHARACTERS_MAX = 64 * 1_048_576;

/** The lines have more events than one push may have. Convert fewer lines at once. */
export class TooManyEvents extends Error {
  override readonly name = "TooManyEvents";
}

export class LineConverter {
  readonly #read: RecordReader;
  readonly #mapper: EventMapper;

  constructor(read: RecordReader, mapping: Mapping) {
    this.#read = read;
    this.#mapper = new EventMapper(mapping);
  }

  /**
   * Converts whole lines, in steps between which the caller may pause.
   *
   * @throws TooManyEvents
   */
  *converting(bytes: Uint8Array): Generator<void, ConvertedLines> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const isText = isUtf8(buffer);
    const events: string[] = [];
    const lineOf: number[] = [];
    const rejected: RejectedLine[] = [];
    let characters = 0;
    let index = 0;
    let pauseAt = 0;
    for (let at = 0; at < buffer.length; ) {
      if (at >= pauseAt) {
        pauseAt = at + STEP_BYTES;
        yield;
      }
      const feed = buffer.indexOf(NEWLINE, at);
      const next = feed < 0 ? buffer.length : feed + 1;
      let end = feed < 0 ? buffer.length : feed;
      if (end > at && buffer[end - 1] === CARRIAGE_RETURN) end--;
      const line = buffer.subarray(at, end);
      at = next;
      if (isBlank(line)) continue;
      const converted = this.#line(line, isText || isUtf8(line));
      if ("reason" in converted) rejected.push({ index, ...converted });
      else {
        for (const event of converted) {
          events.push(event);
          lineOf.push(index);
          characters += event.length;
        }
        if (characters > BODY_CHARACTERS_MAX)
          throw new TooManyEvents(`${events.length} events have more than ${BODY_CHARACTERS_MAX} characters`);
      }
      index++;
    }
    return { body: Buffer.from(events.join("\n")), lineOf, rejected };
  }

  /** The events of a line; none for a comment. */
  #line(line: Buffer, isText: boolean): readonly string[] | WrongLine {
    if (!isText)
      return {
        cause: "syntax",
        reason: `the line is ${quote(line.toString("latin1"))} in Latin-1, expected text in UTF-8`,
      };
    // A byte order mark, which joined files have at several lines.
    const text = line.toString("utf8").replace(/^\ufeff/, "");
    const record = this.#read(text);
    if (record === undefined) return [];
    return "reason" in record ? record : this.#mapper.events(record);
  }
}
