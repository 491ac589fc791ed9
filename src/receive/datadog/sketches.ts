/**
 * Distributions of an Agent as classic histograms: `datadog.agentpayload.SketchPayload`
 * (https://github.com/DataDog/agent-payload/blob/master/proto/metrics/agent_payload.proto). Pure, except for the series
 * that it remembers.
 *
 * A sketch counts the observations of one flush in bins. The bins of the Agent end at powers of 1 + 1/64, so a value is
 * known within 0.8 %. Here the counts become increments of a histogram, which has the bounds that an observation of the
 * same name has by default. The bounds of a metric never change: with a bound that is added later, the total of the new
 * bound would be less than that of a lower one.
 */
import { atOnce } from "../../model/tasks/time-slices.ts";
import { quote, TooLarge } from "../../model/errors.ts";
import type { SeriesHead } from "../../model/sample.ts";
import { openMetricsFloat } from "../../model/spelling.ts";
import { bucketsFor } from "../../series/buckets.ts";
import { BYTES, FIXED64, ProtobufReader, VARINT } from "../../wire/protobuf.ts";
import type { DatadogRequest, KnownSeries, SeriesGatherer, WrongSeries } from "./series-gatherer.ts";

/** Tags: field number times 8, plus the wire type. */
const SKETCH = 8 | BYTES;
const METRIC = 8 | BYTES;
const HOST = 16 | BYTES;
/** Sketches of another kind, which no Agent sends any more. */
const DISTRIBUTION = 24 | BYTES;
const TAG = 32 | BYTES;
const DOGSKETCH = 56 | BYTES;
const TIMESTAMP = 8 | VARINT;
const COUNT = 16 | VARINT;
const SUM = 48 | FIXED64;
/** Repeated numbers are packed, or one by one. */
const KEYS = 56 | BYTES;
const KEY = 56 | VARINT;
const COUNTS = 64 | BYTES;
const COUNT_OF_KEY = 64 | VARINT;

/**
 * The bins of the Agent (its package pkg/util/quantile): bin k has the values whose logarithm to the base GAMMA rounds to
 * k - BIAS, bin 0 those around 0, and negative bins negative values.
 */
const GAMMA = 1 + 1 / 64;
const BIAS = 1 - Math.floor(Math.log(1e-9) / Math.log(GAMMA));
/** The Agent's limit is 4,096. */
const BINS_MAX = 10_000;
const NO_PAYLOAD = () => "";
/** Some 100 µs of work. */
const STEP_BYTES = 4_096;

/** The histogram of one label set of a metric: its buckets in the order of the bounds, then +Inf. */
interface SketchSeries {
  readonly metric: string;
  readonly bounds: readonly number[];
  readonly buckets: readonly KnownSeries[];
  readonly count: KnownSeries;
  readonly sum: KnownSeries;
}

/**
 * Remembered histograms of 20 to 45 series each. If many series exist, one per ten of them is remembered. When full, all are
 * dropped.
 */
const SERIES_MAX = 4_096;
const SERIES_PER_HISTOGRAM = 10;
/** Labels of the remembered series, per series that exists. */
const LABELS_PER_SERIES_MAX = 20;
const KEY_CHARACTERS_MAX = 4_096;
/** Labels of the series that one request makes, and of those that are remembered. Each bucket has a copy. */
const LABELS_MAX = 6_000_000;

/** The fields of one sketch. */
interface Sketch {
  seconds: number;
  count: number;
  sum: number;
  keys: number[];
  counts: number[];
}

export class SketchDecoder {
  readonly #gatherer: SeriesGatherer;
  readonly #reader = new ProtobufReader();
  readonly #series = new Map<string, SketchSeries>();
  /** The labels of the remembered series, and those of the series that the request made. */
  #labels = 0;
  #newLabels = 0;

  constructor(gatherer: SeriesGatherer) {
    this.#gatherer = gatherer;
  }

