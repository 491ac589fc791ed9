/**
 * Gathers the data points of a request of OpenTelemetry in a batch: decides which can be stored, and adds their samples.
 */
import { quote, TooLarge } from "../../../model/errors.ts";
import type { Batch, Labels, SeriesHead } from "../../../model/sample.ts";
import { BatchBuilder } from "../../../wire/batch-builder.ts";
import { BucketLayouts } from "../../../wire/bucket-layout.ts";
import { ProtobufReader } from "../../../wire/protobuf.ts";
import type { LabelOptions } from "../labels/point-labels.ts";
import { NO_POINT, OTLP } from "../otlp-protocol.ts";
import { BUCKETS_MAX, type DataPoint } from "./data-point.ts";
import {
  fixedBounds,
  fixedCounts,
  isSameCount,
  problemOfBuckets,
  toNativeHistogram,
} from "./exponential-buckets.ts";
import { readExemplar } from "./otlp-exemplars.ts";
import { type OtlpMetric, PointSeries, type Problem } from "./point-series.ts";
import { SeriesFinder } from "./series-finder.ts";

/** A decoded request. */
export interface OtlpRequest {
  readonly batch: Batch;
  /** The data points of the request. Their samples and rejections have their numbers as position. */
  readonly points: number;
  /** Whether the batch has increments, which a repeated request would add again. */
  readonly hasDeltas: boolean;
  /** Exponential histograms that became classic buckets. */
  readonly exponentialHistograms: number;
  /** Exemplars that cannot be kept, which the batch does not have. */
  readonly exemplarsDropped: number;
}

/** As many as a request of remote_write can have samples. */
const POINTS_MAX = 500_000;
/** Samples that the points become: a histogram with 10 bounds has 13. */
const ROWS_MAX = 2_100_000;
/** Heads that a request may add to those that are known: about 1 KB each. */
const NEW_HEADS_MAX = 600_000;
/** The labels of these heads: 20 of each. A bucket has a copy of the labels of its histogram. */
const LABELS_MAX = 12_000_000;
const REASON_PAST_MAX = "invalid, like the points before it";
/** Senders export every few minutes at most. An older start is not news: the gateway was restarted since. */
const START_AGE_MAX_US = 600_000_000;
/** Per request: a tenth of all exemplars that are kept. */
const EXEMPLARS_MAX = 10_000;
/**
 * Heads of remembered label sets, at 1 KB each. A histogram has many. Past it, and past two per series that exists, all are
 * forgotten with the next request.
 */
const HEADS_MAX = 262_144;
const HEADS_PER_SERIES = 2;
/** Labels that these heads have on average, at most. */
const LABELS_PER_HEAD = 20;
const NO_LABELS: Labels = new Map();
/** Nobody measures before 2001: such a time is in another unit than nanoseconds. */
const FIRST_US = Date.UTC(2001, 0, 1) * 1_000;
const NS_PER_UNIT = [
  ["seconds", 1e9],
  ["milliseconds", 1e6],
  ["microseconds", 1e3],
] as const;

export interface PointGathererOptions {
  /** The buckets of native histograms. All decoders must share one. */
  readonly layouts?: BucketLayouts;
  /** The number of series that exist. As many are remembered. */
  readonly seriesCount?: () => number;
}

export class PointGatherer {
  readonly #builder: BatchBuilder;
  readonly #seriesCount: () => number;
  readonly #options: LabelOptions;
  readonly #layouts: BucketLayouts;
  readonly #finder: SeriesFinder;
  /** Reads exemplars. */
  readonly #body = new ProtobufReader();
  #batchNumber = 0;
  #metric: OtlpMetric | undefined;
  #points = 0;
  #exemplars = 0;
  #exemplarsDropped = 0;
  /** The heads of the label sets that are remembered. */
  #heads = 0;
  /** Those that this request has made. */
  #newHeads = 0;
  #newLabels = 0;
  /** The labels of the heads that are remembered. */
  #labels = 0;
  #exponential = 0;
  #hasDeltas = false;
  /** The times of the points of the resource that is being read. */
  earliestUs = Number.POSITIVE_INFINITY;
  latestUs = Number.NEGATIVE_INFINITY;

