/**
 * Prometheus remote_write 1.0 (https://prometheus.io/docs/specs/prw/remote_write_spec/): a WriteRequest as
 * protobuf, already out of its snappy block → Batch. Pure but for what it remembers of label blocks and metadata.
 *
 * Our own decoder: protobufjs takes 2.3 CPU-seconds a million samples to make its objects, before anything is done
 * with them. It is the reference in the tests. A series is refused by itself when its labels are not right; a
 * message that does not parse is refused whole.
 */
import { isUtf8 } from "node:buffer";
import { BadInput } from "../errors.ts";
import { BYTES, FIXED64, ProtobufReader, VARINT } from "./protobuf.ts";
import { Gatherer, type RemoteWriteRequest } from "./remote-write/gather.ts";
import type { LabelPairs } from "./remote-write/labels.ts";
import { METRIC_TYPES } from "./remote-write/metadata.ts";

export type { RemoteWriteRequest } from "./remote-write/gather.ts";

/** Tags: field number times 8, plus the wire type. The messages are those of prometheus/prompb/{remote,types}.proto. */
const TIMESERIES = 8 | BYTES;
const METADATA = 24 | BYTES;
const LABEL = 8 | BYTES;
const SAMPLE = 16 | BYTES;
const EXEMPLAR = 24 | BYTES;
const HISTOGRAM = 32 | BYTES;

export class RemoteWriteDecoder {
  readonly #reader = new ProtobufReader();
  readonly #gatherer = new Gatherer();
  #refine = false;

  /**
   * Decodes a request.
   *
   * @throws BadInput when it is no WriteRequest; TooLarge when it has too many samples
   */
  decode(body: Uint8Array): RemoteWriteRequest {
    const reader = this.#reader;
    reader.open(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    this.#gatherer.begin();
    while (reader.at < body.length) {
      const tag = reader.uint32();
      if (tag === TIMESERIES) this.#timeseries(reader.length());
      else if (tag === METADATA) this.#metadata(reader.length());
      else reader.skip(tag);
    }
    if (this.#refine) {
      // The heads that are remembered lack what is known now.
      this.#refine = false;
      this.#gatherer.blocks.clear();
    }
    return this.#gatherer.take();
  }

  #timeseries(end: number): void {
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
      gatherer.use(bytes, begin, behind - begin, () => gatherer.decide(this.#labels(begin, behind)));
      reader.at = behind;
    }
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === SAMPLE) gatherer.readSample(reader, reader.length());
      else if (tag === HISTOGRAM) gatherer.readHistogram(reader, reader.length());
      else if (tag === EXEMPLAR) {
        this.#exemplar(reader.length());
      } else if (tag === LABEL) {
        throw new BadInput(
          `the labels of the series at byte ${begin} of the message stand apart, expected them in front of its samples`,
          "body",
        );
      } else reader.skip(tag);
    }
    reader.expectEnd(end);
  }

  #exemplar(end: number): void {
    const reader = this.#reader;
    const pairs: (readonly [string, string])[] = [];
    let value = 0;
    let timestampMs = 0;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === LABEL) pairs.push(this.#label(reader.length()));
      else if (tag === (16 | FIXED64)) value = reader.double();
      else if (tag === (24 | VARINT)) timestampMs = reader.int64();
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    this.#gatherer.exemplar(timestampMs, value, pairs);
  }

  #labels(from: number, to: number): LabelPairs {
    const reader = this.#reader;
    const pairs: (readonly [string, string])[] = [];
    reader.at = from;
    while (reader.at < to) {
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
      if (tag === (8 | BYTES)) name = this.#text("a label's name");
      else if (tag === (16 | BYTES)) value = this.#text("a label's value");
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    return [name, value];
  }

  #metadata(end: number): void {
    const reader = this.#reader;
    let type = 0;
    let [family, help, unit] = ["", "", ""];
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === (8 | VARINT)) type = reader.uint64();
      else if (tag === (16 | BYTES)) family = this.#text("a metric's name");
      else if (tag === (32 | BYTES)) help = this.#text("a metric's help");
      else if (tag === (40 | BYTES)) unit = this.#text("a metric's unit");
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    if (family === "") return;
    const said = { type: METRIC_TYPES[type] ?? "unknown", help, unit };
    if (this.#gatherer.metadata.note(family, said)) this.#refine = true;
  }

  #text(what: string): string {
    const reader = this.#reader;
    const begin = reader.at;
    const end = reader.length();
    const bytes = reader.bytes.subarray(reader.at, end);
    reader.at = end;
    if (!isUtf8(bytes))
      throw new BadInput(`${what} at byte ${begin} of the message is not valid UTF-8`, "body");
    return bytes.toString("utf8");
  }
}
