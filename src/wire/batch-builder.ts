/**
 * Gathers the samples of one body into columns. The room is used again for every body; `take()` gives copies of
 * the exact size, which are the batch's own.
 */
import { TooLarge } from "../model/errors.ts";
import {
  ATTRIBUTE_CELLS_MAX,
  type AttributeColumn,
  type Batch,
  type Exemplar,
  type Rejection,
  type SeriesHead,
  type Warning,
} from "../model/sample.ts";

/** As many as an answer tells; of the others only the number is kept. */
const WARNINGS_MAX = 1_000;
/** Larger rooms than these are given back after their batch. */
const ROWS_KEPT_MAX = 65_536;
const TEXT_KEPT_MAX = 8 * 1_048_576;

/** One attribute's byte ranges, zero where a sample has none. */
export class AttributeRoom {
  readonly name: string;
  offset = new Uint32Array(0);
  length = new Uint32Array(0);
  used = false;

  constructor(name: string) {
    this.name = name;
  }
}

export class BatchBuilder {
  readonly #protocol: string;
  #head = new Uint32Array(1_024);
  #timestampUs = new Float64Array(1_024);
  #value = new Float64Array(1_024);
  #position = new Uint32Array(1_024);
  /** Made with the first stale marker of a batch. */
  #stale: Uint8Array | undefined;
  #text = Buffer.allocUnsafeSlow(65_536);
  #textEnd = 0;
  #attributesUsed = 0;
  readonly #attributes = new Map<string, AttributeRoom>();
  #heads: SeriesHead[] = [];
  #exemplars: Exemplar[] = [];
  rejected: Rejection[] = [];
  #warnings: Warning[] = [];
  #warningCounts = new Map<string, number>();
  length = 0;

  constructor(protocol: string) {
    this.#protocol = protocol;
  }

  /** Adds a series of this batch and gives its index. */
  addHead(head: SeriesHead): number {
    return this.#heads.push(head) - 1;
  }

  /** The room of an attribute, made when first asked for. */
  attribute(name: string): AttributeRoom {
    let room = this.#attributes.get(name);
    if (room === undefined) {
      room = new AttributeRoom(name);
      this.#attributes.set(name, room);
    }
    return room;
  }

  /** Gives the next sample an attribute whose UTF-8 bytes stand in `source`. */
  setAttribute(room: AttributeRoom, source: Uint8Array, from: number, to: number): void {
    if (this.length >= room.length.length) {
      room.offset = grown(room.offset, this.length);
      room.length = grown(room.length, this.length);
    }
    const bytes = to - from;
    if (this.#textEnd + bytes > this.#text.length) {
      const text = Buffer.allocUnsafeSlow(Math.max(this.#text.length * 2, this.#textEnd + bytes));
      text.set(this.#text.subarray(0, this.#textEnd));
      this.#text = text;
    }
    const text = this.#text;
    let end = this.#textEnd;
    room.offset[this.length] = end;
    room.length[this.length] = bytes;
    if (!room.used) {
      room.used = true;
      this.#attributesUsed++;
    }
    for (let at = from; at < to; at++) text[end++] = source[at]!;
    this.#textEnd = end;
  }

  /** Forgets the attributes set for a sample that will not be added. */
  dropAttributes(): void {
    for (const room of this.#attributes.values()) room.length[this.length] = 0;
  }

  /** Adds a sample. */
  add(head: number, timestampUs: number, value: number, position: number): void {
    const index = this.length;
    if ((index + 1) * this.#attributesUsed > ATTRIBUTE_CELLS_MAX) {
      throw new TooLarge(
        `the body has ${this.#attributesUsed} different tags that are columns over ${index + 1} samples: send it in parts`,
        "body",
      );
    }
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

  /** Says of the sample added last that it is a stale marker. */
  markStale(): void {
    const stale = this.#stale;
    if (stale === undefined || stale.length < this.length) {
      this.#stale = new Uint8Array(this.#head.length);
      if (stale !== undefined) this.#stale.set(stale);
    }
    this.#stale![this.length - 1] = 1;
  }

  /** Notes that a part of a sample is not stored as it was sent; `label` is the field's for counters. */
  warn(label: string, warning: Warning): void {
    this.#warningCounts.set(label, (this.#warningCounts.get(label) ?? 0) + 1);
    if (this.#warnings.length < WARNINGS_MAX) this.#warnings.push(warning);
  }

  addExemplar(exemplar: Exemplar): void {
    this.#exemplars.push(exemplar);
  }

  /** The batch; the builder is empty after it. */
  take(): Batch {
    const { length } = this;
    const attributes: AttributeColumn[] = [];
    for (const room of this.#attributes.values()) {
      if (!room.used) continue;
      // The last samples may have come after the room last grew.
      attributes.push({
        name: room.name,
        offset: exactly(room.offset, length),
        length: exactly(room.length, length),
      });
      if (room.length.length > ROWS_KEPT_MAX) {
        room.offset = new Uint32Array(0);
        room.length = new Uint32Array(0);
      } else {
        room.offset.fill(0, 0, length + 1);
        room.length.fill(0, 0, length + 1);
      }
      room.used = false;
    }
    const batch: Batch = {
      protocol: this.#protocol,
      length,
      heads: this.#heads,
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
        this.#warnings.length === 0 ? undefined : { first: this.#warnings, counts: this.#warningCounts },
    };
    this.#stale = undefined;
    this.#heads = [];
    this.#exemplars = [];
    this.rejected = [];
    if (this.#warnings.length > 0) {
      this.#warnings = [];
      this.#warningCounts = new Map();
    }
    this.length = 0;
    this.#textEnd = 0;
    this.#attributesUsed = 0;
    if (this.#text.length > TEXT_KEPT_MAX) this.#text = Buffer.allocUnsafeSlow(65_536);
    return batch;
  }

  /** Forgets all that was gathered, after an error. */
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
