/**
 * The messages of remote_write as the reference package protobufjs reads and writes them: WriteRequest of 1.0
 * (prometheus.WriteRequest) and Request of 2.0 (io.prometheus.write.v2.Request), field by field as their
 * specifications number them.
 */
import protobuf from "protobufjs";

const HISTOGRAM = `
  message BucketSpan { sint32 offset = 1; uint32 length = 2; }
  message Histogram {
    oneof count { uint64 count_int = 1; double count_float = 2; }
    double sum = 3;
    sint32 schema = 4;
    double zero_threshold = 5;
    oneof zero_count { uint64 zero_count_int = 6; double zero_count_float = 7; }
    repeated BucketSpan negative_spans = 8;
    repeated sint64 negative_deltas = 9;
    repeated double negative_counts = 10;
    repeated BucketSpan positive_spans = 11;
    repeated sint64 positive_deltas = 12;
    repeated double positive_counts = 13;
    uint32 reset_hint = 14;
    int64 timestamp = 15;
    repeated double custom_values = 16;
  }
  message Sample { double value = 1; int64 timestamp = 2; }`;

const version1 = protobuf.parse(`syntax = "proto3"; package prometheus;
  ${HISTOGRAM}
  message WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
  message MetricMetadata { uint32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
  message TimeSeries {
    repeated Label labels = 1; repeated Sample samples = 2; repeated Exemplar exemplars = 3;
    repeated Histogram histograms = 4;
  }
  message Label { string name = 1; string value = 2; }
  message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }`).root;

const version2 = protobuf.parse(`syntax = "proto3"; package io.prometheus.write.v2;
  ${HISTOGRAM}
  message Request { repeated string symbols = 4; repeated TimeSeries timeseries = 5; }
  message TimeSeries {
    repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated Histogram histograms = 3;
    repeated Exemplar exemplars = 4; Metadata metadata = 5; int64 created_timestamp = 6;
  }
  message Exemplar { repeated uint32 labels_refs = 1; double value = 2; int64 timestamp = 3; }
  message Metadata { uint32 type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }`).root;

const WriteRequest = version1.lookupType("prometheus.WriteRequest");
const Request = version2.lookupType("io.prometheus.write.v2.Request");

export interface SampleMessage {
  readonly value?: number;
  readonly timestamp?: number;
}
export interface HistogramMessage {
  readonly countInt?: number;
  readonly countFloat?: number;
  readonly sum?: number;
  readonly schema?: number;
  readonly zeroThreshold?: number;
  readonly zeroCountInt?: number;
  readonly zeroCountFloat?: number;
  readonly negativeSpans?: readonly { offset?: number; length?: number }[];
  readonly negativeDeltas?: readonly number[];
  readonly negativeCounts?: readonly number[];
  readonly positiveSpans?: readonly { offset?: number; length?: number }[];
  readonly positiveDeltas?: readonly number[];
  readonly positiveCounts?: readonly number[];
  readonly resetHint?: number;
  readonly timestamp?: number;
  readonly customValues?: readonly number[];
}
export interface ExemplarMessage extends SampleMessage {
  readonly labels?: Readonly<Record<string, string>>;
}
export interface Metadata {
  readonly type?: number;
  readonly help?: string;
  readonly unit?: string;
}
/** A series that both versions can encode. */
export interface Series {
  readonly labels: readonly (readonly [name: string, value: string])[] | Readonly<Record<string, string>>;
  readonly samples?: readonly SampleMessage[];
  readonly histograms?: readonly HistogramMessage[];
  readonly exemplars?: readonly ExemplarMessage[];
  /** Version 2.0 only. */
  readonly metadata?: Metadata;
}

const pairsOf = (labels: Series["labels"]) =>
  Array.isArray(labels) ? (labels as [string, string][]) : Object.entries(labels as Record<string, string>);

/** A WriteRequest of version 1.0, uncompressed. */
export function encodeV1(
  series: readonly Series[],
  metadata: readonly (Metadata & { readonly metricFamilyName: string })[] = [],
): Buffer {
  const labelsOf = (labels: Series["labels"]) => pairsOf(labels).map(([name, value]) => ({ name, value }));
  const timeseries = series.map(({ labels, samples, histograms, exemplars }) => ({
    labels: labelsOf(labels),
    samples,
    histograms,
    exemplars: exemplars?.map((exemplar) => ({ ...exemplar, labels: labelsOf(exemplar.labels ?? {}) })),
  }));
  return Buffer.from(WriteRequest.encode(WriteRequest.create({ timeseries, metadata })).finish());
}

/** A Request of version 2.0, uncompressed. */
export function encodeV2(series: readonly Series[]): Buffer {
  const symbols = [""];
  const refs = new Map([["", 0]]);
  const ref = (text: string) => {
    const known = refs.get(text);
    if (known !== undefined) return known;
    refs.set(text, symbols.push(text) - 1);
    return symbols.length - 1;
  };
  const labelsRefs = (labels: Series["labels"]) => pairsOf(labels).flat().map(ref);
  const timeseries = series.map(({ labels, samples, histograms, exemplars, metadata }) => ({
    labelsRefs: labelsRefs(labels),
    samples,
    histograms,
    exemplars: exemplars?.map((exemplar) => ({ ...exemplar, labelsRefs: labelsRefs(exemplar.labels ?? {}) })),
    metadata: metadata && {
      type: metadata.type,
      helpRef: ref(metadata.help ?? ""),
      unitRef: ref(metadata.unit ?? ""),
    },
  }));
  return encodeRawV2({ symbols, timeseries });
}

/** A Request of version 2.0 from exactly these fields. */
export function encodeRawV2(request: { symbols: readonly string[]; timeseries: readonly object[] }): Buffer {
  return Buffer.from(Request.encode(Request.create(request)).finish());
}

/** What the reference package reads: labels and samples by series, in order. Times are numbers. */
export function readV1(body: Uint8Array): { labels: [string, string][]; samples: [number, number][] }[] {
  const message = WriteRequest.toObject(WriteRequest.decode(body), {
    longs: Number,
    arrays: true,
    defaults: true,
  });
  const timeseries = message.timeseries as {
    labels: { name: string; value: string }[];
    samples: { value: number; timestamp: number }[];
  }[];
  return timeseries.map(({ labels, samples }) => ({
    labels: labels.map(({ name, value }) => [name, value]),
    samples: samples.map(({ value, timestamp }) => [timestamp, value]),
  }));
}

/** As `readV1`, for version 2.0, with the type, help and unit of each series. */
export function readV2(body: Uint8Array) {
  const message = Request.toObject(Request.decode(body), { longs: Number, arrays: true, defaults: true });
  const { symbols, timeseries } = message as {
    symbols: string[];
    timeseries: {
      labelsRefs: number[];
      samples: { value: number; timestamp: number }[];
      metadata: { type: number; helpRef: number; unitRef: number };
    }[];
  };
  return timeseries.map(({ labelsRefs, samples, metadata }) => ({
    labels: Array.from({ length: labelsRefs.length / 2 }, (_, at): [string, string] => [
      symbols[labelsRefs[2 * at]!]!,
      symbols[labelsRefs[2 * at + 1]!]!,
    ]),
    samples: samples.map(({ value, timestamp }): [number, number] => [timestamp, value]),
    metadata: [metadata.type, symbols[metadata.helpRef]!, symbols[metadata.unitRef]!],
  }));
}

/** The metadata of a WriteRequest of version 1.0. */
export function readMetadata(body: Uint8Array): object[] {
  const message = WriteRequest.toObject(WriteRequest.decode(body), { arrays: true });
  return message.metadata as object[];
}
