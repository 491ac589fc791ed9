/**
 * The newest timestamp admitted of each gauge and cumulative series: a sample that is newer cannot be stored
 * already, any other has to be looked for.
 */
export class NewestTimes {
  /** By series id, µs. */
  #us = new Float64Array(1_024).fill(Number.NEGATIVE_INFINITY);
  /** What `advance` overwrote, in its order. */
  #before = new Float64Array(1_024);

  get(seriesId: number): number {
    return this.#us[seriesId] ?? Number.NEGATIVE_INFINITY;
  }

  set(seriesId: number, us: number): void {
    if (seriesId >= this.#us.length) this.#grow(seriesId);
    this.#us[seriesId] = us;
  }

  /**
   * Notes samples in their order if each is newer than what is noted of its series by then; otherwise notes
   * none and says false.
   */
  advance(seriesId: Uint32Array, timestampUs: Float64Array, length: number): boolean {
    if (this.#before.length < length) this.#before = new Float64Array(length);
    const before = this.#before;
    for (let index = 0; index < length; index++) {
      const id = seriesId[index]!;
      if (id >= this.#us.length) this.#grow(id);
      const newest = this.#us;
      const was = newest[id]!;
      if (timestampUs[index]! > was) {
        before[index] = was;
        newest[id] = timestampUs[index]!;
        continue;
      }
      while (--index >= 0) newest[seriesId[index]!] = before[index]!;
      return false;
    }
    return true;
  }

  #grow(seriesId: number): void {
    const grown = new Float64Array(Math.max(this.#us.length * 2, seriesId + 1));
    grown.fill(Number.NEGATIVE_INFINITY, this.#us.length);
    grown.set(this.#us);
    this.#us = grown;
  }
}
