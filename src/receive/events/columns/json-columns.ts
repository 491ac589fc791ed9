/**
 * JSON columns: `{"metric": "m", "columns": {"ts": […], "value": […], "job": "x"}}`, one object, an array of them, or one
 * after the other. README.md beside this file describes what is accepted.
 *
 * No object exists per event: texts stay where they are in the body, and numbers go to typed arrays. Unusual cells (texts
 * with escapes, long numbers, values of the wrong type) are parsed one by one.
 */
import { isUtf8 } from "node:buffer";
import { BadInput, quote, TooLarge } from "../../../model/errors.ts";
import { type Batch, HELP_CHARACTERS_MAX } from "../../../model/sample.ts";
import { timeUs, whyNoTime } from "../../../wire/event-time.ts";
import { InexactNumber, isStoredAsSent } from "../../../wire/json/exact-number.ts";
import { skipSpace } from "../../../wire/json/json-extent.ts";
import { JsonWalker } from "../../../wire/json/json-walker.ts";
import type { TagCells } from "../../../wire/tag-cells.ts";
import { describeInvalidByte, firstInvalidByte } from "../../../wire/utf8.ts";
import { HALF, KINDS, STALE, WORDS } from "../event.ts";
import { lossOfValue } from "../event-losses.ts";
import { TIME_NAMES } from "./arrow-events.ts";
import { ColumnGatherer, type GathererOptions } from "./column-gatherer.ts";
import type { ColumnParameters } from "./column-parameters.ts";
import type { EventTable } from "./event-table.ts";
import { TextCellsReader } from "./json-cells.ts";

const COLUMNS_MAX = 256;
/** Cells without a pause: some 100 µs. */
const CELLS_AT_ONCE = 1_024;
/** What of a wrong cell is kept for its reason, and for how many of them. */
const DESCRIBED_MAX = 10_000;
/** White space behind a cell. */
const SPACE_BYTES_MAX = 65_536;

const [COMMA, ZERO, NINE, MINUS, DOT] = [44, 48, 57, 45, 46];
const [OPEN_BRACKET, CLOSE_BRACKET] = [91, 93];
const EXACT_DIGITS = 15;
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));

const METRIC_NAMES: readonly string[] = ["metric_name", "metric"];

export class JsonColumnsDecoder {
  readonly #gatherer: ColumnGatherer;
  readonly #options: GathererOptions;

  constructor(options: GathererOptions) {
    this.#options = options;
    this.#gatherer = new ColumnGatherer(options);
  }

  /**
   * Decodes a body, in steps between which the caller may pause.
   *
   * @throws BadInput, TooLarge
   */
  *decoding(body: Uint8Array, parameters: ColumnParameters): Generator<void, Batch> {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    if (!isUtf8(bytes)) {
      const at = firstInvalidByte(bytes, 0, bytes.length);
      throw new BadInput(`byte ${at} of the body ${describeInvalidByte(bytes[at]!)}`, "body");
    }
    const walker = new JsonWalker(bytes[0] === 0xef ? bytes.subarray(3) : bytes);
    const gatherer = this.#gatherer;
    gatherer.begin(parameters);
    const isArray = walker.bytes[walker.at] === OPEN_BRACKET;
    if (isArray) walker.enter("[");
    for (let index = 0; ; index++) {
      yield;
      const reader = new ObjectReader(walker, this.#options.eventsMax, index);
      yield* gatherer.adding(yield* reader.reading(parameters));
      if (isArray ? !walker.next("[") : walker.at >= walker.bytes.length) break;
    }
    walker.end();
    return yield* gatherer.taking();
  }
}

/** The members of an object that are not columns. */
interface Members {
  metric?: string;
  type?: string;
  unit?: string;
  help?: string;
}

type Constant = string | number | boolean | InexactNumber | null;

/** One object of columns. */
class ObjectReader {
  readonly #walker: JsonWalker;
  readonly #rowsMax: number;
  /** Which object of the body it is, for messages. */
  readonly #which: string;
  readonly #texts = new Map<string, TextCellsReader>();
  readonly #constants = new Map<string, Constant>();
  #value: ValueReader | undefined;
  #time: TimeReader | undefined;
  #rows: number | undefined;
  #rowsOf = "";

