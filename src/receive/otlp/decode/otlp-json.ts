/**
 * OTLP/JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): translates an
 * ExportMetricsServiceRequest to protobuf, so that one decoder decides about both. Pure.
 *
 * The names of fields are in lowerCamelCase. Whole numbers of 64 bits are texts or numbers, trace and span ids are
 * hexadecimal, enums are numbers, and unknown fields are ignored. `null` stands for a field that is not set.
 */
import { BadInput, quote } from "../../../model/errors.ts";
import { atOnce } from "../../../model/tasks/time-slices.ts";
import { InexactNumber } from "../../../wire/json/exact-number.ts";
import { parseJsonBody, requireUtf8 } from "../../../wire/json/json-body.ts";
import { JsonWalker } from "../../../wire/json/json-walker.ts";
import { BYTES, FIXED64, VARINT } from "../../../wire/protobuf.ts";

type Scalar = "text" | "boolean" | "base64" | "hexadecimal" | "double";
/** Whole numbers: how they are encoded, and the range that the protocol gives them. */
type Whole = "fixed64" | "sfixed64" | "int64" | "uint64" | "sint32" | "uint32" | "enum";

interface Field {
  readonly number: number;
  readonly type: Scalar | Whole | Message;
  readonly isList: boolean;
}

type Message = Map<string, Field>;

const [INT64_MIN, INT64_MAX, UINT64_MAX] = [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 64n - 1n];
const RANGES: Record<Whole, readonly [bigint, bigint]> = {
  fixed64: [0n, UINT64_MAX],
  uint64: [0n, UINT64_MAX],
  sfixed64: [INT64_MIN, INT64_MAX],
  int64: [INT64_MIN, INT64_MAX],
  sint32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  enum: [0n, 2n ** 31n - 1n],
};

