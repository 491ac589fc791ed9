/**
 * Encodes the messages of remote_write: WriteRequest of version 1.0
 * (https://prometheus.io/docs/specs/prw/remote_write_spec/) and Request of version 2.0
 * (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/). Pure, except that a writer is used again.
 */
import type { MetricType } from "../../model/sample.ts";
import { ProtobufWriter, varintSize } from "../../wire/protobuf-writer.ts";
import { encodeLabels, type OutputMetadata, type OutputSeries } from "./output-series.ts";
import type { Points } from "./points.ts";
import type { SentExemplar } from "./sent-exemplars.ts";

/** The types by their number, in both versions. */
const TYPE_NUMBERS: Readonly<Record<MetricType, number>> = {
  unknown: 0,
  counter: 1,
  gauge: 2,
  histogram: 3,
  summary: 5,
  info: 6,
  stateset: 7,
};

/** A sample without its time: the tag of its value, the value, the tag of its time. */
const SAMPLE_BYTES = 10;
/** The bits of Prometheus's stale marker: 0x7ff0000000000002. */
const STALE_LOW = 2;
const STALE_HIGH = 0x7ff00000;

/** The message of some samples, uncompressed. It is valid until the next call of the same encoder. */
export type EncodeRequest = (
  points: Points,
  from: number,
  to: number,
  metadata: readonly OutputMetadata[],
) => Uint8Array<ArrayBuffer>;

export function encoderOf(version: 1 | 2): EncodeRequest {
  const writer = new ProtobufWriter();
  const small = new ProtobufWriter(1_024);
  return version === 1
    ? (points, from, to, metadata) => {
        writer.reset();
        // First, so that a receiver that reads in one pass knows it when it makes the series.
        for (const each of metadata) writeMetadata(writer, each);
        for (let at = from; at < to; ) {
          const more = encodeExemplars(small, exemplarsAt(points, at));
          at = writeSeries(writer, points, at, to, points.series[at]!.encoded, { tag: 0x0a, more });
        }
        return writer.bytes;
      }
    : (points, from, to) => encode2(writer, small, points, from, to);
}

/** Writes TimeSeries, which begins with its encoded labels and may end with more. Returns the end of the series. */
function writeSeries(
  writer: ProtobufWriter,
  { series, ms, value, stale }: Points,
  from: number,
  to: number,
  labels: Uint8Array,
  { tag, more }: { tag: number; more?: Uint8Array } = { tag: 0x0a },
): number {
  const of = series[from];
  let end = from;
  let samples = 0;
  for (; end < to && series[end] === of; end++) samples += 2 + SAMPLE_BYTES + varintSize(ms[end]!);
  const size = labels.length + samples + (more?.length ?? 0);
  writer.reserve(size + 12);
  writer.byte(tag);
  writer.varint(size);
  writer.raw(labels);
  for (let at = from; at < end; at++) {
    writer.byte(0x12);
    writer.byte(SAMPLE_BYTES + varintSize(ms[at]!));
    writer.byte(0x09);
    if (stale[at] === 1) writer.fixed64(STALE_LOW, STALE_HIGH);
    else writer.double(value[at]!);
    writer.byte(0x10);
    writer.varint(ms[at]!);
  }
  if (more !== undefined) writer.raw(more);
  return end;
}

/** The exemplars that are sent with a sample: those of its series, with the first one of the series. */
function exemplarsAt({ series, exemplars }: Points, at: number): readonly SentExemplar[] {
  const of = series[at]!;
  return exemplars.size === 0 || series[at - 1] === of ? [] : (exemplars.get(of) ?? []);
}

/**
 * Exemplar: labels=1, value=2, timestamp=3. In version 1 it is field 3 of TimeSeries and has messages Label. In version 2 it
 * is field 4 and has references to symbols.
 */
