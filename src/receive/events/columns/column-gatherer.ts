/**
 * Tables of events → one batch. The columns of a table stay columns: values, times and attributes are passed on as they
 * are. Labels are numbered column by column, and the rows that have the same labels get one head, which is made once.
 *
 * What is valid is what src/receive/events/event.ts accepts. An invalid row is rejected by its index among all rows of the
 * body, and the others are kept.
 */
import { isUtf8 } from "node:buffer";
import { TooLarge } from "../../../model/errors.ts";
import type { AttributeColumn, Batch, Rejection, SeriesHead } from "../../../model/sample.ts";
import { inRowSteps } from "../../../model/tasks/row-steps.ts";
import { MILLISECONDS_MAX } from "../../../model/time.ts";
import type { NameLimits } from "../../../series/naming.ts";
import { BatchBuilder } from "../../../wire/batch-builder.ts";
import { ByteParts } from "../../../wire/byte-parts.ts";
import type { TagCells, TextCells } from "../../../wire/tag-cells.ts";
import { HALF, KINDS } from "../event.ts";
import { EVENTS } from "../events-protocol.ts";
import type { EventTable } from "./event-table.ts";
import { cellsOf, checkNumbers, codesOfCoded, codesOfTexts, count, extend } from "./column-loops.ts";
import { type HeadLayout, HeadLayouts } from "./head-layouts.ts";
import { joinParts, type TablePart } from "./table-parts.ts";
import type { ValueCodes } from "./value-codes.ts";

export interface GathererOptions extends NameLimits {
  /** Whether a tag of a metric's observations and counters is a column and not a label. */
  readonly isAttribute: (metric: string, tag: string) => boolean;
  /** Changes when the results of the function above change. */
  readonly epoch: () => number;
  /** The most events per body. */
  readonly eventsMax: number;
  /** The number of series that exist. As many heads are remembered. */
  readonly seriesCount?: () => number;
}

const MICROSECONDS_MAX = MILLISECONDS_MAX * 1_000;
/** Texts that are made without a pause: some 200 µs. */
const TEXTS_AT_ONCE = 32;
/** As with JSON events. */
const REASONS_MAX = 10_000;
const REASON_PAST_MAX = `the event is invalid, as are more than ${REASONS_MAX} before it`;
const LETTERS_MAX = 100;
const LETTER_CHARACTERS_MAX = 4_000;
const PAYLOAD_CHARACTERS_MAX = 1_000;

/** A tag of a table. */
interface TagColumn {
  readonly name: string;
  readonly cells: TagCells;
  /** By code of a metric: 1 if the tag is an attribute of it. */
  readonly isAttributeOf: Uint8Array;
  readonly hasLabels: boolean;
  readonly hasAttributes: boolean;
}

export class ColumnGatherer {
  readonly #options: GathererOptions;
  readonly #layouts: HeadLayouts;
  #epoch = -1;
  #strict = false;
  #parts: TablePart[] = [];
  #rows = 0;
  #heads: SeriesHead[] = [];
  #text = new ByteParts();
  #rejected: Rejection[] = [];
  /** Of warnings only. */
  #warnings: BatchBuilder | undefined;
  /** Of the table that is being added. */
  #table!: EventTable;
  #wrong: Uint8Array | undefined;
  #wrongRows: { row: number; cause: string; reason: string }[] = [];
  /** Rows of a counter with a value below 0. */
  readonly #negative: number[] = [];
  /** By row: its tags. Undefined if no row can have too many. */
  #tagCounts: Uint16Array | undefined;

  constructor(options: GathererOptions) {
    this.#options = options;
    this.#layouts = new HeadLayouts(options.seriesCount);
  }

  /** Begins a body. */
  begin({ strict }: { readonly strict: boolean }): void {
    if (this.#epoch !== this.#options.epoch()) {
      this.#epoch = this.#options.epoch();
      this.#layouts.clear();
    }
    this.#layouts.begin();
    this.#strict = strict;
    this.#parts = [];
    this.#rows = 0;
    this.#heads = [];
    this.#text = new ByteParts();
    this.#rejected = [];
    this.#warnings = undefined;
  }

