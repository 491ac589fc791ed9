/**
 * Arrow IPC streams of events: which column is which part of an event, and each record batch as a table of events. README.md
 * beside this file describes what is accepted.
 */
import { nodeZlib } from "../../../program/deferred-libraries.ts";
import { BadInput, quote } from "../../../model/errors.ts";
import type { Batch } from "../../../model/sample.ts";
import { inRowSteps } from "../../../model/tasks/row-steps.ts";
import { microsecondsText, MILLISECONDS_MAX } from "../../../model/time.ts";
import type { ArrowBuffer, ArrowColumn, ArrowStream } from "../../../wire/arrow/arrow-messages.ts";
import type { ArrowField } from "../../../wire/arrow/arrow-type.ts";
import { ArrowValues, valuesOfCells } from "../../../wire/arrow/arrow-values.ts";
import { inflatingLz4Frame } from "../../../wire/compression/lz4-frame.ts";
import { timeUs, whyNoTime } from "../../../wire/event-time.ts";
import type { CodedValue, TagCells } from "../../../wire/tag-cells.ts";
import { lossOfValue } from "../event-losses.ts";
import { ColumnGatherer, type GathererOptions } from "./column-gatherer.ts";
import type { ColumnParameters } from "./column-parameters.ts";
import type { EventTable } from "./event-table.ts";

export const TIME_NAMES: readonly string[] = ["ts", "@timestamp", "timestamp", "time"];
const METRIC_NAMES: readonly string[] = ["metric_name", "metric"];
const VALUE_NAME = "value";
/** What pandas calls an index without a name. */
const PANDAS_INDEX = /^__index_level_\d+__$/;
/** Texts that are parsed without a pause. */
const TIMES_AT_ONCE = 256;
const NAMED_MAX = 10;

/** Which columns are which parts of an event, by index. */
interface Roles {
  readonly time: number | undefined;
  readonly metric: number | undefined;
  readonly value: number;
  readonly tags: readonly number[];
}

/**
 * Decompresses the buffers that zstd has compressed, in threads of the runtime.
 *
 * @throws BadInput
 */
export async function inflateZstd(packed: readonly ArrowBuffer[]): Promise<void> {
  for (const buffer of packed) {
    if (buffer.packed?.codec !== "zstd") continue;
    const { bytes } = buffer.packed;
    buffer.bytes = await inflated(buffer.bytes, bytes);
    buffer.packed = undefined;
  }
}

function inflated(source: Uint8Array, bytes: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const wrong = (what: string) =>
    reject(new BadInput(`a buffer of the body is not compressed with zstd: ${what}`, "body"));
  nodeZlib().zstdDecompress(source, { maxOutputLength: bytes }, (error, output) => {
    if (error !== null) wrong(error.message);
    else if (output.length !== bytes)
      wrong(`it inflates to ${output.length} of the ${bytes} bytes that it announces`);
    else resolve(output);
  });
  return promise;
}

/** The bytes of compressed buffers once they are decompressed. */
export function inflatedBytes(packed: readonly ArrowBuffer[]): number {
  return packed.reduce((sum, buffer) => sum + (buffer.packed?.bytes ?? 0), 0);
}

export class ArrowEventDecoder {
  readonly #gatherer: ColumnGatherer;

  constructor(options: GathererOptions) {
    this.#gatherer = new ColumnGatherer(options);
  }

  /**
   * Decodes a stream, in steps between which the caller may pause. Its zstd buffers must be decompressed before.
   *
   * @throws BadInput, TooLarge
   */
  *decoding(stream: ArrowStream, parameters: ColumnParameters): Generator<void, Batch> {
    const { fields, messages, packed } = stream;
    const roles = rolesOf(fields, parameters);
    for (const buffer of packed) {
      if (buffer.packed === undefined) continue;
      buffer.bytes = yield* inflatingLz4Frame(buffer.bytes, buffer.packed.bytes);
      buffer.packed = undefined;
    }
    const gatherer = this.#gatherer;
    gatherer.begin(parameters);
    const dictionaries = new Map<number, Dictionary>();
    for (const message of messages) {
      yield;
      if (message.is === "dictionary") {
        const before = message.isDelta ? dictionaries.get(message.id)?.parts : undefined;
        dictionaries.set(message.id, new Dictionary([...(before ?? []), message.values]));
        continue;
      }
      const columns = fields.map((field, index) => new Column(field, message.columns[index]!, dictionaries));
      yield* gatherer.adding(yield* new Table(columns, roles, parameters, message.rows).reading());
    }
    return yield* gatherer.taking();
  }
}

/**
 * Finds the parts of an event among the columns.
 *
 * @throws BadInput that names the column
 */
