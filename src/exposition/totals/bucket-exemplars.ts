/**
 * The latest exemplar of each histogram bucket: an attribute of a sample in that bucket, which leads from a
 * slow bucket to its row in SQL. Exemplars are bytes in slots of equal size. A bucket gets its slot with its
 * first exemplar. They are not stored.
 *
 * The rows of a commit are read backwards, so that a thousand samples in ten buckets cost ten copies.
 */
import { type AttributeColumn, EXEMPLAR_CHARACTERS_MAX, type Rows } from "../../model/sample.ts";
import type { ShownExemplar } from "../family.ts";

/** The limit of OpenMetrics is in characters. Identifiers are ASCII, so bytes are counted. */
const LABEL_SET_MAX = EXEMPLAR_CHARACTERS_MAX;
const NONE = [..."none"].map((character) => character.charCodeAt(0));

/** A slot is three doubles (value, timestamp, and length times 256 plus the name's index), then the bytes. */
const HEAD_DOUBLES = 3;
const SLOT_BYTES = HEAD_DOUBLES * 8 + LABEL_SET_MAX;
const SLOT_DOUBLES = SLOT_BYTES / 8;

/** The bucket of a row that is in no bucket. */
export const NO_BUCKET = 0xffffffff;

export class Exemplars {
  readonly #names: readonly string[];
  readonly #slotsMax: number;
  /** By bucket: its slot plus one, or 0. */
  #slotOf = new Uint32Array(1024);
  /** By bucket: the last run of rows that gave it an exemplar. */
  #runOf = new Uint32Array(1024);
  #run = 0;
  #bytes = new Uint8Array(64 * SLOT_BYTES);
  #doubles = new Float64Array(this.#bytes.buffer);
  #slots = 0;
  readonly #freeSlots: number[] = [];
  readonly #decoder = new TextDecoder();

  /**
   * @param names attributes that may be exemplars, the preferred one first; at most 256
   * @param slotsMax the most buckets that have an exemplar; 152 bytes each
   */
  constructor(names: readonly string[], slotsMax: number) {
    this.#names = names;
    this.#slotsMax = slotsMax;
  }

  /** Grows the tables to `length` buckets. */
  grow(length: number): void {
    if (length <= this.#slotOf.length) return;
    const size = Math.max(length, this.#slotOf.length * 2);
    const slotOf = new Uint32Array(size);
    slotOf.set(this.#slotOf);
    this.#slotOf = slotOf;
    this.#runOf = new Uint32Array(size);
  }

  /** The columns of these rows that may be exemplars, the preferred one first. */
  columns(rows: Rows): AttributeColumn[] {
    return this.#names.flatMap((name) => rows.attributes.find((column) => column.name === name) ?? []);
  }

  /**
   * Stores the last usable exemplar of each bucket, unless the bucket has a later one: Prometheus rejects
   * exemplars that are out of order.
   *
   * @param columns of these rows, from `columns`
   * @param bucketOf by row: its bucket, or `NO_BUCKET`
   */
  take(rows: Rows, columns: readonly AttributeColumn[], bucketOf: Uint32Array): void {
    this.#run = (this.#run + 1) >>> 0;
    const run = this.#run;
    const runOf = this.#runOf;
    for (let row = rows.length - 1; row >= 0; row--) {
      const bucket = bucketOf[row];
      if (bucket === NO_BUCKET || runOf[bucket] === run) continue;
      for (let at = 0; at < columns.length; at++) {
        const column = columns[at];
        if (!fits(rows.text, column.offset[row], column.length[row], column.name.length)) continue;
        runOf[bucket] = run;
        this.#put(bucket, row, rows, column);
        break;
      }
    }
  }

  #put(bucket: number, row: number, { text, value, timestampUs }: Rows, column: AttributeColumn): void {
    let slot = this.#slotOf[bucket] - 1;
    if (slot < 0) {
      slot = this.#freeSlots.pop() ?? (this.#slots < this.#slotsMax ? this.#slots++ : -1);
      if (slot < 0) return;
      if (slot >= this.#doubles.length / SLOT_DOUBLES) this.#growSlots();
      this.#slotOf[bucket] = slot + 1;
    } else if (this.#doubles[slot * SLOT_DOUBLES + 1] > timestampUs[row]) {
      return;
    }
    const doubles = this.#doubles;
    const bytes = this.#bytes;
    const length = column.length[row];
    const head = slot * SLOT_DOUBLES;
    doubles[head] = value[row];
    doubles[head + 1] = timestampUs[row];
    doubles[head + 2] = length * 256 + this.#names.indexOf(column.name);
    const from = column.offset[row];
    const to = slot * SLOT_BYTES + HEAD_DOUBLES * 8;
    for (let at = 0; at < length; at++) bytes[to + at] = text[from + at];
  }

  #growSlots(): void {
    const bytes = new Uint8Array(this.#bytes.length * 2);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#doubles = new Float64Array(bytes.buffer);
  }

  /** The exemplars of `length` buckets from `start` on, or undefined if there are none. */
  of(start: number, length: number): (ShownExemplar | undefined)[] | undefined {
    let found: (ShownExemplar | undefined)[] | undefined;
    for (let at = 0; at < length; at++) {
      const slot = this.#slotOf[start + at] - 1;
      if (slot < 0) continue;
      const head = slot * SLOT_DOUBLES;
      const from = slot * SLOT_BYTES + HEAD_DOUBLES * 8;
      const meta = this.#doubles[head + 2];
      found ??= new Array(length);
      found[at] = {
        name: this.#names[meta & 255],
        label: this.#decoder.decode(this.#bytes.subarray(from, from + (meta >>> 8))),
        value: this.#doubles[head],
        timestampUs: this.#doubles[head + 1],
      };
    }
    return found;
  }

  /** Frees the slots of `length` buckets from `start` on. */
  forget(start: number, length: number): void {
    for (let bucket = start; bucket < start + length; bucket++) {
      if (this.#slotOf[bucket] === 0) continue;
      this.#freeSlots.push(this.#slotOf[bucket] - 1);
      this.#slotOf[bucket] = 0;
    }
  }
}

/** Whether a value is present, is not `none`, and fits beside a name of `nameLength` bytes. */
function fits(text: Uint8Array, offset: number, length: number, nameLength: number): boolean {
  if (length === 0 || length > LABEL_SET_MAX - nameLength) return false;
  if (length !== NONE.length) return true;
  for (let at = 0; at < length; at++) if (text[offset + at] !== NONE[at]) return true;
  return false;
}
