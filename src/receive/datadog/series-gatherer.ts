/**
 * Gathers the points of one request of Datadog's API in a batch, whatever the encoding of the request is. Pure.
 *
 * A series becomes a head once, and the decoders remember it by the bytes or the text that it was sent with. A count is
 * an increment. So is a rate: the Agent divides the counts of DogStatsD by the interval of its flushes, and sends the
 * result as a rate with that interval. The product is the count, which can be added up over series and over time.
 */
import { quote, TooLarge } from "../../model/errors.ts";
import type { Batch, SeriesHead } from "../../model/sample.ts";
import { SentTags } from "../../series/sent-tags.ts";
import { BatchBuilder } from "../../wire/batch-builder.ts";
import { DATADOG } from "./datadog-protocol.ts";

/** What the values of a series are. A distribution has several values per point, and each is a measurement. */
export type SeriesType = "count" | "rate" | "gauge" | "distribution";

/** A series as it was sent, without its points. */
export interface SentSeries {
  readonly metric: string;
  readonly type: SeriesType;
  /** Seconds; 0 if the sender gave none. */
  readonly interval: number;
  readonly unit: string;
  /** What the series belongs to, such as `["host", "web-1"]`. */
  readonly resources: readonly (readonly [type: string, name: string])[];
  readonly tags: readonly string[];
}

/** A series that decoders remember. */
export interface KnownSeries {
  readonly head: SeriesHead;
  /** What a value is multiplied with. */
  readonly factor: number;
  /** Tags that a resource replaced. */
  readonly replaced: readonly string[];
  /** The batch that used it last, and its index among the heads of that batch. */
  batch: number;
  index: number;
}

/** Why points are rejected. */
export interface WrongSeries {
  readonly cause: string;
  readonly reason: string;
}

/** A decoded request. */
export interface DatadogRequest {
  readonly batch: Batch;
  /** The points of the request. Samples and rejections have their numbers as position. */
  readonly points: number;
  /** Whether a repeated request would be added again. */
  readonly hasIncrements: boolean;
}

/** As many as a request of OTLP can have. A request of the Agent has at most 10,000. */
const POINTS_MAX = 500_000;
/** Samples that the points become: a distribution has many values, and a sketch many buckets. */
const ROWS_MAX = 2_100_000;
const REASON_PAST_MAX = "invalid, like the points before it";

export class SeriesGatherer {
  /** The number of series that exist. Decoders remember as many. */
  readonly seriesCount: () => number;
  readonly #builder: BatchBuilder;
  #batchNumber = 0;
  #points = 0;
  #hasIncrements = false;

  constructor(seriesCount: () => number = () => 0) {
    this.seriesCount = seriesCount;
    this.#builder = new BatchBuilder(DATADOG.name, seriesCount);
  }

  /** Starts a request, and drops what an earlier one left. */
  begin(): void {
    this.#builder.clear();
    this.#batchNumber++;
    this.#points = 0;
    this.#hasIncrements = false;
  }