  /**
   * Decodes a body. A sketch is one point.
   *
   * @throws BadInput when it is not a SketchPayload; TooLarge when it has too many sketches
   */
  decode(body: Uint8Array): DatadogRequest {
    return atOnce(this.decoding(body));
  }

  /** As `decode`, in steps between which the caller may pause. */
  *decoding(body: Uint8Array): Generator<void, DatadogRequest> {
    const reader = this.#reader;
    this.#gatherer.begin();
    this.#newLabels = 0;
    reader.open(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    let pauseAt = 0;
    while (reader.at < body.length) {
      if (reader.at >= pauseAt) {
        pauseAt = reader.at + STEP_BYTES;
        yield;
      }
      const tag = reader.uint32();
      if (tag === SKETCH) this.#readSeries(reader.length());
      else reader.skip(tag);
    }
    return this.#gatherer.take();
  }

  #readSeries(end: number): void {
    const reader = this.#reader;
    const begin = reader.at;
    reader.isText = true;
    let [metric, host] = ["", ""];
    let distributions = 0;
    const tags: string[] = [];
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === METRIC) metric = reader.text();
      else if (tag === HOST) host = reader.text();
      else if (tag === TAG) tags.push(reader.text());
      else {
        if (tag === DISTRIBUTION) distributions++;
        reader.skip(tag);
      }
    }
    reader.expectEnd(end);
    const gatherer = this.#gatherer;
    const shown = quote(metric.slice(0, 200));
    const old = {
      cause: "type",
      reason: `metric ${shown} has a sketch of an older form, expected a dogsketch`,
    };
    for (; distributions > 0; distributions--) gatherer.reject(gatherer.nextPosition(), old, NO_PAYLOAD);
    const wrong: WrongSeries | undefined = reader.isText
      ? undefined
      : { cause: "syntax", reason: `metric ${shown} has text that is not UTF-8` };
    let series: SketchSeries | undefined;
    reader.at = begin;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag !== DOGSKETCH) {
        reader.skip(tag);
        continue;
      }
      const sketch = this.#readSketch(reader.length());
      const problem = wrong ?? problemOf(sketch, shown);
      if (problem !== undefined) gatherer.reject(gatherer.nextPosition(), problem, NO_PAYLOAD);
      else {
        series ??= this.#find(metric, host, tags);
        this.#add(series, sketch);
      }
    }
  }

  #add({ metric, bounds, buckets, count, sum }: SketchSeries, sketch: Sketch): void {
    const gatherer = this.#gatherer;
    if (sketch.sum < 0) {
      // Nothing adds up to a counter that decreases.
      gatherer.warn(
        "sum",
        `the sum ${sketch.sum} of a distribution was not stored, because it is negative`,
        metric,
      );
    }
    const position = gatherer.nextPosition();
    const totals = countsBelow(bounds, sketch);
    const add = (series: KnownSeries, value: number) =>
      gatherer.addSample(series, sketch.seconds, value, position);
    for (const [at, bucket] of buckets.entries()) add(bucket, totals[at]!);
    add(count, sketch.count);
    if (sketch.sum >= 0) add(sum, sketch.sum);
  }

  #readSketch(end: number): Sketch {
    const reader = this.#reader;
    const sketch: Sketch = { seconds: 0, count: 0, sum: 0, keys: [], counts: [] };
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === TIMESTAMP) sketch.seconds = reader.int64();
      else if (tag === COUNT) sketch.count = reader.int64();
      else if (tag === SUM) sketch.sum = reader.double();
      else if (tag === KEY) addBin(sketch.keys, reader.sint64());
      else if (tag === COUNT_OF_KEY) addBin(sketch.counts, reader.uint64());
      else if (tag === KEYS) {
        const to = reader.length();
        while (reader.at < to) addBin(sketch.keys, reader.sint64());
        reader.expectEnd(to);
      } else if (tag === COUNTS) {
        const to = reader.length();
        while (reader.at < to) addBin(sketch.counts, reader.uint64());
        reader.expectEnd(to);
      } else reader.skip(tag);
    }
    reader.expectEnd(end);
    return sketch;
  }

  #find(metric: string, host: string, tags: readonly string[]): SketchSeries {
    const key = JSON.stringify([metric, host, tags]);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const sent = { metric, type: "count", interval: 0, unit: "", resources: [["host", host]], tags } as const;
    const series = this.#gatherer.decide(sent);
    const part = (suffix: string, le?: number): KnownSeries => ({
      ...series,
      head: partOf(series.head, suffix, le),
      // A histogram warns once.
      replaced: suffix === "_count" ? series.replaced : [],
    });
    const bounds = bucketsFor(metric, "");
    const labels = series.head.labels.size * bounds.length;
    this.#newLabels += labels;
    if (this.#newLabels > LABELS_MAX)
      throw new TooLarge(
        `the body has more than ${LABELS_MAX} tags of new buckets, send it in parts`,
        "body",
      );
    const made: SketchSeries = {
      metric,
      bounds,
      buckets: [...bounds, Number.POSITIVE_INFINITY].map((bound) => part("_bucket", bound)),
      count: part("_count"),
      sum: part("_sum"),
    };
    if (key.length > KEY_CHARACTERS_MAX) return made;
    const exist = this.#gatherer.seriesCount();
    if (
      this.#series.size >= Math.max(SERIES_MAX, exist / SERIES_PER_HISTOGRAM) ||
      this.#labels > Math.max(LABELS_MAX, LABELS_PER_SERIES_MAX * exist)
    ) {
      this.#series.clear();
      this.#labels = 0;
    }
    this.#labels += labels;
    this.#series.set(key, made);
    return made;
  }
}