  constructor(walker: JsonWalker, rowsMax: number, index: number) {
    this.#walker = walker;
    this.#rowsMax = rowsMax;
    this.#which = index === 0 ? "" : ` of object ${index}`;
  }

  #wrong(what: string): BadInput {
    return new BadInput(
      `${what}${this.#which === "" ? "" : ` (object ${this.#which.slice(11)} of the body)`}`,
      "body",
    );
  }

  *reading(parameters: ColumnParameters): Generator<void, EventTable> {
    const walker = this.#walker;
    const members: Members = {};
    const seen = new Set<string>();
    let isMore = walker.enter("{");
    while (isMore) {
      const name = walker.name();
      if (seen.has(name)) throw this.#wrong(`the field ${quote(name)} appears twice, expected once`);
      seen.add(name);
      if (name === "columns") yield* this.#readColumns();
      else this.#readMember(name, members);
      isMore = walker.next("{");
    }
    if (!seen.has("columns")) throw this.#wrong('the object has no "columns"');
    return yield* this.#table(members, parameters);
  }

  #readMember(name: string, members: Members): void {
    const value = this.#walker.value();
    switch (name) {
      case "metric":
      case "metric_name":
        if (typeof value !== "string") throw this.#wrong(`${name} is ${quote(value)}, expected a string`);
        if (members.metric !== undefined)
          throw this.#wrong('the object has "metric" and "metric_name", expected one of them');
        members.metric = value;
        return;
      case "type":
        if (typeof value !== "string" || !Object.hasOwn(KINDS, value))
          throw this.#wrong(`type is ${quote(value)}, expected observation, counter, gauge or cumulative`);
        members.type = value;
        return;
      case "unit":
      case "help":
        if (typeof value !== "string" || value.length > HELP_CHARACTERS_MAX)
          throw this.#wrong(
            `${name} is ${quote(value)}, expected a string of at most ${HELP_CHARACTERS_MAX} characters`,
          );
        if (!value.isWellFormed()) throw this.#wrong(`${name} ${quote(value)} ${HALF}`);
        members[name] = value;
        return;
      default:
        throw this.#wrong(
          `the field ${quote(name)} is unknown, expected metric, type, unit, help or columns`,
        );
    }
  }

  *#readColumns(): Generator<void> {
    const walker = this.#walker;
    const seen = new Set<string>();
    let isMore = walker.enter("{");
    while (isMore) {
      const name = walker.name();
      if (seen.has(name)) throw this.#wrong(`the column ${quote(name)} appears twice, expected once`);
      seen.add(name);
      if (seen.size > COLUMNS_MAX)
        throw this.#wrong(`the object has more than ${COLUMNS_MAX} columns, expected fewer`);
      if (walker.bytes[walker.at] === OPEN_BRACKET) yield* this.#readColumn(name);
      else {
        const value = walker.value();
        if (typeof value === "object" && value !== null && !(value instanceof InexactNumber))
          throw this.#wrong(`the column ${quote(name)} is an object, expected an array or one value`);
        this.#constants.set(name, value as Constant);
      }
      isMore = walker.next("{");
    }
  }

  *#readColumn(name: string): Generator<void> {
    if (name === "value") this.#value = new ValueReader();
    const reader =
      name === "value"
        ? this.#value!
        : TIME_NAMES.includes(name)
          ? this.#timeReader(name)
          : this.#texts.getOrInsertComputed(name, () => new TextCellsReader(this.#walker.bytes, name));
    const rows = yield* this.#cells(reader);
    if (this.#rows === undefined) {
      this.#rows = rows;
      this.#rowsOf = name;
    } else if (rows !== this.#rows)
      throw this.#wrong(
        `the column ${quote(name)} has ${rows} values, and ${quote(this.#rowsOf)} has ${this.#rows}`,
      );
  }

  #timeReader(name: string): TimeReader {
    if (this.#time !== undefined)
      throw this.#wrong(
        `the columns ${quote(this.#time.name)} and ${quote(name)} are both the time of a row, expected one of them`,
      );
    this.#time = new TimeReader(name);
    return this.#time;
  }

  /** Reads an array, and returns the number of its cells. */
  *#cells(reader: CellReader): Generator<void, number> {
    const walker = this.#walker;
    const state = { row: 0, isMore: walker.enter("[") };
    while (state.isMore) {
      yield;
      if (state.row >= this.#rowsMax)
        throw new TooLarge(
          `the body has more than ${this.#rowsMax} events (eventsMax), send it in parts`,
          "body",
        );
      const end = Math.min(state.row + CELLS_AT_ONCE, this.#rowsMax);
      reader.reserve(Math.max(end, this.#rows ?? 0));
      readCells(walker, reader, state, end);
    }
    return state.row;
  }

  *#table(members: Members, parameters: ColumnParameters): Generator<void, EventTable> {
    const rows = this.#rows ?? 1;
    const value = this.#valueColumn(rows);
    const time = this.#timeColumn(rows);
    const metric = yield* this.#metric(members, parameters);
    const {
      type = parameters.type ?? "observation",
      unit = parameters.unit,
      help = parameters.help,
    } = members;
    const isLevel = type === "gauge" || type === "cumulative";
    if (isLevel) value.acceptWords(rows);
    const wrongCells: { readonly row: number; readonly reason: string }[] = [];
    const constants = [...this.#constants].flatMap(([name, constant]): [string, string][] => {
      if (constant === null || constant === "") return [];
      if (typeof constant !== "string" || constant.isWellFormed())
        return [[name, constant instanceof InexactNumber ? constant.text : String(constant)]];
      for (let row = 0; row < rows; row++) wrongCells.push({ row, reason: `tags.${name} ${HALF}` });
      return [];
    });
    const texts = [...this.#texts.values()];
    const tags: { name: string; cells: TagCells }[] = [];
    for (const reader of texts) tags.push({ name: reader.name, cells: yield* reader.taking(rows) });
    return {
      rows,
      metric,
      type,
      unit,
      help,
      timestampUs: time?.us.subarray(0, rows),
      value: value.values.subarray(0, rows),
      stale: isLevel ? value.stale : undefined,
      constants,
      tags,
      inexact: value.inexact,
      wrongCells: [...wrongCells, ...texts.flatMap(({ wrong }) => wrong)],
      isNaN: (row) => isLevel && value.isWord(row),
      whyNoValue: (row) => `value is ${value.shown(row)}, expected a finite number`,
      whyNoTime: (row) => `${time!.name} is ${time!.why(row)}`,
      lossOf: (row) => lossOfValue(value.shown(row), value.values[row]!),
      eventText: (row) =>
        JSON.stringify({
          "@timestamp": time === undefined || Number.isNaN(time.us[row]!) ? undefined : time.sent(row),
          metric_name: typeof metric === "string" ? metric : this.#metricReader?.textAt(row),
          value: value.sent(row),
          type: type === "observation" ? undefined : type,
          unit,
          help,
          tags: Object.fromEntries([
            ...constants,
            ...texts.flatMap((reader): [string, string][] => {
              const text = reader.textAt(row);
              return text === "" ? [] : [[reader.name, text]];
            }),
          ]),
        }),
    };
  }

  #metricReader: TextCellsReader | undefined;

  #valueColumn(rows: number): ValueReader {
    const isConstant = this.#constants.has("value");
    if (this.#value === undefined && !isConstant) throw this.#wrong('the columns have no "value"');
    if (this.#value !== undefined) return this.#value;
    const reader = new ValueReader();
    reader.reserve(rows);
    for (let row = 0; row < rows; row++) reader.readUnusual(this.#constants.get("value"), row);
    this.#constants.delete("value");
    return reader;
  }

  #timeColumn(rows: number): TimeReader | undefined {
    for (const name of TIME_NAMES) {
      if (!this.#constants.has(name)) continue;
      const reader = this.#timeReader(name);
      reader.reserve(rows);
      for (let row = 0; row < rows; row++) reader.readUnusual(this.#constants.get(name), row);
      this.#constants.delete(name);
    }
    return this.#time;
  }

  /** The metric of all rows or of each row, which is no tag then. */
  *#metric({ metric }: Members, parameters: ColumnParameters): Generator<void, EventTable["metric"]> {
    const columns = METRIC_NAMES.filter((name) => this.#texts.has(name) || this.#constants.has(name));
    const given = metric ?? parameters.metric;
    if (columns.length > (given === undefined ? 1 : 0)) {
      const both = given === undefined ? columns.map((name) => `a column ${quote(name)}`) : [];
      const named = given === undefined ? both : ["a metric", `a column ${quote(columns[0])}`];
      throw this.#wrong(`the object has ${named.join(" and ")}, expected one of them`);
    }
    if (given !== undefined) return given;
    // Beside a metric, a name is a tag like others.
    const column = columns[0] ?? "name";
    const constant = this.#constants.get(column);
    if (constant !== undefined) {
      if (typeof constant !== "string")
        throw this.#wrong(`the column ${quote(column)} is ${quote(constant)}, expected a string`);
      this.#constants.delete(column);
      return constant;
    }
    const reader = this.#texts.get(column);
    if (reader === undefined)
      throw this.#wrong('the object has no "metric", and no column of that name, expected one of them');
    this.#texts.delete(column);
    this.#metricReader = reader;
    return yield* reader.taking(this.#rows ?? 1);
  }
}

/** Reads the cells of one column. */
interface CellReader {
  /** Makes room for rows. */
  reserve(rows: number): void;
  /** Reads a usual cell that begins at `at`; returns the position after it, or -1 if it is not usual. */
  read(bytes: Buffer, at: number, row: number): number;
  /** Reads any other cell, which was parsed. */
  readUnusual(value: unknown, row: number): void;
}

/** Reads the cells of an array from the one at which `walker` is, up to row `end` or to the end of the array. */
function readCells(
  walker: JsonWalker,
  reader: CellReader,
  state: { row: number; isMore: boolean },
  end: number,
): void {
  const { bytes } = walker;
  let { at } = walker;
  let { row } = state;
  while (row < end) {
    let next = reader.read(bytes, at, row);
    if (next < 0) {
      walker.at = at;
      reader.readUnusual(walker.value(), row);
      next = walker.at;
    }
    row++;
    if (bytes[next] === COMMA && bytes[next + 1]! > 32) {
      at = next + 1;
      continue;
    }
    walker.at = skipSpace(bytes, next, next + SPACE_BYTES_MAX);
    state.isMore = walker.next("[");
    at = walker.at;
    if (!state.isMore) break;
  }
  walker.at = at;
  state.row = row;
}

/** Numbers of the column `value`. */
class ValueReader implements CellReader {
  values = new Float64Array(0);
  stale: Uint8Array | undefined;
  /** Rows whose value no 64-bit float represents. */
  readonly inexact: number[] = [];
  /** By row: a value that is no number, or that no 64-bit float represents, as it was sent. */
  readonly #unusual = new Map<number, unknown>();
  readonly #words = new Set<number>();

  reserve(rows: number): void {
    if (this.values.length < rows) this.values = grown(this.values, rows);
  }

  read(bytes: Buffer, at: number, row: number): number {
    let p = at;
    const isNegative = bytes[p] === MINUS;
    if (isNegative) p++;
    const first = p;
    let mantissa = 0;
    let byte = bytes[p]!;
    while (byte >= ZERO && byte <= NINE) {
      mantissa = mantissa * 10 + (byte - ZERO);
      byte = bytes[++p]!;
    }
    let digits = p - first;
    if (digits === 0 || (digits > 1 && bytes[first] === ZERO)) return -1;
    let scale = 0;
    if (byte === DOT) {
      const fraction = ++p;
      byte = bytes[p]!;
      while (byte >= ZERO && byte <= NINE) {
        mantissa = mantissa * 10 + (byte - ZERO);
        byte = bytes[++p]!;
      }
      scale = p - fraction;
      if (scale === 0) return -1;
      digits += scale;
    }
    // An exponent, or what is no number at all.
    if (digits > EXACT_DIGITS || (byte !== COMMA && byte !== CLOSE_BRACKET && byte > 32)) return -1;
    const magnitude = scale === 0 ? mantissa : mantissa / POWERS_OF_TEN[scale]!;
    this.values[row] = isNegative ? -magnitude : magnitude;
    return p;
  }

  readUnusual(value: unknown, row: number): void {
    if (typeof value === "number") {
      this.values[row] = value;
      return;
    }
    if (value instanceof InexactNumber) {
      this.values[row] = value.value;
      if (Number.isFinite(value.value) && isStoredAsSent(value.text, value.value)) return;
      if (Number.isFinite(value.value)) this.inexact.push(row);
    } else {
      this.values[row] = Number.NaN;
      if (TEXTS.has(value)) this.#words.add(row);
    }
    if (this.#words.has(row) || this.#unusual.size < DESCRIBED_MAX) this.#unusual.set(row, capped(value));
  }

  /** Reads the texts of gauges, such as "NaN", as numbers. */
  acceptWords(rows: number): void {
    for (const row of this.#words) {
      const word = this.#unusual.get(row);
      this.values[row] = TEXTS.get(word)!;
      if (word !== STALE) continue;
      this.stale ??= new Uint8Array(rows);
      this.stale[row] = 1;
    }
  }

  isWord(row: number): boolean {
    return this.#words.has(row);
  }

  sent(row: number): unknown {
    return this.#unusual.has(row) ? this.#unusual.get(row) : this.values[row];
  }

  shown(row: number): string {
    const isKnown = this.#unusual.has(row) || !Number.isNaN(this.values[row]!);
    return isKnown ? quote(this.sent(row)) : "of another type";
  }
}

/** The texts of values that JSON does not have, with that of a stale marker. */
const TEXTS: ReadonlyMap<unknown, number> = new Map([[STALE, Number.NaN], ...WORDS]);

/** Times of a column: milliseconds since 1970, RFC 3339, or null. */
class TimeReader implements CellReader {
  readonly name: string;
  us = new Float64Array(0);
  readonly #wrong = new Map<number, unknown>();

  constructor(name: string) {
    this.name = name;
  }

  reserve(rows: number): void {
    if (this.us.length < rows) this.us = grown(this.us, rows);
  }

  read(bytes: Buffer, at: number, row: number): number {
    let p = at;
    let ms = 0;
    let byte = bytes[p]!;
    while (byte >= ZERO && byte <= NINE) {
      ms = ms * 10 + (byte - ZERO);
      byte = bytes[++p]!;
    }
    const digits = p - at;
    if (digits === 0 || digits > 14 || (digits > 1 && bytes[at] === ZERO)) return -1;
    if (byte !== COMMA && byte !== CLOSE_BRACKET && byte > 32) return -1;
    this.us[row] = ms * 1_000;
    return p;
  }

  readUnusual(value: unknown, row: number): void {
    if (value === null) this.us[row] = Number.NaN;
    else {
      const us = timeUs(value);
      this.us[row] = us ?? Number.POSITIVE_INFINITY;
      if (us === undefined && this.#wrong.size < DESCRIBED_MAX) this.#wrong.set(row, capped(value));
    }
  }

  why(row: number): string {
    const value = this.#wrong.get(row);
    return this.#wrong.has(row)
      ? `${quote(value)}, ${whyNoTime(value)}`
      : `${this.us[row]! / 1_000}, ${whyNoTime(this.us[row]! / 1_000)}`;
  }

  sent(row: number): unknown {
    return this.#wrong.has(row) ? this.#wrong.get(row) : this.us[row]! / 1_000;
  }
}

function capped(value: unknown): unknown {
  if (typeof value === "string") return value.slice(0, 200);
  return typeof value === "object" && value !== null && !(value instanceof InexactNumber)
    ? quote(value)
    : value;
}

function grown(array: Float64Array, rows: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(Math.max(array.length * 2, rows));
  larger.set(array);
  return larger;
}
