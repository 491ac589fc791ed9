/**
 * Finds the series of a data point by its metric and the bytes of its attributes, which are decoded only when they are
 * new.
 *
 * A sender repeats its points in the same order. So the attributes that followed others of the same metric the last
 * time are tried first, which costs one comparison and no hash. `scripts/bench otlp` measures it.
 */
import { quote } from "../../../model/errors.ts";
import { blockHash, LabelBlocks } from "../../../wire/label-blocks.ts";
import { ProtobufReader } from "../../../wire/protobuf.ts";
import { InvalidAttribute, readAttributes } from "../labels/attribute-values.ts";
import { type LabelOptions, pointLabels } from "../labels/point-labels.ts";
import type { DataPoint } from "./data-point.ts";
import { type OtlpMetric, PointSeries, type Problem } from "./point-series.ts";

/** Remembered label sets, if fewer series exist. */
const BLOCKS_MAX = 262_144;

export class SeriesFinder {
  readonly #options: LabelOptions;
  readonly #blocks: LabelBlocks<PointSeries>;
  readonly #seed = (Math.random() * 2 ** 32) | 0;
  readonly #reader = new ProtobufReader();
  /** By block: the block that followed it in the same metric. */
  #next = new Int32Array(1_024).fill(-1);
  #generation = 0;
  #metric: OtlpMetric | undefined;
  /** The block of the point before, and the one that is expected. */
  #last = -1;
  #expected = -1;
  #decisions = 0;

  /** @param seriesCount the number of series that exist */
  constructor(options: LabelOptions, seriesCount?: () => number) {
    this.#options = options;
    this.#blocks = new LabelBlocks<PointSeries>(BLOCKS_MAX, { seriesCount, keepsHalf: true });
  }

  /** How many series were decided since the start. The others repeat the attributes of earlier ones. */
  get decisions(): number {
    return this.#decisions;
  }

  /** Starts the points of a metric. */
  begin(metric: OtlpMetric): void {
    if (this.#generation !== this.#blocks.generation) this.#forgetNumbers();
    this.#metric = metric;
    this.#last = -1;
    this.#expected = metric.generation === this.#generation ? metric.first : -1;
  }

  /** See `DataPoint`. */
  readonly expect = (bytes: Buffer, from: number): number =>
    this.#expected < 0 ? -1 : this.#blocks.lengthAt(this.#expected, bytes, from);

  /** The series of a point, or the reason to reject it. */
  find(point: DataPoint): PointSeries | Problem {
    const block = point.isExpected ? this.#expected : this.#look(point);
    if (typeof block !== "number") return block;
    if (this.#last >= 0) this.#next[this.#last] = block;
    else this.#noteFirst(block);
    this.#last = block;
    this.#expected = this.#next[block]!;
    return this.#blocks.head(block);
  }

  /** Forgets all series. Call it between two requests only, or when their metrics are forgotten. */
  forget(): void {
    this.#blocks.clear();
    this.#forgetNumbers();
  }

  #noteFirst(block: number): void {
    const metric = this.#metric!;
    metric.first = block;
    metric.generation = this.#generation;
  }

  /** The block of a point's attributes. If there is none, its series, or the reason to reject it. */
  #look(point: DataPoint): number | PointSeries | Problem {
    const metric = this.#metric!;
    if (metric.problem !== undefined) return metric.problem;
    const { attributes, attributesFrom, attributesTo } = point;
    const length = attributesTo - attributesFrom;
    const seed = this.#seed ^ Math.imul(metric.number, 0x9e3779b1);
    const hash = blockHash(attributes, attributesFrom, attributesTo, seed);
    const known = this.#blocks.find(attributes, length, hash, attributesFrom);
    if (known >= 0 && this.#blocks.head(known).metric === metric) return known;
    const series = this.#decide(point, metric);
    // Another metric may have an equal block with an equal hash: this one is decided each time.
    if (known >= 0 || !(series instanceof PointSeries)) return series;
    const block = this.#blocks.add(attributes, length, hash, series, attributesFrom);
    if (this.#generation !== this.#blocks.generation) this.#forgetNumbers();
    if (block >= this.#next.length) this.#grow(block);
    return block;
  }

  #decide(
    { attributes, attributesFrom, attributesTo, attributeTag }: DataPoint,
    metric: OtlpMetric,
  ): PointSeries | Problem {
    this.#decisions++;
    this.#reader.open(attributes);
    try {
      const own = readAttributes(this.#reader, attributesFrom, attributesTo, attributeTag);
      const { labels, replaced } = pointLabels(own, metric.resource, metric.scope, this.#options);
      const reserved = RESERVED[metric.data];
      if (reserved !== undefined && labels.has(reserved.label))
        throw new InvalidAttribute(`attribute ${quote(reserved.label)} is reserved for the ${reserved.what}`);
      return new PointSeries(metric, labels, replaced);
    } catch (error) {
      if (!(error instanceof InvalidAttribute)) throw error;
      return { cause: "labels", reason: error.message };
    }
  }

  /** The blocks were cleared, maybe within a request: what is kept by block number belongs to other blocks. */
  #forgetNumbers(): void {
    this.#generation = this.#blocks.generation;
    this.#next.fill(-1);
    this.#last = this.#expected = -1;
  }

  #grow(block: number): void {
    const larger = new Int32Array(Math.max(this.#next.length * 2, block + 1)).fill(-1);
    larger.set(this.#next);
    this.#next = larger;
  }
}

const BOUNDS = { label: "le", what: "bounds of a histogram" };
/** The label that the samples of a distribution get. */
const RESERVED: Record<OtlpMetric["data"], { readonly label: string; readonly what: string } | undefined> = {
  gauge: undefined,
  sum: undefined,
  histogram: BOUNDS,
  exponentialHistogram: BOUNDS,
  summary: { label: "quantile", what: "quantiles of a summary" },
};
