/**
 * The vocabulary of the gateway: the values that cross the boundaries between its rooms.
 *
 * A decoder turns bytes into a `Batch`. Admission turns a `Batch` into `Rows`, one per UTC day. The store appends
 * `Rows`, and the running totals add them up. All three are columnar, so that no object exists per sample once its
 * bytes are decoded. This module imports nothing.
 *
 * A record belongs to the room that makes it. Any other room only reads it, and keeps what it knows about a record
 * itself. So every field is `readonly`, and the columns are `Readonly` too.
 */

/**
 * What a sample means: a measurement, an increment, a level, or a running total of the sender. See
 * src/README.md.
 */
export type Kind = "observation" | "delta" | "gauge" | "cumulative";

/** The type of a metric in its metadata, as OpenMetrics names it. */
export type MetricType = (typeof METRIC_TYPES)[number];
export const METRIC_TYPES = [
  "counter",
  "gauge",
  "histogram",
  "summary",
  "info",
  "stateset",
  "unknown",
] as const;

/** The longest help, and the longest unit, that an event can have. Other protocols have no such limit. */
export const HELP_CHARACTERS_MAX = 1_024;

/**
 * Label names and values of one series, in ascending order of the names. Empty values are left out. Decoders sort them,
 * since admission takes equal labels in another order for another series.
 */
export type Labels = ReadonlyMap<string, string>;

/**
 * What a decoder knows of a series before admission: its metric, and every tag that is not an attribute. A
 * decoder returns the same head object for equal bytes. Admission keeps its decision by that object, and so does not
 * look up the series of later samples.
 */
export interface SeriesHead {
  readonly metric: string;
  readonly kind: Kind;
  readonly type?: MetricType;
  readonly unit?: string;
  readonly help?: string;
  readonly labels: Labels;
  /** False for a series that /metrics does not expose, whatever the policy of the protocol is. */
  readonly exposed?: boolean;
  /** True if `le` and `quantile` are stored as they are spelled, whatever the policy of the protocol is. */
  readonly keepsBoundText?: boolean;
}

/**
 * One attribute of the samples of a batch: byte ranges in `text`, one per sample. A length of 0 means that the
 * sample does not have the attribute.
 */
export interface AttributeColumn {
  readonly name: string;
  readonly offset: Readonly<Uint32Array>;
  readonly length: Readonly<Uint32Array>;
}

/**
 * The most cells that the attribute columns of one batch can have: 8 bytes each, 128 MB. Each column has a cell
 * for every sample, so that a few samples with tags of their own make all samples larger.
 */
export const ATTRIBUTE_CELLS_MAX = 16_777_216;

/** A rejected sample: its index in the body, the reason (a sentence that quotes it), and a label for counters. */
export interface Rejection {
  readonly index: number;
  readonly reason: string;
  /** A short, bounded word for counters: `timestamp`, `value`, `name`, `labels`, `kind`, `syntax` … */
  readonly cause: string;
  /** The sample as sent, capped, for the `rejected` table. */
  readonly payload: string;
  /** Its metric and labels for the `rejected` table, if they are known. */
  readonly metric?: string;
  readonly labels?: Labels;
  /** The text from which it can be pushed again (src/ingest/admission/rejected-sample.ts). Empty if it cannot be. */
  readonly sample?: string;
}

/**
 * A part of an accepted sample that is not stored as sent: the sample's index, the field, a sentence, its
 * metric.
 */
export interface Warning {
  readonly index: number;
  readonly field: string;
  readonly message: string;
  readonly metric: string;
}

/** A warning with the number of samples of the body that have it. The other parts are those of the first of them. */
export interface RepeatedWarning extends Warning {
  readonly samples: number;
}

/** The warnings of one body. */
export interface Warnings {
  /** The first different warnings, in the body's order. */
  readonly first: readonly RepeatedWarning[];
  /** The number of all warnings, by their label for counters. The labels are few. */
  readonly counts: ReadonlyMap<string, number>;
  /** By the name of a field that samples do not have: how many samples had it. The number of names is limited. */
  readonly unknownFields?: ReadonlyMap<string, number>;
}

/** The name under which unknown fields are counted, once there are too many of them to have each a count of its own. */
export const OTHER_FIELDS = "other";

/**
 * An exemplar of OpenMetrics: a measurement that stands for others of its series, with labels that lead to
 * more, such as a trace's id. It is not a sample, and no query counts it.
 */
export interface Exemplar {
  /** The index of its series in the batch's heads. */
  readonly head: number;
  readonly timestampUs: number;
  readonly value: number;
  readonly labels: Labels;
}

