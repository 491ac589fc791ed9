/**
 * Prometheus remote_write 2.0 (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/): a Request as protobuf,
 * already out of its snappy block → Batch. Pure, except for the symbols and label blocks that it remembers.
 *
 * Labels are references into the request's own table of symbols. Each symbol is looked up once per request by its
 * bytes, and has the same number in every request. The block of a series is the row of these numbers, together with
 * the numbers of its metadata.
 */
import { BadInput, quote, TooLarge } from "../../model/errors.ts";
import type { SeriesHead } from "../../model/sample.ts";
import { atOnce } from "../../model/tasks/time-slices.ts";
import { BYTES, FIXED64, ProtobufReader, VARINT } from "../../wire/protobuf.ts";
import type { SnappyOutput } from "../../wire/compression/snappy.ts";
import { MessageRoom } from "./message-room.ts";
import { METRIC_TYPES } from "./metric-types.ts";
import { type WrittenGathererOptions, type RemoteWriteRequest, RequestGatherer } from "./request-gatherer.ts";
import { Symbols } from "./symbols.ts";
import { LABELS_MAX, type RejectedSeries } from "./written-labels.ts";

/** Tags: field number times 8, plus the wire type. The messages are those of io.prometheus.write.v2. */
const SYMBOL = 32 | BYTES;
const TIMESERIES = 40 | BYTES;
const REFS = 8 | BYTES;
const REF = 8 | VARINT;
const SAMPLE = 16 | BYTES;
const HISTOGRAM = 24 | BYTES;
const EXEMPLAR = 32 | BYTES;
const METADATA = 40 | BYTES;
/** The series and the metadata of a message of 1.0. 2.0 does not use these numbers, so that the versions differ. */
const V1_TIMESERIES = 8 | BYTES;
const V1_METADATA = 24 | BYTES;

/** Some 100 µs of work. */
const STEP_BYTES = 8_192;

export class RemoteWriteV2Decoder {
  readonly #reader = new ProtobufReader();
  readonly #gatherer: RequestGatherer;
  readonly #symbols: Symbols;
  readonly #room = new MessageRoom();
  /** The block of the series that is being read: type, unit, help, then the names and values of the labels. */
  readonly #row = new Int32Array(3 + 2 * LABELS_MAX);
  readonly #key = Buffer.from(this.#row.buffer);
  #rowLength = 3;
  #isWhole = true;

