/** Which series have samples in which days: one bit per series and day. */

/**
 * Ids per page of bits, as a power of two: 4,096 ids in 512 bytes. Few series with ids from past years have a sample
 * of today.
 */
const PAGE_BITS = 12;
const PAGE_BYTES = 1 << (PAGE_BITS - 3);

export class SeriesDays {
  /** By day and page. */
  readonly #bits = new Map<number, (Uint8Array | undefined)[]>();

  /** Notes a sample. Returns true if it is the first of the series in that day. */
  touch(seriesId: number, day: number): boolean {
    const pages = this.#bits.getOrInsertComputed(day, () => []);
    const number = seriesId >>> PAGE_BITS;
    let bits = pages[number];
    if (bits === undefined) {
      bits = new Uint8Array(PAGE_BYTES);
      pages[number] = bits;
    }
    const byte = (seriesId >>> 3) & (PAGE_BYTES - 1);
    const bit = 1 << (seriesId & 7);
    if ((bits[byte]! & bit) !== 0) return false;
    bits[byte]! |= bit;
    return true;
  }

  /** Whether the series has a sample in any day. */
  has(seriesId: number): boolean {
    return this.hasIn(seriesId, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  }

  /** Whether the series has a sample in any day from `firstDay` to `lastDay`. */
  hasIn(seriesId: number, firstDay: number, lastDay: number): boolean {
    const byte = (seriesId >>> 3) & (PAGE_BYTES - 1);
    for (const [day, pages] of this.#bits) {
      if (day < firstDay || day > lastDay) continue;
      const bits = pages[seriesId >>> PAGE_BITS];
      if (bits !== undefined && (bits[byte]! & (1 << (seriesId & 7))) !== 0) return true;
    }
    return false;
  }

  forgetBefore(firstDay: number): void {
    for (const day of this.#bits.keys()) if (day < firstDay) this.#bits.delete(day);
  }
}
