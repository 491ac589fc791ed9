/**
 * Reads Arrow's IPC streams (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format) and files: the
 * schema, and for each record batch the bytes of the buffers of each column. It understands the metadata, and no value.
 *
 * This is our own reader. The package of Arrow for JavaScript has all types and no limits: a corrupt length makes it
 * allocate, and it needs further packages for compressed buffers. Of a stream of a sender only tables of simple columns are
 * needed, and each length has to be checked anyway.
 *
 * A stream that is truncated or contradicts itself is a BadInput. Memory that is allocated is bounded by the size of the
 * body, except for compressed buffers: the sizes that they announce count against a limit.
 */
import { BadInput, quote, TooLarge } from "../../model/errors.ts";
import { type ArrowField, type ArrowType, readField } from "./arrow-type.ts";
import { FlatTable } from "./flat-table.ts";

/** The most columns of a table. */
const COLUMNS_MAX = 256;
/** The most messages of a stream: schema, record batches and dictionaries. Writers have some thousand rows in each. */
const MESSAGES_MAX = 16_384;
/** The most buffers of long texts of a column. Writers have one for 32 KiB to 16 MiB of them. */
const VARIADIC_MAX = 65_536;
/** All dictionaries together may have this many times the values that a stream may have rows. */
const DICTIONARY_SHARE = 4;

const CONTINUATION = 0xffff_ffff;
const FILE_MAGIC = Buffer.from("ARROW1");
const [SCHEMA, DICTIONARY_BATCH, RECORD_BATCH] = [1, 2, 3];
const CODECS = ["lz4", "zstd"] as const;

export type ArrowCodec = (typeof CODECS)[number];

/** A buffer of a column. */
export interface ArrowBuffer {
  /** As it was sent; `inflate` replaces it if it is compressed. */
  bytes: Uint8Array;
  /** How it is compressed, and its size after that. */
  packed?: { readonly codec: ArrowCodec; readonly bytes: number };
}

/** The column of a record batch, or the values of a dictionary. */
export interface ArrowColumn {
  readonly type: ArrowType;
  readonly rows: number;
  readonly nullCount: number;
  /** Validity first, then offsets or views if it is a text, then values; further buffers of texts follow. */
  readonly buffers: readonly ArrowBuffer[];
}

/** Messages in their order. */
export type ArrowMessage =
  | { readonly is: "rows"; readonly rows: number; readonly columns: readonly ArrowColumn[] }
  | {
      readonly is: "dictionary";
      readonly id: number;
      readonly isDelta: boolean;
      readonly values: ArrowColumn;
    };

export interface ArrowStream {
  readonly fields: readonly ArrowField[];
  readonly messages: readonly ArrowMessage[];
  readonly rows: number;
  /** Buffers that have to be decompressed before their column is read. */
  readonly packed: readonly ArrowBuffer[];
}

export interface ArrowLimits {
  /** All rows of the stream. */
  readonly rowsMax: number;
  /** All buffers after decompression. */
  readonly inflatedBytesMax: number;
}

/**
 * Reads the structure of a stream, or of a file, in steps between which the caller may pause.
 *
 * @throws BadInput, TooLarge
 */
export function* readArrowStream(body: Uint8Array, limits: ArrowLimits): Generator<void, ArrowStream> {
  const reader = new MessageReader(body, limits);
  try {
    while (reader.next()) yield;
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    throw reader.corrupt("has metadata that is not valid");
  }
  return reader.take();
}

class MessageReader {
  readonly #body: Uint8Array;
  readonly #view: DataView;
  readonly #limits: ArrowLimits;
  readonly #end: number;
  #at = 0;
  #number = 0;
  #fields: readonly ArrowField[] | undefined;
  readonly #dictionaries = new Map<number, ArrowType>();
  readonly #messages: ArrowMessage[] = [];
  readonly #packed: ArrowBuffer[] = [];
  #rows = 0;
  #dictionaryValues = 0;
  #inflatedBytes = 0;

  constructor(body: Uint8Array, limits: ArrowLimits) {
    this.#body = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.length);
    this.#limits = limits;
    this.#end = body.length;
    if (body.length === 0) throw new BadInput("the body is empty, expected an Arrow IPC stream", "body");
    if (!startsWith(body, FILE_MAGIC)) return;
    // A file is a stream after 8 bytes, with a footer that repeats where its messages are.
    const footer = body.length < 18 ? -1 : this.#view.getInt32(body.length - 10, true);
    if (footer < 0 || footer > body.length - 18 || !startsWith(body.subarray(body.length - 6), FILE_MAGIC))
      throw new BadInput("the Arrow file is truncated: it does not end as an Arrow file does", "body");
    this.#at = 8;
    this.#end = body.length - 10 - footer;
  }

