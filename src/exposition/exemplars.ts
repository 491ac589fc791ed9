/**
 * The latest exemplar of each histogram bucket: an attribute of a sample that fell into it, so that a reader
 * goes from a slow bucket to the row in SQL. Kept as bytes in slots of equal size, taken when a bucket gets its
 * first exemplar; not durable.
 *
 * A call of `note` remembers the index of a row only; `keep` copies what is left when the rows are through, so
 * that a thousand samples in ten buckets cost ten copies.
 */
import type { AttributeColumn, Rows } from "../sample.ts";
import type { Exemplar } from "./family.ts";

/** OpenMetrics allows 128 code points for names and values together. Identifiers are ASCII, so bytes are counted. */
const LABEL_SET_MAX = 128;
const NONE = Array.from("none", (character) => character.charCodeAt(0));

export class Exemplars {
  readonly #names: readonly string[];
  readonly #slotsMax: number;
  /** By bucket: its slot plus one, or 0. */
  #slotOf = new Uint32Array(1024);
  /** By bucket, while rows are added up: the row plus one, or 0; and which column it is about. */
  #rowOf = new Uint32Array(1024);
  #columnOf = new Uint8Array(1024);
  #touched = new Uint32Array(1024);
  #touchedLength = 0;
  #columns: AttributeColumn[] = [];
  #text: Uint8Array = new Uint8Array(0);

  #slots = 0;
  readonly #freeSlots: number[] = [];
  #bytes = new Uint8Array(64 * LABEL_SET_MAX);
  #lengths = new Uint8Array(64);
  #nameOf = new Uint8Array(64);
  #values = new Float64Array(64);
  #timestampsUs = new Float64Array(64);
  readonly #decoder = new TextDecoder();

  /**
   * @param names attributes that may stand for a sample, the preferred first
   * @param slotsMax buckets that have an exemplar, at most; 160 bytes each
   */
  constructor(names: readonly string[], slotsMax: number) {
    this.#names = names;
    this.#slotsMax = slotsMax;
  }

  /** Makes room for buckets up to `length`. */
  grow(length: number): void {
    if (length <= this.#slotOf.length) return;
    const size = Math.max(length, this.#slotOf.length * 2);
    const slotOf = new Uint32Array(size);
    slotOf.set(this.#slotOf);
    this.#slotOf = slotOf;
    this.#rowOf = new Uint32Array(size);
    this.#columnOf = new Uint8Array(size);
    this.#touched = new Uint32Array(size);
  }

  /** Begins with rows; false when they have no attribute that could stand for a sample. */
  begin(rows: Rows): boolean {
    this.#text = rows.text;
    this.#columns = this.#names.flatMap(
      (name) => rows.attributes.find((column) => column.name === name) ?? [],
    );
    return this.#columns.length > 0;
  }

  /** The sample of row `row` fell into `bucket`. */
  note(bucket: number, row: number, timestampUs: Float64Array): void {
    const before = this.#rowOf[bucket];
    if (before !== 0 && timestampUs[before - 1] > timestampUs[row]) return;
    for (let column = 0; column < this.#columns.length; column++) {
      const { offset, length } = this.#columns[column];
      if (!this.#fits(column, offset[row], length[row])) continue;
      if (before === 0) this.#touched[this.#touchedLength++] = bucket;
      this.#rowOf[bucket] = row + 1;
      this.#columnOf[bucket] = column;
      return;
    }
  }

  #fits(column: number, offset: number, length: number): boolean {
    if (length === 0 || length > LABEL_SET_MAX - this.#columns[column].name.length) return false;
    if (length !== NONE.length) return true;
    for (let at = 0; at < length; at++) if (this.#text[offset + at] !== NONE[at]) return true;
    return false;
  }

  /** Ends with rows: copies what was noted, unless a newer one is there. */
  keep({ value, timestampUs }: Rows): void {
    for (let index = 0; index < this.#touchedLength; index++) {
      const bucket = this.#touched[index];
      const row = this.#rowOf[bucket] - 1;
      this.#rowOf[bucket] = 0;
      const slot = this.#slot(bucket, timestampUs[row]);
      if (slot < 0) continue;
      const { name, offset, length } = this.#columns[this.#columnOf[bucket]];
      const from = offset[row];
      const to = slot * LABEL_SET_MAX;
      for (let at = 0; at < length[row]; at++) this.#bytes[to + at] = this.#text[from + at];
      this.#lengths[slot] = length[row];
      this.#nameOf[slot] = this.#names.indexOf(name);
      this.#values[slot] = value[row];
      this.#timestampsUs[slot] = timestampUs[row];
    }
    this.#touchedLength = 0;
    this.#columns = [];
    this.#text = this.#text.subarray(0, 0);
  }

  /** Where a bucket's exemplar is to be written, or -1 when it has a newer one or there is no room. */
  #slot(bucket: number, timestampUs: number): number {
    const known = this.#slotOf[bucket] - 1;
    if (known >= 0) return this.#timestampsUs[known] > timestampUs ? -1 : known;
    const slot = this.#freeSlots.pop() ?? (this.#slots < this.#slotsMax ? this.#slots++ : -1);
    if (slot < 0) return -1;
    if (slot >= this.#lengths.length) this.#growSlots();
    this.#slotOf[bucket] = slot + 1;
    return slot;
  }

  #growSlots(): void {
    const size = this.#lengths.length * 2;
    const bytes = new Uint8Array(size * LABEL_SET_MAX);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    const lengths = new Uint8Array(size);
    lengths.set(this.#lengths);
    this.#lengths = lengths;
    const nameOf = new Uint8Array(size);
    nameOf.set(this.#nameOf);
    this.#nameOf = nameOf;
    const values = new Float64Array(size);
    values.set(this.#values);
    this.#values = values;
    const timestampsUs = new Float64Array(size);
    timestampsUs.set(this.#timestampsUs);
    this.#timestampsUs = timestampsUs;
  }

  /** The exemplars of a run of buckets, or undefined when there is none. */
  of(start: number, length: number): (Exemplar | undefined)[] | undefined {
    let found: (Exemplar | undefined)[] | undefined;
    for (let at = 0; at < length; at++) {
      const slot = this.#slotOf[start + at] - 1;
      if (slot < 0) continue;
      const from = slot * LABEL_SET_MAX;
      found ??= new Array(length);
      found[at] = {
        name: this.#names[this.#nameOf[slot]],
        label: this.#decoder.decode(this.#bytes.subarray(from, from + this.#lengths[slot])),
        value: this.#values[slot],
        timestampUs: this.#timestampsUs[slot],
      };
    }
    return found;
  }

  /** Gives back the slots of a run of buckets. */
  forget(start: number, length: number): void {
    for (let bucket = start; bucket < start + length; bucket++) {
      if (this.#slotOf[bucket] === 0) continue;
      this.#freeSlots.push(this.#slotOf[bucket] - 1);
      this.#slotOf[bucket] = 0;
    }
  }
}