function rolesOf(fields: readonly ArrowField[], { metric: given }: ColumnParameters): Roles {
  const indexOf = (name: string) => {
    const index = fields.findIndex((field) => field.name === name);
    return index < 0 ? undefined : index;
  };
  const one = (names: readonly string[], what: string): number | undefined => {
    const [first, second] = names.filter((name) => indexOf(name) !== undefined);
    if (second !== undefined)
      throw new BadInput(
        `the columns ${quote(first)} and ${quote(second)} are both the ${what} of a row, expected one of them`,
        "body",
      );
    return first === undefined ? undefined : indexOf(first);
  };
  const value = indexOf(VALUE_NAME);
  if (value === undefined)
    throw new BadInput(`the table has no column "value", expected one of numbers; ${listOf(fields)}`, "body");
  if (!isOfNumbers(fields[value]!)) throw wrongType(fields[value]!, "numbers");

  let metric = one(METRIC_NAMES, "metric");
  if (given !== undefined && metric !== undefined)
    throw new BadInput(
      `the query has the parameter metric, and the table has the column ${quote(fields[metric]!.name)}, expected one of them`,
      "metric",
    );
  // Beside a metric, a name is a tag like others: a container has one, too.
  if (given === undefined) metric ??= indexOf("name");
  if (given === undefined && metric === undefined)
    throw new BadInput(
      `the table has no column "metric" or "name", and the query has no parameter metric; ${listOf(fields)}`,
      "metric",
    );
  if (metric !== undefined && fields[metric]!.type.is !== "text" && fields[metric]!.type.is !== "null")
    throw wrongType(fields[metric]!, "texts");

  let time = one(TIME_NAMES, "time");
  const index = fields.findIndex(({ name }) => PANDAS_INDEX.test(name));
  if (index >= 0) {
    if (time !== undefined || fields[index]!.type.is !== "timestamp")
      throw new BadInput(
        `the column ${quote(fields[index]!.name)} is the index of a pandas frame, expected a frame without it ` +
          "(preserve_index=False, or reset_index)",
        "body",
      );
    time = index;
  }
  if (time !== undefined && fields[time]!.type.is === "bool") throw wrongType(fields[time]!, "times");
  const tags = fields.flatMap((_, each) =>
    each === value || each === metric || each === time ? [] : [each],
  );
  return { time, metric, value, tags };
}

function wrongType({ name, type }: ArrowField, expected: string): BadInput {
  return new BadInput(`the column ${quote(name)} has the type ${type.name}, expected ${expected}`, "body");
}

function isOfNumbers({ type: { is } }: ArrowField): boolean {
  return is === "int" || is === "float" || is === "decimal" || is === "null";
}

function listOf(fields: readonly ArrowField[]): string {
  if (fields.length === 0) return "it has no columns";
  const names = fields.slice(0, NAMED_MAX).map(({ name }) => quote(name));
  return `its columns are ${names.join(", ")}${fields.length > NAMED_MAX ? ", …" : ""}`;
}

/** The values of a dictionary, in the forms in which they were asked. */
class Dictionary {
  /** The first ones, and those that were added. */
  readonly parts: readonly ArrowColumn[];
  readonly rows: number;
  #tags: CodedValue[] | undefined;
  #numbers: Float64Array | undefined;
  #values: ArrowValues[] | undefined;

  constructor(parts: readonly ArrowColumn[]) {
    this.parts = parts;
    this.rows = parts.reduce((sum, { rows }) => sum + rows, 0);
  }

