/** Which series have samples in which days: a bit for each, by day. */

export class SeriesDays {
  readonly #bits = new Map<number, Uint8Array>();

  /** Notes a sample; true when it is the series' first of that day. */
  touch(seriesId: number, day: number): boolean {
    let bits = this.#bits.get(day);
    const byte = seriesId >> 3;
    if (bits === undefined || byte >= bits.length) {
      const grown = new Uint8Array(Math.max(1_024, (bits?.length ?? 0) * 2, byte + 1));
      if (bits !== undefined) grown.set(bits);
      bits = grown;
      this.#bits.set(day, bits);
    }
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
    for (const [day, bits] of this.#bits) {
      if (day < firstDay || day > lastDay) continue;
      if (((bits[seriesId >> 3] ?? 0) & (1 << (seriesId & 7))) !== 0) return true;
    }
    return false;
  }

  forgetBefore(firstDay: number): void {
    for (const day of this.#bits.keys()) if (day < firstDay) this.#bits.delete(day);
  }
}