/** Attributes that are nested more deeply are rejected by the decoder, with their points. */
const DEPTH_MAX = 200;
/** A whole number that a double may not hold, outside of quotation marks. */
const LARGE = /[[:,]\s*-?\d{16}/;
/** The length of a message is written before its bytes are known, as a varint of this many bytes. */
const LENGTH_BYTES = 5;
const REQUIRED = "resourceMetrics";
/** Up to this size a body is parsed at once, and a part of a larger one up to this size: some 100 µs of work. */
const WHOLE_BYTES_MAX = 131_072;
const STEP_BYTES = 4_096;
const ITEMS_AT_ONCE = 16;
/** Names of the request that are looked at, for an error. */
const NAMES_MAX = 16;

const message = (fields: Record<string, readonly [number, Field["type"]]>): Message =>
  new Map(Object.entries(fields).map(([name, [number, type]]) => [name, { number, type, isList: false }]));
const withLists = (of: Message, lists: Record<string, readonly [number, Field["type"]]>): Message => {
  for (const [name, [number, type]] of Object.entries(lists)) of.set(name, { number, type, isList: true });
  return of;
};

// The messages of opentelemetry/proto/{collector/metrics,metrics,resource,common}/v1.
const anyValue = message({
  stringValue: [1, "text"],
  boolValue: [2, "boolean"],
  intValue: [3, "int64"],
  doubleValue: [4, "double"],
  bytesValue: [7, "base64"],
});
const keyValue = message({ key: [1, "text"], value: [2, anyValue] });
anyValue.set("arrayValue", {
  number: 5,
  type: withLists(message({}), { values: [1, anyValue] }),
  isList: false,
});
anyValue.set("kvlistValue", {
  number: 6,
  type: withLists(message({}), { values: [1, keyValue] }),
  isList: false,
});
const exemplar = withLists(
  message({
    timeUnixNano: [2, "fixed64"],
    asDouble: [3, "double"],
    spanId: [4, "hexadecimal"],
    traceId: [5, "hexadecimal"],
    asInt: [6, "sfixed64"],
  }),
  { filteredAttributes: [7, keyValue] },
);
const numberDataPoint = withLists(
  message({
    startTimeUnixNano: [2, "fixed64"],
    timeUnixNano: [3, "fixed64"],
    asDouble: [4, "double"],
    asInt: [6, "sfixed64"],
    flags: [8, "uint32"],
  }),
  { attributes: [7, keyValue], exemplars: [5, exemplar] },
);
const histogramDataPoint = withLists(
  message({
    startTimeUnixNano: [2, "fixed64"],
    timeUnixNano: [3, "fixed64"],
    count: [4, "fixed64"],
    sum: [5, "double"],
    flags: [10, "uint32"],
    min: [11, "double"],
    max: [12, "double"],
  }),
  {
    attributes: [9, keyValue],
    bucketCounts: [6, "fixed64"],
    explicitBounds: [7, "double"],
    exemplars: [8, exemplar],
  },
);
const buckets = withLists(message({ offset: [1, "sint32"] }), { bucketCounts: [2, "uint64"] });
const exponentialDataPoint = withLists(
  message({
    startTimeUnixNano: [2, "fixed64"],
    timeUnixNano: [3, "fixed64"],
    count: [4, "fixed64"],
    sum: [5, "double"],
    scale: [6, "sint32"],
    zeroCount: [7, "fixed64"],
    positive: [8, buckets],
    negative: [9, buckets],
    flags: [10, "uint32"],
    min: [12, "double"],
    max: [13, "double"],
    zeroThreshold: [14, "double"],
  }),
  { attributes: [1, keyValue], exemplars: [11, exemplar] },
);
const summaryDataPoint = withLists(
  message({
    startTimeUnixNano: [2, "fixed64"],
    timeUnixNano: [3, "fixed64"],
    count: [4, "fixed64"],
    sum: [5, "double"],
    flags: [8, "uint32"],
  }),
  {
    attributes: [7, keyValue],
    quantileValues: [6, message({ quantile: [1, "double"], value: [2, "double"] })],
  },
);
const metric = message({
  name: [1, "text"],
  description: [2, "text"],
  unit: [3, "text"],
  gauge: [5, withLists(message({}), { dataPoints: [1, numberDataPoint] })],
  sum: [
    7,
    withLists(message({ aggregationTemporality: [2, "enum"], isMonotonic: [3, "boolean"] }), {
      dataPoints: [1, numberDataPoint],
    }),
  ],
  histogram: [
    9,
    withLists(message({ aggregationTemporality: [2, "enum"] }), { dataPoints: [1, histogramDataPoint] }),
  ],
  exponentialHistogram: [
    10,
    withLists(message({ aggregationTemporality: [2, "enum"] }), { dataPoints: [1, exponentialDataPoint] }),
  ],
  summary: [11, withLists(message({}), { dataPoints: [1, summaryDataPoint] })],
});
const scope = withLists(message({ name: [1, "text"], version: [2, "text"] }), { attributes: [3, keyValue] });
const scopeMetrics = withLists(message({ scope: [1, scope], schemaUrl: [3, "text"] }), {
  metrics: [2, metric],
});
const resourceMetrics = withLists(
  message({ resource: [1, withLists(message({}), { attributes: [1, keyValue] })], schemaUrl: [3, "text"] }),
  { scopeMetrics: [2, scopeMetrics] },
);
const exportRequest = withLists(message({}), { resourceMetrics: [1, resourceMetrics] });

/**
 * The request as protobuf.
 *
 * @throws BadInput that names the field when the body is not JSON, when a value has the wrong type, or when it has
 * fields but no `resourceMetrics`
 */
export function jsonToProtobuf(body: Uint8Array): Buffer {
  return atOnce(convertingJson(body));
}

/** As `jsonToProtobuf`, in steps between which the caller may pause. */
export function* convertingJson(body: Uint8Array): Generator<void, Buffer> {
  const writer = new Writer(body.length);
  if (body.length > WHOLE_BYTES_MAX) yield* writeLarge(body, writer);
  else writer.message(requireMetrics(parseJsonBody(body, LARGE)), exportRequest, "", 0);
  return writer.take();
}

function requireMetrics(request: unknown): object {
  if (!isObject(request)) throw new BadInput(`the body is ${quote(request)}, expected a JSON object`, "body");
  requireField(Object.keys(request));
  return request;
}

function requireField(names: readonly string[]): void {
  if (names.length === 0 || names.includes(REQUIRED)) return;
  throw new BadInput(
    `the body has no field "resourceMetrics", it has ${quote(names[0])}; expected an ExportMetricsServiceRequest ` +
      "with names in lowerCamelCase",
    REQUIRED,
  );
}

/** Writes a large body: the objects and lists that have many parts are read part by part. */
function* writeLarge(body: Uint8Array, writer: Writer): Generator<void> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  requireUtf8(bytes);
  const walker = new JsonWalker(bytes);
  const names = yield* writeObject(walker, writer, exportRequest, "", 0);
  walker.end();
  requireField(names);
}

