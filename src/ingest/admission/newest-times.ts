/**
 * The newest timestamp admitted of each gauge and cumulative series: a sample that is newer cannot be stored
 * already, any other has to be looked for.
 */
import { SeriesColumn } from "../../model/series-column.ts";

export class NewestTimes {
  /** µs. */
  readonly #us = new SeriesColumn(Number.NEGATIVE_INFINITY);
  /** What `advance` overwrote, in its order. */
  #before = new Float64Array(1_024);

  get(seriesId: number): number {
    return this.#us.get(seriesId);
  }

  set(seriesId: number, us: number): void {
    this.#us.set(seriesId, us);
  }

  /** Forgets series whose last row is gone. */
  forget(seriesIds: readonly number[]): void {
    for (const seriesId of seriesIds) this.#us.set(seriesId, Number.NEGATIVE_INFINITY);
  }

  /**
   * Notes samples in their order if each is newer than what is noted of its series by then; otherwise notes
   * none and says false.
   */
  advance(seriesId: Uint32Array, timestampUs: Float64Array, length: number): boolean {
    if (this.#before.length < length) this.#before = new Float64Array(length);
    const before = this.#before;
    const newest = this.#us;
    for (let index = 0; index < length; index++) {
      const id = seriesId[index]!;
      const was = newest.get(id);
      if (timestampUs[index]! > was) {
        before[index] = was;
        newest.set(id, timestampUs[index]!);
        continue;
      }
      while (--index >= 0) newest.set(seriesId[index]!, before[index]!);
      return false;
    }
    return true;
  }
}
