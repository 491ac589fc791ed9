/**
 * Reads the usual events of a body in WebAssembly (event-loops.wat): those with the layout of keys and the labels of
 * earlier events. It takes a fifth of the time of JavaScript. What it does not know stays with event-scanner.ts, which
 * decides alone what a usual event is. So nothing is accepted here that is not accepted there.
 *
 * The memory, from 0: powers of ten, the texts of the event that is read, slots of hashes, the columns of what was read,
 * its texts, layouts and templates, and at last the body with zeros behind it.
 *
 * `scripts/bench` measures it with events.
 */
import type { AttributeBuffer, FilledColumns } from "../../wire/batch-builder.ts";
import { EVENT_LOOPS } from "./event-loops-code.ts";
import type { Holes } from "./event-template.ts";

/** For smaller bodies the copy and the calls take longer than they save. */
const BODY_BYTES_MIN = 4_096;
/** Memory of WebAssembly never becomes smaller. */
const BODY_BYTES_MAX = 4 * 1_048_576;
/** Events that a call reads: 0.3 ms. */
const ROWS_MAX = 2_048;
const COLUMNS_MAX = 8;
const HOLES_MAX = 64;
/** An event without a template is compared with all layouts. Senders write events in a few. */
const LAYOUTS_MAX = 32;
const TEMPLATES_MAX = 8_192;
/**
 * Events without a template, after which all is forgotten: perhaps other events come now. To forget all as soon as there is no room
 * would make a template for each event of a sender with more series than templates, and use none.
 */
const MISSED_MAX = 1_048_576;

const POWERS_AT = 512;
const SLOTS_AT = 8_192;
const BLOCKS_AT = 73_728;
const TIMES_AT = 81_920;
const VALUES_AT = 98_304;
const OFFSETS_AT = 114_688;
const LENGTHS_AT = 180_224;
const TEXTS_AT = 245_760;
const TEXTS_END = 507_904;
/** Layouts and templates: 1 MiB. */
const RECORDS_AT = TEXTS_END;
const BODY_AT = 1_556_480;
/** Zeros behind the body. No loop reads beyond them. */
const ZEROS = 64;
const PAGE_BYTES = 65_536;
const QUOTE = 34;

interface Exports {
  readonly memory: WebAssembly.Memory;
  readonly seed: WebAssembly.Global<"i64">;
  readonly layouts: WebAssembly.Global<"i32">;
  readonly last: WebAssembly.Global<"i32">;
  readonly columns: WebAssembly.Global<"i32">;
  readonly valueMax: WebAssembly.Global<"i32">;
  readonly rows: WebAssembly.Global<"i32">;
  readonly text: WebAssembly.Global<"i32">;
  readonly used: WebAssembly.Global<"i32">;
  slotOf(layout: number, at: number): number;
  scan(at: number, pause: number, most: number, isArray: number, textBase: number): number;
}

/** What `scan` has read. The columns are views, which are valid until the next call. */
export interface EventsRead extends FilledColumns {
  /** The position behind the last event. */
  readonly end: number;
  /** By event: the block of its labels. */
  readonly blocks: Uint32Array;
}

export class EventLoops {
  readonly #exports: Exports;
  #bytes!: Buffer;
  #view!: DataView;
  #body: Buffer = Buffer.alloc(0);
  #end = RECORDS_AT;
  readonly #columns: AttributeBuffer[] = [];
  readonly #layouts = new Map<string, number>();
  readonly #templates = new Map<string, number>();
  /** Blocks whose events can have no template, because there is no room for it or for its layout. */
  readonly #withoutTemplate = new Set<number>();
  #missed = 0;
  #blocks!: Uint32Array;
  #times!: Float64Array;
  #values!: Float64Array;
  #offsets: Uint32Array[] = [];
  #lengths: Uint32Array[] = [];

  private constructor(module: WebAssembly.Module, tagValueBytesMax: number) {
    this.#exports = new WebAssembly.Instance(module).exports as unknown as Exports;
    this.#exports.valueMax.value = tagValueBytesMax;
    // A sender cannot choose labels whose hashes are equal.
    this.#exports.seed.value = crypto.getRandomValues(new BigInt64Array(1))[0]!;
    this.#viewMemory();
    for (let power = 0; power <= 15; power++) this.#view.setFloat64(POWERS_AT + 8 * power, 10 ** power, true);
  }