/** Writes the fields of the object that begins at the walker, and returns its first names. */
function* writeObject(
  walker: JsonWalker,
  writer: Writer,
  type: Message,
  path: string,
  depth: number,
): Generator<void, string[]> {
  const names: string[] = [];
  for (let hasMore = walker.enter("{"); hasMore; hasMore = walker.next("{")) {
    const name = walker.name();
    if (names.length < NAMES_MAX) names.push(name);
    const field = type.get(name);
    const own = path === "" ? name : `${path}.${name}`;
    if (field === undefined || typeof field.type === "string" || !walker.isLarge(STEP_BYTES)) {
      const value = walker.value();
      if (field !== undefined && value !== null) writer.value(value, field, own, depth);
    } else if (!field.isList) {
      const lengthAt = writer.open(field.number);
      yield* writeObject(walker, writer, field.type, own, depth + 1);
      writer.close(lengthAt);
    } else {
      let at = 0;
      for (let hasItem = walker.enter("["); hasItem; hasItem = walker.next("[")) {
        const place = `${own}[${at++}]`;
        if (walker.isLarge(STEP_BYTES)) {
          const lengthAt = writer.open(field.number);
          yield* writeObject(walker, writer, field.type, place, depth + 1);
          writer.close(lengthAt);
        } else writer.item(walker.value(), field, place, depth);
        if (at % ITEMS_AT_ONCE === 0) yield;
      }
    }
  }
  return names;
}

class Writer {
  #bytes: Buffer;
  #at = 0;

  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafe(Math.max(1_024, bytes));
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Writes the fields of a message, which the path names in errors. */
  message(value: unknown, type: Message, path: string, depth: number): void {
    if (!isObject(value)) throw wrong(path, value, "an object");
    if (depth > DEPTH_MAX) throw new BadInput(`${path.slice(0, 100)}… is nested too deeply`, "body");
    for (const [name, item] of Object.entries(value)) {
      const field = type.get(name);
      if (field === undefined || item === null) continue;
      this.value(item, field, path === "" ? name : `${path}.${name}`, depth);
    }
  }

  /** Writes the value of a field, which is a list if the field is one. */
  value(value: unknown, field: Field, path: string, depth: number): void {
    if (!field.isList) {
      this.item(value, field, path, depth);
      return;
    }
    if (!Array.isArray(value)) throw wrong(path, value, "an array");
    for (let at = 0; at < value.length; at++) this.item(value[at], field, `${path}[${at}]`, depth);
  }

  /** Begins a message that is a field. Pass the result to `close` at its end. */
  open(number: number): number {
    this.#varint((number << 3) | BYTES);
    const lengthAt = this.#at;
    this.#reserve(LENGTH_BYTES);
    this.#at += LENGTH_BYTES;
    return lengthAt;
  }

  /** Ends a message: writes the number of bytes since `open`, as a varint with leading zeros. */
  close(lengthAt: number): void {
    let rest = this.#at - lengthAt - LENGTH_BYTES;
    for (let at = 0; at < LENGTH_BYTES; at++, rest >>>= 7)
      this.#bytes[lengthAt + at] = (rest & 127) | (at < LENGTH_BYTES - 1 ? 128 : 0);
  }

