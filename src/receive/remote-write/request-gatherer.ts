/**
 * What both versions of remote_write share once a series is known: its samples, native histograms and exemplars are
 * added to the columns of a batch. Label blocks that were seen before are found by their bytes.
 *
 * A sender repeats a scrape in the same order. So the block that followed another one the last time is tried first,
 * which costs one comparison and no hash. `scripts/bench remote-write` measures it.
 */
import { quote, TooLarge } from "../../model/errors.ts";
import type { Batch, SeriesHead } from "../../model/sample.ts";
import { BatchBuilder } from "../../wire/batch-builder.ts";
import { type BucketLayout, BucketLayouts } from "../../wire/bucket-layout.ts";
import { blockHash, LabelBlocks } from "../../wire/label-blocks.ts";
import { NativeHistogram } from "../../wire/native-histogram.ts";
import { FIXED64, type ProtobufReader, VARINT } from "../../wire/protobuf.ts";
import { ClassicSeries } from "./classic-series.ts";
import { FamilyMetadata, type Metadata } from "../../wire/exposition-formats/family-metadata.ts";
import { REMOTE_WRITE } from "./remote-write-protocol.ts";
import {
  describe,
  exemplarLabels,
  headOf,
  type LabelPairs,
  type RejectedSeries,
  seriesHead,
} from "./written-labels.ts";

/** A decoded request. */
export interface RemoteWriteRequest {
  readonly batch: Batch;
  /** The numbers of each in the request. Samples and histograms are numbered together, in the order of the body. */
  readonly samples: number;
  readonly histograms: number;
  /** Includes those that cannot be kept. */
  readonly exemplars: number;
  /** Of those, the ones that the batch does not have. */
  readonly exemplarsDropped: number;
  /** Native histograms that became classic buckets. The others were rejected. */
  readonly classicHistograms: number;
  /** Metadata that is not text, or of a family above the limit. */
  readonly metadataDropped: number;
  /** The numbers of the native histograms, counted from 0. */
  readonly histogramPositions: ReadonlySet<number>;
}

/** 128 MiB of the smallest samples would be six million, which would block everything else for seconds. */
const SAMPLES_MAX = 500_000;
/** Samples that native histograms become: 10,000 histograms, as many as a sender puts in a request, with all bounds. */
const ROWS_MAX = 2_100_000;
const REASON_PAST_MAX = "invalid, like the samples before it";
/** Per request: a tenth of all exemplars that are kept. */
const EXEMPLARS_MAX = 10_000;
/** Remembered series, if fewer exist. At 120 bytes per block, they fill the buffer of the blocks. */
const BLOCKS_MAX = 262_144;

/** Metrics whose spelling of bounds is remembered. */
const PLAIN_BOUNDS_MAX = 10_000;

export interface WrittenGathererOptions {
  /** The buckets of native histograms. All decoders must share one. */
  readonly layouts?: BucketLayouts;
  /** The metadata that other requests said. Decoders of one version may share one. */
  readonly metadata?: FamilyMetadata;
  /** The number of series that exist, which is also the number that is remembered. */
  readonly seriesCount?: () => number;
}

export class RequestGatherer {
  readonly blocks: LabelBlocks;
  readonly metadata: FamilyMetadata;
  readonly #builder: BatchBuilder;
  readonly #histogram = new NativeHistogram();
  readonly #layouts: BucketLayouts;
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  /** By block: the batch that used it last, its index among the heads of that batch, and the block that followed it. */
  #usedBy = new Int32Array(1_024);
  #indexIn = new Int32Array(1_024);
  #next = new Int32Array(1_024).fill(-1);
  /** By block: the version of the metadata that its head has. */
  #metadataOf = new Int32Array(1_024).fill(-1);
  #generation = 0;
  #batchNumber = 0;
  #last = -1;
  /** The series that is being read: a block or a rejection, and its index in the batch once it has a sample. */
  #block = -1;
  #rejected: RejectedSeries | undefined;
  #index = -1;
  /** The time of its last sample; 0 before the first. */
  #timestampMs = 0;
  #position = 0;
  #samples = 0;
  #histograms = 0;
  #exemplars = 0;
  #classicHistograms = 0;
  #exemplarsDropped = 0;
  #metadataDropped = 0;
  #histogramPositions = new Set<number>();
  /** The classic series of a native histogram, by the head of the histogram. */
  #classic = new WeakMap<SeriesHead, ClassicSeries>();
  /** By metric of classic buckets: whether their whole bounds are spelled `1`, and not `1.0`. */
  readonly #plainBounds = new Map<string, boolean>();
  /** By head that has no block of its own: its index in this batch. */
  #indexes = new Map<SeriesHead, number>();

