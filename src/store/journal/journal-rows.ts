/**
 * The rows of the journal: as bytes of a record, and gathered by day until they move to their tables.
 *
 * The bytes of rows are columns one after the other: times (doubles), values (doubles), series (32 bits), flags (a byte: 1
 * stale, 2 live), then for each attribute the lengths of its values (32 bits), then the values of each attribute.
 */
import type { AttributeColumn, Rows } from "../../model/sample.ts";

/** What the bytes of rows do not say: the day, the number of rows, and each attribute with the bytes of its values. */
export type RowsShape = readonly [
  day: number,
  length: number,
  attributes: readonly (readonly [name: string, bytes: number])[],
];

const FIXED_BYTES = 21;
const LENGTH_BYTES = 4;
const STALE = 1;
const LIVE = 2;

export function shapeOf({ day, length, attributes }: Rows): RowsShape {
  return [
    day,
    length,
    attributes.map(({ name, length: lengths }) => {
      let bytes = 0;
      for (let row = 0; row < length; row++) bytes += lengths[row]!;
      return [name, bytes];
    }),
  ];
}

export function bytesOfShape([, length, attributes]: RowsShape): number {
  return attributes.reduce((sum, [, bytes]) => sum + LENGTH_BYTES * length + bytes, FIXED_BYTES * length);
}

/** Writes rows into `target`, from `at` on. Returns the end. */
export function writeRows(rows: Rows, target: Buffer, at: number): number {
  const { length, timestampUs, value, seriesId, stale, live, attributes, text } = rows;
  let end = at;
  const put = (column: Readonly<Float64Array | Uint32Array>) => {
    const bytes = length * column.BYTES_PER_ELEMENT;
    target.set(new Uint8Array(column.buffer, column.byteOffset, bytes), end);
    end += bytes;
  };
  if (length > FEW_ROWS) {
    put(timestampUs);
    put(value);
    put(seriesId);
  } else {
    end = putDoubles(timestampUs, length, target, end);
    end = putDoubles(value, length, target, end);
    end = putWords(seriesId, length, target, end);
  }
  for (let row = 0; row < length; row++) {
    target[end + row] = (stale !== undefined && stale[row] === 1 ? STALE : 0) + (live[row] === 1 ? LIVE : 0);
  }
  end += length;
  for (const { length: lengths } of attributes) {
    if (length > FEW_ROWS) put(lengths);
    else end = putWords(lengths, length, target, end);
  }
  for (const column of attributes) end = putTexts(column, length, text, target, end);
  return end;
}

/** The most rows whose numbers are copied one by one. To make a view of a column takes as long as to copy 8 numbers. */
const FEW_ROWS = 8;

function putDoubles(column: Readonly<Float64Array>, length: number, target: Buffer, at: number): number {
  for (let row = 0; row < length; row++) target.writeDoubleLE(column[row]!, at + 8 * row);
  return at + 8 * length;
}

function putWords(column: Readonly<Uint32Array>, length: number, target: Buffer, at: number): number {
  for (let row = 0; row < length; row++) target.writeUInt32LE(column[row]!, at + 4 * row);
  return at + 4 * length;
}

/** Reads rows from `source`, from `at` on. They are copies. */
export function readRows(shape: RowsShape, source: Uint8Array, at: number): { rows: Rows; end: number } {
  const [day, length, shapes] = shape;
  let end = at;
  // A copy is aligned.
  const take = (bytes: number) => {
    const from = end;
    end += bytes;
    return new Uint8Array(source.subarray(from, end)).buffer;
  };
  const timestampUs = new Float64Array(take(8 * length));
  const value = new Float64Array(take(8 * length));
  const seriesId = new Uint32Array(take(4 * length));
  const flags = new Uint8Array(take(length));
  const lengths = shapes.map(() => new Uint32Array(take(LENGTH_BYTES * length)));
  let position = 0;
  const attributes = shapes.map(([name], index): AttributeColumn => {
    const offset = new Uint32Array(length);
    const ofValues = lengths[index]!;
    for (let row = 0; row < length; row++) {
      offset[row] = position;
      position += ofValues[row]!;
    }
    return { name, offset, length: ofValues };
  });
  const text = new Uint8Array(take(position));
  if (text.length < position) throw new Error("the rows of a record of the journal are cut");
  const rows: Rows = {
    day,
    length,
    timestampUs,
    value,
    seriesId,
    stale: flags.map((flag) => flag & STALE),
    live: flags.map((flag) => (flag & LIVE) >> 1),
    attributes,
    text,
  };
  return { rows, end };
}

