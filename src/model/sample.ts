/**
 * The vocabulary of the gateway: what crosses the seams between its rooms.
 *
 * A decoder turns bytes into a `Batch`; admission turns a `Batch` into `Rows`, one per UTC day; the store
 * appends `Rows` and the running totals add them up. All three are columnar, so that no object exists per
 * sample once its bytes are decoded. This module imports nothing.
 */

/** What a sample means (DESIGN, section 3): a measurement, an increment, a level, a sender's running total. */
export type Kind = "observation" | "delta" | "gauge" | "cumulative";

/** What a metric's metadata calls it, in OpenMetrics terms. */
export type MetricType = "counter" | "gauge" | "histogram" | "summary" | "info" | "stateset" | "unknown";

/** Label names and values of one series, in ascending order of the names; empty values are left out. */
export type Labels = ReadonlyMap<string, string>;

/**
 * What a decoder read about a series, before admission: its metric, and every tag that is no attribute.
 * Decoders keep one head for equal bytes and hand out the same object again, so that admission can keep what
 * it decided about the head in `admission` and spare itself the look-up for every later sample.
 */
export interface SeriesHead {
  readonly metric: string;
  readonly kind: Kind;
  readonly type?: MetricType;
  readonly unit?: string;
  readonly help?: string;
  readonly labels: Labels;
  /** The series, where it was found or made in the same turn: it is not looked for again. */
  readonly seriesId?: number;
  /** Owned by src/ingest: the outcome of admission, valid while its epoch is. Decoders leave it undefined. */
  admission?: unknown;
  /** Likewise: whether its samples are those of /metrics that came back (src/ingest/admission/echoes.ts). */
  echo?: unknown;
}

/**
 * One attribute of the samples of a batch: byte ranges in `text`, by sample. A length of 0 says that the
 * sample has no such attribute.
 */
export interface AttributeColumn {
  readonly name: string;
  readonly offset: Uint32Array;
  readonly length: Uint32Array;
}

/**
 * How many cells the attribute columns of one batch may have: 8 bytes each, 128 MB. Each column has a cell for
 * every sample, so that a few samples with a tag of their own make all others larger.
 */
export const ATTRIBUTE_CELLS_MAX = 16_777_216;

/** A sample that was turned away: its index in the body, why, in a sentence that quotes it, and a counter label. */
export interface Rejection {
  readonly index: number;
  readonly reason: string;
  /** A short, bounded word for counters: `timestamp`, `value`, `name`, `labels`, `kind`, `syntax` … */
  readonly cause: string;
  /** The sample as it came, capped, for the `rejected` table. */
  readonly payload: string;
}

/** A part of an accepted sample that is not stored as it was sent: its index in the body, the field, a sentence, its metric. */
export interface Warning {
  readonly index: number;
  readonly field: string;
  readonly message: string;
  readonly metric: string;
}

/** The warnings of one body. */
export interface Warnings {
  /** The first ones, in the body's order. */
  readonly first: readonly Warning[];
  /** How many there are of each label of counters, which are few; all of them counted. */
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * A measurement that stands for others of its series, with labels that lead on, such as a trace's id: an exemplar
 * of OpenMetrics. It is no sample, and counts in nothing.
 */
export interface Exemplar {
  /** The index of its series in the batch's heads. */
  readonly head: number;
  readonly timestampUs: number;
  readonly value: number;
  readonly labels: Labels;
}

/** Decoded samples of one request: the value that crosses from decoding to admission. */
export interface Batch {
  /** The protocol's short name, for counters and dead letters: `events`, `sampler` … */
  readonly protocol: string;
  /** How many samples; the columns below may be longer. */
  readonly length: number;
  /** The distinct series of this batch. */
  readonly heads: readonly SeriesHead[];
  /** By sample: the index of its series in `heads`. */
  readonly head: Uint32Array;
  /** By sample: microseconds since the epoch, UTC; NaN where the sender gave none and arrival counts. */
  readonly timestampUs: Float64Array;
  readonly value: Float64Array;
  /** By sample: 1 where the sample is a stale marker (its value is then NULL). Absent when there is none. */
  readonly stale?: Uint8Array;
  readonly attributes: readonly AttributeColumn[];
  /** UTF-8, valid; what the attribute columns point into. */
  readonly text: Uint8Array;
  /** By sample: its index in the request's body (events rejected by the decoder leave gaps). */
  readonly position: Uint32Array;
  readonly exemplars?: readonly Exemplar[];
  /** What the decoder itself turned away. */
  readonly rejected: readonly Rejection[];
  /** What of the accepted samples is not stored as it was sent; absent where nothing is. */
  readonly warnings?: Warnings;
}

/** Admitted samples of one UTC day, in arrival order: the value that crosses from admission to the store. */
export interface Rows {
  /** Days since 1970-01-01. */
  readonly day: number;
  readonly length: number;
  readonly seriesId: Uint32Array;
  /** Microseconds since the epoch; whole numbers below 2^53. */
  readonly timestampUs: Float64Array;
  /** NaN is a value; where `stale` says so the stored value is NULL. */
  readonly value: Float64Array;
  readonly stale?: Uint8Array;
  /** By sample: 1 where the row counts in running totals. */
  readonly live: Uint8Array;
  readonly attributes: readonly AttributeColumn[];
  readonly text: Uint8Array;
}

/** A series as admission registered it; `seriesId` is never used again for another. */
export interface Series {
  readonly seriesId: number;
  readonly metric: Metric;
  readonly labels: Labels;
  /** Whether it is for /metrics: a series is as the protocol that brought it first. */
  readonly exposed: boolean;
}

/** A metric as admission registered it. `unit`, `help` and `type` are refined by later metadata. */
export interface Metric {
  /** As it was pushed: `http.request.duration_ms`. */
  readonly name: string;
  /** As Prometheus spells it: `http_request_duration_ms`. */
  readonly prometheusName: string;
  readonly kind: Kind;
  type: MetricType;
  unit: string;
  help: string;
  /** Upper bounds of the histogram of an observation, ascending, without +Inf; empty for other kinds. */
  readonly buckets: readonly number[];
}

export const MICROSECONDS_PER_DAY = 86_400_000_000;

/** The UTC day, in days since 1970-01-01, of a time in microseconds since the epoch. */
export function dayOf(timestampUs: number): number {
  return Math.floor(timestampUs / MICROSECONDS_PER_DAY);
}