  /** The rows of all tables so far. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Adds the rows of a table, in steps between which the caller may pause.
   *
   * @throws TooLarge if the body has too many rows, or too many cells of attributes
   */
  *adding(table: EventTable): Generator<void> {
    const { rows, constants, tags } = table;
    const { eventsMax, tagsMax } = this.#options;
    if (this.#rows + rows > eventsMax)
      throw new TooLarge(`the body has more than ${eventsMax} events (eventsMax), send it in parts`, "body");
    this.#table = table;
    this.#wrong = undefined;
    this.#wrongRows = [];
    this.#negative.length = 0;
    const isCounted = constants.length + tags.length > tagsMax;
    this.#tagCounts = isCounted ? new Uint16Array(rows).fill(constants.length) : undefined;

    const metrics = yield* this.#metricCodes(table);
    yield* this.#checkValues(table);
    yield* this.#checkTimes(table);
    for (const row of this.#negative.splice(0))
      this.#reject(row, "value", `value is ${table.value[row]}, expected no less than 0 for a counter`);
    for (const { row, reason } of table.wrongCells ?? []) this.#reject(row, "labels", reason);
    const { columns, constantLabels } = this.#placed(table, metrics.distinct);
    const layout = this.#layouts.of(table, constantLabels, columns);
    const numbers = yield* this.#number(layout, constantLabels, columns, metrics);
    const attributes: AttributeColumn[] = [];
    for (const column of columns)
      if (column.hasAttributes) attributes.push(yield* this.#attribute(column, metrics));
    if (this.#tagCounts !== undefined) yield* this.#checkCounts(this.#tagCounts);
    yield* this.#noteInexact(table);
    const head = yield* this.#headIndexes(layout, numbers, rows);
    const timestampUs = table.timestampUs ?? new Float64Array(rows).fill(Number.NaN);
    const { value, stale } = table;
    this.#parts.push({ rows, head, timestampUs, value, stale, attributes, wrong: this.#wrong });
    yield* this.#listWrong();
    this.#rows += rows;
    this.#layouts.bound();
  }

  /** By row the code of its metric. */
  *#metricCodes({ metric, rows }: EventTable): Generator<void, MetricCodes> {
    const { metrics } = this.#layouts;
    if (typeof metric === "string") {
      const code = metrics.ofValue(metric);
      return { one: code, codes: undefined, distinct: [code] };
    }
    const codes = new Int32Array(rows);
    yield* this.#codesOf(metric, metrics, codes, (row, wrong) =>
      this.#reject(
        row,
        "name",
        wrong === undefined ? "metric is missing, expected a name" : `metric ${wrong}`,
      ),
    );
    const isFound = new Uint8Array(metrics.size);
    yield* inRowSteps(rows, (from, to) => {
      for (let row = from; row < to; row++) isFound[codes[row]!] = 1;
    });
    const distinct: number[] = [];
    for (let code = 1; code < isFound.length; code++) if (isFound[code] === 1) distinct.push(code);
    return { one: undefined, codes, distinct };
  }

  /**
   * By row the code of its text.
   *
   * @param onNone called for each row without a text that can be a name or a label: with what is wrong with it, or
   *   undefined if there is none
   */
  *#codesOf(
    cells: TagCells,
    known: ValueCodes,
    codes: Int32Array,
    onNone: ((row: number, wrong: string | undefined) => void) | undefined,
  ): Generator<void> {
    const rows = codes.length;
    if (cells.is === "coded") {
      const codeOf = new Int32Array(cells.values.length).fill(-1);
      yield* inRowSteps(rows, (from, to) => codesOfCoded(cells, codeOf, known, codes, from, to));
    } else {
      const text = Buffer.from(cells.text.buffer, cells.text.byteOffset, cells.text.length);
      yield* inRowSteps(rows, (from, to) => codesOfTexts(cells, text, known, codes, from, to));
    }
    if (!known.hasWrong && onNone === undefined) return;
    const { values } = known;
    yield* inRowSteps(rows, (from, to) => {
      for (let row = from; row < to; row++) {
        const value = values[codes[row]!]!;
        if (typeof value !== "string") {
          if (onNone === undefined) this.#wrongCell(row, value.wrong);
          else onNone(row, value.wrong);
        } else if (value === "") onNone?.(row, undefined);
      }
    });
  }

  /** The name of the column whose cells are read. */
  #column = "";

