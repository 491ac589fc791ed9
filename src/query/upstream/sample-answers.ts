/** Decodes the answers to the requests of sample-requests.ts: bytes in, series with their samples out. */
import type { UpstreamProtocol } from "../../model/forwarding/upstream.ts";
import { decompressSnappyBlock } from "../../wire/compression/snappy.ts";
import { BYTES, FIXED64, ProtobufReader, VARINT } from "../../wire/protobuf.ts";
import { LabelSet } from "../promql/labels.ts";

/** Samples of one series in ascending order of time. */
export interface AnsweredSeries {
  readonly labels: LabelSet;
  readonly timestampsMs: number[];
  readonly values: number[];
  /** Positions of stale markers. */
  readonly staleAt: number[];
}

/** Bytes of an answer after decompression. */
const INFLATED_BYTES_MAX = 512 * 1_048_576;

/** @throws Error if the body is not what the protocol says */
export function decodeSamples(protocol: UpstreamProtocol, body: Uint8Array): readonly AnsweredSeries[] {
  switch (protocol) {
    case "export":
      return decodeLines(body);
    case "remote_read":
      return decodeRead(decompressSnappyBlock(body, INFLATED_BYTES_MAX));
    case "query":
      return decodeMatrix(body);
  }
}

interface ExportedLine {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (number | string | null)[];
  readonly timestamps: readonly number[];
}

/** A series can be on several lines. */
function decodeLines(body: Uint8Array): readonly AnsweredSeries[] {
  const found = new Map<string, AnsweredSeries>();
  for (const text of new TextDecoder().decode(body).split("\n")) {
    if (text === "") continue;
    const { metric, values, timestamps } = readLine(text);
    const labels = LabelSet.from(Object.entries(metric));
    const series = found.getOrInsertComputed(labels.key, () => emptySeries(labels));
    for (const [at, value] of values.entries()) {
      if (value === null) series.staleAt.push(series.values.length);
      series.timestampsMs.push(timestamps[at]);
      series.values.push(value === null ? Number.NaN : numberOf(value));
    }
  }
  return [...found.values()].map(inOrder);
}

/** VictoriaMetrics before 1.82 writes infinities as words without quotes. */
function readLine(text: string): ExportedLine {
  try {
    return JSON.parse(text) as ExportedLine;
  } catch (error) {
    // A quote in a label has a backslash before it, so this is no label.
    const from = text.lastIndexOf('},"values":[');
    if (from < 0) throw error;
    const words = text.slice(from).replace(/([[,])([+-]?(?:Inf(?:inity)?|inf|NaN))(?=[\],])/g, '$1"$2"');
    return JSON.parse(text.slice(0, from) + words) as ExportedLine;
  }
}

/** Lines of one series with and without special values follow each other, so their times may not ascend. */
function inOrder(series: AnsweredSeries): AnsweredSeries {
  const { labels, timestampsMs, values, staleAt } = series;
  if (timestampsMs.every((time, at) => at === 0 || timestampsMs[at - 1] <= time)) return series;
  const isStale = new Set(staleAt);
  const order = [...timestampsMs.keys()].sort((a, b) => timestampsMs[a] - timestampsMs[b]);
  return {
    labels,
    timestampsMs: order.map((at) => timestampsMs[at]),
    values: order.map((at) => values[at]),
    staleAt: order.flatMap((from, at) => (isStale.has(from) ? [at] : [])),
  };
}

interface MatrixAnswer {
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly values?: readonly (readonly [seconds: number, value: string])[];
    }[];
  };
}

function decodeMatrix(body: Uint8Array): readonly AnsweredSeries[] {
  const { data } = JSON.parse(new TextDecoder().decode(body)) as MatrixAnswer;
  return data.result.map(({ metric, values = [] }) => ({
    labels: LabelSet.from(Object.entries(metric)),
    timestampsMs: values.map(([seconds]) => Math.round(seconds * 1000)),
    values: values.map(([, value]) => numberOf(value)),
    staleAt: [],
  }));
}

const SPECIAL: Readonly<Record<string, number>> = {
  "+Inf": Number.POSITIVE_INFINITY,
  "-Inf": Number.NEGATIVE_INFINITY,
  Inf: Number.POSITIVE_INFINITY,
  inf: Number.POSITIVE_INFINITY,
  "+inf": Number.POSITIVE_INFINITY,
  "-inf": Number.NEGATIVE_INFINITY,
};

function numberOf(value: number | string): number {
  return typeof value === "number" ? value : (SPECIAL[value] ?? Number(value));
}

const field = (id: number, type: number) => id * 8 + type;

/** A ReadResponse (prompb/remote.proto). */
function decodeRead(message: Uint8Array): readonly AnsweredSeries[] {
  const reader = new ProtobufReader();
  reader.open(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
  const series: AnsweredSeries[] = [];
  eachField(reader, message.length, (result) => {
    if (result !== field(1, BYTES)) return false;
    eachField(reader, reader.length(), (each) => {
      if (each !== field(1, BYTES)) return false;
      series.push(decodeSeries(reader));
      return true;
    });
    return true;
  });
  return series;
}

/** A TimeSeries (prompb/types.proto). */
function decodeSeries(reader: ProtobufReader): AnsweredSeries {
  const labels: [string, string][] = [];
  const series = emptySeries(LabelSet.EMPTY);
  eachField(reader, reader.length(), (tag) => {
    if (tag === field(1, BYTES)) {
      let name = "";
      let value = "";
      eachField(reader, reader.length(), (part) => {
        if (part === field(1, BYTES)) name = reader.text();
        else if (part === field(2, BYTES)) value = reader.text();
        else return false;
        return true;
      });
      labels.push([name, value]);
      return true;
    }
    if (tag !== field(2, BYTES)) return false;
    let timestampMs = 0;
    let value = 0;
    let isStale = false;
    eachField(reader, reader.length(), (part) => {
      if (part === field(1, FIXED64)) {
        value = reader.double();
        isStale = reader.isStaleMarker();
      } else if (part === field(2, VARINT)) timestampMs = reader.int64();
      else return false;
      return true;
    });
    if (isStale) series.staleAt.push(series.values.length);
    series.timestampsMs.push(timestampMs);
    series.values.push(value);
    return true;
  });
  return { ...series, labels: LabelSet.from(labels) };
}

/** Calls `take` with the tag of each field up to `end`. Fields for which it returns false are skipped. */
function eachField(reader: ProtobufReader, end: number, take: (tag: number) => boolean): void {
  while (reader.at < end) {
    const tag = reader.uint32();
    if (!take(tag)) reader.skip(tag);
  }
  reader.expectEnd(end);
}

function emptySeries(labels: LabelSet): AnsweredSeries {
  return { labels, timestampsMs: [], values: [], staleAt: [] };
}
