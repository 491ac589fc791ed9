/** Samples in the order in which remote_write sends them: series by series, and each series by time. */
import type { OutputSeries } from "./output-series.ts";
import type { SentExemplar } from "./sent-exemplars.ts";

/** What a destination calls a series. */
export interface OrderedSeries {
  /** The same in each process, so that a series stays in its part. */
  readonly hash: number;
}

/** Columns of samples. A range of them is one request. */
export interface Points<Of extends OrderedSeries = OutputSeries> {
  readonly length: number;
  readonly series: readonly Of[];
  readonly ms: Float64Array;
  readonly value: Float64Array;
  /** 1 for a stale marker. */
  readonly stale: Uint8Array;
  /** By series: exemplars that are sent with its first sample. */
  readonly exemplars: ReadonlyMap<Of, readonly SentExemplar[]>;
}

/** Collects samples in any order. */
export class PointCollector<Of extends OrderedSeries = OutputSeries> {
  readonly #places = new Map<Of, number>();
  readonly #series: Of[] = [];
  #length = 0;
  #place = new Uint32Array(1_024);
  #ms = new Float64Array(1_024);
  #value = new Float64Array(1_024);
  #stale = new Uint8Array(1_024);
  readonly #exemplars = new Map<Of, SentExemplar[]>();

  get length(): number {
    return this.#length;
  }

  /** The place of a series, by which its samples are added. */
  placeOf(series: Of): number {
    let place = this.#places.get(series);
    if (place === undefined) {
      place = this.#series.length;
      this.#places.set(series, place);
      this.#series.push(series);
    }
    return place;
  }

  add(place: number, ms: number, value: number, isStale = false): void {
    const at = this.#length++;
    if (at === this.#ms.length) this.#grow();
    this.#place[at] = place;
    this.#ms[at] = ms;
    this.#value[at] = value;
    this.#stale[at] = isStale ? 1 : 0;
  }

  /** Adds an exemplar of a series that has samples. */
  addExemplar(series: Of, exemplar: SentExemplar): void {
    this.#exemplars.getOrInsertComputed(series, () => []).push(exemplar);
  }

  #grow(): void {
    const size = this.#ms.length * 2;
    const widened = <Column extends Uint8Array | Uint32Array | Float64Array>(to: Column, from: Column) => {
      to.set(from);
      return to;
    };
    this.#place = widened(new Uint32Array(size), this.#place);
    this.#ms = widened(new Float64Array(size), this.#ms);
    this.#value = widened(new Float64Array(size), this.#value);
    this.#stale = widened(new Uint8Array(size), this.#stale);
  }

  /**
   * The samples in order. Of samples of one series and millisecond the last one is kept: receivers have one value per time.
   *
   * @param parts how many parts are returned; all samples of a series are in the same part
   */
  take(parts: number): Points<Of>[] {
    const places = this.#place;
    const length = this.#length;
    const ends = new Uint32Array(this.#series.length);
    for (let at = 0; at < length; at++) ends[places[at]!]!++;
    let sum = 0;
    for (let place = 0; place < ends.length; place++) {
      sum += ends[place]!;
      ends[place] = sum;
    }
    const order = new Uint32Array(length);
    const starts = Uint32Array.from(ends);
    for (let at = length - 1; at >= 0; at--) order[--starts[places[at]!]!] = at;
    const lists = Array.from({ length: parts }, () => ({ indexes: new Uint32Array(length), length: 0 }));
    for (let place = 0; place < this.#series.length; place++) {
      const list = lists[this.#series[place]!.hash % parts]!;
      const indexes = this.#ordered(order.subarray(starts[place]!, ends[place]!));
      list.indexes.set(indexes, list.length);
      list.length += indexes.length;
    }
    return lists
      .filter((list) => list.length > 0)
      .map((list) => this.#pointsOf(list.indexes.subarray(0, list.length)));
  }

  /** The samples of a series by time. */
  #ordered(indexes: Uint32Array): Uint32Array {
    const ms = this.#ms;
    let isOrdered = true;
    for (let at = 1; at < indexes.length; at++)
      if (ms[indexes[at]!]! <= ms[indexes[at - 1]!]!) isOrdered = false;
    if (isOrdered) return indexes;
    // Equal times stay in the order of arrival.
    indexes.sort((a, b) => ms[a]! - ms[b]! || a - b);
    return indexes.filter((index, at) => at + 1 === indexes.length || ms[indexes[at + 1]!] !== ms[index]);
  }

  #pointsOf(indexes: Uint32Array): Points<Of> {
    const { length } = indexes;
    const series = new Array<Of>(length);
    const points = {
      ...{ length, series, exemplars: this.#exemplars },
      ms: new Float64Array(length),
      value: new Float64Array(length),
      stale: new Uint8Array(length),
    };
    for (let at = 0; at < length; at++) {
      const index = indexes[at]!;
      series[at] = this.#series[this.#place[index]!]!;
      points.ms[at] = this.#ms[index]!;
      points.value[at] = this.#value[index]!;
      points.stale[at] = this.#stale[index]!;
    }
    return points;
  }
}