  /** New loops with memory of their own, or undefined if this engine cannot run them. */
  static open({ tagValueBytesMax }: { readonly tagValueBytesMax: number }): EventLoops | undefined {
    try {
      return new EventLoops(new WebAssembly.Module(Uint8Array.fromBase64(EVENT_LOOPS)), tagValueBytesMax);
    } catch {
      return undefined;
    }
  }

  /** Whether a body of this size is read by loops. */
  static takes(bytes: number): boolean {
    return bytes >= BODY_BYTES_MIN && bytes <= BODY_BYTES_MAX;
  }

  /** Begins a body. */
  load(body: Buffer): void {
    const { memory } = this.#exports;
    const need = BODY_AT + body.length + ZEROS;
    if (need > memory.buffer.byteLength) {
      memory.grow(Math.ceil((need - memory.buffer.byteLength) / PAGE_BYTES));
      this.#viewMemory();
    }
    this.#bytes.set(body, BODY_AT);
    this.#bytes.fill(0, BODY_AT + body.length, BODY_AT + body.length + ZEROS);
    this.#body = body;
  }

  #viewMemory(): void {
    const { buffer } = this.#exports.memory;
    this.#bytes = Buffer.from(buffer);
    this.#view = new DataView(buffer);
    this.#blocks = new Uint32Array(buffer, BLOCKS_AT, ROWS_MAX);
    this.#times = new Float64Array(buffer, TIMES_AT, ROWS_MAX);
    this.#values = new Float64Array(buffer, VALUES_AT, ROWS_MAX);
    const cells = (at: number) =>
      Array.from(
        { length: COLUMNS_MAX },
        (_, column) => new Uint32Array(buffer, at + column * 8_192, ROWS_MAX),
      );
    this.#offsets = cells(OFFSETS_AT);
    this.#lengths = cells(LENGTHS_AT);
  }

  /**
   * Reads events from a position of the body on, up to the first one that is not known.
   *
   * @param isArray whether commas are between events
   * @param most how many may be read
   * @param textBase where the texts of attributes will begin
   * @returns undefined if the first event is not known
   */
  scan(
    at: number,
    {
      isArray,
      most,
      textBase,
    }: { readonly isArray: boolean; readonly most: number; readonly textBase: number },
  ): EventsRead | undefined {
    const { scan, rows, text, used } = this.#exports;
    const pause = BODY_AT + this.#body.length;
    const end = scan(BODY_AT + at, pause, Math.min(ROWS_MAX, most), isArray ? 1 : 0, textBase) - BODY_AT;
    const length = rows.value;
    if (length === 0) return undefined;
    const attributes: { column: AttributeBuffer; offset: Uint32Array; length: Uint32Array }[] = [];
    for (let bits = used.value, column = 0; bits !== 0; bits >>>= 1, column++) {
      if ((bits & 1) === 0) continue;
      attributes.push({
        column: this.#columns[column]!,
        offset: this.#offsets[column]!.subarray(0, length),
        length: this.#lengths[column]!.subarray(0, length),
      });
    }
    return {
      end,
      length,
      blocks: this.#blocks,
      timestampUs: this.#times.subarray(0, length),
      value: this.#values.subarray(0, length),
      attributes,
      text: this.#bytes.subarray(TEXTS_AT, TEXTS_AT + text.value),
    };
  }

  /** Forgets the last event: what follows it says nothing about events to come. */
  interrupt(): void {
    this.#exports.last.value = 0;
  }

  /** Forgets all layouts and templates. */
  forget(): void {
    const { last, layouts, columns } = this.#exports;
    last.value = layouts.value = columns.value = 0;
    this.#bytes.fill(0, SLOTS_AT, BLOCKS_AT);
    this.#end = RECORDS_AT;
    this.#columns.length = 0;
    this.#layouts.clear();
    this.#templates.clear();
    this.#withoutTemplate.clear();
    this.#missed = 0;
  }

  /**
   * Notes an event that the scanner has read: others like it are read here from now on.
   *
   * @param at its first byte, and `end` the byte behind it
   */
  follow(block: number, at: number, end: number, holes: Holes, isNeverNegative: boolean): void {
    const template = this.#isMissed(block) ? 0 : this.#templateOf(block, at, end, holes, isNeverNegative);
    const { last } = this.#exports;
    if (template !== 0 && last.value !== 0) this.#view.setUint32(last.value + 12, template, true);
    last.value = template;
  }

  /** Whether events of a block can have no template. */
  #isMissed(block: number): boolean {
    if (!this.#withoutTemplate.has(block)) return false;
    if (++this.#missed > MISSED_MAX) this.forget();
    return this.#missed > 0;
  }

  /** The address of the template of an event, or 0 if it can have none. */
  #templateOf(block: number, at: number, end: number, holes: Holes, isNeverNegative: boolean): number {
    const kinds = this.#kindsOf(holes);
    if (kinds === undefined) return 0;
    const layout = this.#layoutOf(at, end, holes, kinds);
    if (layout === 0) return this.#miss(block);
    const labels: number[] = [];
    for (const [hole, kind] of kinds.entries()) {
      if (kind !== LABEL) continue;
      for (let byte = holes.from[hole]!; byte < holes.to[hole]!; byte++) labels.push(this.#body[byte]!);
      labels.push(QUOTE);
    }
    const key = `${layout} ${Buffer.from(labels).toString("latin1")}`;
    const known = this.#templates.get(key);
    if (known !== undefined) return known;
    const slot = this.#exports.slotOf(layout, BODY_AT + at);
    if (slot === 0) return 0;
    const hasRoom = this.#templates.size < TEMPLATES_MAX;
    const template = hasRoom ? this.#allocate(24 + labels.length) : 0;
    if (template === 0) return this.#miss(block);
    const view = this.#view;
    const words = [layout, block, isNeverNegative ? 1 : 0, 0, view.getUint32(slot, true), labels.length];
    for (const [index, word] of words.entries()) view.setUint32(template + 4 * index, word, true);
    this.#bytes.set(labels, template + 24);
    view.setUint32(slot, template, true);
    this.#templates.set(key, template);
    return template;
  }

  #miss(block: number): 0 {
    this.#withoutTemplate.add(block);
    return 0;
  }

  /** What each hole contains: 0 is the time, 1 the value, 2 a label, and from 3 on the columns of attributes. */
  #kindsOf({ count, what }: Holes): number[] | undefined {
    if (count > HOLES_MAX) return undefined;
    const kinds: number[] = [];
    for (let hole = 0; hole < count; hole++) {
      const each = what[hole]!;
      if (typeof each === "string") kinds.push(each === "time" ? 0 : each === "value" ? 1 : LABEL);
      else {
        let column = this.#columns.indexOf(each);
        if (column < 0) {
          if (this.#columns.length === COLUMNS_MAX) return undefined;
          column = this.#columns.push(each) - 1;
          this.#exports.columns.value = this.#columns.length;
        }
        kinds.push(3 + column);
      }
    }
    return kinds;
  }

  /** The address of the layout of an event, or 0 if there are too many. */
  #layoutOf(at: number, end: number, { from, to }: Holes, kinds: readonly number[]): number {
    const runs = [...kinds, 0].map((_, run) =>
      this.#body.subarray(run === 0 ? at : to[run - 1], run === kinds.length ? end : from[run]),
    );
    const key = `${kinds.join()} ${runs.map(({ length }) => length).join()} ${Buffer.concat(runs).toString("latin1")}`;
    const known = this.#layouts.get(key);
    if (known !== undefined) return known;
    if (this.#layouts.size >= LAYOUTS_MAX) return 0;
    const recordBytes = 8 + 12 * runs.length;
    const layout = this.#allocate(recordBytes + runs.reduce((sum, { length }) => sum + length, 0));
    if (layout === 0) return 0;
    const view = this.#view;
    const { layouts } = this.#exports;
    view.setUint32(layout, layouts.value, true);
    view.setUint32(layout + 4, kinds.length, true);
    let bytesAt = layout + recordBytes;
    for (const [run, bytes] of runs.entries()) {
      const record = layout + 8 + 12 * run;
      view.setUint32(record, kinds[run] ?? 0, true);
      view.setUint32(record + 4, bytesAt, true);
      view.setUint32(record + 8, bytes.length, true);
      this.#bytes.set(bytes, bytesAt);
      bytesAt += bytes.length;
    }
    layouts.value = layout;
    this.#layouts.set(key, layout);
    return layout;
  }

  /** Reserves memory for a record of `bytes` bytes. Returns its address, or 0 if there is no room. The loops read up to 15 bytes more. */
  #allocate(bytes: number): number {
    const at = this.#end;
    const end = at + Math.ceil(bytes / 8) * 8;
    if (end + ZEROS > BODY_AT) return 0;
    this.#end = end;
    return at;
  }
}

const LABEL = 2;