  corrupt(what: string): BadInput {
    return new BadInput(`the body is not an Arrow IPC stream: message ${this.#number} ${what}`, "body");
  }

  /** Reads a message. Returns false at the end of the stream. */
  next(): boolean {
    const view = this.#view;
    const end = this.#end;
    this.#number++;
    // A stream may end without its mark.
    if (this.#at === end) return false;
    if (this.#number > MESSAGES_MAX)
      throw new TooLarge(
        `the body has more than ${MESSAGES_MAX} Arrow messages, send more rows in each`,
        "body",
      );
    if (end - this.#at < 4) throw this.corrupt("is truncated");
    let bytes = view.getUint32(this.#at, true);
    this.#at += 4;
    if (bytes === CONTINUATION) {
      if (end - this.#at < 4) throw this.corrupt("is truncated");
      bytes = view.getUint32(this.#at, true);
      this.#at += 4;
    }
    if (bytes === 0) {
      if (this.#at < end && this.#end === this.#body.length)
        throw new BadInput(`byte ${this.#at} of the body follows the end of the Arrow stream`, "body");
      return false;
    }
    if (bytes > end - this.#at) throw this.corrupt("is truncated, or no message of Arrow");
    const message = FlatTable.root(this.#body.subarray(this.#at, this.#at + bytes));
    this.#at += bytes;
    const bodyBytes = message.int64(3);
    if (!(bodyBytes >= 0 && bodyBytes <= end - this.#at)) throw this.corrupt("is truncated");
    const buffers = this.#body.subarray(this.#at, this.#at + bodyBytes);
    this.#at += bodyBytes;
    this.#read(message, buffers);
    return true;
  }

  #read(message: FlatTable, body: Uint8Array): void {
    const kind = message.uint8(1);
    const header = message.table(2);
    if (header === undefined) throw this.corrupt("has no header");
    if (kind === SCHEMA) {
      if (this.#fields !== undefined) throw this.corrupt("is a second schema");
      this.#fields = this.#schema(header);
      return;
    }
    const fields = this.#fields;
    if (fields === undefined) throw this.corrupt("comes before the schema");
    if (kind === RECORD_BATCH) {
      const rows = this.#rowsOf(header);
      this.#rows += rows;
      if (this.#rows > this.#limits.rowsMax)
        throw new TooLarge(
          `the body has more than ${this.#limits.rowsMax} events (eventsMax), send it in parts`,
          "body",
        );
      const types = fields.map(({ type, dictionary }) => dictionary?.index ?? type);
      const columns = this.#columns(header, body, types);
      for (const column of columns)
        if (column.rows !== rows) throw this.corrupt("has columns of different lengths");
      this.#messages.push({ is: "rows", rows, columns });
    } else if (kind === DICTIONARY_BATCH) {
      const id = header.int64(0);
      const type = this.#dictionaries.get(id);
      const data = header.table(1);
      if (type === undefined) throw this.corrupt(`has a dictionary ${id} that no column uses`);
      if (data === undefined) throw this.corrupt("has a dictionary without values");
      const [values] = this.#columns(data, body, [type]);
      this.#dictionaryValues += values!.rows;
      const valuesMax = this.#limits.rowsMax * DICTIONARY_SHARE;
      if (this.#dictionaryValues > valuesMax)
        throw new TooLarge(
          `the dictionaries of the body have more than ${valuesMax} values (${DICTIONARY_SHARE} times eventsMax), send it in parts`,
          "body",
        );
      this.#messages.push({ is: "dictionary", id, isDelta: header.uint8(2) !== 0, values: values! });
    } else throw this.corrupt("is neither a schema nor a record batch nor a dictionary");
  }

  #schema(schema: FlatTable): readonly ArrowField[] {
    if (schema.int16(0) !== 0)
      throw new BadInput("the Arrow stream is big-endian, expected little-endian", "body");
    const tables = schema.tables(1);
    if (tables.length > COLUMNS_MAX)
      throw new BadInput(
        `the table has ${tables.length} columns, at most ${COLUMNS_MAX} are accepted`,
        "body",
      );
    const names = new Set<string>();
    return tables.map((table) => {
      const field = readField(table);
      if (names.has(field.name))
        throw new BadInput(`the column ${quote(field.name)} appears twice, expected once`, "body");
      names.add(field.name);
      if (field.type.is === "other")
        throw new BadInput(
          `the column ${quote(field.name)} has the type ${field.type.name}, expected numbers, texts, booleans, ` +
            "times or a dictionary of them",
          "body",
        );
      if (field.dictionary !== undefined) {
        const { id } = field.dictionary;
        const other = this.#dictionaries.get(id);
        if (other !== undefined && JSON.stringify(other) !== JSON.stringify(field.type))
          throw this.corrupt(`has two types for the dictionary ${id}`);
        this.#dictionaries.set(id, field.type);
      }
      return field;
    });
  }

  #rowsOf(batch: FlatTable): number {
    const rows = batch.int64(0);
    if (!(rows >= 0 && rows <= Number.MAX_SAFE_INTEGER)) throw this.corrupt(`has ${rows} rows`);
    return rows;
  }

  /** The columns of a `RecordBatch`. */
  #columns(batch: FlatTable, body: Uint8Array, types: readonly ArrowType[]): ArrowColumn[] {
    const nodes = batch.int64s(1, 2);
    const places = batch.int64s(2, 2);
    const variadic = batch.int64s(4, 1);
    if (nodes.length !== types.length * 2) throw this.corrupt(`has ${nodes.length / 2} columns`);
    const codec = this.#codecOf(batch.table(3));
    let place = 0;
    let view = 0;
    const take = (): ArrowBuffer => {
      if (place >= places.length) throw this.corrupt("has too few buffers");
      const from = places[place++]!;
      const bytes = places[place++]!;
      if (!(from >= 0 && bytes >= 0 && from + bytes <= body.length))
        throw this.corrupt("has a buffer outside of its body");
      return this.#buffer(body.subarray(from, from + bytes), codec);
    };
    return types.map((type, index) => {
      const rows = nodes[index * 2]!;
      const nullCount = nodes[index * 2 + 1]!;
      if (!(rows >= 0 && nullCount <= rows)) throw this.corrupt(`has a column of ${rows} rows`);
      if (type.is === "null") return { type, rows, nullCount: rows, buffers: [] };
      const buffers = [take(), take()];
      if (type.is === "text") {
        const more = type.offsetBits === 0 ? (variadic[view++] ?? 0) : 1;
        if (!(more >= 0 && more <= VARIADIC_MAX)) throw this.corrupt(`has a column of ${more} buffers`);
        for (let count = 0; count < more; count++) buffers.push(take());
      }
      return { type, rows, nullCount, buffers };
    });
  }

  #codecOf(compression: FlatTable | undefined): ArrowCodec | undefined {
    if (compression === undefined) return undefined;
    const codec = CODECS[compression.uint8(0)];
    if (codec === undefined || compression.uint8(1) !== 0)
      throw new BadInput("the compression of the Arrow stream is unknown, expected lz4 or zstd", "body");
    return codec;
  }

  #buffer(bytes: Uint8Array, codec: ArrowCodec | undefined): ArrowBuffer {
    if (codec === undefined || bytes.length === 0) return { bytes };
    if (bytes.length < 8) throw this.corrupt("has a compressed buffer without its size");
    const announced = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true));
    const rest = bytes.subarray(8);
    // The writer left it as it is, because it did not become smaller.
    if (announced === -1) return { bytes: rest };
    const { inflatedBytesMax } = this.#limits;
    if (announced < 0) throw this.corrupt(`has a buffer of ${announced} bytes`);
    this.#inflatedBytes += announced;
    if (this.#inflatedBytes > inflatedBytesMax)
      throw new TooLarge(
        `The buffers of the Arrow stream inflate past the limit of ${inflatedBytesMax} bytes (setting inflatedBytesMax).`,
        "body",
      );
    if (announced === 0) return { bytes: rest.subarray(0, 0) };
    const buffer: ArrowBuffer = { bytes: rest, packed: { codec, bytes: announced } };
    this.#packed.push(buffer);
    return buffer;
  }

  take(): ArrowStream {
    if (this.#fields === undefined)
      throw new BadInput("the body has no schema, expected an Arrow IPC stream", "body");
    return { fields: this.#fields, messages: this.#messages, rows: this.#rows, packed: this.#packed };
  }
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return start.every((byte, index) => bytes[index] === byte);
}
