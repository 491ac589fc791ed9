/**
 * The newest admitted timestamp of each gauge and cumulative series. A newer sample cannot be stored already. Any
 * other sample must be looked up. Series of other kinds are noted only if they came with such series.
 *
 * For a series that has got no sample since the start, it is the newest stored timestamp.
 */
import { SeriesColumn } from "../../model/memory/series-column.ts";

const NONE = Number.NEGATIVE_INFINITY;

export class NewestTimes {
  /** µs. */
  readonly #us = new SeriesColumn(NONE);
  readonly #storedUs: (seriesId: number) => number;
  /** The timestamps that `advance` overwrote, in order. */
  #before = new Float64Array(1_024);

  /** @param storedUs returns a time after which a series has no stored sample, or -Infinity if it has none */
  constructor(storedUs: (seriesId: number) => number) {
    this.#storedUs = storedUs;
  }

  /** -Infinity if the series has no sample. */
  get(seriesId: number): number {
    const us = this.#us.get(seriesId);
    return us === NONE ? this.#storedUs(seriesId) : us;
  }

  set(seriesId: number, us: number): void {
    this.#us.set(seriesId, us);
  }

  /** Forgets series whose last row was dropped. */
  forget(seriesIds: readonly number[]): void {
    for (const seriesId of seriesIds) this.#us.set(seriesId, NONE);
  }

  /**
   * Notes the samples in order, if each is newer than the newest noted sample of its series. Otherwise notes none and
   * returns false.
   */
  advance(seriesId: Readonly<Uint32Array>, timestampUs: Readonly<Float64Array>, length: number): boolean {
    if (this.#before.length < length) this.#before = new Float64Array(length);
    const before = this.#before;
    const newest = this.#us;
    for (let index = 0; index < length; index++) {
      const id = seriesId[index]!;
      const was = this.get(id);
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
