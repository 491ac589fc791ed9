/**
 * Prometheus remote_write 1.0 (https://prometheus.io/docs/specs/prw/remote_write_spec/): a WriteRequest as protobuf,
 * already out of its snappy block → Batch. Pure, except for the label blocks and metadata that it remembers.
 *
 * This is our own decoder, because protobufjs takes 2.3 CPU-seconds per million samples only to create its objects.
 * protobufjs is the reference in the tests. A series with invalid labels is rejected alone. A message that does not
 * parse is rejected as a whole.
 */
import { BadInput } from "../../model/errors.ts";
import type { SeriesHead } from "../../model/sample.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import { BYTES, FIXED64, ProtobufReader, VARINT } from "../../wire/protobuf.ts";
import type { SnappyOutput } from "../../wire/compression/snappy.ts";
import { withLabelsFirst } from "./label-order.ts";
import { MessageRoom } from "./message-room.ts";
import { METRIC_TYPES } from "./metric-types.ts";
import { type WrittenGathererOptions, type RemoteWriteRequest, RequestGatherer } from "./request-gatherer.ts";
import {
  LABELS_MAX,
  type LabelPairs,
  notText,
  type RejectedSeries,
  tooManyLabels,
} from "./written-labels.ts";

/** Tags: field number times 8, plus the wire type. The messages are those of prometheus/prompb/{remote,types}.proto. */
const TIMESERIES = 8 | BYTES;
const METADATA = 24 | BYTES;
const LABEL = 8 | BYTES;
const SAMPLE = 16 | BYTES;
const EXEMPLAR = 24 | BYTES;
const HISTOGRAM = 32 | BYTES;
/** Some 100 µs of work. */
const STEP_BYTES = 8_192;
/** The series of a message of 2.0, whose fields have other numbers so that the versions differ. */
const V2_TIMESERIES = 40 | BYTES;

export class RemoteWriteDecoder {
  readonly #reader = new ProtobufReader();
  readonly #gatherer: RequestGatherer;
  readonly #room: MessageRoom;

  constructor(options?: WrittenGathererOptions) {
    this.#gatherer = new RequestGatherer(options);
    this.#room = new MessageRoom(this.#gatherer.blocks);
  }

  /** Notes a series that was decoded elsewhere. */
  noteHead(head: SeriesHead): void {
    this.#gatherer.noteHead(head);
  }

  /** Room for the message of a snappy block, until the next call. */
  reserve(block: Uint8Array, bytes: number): SnappyOutput {
    return this.#room.reserve(block, bytes);
  }