function encodeExemplars(
  small: ProtobufWriter,
  exemplars: readonly SentExemplar[],
  refOf?: (text: string) => number,
): Uint8Array | undefined {
  if (exemplars.length === 0) return undefined;
  const encoded = exemplars.map(({ labels, value, ms }) => {
    const texts = refOf === undefined ? encodeLabels(small, labels) : encodeRefs(small, { labels }, refOf);
    small.reset();
    const size = texts.length + 10 + varintSize(ms);
    small.reserve(size + 24);
    small.byte(refOf === undefined ? 0x1a : 0x22);
    small.varint(size);
    small.raw(texts);
    small.byte(0x11);
    small.double(value);
    small.byte(0x18);
    small.varint(ms);
    return small.bytes.slice();
  });
  return Buffer.concat(encoded);
}

/** MetricMetadata of version 1: type=1, metric_family_name=2, help=4, unit=5, as field 3 of the request. */
function writeMetadata(writer: ProtobufWriter, { family, type, help, unit }: OutputMetadata): void {
  const texts = [
    [0x12, family],
    [0x22, help],
    [0x2a, unit],
  ] as const;
  const sizeOf = (text: string) => {
    const bytes = Buffer.byteLength(text);
    return 1 + varintSize(bytes) + bytes;
  };
  const size = 2 + texts.reduce((sum, [, text]) => sum + sizeOf(text), 0);
  writer.reserve(size + 12);
  writer.byte(0x1a);
  writer.varint(size);
  writer.byte(0x08);
  writer.byte(TYPE_NUMBERS[type]);
  for (const [tag, text] of texts) {
    writer.byte(tag);
    writer.text(text);
  }
}

/** Version 2 has each text once: symbols=4, and series refer to them. The symbols come last, which protobuf allows. */
function encode2(
  writer: ProtobufWriter,
  small: ProtobufWriter,
  points: Points,
  from: number,
  to: number,
): Uint8Array<ArrayBuffer> {
  writer.reset();
  const symbols = new Map<string, number>([["", 0]]);
  const refOf = (text: string) => symbols.getOrInsertComputed(text, () => symbols.size);
  for (let at = from; at < to; ) {
    const series = points.series[at]!;
    const exemplars = encodeExemplars(small, exemplarsAt(points, at), refOf);
    const metadata = encodeMetadata2(small, series.metadata, refOf);
    const more = exemplars === undefined ? metadata : Buffer.concat([exemplars, metadata]);
    at = writeSeries(writer, points, at, to, encodeRefs(small, series, refOf), { tag: 0x2a, more });
  }
  for (const text of symbols.keys()) {
    writer.reserve(text.length * 3 + 12);
    writer.byte(0x22);
    writer.text(text);
  }
  return writer.bytes;
}

/** labels_refs=1, packed. */
function encodeRefs(
  small: ProtobufWriter,
  { labels }: Pick<OutputSeries, "labels">,
  refOf: (text: string) => number,
): Uint8Array {
  const refs = labels.flatMap(([name, value]) => [refOf(name), refOf(value)]);
  small.reset();
  small.reserve(refs.length * 5 + 12);
  small.byte(0x0a);
  small.varint(refs.reduce((sum, ref) => sum + varintSize(ref), 0));
  for (const ref of refs) small.varint(ref);
  return small.bytes.slice();
}

/** Metadata: type=1, help_ref=3, unit_ref=4, as field 5 of TimeSeries. */
function encodeMetadata2(
  small: ProtobufWriter,
  { type, help, unit }: OutputMetadata,
  refOf: (text: string) => number,
): Uint8Array {
  const [helpRef, unitRef] = [refOf(help), refOf(unit)];
  small.reset();
  small.reserve(32);
  small.byte(0x2a);
  small.varint(4 + varintSize(helpRef) + varintSize(unitRef));
  small.byte(0x08);
  small.byte(TYPE_NUMBERS[type]);
  small.byte(0x18);
  small.varint(helpRef);
  small.byte(0x20);
  small.varint(unitRef);
  return small.bytes.slice();
}
