/**
 * Writes Arrow IPC streams (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format) of the columns that
 * events have: times in milliseconds, 64-bit floats, texts, and texts in dictionaries. For the benchmark and for tests.
 */

interface Numbers<Is> {
  readonly name: string;
  readonly is: Is;
  readonly values: Float64Array;
}

/** undefined is a row without a value. */
interface Texts<Is> {
  readonly name: string;
  readonly is: Is;
  readonly values: readonly (string | undefined)[];
}

export type WrittenColumn = Numbers<"time"> | Numbers<"number"> | Texts<"text"> | Texts<"dictionary">;

type Field =
  | readonly ["i8" | "i16" | "i32" | "i64", number]
  | readonly ["text", string]
  | readonly ["table", FlatField[]]
  | readonly ["tables", FlatField[][]]
  | readonly ["structs", readonly number[], number];
/** By index; undefined is an absent field. */
type FlatField = Field | undefined;

const SIZES = { i8: 1, i16: 2, i32: 4, i64: 8 } as const;
const REFERENCE = 4;

/** A writer of FlatBuffers, front to back: each table is followed by what it refers to. */
class FlatWriter {
  #bytes = new Uint8Array(1_024);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;

  static write(root: FlatField[]): Uint8Array {
    const writer = new FlatWriter();
    writer.#reserve(4);
    const at = writer.#table(root);
    writer.#view.setUint32(0, at, true);
    return writer.#bytes.slice(0, Math.ceil(writer.#end / 8) * 8);
  }

  #reserve(bytes: number, alignment = 4): number {
    const at = Math.ceil(this.#end / alignment) * alignment;
    if (at + bytes + 8 > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, at + bytes + 8));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#end = at + bytes;
    return at;
  }

  #table(fields: FlatField[]): number {
    // The table of offsets comes first, so that it has a place that is known.
    const places: number[] = [];
    let size = 4;
    for (const field of fields) {
      if (field === undefined) {
        places.push(0);
        continue;
      }
      const bytes = field[0] in SIZES ? SIZES[field[0] as keyof typeof SIZES] : REFERENCE;
      size = Math.ceil(size / bytes) * bytes;
      places.push(size);
      size += bytes;
    }
    const offsets = this.#reserve(4 + fields.length * 2, 2);
    const at = this.#reserve(size, 8);
    this.#view.setUint16(offsets, 4 + fields.length * 2, true);
    this.#view.setUint16(offsets + 2, size, true);
    for (const [index, place] of places.entries()) this.#view.setUint16(offsets + 4 + index * 2, place, true);
    this.#view.setInt32(at, at - offsets, true);
    for (const [index, field] of fields.entries())
      if (field !== undefined) this.#field(at + places[index]!, field);
    return at;
  }

  #field(at: number, field: Field): void {
    const refer = (to: number) => this.#view.setUint32(at, to - at, true);
    switch (field[0]) {
      case "i8":
        this.#view.setInt8(at, field[1]);
        return;
      case "i16":
        this.#view.setInt16(at, field[1], true);
        return;
      case "i32":
        this.#view.setInt32(at, field[1], true);
        return;
      case "i64":
        this.#view.setBigInt64(at, BigInt(field[1]), true);
        return;
      case "text": {
        const bytes = new TextEncoder().encode(field[1]);
        const to = this.#reserve(4 + bytes.length + 1);
        this.#view.setUint32(to, bytes.length, true);
        this.#bytes.set(bytes, to + 4);
        refer(to);
        return;
      }
      case "table":
        refer(this.#table(field[1]));
        return;
      case "tables": {
        const to = this.#reserve(4 + field[1].length * 4);
        this.#view.setUint32(to, field[1].length, true);
        refer(to);
        for (const [index, table] of field[1].entries()) {
          const element = to + 4 + index * 4;
          // First the table: it may move the bytes.
          const at = this.#table(table);
          this.#view.setUint32(element, at - element, true);
        }
        return;
      }
      case "structs": {
        // The first integer is at a multiple of 8, behind the length.
        const to = this.#reserve(8 + field[1].length * 8, 8) + 4;
        this.#view.setUint32(to, field[1].length / field[2], true);
        for (const [index, integer] of field[1].entries())
          this.#view.setBigInt64(to + 4 + index * 8, BigInt(integer), true);
        refer(to);
        return;
      }
    }
  }
}

const [SCHEMA, DICTIONARY_BATCH, RECORD_BATCH] = [1, 2, 3];
const VERSION_5 = 4;