  #valuesOf(name: string): ArrowValues[] {
    this.#values ??= this.parts.map((part) => new ArrowValues(name, part));
    return this.#values;
  }

  *tags(name: string): Generator<void, CodedValue[]> {
    if (this.#tags !== undefined) return this.#tags;
    const found: CodedValue[] = [];
    for (const part of this.#valuesOf(name)) {
      if (part.type.is === "text") {
        for (const value of yield* valuesOfCells(yield* part.texts())) found.push(value);
        continue;
      }
      const { codes, values } = yield* part.coded();
      for (const code of codes) found.push(code < 0 ? "" : values[code]!);
    }
    this.#tags = found;
    return found;
  }

  *numbers(name: string): Generator<void, Float64Array> {
    if (this.#numbers !== undefined) return this.#numbers;
    const found = new Float64Array(this.rows);
    let at = 0;
    for (const part of this.#valuesOf(name)) {
      yield* part.numbers(found, at);
      at += part.rows;
    }
    this.#numbers = found;
    return found;
  }

  *microseconds(name: string): Generator<void, Float64Array> {
    const found = new Float64Array(this.rows);
    let at = 0;
    for (const part of this.#valuesOf(name)) {
      yield* microsecondsOf(part, found, at);
      at += part.rows;
    }
    return found;
  }

  /** The value at an index, with the part that has it. */
  at(index: number, name: string): { part: ArrowValues; row: number } | undefined {
    let row = index;
    for (const part of this.#valuesOf(name)) {
      if (row < part.rows) return { part, row };
      row -= part.rows;
    }
    return undefined;
  }
}

/** A column of a record batch, whose values may be in a dictionary. */
class Column {
  readonly name: string;
  readonly field: ArrowField;
  readonly #values: ArrowValues;
  readonly #dictionaries: ReadonlyMap<number, Dictionary>;
  #indexes: Int32Array | undefined;

  constructor(field: ArrowField, column: ArrowColumn, dictionaries: ReadonlyMap<number, Dictionary>) {
    this.name = field.name;
    this.field = field;
    this.#values = new ArrowValues(field.name, column);
    this.#dictionaries = dictionaries;
  }

  #dictionary(): Dictionary {
    const { dictionary } = this.field;
    const found = this.#dictionaries.get(dictionary!.id);
    if (found === undefined)
      throw new BadInput(`the column ${quote(this.name)} has a dictionary that is not in the stream`, "body");
    return found;
  }

  *#indexesOf({ rows }: Dictionary): Generator<void, Int32Array> {
    if (this.#indexes !== undefined) return this.#indexes;
    const indexes = yield* this.#values.indexes();
    yield* inRowSteps(indexes.length, (from, to) => {
      for (let row = from; row < to; row++)
        if (indexes[row]! < -1 || indexes[row]! >= rows)
          throw new BadInput(`the column ${quote(this.name)} has an index outside of its dictionary`, "body");
    });
    this.#indexes = indexes;
    return indexes;
  }

  /** The cells of a tag or a metric. Undefined if no row can have a value. */
  *cells(): Generator<void, TagCells | undefined> {
    const { field } = this;
    if (field.dictionary !== undefined) {
      const dictionary = this.#dictionary();
      const codes = yield* this.#indexesOf(dictionary);
      return { is: "coded", codes, values: yield* dictionary.tags(this.name) };
    }
    if (field.type.is === "null") return undefined;
    return field.type.is === "text" ? yield* this.#values.texts() : yield* this.#values.coded();
  }

  *numbers(): Generator<void, Float64Array> {
    const { field } = this;
    const found = new Float64Array(this.#values.rows);
    if (field.dictionary === undefined) {
      yield* this.#values.numbers(found, 0);
      return found;
    }
    const dictionary = this.#dictionary();
    return yield* this.#looked(
      found,
      yield* this.#indexesOf(dictionary),
      yield* dictionary.numbers(this.name),
    );
  }

  *microseconds(): Generator<void, Float64Array> {
    const found = new Float64Array(this.#values.rows);
    if (this.field.dictionary === undefined) {
      yield* microsecondsOf(this.#values, found, 0);
      return found;
    }
    const dictionary = this.#dictionary();
    const times = yield* dictionary.microseconds(this.name);
    return yield* this.#looked(found, yield* this.#indexesOf(dictionary), times);
  }

  *#looked(found: Float64Array, indexes: Int32Array, values: Float64Array): Generator<void, Float64Array> {
    yield* inRowSteps(found.length, (from, to) => {
      for (let row = from; row < to; row++) {
        const index = indexes[row]!;
        found[row] = index < 0 ? Number.NaN : values[index]!;
      }
    });
    return found;
  }

  /** Where the value of a row is. Undefined if the row has none. */
  #place(row: number): { part: ArrowValues; row: number } | undefined {
    if (this.#values.isNull(row)) return undefined;
    if (this.field.dictionary === undefined) return { part: this.#values, row };
    const found = this.#dictionary().at(this.#indexes?.[row] ?? -1, this.name);
    return found === undefined || found.part.isNull(found.row) ? undefined : found;
  }

  isNull(row: number): boolean {
    return this.#place(row) === undefined;
  }

  shown(row: number): unknown {
    const place = this.#place(row);
    return place === undefined ? null : place.part.shown(place.row);
  }

  isInexact(row: number, value: number): boolean {
    const place = this.#place(row);
    return place?.part.isInexact(place.row, value) ?? false;
  }
}

/** Times of any type in microseconds: NaN for none, infinite for one that is not valid. */
function* microsecondsOf(values: ArrowValues, out: Float64Array, at: number): Generator<void> {
  if (values.isTime) {
    yield* values.microseconds(out, at);
  } else if (values.type.is === "text") {
    const { text, offset, length } = yield* values.texts();
    const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
    const timeOf = (row: number): number => {
      if (values.isNull(row)) return Number.NaN;
      if (length[row]! > TIME_BYTES_MAX) return Number.POSITIVE_INFINITY;
      const from = offset[row]!;
      return timeUs(bytes.toString("utf8", from, from + length[row]!)) ?? Number.POSITIVE_INFINITY;
    };
    yield* inRowSteps(
      values.rows,
      (from, to) => {
        for (let row = from; row < to; row++) out[at + row] = timeOf(row);
      },
      TIMES_AT_ONCE,
    );
  } else {
    // Numbers are milliseconds, as with JSON events.
    yield* values.numbers(out, at);
    yield* inRowSteps(values.rows, (from, to) => {
      for (let row = from; row < to; row++) {
        const ms = out[at + row]!;
        if (Math.abs(ms) <= MILLISECONDS_MAX) out[at + row] = Math.round(ms * 1_000);
        else if (!Number.isNaN(ms) || !values.isNull(row)) out[at + row] = Number.POSITIVE_INFINITY;
      }
    });
  }
}

/** A longer text is no time. */
const TIME_BYTES_MAX = 64;

/** A record batch. */
class Table {
  readonly #columns: readonly Column[];
  readonly #roles: Roles;
  readonly #parameters: ColumnParameters;
  readonly #rows: number;

  constructor(columns: readonly Column[], roles: Roles, parameters: ColumnParameters, rows: number) {
    this.#columns = columns;
    this.#roles = roles;
    this.#parameters = parameters;
    this.#rows = rows;
  }

  *reading(): Generator<void, EventTable> {
    const columns = this.#columns;
    const rows = this.#rows;
    const { metric: given = "", type = "observation", unit, help } = this.#parameters;
    const { time, metric, value, tags } = this.#roles;
    const valueColumn = columns[value]!;
    const timeColumn = time === undefined ? undefined : columns[time]!;
    const values = yield* valueColumn.numbers();
    const inexact: number[] = [];
    if (valueColumn.field.type.is === "int" && valueColumn.field.type.bits === 64)
      yield* inRowSteps(rows, (from, to) => {
        for (let row = from; row < to; row++)
          if (Math.abs(values[row]!) > Number.MAX_SAFE_INTEGER && valueColumn.isInexact(row, values[row]!))
            inexact.push(row);
      });
    const read: { name: string; cells: TagCells }[] = [];
    for (const index of tags) {
      const cells = yield* columns[index]!.cells();
      if (cells !== undefined) read.push({ name: columns[index]!.name, cells });
    }
    const timestampUs = timeColumn === undefined ? undefined : yield* timeColumn.microseconds();
    return {
      rows,
      metric: metric === undefined ? given : ((yield* columns[metric]!.cells()) ?? noneOf(rows)),
      type,
      unit,
      help,
      timestampUs,
      value: values,
      constants: [],
      tags: read,
      inexact,
      isNaN: (row) => !valueColumn.isNull(row),
      whyNoValue: (row) => `value is ${quote(valueColumn.shown(row))}, expected a finite number`,
      whyNoTime: (row) => `${timeColumn!.name} is ${whyNotATime(timeColumn!.shown(row))}`,
      lossOf: (row) => lossOfValue(String(valueColumn.shown(row)), values[row]!),
      eventText: (row) => this.#eventText(row, timestampUs?.[row]),
    };
  }

  #eventText(row: number, us: number | undefined): string {
    const columns = this.#columns;
    const { metric: given, type, unit, help } = this.#parameters;
    const { time, metric, value, tags } = this.#roles;
    const isTime = us !== undefined && Number.isFinite(us);
    const sentTime = time === undefined ? undefined : columns[time]!.shown(row);
    const event = {
      "@timestamp": isTime ? microsecondsText(us) : (sentTime ?? undefined),
      metric_name: metric === undefined ? given : columns[metric]!.shown(row),
      value: columns[value]!.shown(row),
      type,
      unit,
      help,
      tags: Object.fromEntries(
        tags.flatMap((index) => {
          const shown = columns[index]!.shown(row);
          return shown === null ? [] : [[columns[index]!.name, shown]];
        }),
      ),
    };
    return JSON.stringify(event, (_, part: unknown) => (typeof part === "bigint" ? part.toString() : part));
  }
}

/** Cells of which no row has a value. */
function noneOf(rows: number): TagCells {
  return { is: "coded", codes: new Int32Array(rows).fill(-1), values: [] };
}

function whyNotATime(shown: unknown): string {
  if (typeof shown === "number" || typeof shown === "string") return `${quote(shown)}, ${whyNoTime(shown)}`;
  if (typeof shown === "bigint") return `${shown}, ${whyNoTime(Number(shown))}`;
  return "out of range, expected a time of the years 0 to 9999";
}