  constructor({
    layouts = new BucketLayouts(),
    metadata = new FamilyMetadata(),
    seriesCount,
  }: WrittenGathererOptions = {}) {
    this.#layouts = layouts;
    this.metadata = metadata;
    this.blocks = new LabelBlocks(BLOCKS_MAX, { seriesCount, keepsHalf: true });
    this.#builder = new BatchBuilder(REMOTE_WRITE.name, seriesCount);
  }

  /** Starts a request, and drops what an earlier one left. */
  begin(): void {
    this.#builder.clear();
    this.#batchNumber++;
    if (this.#generation !== this.blocks.generation) this.#forgetBlocks();
    this.#last = -1;
    this.#position = this.#samples = this.#histograms = this.#exemplars = 0;
    this.#classicHistograms = this.#exemplarsDropped = this.#metadataDropped = 0;
    this.#histogramPositions = new Set();
    this.#indexes.clear();
  }

  /** Returns the batch and its counts. The gatherer is empty afterwards. */
  take(): RemoteWriteRequest {
    return {
      batch: this.#builder.take(),
      samples: this.#samples,
      histograms: this.#histograms,
      exemplars: this.#exemplars,
      classicHistograms: this.#classicHistograms,
      exemplarsDropped: this.#exemplarsDropped,
      metadataDropped: this.#metadataDropped,
      histogramPositions: this.#histogramPositions,
    };
  }

  /**
   * Returns the length of the block that is expected next if `bytes` has its bytes at `from`, else -1. After
   * `useExpected`, what follows belongs to its series.
   */
  expectedLength(bytes: Buffer, from: number): number {
    if (this.#last < 0) return -1;
    const expected = this.#next[this.#last]!;
    return expected < 0 ? -1 : this.blocks.lengthAt(expected, bytes, from);
  }

  /** What follows belongs to the series of the expected block. */
  useExpected(): void {
    this.#useBlock(this.#next[this.#last]!);
  }

  /**
   * What follows belongs to the series with this block: `length` bytes at `from`. If the block is new, `decide` returns
   * its head, which is remembered, or a rejection, which is not.
   */
  use(bytes: Buffer, from: number, length: number, decide: () => SeriesHead | RejectedSeries): void {
    const hash = blockHash(bytes, from, from + length, this.#seed);
    let block = this.blocks.find(bytes, length, hash, from);
    if (block < 0) {
      const decided = decide();
      if ("reason" in decided) {
        this.rejectSeries(decided);
        return;
      }
      block = this.blocks.add(bytes, length, hash, decided, from);
    }
    this.#useBlock(block);
  }

  /** What follows belongs to a series that is rejected. */
  rejectSeries(rejected: RejectedSeries): void {
    this.#rejected = rejected;
    this.#block = this.#index = -1;
  }

  /** Checks the labels of a series: returns its head, or the reason to reject it. */
  decide(pairs: LabelPairs, metadata?: Metadata): SeriesHead | RejectedSeries {
    const head = headOf(pairs, (metric) => metadata ?? this.metadata.of(metric));
    if ("labels" in head) this.noteHead(head);
    return head;
  }

  /** Notes how a classic bucket spells a whole bound. */
  noteHead({ metric, labels }: SeriesHead): void {
    if (!metric.endsWith("_bucket")) return;
    const whole = /^[0-9]+(\.0)?$/.exec(labels.get("le") ?? "");
    if (whole === null) return;
    if (this.#plainBounds.size >= PLAIN_BOUNDS_MAX) this.#plainBounds.clear();
    this.#plainBounds.set(metric, whole[1] === undefined);
  }

  /** Adds metadata of a family where none is known. */
  noteMetadata(family: string, said: Metadata): void {
    if (this.metadata.note(family, said) === "full") this.#metadataDropped += 1;
  }

  /** Counts metadata that cannot be read. */
  dropMetadata(): void {
    this.#metadataDropped += 1;
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
    if (this.#rejected !== undefined) {
      this.#reject(position, this.#rejected);
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
    if (this.#rejected !== undefined) {
      this.#reject(position, this.#rejected);
      return;
    }
    const head = this.blocks.head(this.#block);
    const problem = histogram.problem();
    if (problem !== undefined) {
      const payload = describe([["__name__", head.metric], ...head.labels]);
      this.#reject(position, { cause: "value", reason: `native histogram ${payload} ${problem}`, payload });
      return;
    }
    const heads = this.#classic.getOrInsertComputed(head, () => new ClassicSeries(head));
    this.#addClassic(histogram, heads, this.#layouts.of(head.metric), position);
    this.#classicHistograms += 1;
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
    const isPlain = this.#plainBounds.get(`${heads.native.metric}_bucket`) ?? false;
    for (const head of heads.spell(isPlain)) add(head, 0, true);
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
   * Adds an exemplar. An exemplar without readable labels, or with labels that are too long, is dropped. A time of 0
   * means that there is none; then the exemplar has the time of the sample before it.
   */
  exemplar(timestampMs: number, value: number, pairs: LabelPairs | undefined): void {
    this.#exemplars += 1;
    const labels = pairs && exemplarLabels(pairs);
    if (labels === undefined || this.#rejected !== undefined || this.#exemplars > EXEMPLARS_MAX) {
      this.#exemplarsDropped += 1;
      return;
    }
    this.#builder.addExemplar({
      head: this.#exemplarHead(value),
      timestampUs: (timestampMs || this.#timestampMs) * 1000,
      value,
      labels,
    });
  }

  /** The series of an exemplar. For a native histogram, this is the bucket that contains its value. */
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
    const { version } = this.metadata;
    if (this.#metadataOf[block] !== version) this.#refresh(block, version);
    if (this.#last >= 0) this.#next[this.#last] = block;
    this.#last = block;
    this.#block = block;
    this.#rejected = undefined;
    this.#index = -1;
    this.#timestampMs = 0;
  }

  /**
   * Adds metadata that came since the head of a block was made. Most new metadata is of other families: their heads, and
   * the decisions about them, remain.
   */
  #refresh(block: number, version: number): void {
    this.#metadataOf[block] = version;
    const { metric, labels, type, unit, help } = this.blocks.head(block);
    const known = this.metadata.of(metric);
    if (known === undefined) return;
    const fresh = seriesHead(metric, labels, known);
    if (fresh.type === type && fresh.unit === unit && fresh.help === help) return;
    this.blocks.setHead(block, fresh);
    if (this.#usedBy[block] === this.#batchNumber) this.#usedBy[block] = 0;
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
    return this.#indexes.getOrInsertComputed(head, () => this.#builder.addHead(head));
  }

  #reject(index: number, { cause, reason, payload }: RejectedSeries): void {
    this.#builder.reject(index, cause, reason, () => payload, REASON_PAST_MAX);
  }

  /** Blocks were dropped, maybe within this request: what is kept by block number belongs to other blocks. */
  #forgetBlocks(): void {
    this.#generation = this.blocks.generation;
    this.#batchNumber++;
    this.#next.fill(-1);
    this.#metadataOf.fill(-1);
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
    this.#metadataOf = wider(this.#metadataOf, -1);
  }
}

function tooMany(what: string): TooLarge {
  return new TooLarge(`the request has more than ${what}, send it in parts`, "body");
}