/** Copies the values of a column, one after the other. Returns the end. */
function putTexts(
  { offset, length: lengths }: AttributeColumn,
  rowCount: number,
  text: Readonly<Uint8Array>,
  target: Uint8Array,
  at: number,
): number {
  let end = at;
  for (let row = 0; row < rowCount; ) {
    if (lengths[row] === 0) {
      row++;
      continue;
    }
    // Values that follow each other in the text are copied at once. Those of a single attribute do.
    const from = offset[row]!;
    let to = from;
    for (; row < rowCount && (lengths[row] === 0 || offset[row] === to); row++) to += lengths[row]!;
    if (to - from > SHORT_MAX) target.set(text.subarray(from, to) as Uint8Array, end);
    else for (let byte = from; byte < to; byte++) target[end + byte - from] = text[byte]!;
    end += to - from;
  }
  return end;
}

/** Copying more bytes is cheaper with `set`. */
const SHORT_MAX = 64;

/** The rows of the series that `keep` selects. It is called once per row, in their order. */
export function rowsWhere(rows: Rows, keep: (seriesId: number) => boolean): Rows {
  const kept: number[] = [];
  for (let row = 0; row < rows.length; row++) if (keep(rows.seriesId[row]!)) kept.push(row);
  if (kept.length === rows.length) return rows;
  return {
    day: rows.day,
    length: kept.length,
    seriesId: Uint32Array.from(kept, (row) => rows.seriesId[row]!),
    timestampUs: Float64Array.from(kept, (row) => rows.timestampUs[row]!),
    value: Float64Array.from(kept, (row) => rows.value[row]!),
    stale: Uint8Array.from(kept, (row) => rows.stale?.[row] ?? 0),
    live: Uint8Array.from(kept, (row) => rows.live[row]!),
    attributes: rows.attributes.map(({ name, offset, length }) => ({
      name,
      offset: Uint32Array.from(kept, (row) => offset[row]!),
      length: Uint32Array.from(kept, (row) => length[row]!),
    })),
    text: rows.text,
  };
}

/** The values of an attribute by row. Those of rows from `end` on are not set. */
interface GatheredAttribute {
  offset: Uint32Array;
  length: Uint32Array;
  end: number;
}

/** Rows of one day in the order of arrival, in memory of their own. */
export class GatheredRows {
  #day: number;
  #length = 0;
  #timestampUs = new Float64Array(0);
  #value = new Float64Array(0);
  #seriesId = new Uint32Array(0);
  #live = new Uint8Array(0);
  #stale = new Uint8Array(0);
  readonly #attributes = new Map<string, GatheredAttribute>();
  #text = new Uint8Array(0);
  #textEnd = 0;

