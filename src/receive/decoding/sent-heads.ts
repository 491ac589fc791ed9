/**
 * The series of batches that are decoded by other threads. `HeadNumbers` is in the thread that decodes, and numbers them.
 * `HeadTable` is in the first thread, and finds them by number. Equal series of all threads are one object there, because
 * admission keeps its decision with that object.
 */
import { compactMap } from "../../model/memory/compact-map.ts";
import type { SeriesHead } from "../../model/sample.ts";
import type { FreshHeads } from "./decode-messages.ts";

/** Series that are remembered, however few exist, and series of all lists that are. */
export const HEADS_MAX = 262_144;
/** Remembered series per series that exists: two senders may write the labels of a series differently, and series end. */
const HEADS_PER_SERIES = 2;
/**
 * Series that a batch can send. The first thread makes an object of each without a pause: 10 ms. The first
 * thread decodes a batch with more new series, and the thread sends this many of them, so that the next batch has fewer.
 */
const FRESH_MAX = 1_500;
/** A shorter list is sent as quickly as it is found. */
const LIST_LENGTH_MIN = 16;

/** The series of a batch, as they are sent. */
interface NumberedHeads {
  readonly fresh: FreshHeads;
  readonly list: number;
  readonly numbers?: Uint32Array<ArrayBuffer>;
}

/**
 * How many series are remembered. A sender repeats its series in one order, so a bound below their number would forget each one
 * just before it comes again.
 */
interface HeadBounds {
  /** The number of series that exist. */
  readonly seriesCount?: () => number;
  /** For tests: series that are remembered, however few exist. */
  readonly headsMax?: number;
}

class HeadBound {
  readonly #seriesCount: () => number;
  readonly #headsMax: number;

  constructor({ seriesCount = () => 0, headsMax = HEADS_MAX }: HeadBounds) {
    this.#seriesCount = seriesCount;
    this.#headsMax = headsMax;
  }

  get heads(): number {
    return Math.max(this.#headsMax, HEADS_PER_SERIES * this.#seriesCount());
  }
}

export class HeadNumbers {
  readonly #bound: HeadBound;
  #numbers = new Map<SeriesHead, number>();
  #lists = new Map<readonly SeriesHead[], number>();
  /** Lists that were sent once. One that comes again is remembered. */
  #seen = new WeakSet<readonly SeriesHead[]>();
  #listed = 0;
  #generation = 0;

  constructor(bounds: HeadBounds = {}) {
    this.#bound = new HeadBound(bounds);
  }

  /** Forgets all series, so that they are sent again. */
  forget(): void {
    this.#numbers = new Map();
    this.#lists = new Map();
    this.#seen = new WeakSet();
    this.#listed = 0;
    this.#generation++;
  }

  /** The series of a batch as they are sent, or only those that are sent if there are too many. */
  of(heads: readonly SeriesHead[]): NumberedHeads | { readonly tooMany: FreshHeads } {
    const known = this.#lists.get(heads);
    if (known !== undefined) return { fresh: this.#fresh([]), list: known };
    if (this.#numbers.size + Math.min(heads.length, FRESH_MAX) > this.#bound.heads) this.forget();
    const fresh: SeriesHead[] = [];
    const numbers = new Uint32Array(heads.length);
    for (let index = 0; index < heads.length; index++) {
      const head = heads[index]!;
      let number = this.#numbers.get(head);
      if (number === undefined) {
        if (fresh.length === FRESH_MAX) return { tooMany: this.#fresh(fresh) };
        number = this.#numbers.size;
        this.#numbers.set(head, number);
        // Labels may be of a class, which would arrive without its methods.
        fresh.push({ ...head, labels: new Map(head.labels) });
      }
      numbers[index] = number;
    }
    return { fresh: this.#fresh(fresh), list: this.#remember(heads), numbers };
  }

  /** The number of a list that is remembered from now on, or -1. */
  #remember(heads: readonly SeriesHead[]): number {
    if (heads.length < LIST_LENGTH_MIN || this.#listed + heads.length > this.#bound.heads) return -1;
    if (!this.#seen.has(heads)) {
      this.#seen.add(heads);
      return -1;
    }
    const list = this.#lists.size;
    this.#lists.set(heads, list);
    this.#listed += heads.length;
    return list;
  }

  #fresh(heads: readonly SeriesHead[]): FreshHeads {
    return { generation: this.#generation, heads };
  }
}

/** The series of one kind of tasks, of all threads. Equal ones are one object. */
export class SharedHeads {
  readonly #finish: (head: SeriesHead) => SeriesHead;
  readonly #bound: HeadBound;
  readonly #heads = new Map<string, SeriesHead>();

  /** @param finish returns a series with what only the first thread knows of it */
  constructor(finish: (head: SeriesHead) => SeriesHead = (head) => head, bounds: HeadBounds = {}) {
    this.#finish = finish;
    this.#bound = new HeadBound(bounds);
  }

  /** The number of series. */
  get count(): number {
    return this.#heads.size;
  }

  of(sent: SeriesHead): SeriesHead {
    const head = this.#finish({ ...sent, labels: compactMap(sent.labels) });
    const { metric, kind, type, unit, help, exposed, keepsBoundText, labels } = head;
    // No byte can separate the parts: admission rejects control characters in labels later, so here they may still occur.
    const key = JSON.stringify([metric, kind, type, unit, help, exposed, keepsBoundText, ...labels]);
    const known = this.#heads.get(key);
    if (known !== undefined) return known;
    if (this.#heads.size >= this.#bound.heads) this.#heads.clear();
    this.#heads.set(key, head);
    return head;
  }
}

/** The series that one thread has sent of one kind of tasks. */
export class HeadTable {
  readonly #shared: SharedHeads;
  #heads: SeriesHead[] = [];
  #lists: (readonly SeriesHead[])[] = [];
  #generation = 0;

  constructor(shared: SharedHeads) {
    this.#shared = shared;
  }

  /** Adds series that were sent the first time. */
  add({ generation, heads }: FreshHeads): void {
    if (generation !== this.#generation) {
      this.#generation = generation;
      this.#heads = [];
      this.#lists = [];
    }
    for (const head of heads) this.#heads.push(this.#shared.of(head));
  }

  /** The series of a batch. For the same list they are the same object. */
  take({ fresh, list, numbers }: NumberedHeads): readonly SeriesHead[] {
    this.add(fresh);
    if (numbers === undefined) return this.#lists[list]!;
    const all = this.#heads;
    const heads: SeriesHead[] = [];
    for (let index = 0; index < numbers.length; index++) heads.push(all[numbers[index]!]!);
    if (list >= 0) this.#lists[list] = heads;
    return heads;
  }
}
