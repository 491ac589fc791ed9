/**
 * The rows of the journal's entries: copied from those of a change, as text, and put together again when they are moved.
 */

import type { AttributeColumn, Rows } from "../../model/sample.ts";
import { TextBuilder } from "../engine/columns.ts";

/**
 * Of the rows that are put together: each name has a cell for each row, though few rows have it. What a full journal
 * comes to is then as large as one batch may be, 128 MB, where its entries were made for that.
 */
const ATTRIBUTE_CELLS_MAX = 1_048_576;
/** What the text of a cell takes at least: two quotes and a comma, and of its UTF-8 a character for three bytes. */
const CELL_LENGTH_MIN = 3;
const BYTES_A_CHARACTER_MAX = 3;

/** Rows of one day, which are copies. */
export interface HeldRows {
  readonly day: number;
  readonly columns: ReturnType<typeof layout>;
  readonly attributes: readonly HeldAttribute[];
}

/** Its name, and its values by row; a row without it has "". */
type HeldAttribute = readonly [string, readonly string[]];

/** What the text of an entry says of rows. */
export interface EntryRows {
  readonly day: number;
  readonly length: number;
  /** In base64, one after the other, so that each number is the same to the last bit: see `layout`. */
  readonly columns: string;
  /** Entries of before have none. */
  readonly attributes?: readonly HeldAttribute[];
}

/** What the text of rows takes at least, in characters; told without a look at what they say. */
export function textLengthMin({ length, attributes }: Rows): number {
  let bytes = 0;
  for (const { length: lengths } of attributes) for (let row = 0; row < length; row++) bytes += lengths[row]!;
  return length * attributes.length * CELL_LENGTH_MIN + bytes / BYTES_A_CHARACTER_MAX;
}

export function textOfRows({ day, columns: { length, bytes }, attributes }: HeldRows): EntryRows {
  return { day, length, columns: Buffer.from(bytes.buffer).toString("base64"), attributes };
}

export function rowsOfText({ day, length, columns, attributes = [] }: EntryRows): HeldRows {
  return {
    day,
    columns: layout(length, Uint8Array.from(Buffer.from(columns, "base64")).buffer),
    attributes,
  };
}

/** Where the columns of so many rows lie in their bytes: times, values, series, flags (1 stale, 2 live). */
function layout(length: number, buffer: ArrayBuffer = new ArrayBuffer(length * ROW_BYTES)) {
  return {
    length,
    bytes: new Uint8Array(buffer),
    timestampUs: new Float64Array(buffer, 0, length),
    value: new Float64Array(buffer, length * 8, length),
    seriesId: new Uint32Array(buffer, length * 16, length),
    flags: new Uint8Array(buffer, length * 20, length),
  };
}

const ROW_BYTES = 21;

/** Copies rows, and makes texts of their attributes. */
export function heldRows({
  day,
  length,
  seriesId,
  timestampUs,
  value,
  stale,
  live,
  attributes,
  text,
}: Rows): HeldRows {
  const columns = layout(length);
  for (let row = 0; row < length; row++) {
    columns.timestampUs[row] = timestampUs[row]!;
    columns.value[row] = value[row]!;
    columns.seriesId[row] = seriesId[row]!;
    columns.flags[row] = (stale?.[row] === 1 ? 1 : 0) + (live[row] === 1 ? 2 : 0);
  }
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  const valuesOf = ({ offset, length: lengths }: AttributeColumn) =>
    Array.from({ length }, (_, row) => bytes.toString("utf8", offset[row]!, offset[row]! + lengths[row]!));
  return { day, columns, attributes: attributes.map((each) => [each.name, valuesOf(each)]) };
}

/** Rows put together by day, in their order: each segment of rows is appended for itself, which takes its time. */
export function rowsOf(pieces: readonly HeldRows[]): Rows[] {
  const days = Map.groupBy(pieces, ({ day }) => day);
  return Array.from(days, ([day, ofDay]) => segmentsOf(ofDay).map((segment) => joined(day, segment))).flat();
}

/** Pieces in lists, mostly one, of so many attributes and rows as go together. */
function segmentsOf(pieces: readonly HeldRows[]): (readonly HeldRows[])[] {
  const segments: HeldRows[][] = [];
  const names = new Set<string>();
  let length = 0;
  for (const piece of pieces) {
    length += piece.columns.length;
    for (const [name] of piece.attributes) names.add(name);
    if (segments.length === 0 || names.size * length > ATTRIBUTE_CELLS_MAX) {
      segments.push([]);
      names.clear();
      for (const [name] of piece.attributes) names.add(name);
      length = piece.columns.length;
    }
    segments.at(-1)!.push(piece);
  }
  return segments;
}

function joined(day: number, pieces: readonly HeldRows[]): Rows {
  const length = pieces.reduce((sum, { columns }) => sum + columns.length, 0);
  const { timestampUs, value, seriesId, flags } = layout(length);
  const values = new Map<string, string[]>();
  let at = 0;
  for (const { columns, attributes } of pieces) {
    timestampUs.set(columns.timestampUs, at);
    value.set(columns.value, at);
    seriesId.set(columns.seriesId, at);
    flags.set(columns.flags, at);
    for (const [name, ofPiece] of attributes) {
      let all = values.get(name);
      if (all === undefined) {
        all = new Array<string>(length).fill("");
        values.set(name, all);
      }
      for (let row = 0; row < columns.length; row++) all[at + row] = ofPiece[row]!;
    }
    at += columns.length;
  }
  const builder = new TextBuilder();
  const attributes = Array.from(values, ([name, all]) => ({ name, ...builder.column(all) }));
  return {
    day,
    length,
    seriesId,
    timestampUs,
    value,
    stale: flags.map((flag) => flag & 1),
    live: flags.map((flag) => flag >> 1),
    attributes,
    text: builder.text,
  };
}
