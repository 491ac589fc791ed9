/**
 * One scrape of a target, bytes → Batch: text 0.0.4, OpenMetrics or protobuf, with the labels of the target, the stale
 * markers of series that ended, and the series about the scrape (`up` …). Pure, except for the series that it remembers.
 *
 * A scrape is all or nothing: if it cannot be read, or exceeds a limit, the batch has only stale markers and `up 0`.
 */
import { BadInput, quote, RequestError } from "../../model/errors.ts";
import {
  type Batch,
  EXEMPLAR_CHARACTERS_MAX,
  exemplarCharacters,
  type Labels,
  type SeriesHead,
} from "../../model/sample.ts";
import type { ScrapeJob } from "../../model/scrape-job.ts";
import { openMetricsFloat } from "../../model/spelling.ts";
import { BatchBuilder } from "../../wire/batch-builder.ts";
import type { BucketLayouts } from "../../wire/bucket-layout.ts";
import {
  type DecodedExemplar,
  type DecodedFamily,
  type DecodedMetric,
  textOf,
} from "../../wire/exposition-formats/decoded-families.ts";
import {
  type LabelPair,
  type LineFormat,
  parseSeries,
  readExpositionLines,
} from "../../wire/exposition-formats/exposition-lines.ts";
import { type DecodedCounts, decodeMetricFamilies } from "../../wire/exposition-formats/metric-family.ts";
import { ScrapeFailure } from "./scrape-failure.ts";
import { ScrapedSeries, type TargetSeries } from "./scraped-series.ts";

/** A body that a target answered. */
export interface ScrapedBody {
  readonly bytes: Uint8Array;
  /** Its Content-Type. Empty if there is none: it is text then. */
  readonly contentType: string;
}

/** What is counted of a scrape, up to its first error. */
interface ScrapeCounts extends DecodedCounts {
  /** Samples of the body. */
  scraped: number;
  /** Samples that are stored, unless the scrape failed. There is no relabelling, so it differs by no dropped series. */
  kept: number;
  /** Series that the scrape before did not have. */
  seriesAdded: number;
}

/** Of all samples of a scrape: the queue of ingest has room for twice as many. */
const SAMPLES_MAX = 500_000;
/** Further repeated samples are counted without a reason. */
const REASONS_MAX = 100;

const REPORTS = [
  ["up", "1 if the target was scraped, 0 if that failed."],
  ["scrape_duration_seconds", "Duration of the scrape."],
  ["scrape_samples_scraped", "Samples that the target exposed."],
  ["scrape_samples_post_metric_relabeling", "Samples that remained after relabelling."],
  ["scrape_series_added", "New series in the scrape, approximately."],
] as const;

export class TargetDecoder {
  readonly #job: ScrapeJob;
  readonly #series: ScrapedSeries;
  readonly #layouts: BucketLayouts;
  readonly #builder: BatchBuilder;
  readonly #reports: readonly SeriesHead[];
  #atMs = 0;
  #isRead = false;
  #counts: ScrapeCounts = nothing();
  /** Set at the first sample past the limit. The others are still counted, as in Prometheus. */
  #isOverLimit = false;
  /** The last sample, for its exemplar. */
  #last: TargetSeries | undefined;
  #lastMs = 0;

  /** @param labels those of the target, in ascending order of the names */
  constructor(job: ScrapeJob, labels: Labels, layouts: BucketLayouts, protocol: string) {
    this.#job = job;
    this.#series = new ScrapedSeries(labels, job.honorLabels, job);
    this.#layouts = layouts;
    this.#builder = new BatchBuilder(protocol);
    this.#reports = REPORTS.map(([metric, help]) => ({ metric, kind: "gauge", type: "gauge", help, labels }));
  }

