/**
 * The rows of the journal's entries: copied from the rows of a change, encoded as text, and joined again for
 * the move.
 */

import type { AttributeColumn, Rows } from "../../model/sample.ts";
import { TextBuilder } from "../engine/columns.ts";

/**
 * A limit for joined rows, because each attribute name has a cell in each row although few rows have it. A full
 * journal of hostile entries is then as large as the largest batch, 128 MB.
 */
const ATTRIBUTE_CELLS_MAX = 1_048_576;
/** The least text of a cell: two quotes and a comma. Its UTF-8 has at least one character per three bytes. */
const CELL_LENGTH_MIN = 3;
const BYTES_A_CHARACTER_MAX = 3;

/** Copied rows of one day. */
export interface CopiedRows {
  readonly day: number;
  readonly columns: ReturnType<typeof layout>;
  readonly attributes: readonly CopiedAttribute[];
}

/** An attribute's name, and its values by row. A row without it has "". */
type CopiedAttribute = readonly [string, readonly string[]];

/** Rows as they are in the text of an entry. */
export interface EntryRows {
  readonly day: number;
  readonly length: number;
  /**
   * The columns one after the other (see `layout`) in base64, so that each number stays the same to the last
   * bit.
   */
  readonly columns: string;
  /** Entries of older versions lack it. */
  readonly attributes?: readonly CopiedAttribute[];
}

/** A lower bound of the length of the rows' text, in characters. It is computed without reading the values. */
export function textLengthMin({ length, attributes }: Rows): number {
  let bytes = 0;
  for (const { length: lengths } of attributes) for (let row = 0; row < length; row++) bytes += lengths[row]!;
  return length * attributes.length * CELL_LENGTH_MIN + bytes / BYTES_A_CHARACTER_MAX;
}

export function textOfRows({ day, columns: { length, bytes }, attributes }: CopiedRows): EntryRows {
  return { day, length, columns: Buffer.from(bytes.buffer).toString("base64"), attributes };
}

export function rowsOfText({ day, length, columns, attributes = [] }: EntryRows): CopiedRows {
  return {
    day,
    columns: layout(length, Uint8Array.from(Buffer.from(columns, "base64")).buffer),
    attributes,
  };
}

/** The layout of the columns in their bytes: times, values, series, flags (1 stale, 2 live). */
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

/** Copies rows, and decodes the texts of their attributes. */
export function copyRows({
  day,
  length,
  seriesId,
  timestampUs,
  value,
  stale,
  live,
  attributes,
  text,
}: Rows): CopiedRows {
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

/** The rows of the series that `keep` selects. It is called once per row, in their order. */
export function rowsWhere(rows: CopiedRows, keep: (seriesId: number) => boolean): CopiedRows {
  const from = rows.columns;
  const kept: number[] = [];
  for (let row = 0; row < from.length; row++) if (keep(from.seriesId[row]!)) kept.push(row);
  if (kept.length === from.length) return rows;
  const columns = layout(kept.length);
  for (const [to, row] of kept.entries()) {
    columns.timestampUs[to] = from.timestampUs[row]!;
    columns.value[to] = from.value[row]!;
    columns.seriesId[to] = from.seriesId[row]!;
    columns.flags[to] = from.flags[row]!;
  }
  const attributes = rows.attributes.map(
    ([name, values]) => [name, kept.map((row) => values[row]!)] as const,
  );
  return { day: rows.day, columns, attributes };
}

/** Joins rows by day, in their order. Fewer segments are better, because each is appended separately. */
export function rowsOf(pieces: readonly CopiedRows[]): Rows[] {
  const days = Map.groupBy(pieces, ({ day }) => day);
  return Array.from(days, ([day, ofDay]) => segmentsOf(ofDay).map((segment) => joined(day, segment))).flat();
}

/** Divides pieces into segments (usually one), each within the limit of attribute cells. */
function segmentsOf(pieces: readonly CopiedRows[]): (readonly CopiedRows[])[] {
  const segments: CopiedRows[][] = [];
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

function joined(day: number, pieces: readonly CopiedRows[]): Rows {
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
