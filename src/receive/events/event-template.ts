/**
 * The bytes of an event that was read before, with holes for what differs from event to event: time, value, and the
 * values of attributes. Senders repeat the order of their events, so the next event is probably like the one that
 * followed last time. If it has the same bytes between the holes, its parts need not be looked for.
 *
 * If it has other labels, it probably has the same layout: the same bytes between all values, those of labels included.
 * The template with these values of labels is then found by their hash.
 *
 * `scripts/bench` measures it with events.
 */
import type { AttributeBuffer } from "../../wire/batch-builder.ts";

/** What a hole of a template contains: a number of milliseconds, a number, or a text that goes to a column. */
export type Hole = "time" | "value" | AttributeBuffer;
/** What a hole of a layout contains. */
type LayoutHole = Hole | "label";

/** The holes of the event that is read, in their order. */
export class Holes {
  count = 0;
  readonly from: number[] = [];
  readonly to: number[] = [];
  readonly what: LayoutHole[] = [];

  add(what: LayoutHole, from: number, to: number): void {
    const index = this.count++;
    this.from[index] = from;
    this.to[index] = to;
    this.what[index] = what;
  }
}

export class EventTemplate {
  /** The number of the block of labels of such events. */
  readonly block: number;
  /** The layout of such events. Undefined if there are too many layouts. */
  layout: EventLayout | undefined;
  readonly holes: readonly Hole[];
  /** Whether a negative value needs a closer look. */
  readonly isNeverNegative: boolean;
  /** The template of the event that followed last time. */
  next: EventTemplate | undefined;
  /** The bytes between the holes. */
  readonly #runs: Runs;

  /** @param at the event's first byte in `body`, `end` the byte after it */
  constructor(block: number, body: Buffer, at: number, end: number, holes: Holes, isNeverNegative: boolean) {
    this.block = block;
    const own: number[] = [];
    for (let hole = 0; hole < holes.count; hole++) if (holes.what[hole] !== "label") own.push(hole);
    this.holes = own.map((hole) => holes.what[hole] as Hole);
    this.isNeverNegative = isNeverNegative;
    this.#runs = new Runs(body, at, end, holes, own);
  }

  /** As in `Runs`. */
  after(run: number, body: Buffer, words: DataView, at: number): number {
    return this.#runs.after(run, body, words, at);
  }
}

/** The bytes of an event between holes, one run after the other. There is one run more than holes. */
class Runs {
  readonly bytes: Buffer;
  readonly #words: DataView;
  /** Where each run begins; the end of the last one follows. */
  readonly begins: readonly number[];

  /** @param own the holes between which the runs are */
  constructor(body: Buffer, at: number, end: number, { from, to }: Holes, own: readonly number[]) {
    const runs: Buffer[] = [];
    const begins = [0];
    for (let run = 0; run <= own.length; run++) {
      const bytes = body.subarray(
        run === 0 ? at : to[own[run - 1]!],
        run === own.length ? end : from[own[run]!],
      );
      runs.push(bytes);
      begins.push(begins[run]! + bytes.length);
    }
    this.bytes = Buffer.concat(runs);
    this.#words = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    this.begins = begins;
  }

  /**
   * The position behind a run if `body` has its bytes at `at`, else -1.
   *
   * @param words a view of all bytes of `body`
   */
  after(run: number, body: Buffer, words: DataView, at: number): number {
    const begin = this.begins[run]!;
    const length = this.begins[run + 1]! - begin;
    if (at + length > body.length) return -1;
    const own = this.#words;
    const whole = length & ~3;
    for (let byte = 0; byte < whole; byte += 4)
      if (own.getInt32(begin + byte) !== words.getInt32(at + byte)) return -1;
    for (let byte = whole; byte < length; byte++) if (this.bytes[begin + byte] !== body[at + byte]) return -1;
    return at + length;
  }
}

const [QUOTE, SPACE, BACKSLASH, COMMA, CLOSE_BRACE] = [34, 32, 92, 44, 125];
/** A longer number is not looked at here, so that the end of a number is not searched in the rest of a body. */
const NUMBER_BYTES_MAX = 32;
/** FNV-1a, with an offset basis that is random per process: a sender cannot choose labels that collide. */
const HASH_SEED = crypto.getRandomValues(new Int32Array(1))[0]!;
const HASH_PRIME = 0x01000193;

