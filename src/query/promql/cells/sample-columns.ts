/** The recent samples of some series as columns, which can be sent to another thread. */
import type { TrackedSamples } from "./tracked-samples.ts";

/** What is read of series: the samples after one time up to and including another, and the last one before them. */
export interface SamplesAsked {
  readonly afterMs: number;
  readonly toMs: number;
}

/** Every array is a copy that belongs to the receiver. */
export interface SampleColumns {
  /** The series that are kept, in any order. The rows of the others have to be read. */
  readonly seriesIds: Uint32Array;
  /** By series: 1 if the first of its samples is the last one before the range. Otherwise it is not known. */
  readonly hasBefore: Uint8Array;
  /** By series: the number of its samples. */
  readonly lengths: Uint32Array;
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  /** 1 for stale markers; absent if there is none. */
  readonly stale?: Uint8Array;
}

/** The samples of one series: views of the columns. */
export interface KeptSamples {
  readonly timestampsMs: Float64Array;
  readonly values: Float64Array;
  readonly stale: Uint8Array | undefined;
  /** The last sample before the range; undefined if it is not known. Without a value it is a stale marker. */
  readonly before: { readonly timestampMs: number; readonly value: number | undefined } | undefined;
}

/** Series and samples that are copied without a pause: some 5 ms. More are read from rows, in portions. */
const SERIES_AT_ONCE = 5_000;
const SAMPLES_AT_ONCE = 200_000;

/**
 * The samples of a range, or undefined if they are too many to be copied at once. As the statements of
 * sql/query/promql_samples.sql: the engine has whole microseconds.
 */
export function sampleColumnsOf(
  series: readonly { readonly seriesId: number; readonly tracked: TrackedSamples }[],
  { afterMs, toMs }: SamplesAsked,
): SampleColumns | undefined {
  if (series.length > SERIES_AT_ONCE) return undefined;
  const [afterUs, toUs] = [Math.floor(afterMs * 1_000), Math.floor(toMs * 1_000)];
  const hasBefore = new Uint8Array(series.length);
  const lengths = new Uint32Array(series.length);
  const ends = new Uint32Array(series.length);
  let length = 0;
  for (const [at, { tracked }] of series.entries()) {
    const [after, end] = [tracked.countUpTo(afterUs), tracked.countUpTo(toUs)];
    hasBefore[at] = Math.min(1, after);
    lengths[at] = end - after + hasBefore[at]!;
    ends[at] = end;
    length += lengths[at]!;
  }
  if (length > SAMPLES_AT_ONCE) return undefined;
  const timestampsMs = new Float64Array(length);
  const values = new Float64Array(length);
  const stale = new Uint8Array(length);
  let place = 0;
  for (const [at, { tracked }] of series.entries()) {
    tracked.copy(ends[at]! - lengths[at]!, ends[at]!, { timestampsMs, values, stale }, place);
    place += lengths[at]!;
  }
  const seriesIds = Uint32Array.from(series, ({ seriesId }) => seriesId);
  return { seriesIds, hasBefore, lengths, timestampsMs, values, ...(stale.includes(1) ? { stale } : {}) };
}

/** The samples by series. */
export function samplesBySeries(columns: SampleColumns): Map<number, KeptSamples> {
  const { timestampsMs, values, stale } = columns;
  const found = new Map<number, KeptSamples>();
  let begin = 0;
  for (const [at, seriesId] of columns.seriesIds.entries()) {
    const end = begin + columns.lengths[at]!;
    const hasBefore = columns.hasBefore[at] === 1;
    const from = hasBefore ? begin + 1 : begin;
    found.set(seriesId, {
      timestampsMs: timestampsMs.subarray(from, end),
      values: values.subarray(from, end),
      stale: marksWithin(stale?.subarray(from, end)),
      before: hasBefore
        ? { timestampMs: timestampsMs[begin]!, value: stale?.[begin] === 1 ? undefined : values[begin]! }
        : undefined,
    });
    begin = end;
  }
  return found;
}

function marksWithin(stale: Uint8Array | undefined): Uint8Array | undefined {
  return stale?.includes(1) ? stale : undefined;
}

/** The buffers of columns, which can be transferred. */
export function buffersOfSamples(columns: SampleColumns): ArrayBuffer[] {
  return Object.values(columns).map(({ buffer }) => buffer as ArrayBuffer);
}
