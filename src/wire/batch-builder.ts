/**
 * Gathers the samples of one body into columns. The buffers are reused for the next body. `take()` copies the columns
 * at their exact size, and the batch owns the copies.
 *
 * Many senders repeat all series of a body in the next one, in the same order. Then the batches have the same list of
 * heads, the same object, and admission need not decide about each head again.
 */
import { TooLarge } from "../model/errors.ts";
import {
  ATTRIBUTE_CELLS_MAX,
  type AttributeColumn,
  type Batch,
  type Exemplar,
  OTHER_FIELDS,
  type Rejection,
  type RepeatedWarning,
  type SeriesHead,
  type Warning,
} from "../model/sample.ts";

/** The most different warnings that an answer lists. Further ones are only counted. */
const WARNINGS_MAX = 1_000;
/** The most unknown fields of a batch that are counted by name. */
const UNKNOWN_FIELDS_MAX = 100;
/** Further rejections are counted without a reason. Answers and the table `rejected` list fewer. */
const REASONS_MAX = 1_000;
/** Buffers larger than these are freed after their batch. */
const ROWS_KEPT_MAX = 65_536;
const TEXT_KEPT_MAX = 8 * 1_048_576;
/**
 * Heads of all lists that are remembered: some 30 bytes each, with the decisions about them. With more series than that,
 * two per series.
 */
const LISTED_HEADS_MAX = 262_144;
/** A shorter list is made again as quickly as it is found. */
const LIST_LENGTH_MIN = 16;

/** The byte ranges of one attribute. The length is 0 where a sample does not have the attribute. */
export class AttributeBuffer {
  readonly name: string;
  offset = new Uint32Array(0);
  length = new Uint32Array(0);
  used = false;

  constructor(name: string) {
    this.name = name;
  }
}

/** Samples in columns, without their series. */
export interface FilledColumns {
  readonly length: number;
  readonly timestampUs: Float64Array;
  readonly value: Float64Array;
  /** The attributes that at least one sample has. A length of 0 means that a sample does not have it. */
  readonly attributes: readonly {
    readonly column: AttributeBuffer;
    readonly offset: Uint32Array;
    readonly length: Uint32Array;
  }[];
  /** The texts of attributes. */
  readonly text: Uint8Array;
}

export class BatchBuilder {
  readonly #protocol: string;
  readonly #seriesCount: () => number;
  #head = new Uint32Array(1_024);
  #timestampUs = new Float64Array(1_024);
  #value = new Float64Array(1_024);
  #position = new Uint32Array(1_024);
  /** Created at the first stale marker of a batch. */
  #stale: Uint8Array | undefined;
  #text = Buffer.allocUnsafeSlow(65_536);
  #textEnd = 0;
  #attributesUsed = 0;
  readonly #attributes = new Map<string, AttributeBuffer>();
  #heads: SeriesHead[] = [];
  #headCount = 0;
  /** By the first head of a list of an earlier batch: the newest such list. */
  #lists = new WeakMap<SeriesHead, readonly SeriesHead[]>();
  #listedHeads = 0;
  /** The list that this batch repeats so far. Its heads are not in `#heads`. */
  #repeated: readonly SeriesHead[] | undefined;
  #exemplars: Exemplar[] = [];
  rejected: Rejection[] = [];
  /** By what equal warnings have in common, in the order of the body. */
  readonly #warnings = new Map<
    string,
    { -readonly [Part in keyof RepeatedWarning]: RepeatedWarning[Part] }
  >();
  #warningCounts = new Map<string, number>();
  #unknownFields: Map<string, number> | undefined;
  length = 0;

  /** @param seriesCount the number of series that exist */
  constructor(protocol: string, seriesCount: () => number = () => 0) {
    this.#protocol = protocol;
    this.#seriesCount = seriesCount;
  }

  /** Adds a series to this batch and returns its index. */
  addHead(head: SeriesHead): number {
    const index = this.#headCount++;
    if (index === 0) this.#repeated = this.#lists.get(head);
    const repeated = this.#repeated;
    if (repeated !== undefined) {
      if (repeated[index] === head) return index;
      this.#heads = repeated.slice(0, index);
      this.#repeated = undefined;
    }
    this.#heads.push(head);
    return index;
  }

  /** Returns the buffer of an attribute. The first call creates it. */
  attribute(name: string): AttributeBuffer {
    return this.#attributes.getOrInsertComputed(name, () => new AttributeBuffer(name));
  }