/** What events have in common that have the same keys in the same order, but other values. */
class EventLayout {
  readonly #runs: Runs;
  readonly #holes: readonly LayoutHole[];
  /** The newest template of each hash of the values of labels. */
  readonly #templates = new Map<number, EventTemplate>();

  constructor(runs: Runs, holes: readonly LayoutHole[]) {
    this.#runs = runs;
    this.#holes = holes;
  }

  /** @param at the first byte of an event of this layout */
  add(template: EventTemplate, body: Buffer, words: DataView, at: number): void {
    const hash = this.#hashOf(body, words, at);
    if (hash !== undefined) this.#templates.set(hash, template);
  }

  /** The template that an event at a position may have. The caller compares its bytes. */
  find(body: Buffer, words: DataView, at: number): EventTemplate | undefined {
    const hash = this.#hashOf(body, words, at);
    return hash === undefined ? undefined : this.#templates.get(hash);
  }

  /** The hash of the values of labels. Undefined if the event has another layout. */
  #hashOf(body: Buffer, words: DataView, at: number): number | undefined {
    const holes = this.#holes;
    const runs = this.#runs;
    let hash = HASH_SEED;
    let p = at;
    for (let hole = 0; hole < holes.length; hole++) {
      p = runs.after(hole, body, words, p);
      if (p < 0) return undefined;
      const what = holes[hole]!;
      if (what === "time" || what === "value") {
        const limit = p + NUMBER_BYTES_MAX;
        for (let byte = body[p]; byte !== COMMA && byte !== CLOSE_BRACE && byte !== SPACE; byte = body[++p])
          if (p === limit) return undefined;
        continue;
      }
      for (let byte = body[p]!; byte !== QUOTE; byte = body[++p]!) {
        // Past the end a byte is undefined, and any comparison with undefined is false.
        if (!(byte >= SPACE) || byte === BACKSLASH) return undefined;
        if (what === "label") hash = Math.imul(hash ^ byte, HASH_PRIME);
      }
      if (what === "label") hash = Math.imul(hash ^ QUOTE, HASH_PRIME);
    }
    return runs.after(holes.length, body, words, p) < 0 ? undefined : hash;
  }
}

/** Templates are kept for this many blocks. Each takes some 500 bytes. */
const TEMPLATES_MAX = 8_192;
/** Layouts that are known. Senders write events in a few. */
const LAYOUTS_MAX = 256;
/** The most templates that are made before all are dropped: some are for spellings of a block that no longer occur. */
const MADE_MAX = 4 * TEMPLATES_MAX;

/** The templates of a decoder. */
export class EventTemplates {
  readonly #byBlock = new Map<number, EventTemplate>();
  /** By the bytes between all values, and what the values are. */
  readonly #layouts = new Map<string, EventLayout>();
  #made = 0;
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

  /** The template that the event at a position has, if it has the layout of the expected one, or of the last event. */
  alternative(body: Buffer, at: number): EventTemplate | undefined {
    const { expected } = this;
    const found = (expected ?? this.#last)?.layout?.find(body, this.wordsOf(body), at);
    return found === expected ? undefined : found;
  }

  /** Notes that the event had this template. */
  confirm(template: EventTemplate): void {
    if (this.#last !== undefined) this.#last.next = template;
    this.#last = template;
  }

  /** Notes where a template was made of, so that events of its layout find it. */
  addLayout(template: EventTemplate, body: Buffer, at: number, end: number, holes: Holes): void {
    if (++this.#made > MADE_MAX) this.clear();
    const what = holes.what.slice(0, holes.count);
    const runs = new Runs(body, at, end, holes, [...what.keys()]);
    const kinds = what.map((each) => (typeof each === "string" ? each : "text"));
    const key = `${kinds.join()} ${runs.begins.join()} ${runs.bytes.toString("latin1")}`;
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      if (this.#layouts.size >= LAYOUTS_MAX) return;
      layout = new EventLayout(runs, what);
      this.#layouts.set(key, layout);
    }
    template.layout = layout;
    layout.add(template, body, this.wordsOf(body), at);
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
    this.#layouts.clear();
    this.#made = 0;
    this.#last = undefined;
  }
}
