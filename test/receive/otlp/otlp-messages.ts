/**
 * The messages of OTLP metrics as the reference package protobufjs reads and writes them, field by field as
 * opentelemetry-proto numbers them, and decoded requests as plain lines.
 */
import protobuf from "protobufjs";
import { OtlpDecoder } from "../../../src/receive/otlp/decode/otlp-decoder.ts";
import type { OtlpRequest } from "../../../src/receive/otlp/decode/point-gatherer.ts";
import type { LabelOptions } from "../../../src/receive/otlp/labels/point-labels.ts";
import { TRANSLATIONS } from "../../../src/receive/otlp/labels/translated-names.ts";

const { root } = protobuf.parse(`syntax = "proto3"; package otlp;
  message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
  message ExportMetricsServiceResponse { ExportMetricsPartialSuccess partial_success = 1; }
  message ExportMetricsPartialSuccess { int64 rejected_data_points = 1; string error_message = 2; }
  message Status { int32 code = 1; string message = 2; }
  message RetryStatus { int32 code = 1; string message = 2; repeated RetryAny details = 3; }
  message RetryAny { string type_url = 1; RetryInfo value = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
  message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
  message ScopeMetrics { InstrumentationScope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
  message InstrumentationScope {
    string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4;
  }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue {
    oneof value {
      string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
      ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7;
    }
  }
  message ArrayValue { repeated AnyValue values = 1; }
  message KeyValueList { repeated KeyValue values = 1; }
  message Metric {
    string name = 1; string description = 2; string unit = 3;
    oneof data {
      Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10;
      Summary summary = 11;
    }
    repeated KeyValue metadata = 12;
  }
  message Gauge { repeated NumberDataPoint data_points = 1; }
  message Sum { repeated NumberDataPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
  message Histogram { repeated HistogramDataPoint data_points = 1; int32 aggregation_temporality = 2; }
  message ExponentialHistogram {
    repeated ExponentialHistogramDataPoint data_points = 1; int32 aggregation_temporality = 2;
  }
  message Summary { repeated SummaryDataPoint data_points = 1; }
  message NumberDataPoint {
    repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
    oneof value { double as_double = 4; sfixed64 as_int = 6; }
    repeated Exemplar exemplars = 5; uint32 flags = 8;
  }
  message HistogramDataPoint {
    repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
    optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
    repeated Exemplar exemplars = 8; uint32 flags = 10; optional double min = 11; optional double max = 12;
  }
  message ExponentialHistogramDataPoint {
    repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
    optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9;
    uint32 flags = 10; repeated Exemplar exemplars = 11; optional double min = 12; optional double max = 13;
    double zero_threshold = 14;
    message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
  }
  message SummaryDataPoint {
    repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
    double sum = 5; repeated ValueAtQuantile quantile_values = 6; uint32 flags = 8;
    message ValueAtQuantile { double quantile = 1; double value = 2; }
  }
  message Exemplar {
    repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2;
    oneof value { double as_double = 3; sfixed64 as_int = 6; } bytes span_id = 4; bytes trace_id = 5;
  }`);

const Request = root.lookupType("otlp.ExportMetricsServiceRequest");

/** The reference package's reader of a message, such as `Status`. */
export function read(message: string, body: Uint8Array): Record<string, unknown> {
  const type = root.lookupType(`otlp.${message}`);
  return type.toObject(type.decode(body), { longs: String, defaults: true });
}

/** A part of what `read` returns, by the names and indexes that lead to it. */
export function partOf(message: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (part, key) => (part as Readonly<Record<string | number, unknown>> | undefined)?.[key],
    message,
  );
}

/** A request as OTLP/JSON has it, with times as texts. */
export type JsonRequest = { readonly resourceMetrics: readonly object[] };

/** The request as protobuf. */
export function encode(request: JsonRequest): Buffer {
  // The reference package reads bytes in base64, and OTLP/JSON has ids in hexadecimal.
  const text = JSON.stringify(request, (name, value) =>
    name === "traceId" || name === "spanId" ? Buffer.from(value, "hex").toString("base64") : value,
  );
  return Buffer.from(Request.encode(Request.fromObject(JSON.parse(text))).finish());
}

export const DEFAULTS: LabelOptions = {
  translation: TRANSLATIONS["underscore-escaping-with-suffixes"],
  promoteResourceAttributes: [],
  ignoreResourceAttributes: [],
  promoteScope: false,
};

/** 2024-01-01 00:00 UTC. */
export const BEGIN_MS = 1_704_067_200_000;

/** Nanoseconds of a time some seconds after BEGIN_MS, as OTLP/JSON spells them. */
export function nano(seconds: number): string {
  return `${BEGIN_MS / 1_000 + seconds}000000000`;
}

/** Attributes from a plain object: a text, a boolean, a whole number as BigInt, or a double. */
export function attributes(plain: Readonly<Record<string, string | boolean | number | bigint>>): object[] {
  return Object.entries(plain).map(([key, value]) => {
    if (typeof value === "string") return { key, value: { stringValue: value } };
    if (typeof value === "boolean") return { key, value: { boolValue: value } };
    return { key, value: typeof value === "bigint" ? { intValue: String(value) } : { doubleValue: value } };
  });
}

/** A request with metrics of one scope of a resource. */
export function request(
  metrics: readonly object[],
  resource: Readonly<Record<string, string>> = {},
): JsonRequest {
  return {
    resourceMetrics: [
      { resource: { attributes: attributes(resource) }, scopeMetrics: [{ scope: {}, metrics }] },
    ],
  };
}

/** Samples as lines: `name{label="value"} VALUE @SECONDS KIND`; `stale` for a stale marker. */
export function lines({ batch }: OtlpRequest): string[] {
  return Array.from({ length: batch.length }, (_, index) => {
    const { metric, labels, kind } = batch.heads[batch.head[index]!]!;
    const text = [...labels].map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",");
    const value = batch.stale?.[index] === 1 ? "stale" : String(batch.value[index]!);
    const seconds = (batch.timestampUs[index]! - BEGIN_MS * 1_000) / 1e6;
    return `${metric}${text === "" ? "" : `{${text}}`} ${value} @${seconds} ${kind}`;
  });
}

/** Everything of a decoded request, for comparisons. */
export function whole(decoded: OtlpRequest): object {
  const { batch, points, hasDeltas } = decoded;
  const { rejected, warnings, exemplars, heads } = batch;
  return {
    points,
    hasDeltas,
    lines: lines(decoded),
    positions: [...batch.position.subarray(0, batch.length)],
    metadata: heads.map(({ metric, type, unit, help }) => [metric, type, unit, help]),
    rejected,
    warnings: warnings && { first: warnings.first, counts: [...warnings.counts] },
    exemplars: exemplars?.map(({ head, labels, value, timestampUs }) => [
      heads[head]!.metric,
      [...heads[head]!.labels],
      [...labels],
      value,
      timestampUs,
    ]),
  };
}

export function decodeOnce(body: Uint8Array, options: Partial<LabelOptions> = {}): OtlpRequest {
  return new OtlpDecoder({ ...DEFAULTS, ...options }).decode(body);
}