  /** Returns the request. The gatherer is empty afterwards. */
  take(): DatadogRequest {
    const points = this.#points;
    const hasIncrements = this.#hasIncrements;
    return { batch: this.#builder.take(), points, hasIncrements };
  }

  /** Makes the head of a series. */
  decide(sent: SentSeries): KnownSeries {
    const { metric, type, interval, unit } = sent;
    const { labels, replaced } = labelsOf(sent);
    // Nothing says how long a rate without an interval lasted, so it is a level.
    const isRate = type === "rate" && interval > 0;
    const meaning =
      type === "count" || isRate
        ? ({ kind: "delta", type: "counter" } as const)
        : type === "distribution"
          ? ({ kind: "observation", type: "histogram" } as const)
          : ({ kind: "gauge", type: "gauge" } as const);
    return {
      head: { metric, ...meaning, unit: unit === "" ? undefined : unit, labels },
      factor: isRate ? interval : 1,
      replaced,
      batch: -1,
      index: -1,
    };
  }

  /**
   * Adds a point with one value.
   *
   * @param seconds since 1970, with a fraction
   */
  addPoint(series: KnownSeries, seconds: number, value: number): void {
    const position = this.nextPosition();
    const { head, factor } = series;
    const stored = factor === 1 ? value : increment(value, factor);
    if (isValid(head, stored)) this.addSample(series, seconds, stored, position);
    else this.#rejectValue(head, seconds, value, position);
  }

  /** Adds a point with several measurements. */
  addValues(series: KnownSeries, seconds: number, values: readonly number[]): void {
    const position = this.nextPosition();
    const { head } = series;
    const wrong = values.find((value) => !isValid(head, value));
    if (wrong !== undefined) this.#rejectValue(head, seconds, wrong, position);
    else for (const value of values) this.addSample(series, seconds, value, position);
  }

  /** Adds one sample of a point, without checking its value. */
  addSample(series: KnownSeries, seconds: number, value: number, position: number): void {
    const builder = this.#builder;
    if (builder.length >= ROWS_MAX)
      throw new TooLarge(
        `the points of the body have more than ${ROWS_MAX} values, send it in parts`,
        "body",
      );
    if (series.batch !== this.#batchNumber) this.#use(series);
    builder.add(series.index, Math.round(seconds * 1e6), value, position);
  }

  /** The position of the next point of the request. */
  nextPosition(): number {
    if (this.#points >= POINTS_MAX)
      throw new TooLarge(`the body has more than ${POINTS_MAX} points, send it in parts`, "body");
    return this.#points++;
  }

  /**
   * Rejects a point.
   *
   * @param payload returns what was sent, for the table of rejected samples
   */
  reject(position: number, { cause, reason }: WrongSeries, payload: () => string): void {
    this.#builder.reject(position, cause, reason, payload, REASON_PAST_MAX);
  }

  /** Adds a warning about the point that comes next. */
  warn(field: string, message: string, metric: string): void {
    this.#builder.warn(field, { index: this.#points, field, message, metric });
  }

  #rejectValue({ metric, kind, labels }: SeriesHead, seconds: number, sent: number, position: number): void {
    const expected = kind === "delta" ? "a finite increment of 0 or more" : "a finite number";
    const reason = `metric ${quote(metric.slice(0, 200))} has the value ${sent}, expected ${expected}`;
    this.reject(position, { cause: "value", reason }, () => {
      const value = Number.isFinite(sent) ? sent : String(sent);
      return JSON.stringify({ timestamp: seconds, metric, value, tags: Object.fromEntries(labels) });
    });
  }

  #use(series: KnownSeries): void {
    const { head, replaced } = series;
    series.batch = this.#batchNumber;
    series.index = this.#builder.addHead(head);
    if (head.kind !== "gauge") this.#hasIncrements = true;
    for (const name of replaced) {
      const value = quote(head.labels.get(name) ?? "");
      const message = `a tag ${quote(name)} was replaced by the resource ${quote(name)}, ${value}`;
      this.warn("resource", message, head.metric);
    }
  }
}

/**
 * The product of a value and a factor. A count that was divided by an interval, and is multiplied with it, may miss the
 * count by a rounding error or two: it is a whole number again.
 */
function increment(value: number, factor: number): number {
  const product = value * factor;
  const whole = Math.round(product);
  return Math.abs(product - whole) <= whole * 2 ** -51 ? whole : product;
}

/** Whether a value can be stored. A gauge may be NaN and infinite. */
function isValid({ kind }: SeriesHead, value: number): boolean {
  return kind === "gauge" || (Number.isFinite(value) && (kind === "observation" || value >= 0));
}

/** Tags and resources as labels. A resource replaces a tag with its name. */
function labelsOf({ tags, resources }: SentSeries): { labels: SeriesHead["labels"]; replaced: string[] } {
  const all = new SentTags();
  const replaced: string[] = [];
  for (const tag of tags) all.add(tag, ":");
  for (const [type, name] of resources)
    if (type !== "" && name !== "" && all.replace(type, name)) replaced.push(type);
  return { labels: new Map(all.sorted()), replaced };
}