  /**
   * Reads a scrape at a time.
   *
   * @param body what the target answered, or undefined if the scrape failed
   * @returns the counts, and the failure if the body cannot be stored
   */
  read(body: ScrapedBody | undefined, atMs: number): { counts: ScrapeCounts; failure?: ScrapeFailure } {
    this.#begin(atMs);
    this.#counts = nothing();
    let failure: ScrapeFailure | undefined;
    try {
      if (body !== undefined) this.#decode(body);
      this.#isRead = body !== undefined && body.bytes.length > 0;
    } catch (error) {
      failure = failureOf(error);
      // What was read so far is dropped, and all series end.
      this.#begin(atMs);
    }
    for (const series of this.#series.ended()) {
      this.#add(series, atMs, 0, 0);
      this.#builder.markStale();
    }
    return { counts: this.#counts, failure };
  }

  /** Adds the series about the scrape, and returns the batch. */
  take(isUp: boolean, durationSeconds: number): Batch {
    const { scraped, kept, seriesAdded } = this.#counts;
    const values = [isUp ? 1 : 0, durationSeconds, scraped, kept, seriesAdded];
    this.#reports.forEach((head, at) => {
      this.#builder.add(this.#builder.addHead(head), this.#atMs * 1_000, values[at]!, 0);
    });
    return this.#builder.take();
  }

  /** Notes that the batch is stored. Otherwise the next scrape ends the series of the last stored one. */
  keep(): void {
    this.#series.keep(this.#isRead);
  }

  #begin(atMs: number): void {
    this.#series.begin();
    this.#builder.clear();
    this.#atMs = atMs;
    this.#isRead = this.#isOverLimit = false;
    this.#last = undefined;
  }

  #decode({ bytes, contentType }: ScrapedBody): void {
    if (isProtobuf(contentType)) {
      for (const family of decodeMetricFamilies(bytes, this.#layouts, this.#counts, true))
        this.#family(family);
    } else {
      const format = /^\s*application\/openmetrics-text\s*(;|$)/i.test(contentType) ? "openmetrics" : "text";
      this.#lines(textOf(bytes, "scrape"), format, bytes.length);
    }
    if (this.#isOverLimit) {
      const { sampleLimit } = this.#job;
      const what = `the target exposes ${this.#counts.scraped} samples, at most ${sampleLimit} are accepted`;
      throw new ScrapeFailure("sample_limit", `sample_limit exceeded: ${what}`);
    }
  }

  #lines(text: string, format: LineFormat, length: number): void {
    // An empty body is the answer of a target without metrics, also if OpenMetrics requires its end.
    if (length === 0) return;
    const series = this.#series;
    const parse = (sent: string) => parseSeries(sent, format);
    readExpositionLines(text, format, {
      sample: (sent, value, timestampMs) => this.#sample(sent, parse, value, timestampMs),
      exemplar: (labels, value, timestampMs) => this.#exemplar(labels, value, timestampMs),
      type: (family, type) => series.noteType(family, type),
      help: (family, help) => series.noteHelp(family, help),
      unit: (family, unit) => series.noteUnit(family, unit),
    });
  }

  #sample(
    sent: string,
    parse: (text: string) => { metric: string; labels: readonly LabelPair[] },
    value: number,
    sentMs: number | undefined,
  ): void {
    const counts = this.#counts;
    const { sampleLimit, honorTimestamps, trackTimestampsStaleness } = this.#job;
    counts.scraped += 1;
    if (counts.scraped > SAMPLES_MAX)
      throw new ScrapeFailure("sample_limit", `the target exposes more than ${SAMPLES_MAX} samples`);
    const { series, isNew } = this.#series.find(sent, parse);
    counts.kept += 1;
    this.#last = series;
    const timestampMs = honorTimestamps ? sentMs : undefined;
    this.#lastMs = timestampMs ?? this.#atMs;
    if (sampleLimit > 0 && counts.scraped > sampleLimit) {
      this.#isOverLimit = true;
      return;
    }
    if (isNew) counts.seriesAdded += 1;
    // A series whose samples have times of their own does not end when a scrape lacks it.
    if (timestampMs !== undefined) {
      if (trackTimestampsStaleness) this.#series.see(series);
    } else if (!this.#series.see(series)) {
      if (!Object.is(series.value, value)) this.#rejectRepeated(series, value);
      return;
    } else series.value = value;
    this.#add(series, this.#lastMs, value, counts.scraped - 1);
  }

  #add(series: TargetSeries, atMs: number, value: number, position: number): void {
    this.#builder.add(this.#indexOf(series), atMs * 1_000, value, position);
  }

  #indexOf(series: TargetSeries): number {
    const { pass } = this.#series;
    if (series.addedIn !== pass) {
      series.addedIn = pass;
      series.index = this.#builder.addHead(series.head);
    }
    return series.index;
  }

  /** The first sample of a series counts, as in Prometheus. */
  #rejectRepeated({ head, value: first }: TargetSeries, value: number): void {
    const { rejected } = this.#builder;
    const index = this.#counts.scraped - 1;
    const payload = rejected.length < REASONS_MAX ? quote({ metric_name: head.metric, value }) : "";
    const reason =
      payload === ""
        ? "repeated, like the samples before it"
        : `value ${quote(value)} of ${quote(head.metric)} differs from ${quote(first)}, which the same scrape has for this series before it`;
    rejected.push({ index, cause: "repeated", reason, payload });
  }

  #exemplar(pairs: readonly LabelPair[], value: number, sentMs: number | undefined): void {
    const series = this.#last;
    if (series === undefined || this.#isOverLimit) return;
    const kept = pairs.filter(([, text]) => text !== "");
    const labels: Labels = new Map([...kept].sort(([a], [b]) => (a < b ? -1 : 1)));
    if (labels.size < kept.length || exemplarCharacters(kept) > EXEMPLAR_CHARACTERS_MAX) {
      this.#counts.exemplarsDropped += 1;
      return;
    }
    // A target repeats an exemplar until it has another.
    const last = series.exemplar;
    if (last?.value === value && last.timestampMs === sentMs && isEqual(last.labels, labels)) return;
    series.exemplar = { labels, value, timestampMs: sentMs };
    const timestampUs = (sentMs ?? this.#lastMs) * 1_000;
    this.#builder.addExemplar({ head: this.#indexOf(series), timestampUs, value, labels });
  }

  #family({ name, type, isGauge, help, unit, metrics }: DecodedFamily): void {
    this.#series.noteType(name, type === "untyped" || isGauge ? "unknown" : type);
    this.#series.noteHelp(name, help);
    this.#series.noteUnit(name, unit);
    for (const metric of metrics) this.#metric(name, type, metric);
  }

  /** The samples of a metric as the text format has them. */
  #metric(name: string, type: DecodedFamily["type"], metric: DecodedMetric): void {
    const { labels, value, exemplars = [] } = metric;
    const timestampMs = metric.timestampMs === 0 ? undefined : metric.timestampMs;
    const own = [...labels];
    const add = (of: string, sample: number, edge?: LabelPair) => {
      const pairs = edge === undefined ? own : [...own, edge];
      this.#sample(textOfSeries(of, pairs), () => ({ metric: of, labels: pairs }), sample, timestampMs);
    };
    const addExemplars = (found: readonly DecodedExemplar[]) => {
      for (const each of found) this.#exemplar([...each.labels], each.value, each.timestampMs);
    };
    if (typeof value === "number") {
      add(name, value);
      addExemplars(exemplars);
      return;
    }
    if (type === "summary") {
      for (const { edge, value: quantile } of value.edges)
        add(name, quantile, ["quantile", openMetricsFloat(edge)]);
    } else {
      let below = Number.NEGATIVE_INFINITY;
      const edges = value.edges.some(({ edge }) => edge === Number.POSITIVE_INFINITY)
        ? value.edges
        : [...value.edges, { edge: Number.POSITIVE_INFINITY, value: value.count }];
      for (const { edge, value: count } of edges) {
        add(`${name}_bucket`, count, ["le", openMetricsFloat(edge)]);
        // Those of a native histogram have no bucket.
        addExemplars(
          exemplars.filter(
            (each) => (each.edge ?? (each.value > below && each.value <= edge ? edge : Number.NaN)) === edge,
          ),
        );
        below = edge;
      }
    }
    add(`${name}_sum`, value.sum);
    add(`${name}_count`, value.count);
  }
}

function nothing(): ScrapeCounts {
  return { scraped: 0, kept: 0, seriesAdded: 0, nativeHistograms: 0, exemplarsDropped: 0 };
}

function failureOf(error: unknown): ScrapeFailure {
  if (error instanceof ScrapeFailure) return error;
  if (error instanceof BadInput) return new ScrapeFailure("syntax", error.message);
  if (error instanceof RequestError) return new ScrapeFailure(error.code, error.message);
  throw error;
}

function isProtobuf(contentType: string): boolean {
  return (
    /^\s*application\/vnd\.google\.protobuf\s*;/i.test(contentType) &&
    /;\s*proto\s*=\s*"?io\.prometheus\.client\.MetricFamily\b/i.test(contentType)
  );
}

/** A text that is equal only for equal labels. No text format spells a series like that. */
function textOfSeries(metric: string, labels: readonly LabelPair[]): string {
  let text = metric;
  for (const [name, value] of labels) text += `\u0000${name}\u0000${value}`;
  return text;
}

function isEqual(a: Labels, b: Labels): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}