/** A stream with one record batch. */
export function arrowStream(columns: readonly WrittenColumn[]): Uint8Array<ArrayBuffer> {
  const rows = columns[0]?.values.length ?? 0;
  const parts: Uint8Array[] = [message(SCHEMA, [undefined, ["tables", columns.map(fieldOf)]], [])];
  const nodes: number[] = [];
  const buffers: Uint8Array[] = [];
  for (const [id, column] of columns.entries()) {
    if (column.is === "time" || column.is === "number") {
      nodes.push(rows, 0);
      const values = column.is === "number" ? column.values : BigInt64Array.from(column.values, BigInt);
      buffers.push(new Uint8Array(0), bytesOf(values));
      continue;
    }
    const { values } = column;
    nodes.push(
      rows,
      values.reduce((nulls: number, value) => nulls + (value === undefined ? 1 : 0), 0),
    );
    const validity = new Uint8Array(Math.ceil(rows / 8));
    for (const [row, value] of values.entries())
      if (value !== undefined) validity[row >> 3]! |= 1 << (row & 7);
    buffers.push(validity);
    if (column.is === "text") {
      buffers.push(...textBuffers(values.map((value) => value ?? "")));
      continue;
    }
    const codes = new Map<string, number>();
    const indexes = Int32Array.from(values, (value) =>
      value === undefined ? 0 : codes.getOrInsertComputed(value, () => codes.size),
    );
    buffers.push(bytesOf(indexes));
    const texts = textBuffers([...codes.keys()]);
    const data = batch(codes.size, [codes.size, 0], [new Uint8Array(0), ...texts]);
    parts.push(
      message(
        DICTIONARY_BATCH,
        [
          ["i64", id],
          ["table", data.header],
        ],
        data.body,
      ),
    );
  }
  const data = batch(rows, nodes, buffers);
  parts.push(
    message(RECORD_BATCH, data.header, data.body),
    Uint8Array.from([255, 255, 255, 255, 0, 0, 0, 0]),
  );
  return new Uint8Array(Buffer.concat(parts));
}

function bytesOf(values: Float64Array | BigInt64Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function textBuffers(texts: readonly string[]): [Uint8Array, Uint8Array] {
  const encoded = texts.map((text) => Buffer.from(text));
  const offsets = new Int32Array(texts.length + 1);
  for (const [row, bytes] of encoded.entries()) offsets[row + 1] = offsets[row]! + bytes.length;
  return [bytesOf(offsets), Buffer.concat(encoded)];
}

/** A `RecordBatch`, and the buffers that follow its message. */
function batch(
  rows: number,
  nodes: readonly number[],
  buffers: readonly Uint8Array[],
): { header: FlatField[]; body: Uint8Array[] } {
  const places: number[] = [];
  const body: Uint8Array[] = [];
  let at = 0;
  for (const buffer of buffers) {
    places.push(at, buffer.length);
    const padding = (8 - (buffer.length % 8)) % 8;
    body.push(buffer, new Uint8Array(padding));
    at += buffer.length + padding;
  }
  return {
    header: [
      ["i64", rows],
      ["structs", nodes, 2],
      ["structs", places, 2],
    ],
    body,
  };
}

function fieldOf(column: WrittenColumn, id: number): FlatField[] {
  const [type, table]: [number, FlatField[]] =
    column.is === "number"
      ? [3, [["i16", 2]]]
      : column.is === "time"
        ? [
            10,
            [
              ["i16", 1],
              ["text", "UTC"],
            ],
          ]
        : [5, []];
  const int32: FlatField[] = [
    ["i32", 32],
    ["i8", 1],
  ];
  const dictionary: FlatField =
    column.is === "dictionary"
      ? [
          "table",
          [
            ["i64", id],
            ["table", int32],
          ],
        ]
      : undefined;
  return [["text", column.name], ["i8", 1], ["i8", type], ["table", table], dictionary, ["tables", []]];
}

function message(kind: number, header: FlatField[], body: readonly Uint8Array[]): Uint8Array {
  const bodyBytes = body.reduce((sum, { length }) => sum + length, 0);
  const metadata = FlatWriter.write([
    ["i16", VERSION_5],
    ["i8", kind],
    ["table", header],
    ["i64", bodyBytes],
  ]);
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, 0xffff_ffff, true);
  head.setUint32(4, metadata.length, true);
  return Buffer.concat([new Uint8Array(head.buffer), metadata, ...body]);
}
