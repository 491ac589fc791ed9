/**
 * Exemplars of OpenTelemetry
 * (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exemplars), with the labels that Prometheus gives them:
 * `trace_id`, `span_id`, and the attributes that the point does not have. Pure.
 */
import type { Labels } from "../../../model/sample.ts";
import { BYTES, FIXED64, type ProtobufReader } from "../../../wire/protobuf.ts";
import { type Attribute, InvalidAttribute, readAttributes } from "../labels/attribute-values.ts";
import { labelName, type Translation } from "../labels/translated-names.ts";
import { microseconds } from "./data-point.ts";

interface OtlpExemplar {
  readonly value: number;
  /** 0 if it has none. */
  readonly timeUs: number;
  readonly labels: Labels;
}

const ATTRIBUTE = 56 | BYTES;
/** The limit of OpenMetrics for the names and values of an exemplar's labels together. */
const CHARACTERS_MAX = 128;

/**
 * Reads the exemplar in a range. Attributes that make it too long are left out. Returns undefined if it has no value, or
 * no label.
 */
export function readExemplar(
  reader: ProtobufReader,
  from: number,
  to: number,
  translation: Translation,
): OtlpExemplar | undefined {
  let value: number | undefined;
  let timeUs = 0;
  let [span, trace] = ["", ""];
  reader.at = from;
  while (reader.at < to) {
    const tag = reader.uint32();
    if (tag === (16 | FIXED64)) timeUs = microseconds(reader);
    else if (tag === (24 | FIXED64)) value = reader.double();
    else if (tag === (32 | BYTES)) span = hexadecimal(reader);
    else if (tag === (40 | BYTES)) trace = hexadecimal(reader);
    else if (tag === (48 | FIXED64)) {
      reader.fixed64();
      value = (reader.high | 0) * 4_294_967_296 + reader.low;
    } else reader.skip(tag);
  }
  reader.expectEnd(to);
  if (value === undefined) return undefined;
  const ids: Attribute[] = [
    ["trace_id", trace],
    ["span_id", span],
  ];
  const labels = labelsOf(ids, attributesOf(reader, from, to, translation));
  return labels.size === 0 ? undefined : { value, timeUs, labels };
}

function attributesOf(
  reader: ProtobufReader,
  from: number,
  to: number,
  translation: Translation,
): Attribute[] {
  try {
    return readAttributes(reader, from, to, ATTRIBUTE).flatMap(([key, value]) => {
      const label = labelName(key, translation);
      return label === undefined ? [] : [[label, value] as const];
    });
  } catch (error) {
    if (error instanceof InvalidAttribute) return [];
    throw error;
  }
}

function labelsOf(ids: readonly Attribute[], attributes: readonly Attribute[]): Labels {
  const all = new Map([...attributes, ...ids].filter(([, value]) => value !== ""));
  let characters = 0;
  for (const [name, value] of all) characters += [...name].length + [...value].length;
  const kept = characters <= CHARACTERS_MAX ? [...all] : ids.filter(([, value]) => value !== "");
  return new Map(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** An id in hexadecimal digits, or an empty text if all of its bytes are 0. */
function hexadecimal(reader: ProtobufReader): string {
  const end = reader.length();
  const digits = reader.bytes.toString("hex", reader.at, end);
  reader.at = end;
  return /^0*$/.test(digits) ? "" : digits;
}