/** Adds a number. One past the limit is kept, so that the sketch is rejected, and no more: a body has room for millions. */
function addBin(numbers: number[], number: number): void {
  if (numbers.length <= BINS_MAX) numbers.push(number);
}

function partOf({ metric, labels }: SeriesHead, suffix: string, le: number | undefined): SeriesHead {
  const all = [...labels];
  if (le !== undefined) all.push(["le", openMetricsFloat(le)]);
  return {
    metric: metric + suffix,
    kind: "delta",
    type: "histogram",
    labels: new Map(all.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** Why a sketch is rejected, or undefined. */
function problemOf({ count, sum, keys, counts }: Sketch, metric: string): WrongSeries | undefined {
  const wrong = (what: string): WrongSeries => ({
    cause: "value",
    reason: `metric ${metric} has a sketch ${what}`,
  });
  if (keys.length !== counts.length) return wrong(`with ${keys.length} bins and ${counts.length} counts`);
  if (keys.length > BINS_MAX) return wrong(`with more than ${BINS_MAX} bins, which are not accepted`);
  if (!Number.isFinite(sum)) return wrong(`with the sum ${sum}, expected a finite number`);
  let total = 0;
  for (const each of counts) total += each;
  return total === count ? undefined : wrong(`with ${total} observations in its bins, and cnt ${count}`);
}

/** For each bound, and for +Inf, the number of observations that are not above it. */
function countsBelow(bounds: readonly number[], { keys, counts, count }: Sketch): number[] {
  const totals = bounds.map(() => 0);
  for (const [at, key] of keys.entries()) {
    const value = valueOfBin(key);
    let bound = bounds.findIndex((each) => value <= each);
    if (bound < 0) continue;
    for (; bound < totals.length; bound++) totals[bound]! += counts[at]!;
  }
  return [...totals, count];
}

/** The value in the middle of a bin. */
function valueOfBin(key: number): number {
  if (key === 0) return 0;
  return key < 0 ? -valueOfBin(-key) : GAMMA ** (key - BIAS);
}
