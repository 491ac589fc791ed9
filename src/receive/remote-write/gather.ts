/**
 * What both versions of remote_write have in common once a series is known: its samples, native histograms and
 * exemplars go into the columns of a batch; label blocks that were seen before are found by their bytes.
 *
 * A scrape is sent again and again in the same order, so the block that followed another the last time is tried
 * first: it costs one comparison, and no hash.
 */
import { exemplarsDropped, nativeHistograms } from "../../model/counters.ts";
import { quote, TooLarge } from "../../model/errors.ts";
import type { Batch, SeriesHead } from "../../model/sample.ts";
import { BatchBuilder } from "../../wire/batch-builder.ts";
import { type BucketLayout, BucketLayouts } from "../../wire/bucket-layout.ts";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";
import { NativeHistogram } from "../../wire/native-histogram.ts";
import { FIXED64, type ProtobufReader, VARINT } from "../../wire/protobuf.ts";
import { ClassicSeries } from "./classic-series.ts";
import { describe, exemplarLabels, headOf, type LabelPairs, type RefusedSeries } from "./labels.ts";
import { FamilyMetadata, type Metadata } from "./metadata.ts";

/** A decoded request. */
export interface RemoteWriteRequest {
  readonly batch: Batch;
  /** How many of each the request holds; their places count one after another, in the order of the body. */
  readonly samples: number;
  readonly histograms: number;
  /** Those that cannot be kept included, which the batch lacks. */
  readonly exemplars: number;
  /** The places that are native histograms. */
  readonly histogramPositions: ReadonlySet<number>;
}

/** 128 MiB of the smallest samples would be six million, which hold up everything else for seconds. */
const SAMPLES_MAX = 500_000;
/** Samples that native histograms become: 10,000 of them, as much as a sender has in a request, with all bounds. */
const ROWS_MAX = 2_100_000;
/** Of one request: the others that are wrong are counted and not told. Answers and dead letters name fewer. */
const REASONS_MAX = 1_000;
const UNTOLD = "wrong, as the samples before it";
/** Of one request: a tenth of those that are kept at all. */
const EXEMPLARS_MAX = 10_000;
/** Remembered series: with 150 bytes each all of their blocks' bytes are in use. */
const BLOCKS_MAX = 262_144;

export class Gatherer {
  readonly blocks = new LabelBlocks(BLOCKS_MAX);
  readonly metadata = new FamilyMetadata();
  readonly #builder = new BatchBuilder("remote_write");
  readonly #histogram = new NativeHistogram();
  readonly #layouts: BucketLayouts;
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  /** By block: the batch that used it last, its index among that batch's heads, and the block that followed it. */
  #usedBy = new Int32Array(1_024);
  #indexIn = new Int32Array(1_024);
  #next = new Int32Array(1_024).fill(-1);
  #generation = 0;
  #batchNumber = 0;
  #last = -1;
  /** The series that is being read: a block or a refusal, and its index in the batch once it has a sample. */
  #block = -1;
  #refused: RefusedSeries | undefined;
  #index = -1;
  /** The time of its last sample; 0 before the first. */
  #timestampMs = 0;
  #position = 0;
  #samples = 0;
  #histograms = 0;
  #exemplars = 0;
  #histogramPositions = new Set<number>();
  /** The heads that a native histogram's series becomes. */
  #classic = new WeakMap<SeriesHead, ClassicSeries>();
  /** By head that has no block of its own: its index in this batch. */
  #indexes = new Map<SeriesHead, number>();

  constructor(layouts = new BucketLayouts()) {
    this.#layouts = layouts;
  }

