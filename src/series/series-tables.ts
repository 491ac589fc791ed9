/**
 * Indexes of series: by id, by labels, and those of a metric in order. They have no text and no object per series. With
 * Maps and Sets, a series took 200 bytes more.
 */
import type { Series } from "../model/sample.ts";
import { labelsKey } from "./naming.ts";

/** Ids per page, as a power of two. Ids of years past take no memory. */
const PAGE_BITS = 12;
const PAGE_MASK = (1 << PAGE_BITS) - 1;

/** Series by id. Lists them in ascending order of ids. */
export class SeriesById {
  readonly #pages: ((Series | undefined)[] | undefined)[] = [];
  readonly #sizes: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(seriesId: number): Series | undefined {
    return this.#pages[seriesId >>> PAGE_BITS]?.[seriesId & PAGE_MASK];
  }

  set(series: Series): void {
    const number = series.seriesId >>> PAGE_BITS;
    const page = this.#pages[number] ?? [];
    this.#pages[number] = page;
    const at = series.seriesId & PAGE_MASK;
    while (page.length < at) page.push(undefined);
    if (page[at] === undefined) {
      this.#sizes[number] = (this.#sizes[number] ?? 0) + 1;
      this.#size++;
    }
    page[at] = series;
  }

  delete(seriesId: number): void {
    const number = seriesId >>> PAGE_BITS;
    const page = this.#pages[number];
    if (page?.[seriesId & PAGE_MASK] === undefined) return;
    page[seriesId & PAGE_MASK] = undefined;
    this.#size--;
    if (--this.#sizes[number]! === 0) this.#pages[number] = undefined;
  }

  *values(): Generator<Series, void> {
    for (const page of this.#pages) for (const series of page ?? []) if (series !== undefined) yield series;
  }
}

/** Slots per series: at least 4/3. */
const SLOTS_MIN = 8;

/**
 * Series of one metric by the key of their labels (`labelsKey`). A look-up compares hashes, and makes the key of the one
 * series that has the hash.
 */
export class SeriesByLabels {
  // Seeded, so that a sender cannot choose labels that collide.
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  #slots: (Series | undefined)[] = new Array(SLOTS_MIN).fill(undefined);
  #hashes = new Uint32Array(SLOTS_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): Series | undefined {
    return this.#slots[this.#find(key, this.#hashOf(key))];
  }

  /** Replaces the series that has the key, and returns it. */
  set(key: string, series: Series): Series | undefined {
    const hash = this.#hashOf(key);
    const slot = this.#find(key, hash);
    const before = this.#slots[slot];
    if (before === undefined) this.#size++;
    this.#slots[slot] = series;
    this.#hashes[slot] = hash;
    if (this.#size * 4 > this.#slots.length * 3) this.#grow();
    return before;
  }

  delete(key: string): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let free = this.#find(key, this.#hashOf(key));
    if (slots[free] === undefined) return;
    this.#size--;
    // Each later series of the run moves up, unless it would be in front of its own slot.
    for (let slot = (free + 1) & mask; slots[slot] !== undefined; slot = (slot + 1) & mask) {
      const own = this.#hashes[slot]! & mask;
      if (((slot - own) & mask) < ((slot - free) & mask)) continue;
      slots[free] = slots[slot];
      this.#hashes[free] = this.#hashes[slot]!;
      free = slot;
    }
    slots[free] = undefined;
  }

  *values(): Generator<Series, void> {
    for (const series of this.#slots) if (series !== undefined) yield series;
  }

  #hashOf(key: string): number {
    return Bun.hash.xxHash32(key, this.#seed);
  }

  /** The slot of a key, or the free slot in which it would be. */
  #find(key: string, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const series = this.#slots[slot];
      if (series === undefined) return slot;
      if (this.#hashes[slot] === hash && labelsKey(series.labels) === key) return slot;
    }
  }

  #grow(): void {
    const slots: (Series | undefined)[] = new Array(this.#slots.length * 2).fill(undefined);
    const hashes = new Uint32Array(slots.length);
    const mask = slots.length - 1;
    this.#slots.forEach((series, from) => {
      if (series === undefined) return;
      const hash = this.#hashes[from]!;
      let slot = hash & mask;
      while (slots[slot] !== undefined) slot = (slot + 1) & mask;
      slots[slot] = series;
      hashes[slot] = hash;
    });
    this.#slots = slots;
    this.#hashes = hashes;
  }
}

/** The series of one metric, in ascending order of ids. */
export class SeriesList {
  /** With those that were deleted, until they are the larger part. */
  #list: Series[] = [];
  readonly #deleted = new Set<Series>();

  get size(): number {
    return this.#list.length - this.#deleted.size;
  }

  has(series: Series): boolean {
    return this.#list[this.#after(series.seriesId) - 1] === series && !this.#deleted.has(series);
  }

  /** Adds a series that is not in the list. Its id is usually the largest. */
  add(series: Series): void {
    const at = this.#after(series.seriesId);
    if (at === this.#list.length) this.#list.push(series);
    else this.#list.splice(at, 0, series);
  }

  delete(series: Series): void {
    if (!this.has(series)) return;
    this.#deleted.add(series);
    if (this.#deleted.size * 2 <= this.#list.length) return;
    this.#list = this.#list.filter((each) => !this.#deleted.has(each));
    this.#deleted.clear();
  }

  /** Includes series that are added while it is read. */
  *values(): Generator<Series, void> {
    let last = -1;
    for (;;) {
      const list = this.#list;
      for (let at = this.#after(last); list === this.#list && at < list.length; at++) {
        const series = list[at]!;
        if (series.seriesId <= last) continue;
        last = series.seriesId;
        if (!this.#deleted.has(series)) yield series;
      }
      if (list === this.#list) return;
    }
  }

  [Symbol.iterator](): Generator<Series, void> {
    return this.values();
  }

  /** The position behind all series with ids up to this one. */
  #after(seriesId: number): number {
    const list = this.#list;
    let [from, to] = [0, list.length];
    if (to === 0 || list[to - 1]!.seriesId <= seriesId) return to;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (list[middle]!.seriesId <= seriesId) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
