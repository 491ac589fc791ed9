/**
 * The bytes of an event that was read before, with holes for what differs from event to event: time, value, and the
 * values of attributes. Senders repeat the order of their events, so the next event is probably like the one that
 * followed last time. If it has the same bytes between the holes, its parts need not be looked for.
 *
 * `scripts/bench` measures it with events.
 */
import type { AttributeBuffer } from "../../wire/batch-builder.ts";

/** What a hole contains: a number of milliseconds, a number, or a text that goes to a column. */
export type Hole = "time" | "value" | AttributeBuffer;

/** The holes of the event that is read, in their order. */
export class Holes {
  count = 0;
  readonly from: number[] = [];
  readonly to: number[] = [];
  readonly what: Hole[] = [];

  add(what: Hole, from: number, to: number): void {
    const index = this.count++;
    this.from[index] = from;
    this.to[index] = to;
    this.what[index] = what;
  }
}

export class EventTemplate {
  /** The number of the block of labels of such events. */
  readonly block: number;
  readonly holes: readonly Hole[];
  /** Whether a negative value needs a closer look. */
  readonly isNeverNegative: boolean;
  /** The template of the event that followed last time. */
  next: EventTemplate | undefined;
  /** The bytes between the holes, one run after the other. */
  readonly #bytes: Buffer;
  readonly #words: DataView;
  /** Where each run begins; the end of the last one follows. There is one run more than holes. */
  readonly #begins: readonly number[];

  /** @param at the event's first byte in `body`, `end` the byte after it */
  constructor(
    block: number,
    body: Buffer,
    at: number,
    end: number,
    { count, from, to, what }: Holes,
    isNeverNegative: boolean,
  ) {
    this.block = block;
    this.holes = what.slice(0, count);
    this.isNeverNegative = isNeverNegative;
    const runs: Buffer[] = [];
    const begins = [0];
    for (let run = 0; run <= count; run++) {
      const bytes = body.subarray(run === 0 ? at : to[run - 1], run === count ? end : from[run]);
      runs.push(bytes);
      begins.push(begins[run]! + bytes.length);
    }
    this.#bytes = Buffer.concat(runs);
    this.#words = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
    this.#begins = begins;
  }

  /**
   * The position behind a run if `body` has its bytes at `at`, else -1.
   *
   * @param words a view of all bytes of `body`
   */
  after(run: number, body: Buffer, words: DataView, at: number): number {
    const begin = this.#begins[run]!;
    const length = this.#begins[run + 1]! - begin;
    if (at + length > body.length) return -1;
    const own = this.#words;
    const whole = length & ~3;
    for (let byte = 0; byte < whole; byte += 4)
      if (own.getInt32(begin + byte) !== words.getInt32(at + byte)) return -1;
    for (let byte = whole; byte < length; byte++)
      if (this.#bytes[begin + byte] !== body[at + byte]) return -1;
    return at + length;
  }
}

/** Templates are kept for this many blocks. Each takes some 500 bytes. */
const TEMPLATES_MAX = 8_192;

/** The templates of a decoder. */
export class EventTemplates {
  readonly #byBlock = new Map<number, EventTemplate>();
  #last: EventTemplate | undefined;
  #source: Buffer = Buffer.alloc(0);
  #words: DataView = new DataView(new ArrayBuffer(0));

  /** The template that the next event probably has. */
  get expected(): EventTemplate | undefined {
    return this.#last?.next;
  }

  /** A view of all bytes of a body. */
  wordsOf(body: Buffer): DataView {
    if (body !== this.#source) {
      this.#source = body;
      this.#words = new DataView(body.buffer, body.byteOffset, body.length);
    }
    return this.#words;
  }

  /** Notes that the event had the expected template. */
  confirm(): void {
    this.#last = this.expected;
  }

  /** Notes the block of an event that had another template. `make` makes the template, if it can have one. */
  follow(block: number, make: () => EventTemplate | undefined): void {
    let template = this.#byBlock.get(block);
    // The expected one of this block did not match: the sender writes it in another way now.
    if (template === undefined ? this.#byBlock.size < TEMPLATES_MAX : template === this.expected) {
      template = make();
      if (template === undefined) this.#byBlock.delete(block);
      else this.#byBlock.set(block, template);
    }
    if (this.#last !== undefined) this.#last.next = template;
    this.#last = template;
  }

  /** Forgets the last event. */
  interrupt(): void {
    this.#last = undefined;
  }

  clear(): void {
    this.#byBlock.clear();
    this.#last = undefined;
  }
}