  constructor(
    options: LabelOptions,
    { layouts = new BucketLayouts(), seriesCount = () => 0 }: PointGathererOptions = {},
  ) {
    this.#options = options;
    this.#layouts = layouts;
    this.#seriesCount = seriesCount;
    this.#builder = new BatchBuilder(OTLP.name, seriesCount);
    this.#finder = new SeriesFinder(options, seriesCount);
  }

  /** See `SeriesFinder`. */
  get decisions(): number {
    return this.#finder.decisions;
  }

  /** Starts a request, and drops what an earlier one left. */
  begin(body: Buffer): void {
    this.#body.open(body);
    this.#builder.clear();
    const heads = Math.max(HEADS_MAX, HEADS_PER_SERIES * this.#seriesCount());
    if (this.#heads > heads || this.#labels > Math.max(LABELS_MAX, LABELS_PER_HEAD * heads)) this.forget();
    this.#batchNumber++;
    this.#newHeads =
      this.#newLabels =
      this.#points =
      this.#exemplars =
      this.#exemplarsDropped =
      this.#exponential =
        0;
    this.#hasDeltas = false;
  }

  /** Returns the batch. The gatherer is empty afterwards. */
  take(): OtlpRequest {
    return {
      batch: this.#builder.take(),
      points: this.#points,
      hasDeltas: this.#hasDeltas,
      exponentialHistograms: this.#exponential,
      exemplarsDropped: this.#exemplarsDropped,
    };
  }

  /** Starts the points of a resource. */
  beginResource(): void {
    this.earliestUs = Number.POSITIVE_INFINITY;
    this.latestUs = Number.NEGATIVE_INFINITY;
  }

  /** Starts the points of a metric. */
  beginMetric(metric: OtlpMetric): void {
    this.#metric = metric;
    this.#finder.begin(metric);
  }

  /** See `DataPoint`. */
  get expect(): SeriesFinder["expect"] {
    return this.#finder.expect;
  }

  /** Forgets all series, when the metrics that they belong to are forgotten. */
  forget(): void {
    this.#heads = this.#labels = 0;
    this.#finder.forget();
  }

  addNumber(point: DataPoint): void {
    const position = this.#nextPosition();
    const series = this.#seriesOf(point, position);
    if (series === undefined) return;
    const { metric } = series;
    const isDelta = metric.kind === "delta";
    if (!point.hasNoRecordedValue) {
      if (!point.hasValue) {
        this.#reject(position, series, "value", "has neither as_double nor as_int");
        return;
      }
      if (isDelta && !(point.value >= 0 && point.value < Number.POSITIVE_INFINITY)) {
        this.#reject(
          position,
          series,
          "value",
          `has the value ${point.value}, expected an increment of 0 or more`,
        );
        return;
      }
      if (point.large !== undefined) this.#warnOfLarge(point, series, position);
    }
    if (isDelta) {
      if (point.hasNoRecordedValue) return;
      this.#hasDeltas = true;
    }
    this.#use(series, position);
    if (metric.kind === "cumulative" && !point.hasNoRecordedValue) this.#addStart(point, series);
    this.#noteTime(point.timeUs);
    this.#builder.add(series.index, point.timeUs, point.value, position);
    if (point.hasNoRecordedValue) this.#builder.markStale();
    if (point.exemplars.length > 0) this.#addExemplars(point, series, 1);
  }

  addHistogram(point: DataPoint): void {
    const position = this.#nextPosition();
    const series = this.#seriesOf(point, position);
    if (series === undefined) return;
    if (point.hasNoRecordedValue) {
      this.#endDistribution(point, series, position);
      return;
    }
    const { bounds, boundLength, counts } = point;
    const problem = problemOfHistogram(point);
    if (problem !== undefined) {
      this.#reject(position, series, "value", problem);
      return;
    }
    if (!series.hasBounds(bounds, boundLength)) {
      this.#requireRoom(series, boundLength);
      const dropped = series.setBounds([...bounds.subarray(0, boundLength)]);
      this.#endDropped(dropped, point, series, position);
    }
    this.#use(series, position);
    if (series.metric.kind === "cumulative") this.#addStart(point, series);
    this.#noteTime(point.timeUs);
    const builder = this.#builder;
    const { timeUs, count } = point;
    let at = series.index;
    let below = 0;
    for (let bucket = 0; bucket < boundLength; bucket++) {
      below += counts[bucket]!;
      builder.add(at++, timeUs, below, position);
    }
    builder.add(at++, timeUs, count, position);
    builder.add(at, timeUs, count, position);
    this.#addSum(point, series, position);
    this.#finishDistribution(point, series);
  }

  addExponential(point: DataPoint): void {
    const position = this.#nextPosition();
    const series = this.#seriesOf(point, position);
    if (series === undefined) return;
    if (point.hasNoRecordedValue) {
      this.#endDistribution(point, series, position);
      return;
    }
    const problem = problemOfBuckets(point);
    if (problem !== undefined) {
      this.#reject(position, series, "value", problem);
      return;
    }
    const { metric } = series;
    const isDelta = metric.kind === "delta";
    const { bounds, counts } = isDelta
      ? { bounds: fixedBounds(metric.unit), counts: fixedCounts(point, metric.unit) }
      : this.#layouts.of(metric.name).convert(toNativeHistogram(point));
    if (!series.hasBounds(bounds, bounds.length)) {
      this.#requireRoom(series, bounds.length);
      this.#endDropped(series.setBounds(bounds), point, series, position);
    }
    this.#use(series, position);
    if (!isDelta) this.#addStart(point, series);
    this.#noteTime(point.timeUs);
    let at = series.index;
    for (const each of counts) this.#builder.add(at++, point.timeUs, each, position);
    this.#builder.add(at++, point.timeUs, point.count, position);
    this.#builder.add(at, point.timeUs, point.count, position);
    this.#addSum(point, series, position);
    this.#exponential += 1;
    this.#finishDistribution(point, series);
  }

  addSummary(point: DataPoint): void {
    const position = this.#nextPosition();
    const series = this.#seriesOf(point, position);
    if (series === undefined) return;
    if (point.hasNoRecordedValue) {
      this.#endDistribution(point, series, position);
      return;
    }
    const { bounds, boundLength, quantileValues } = point;
    const quantiles = bounds.subarray(0, boundLength);
    if (!quantiles.every((quantile) => quantile >= 0 && quantile <= 1)) {
      this.#reject(
        position,
        series,
        "value",
        `has the quantiles ${quote([...quantiles])}, expected numbers from 0 to 1`,
      );
      return;
    }
    if (!series.hasBounds(bounds, boundLength)) {
      this.#requireRoom(series, boundLength);
      series.setQuantiles([...quantiles]);
    }
    this.#use(series, position);
    this.#noteTime(point.timeUs);
    let at = series.index;
    for (const value of quantileValues) this.#builder.add(at++, point.timeUs, value, position);
    this.#builder.add(at, point.timeUs, point.count, position);
    this.#addSum(point, series, position);
    this.#finishDistribution(point, series);
  }