  #wrongCell(row: number, wrong: string): void {
    this.#reject(row, "labels", `tags.${this.#column} ${wrong}`);
  }

  *#checkValues(table: EventTable): Generator<void> {
    const { value, rows, type, stale } = table;
    const { kind } = KINDS[type]!;
    const isLevel = kind === "gauge" || kind === "cumulative";
    const least = kind === "delta" ? 0 : Number.NEGATIVE_INFINITY;
    const check = (row: number): void => {
      const number = value[row]!;
      if (isLevel && (!Number.isNaN(number) || stale?.[row] === 1 || table.isNaN(row))) return;
      if (Number.isFinite(number)) this.#negative.push(row);
      else this.#reject(row, "value", table.whyNoValue(row));
    };
    yield* inRowSteps(rows, (from, to) => checkNumbers(value, least, check, from, to));
  }

  *#checkTimes(table: EventTable): Generator<void> {
    const { timestampUs, rows } = table;
    if (timestampUs === undefined) return;
    yield* inRowSteps(rows, (from, to) => {
      for (let row = from; row < to; row++)
        if (Math.abs(timestampUs[row]!) > MICROSECONDS_MAX)
          this.#reject(row, "timestamp", table.whyNoTime(row));
    });
  }

  /** Which tags are labels, and which are attributes: that depends on the metric. */
  #placed(
    { tags, constants, type, rows }: EventTable,
    metrics: readonly number[],
  ): { columns: TagColumn[]; constantLabels: (readonly [string, string])[] } {
    const { isAttribute } = this.#options;
    const { kind } = KINDS[type]!;
    const { values, size } = this.#layouts.metrics;
    const isMergeable = kind === "observation" || kind === "delta";
    const place = (name: string) => {
      const isAttributeOf = new Uint8Array(size);
      let count = 0;
      for (const code of metrics) {
        const metric = values[code];
        if (!isMergeable || typeof metric !== "string" || !isAttribute(metric, name)) continue;
        isAttributeOf[code] = 1;
        count++;
      }
      return { isAttributeOf, hasLabels: count < metrics.length, hasAttributes: count > 0 };
    };
    const columns: TagColumn[] = tags.map(({ name, cells }) => ({ name, cells, ...place(name) }));
    const constantLabels: (readonly [string, string])[] = [];
    for (const [name, value] of constants) {
      const placed = place(name);
      if (!placed.hasAttributes) constantLabels.push([name, value]);
      else {
        const cells: TagCells = { is: "coded", codes: new Int32Array(rows), values: [value] };
        columns.push({ name, cells, ...placed });
      }
    }
    return { columns, constantLabels };
  }

  /** By row a number that is the same for the same metric and labels. */
  *#number(
    { levels }: HeadLayout,
    constants: readonly (readonly [string, string])[],
    columns: readonly TagColumn[],
    metrics: MetricCodes,
  ): Generator<void, Numbers> {
    const { rows } = this.#table;
    let one = 0;
    let level = 0;
    const numbers = new Int32Array(rows);
    const metricCodes = metrics.codes;
    let isOne = metricCodes === undefined;
    if (metricCodes === undefined) one = levels[0]!.pairs.of(0, metrics.one!);
    else {
      const { pairs } = levels[0]!;
      yield* inRowSteps(rows, (from, to) => pairs.ofAll(numbers, metricCodes, from, to));
    }
    for (const [, value] of constants) {
      const { codes, pairs } = levels[++level]!;
      const code = codes.ofValue(value);
      if (isOne) one = pairs.of(one, code);
      else
        yield* inRowSteps(rows, (from, to) => {
          for (let row = from; row < to; row++) numbers[row] = pairs.of(numbers[row]!, code);
        });
    }
    const columnCodes = new Int32Array(rows);
    for (const { name, cells, hasLabels, hasAttributes, isAttributeOf } of columns) {
      if (!hasLabels) continue;
      const { codes, pairs } = levels[++level]!;
      this.#column = name;
      columnCodes.fill(0);
      // With one metric a column has either labels or attributes.
      const own = hasAttributes ? yield* cellsOf(cells, metricCodes, isAttributeOf, 0) : cells;
      yield* this.#codesOf(own, codes, columnCodes, undefined);
      const counts = this.#tagCounts;
      if (counts !== undefined) yield* inRowSteps(rows, (from, to) => count(counts, columnCodes, from, to));
      if (isOne) numbers.fill(one);
      isOne = false;
      yield* inRowSteps(rows, (from, to) => pairs.ofAll(numbers, columnCodes, from, to));
    }
    return isOne ? { one, numbers } : { one: undefined, numbers };
  }

  /** By row the index of its head in the batch. */
  *#headIndexes(layout: HeadLayout, { one, numbers }: Numbers, rows: number): Generator<void, Uint32Array> {
    const head = new Uint32Array(rows);
    const heads = this.#heads;
    if (one !== undefined) {
      if (rows > 0) head.fill(layout.indexOf(one, heads));
      return head;
    }
    const wrong = this.#wrong;
    yield* inRowSteps(rows, (from, to) => {
      for (let row = from; row < to; row++) {
        // A rejected row has no head: its name may be none.
        if (wrong === undefined || wrong[row] === 0) head[row] = layout.indexOf(numbers[row]!, heads);
      }
    });
    return head;
  }

  /** A tag as a column: its bytes are appended to the text of the batch. */
  *#attribute(column: TagColumn, metrics: MetricCodes): Generator<void, AttributeColumn> {
    const { name, cells, hasLabels, isAttributeOf } = column;
    this.#column = name;
    const own = hasLabels ? yield* cellsOf(cells, metrics.codes, isAttributeOf, 1) : cells;
    const attribute =
      own.is === "texts" ? yield* this.#attributeOfTexts(own) : yield* this.#attributeOfCodes(own);
    const { length } = attribute;
    const counts = this.#tagCounts;
    if (counts !== undefined) yield* inRowSteps(length.length, (from, to) => count(counts, length, from, to));
    return { name, ...attribute };
  }

  *#attributeOfTexts({ text, offset, length }: TextCells): Generator<void, ByteRanges> {
    const { rows } = this.#table;
    const { tagValueBytesMax } = this.#options;
    const found = { offset: new Uint32Array(rows), length: new Uint32Array(rows) };
    const region = { first: Number.POSITIVE_INFINITY, end: 0 };
    yield* inRowSteps(rows, (from, to) => extend(region, offset, length, from, to));
    if (region.end === 0) return found;
    const bytes = text.subarray(region.first, region.end);
    // The texts are parts of it, so most need no look of their own.
    const isPlain = isUtf8(bytes) && !bytes.includes(0);
    const base = this.#text.length - region.first;
    const check = (row: number): boolean => {
      const from = offset[row]!;
      const wrong = this.#whyNoAttribute(text.subarray(from, from + length[row]!));
      if (wrong !== undefined) this.#wrongCell(row, wrong);
      return wrong === undefined;
    };
    const plainBytesMax = isPlain ? tagValueBytesMax : 0;
    yield* inRowSteps(rows, (from, to) => {
      for (let row = from; row < to; row++) {
        const size = length[row]!;
        if (size === 0) continue;
        const at = offset[row]!;
        if ((size > plainBytesMax || (text[at]! & 0xc0) === 0x80) && !check(row)) continue;
        found.offset[row] = at + base;
        found.length[row] = size;
      }
    });
    // Copied: otherwise the batch would keep the whole body.
    this.#text.add(bytes.slice());
    return found;
  }

  *#attributeOfCodes({ codes, values }: Extract<TagCells, { is: "coded" }>): Generator<void, ByteRanges> {
    const { rows } = this.#table;
    const found = { offset: new Uint32Array(rows), length: new Uint32Array(rows) };
    // By value: where its bytes are, once a row has it. The length is 0 before that.
    const offset = new Uint32Array(values.length);
    const length = new Uint32Array(values.length);
    /** Appends a value. Returns false if it cannot be a tag. */
    const append = (code: number, row: number): boolean => {
      const value = values[code]!;
      if (value === "") return false;
      const bytes = typeof value === "string" ? Buffer.from(value) : NO_BYTES;
      const wrong =
        typeof value !== "string" ? value.wrong : value.isWellFormed() ? this.#whyNoAttribute(bytes) : HALF;
      if (wrong !== undefined) {
        this.#wrongCell(row, wrong);
        return false;
      }
      offset[code] = this.#text.length;
      length[code] = bytes.length;
      this.#text.add(bytes);
      return true;
    };
    yield* inRowSteps(rows, (from, to) => {
      for (let row = from; row < to; row++) {
        const code = codes[row]!;
        if (code < 0 || (length[code] === 0 && !append(code, row))) continue;
        found.offset[row] = offset[code]!;
        found.length[row] = length[code]!;
      }
    });
    return found;
  }

  #whyNoAttribute(bytes: Uint8Array): string | undefined {
    const { tagValueBytesMax } = this.#options;
    if (bytes.length > tagValueBytesMax)
      return `is ${bytes.length} bytes long, at most ${tagValueBytesMax} are accepted (tagValueBytesMax)`;
    if (!isUtf8(bytes)) return "contains bytes that are not UTF-8";
    return bytes.includes(0) ? "contains a NUL character" : undefined;
  }

  *#checkCounts(counts: Uint16Array): Generator<void> {
    const { tagsMax } = this.#options;
    yield* inRowSteps(counts.length, (from, to) => {
      for (let row = from; row < to; row++) {
        if (counts[row]! <= tagsMax) continue;
        const reason = `the event has ${counts[row]} tags, at most ${tagsMax} are accepted (tagsMax)`;
        this.#reject(row, "labels", reason);
      }
    });
  }

  *#noteInexact(table: EventTable): Generator<void> {
    const { inexact } = table;
    const note = (row: number): void => {
      const loss = table.lossOf(row);
      if (this.#strict) this.#reject(row, loss.cause, loss.reason);
      else if (this.#wrong?.[row] !== 1) {
        this.#warnings ??= new BatchBuilder(EVENTS.name);
        const metric = typeof table.metric === "string" ? table.metric : "";
        const { label, field, warning } = loss;
        this.#warnings.warn(label, { index: this.#rows + row, field, message: warning, metric }, warning);
      }
    };
    yield* inRowSteps(inexact.length, (from, to) => inexact.slice(from, to).forEach(note), TEXTS_AT_ONCE);
  }

  /** Rejects a row. What was found first is its reason. */
  #reject(row: number, cause: string, reason: string): void {
    this.#wrong ??= new Uint8Array(this.#table.rows);
    if (this.#wrong[row] === 1) return;
    this.#wrong[row] = 1;
    this.#wrongRows.push({ row, cause, reason });
  }

  *#listWrong(): Generator<void> {
    const rejected = this.#rejected;
    const wrong = this.#wrongRows.sort((a, b) => a.row - b.row);
    const list = ({ row, cause, reason }: (typeof wrong)[number]): void => {
      const isDescribed = rejected.length < REASONS_MAX;
      const isLetter = rejected.length < LETTERS_MAX;
      const { metric } = this.#table;
      rejected.push({
        index: this.#rows + row,
        cause,
        reason: isDescribed ? reason : REASON_PAST_MAX,
        payload: isDescribed
          ? this.#table.eventText(row).slice(0, isLetter ? LETTER_CHARACTERS_MAX : PAYLOAD_CHARACTERS_MAX)
          : "",
        metric: isLetter && typeof metric === "string" ? metric : undefined,
      });
    };
    yield* inRowSteps(wrong.length, (from, to) => wrong.slice(from, to).forEach(list), TEXTS_AT_ONCE);
  }

  /** The batch of all tables, in steps between which the caller may pause. */
  *taking(): Generator<void, Batch> {
    const parts = this.#parts;
    this.#parts = [];
    return {
      protocol: EVENTS.name,
      heads: this.#heads,
      ...(yield* joinParts(parts)),
      text: this.#text.take(),
      rejected: this.#rejected,
      warnings: this.#warnings?.take().warnings,
    };
  }
}

/** The bytes of an attribute, by row. */
interface ByteRanges {
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
}

/** The metric of all rows, or that of each row. `distinct` are the metrics that rows have. */
interface MetricCodes {
  readonly one: number | undefined;
  readonly codes: Int32Array | undefined;
  readonly distinct: readonly number[];
}

/** The number of all rows, or that of each row. */
interface Numbers {
  readonly one: number | undefined;
  readonly numbers: Int32Array;
}

const NO_BYTES = Buffer.alloc(0);