  /** Begins with a request; what an earlier one left behind is gone. */
  begin(): void {
    this.#builder.clear();
    this.#batchNumber++;
    if (this.#generation !== this.blocks.generation) this.#forgetBlocks();
    this.#last = -1;
    this.#position = this.#samples = this.#histograms = this.#exemplars = 0;
    this.#histogramPositions = new Set();
    this.#indexes.clear();
  }

  /** The batch and its counts; the gatherer is empty after it. */
  take(): RemoteWriteRequest {
    return {
      batch: this.#builder.take(),
      samples: this.#samples,
      histograms: this.#histograms,
      exemplars: this.#exemplars,
      histogramPositions: this.#histogramPositions,
    };
  }

  /**
   * The length of the block that is expected next if its bytes stand at `from`, else -1. What follows is of
   * its series, once `useExpected` says so.
   */
  expectedLength(bytes: Buffer, from: number): number {
    if (this.#last < 0) return -1;
    const expected = this.#next[this.#last]!;
    return expected < 0 ? -1 : this.blocks.lengthAt(expected, bytes, from);
  }

  /** What follows is of the series of the block that was expected. */
  useExpected(): void {
    this.#useBlock(this.#next[this.#last]!);
  }

  /**
   * What follows is of the series with this block: `length` bytes at `from`. Where it was not seen before,
   * `decide` is asked for its head, which is kept unless it is a refusal.
   */
  use(bytes: Buffer, from: number, length: number, decide: () => SeriesHead | RefusedSeries): void {
    const hash = blockHash(bytes, from, from + length, this.#seed);
    let block = this.blocks.find(bytes, length, hash, from);
    if (block < 0) {
      const decided = decide();
      if ("reason" in decided) {
        this.refuse(decided);
        return;
      }
      block = this.blocks.add(bytes, length, hash, decided, from);
    }
    this.#useBlock(block);
  }

  /** What follows is of a series that cannot be taken. */
  refuse(refused: RefusedSeries): void {
    this.#refused = refused;
    this.#block = this.#index = -1;
  }

  /** Decides about the labels of a series: its head, or why it cannot be taken. */
  decide(pairs: LabelPairs, metadata?: Metadata): SeriesHead | RefusedSeries {
    return headOf(pairs, (metric) => metadata ?? this.metadata.of(metric));
  }

  /** Reads a sample; the message is the same in both versions. */
  readSample(reader: ProtobufReader, end: number): void {
    let value = 0;
    let timestampMs = 0;
    let isStale = false;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === (8 | FIXED64)) {
        value = reader.double();
        // biome-ignore lint/suspicious/noSelfCompare: only NaN differs from itself, and the call would cost more
        isStale = value !== value && reader.isStaleMarker();
      } else if (tag === (16 | VARINT)) timestampMs = reader.int64();
      else reader.skip(tag);
    }
    reader.expectEnd(end);
    const position = this.#nextPosition();
    this.#timestampMs = timestampMs;
    this.#samples += 1;
    if (this.#refused !== undefined) {
      this.#reject(position, this.#refused);
      return;
    }
    if (this.#index < 0) this.#index = this.#indexOfSeries();
    this.#builder.add(this.#index, timestampMs * 1000, value, position);
    if (isStale) this.#builder.markStale();
  }

  /** Reads a native histogram and adds it as classic buckets, sum and count. */
  readHistogram(reader: ProtobufReader, end: number): void {
    const histogram = this.#histogram;
    histogram.read(reader, end);
    const position = this.#nextPosition();
    this.#timestampMs = histogram.timestampMs;
    this.#histograms += 1;
    this.#histogramPositions.add(position);
    if (this.#refused !== undefined) {
      this.#reject(position, this.#refused);
      return;
    }
    const head = this.blocks.head(this.#block);
    const problem = histogram.problem();
    if (problem !== undefined) {
      const payload = describe([["__name__", head.metric], ...head.labels]);
      this.#reject(position, { cause: "value", reason: `native histogram ${payload} ${problem}`, payload });
      return;
    }
    let heads = this.#classic.get(head);
    if (heads === undefined) {
      heads = new ClassicSeries(head);
      this.#classic.set(head, heads);
    }
    this.#addClassic(histogram, heads, this.#layouts.of(head.metric), position);
    nativeHistograms.inc();
  }

  #addClassic(
    histogram: NativeHistogram,
    heads: ClassicSeries,
    layout: BucketLayout,
    position: number,
  ): void {
    const { timestampMs, isStale, count, sum } = histogram;
    const add = (part: SeriesHead, value: number, ends: boolean) => {
      this.#builder.add(this.#indexOfHead(part), timestampMs * 1000, value, position);
      if (ends) this.#builder.markStale();
    };
    let ended: readonly number[];
    if (isStale) ended = heads.end(timestampMs, () => layout.bounds);
    else {
      const { bounds, counts } = layout.convert(histogram);
      for (let at = 0; at < bounds.length; at++) add(heads.bucket(bounds[at]!), counts[at]!, false);
      ended = heads.show(bounds, timestampMs);
    }
    for (const bound of ended) add(heads.bucket(bound), 0, true);
    add(heads.bucket(Number.POSITIVE_INFINITY), count, isStale);
    add(heads.sum, sum, isStale);
    add(heads.count, count, isStale);
    if (this.#builder.length > ROWS_MAX) throw tooMany(`${quote(ROWS_MAX)} samples of native histograms`);
  }

  /**
   * Adds an exemplar; one whose labels are too long, or that has none that can be read, is dropped. A time of 0 is
   * none: then it is of the sample before it.
   */
  exemplar(timestampMs: number, value: number, pairs: LabelPairs | undefined): void {
    this.#exemplars += 1;
    const labels = pairs && exemplarLabels(pairs);
    if (labels === undefined || this.#refused !== undefined || this.#exemplars > EXEMPLARS_MAX) {
      exemplarsDropped.inc();
      return;
    }
    this.#builder.addExemplar({
      head: this.#exemplarHead(value),
      timestampUs: (timestampMs || this.#timestampMs) * 1000,
      value,
      labels,
    });
  }

  /** The series of an exemplar: of a native histogram, the bucket that holds it. */
  #exemplarHead(value: number): number {
    const bucket = this.#classic.get(this.blocks.head(this.#block))?.bucketOf(value);
    if (bucket !== undefined) return this.#indexOfHead(bucket);
    if (this.#index < 0) this.#index = this.#indexOfSeries();
    return this.#index;
  }

  #nextPosition(): number {
    if (this.#position >= SAMPLES_MAX) throw tooMany(`${quote(SAMPLES_MAX)} samples`);
    return this.#position++;
  }

  #useBlock(block: number): void {
    if (this.#generation !== this.blocks.generation) this.#forgetBlocks();
    if (block >= this.#usedBy.length) this.#grow(block);
    if (this.#last >= 0) this.#next[this.#last] = block;
    this.#last = block;
    this.#block = block;
    this.#refused = undefined;
    this.#index = -1;
    this.#timestampMs = 0;
  }

  #indexOfSeries(): number {
    const block = this.#block;
    if (this.#usedBy[block] !== this.#batchNumber) {
      this.#usedBy[block] = this.#batchNumber;
      this.#indexIn[block] = this.#builder.addHead(this.blocks.head(block));
    }
    return this.#indexIn[block]!;
  }

  #indexOfHead(head: SeriesHead): number {
    let index = this.#indexes.get(head);
    if (index === undefined) {
      index = this.#builder.addHead(head);
      this.#indexes.set(head, index);
    }
    return index;
  }

  /** Turns one away. Past those that are told, so that a request that is wrong throughout is not held in texts. */
  #reject(index: number, { cause, reason, payload }: RefusedSeries): void {
    const { rejected } = this.#builder;
    const isTold = rejected.length < REASONS_MAX;
    rejected.push({ index, cause, reason: isTold ? reason : UNTOLD, payload: isTold ? payload : "" });
  }

  /** The blocks began anew, maybe within this request: what is noted of their numbers is of others. */
  #forgetBlocks(): void {
    this.#generation = this.blocks.generation;
    this.#batchNumber++;
    this.#next.fill(-1);
    this.#last = -1;
  }

  #grow(block: number): void {
    const length = Math.max(this.#usedBy.length * 2, block + 1);
    const wider = (from: Int32Array, fill: number) => {
      const to = new Int32Array(length).fill(fill);
      to.set(from);
      return to;
    };
    this.#usedBy = wider(this.#usedBy, 0);
    this.#indexIn = wider(this.#indexIn, 0);
    this.#next = wider(this.#next, -1);
  }
}

function tooMany(what: string): TooLarge {
  return new TooLarge(`the request has more than ${what}, send it in parts`, "body");
}