  /** Adds a sample that belongs to no point. */
  addOther(head: SeriesHead, timesUs: readonly number[], value: number): void {
    if (this.#builder.length + timesUs.length > ROWS_MAX) throw tooMany(`${ROWS_MAX} samples`);
    const index = this.#builder.addHead(head);
    for (const us of timesUs) this.#builder.add(index, us, value, NO_POINT);
  }

  /** Adds a warning about a metric without points. */
  warn(field: string, message: string, metric: string): void {
    this.#builder.warn(field, { index: this.#points, field, message, metric });
  }

  /** The series of a point, or undefined if the point was rejected. */
  #seriesOf(point: DataPoint, position: number): PointSeries | undefined {
    const series = this.#finder.find(point);
    if (!(series instanceof PointSeries)) {
      this.#rejectFor(position, this.#metric!, series);
      return undefined;
    }
    const { boundLength } = point;
    if (boundLength > BUCKETS_MAX) {
      const what = series.metric.data === "summary" ? "quantiles" : "explicit_bounds";
      this.#reject(
        position,
        series,
        "value",
        `has ${boundLength} ${what}, at most ${BUCKETS_MAX} are accepted`,
      );
      return undefined;
    }
    if (point.timeUs >= FIRST_US) return series;
    this.#reject(position, series, "timestamp", whyNoTime(point.timeUs));
    return undefined;
  }

  /**
   * Counts the labels of the heads that a distribution is about to get.
   *
   * @throws TooLarge
   */
  #requireRoom({ labels }: PointSeries, bounds: number): void {
    this.#newLabels += bounds * labels.size;
    if (this.#newLabels > LABELS_MAX) throw tooMany(`${LABELS_MAX} labels of buckets of new series`);
  }

  /** Makes sure that the batch has the heads of a series. */
  #use(series: PointSeries, position: number): void {
    if (series.usedIn === this.#batchNumber) return;
    series.usedIn = this.#batchNumber;
    series.sumIndex = -1;
    const { heads } = series;
    if (!series.isCounted) {
      series.isCounted = true;
      this.#heads += heads.length;
      this.#labels += heads.length * series.labels.size;
      this.#newHeads += heads.length;
      if (this.#newHeads > NEW_HEADS_MAX) throw tooMany(`${NEW_HEADS_MAX} new series`);
    }
    series.index = this.#builder.addHead(heads[0]!);
    for (let at = 1; at < heads.length; at++) this.#builder.addHead(heads[at]!);
    for (const name of series.replaced) {
      const message =
        `attribute ${quote(name)} was replaced by ${name === "job" ? "service.name" : "service.instance.id"} ` +
        "of the resource";
      this.#builder.warn("tags", { index: position, field: name, message, metric: series.metric.sentName });
    }
  }

  /**
   * Adds zeros at the start of a running total that began since the last point of its series. So the first increase of a
   * worker counts, and a worker that restarted and has counted more than before is seen to have restarted.
   */
  #addStart(point: DataPoint, series: PointSeries): void {
    const { startUs, timeUs } = point;
    if (startUs !== series.startUs) {
      series.firstUs = startUs > series.newestUs ? timeUs : 0;
      series.startUs = startUs;
    }
    if (timeUs > series.newestUs) series.newestUs = timeUs;
    // A request that was not stored is sent again, with the same times.
    if (timeUs !== series.firstUs || startUs >= timeUs || timeUs - startUs > START_AGE_MAX_US) return;
    for (let at = 0; at < series.heads.length; at++)
      this.#builder.add(series.index + at, startUs, 0, NO_POINT);
    if (!point.hasSum) return;
    if (series.sumIndex < 0) series.sumIndex = this.#builder.addHead(series.sum);
    this.#builder.add(series.sumIndex, startUs, 0, NO_POINT);
  }

  #addSum(point: DataPoint, series: PointSeries, position: number): void {
    if (!point.hasSum) return;
    if (series.metric.kind === "delta" && !(point.sum >= 0 && point.sum < Number.POSITIVE_INFINITY)) {
      const message = `the sum ${point.sum} is not stored, because an increment must be a number of 0 or more`;
      this.#builder.warn("value", { index: position, field: "sum", message, metric: series.metric.sentName });
      return;
    }
    if (series.sumIndex < 0) series.sumIndex = this.#builder.addHead(series.sum);
    this.#builder.add(series.sumIndex, point.timeUs, point.sum, position);
  }

  #finishDistribution(point: DataPoint, series: PointSeries): void {
    if (series.metric.kind === "delta") this.#hasDeltas = true;
    if (point.exemplars.length > 0) this.#addExemplars(point, series, series.heads.length - 1);
    if (this.#builder.length > ROWS_MAX) throw tooMany(`${ROWS_MAX} samples`);
  }

  /** Ends the series of a point without a recorded value. An increment that was not recorded is nothing. */
  #endDistribution(point: DataPoint, series: PointSeries, position: number): void {
    const { metric } = series;
    if (metric.kind === "delta") return;
    if (series.heads.length === 0) {
      this.#requireRoom(series, point.boundLength);
      if (metric.data === "summary") series.setQuantiles([...point.bounds.subarray(0, point.boundLength)]);
      else series.setBounds([...point.bounds.subarray(0, point.boundLength)]);
    }
    this.#use(series, position);
    this.#noteTime(point.timeUs);
    if (series.sumIndex < 0) series.sumIndex = this.#builder.addHead(series.sum);
    const indexes = [...series.heads.map((_, at) => series.index + at), series.sumIndex];
    for (const index of indexes) {
      this.#builder.add(index, point.timeUs, 0, position);
      this.#builder.markStale();
    }
  }

  /** Ends buckets that a cumulative histogram does not have any more. */
  #endDropped(
    dropped: readonly SeriesHead[],
    { timeUs }: DataPoint,
    series: PointSeries,
    position: number,
  ): void {
    if (series.metric.kind === "delta") return;
    for (const head of dropped) {
      this.#builder.add(this.#builder.addHead(head), timeUs, 0, position);
      this.#builder.markStale();
    }
  }

  /** @param buckets the number of heads among which the one of an exemplar is chosen by its value */
  #addExemplars(point: DataPoint, series: PointSeries, buckets: number): void {
    const { exemplars } = point;
    for (let at = 0; at < exemplars.length; at += 2) {
      this.#exemplars += 1;
      const exemplar =
        this.#exemplars > EXEMPLARS_MAX
          ? undefined
          : readExemplar(this.#body, exemplars[at]!, exemplars[at + 1]!, this.#options.translation);
      if (exemplar === undefined) {
        this.#exemplarsDropped += 1;
        continue;
      }
      const { value, labels } = exemplar;
      const head = series.index + (buckets === 1 ? 0 : series.bucketOf(value));
      this.#builder.addExemplar({ head, timestampUs: exemplar.timeUs || point.timeUs, value, labels });
    }
  }

  #warnOfLarge({ large }: DataPoint, series: PointSeries, position: number): void {
    const { high, low } = large!;
    const exact = BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
    if (BigInt(Number(exact)) === exact) return;
    const message = `value ${exact} was stored as ${Number(exact)}, the nearest 64-bit float`;
    this.#builder.warn("value", { index: position, field: "value", message, metric: series.metric.sentName });
  }

  #noteTime(us: number): void {
    if (us < this.earliestUs) this.earliestUs = us;
    if (us > this.latestUs) this.latestUs = us;
  }

  #nextPosition(): number {
    if (this.#points >= POINTS_MAX) throw tooMany(`${POINTS_MAX} points`);
    return this.#points++;
  }

  #reject(position: number, { metric, labels }: PointSeries, cause: string, reason: string): void {
    const { sentName } = metric;
    const named = `metric ${quote(sentName)} ${reason}`;
    this.#builder.reject(position, cause, named, () => describe(sentName, labels), REASON_PAST_MAX);
  }

  #rejectFor(position: number, { sentName }: OtlpMetric, { cause, reason }: Problem): void {
    const named = `metric ${quote(sentName)}: ${reason}`;
    this.#builder.reject(position, cause, named, () => describe(sentName, NO_LABELS), REASON_PAST_MAX);
  }
}