  /** Writes a field, or an item of a list. */
  item(value: unknown, { number, type }: Field, path: string, depth: number): void {
    if (typeof type !== "string") {
      const lengthAt = this.open(number);
      this.message(value, type, path, depth + 1);
      this.close(lengthAt);
      return;
    }
    switch (type) {
      case "text":
        if (typeof value !== "string") throw wrong(path, value, "a text");
        if (!value.isWellFormed()) throw wrong(path, value, "a text without half of a surrogate pair");
        this.#blob(number, Buffer.from(value));
        return;
      case "base64":
        this.#blob(number, base64Of(value, path));
        return;
      case "hexadecimal":
        this.#blob(number, hexadecimalOf(value, path));
        return;
      case "boolean":
        if (typeof value !== "boolean") throw wrong(path, value, "true or false");
        this.#varint((number << 3) | VARINT);
        this.#varint(value ? 1 : 0);
        return;
      case "double":
        this.#varint((number << 3) | FIXED64);
        this.#reserve(8);
        this.#at = this.#bytes.writeDoubleLE(doubleOf(value, path), this.#at);
        return;
      default:
        this.#whole(number, type, wholeOf(value, type, path));
    }
  }

  #whole(number: number, type: Whole, value: bigint): void {
    const isFixed = type === "fixed64" || type === "sfixed64";
    this.#varint((number << 3) | (isFixed ? FIXED64 : VARINT));
    if (!isFixed) {
      const zigzag = value >= 0n ? value * 2n : -value * 2n - 1n;
      this.#bigVarint(BigInt.asUintN(64, type === "sint32" ? zigzag : value));
      return;
    }
    this.#reserve(8);
    this.#at = this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value), this.#at);
  }

  #blob(number: number, bytes: Buffer): void {
    this.#varint((number << 3) | BYTES);
    this.#varint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #varint(value: number): void {
    this.#reserve(5);
    let rest = value;
    for (; rest >= 128; rest >>>= 7) this.#bytes[this.#at++] = (rest & 127) | 128;
    this.#bytes[this.#at++] = rest;
  }

  #bigVarint(value: bigint): void {
    this.#reserve(10);
    let rest = value;
    for (; rest >= 128n; rest >>= 7n) this.#bytes[this.#at++] = Number(rest & 127n) | 128;
    this.#bytes[this.#at++] = Number(rest);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}

function wholeOf(value: unknown, type: Whole, path: string): bigint {
  const [min, max] = RANGES[type];
  const expected = `a whole number from ${min} to ${max}`;
  const text =
    value instanceof InexactNumber ? value.text : typeof value === "number" ? String(value) : value;
  // 1e3 is a whole number too.
  const number = typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined;
  const whole =
    number ??
    (typeof text === "string" &&
    text.length <= 20 &&
    /^-?\d+$/.test(text) &&
    (type !== "enum" || text !== value)
      ? BigInt(text)
      : undefined);
  if (whole === undefined || whole < min || whole > max) throw wrong(path, value, expected);
  return whole;
}

function doubleOf(value: unknown, path: string): number {
  if (typeof value === "number") return value;
  if (value instanceof InexactNumber) return value.value;
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  if (typeof value === "string" && /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(value)) return Number(value);
  throw wrong(path, value, 'a number, "NaN", "Infinity" or "-Infinity"');
}

function hexadecimalOf(value: unknown, path: string): Buffer {
  if (typeof value === "string" && value.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(value))
    return Buffer.from(value, "hex");
  throw wrong(path, value, "an even number of hexadecimal digits");
}

function base64Of(value: unknown, path: string): Buffer {
  if (typeof value === "string" && /^[A-Za-z0-9+/_-]*={0,2}$/.test(value))
    return Buffer.from(value, "base64");
  throw wrong(path, value, "bytes in base64");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof InexactNumber)
  );
}

function wrong(path: string, value: unknown, expected: string): BadInput {
  return new BadInput(`${path} is ${quote(value)}, expected ${expected}`, path.slice(0, 200));
}