  constructor(day: number) {
    this.#day = day;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of all values of attributes. */
  get textBytes(): number {
    return this.#textEnd;
  }

  /** The names of all attributes. */
  get attributeNames(): string[] {
    return [...this.#attributes].filter(([, { end }]) => end > 0).map(([name]) => name);
  }

  /** Removes all rows. The memory is used again for those of another day: fresh memory costs a page fault per 4 KiB. */
  reuse(day: number): this {
    this.#day = day;
    this.#length = 0;
    this.#textEnd = 0;
    for (const [name, own] of this.#attributes) {
      if (own.end === 0) this.#attributes.delete(name);
      own.end = 0;
    }
    return this;
  }

  /** Adds copies of rows of this day. */
  add(rows: Rows): void {
    const from = this.#length;
    const { length } = rows;
    this.#reserve(from + length);
    if (length <= FEW_ROWS) this.#addFew(rows, from);
    else {
      this.#timestampUs.set(rows.timestampUs.subarray(0, length), from);
      this.#value.set(rows.value.subarray(0, length), from);
      this.#seriesId.set(rows.seriesId.subarray(0, length), from);
      this.#live.set(rows.live.subarray(0, length), from);
      if (rows.stale === undefined) this.#stale.fill(0, from, from + length);
      else this.#stale.set(rows.stale.subarray(0, length), from);
    }
    for (const column of rows.attributes) this.#addAttribute(column, rows, from);
    this.#length += length;
  }

  #addFew(rows: Rows, from: number): void {
    for (let row = 0; row < rows.length; row++) {
      this.#timestampUs[from + row] = rows.timestampUs[row]!;
      this.#value[from + row] = rows.value[row]!;
      this.#seriesId[from + row] = rows.seriesId[row]!;
      this.#live[from + row] = rows.live[row]!;
      this.#stale[from + row] = rows.stale?.[row] ?? 0;
    }
  }

  /** All rows, as views that are valid until the next `add`. */
  rows(): Rows {
    const length = this.#length;
    const attributes: AttributeColumn[] = [];
    for (const [name, own] of this.#attributes) {
      if (own.end === 0) continue;
      own.length.fill(0, own.end, length);
      own.end = length;
      attributes.push({
        name,
        offset: own.offset.subarray(0, length),
        length: own.length.subarray(0, length),
      });
    }
    return {
      day: this.#day,
      length,
      timestampUs: this.#timestampUs.subarray(0, length),
      value: this.#value.subarray(0, length),
      seriesId: this.#seriesId.subarray(0, length),
      live: this.#live.subarray(0, length),
      stale: this.#stale.subarray(0, length),
      attributes,
      text: this.#text.subarray(0, this.#textEnd),
    };
  }

  #addAttribute(column: AttributeColumn, { length, text }: Rows, from: number): void {
    const { name, length: lengths } = column;
    const room = this.#timestampUs.length;
    let own = this.#attributes.get(name);
    if (own === undefined) {
      own = { offset: new Uint32Array(room), length: new Uint32Array(room), end: 0 };
      this.#attributes.set(name, own);
    }
    own.length.fill(0, own.end, from);
    own.end = from + length;
    let bytes = 0;
    for (let row = 0; row < length; row++) {
      const ofValue = lengths[row]!;
      own.offset[from + row] = this.#textEnd + bytes;
      own.length[from + row] = ofValue;
      bytes += ofValue;
    }
    if (this.#textEnd + bytes > this.#text.length) {
      const text = new Uint8Array(Math.max(2 * this.#text.length, this.#textEnd + bytes, ROWS_MIN));
      text.set(this.#text.subarray(0, this.#textEnd));
      this.#text = text;
    }
    this.#textEnd = putTexts(column, length, text, this.#text, this.#textEnd);
  }

  #reserve(rows: number): void {
    if (rows <= this.#timestampUs.length) return;
    const room = Math.max(2 * this.#timestampUs.length, rows, ROWS_MIN);
    this.#timestampUs = grown(this.#timestampUs, room);
    this.#value = grown(this.#value, room);
    this.#seriesId = grown(this.#seriesId, room);
    this.#live = grown(this.#live, room);
    this.#stale = grown(this.#stale, room);
    for (const own of this.#attributes.values()) {
      own.offset = grown(own.offset, room);
      own.length = grown(own.length, room);
    }
  }
}

const ROWS_MIN = 1_024;

function grown<T extends Uint32Array | Float64Array | Uint8Array>(array: T, room: number): T {
  const larger = new (array.constructor as new (length: number) => T)(room);
  larger.set(array);
  return larger;
}