function problemOfHistogram({
  bounds,
  boundLength,
  counts,
  countLength,
  count,
}: DataPoint): string | undefined {
  if (countLength === 0 && boundLength === 0) return undefined;
  if (countLength !== boundLength + 1)
    return `has ${countLength} bucket_counts and ${boundLength} explicit_bounds, expected one count more than bounds`;
  for (let at = 0; at < boundLength; at++) {
    const bound = bounds[at]!;
    if (!Number.isFinite(bound)) return `has ${bound} among its explicit_bounds, expected finite numbers`;
    if (at > 0 && !(bound > bounds[at - 1]!))
      return `has explicit_bounds that are not in ascending order: ${bound} comes after ${bounds[at - 1]}`;
  }
  let total = 0;
  for (let at = 0; at < countLength; at++) total += counts[at]!;
  return isSameCount(total, count)
    ? undefined
    : `has ${total} observations in its buckets, and count ${count}`;
}

/** A time in another unit than nanoseconds, or none. */
function whyNoTime(us: number): string {
  if (us === 0) return "has no time: time_unix_nano is 0";
  const ns = us * 1_000;
  const unit = NS_PER_UNIT.find(([, factor]) => isRecent(us * factor))?.[0];
  return (
    `has time_unix_nano ${ns}, which is ${new Date(us / 1_000).toISOString()}; expected nanoseconds since 1970` +
    (unit === undefined ? "" : ` (this one looks like ${unit})`)
  );
}

function isRecent(us: number): boolean {
  return us >= FIRST_US && us < 4 * FIRST_US;
}

/** A point as its sender may recognise it, for the table `rejected`. */
function describe(metric: string, labels: Labels): string {
  return quote({ metric_name: metric, attributes: Object.fromEntries(labels) });
}

function tooMany(what: string): TooLarge {
  return new TooLarge(`the request has more than ${what}, send it in parts`, "body");
}
