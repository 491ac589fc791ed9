/**
 * Attributes of OpenTelemetry as texts: reads KeyValue and AnyValue
 * (https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto).
 * Pure.
 *
 * A string is its own text. Numbers and booleans have their JSON text, and whole numbers keep all their digits. Bytes
 * are base64. Arrays and maps are JSON, with the keys of a map in order, so that equal maps have equal texts.
 */
import { isUtf8 } from "node:buffer";
import { quote } from "../../../model/errors.ts";
import { numberText } from "../../../model/spelling.ts";
import { BYTES, FIXED64, type ProtobufReader, VARINT } from "../../../wire/protobuf.ts";

export type Attribute = readonly [key: string, value: string];

/** An attribute that cannot be a label: a sentence about it. The points that have it are rejected. */
export class InvalidAttribute extends Error {}

/** The fields of a KeyValue. */
const [KEY, VALUE] = [8 | BYTES, 16 | BYTES];
/** The fields of an AnyValue. */
const STRING = 8 | BYTES;
const BOOLEAN = 16 | VARINT;
const INTEGER = 24 | VARINT;
const DOUBLE = 32 | FIXED64;
const ARRAY = 40 | BYTES;
const MAP = 48 | BYTES;
const RAW = 56 | BYTES;
/** The field of an ArrayValue and of a KeyValueList. */
const VALUES = 8 | BYTES;

/** Attributes of a point or a resource, and bytes of a value, that are read. Admission accepts fewer by default. */
const ATTRIBUTES_MAX = 1_024;
const VALUE_BYTES_MAX = 1_048_576;

/** Real attributes are nested once or twice. The limit bounds the stack. */
const DEPTH_MAX = 32;

/**
 * Reads one attribute, a KeyValue that ends at `end`.
 *
 * @throws InvalidAttribute when a text is not UTF-8, or when values are nested too deeply
 */
export function readAttribute(reader: ProtobufReader, end: number): Attribute {
  let key = "";
  let valueFrom = -1;
  let valueTo = -1;
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === KEY) key = text(reader, "the key of an attribute");
    else if (tag === VALUE) {
      valueTo = reader.length();
      valueFrom = reader.at;
      reader.at = valueTo;
    } else reader.skip(tag);
  }
  reader.expectEnd(end);
  if (valueFrom < 0) return [key, ""];
  if (valueTo - valueFrom > VALUE_BYTES_MAX)
    throw new InvalidAttribute(
      `the value of attribute ${quote(key)} has ${valueTo - valueFrom} bytes, at most ${VALUE_BYTES_MAX} are read`,
    );
  reader.at = valueFrom;
  const value = readValue(reader, valueTo, key, 0);
  reader.at = end;
  return [key, value.isString || value.text !== "null" ? value.text : ""];
}

/** Reads repeated attributes: every field of `tag` in a range. */
export function readAttributes(reader: ProtobufReader, from: number, to: number, tag: number): Attribute[] {
  const attributes: Attribute[] = [];
  reader.at = from;
  while (reader.at < to) {
    const each = reader.uint32();
    if (each === tag) {
      if (attributes.length >= ATTRIBUTES_MAX)
        throw new InvalidAttribute(`there are more than ${ATTRIBUTES_MAX} attributes`);
      attributes.push(readAttribute(reader, reader.length()));
    } else reader.skip(each);
  }
  reader.expectEnd(to);
  return attributes;
}

interface Value {
  readonly isString: boolean;
  /** The string, or the JSON text of any other value. */
  readonly text: string;
}

const NOTHING: Value = { isString: false, text: "null" };

/** Reads an AnyValue. The last of several fields counts. */
function readValue(reader: ProtobufReader, end: number, key: string, depth: number): Value {
  if (depth > DEPTH_MAX)
    throw new InvalidAttribute(`attribute ${quote(key)} is nested more than ${DEPTH_MAX} levels deep`);
  let value = NOTHING;
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === STRING) value = { isString: true, text: text(reader, `attribute ${quote(key)}`) };
    else if (tag === BOOLEAN) value = { isString: false, text: reader.uint64() === 0 ? "false" : "true" };
    else if (tag === INTEGER) value = { isString: false, text: integerText(reader) };
    else if (tag === DOUBLE) value = { isString: false, text: numberText(reader.double()) };
    else if (tag === ARRAY) value = { isString: false, text: arrayText(reader, key, depth) };
    else if (tag === MAP) value = { isString: false, text: mapText(reader, key, depth) };
    else if (tag === RAW) value = { isString: true, text: base64(reader) };
    else reader.skip(tag);
  }
  reader.expectEnd(end);
  return value;
}

/** The JSON text of a value inside of an array or a map. JSON has no text for NaN and infinities. */
function jsonText({ isString, text }: Value): string {
  return isString || /^(?:NaN|[+-]Inf)$/.test(text) ? JSON.stringify(text) : text;
}

function arrayText(reader: ProtobufReader, key: string, depth: number): string {
  const end = reader.length();
  const items: string[] = [];
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === VALUES) items.push(jsonText(readValue(reader, reader.length(), key, depth + 1)));
    else reader.skip(tag);
  }
  reader.expectEnd(end);
  return `[${items.join(",")}]`;
}

function mapText(reader: ProtobufReader, key: string, depth: number): string {
  const end = reader.length();
  const entries = new Map<string, string>();
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === VALUES) readEntry(reader, reader.length(), entries, key, depth);
    else reader.skip(tag);
  }
  reader.expectEnd(end);
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`;
}

/** Reads an entry of a map. The last of several entries with one name counts. */
function readEntry(
  reader: ProtobufReader,
  end: number,
  entries: Map<string, string>,
  key: string,
  depth: number,
): void {
  let name = "";
  let value = NOTHING;
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === KEY) name = text(reader, `attribute ${quote(key)}`);
    else if (tag === VALUE) value = readValue(reader, reader.length(), key, depth + 1);
    else reader.skip(tag);
  }
  reader.expectEnd(end);
  entries.set(name, jsonText(value));
}

/** The decimal of a signed number of 64 bits, with all digits. */
function integerText(reader: ProtobufReader): string {
  const begin = reader.at;
  const value = reader.int64();
  if (Number.isSafeInteger(value)) return String(value);
  let exact = 0n;
  let shift = 0n;
  for (let at = begin; at < reader.at; at++, shift += 7n) exact |= BigInt(reader.bytes[at]! & 0x7f) << shift;
  return BigInt.asIntN(64, exact).toString();
}

function base64(reader: ProtobufReader): string {
  const end = reader.length();
  const encoded = reader.bytes.toString("base64", reader.at, end);
  reader.at = end;
  return encoded;
}

/** Reads text; `what` names it in the error if it is not UTF-8. */
function text(reader: ProtobufReader, what: string): string {
  const end = reader.length();
  const bytes = reader.bytes.subarray(reader.at, end);
  reader.at = end;
  if (!isUtf8(bytes))
    throw new InvalidAttribute(`${what} is not valid UTF-8: ${quote(bytes.toString("utf8"))}`);
  return bytes.toString("utf8");
}
