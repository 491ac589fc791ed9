/**
 * Series of version 2 as protobuf, as the Agent sends them: `datadog.agentpayload.MetricPayload`
 * (https://github.com/DataDog/agent-payload/blob/master/proto/metrics/agent_payload.proto). Pure, except for the series
 * that it remembers.
 *
 * A series is found by the bytes of its fields except for its points. A message that does not parse is rejected as a
 * whole. A series with an error is rejected alone.
 */
import { atOnce } from "../../model/tasks/time-slices.ts";
import { quote } from "../../model/errors.ts";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";
import { BYTES, FIXED64, ProtobufReader, VARINT } from "../../wire/protobuf.ts";
import type {
  DatadogRequest,
  KnownSeries,
  SeriesGatherer,
  SeriesType,
  WrongSeries,
} from "./series-gatherer.ts";

/** Tags: field number times 8, plus the wire type. */
const SERIES = 8 | BYTES;
const RESOURCE = 8 | BYTES;
const METRIC = 16 | BYTES;
const TAG = 24 | BYTES;
const POINT = 32 | BYTES;
const TYPE = 40 | VARINT;
const UNIT = 48 | BYTES;
/** The check that the series comes from, and more about its origin: not stored. */
const SOURCE_TYPE_NAME = 56 | BYTES;
const INTERVAL = 64 | VARINT;
const METADATA = 72 | BYTES;
const POINT_VALUE = 8 | FIXED64;
const POINT_TIMESTAMP = 16 | VARINT;
const RESOURCE_TYPE = 8 | BYTES;
const RESOURCE_NAME = 16 | BYTES;

/** By the numbers of MetricType. 0 is not specified, which Datadog takes for a gauge. */
const TYPES: readonly SeriesType[] = ["gauge", "count", "rate", "gauge"];

/** A series whose fields are longer is not remembered. */
const KEY_BYTES_MAX = 16_384;
/** Some 100 µs of work. */
const STEP_BYTES = 8_192;

export class ProtobufSeriesDecoder {
  readonly #gatherer: SeriesGatherer;
  readonly #reader = new ProtobufReader();
  readonly #fields = new ProtobufReader();
  readonly #series: LabelBlocks<KnownSeries>;
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  #key = Buffer.allocUnsafeSlow(1_024);
  #keyLength = 0;

  constructor(gatherer: SeriesGatherer) {
    this.#gatherer = gatherer;
    const { seriesCount } = gatherer;
    this.#series = new LabelBlocks<KnownSeries>(undefined, { seriesCount, keepsHalf: true });
  }

  /**
   * Decodes a body.
   *
   * @throws BadInput when it is not a MetricPayload; TooLarge when it has too many points
   */
  decode(body: Uint8Array): DatadogRequest {
    return atOnce(this.decoding(body));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(body: Uint8Array): Generator<void, DatadogRequest> {
    const reader = this.#reader;
    this.#gatherer.begin();
    reader.open(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    let pauseAt = 0;
    while (reader.at < body.length) {
      if (reader.at >= pauseAt) {
        pauseAt = reader.at + STEP_BYTES;
        yield;
      }
      const tag = reader.uint32();
      if (tag === SERIES) this.#readSeries(reader.length());
      else reader.skip(tag);
    }
    return this.#gatherer.take();
  }

  #readSeries(end: number): void {
    const reader = this.#reader;
    const begin = reader.at;
    this.#keyLength = 0;
    while (reader.at < end) {
      const from = reader.at;
      const tag = reader.uint32();
      reader.skip(tag);
      if (tag !== POINT && tag !== SOURCE_TYPE_NAME && tag !== METADATA) this.#addToKey(from, reader.at);
    }
    reader.expectEnd(end);
    const series = this.#find();
    reader.at = begin;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === POINT) this.#readPoint(series, reader.length());
      else reader.skip(tag);
    }
  }

  #readPoint(series: KnownSeries | WrongSeries, end: number): void {
    const reader = this.#reader;
    let value = 0;
    let seconds = 0;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === POINT_VALUE) value = reader.double();
      else if (tag === POINT_TIMESTAMP) seconds = reader.int64();
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    const gatherer = this.#gatherer;
    if ("head" in series) gatherer.addPoint(series, seconds, value);
    else gatherer.reject(gatherer.nextPosition(), series, () => quote({ timestamp: seconds, value }));
  }

  #addToKey(from: number, to: number): void {
    const length = this.#keyLength + to - from;
    if (length > this.#key.length) {
      const longer = Buffer.allocUnsafeSlow(Math.max(this.#key.length * 2, length));
      longer.set(this.#key.subarray(0, this.#keyLength));
      this.#key = longer;
    }
    this.#key.set(this.#reader.bytes.subarray(from, to), this.#keyLength);
    this.#keyLength = length;
  }

  /** The series with the fields of the key. */
  #find(): KnownSeries | WrongSeries {
    const length = this.#keyLength;
    if (length > KEY_BYTES_MAX) {
      const decided = this.#decide();
      this.#key = Buffer.allocUnsafeSlow(1_024);
      return decided;
    }
    const hash = blockHash(this.#key, 0, length, this.#seed);
    const known = this.#series.find(this.#key, length, hash);
    if (known >= 0) return this.#series.head(known);
    const decided = this.#decide();
    if ("head" in decided) this.#series.add(this.#key, length, hash, decided);
    return decided;
  }

  #decide(): KnownSeries | WrongSeries {
    const fields = this.#fields;
    fields.open(this.#key.subarray(0, this.#keyLength));
    this.#fields.isText = true;
    let [metric, unit] = ["", ""];
    let [type, interval] = [0, 0];
    const tags: string[] = [];
    const resources: (readonly [string, string])[] = [];
    while (fields.at < this.#keyLength) {
      const tag = fields.uint32();
      if (tag === METRIC) metric = this.#fields.text();
      else if (tag === TAG) tags.push(this.#fields.text());
      else if (tag === RESOURCE) resources.push(this.#resource(fields.length()));
      else if (tag === UNIT) unit = this.#fields.text();
      else if (tag === TYPE) type = fields.int64();
      else if (tag === INTERVAL) interval = fields.int64();
      else fields.skip(tag);
    }
    if (!this.#fields.isText) {
      return { cause: "syntax", reason: `metric ${quote(metric)} has text that is not UTF-8` };
    }
    const seriesType = TYPES[type];
    if (seriesType === undefined) {
      const expected = "0 (unspecified), 1 (count), 2 (rate) or 3 (gauge)";
      return { cause: "type", reason: `type of metric ${quote(metric)} is ${type}, expected ${expected}` };
    }
    return this.#gatherer.decide({ metric, type: seriesType, interval, unit, resources, tags });
  }

  #resource(end: number): readonly [type: string, name: string] {
    const fields = this.#fields;
    let [type, name] = ["", ""];
    while (fields.at < end) {
      const tag = fields.uint32();
      if (tag === RESOURCE_TYPE) type = this.#fields.text();
      else if (tag === RESOURCE_NAME) name = this.#fields.text();
      else fields.skip(tag);
    }
    fields.expectEnd(end);
    return [type, name];
  }
}