/** The most characters of the names and values of an exemplar's labels together, as in OpenMetrics. */
export const EXEMPLAR_CHARACTERS_MAX = 128;

/** The characters that this limit counts. */
export function exemplarCharacters(labels: Iterable<readonly [string, string]>): number {
  let characters = 0;
  for (const [name, value] of labels) characters += [...name].length + [...value].length;
  return characters;
}

/** The decoded samples of one request: the value that crosses from decoding to admission. */
export interface Batch {
  /**
   * The protocol's short name: `events`, `sampler` … Ingest finds the policy by it (protocol.ts). Counters and the
   * `rejected` table have it too.
   */
  readonly protocol: string;
  /** The number of samples. The columns below may be longer. */
  readonly length: number;
  /** The distinct series of this batch. */
  readonly heads: readonly SeriesHead[];
  /** By sample: the index of its series in `heads`. */
  readonly head: Readonly<Uint32Array>;
  /**
   * By sample: microseconds since the epoch, UTC. NaN if the sender gave no time; the time of arrival is used
   * then.
   */
  readonly timestampUs: Readonly<Float64Array>;
  readonly value: Readonly<Float64Array>;
  /** By sample: 1 if the sample is a stale marker, whose value is NULL. Absent if there is none. */
  readonly stale?: Readonly<Uint8Array>;
  readonly attributes: readonly AttributeColumn[];
  /** Valid UTF-8. The attribute columns point into it. */
  readonly text: Readonly<Uint8Array>;
  /** By sample: its index in the request's body. Events that the decoder rejects leave gaps. */
  readonly position: Readonly<Uint32Array>;
  readonly exemplars?: readonly Exemplar[];
  /** Samples that the decoder rejected. */
  readonly rejected: readonly Rejection[];
  /** Parts of accepted samples that are not stored as sent. Absent if there are none. */
  readonly warnings?: Warnings;
}

/** Admitted samples of one UTC day, in arrival order: the value that crosses from admission to the store. */
export interface Rows {
  /** Days since 1970-01-01. */
  readonly day: number;
  readonly length: number;
  readonly seriesId: Readonly<Uint32Array>;
  /** Microseconds since the epoch: integers below 2^53. */
  readonly timestampUs: Readonly<Float64Array>;
  /** NaN is a value. Where `stale` is 1 the stored value is NULL. */
  readonly value: Readonly<Float64Array>;
  readonly stale?: Readonly<Uint8Array>;
  /** By sample: 1 if the row counts in running totals. */
  readonly live: Readonly<Uint8Array>;
  readonly attributes: readonly AttributeColumn[];
  readonly text: Readonly<Uint8Array>;
}

/** Rows from `from` up to, not including, `to`, as views. */
export function slicedRows(rows: Rows, from: number, to: number): Rows {
  if (from === 0 && to === rows.length) return rows;
  return {
    day: rows.day,
    length: to - from,
    seriesId: rows.seriesId.subarray(from, to),
    timestampUs: rows.timestampUs.subarray(from, to),
    value: rows.value.subarray(from, to),
    stale: rows.stale?.subarray(from, to),
    live: rows.live.subarray(from, to),
    attributes: rows.attributes.map(({ name, offset, length }) => ({
      name,
      offset: offset.subarray(from, to),
      length: length.subarray(from, to),
    })),
    text: rows.text,
  };
}

/** A series as admission registered it. `seriesId` is never used again for another series. */
export interface Series {
  readonly seriesId: number;
  readonly metric: Metric;
  readonly labels: Labels;
  /** Whether /metrics exposes it. The protocol that sent the series first decides. */
  readonly exposed: boolean;
}

/** A metric as admission registered it. The registry refines `unit`, `help` and `type` by later metadata. */
export interface Metric {
  /** The name as pushed: `http.request.duration_ms`. */
  readonly name: string;
  /** The name as Prometheus spells it: `http_request_duration_ms`. */
  readonly prometheusName: string;
  readonly kind: Kind;
  readonly type: MetricType;
  readonly unit: string;
  readonly help: string;
  /** Upper bounds of an observation's histogram, ascending, without +Inf. Empty for other kinds. */
  readonly buckets: readonly number[];
}

export const MICROSECONDS_PER_DAY = 86_400_000_000;

/** The UTC day, in days since 1970-01-01, of a time in microseconds since the epoch. */
export function dayOf(timestampUs: number): number {
  return Math.floor(timestampUs / MICROSECONDS_PER_DAY);
}