  /** Sets an attribute of the next sample. `source` has its UTF-8 bytes from `from` up to, not including, `to`. */
  setAttribute(column: AttributeBuffer, source: Uint8Array, from: number, to: number): void {
    if (this.length >= column.length.length) {
      column.offset = grown(column.offset, this.length);
      column.length = grown(column.length, this.length);
    }
    const bytes = to - from;
    if (this.#textEnd + bytes > this.#text.length) this.#reserveText(bytes);
    const text = this.#text;
    let end = this.#textEnd;
    column.offset[this.length] = end;
    column.length[this.length] = bytes;
    if (!column.used) {
      column.used = true;
      this.#attributesUsed++;
    }
    for (let at = from; at < to; at++) text[end++] = source[at]!;
    this.#textEnd = end;
  }

  #reserveText(bytes: number): void {
    if (this.#textEnd + bytes <= this.#text.length) return;
    const text = Buffer.allocUnsafeSlow(Math.max(this.#text.length * 2, this.#textEnd + bytes));
    text.set(this.#text.subarray(0, this.#textEnd));
    this.#text = text;
  }

  /** Removes the attributes that were set for a sample that will not be added. */
  dropAttributes(): void {
    for (const column of this.#attributes.values()) column.length[this.length] = 0;
  }

  /** Adds a sample. */
  add(head: number, timestampUs: number, value: number, position: number): void {
    const index = this.length;
    if ((index + 1) * this.#attributesUsed > ATTRIBUTE_CELLS_MAX) this.#requireCells(index + 1, index + 1);
    if (index >= this.#head.length) {
      this.#head = grown(this.#head, index);
      this.#timestampUs = grown(this.#timestampUs, index);
      this.#value = grown(this.#value, index);
      this.#position = grown(this.#position, index);
    }
    this.#head[index] = head;
    this.#timestampUs[index] = timestampUs;
    this.#value[index] = value;
    this.#position[index] = position;
    this.length = index + 1;
  }

  /** Throws if the samples from number `first` to `last`, counted from 1, have too many cells of attributes. */
  #requireCells(first: number, last: number): void {
    const attributes = this.#attributesUsed;
    if (last * attributes <= ATTRIBUTE_CELLS_MAX) return;
    const samples = Math.max(first, Math.floor(ATTRIBUTE_CELLS_MAX / attributes) + 1);
    throw new TooLarge(
      `the body has ${attributes} different attributes over ${samples} samples, send it in parts`,
      "body",
    );
  }

  /** The bytes of attributes so far. Those of the next rows begin there. */
  get textBytes(): number {
    return this.#textEnd;
  }

  /**
   * Adds samples whose columns were filled elsewhere. The offsets of their attributes point into the text of this builder,
   * from `textBytes` on.
   *
   * @param heads by sample: the index of its series. The positions follow `position`
   */
  addRows(rows: FilledColumns, heads: Uint32Array, position: number): void {
    const from = this.length;
    const to = from + rows.length;
    for (const { column } of rows.attributes) {
      if (column.used) continue;
      column.used = true;
      this.#attributesUsed++;
    }
    this.#requireCells(from + 1, to);
    if (to > this.#head.length) {
      this.#head = grown(this.#head, to);
      this.#timestampUs = grown(this.#timestampUs, to);
      this.#value = grown(this.#value, to);
      this.#position = grown(this.#position, to);
    }
    this.#head.set(heads, from);
    this.#timestampUs.set(rows.timestampUs, from);
    this.#value.set(rows.value, from);
    const positions = this.#position;
    for (let index = from, next = position; index < to; index++) positions[index] = next++;
    for (const { column, offset, length } of rows.attributes) {
      if (to >= column.length.length) {
        column.offset = grown(column.offset, to);
        column.length = grown(column.length, to);
      }
      column.offset.set(offset, from);
      column.length.set(length, from);
    }
    this.#reserveText(rows.text.length);
    this.#text.set(rows.text, this.#textEnd);
    this.#textEnd += rows.text.length;
    this.length = to;
  }

  /**
   * Rejects a sample. Past `REASONS_MAX`, texts are not kept, because all samples of a body may be invalid.
   *
   * @param payload returns what was sent, cut to a fixed length
   * @param reasonPastMax the reason of the others
   */
  reject(index: number, cause: string, reason: string, payload: () => string, reasonPastMax: string): void {
    const isDescribed = this.rejected.length < REASONS_MAX;
    this.rejected.push({
      index,
      cause,
      reason: isDescribed ? reason : reasonPastMax,
      payload: isDescribed ? payload() : "",
    });
  }

  /** Makes the sample added last a stale marker. */
  markStale(): void {
    const stale = this.#stale;
    if (stale === undefined || stale.length < this.length) {
      this.#stale = new Uint8Array(this.#head.length);
      if (stale !== undefined) this.#stale.set(stale);
    }
    this.#stale![this.length - 1] = 1;
  }

  /**
   * Adds a warning: a part of a sample is not stored as it was sent. Equal warnings are one, with a count: a sender
   * makes the same mistake in each sample.
   *
   * @param label the field in counters: one of a few names
   * @param key what equal warnings have in common
   */
  warn(label: string, warning: Warning, key = `${warning.metric}\n${warning.message}`): void {
    this.#warningCounts.set(label, (this.#warningCounts.get(label) ?? 0) + 1);
    const before = this.#warnings.get(key);
    if (before !== undefined) before.samples++;
    else if (this.#warnings.size < WARNINGS_MAX) this.#warnings.set(key, { ...warning, samples: 1 });
  }

  /** Counts fields that samples do not have, under a name that the sender may choose. */
  countUnknownField(name: string, count = 1): void {
    this.#unknownFields ??= new Map();
    const isKnown = this.#unknownFields.has(name) || this.#unknownFields.size < UNKNOWN_FIELDS_MAX;
    const counted = isKnown ? name : OTHER_FIELDS;
    this.#unknownFields.set(counted, (this.#unknownFields.get(counted) ?? 0) + count);
  }

  addExemplar(exemplar: Exemplar): void {
    this.#exemplars.push(exemplar);
  }

  /** Returns the batch. The builder is empty afterwards. */
  take(): Batch {
    const { length } = this;
    const attributes: AttributeColumn[] = [];
    for (const column of this.#attributes.values()) {
      if (!column.used) continue;
      // Samples may have been added after the column last grew.
      attributes.push({
        name: column.name,
        offset: exactly(column.offset, length),
        length: exactly(column.length, length),
      });
      if (column.length.length > ROWS_KEPT_MAX) {
        column.offset = new Uint32Array(0);
        column.length = new Uint32Array(0);
      } else {
        column.offset.fill(0, 0, length + 1);
        column.length.fill(0, 0, length + 1);
      }
      column.used = false;
    }
    const batch: Batch = {
      protocol: this.#protocol,
      length,
      heads: this.#takeHeads(),
      head: this.#head.slice(0, length),
      timestampUs: this.#timestampUs.slice(0, length),
      value: this.#value.slice(0, length),
      stale: this.#stale === undefined ? undefined : exactly(this.#stale, length),
      attributes,
      text: new Uint8Array(this.#text.subarray(0, this.#textEnd)),
      position: this.#position.slice(0, length),
      exemplars: this.#exemplars.length === 0 ? undefined : this.#exemplars,
      rejected: this.rejected,
      warnings:
        this.#warnings.size === 0
          ? undefined
          : {
              first: [...this.#warnings.values()],
              counts: this.#warningCounts,
              unknownFields: this.#unknownFields,
            },
    };
    this.#stale = undefined;
    this.#exemplars = [];
    this.rejected = [];
    if (this.#warnings.size > 0) {
      this.#warnings.clear();
      this.#warningCounts = new Map();
      this.#unknownFields = undefined;
    }
    this.length = 0;
    this.#textEnd = 0;
    this.#attributesUsed = 0;
    if (this.#text.length > TEXT_KEPT_MAX) this.#text = Buffer.allocUnsafeSlow(65_536);
    return batch;
  }

  /** The heads of the batch: the list of an earlier batch if it has the same. */
  #takeHeads(): readonly SeriesHead[] {
    const repeated = this.#repeated;
    const count = this.#headCount;
    this.#headCount = 0;
    this.#repeated = undefined;
    if (repeated !== undefined && repeated.length === count) return repeated;
    const heads = repeated === undefined ? this.#heads : repeated.slice(0, count);
    this.#heads = [];
    const headsMax = Math.max(LISTED_HEADS_MAX, 2 * this.#seriesCount());
    if (count >= LIST_LENGTH_MIN && count <= headsMax) {
      this.#listedHeads += count;
      if (this.#listedHeads > headsMax) {
        this.#lists = new WeakMap();
        this.#listedHeads = count;
      }
      this.#lists.set(heads[0]!, heads);
    }
    return heads;
  }

  /** Drops everything that was gathered, after an error. */
  clear(): void {
    this.take();
  }
}

function grown<T extends Uint32Array | Float64Array>(array: T, index: number): T {
  const larger = new (array.constructor as new (length: number) => T)(
    Math.max(array.length * 2, index + 1, 1_024),
  );
  larger.set(array);
  return larger;
}

function exactly<T extends Uint32Array | Uint8Array>(array: T, length: number): T {
  if (array.length >= length) return array.slice(0, length) as T;
  const padded = new (array.constructor as new (length: number) => T)(length);
  padded.set(array);
  return padded;
}
