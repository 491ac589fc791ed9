/**
 * A number per series, by series id. An id is used once, so after years only a few of all ids exist. A column
 * takes memory for the ids that have a number, and not for all ids that ever existed.
 */

/** Ids that share a page: 32 KiB. */
const PAGE_BITS = 12;
const PAGE_LENGTH = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_LENGTH - 1;

export class SeriesColumn {
  readonly #absent: number;
  readonly #pages: (Float64Array | undefined)[] = [];
  /** How many ids of each page have a number. */
  readonly #sizes: number[] = [];

  /** @param absent the value that means "no number"; not NaN */
  constructor(absent: number) {
    this.#absent = absent;
  }

  get(seriesId: number): number {
    const page = this.#pages[seriesId >>> PAGE_BITS];
    return page === undefined ? this.#absent : page[seriesId & PAGE_MASK]!;
  }

  /** Sets the number of a series, or removes it if `value` is `absent`. */
  set(seriesId: number, value: number): void {
    const number = seriesId >>> PAGE_BITS;
    let page = this.#pages[number];
    const absent = this.#absent;
    if (page === undefined) {
      if (value === absent) return;
      page = new Float64Array(PAGE_LENGTH).fill(absent);
      this.#pages[number] = page;
      this.#sizes[number] = 0;
    }
    const at = seriesId & PAGE_MASK;
    const before = page[at];
    page[at] = value;
    if (before === absent) this.#sizes[number]! += value === absent ? 0 : 1;
    else if (value === absent && --this.#sizes[number]! === 0) this.#pages[number] = undefined;
  }

  /** The bytes of memory that the numbers take. */
  get bytes(): number {
    return this.#pages.reduce((sum, page) => sum + (page?.byteLength ?? 0), 0);
  }
}
