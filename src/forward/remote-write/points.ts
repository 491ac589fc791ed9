/** Samples in the order in which remote_write sends them: series by series, and each series by time. */
import type { OutputSeries } from "./output-series.ts";

/** Columns of samples. A range of them is one request. */
export interface Points {
  readonly length: number;
  readonly series: readonly OutputSeries[];
  readonly ms: Float64Array;
  readonly value: Float64Array;
  /** 1 for a stale marker. */
  readonly stale: Uint8Array;
}

/** Gathers samples in any order. */
export class PointCollector {
  readonly #places = new Map<OutputSeries, number>();
  readonly #series: OutputSeries[] = [];
  readonly #place: number[] = [];
  readonly #ms: number[] = [];
  readonly #value: number[] = [];
  readonly #stale: number[] = [];

  get length(): number {
    return this.#ms.length;
  }

  add(series: OutputSeries, ms: number, value: number, isStale = false): void {
    let place = this.#places.get(series);
    if (place === undefined) {
      place = this.#series.length;
      this.#places.set(series, place);
      this.#series.push(series);
    }
    this.#place.push(place);
    this.#ms.push(ms);
    this.#value.push(value);
    this.#stale.push(isStale ? 1 : 0);
  }

  /**
   * The samples in order. Of samples of one series and millisecond the last one is kept: receivers have one value per time.
   *
   * @param shards the samples of a series are in one of so many parts
   */
  take(shards: number): Points[] {
    const places = this.#place;
    const ends = new Uint32Array(this.#series.length);
    for (const place of places) ends[place]!++;
    let sum = 0;
    for (let place = 0; place < ends.length; place++) {
      sum += ends[place]!;
      ends[place] = sum;
    }
    const order = new Uint32Array(places.length);
    const starts = Uint32Array.from(ends);
    for (let index = places.length - 1; index >= 0; index--) order[--starts[places[index]!]!] = index;
    const parts = Array.from({ length: shards }, () => [] as number[]);
    for (let place = 0; place < this.#series.length; place++) {
      const part = parts[this.#series[place]!.hash % shards]!;
      this.#addSeries(order.subarray(starts[place]!, ends[place]!), part);
    }
    return parts.filter((part) => part.length > 0).map((part) => this.#pointsOf(part));
  }

  #addSeries(indexes: Uint32Array, part: number[]): void {
    const ms = this.#ms;
    let isOrdered = true;
    for (let at = 1; at < indexes.length; at++)
      if (ms[indexes[at]!]! <= ms[indexes[at - 1]!]!) isOrdered = false;
    if (isOrdered) {
      for (const index of indexes) part.push(index);
      return;
    }
    // Equal times stay in the order of arrival.
    indexes.sort((a, b) => ms[a]! - ms[b]! || a - b);
    for (let at = 0; at < indexes.length; at++)
      if (at + 1 === indexes.length || ms[indexes[at + 1]!] !== ms[indexes[at]!]) part.push(indexes[at]!);
  }

  #pointsOf(part: readonly number[]): Points {
    return {
      length: part.length,
      series: part.map((index) => this.#series[this.#place[index]!]!),
      ms: Float64Array.from(part, (index) => this.#ms[index]!),
      value: Float64Array.from(part, (index) => this.#value[index]!),
      stale: Uint8Array.from(part, (index) => this.#stale[index]!),
    };
  }
}