  /**
   * Decodes a request.
   *
   * @throws BadInput when the body is not a WriteRequest, or is a request of 2.0; TooLarge when it has too many samples
   */
  decode(body: Uint8Array): RemoteWriteRequest {
    return atOnce(this.decoding(body));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(body: Uint8Array): Generator<void, RemoteWriteRequest> {
    // The room of a message is recognised by its buffer.
    const message =
      body instanceof Buffer ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    if (!(yield* this.#read(message))) {
      yield* this.#read(yield* withLabelsFirst(message, TIMESERIES, LABEL));
    }
    return this.#gatherer.take();
  }

  /** Reads a message from the beginning; returns false when a series has labels after its samples. */
  *#read(message: Buffer): Generator<void, boolean> {
    const reader = this.#reader;
    reader.open(message);
    this.#gatherer.begin();
    let pauseAt = STEP_BYTES;
    while (reader.at < message.length) {
      if (reader.at >= pauseAt) {
        pauseAt = reader.at + STEP_BYTES;
        yield;
      }
      const tag = reader.uint32();
      if (tag === TIMESERIES) {
        const end = reader.length();
        this.#labelsOfSeries(end);
        if (!(end - reader.at > STEP_BYTES ? yield* this.#longSeries(end) : this.#samples(end, end)))
          return false;
      } else if (tag === METADATA) this.#metadata(reader.length());
      else if (tag === V2_TIMESERIES) throw otherVersion();
      else reader.skip(tag);
    }
    return true;
  }

  /** Reads the labels of a series. */
  #labelsOfSeries(end: number): void {
    const reader = this.#reader;
    const gatherer = this.#gatherer;
    const { bytes } = reader;
    const begin = reader.at;
    const length = gatherer.expectedLength(bytes, begin);
    const after = begin + length;
    if (length >= 0 && after <= end && (after === end || bytes[after] !== LABEL)) {
      gatherer.useExpected();
      reader.at = after;
    } else {
      while (reader.at < end && bytes[reader.at] === LABEL) {
        reader.at += 1;
        reader.at = reader.length();
      }
      const behind = reader.at;
      gatherer.use(bytes, begin, behind - begin, () => this.#decide(begin, behind));
      reader.at = behind;
    }
  }

  /** Reads what follows the labels of a series with many samples. */
  *#longSeries(end: number): Generator<void, boolean> {
    const reader = this.#reader;
    while (reader.at < end) {
      if (!this.#samples(Math.min(end, reader.at + STEP_BYTES), end)) return false;
      yield;
    }
    return true;
  }

  /**
   * Reads what follows the labels of a series, up to the first field at or behind `to`.
   *
   * @returns false if there are further labels
   */
  #samples(to: number, end: number): boolean {
    const reader = this.#reader;
    const gatherer = this.#gatherer;
    while (reader.at < to) {
      const tag = reader.uint32();
      if (tag === SAMPLE) gatherer.readSample(reader, reader.length());
      else if (tag === HISTOGRAM) gatherer.readHistogram(reader, reader.length());
      else if (tag === EXEMPLAR) this.#exemplar(reader.length());
      else if (tag === LABEL) return false;
      else reader.skip(tag);
    }
    if (to === end || reader.at > end) reader.expectEnd(end);
    return true;
  }

  #exemplar(end: number): void {
    const reader = this.#reader;
    const pairs: (readonly [string, string])[] = [];
    let value = 0;
    let timestampMs = 0;
    this.#reader.isText = true;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === LABEL) pairs.push(this.#label(reader.length()));
      else if (tag === (16 | FIXED64)) value = reader.double();
      else if (tag === (24 | VARINT)) timestampMs = reader.int64();
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    this.#gatherer.exemplar(timestampMs, value, this.#reader.isText ? pairs : undefined);
  }

  #decide(from: number, to: number): SeriesHead | RejectedSeries {
    this.#reader.isText = true;
    const pairs = this.#labels(from, to);
    if (pairs.length > LABELS_MAX) return tooManyLabels();
    return this.#reader.isText ? this.#gatherer.decide(pairs) : notText(pairs);
  }

  #labels(from: number, to: number): LabelPairs {
    const reader = this.#reader;
    const pairs: (readonly [string, string])[] = [];
    reader.at = from;
    while (reader.at < to && pairs.length <= LABELS_MAX) {
      reader.uint32();
      pairs.push(this.#label(reader.length()));
    }
    return pairs;
  }

  #label(end: number): readonly [name: string, value: string] {
    const reader = this.#reader;
    let name = "";
    let value = "";
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === (8 | BYTES)) name = reader.text();
      else if (tag === (16 | BYTES)) value = reader.text();
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    return [name, value];
  }

  #metadata(end: number): void {
    const reader = this.#reader;
    let type = 0;
    let [family, help, unit] = ["", "", ""];
    this.#reader.isText = true;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === (8 | VARINT)) type = reader.uint64();
      else if (tag === (16 | BYTES)) family = reader.text();
      else if (tag === (32 | BYTES)) help = reader.text();
      else if (tag === (40 | BYTES)) unit = reader.text();
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    if (!this.#reader.isText) this.#gatherer.dropMetadata();
    if (family === "" || !this.#reader.isText) return;
    const said = { type: METRIC_TYPES[type] ?? "unknown", help, unit };
    this.#gatherer.noteMetadata(family, said);
  }
}

/** Nothing of the message could be read, and a sender that got 204 would assume that it is stored. */
function otherVersion(): BadInput {
  return new BadInput(
    "the message is an io.prometheus.write.v2.Request, but Content-Type says prometheus.WriteRequest",
    "Content-Type",
  );
}