  constructor(options?: Omit<WrittenGathererOptions, "metadata">) {
    this.#gatherer = new RequestGatherer(options);
    this.#symbols = new Symbols(options?.seriesCount);
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
   * @throws BadInput when the body is not a Request, or is a request of 1.0, or its first symbol is not the empty one;
   * TooLarge when it has too many samples or symbols
   */
  decode(body: Uint8Array): RemoteWriteRequest {
    return atOnce(this.decoding(body));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(body: Uint8Array): Generator<void, RemoteWriteRequest> {
    const reader = this.#reader;
    reader.open(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    this.#gatherer.begin();
    yield* this.#readSymbols();
    reader.at = 0;
    let pauseAt = STEP_BYTES;
    while (reader.at < body.length) {
      if (reader.at >= pauseAt) {
        pauseAt = reader.at + STEP_BYTES;
        yield;
      }
      const tag = reader.uint32();
      if (tag === TIMESERIES) {
        const end = reader.length();
        const begin = reader.at;
        this.#labelsOfSeries(end);
        reader.at = begin;
        if (end - begin > STEP_BYTES) yield* this.#longSeries(end);
        else this.#samples(end, end);
      } else if (tag === V1_TIMESERIES || tag === V1_METADATA) throw otherVersion();
      else reader.skip(tag);
    }
    return this.#gatherer.take();
  }

  /** Numbers the request's symbols, which may come after the series that refer to them. */
  *#readSymbols(): Generator<void> {
    const before = this.#symbols.generation;
    let { generation } = this.#symbols;
    yield* this.#numberSymbols();
    if (this.#symbols.generation !== generation) {
      // The numbers were full and started again within the request; now there is room.
      generation = this.#symbols.generation;
      yield* this.#numberSymbols();
      if (this.#symbols.generation !== generation)
        throw new TooLarge(
          `the request has ${this.#symbols.count} symbols, more than are accepted; send it in parts`,
        );
    }
    // Blocks are rows of these numbers.
    if (this.#symbols.generation !== before) this.#gatherer.blocks.clear();
  }

  *#numberSymbols(): Generator<void> {
    const reader = this.#reader;
    reader.at = 0;
    this.#symbols.begin();
    let pauseAt = STEP_BYTES;
    while (reader.at < reader.bytes.length) {
      if (reader.at >= pauseAt) {
        pauseAt = reader.at + STEP_BYTES;
        yield;
      }
      const tag = reader.uint32();
      if (tag !== SYMBOL) {
        reader.skip(tag);
        continue;
      }
      const to = reader.length();
      // A reference that is left out is 0, and means that there is no help and no unit.
      if (this.#symbols.count === 0 && to > reader.at) {
        const first = reader.bytes.subarray(reader.at, to).toString("utf8");
        throw new BadInput(
          `the first symbol of the request is ${quote(first)}, expected an empty one`,
          "body",
        );
      }
      this.#symbols.add(reader.bytes, reader.at, to);
      reader.at = to;
    }
  }

  /** Reads the labels and metadata of a series. */
  #labelsOfSeries(end: number): void {
    const gatherer = this.#gatherer;
    this.#readRow(end);
    const length = this.#rowLength * 4;
    if (this.#isWhole && gatherer.expectedLength(this.#key, 0) === length) gatherer.useExpected();
    else if (this.#isWhole) gatherer.use(this.#key, 0, length, () => this.#decide());
    else gatherer.rejectSeries(this.#decide() as RejectedSeries);
  }

  /** Reads the rest of a series with many samples. */
  *#longSeries(end: number): Generator<void> {
    const reader = this.#reader;
    while (reader.at < end) {
      this.#samples(Math.min(end, reader.at + STEP_BYTES), end);
      yield;
    }
  }

  /** Reads the samples of a series, up to the first field at or behind `to`. */
  #samples(to: number, end: number): void {
    const reader = this.#reader;
    const gatherer = this.#gatherer;
    while (reader.at < to) {
      const tag = reader.uint32();
      if (tag === SAMPLE) gatherer.readSample(reader, reader.length());
      else if (tag === HISTOGRAM) gatherer.readHistogram(reader, reader.length());
      else if (tag === EXEMPLAR) this.#exemplar(reader.length());
      else reader.skip(tag);
    }
    if (to === end || reader.at > end) reader.expectEnd(end);
  }

  #exemplar(end: number): void {
    const reader = this.#reader;
    const references: number[] = [];
    let value = 0;
    let timestampMs = 0;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === REFS) {
        const to = reader.length();
        while (reader.at < to) references.push(reader.uint32());
        reader.expectEnd(to);
      } else if (tag === REF) references.push(reader.uint32());
      else if (tag === (16 | FIXED64)) value = reader.double();
      else if (tag === (24 | VARINT)) timestampMs = reader.int64();
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    const symbols = references.map((reference) => this.#symbols.numberOf(reference));
    const isWhole = symbols.length % 2 === 0 && symbols.every((symbol) => symbol >= 0);
    this.#gatherer.exemplar(timestampMs, value, isWhole ? this.#pairs(symbols) : undefined);
  }

  /** Names and values in turn, by the numbers of their symbols. */
  #pairs(symbols: ArrayLike<number>): [name: string, value: string][] {
    return Array.from({ length: symbols.length / 2 }, (_, at) => [
      this.#symbols.text(symbols[2 * at]!),
      this.#symbols.text(symbols[2 * at + 1]!),
    ]);
  }

  /** Reads the labels of a series, and its metadata, which comes after its samples, into the row. */
  #readRow(end: number): void {
    const reader = this.#reader;
    const row = this.#row;
    row[0] = row[1] = row[2] = 0;
    this.#rowLength = 3;
    this.#isWhole = true;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === REFS) {
        const to = reader.length();
        while (reader.at < to) this.#addReference(reader.uint32());
        reader.expectEnd(to);
      } else if (tag === REF) this.#addReference(reader.uint32());
      else if (tag === METADATA) this.#readMetadata(reader.length());
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    if (this.#rowLength % 2 === 0) this.#isWhole = false;
  }

  #addReference(reference: number): void {
    const symbol = this.#symbols.numberOf(reference);
    if (symbol < 0 || this.#rowLength >= this.#row.length) this.#isWhole = false;
    else this.#row[this.#rowLength++] = symbol;
  }

  #readMetadata(end: number): void {
    const reader = this.#reader;
    const row = this.#row;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === (8 | VARINT)) row[0] = reader.uint32();
      else if (tag === (24 | VARINT)) row[2] = this.#symbolOr(reader.uint32());
      else if (tag === (32 | VARINT)) row[1] = this.#symbolOr(reader.uint32());
      else reader.skip(tag);
    }
    reader.expectEnd(end);
  }

  /** A symbol by its reference, or the empty one: a series is not rejected because of its help text. */
  #symbolOr(reference: number): number {
    return Math.max(0, this.#symbols.numberOf(reference));
  }

  #decide(): SeriesHead | RejectedSeries {
    const row = this.#row;
    if (!this.#isWhole) {
      const reason =
        `a series refers to symbols that the request does not have or that are not valid UTF-8, to half a ` +
        `label, or to more than ${LABELS_MAX} labels; the request has ${this.#symbols.count} symbols`;
      return { cause: "labels", reason, payload: "" };
    }
    const pairs = this.#pairs(row.subarray(3, this.#rowLength));
    const type = METRIC_TYPES[row[0]!] ?? "unknown";
    const unit = this.#symbols.text(row[1]!);
    const help = this.#symbols.text(row[2]!);
    return this.#gatherer.decide(pairs, { type, unit, help });
  }
}

/** Nothing of the message could be read, and a sender that got 204 would assume that it is stored. */
function otherVersion(): BadInput {
  return new BadInput(
    "the message is a prometheus.WriteRequest, but Content-Type says io.prometheus.write.v2.Request",
    "Content-Type",
  );
}
