/** A line as its format's reader returns it: fields with their contents, before they are mapped to events. */
import type { InexactNumber } from "../wire/json/exact-number.ts";

/** The content of a field. A list has no part of its own in an event; it becomes a tag with its JSON. */
export type FieldContent = string | number | InexactNumber | boolean | null | readonly unknown[];

/** A line that was read. */
export interface LineRecord {
  /** In the order of the line. Nested objects have dotted names: `req.method`. */
  readonly fields: ReadonlyMap<string, FieldContent>;
  /** By field: the unit that its column has in the header of the file. */
  readonly units?: ReadonlyMap<string, string>;
  /** What a format with values of its own says about them. */
  readonly own?: OwnValues;
}

/** The values that a line has by its format, and their names. */
interface OwnValues {
  readonly fields: readonly string[];
  /** The metric of a field is `PREFIX_FIELD`. */
  readonly prefix: string;
  /** Microseconds since 1970; undefined if the line has no time. */
  readonly timestampUs: number | undefined;
}

/** Why a line cannot be read or mapped. */
export interface WrongLine {
  /** A short word for counts: `syntax`, `value`, `timestamp`, `field`. */
  readonly cause: string;
  /** A sentence without a subject or with the field as its subject, which quotes the line's content. */
  readonly reason: string;
}

/** Reads a line that is not blank, without its end. Undefined for a line that has nothing, such as a comment. */
export type RecordReader = (line: string) => LineRecord | WrongLine | undefined;
