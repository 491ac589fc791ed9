/**
 * Reads blocks as typed arrays: the inverse of encode.ts, for many blocks at once. sql/store/unpacked_blocks.sql computes the
 * same in SQL, with the same operations in the same order, so both return the same bits. It runs in Workers too, and
 * imports nothing.
 */

/** Lists of numbers, one for each row of a result. */
export interface NumberLists<Items extends Int32Array | Float64Array> {
  /** Where the list of each row begins among the items. */
  readonly begins: Uint32Array;
  /** 0 for a row without a list. */
  readonly lengths: Uint32Array;
  readonly items: Items;
  /** 1 for each item that is NULL; absent if none is. */
  readonly nulls?: Uint8Array | undefined;
}

/**
 * Rows of a statement over blocks and rows of one day. A row is a block, or else the samples of one series that are stored as
 * rows: its `samples` is 0 then, its times are in `rowTimes`, and its values in `raws`. All arrays are copies.
 */
export interface EncodedBlocks {
  readonly seriesIds: Uint32Array;
  readonly samples: Uint32Array;
  /** The time of the first sample, or that of an item 0 of `times`. */
  readonly firstUs: Float64Array;
  readonly unitUs: Float64Array;
  /** Units between two samples, a whole number. 0 if there are `times`. */
  readonly step: Float64Array;
  readonly base: Float64Array;
  readonly scale: Float64Array;
  /** Units since `firstUs`. */
  readonly times: NumberLists<Float64Array>;
  readonly wholes: NumberLists<Int32Array>;
  readonly raws: NumberLists<Float64Array>;
  /** Milliseconds since the epoch. */
  readonly rowTimes: NumberLists<Float64Array>;
  /** The positions of rows in the order of arrival, if they were asked for. */
  readonly arrivals?: NumberLists<Float64Array>;
}

/** Samples by row of an `EncodedBlocks`. */
export interface DecodedBlocks {
  readonly seriesIds: Uint32Array;
  readonly begins: Uint32Array;
  readonly lengths: Uint32Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** Of samples in blocks: -1, which is before all rows. Absent if it was not asked for. */
  readonly arrivals: Float64Array | undefined;
  /** 1 for each stale marker; absent if there is none. */
  readonly stale: Uint8Array | undefined;
}

/** A range of time in microseconds, open on the left. */
export interface RangeUs {
  readonly afterUs: number;
  readonly toUs: number;
}

/** Decodes the samples of blocks that are in a range. Rows are in it already. */
export function decodeBlocks(encoded: EncodedBlocks, range: RangeUs): DecodedBlocks {
  const { seriesIds, samples, rowTimes } = encoded;
  let most = 0;
  for (let row = 0; row < samples.length; row++) most += samples[row]! + rowTimes.lengths[row]!;
  const into = {
    timestampsMs: new Float64Array(most),
    values: new Float64Array(most),
    arrivals: encoded.arrivals && new Float64Array(most),
    stale: undefined as Uint8Array | undefined,
  };
  const begins = new Uint32Array(samples.length);
  const lengths = new Uint32Array(samples.length);
  let end = 0;
  for (let row = 0; row < samples.length; row++) {
    begins[row] = end;
    end = samples[row]! > 0 ? decodeBlock(encoded, row, range, into, end) : copyRows(encoded, row, into, end);
    lengths[row] = end - begins[row]!;
  }
  return {
    seriesIds,
    begins,
    lengths,
    timestampsMs: into.timestampsMs.subarray(0, end),
    values: into.values.subarray(0, end),
    arrivals: into.arrivals?.subarray(0, end),
    stale: into.stale?.subarray(0, end),
  };
}

interface Into {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly arrivals: Float64Array | undefined;
  stale: Uint8Array | undefined;
}

/** Returns the end of what it wrote. */
function copyRows({ rowTimes, raws, arrivals }: EncodedBlocks, row: number, into: Into, at: number): number {
  const length = rowTimes.lengths[row]!;
  const from = rowTimes.begins[row]!;
  into.timestampsMs.set(rowTimes.items.subarray(from, from + length), at);
  const begin = raws.begins[row]!;
  into.values.set(raws.items.subarray(begin, begin + length), at);
  if (arrivals !== undefined) {
    const first = arrivals.begins[row]!;
    into.arrivals!.set(arrivals.items.subarray(first, first + length), at);
  }
  markStale(raws, begin, length, into, at);
  return at + length;
}

function decodeBlock(encoded: EncodedBlocks, row: number, range: RangeUs, into: Into, at: number): number {
  const { times, wholes, raws } = encoded;
  const count = encoded.samples[row]!;
  const firstUs = encoded.firstUs[row]!;
  const unitUs = encoded.unitUs[row]!;
  const stepUs = encoded.step[row]! * unitUs;
  const listed = times.lengths[row]! === 0 ? undefined : times.items;
  const listFrom = times.begins[row]!;
  const timeOf = (place: number) =>
    firstUs + (listed === undefined ? place * stepUs : unitUs * listed[listFrom + place]!);
  const from = firstAfter(range.afterUs, count, timeOf);
  const to = firstAfter(range.toUs, count, timeOf);
  const { timestampsMs, values } = into;
  if (listed === undefined)
    for (let place = from; place < to; place++)
      timestampsMs[at + place - from] = (firstUs + place * stepUs) / 1000;
  else
    for (let place = from; place < to; place++)
      timestampsMs[at + place - from] = (firstUs + unitUs * listed[listFrom + place]!) / 1000;
  if (raws.lengths[row]! > 0) {
    const begin = raws.begins[row]!;
    values.set(raws.items.subarray(begin + from, begin + to), at);
    markStale(raws, begin + from, to - from, into, at);
  } else {
    const base = encoded.base[row]!;
    const scale = encoded.scale[row]!;
    if (wholes.lengths[row]! === 0) values.fill(base / scale, at, at + to - from);
    else {
      const begin = wholes.begins[row]!;
      const { items } = wholes;
      for (let place = from; place < to; place++)
        values[at + place - from] = (base + items[begin + place]!) / scale;
      markStale(wholes, begin + from, to - from, into, at);
    }
  }
  into.arrivals?.fill(-1, at, at + to - from);
  return at + to - from;
}

/** The first place with a later time, of ascending times. */
function firstAfter(timeUs: number, count: number, timeOf: (place: number) => number): number {
  let from = 0;
  let to = count;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (timeOf(middle) <= timeUs) from = middle + 1;
    else to = middle;
  }
  return from;
}

function markStale(
  { nulls }: NumberLists<Int32Array | Float64Array>,
  from: number,
  length: number,
  into: Into,
  at: number,
): void {
  if (nulls === undefined) return;
  for (let place = 0; place < length; place++) {
    if (nulls[from + place] !== 1) continue;
    into.stale ??= new Uint8Array(into.values.length);
    into.stale[at + place] = 1;
  }
}
